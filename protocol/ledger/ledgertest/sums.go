package ledgertest

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/stock"
)

// TestSums folds random histories at a machine and at another that hears of
// them in another order, and demands that digests agree (I9), that damage is
// found and set right, and that without damage nothing ever differs.
func TestSums(t *testing.T, open func(t *testing.T) ledger.Driver, histories uint64) {
	for seed := range histories {
		h := newHistory(seed)
		for _, st := range h.streams[:3] {
			h.sale(st)
		}
		s := &sums{t: t, seed: seed, h: h, here: ledger.NewMemory(), there: open(t)}
		s.deliver(s.here, nil)
		s.deliver(s.there, nil)
		s.agree()
		s.passOver()
		s.damagedLevel()
		s.damagedSum()
		s.older()
	}
}

// sums is a machine here and one there, and what both hear of.
type sums struct {
	t           *testing.T
	seed        uint64
	h           *history
	here, there ledger.Driver
}

func (s *sums) fatal(format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("seed %d: "+format, append([]any{s.seed}, args...)...)
}

func (s *sums) update(d ledger.Driver, fn func(ledger.Tx) error) {
	s.t.Helper()
	if err := d.Update(context.Background(), fn); err != nil {
		s.fatal("%v", err)
	}
}

// deliver applies the history in some order, without one stream.
func (s *sums) deliver(d ledger.Driver, without *stream) {
	s.t.Helper()
	for _, b := range s.h.shuffled() {
		if without != nil && b.Origin == without.origin {
			continue
		}
		s.update(d, func(tx ledger.Tx) error {
			_, err := ledger.Apply(tx, b)
			return err
		})
	}
}

// digest logs a digest in a stream here, and returns what the machine there
// makes of it.
func (s *sums) digest(st *stream, there ledger.Driver) []ledger.Compared {
	s.t.Helper()
	prev := st.hashBefore(len(st.records))
	s.update(s.here, func(tx ledger.Tx) error {
		d, err := ledger.Digest(tx, st.origin)
		if err != nil || d == nil {
			s.fatal("no digest of %s: %v", st.origin.Agent, err)
		}
		s.h.log(st, &protocol.Event{Kind: protocol.KindDigest, Digest: d})
		return nil
	})
	n := len(st.records)
	b := ledger.Batch{Origin: st.origin, First: protocol.Seq(n), Prev: prev, Records: st.records[n-1:]}
	var res ledger.Result
	for _, d := range []ledger.Driver{s.here, there} {
		s.update(d, func(tx ledger.Tx) (err error) {
			res, err = ledger.Apply(tx, b)
			return err
		})
	}
	return res.Digests
}

func (s *sums) agree() {
	s.t.Helper()
	for _, st := range s.h.streams[:3] {
		if got := s.digest(st, s.there); len(got) != 1 || len(got[0].Buckets) > 0 {
			s.fatal("a digest of %s is compared as %v", st.origin.Agent, got)
		}
	}
	for _, d := range []ledger.Driver{s.here, s.there} {
		if audit := s.audit(d); !audit.Known || len(audit.Buckets) > 0 {
			s.fatal("the levels differ from the sums: %+v", audit)
		}
		if found := s.recount(d); !reflect.DeepEqual(found, ledger.Recounted{}) {
			s.fatal("a recount of what is right finds %+v", found)
		}
	}
}

// passOver demands that a digest of more than is there is not compared.
func (s *sums) passOver() {
	s.t.Helper()
	behind := ledger.NewMemory()
	s.deliver(behind, s.h.streams[2])
	if got := s.digest(s.h.streams[0], behind); len(got) > 0 {
		s.fatal("a digest is compared with less: %v", got)
	}
	s.deliver(s.there, nil)
}

func (s *sums) audit(d ledger.Driver) (audit ledger.SumsAudit) {
	s.t.Helper()
	err := d.View(context.Background(), func(r ledger.Reader) (err error) {
		audit, err = ledger.AuditSums(r, store)
		return err
	})
	if err != nil {
		s.fatal("audit: %v", err)
	}
	return audit
}

func (s *sums) recount(d ledger.Driver) ledger.Recounted {
	s.t.Helper()
	all := make([]int, protocol.SumBuckets)
	for i := range all {
		all[i] = i
	}
	found, err := ledger.Recount(context.Background(), d, store, all)
	if err != nil {
		s.fatal("recount: %v", err)
	}
	return found
}

func (s *sums) rows(d ledger.Driver) map[string]string {
	s.t.Helper()
	rows := map[string]string{}
	err := d.View(context.Background(), func(r ledger.Reader) error {
		return r.Scan(ledger.States, "", "", func(id string, v []byte) (bool, error) {
			rows[id] = string(v)
			return true, nil
		})
	})
	if err != nil {
		s.fatal("%v", err)
	}
	return rows
}

