package sim

import (
	"bytes"
	"context"
	"fmt"

	"counterpart/agent/uplink"
	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// audit checks, after a quiet end, what must hold then: every confirmed event
// is at the hub once, in its place; hub and machines hold the same state; and
// both equal a replay of their logs.
func (w *world) audit() {
	for _, m := range w.agents {
		w.auditStream(m)
		if s := m.engine.Link().State; s != uplink.Online {
			w.fail("%s is %s (%s)", m.origin.Agent, s, m.engine.Link().Cause)
		}
		for _, f := range m.engine.Feeds() {
			if f.State != "tail" || f.Behind > 0 {
				w.fail("%s: feed %s is %s, behind by %d", m.origin.Agent, f.Feed, f.State, f.Behind)
			}
		}
		w.auditState(m)
		w.verify(string(m.origin.Agent), m.db)
	}
	w.verify("hub", w.hubDB)
}

// auditStream checks I1, I2, I4 and I5 for one machine.
func (w *world) auditStream(m *machine) {
	err := w.hubDB.View(context.Background(), func(r ledger.Reader) error {
		s, err := ledger.ReadStream(r, m.origin)
		if err != nil {
			return err
		}
		if int(s.Seq) != len(m.confirmed) {
			return fmt.Errorf("hub holds %d events, %d were confirmed", s.Seq, len(m.confirmed))
		}
		i := 0
		return ledger.ScanEvents(r, m.origin.Inc, 1, func(seq protocol.Seq, h protocol.Hash, _ protocol.Record) (bool, error) {
			if int(seq) != i+1 || h != m.confirmed[i] {
				return false, fmt.Errorf("event %d at the hub is not the one that was confirmed", seq)
			}
			i++
			return true, nil
		})
	})
	if err != nil {
		w.fail("%s: %v", m.origin.Agent, err)
	}
}

// auditState compares a machine's levels and receipts with the hub's for its
// store (I3, I8, I10).
func (w *world) auditState(m *machine) {
	read := func(db *ledger.Memory) map[string][]byte {
		rows := map[string][]byte{}
		err := db.View(context.Background(), func(r ledger.Reader) error {
			return r.Scan(ledger.States, "level\x00"+string(m.origin.Store)+"\x00", "level\x00"+string(m.origin.Store)+"\x01", func(id string, v []byte) (bool, error) {
				rows[id] = bytes.Clone(v)
				return true, nil
			})
		})
		if err != nil {
			w.fail("%s: %v", m.origin.Agent, err)
		}
		return rows
	}
	here, there := read(m.db), read(w.hubDB)
	if len(here) != len(there) {
		w.fail("%s holds %d levels, the hub %d", m.origin.Agent, len(here), len(there))
	}
	for id, v := range there {
		if !bytes.Equal(here[id], v) {
			w.fail("%s: level %q is %x, at the hub %x", m.origin.Agent, id, here[id], v)
		}
	}
}

func (w *world) verify(who string, db *ledger.Memory) {
	err := db.View(context.Background(), func(r ledger.Reader) error {
		rep, err := ledger.Verify(r)
		if err == nil && !rep.OK() {
			err = fmt.Errorf("%d differences, such as %s", rep.Different, rep.Differences[0])
		}
		return err
	})
	if err != nil {
		w.fail("verify %s: %v", who, err)
	}
}