// damagedLevel changes, spoils or deletes a level, and demands that it is found
// and set right.
func (s *sums) damagedLevel() {
	s.t.Helper()
	before := s.rows(s.there)
	var levels []string
	for _, id := range slices.Sorted(maps.Keys(before)) {
		if strings.HasPrefix(id, "level\x00") && before[id] != "" {
			levels = append(levels, id)
		}
	}
	if len(levels) == 0 {
		return
	}
	id := levels[s.h.rnd.IntN(len(levels))]
	l, err := stock.DecodeLevel([]byte(before[id]))
	if err != nil {
		s.fatal("%v", err)
	}
	whole := *l
	l.Add(protocol.State(s.h.rnd.IntN(int(protocol.StateCount))), s.h.quantity())
	bad := l.Encode()
	switch s.h.rnd.IntN(3) {
	case 0:
		bad = []byte{0xff}
	case 1:
		if whole.Quantity(protocol.OnHand) != 0 {
			bad = nil
		}
	}
	s.update(s.there, func(tx ledger.Tx) error {
		return tx.Write([]ledger.Row{{Key: ledger.Key{Table: ledger.States, ID: id}, Value: bad}})
	})
	audit := s.audit(s.there)
	if len(audit.Buckets) != 1 {
		s.fatal("level %q is %x instead of %x, and the audit says %+v", id, bad, before[id], audit)
	}
	found, err := ledger.Recount(context.Background(), s.there, store, audit.Buckets)
	want := ledger.Recounted{SKUs: []protocol.SKU{protocol.SKU(id[strings.LastIndex(id, "\x00")+1:])}}
	if err != nil || !reflect.DeepEqual(found, want) {
		s.fatal("the recount finds %+v, not %+v (%v)", found, want, err)
	}
	if diff := difference(before, s.rows(s.there)); diff != "" {
		s.fatal("after the repair: %s", diff)
	}
}

// damagedSum changes the sums of an agent, and demands that the next digest
// shows it and that it is set right.
func (s *sums) damagedSum() {
	s.t.Helper()
	before := s.rows(s.there)
	id := "sum\x00" + string(store) + "\x00a2"
	bad := []byte(before[id])
	if len(bad) == 0 {
		s.fatal("the sums of a2 are missing")
	}
	bad[len(bad)-1-s.h.rnd.IntN(256)] ^= 1 << s.h.rnd.IntN(8)
	s.update(s.there, func(tx ledger.Tx) error {
		return tx.Write([]ledger.Row{{Key: ledger.Key{Table: ledger.States, ID: id}, Value: bad}})
	})
	if audit := s.audit(s.there); len(audit.Buckets) != 1 {
		s.fatal("the sums of a2 are damaged, and the audit says %+v", audit)
	}
	if got := s.digest(s.h.streams[1], s.there); len(got) != 1 || len(got[0].Buckets) != 1 {
		s.fatal("the sums of a2 are damaged, and its digest is compared as %v", got)
	}
	if found := s.recount(s.there); !reflect.DeepEqual(found, ledger.Recounted{Agents: []protocol.AgentID{"a2"}}) {
		s.fatal("the recount finds %+v", found)
	}
	if got := s.digest(s.h.streams[1], s.there); len(got) != 1 || len(got[0].Buckets) > 0 {
		s.fatal("the sums of a2 were set right, and its digest is compared as %v", got)
	}
}

// older makes the database there one of a version that knew no sums. Nothing is
// compared, and nothing differs, until the log was counted.
func (s *sums) older() {
	s.t.Helper()
	want := s.rows(s.there)
	s.update(s.there, func(tx ledger.Tx) error {
		var rows []ledger.Row
		for id := range want {
			if strings.HasPrefix(id, "sum\x00") {
				rows = append(rows, ledger.Row{Key: ledger.Key{Table: ledger.States, ID: id}})
			}
		}
		return tx.Write(rows)
	})
	// A further stream of a known agent must not begin sums without the rest.
	fresh := &stream{origin: protocol.Origin{Store: store, Agent: "a1", Inc: protocol.Inc{9}}}
	fresh.hashes = []protocol.Hash{fresh.origin.Genesis()}
	s.h.unknown(fresh)
	s.update(s.there, func(tx ledger.Tx) error {
		_, err := ledger.Apply(tx, ledger.Batch{Origin: fresh.origin, First: 1, Prev: fresh.origin.Genesis(), Records: fresh.records})
		return err
	})
	if got := s.digest(s.h.streams[0], s.there); len(got) > 0 {
		s.fatal("a digest is compared with nothing: %v", got)
	}
	err := s.there.View(context.Background(), func(r ledger.Reader) error {
		d, err := ledger.Digest(r, fresh.origin)
		if d != nil {
			err = errors.Join(err, errors.New("a digest of sums that are not known"))
		}
		rep, verifyErr := ledger.Verify(r)
		if verifyErr == nil && !rep.OK() {
			s.fatal("an older database differs: %v", rep.Differences)
		}
		return errors.Join(err, verifyErr)
	})
	if err != nil {
		s.fatal("%v", err)
	}
	if audit := s.audit(s.there); audit.Known || len(audit.Buckets) > 0 {
		s.fatal("the audit of an older database says %+v", audit)
	}
	found := s.recount(s.there)
	if len(found.Begun) == 0 || len(found.Agents)+len(found.SKUs) > 0 {
		s.fatal("the recount of an older database says %+v", found)
	}
	if audit := s.audit(s.there); !audit.Known || len(audit.Buckets) > 0 {
		s.fatal("after the recount of an older database the audit says %+v", audit)
	}
}
