package sim

import (
	"context"
	"errors"
	"math/rand/v2"

	"counterpart/agent/uplink"
	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// vault is the file of a computer's keys. It lies beside the database, and a
// commit of one is none of the other: the process may end between them.
type vault struct {
	process *process
	db      *ledger.Memory
}

// Update is that of a process's driver.
func (v *vault) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	if err := v.process.usable(); err != nil {
		return err
	}
	d := v.process.disk
	f, rec := d.fate(), recorder{}
	err := v.db.Update(ctx, func(tx ledger.Tx) error {
		rec.Tx, rec.rows = tx, nil
		if err := fn(&rec); err != nil {
			return err
		}
		switch {
		case len(rec.rows) == 0:
		case f == fateEarly:
			return errEnded
		case f == fateFault:
			return errFault
		case d.full && !d.w.quiet:
			return &protocol.Error{Code: protocol.DiskFull, Message: "The disk is full. Nothing was recorded."}
		}
		return nil
	})
	if len(rec.rows) == 0 {
		return err
	}
	return v.process.meet(f, err)
}

// View reads, as long as the process lives.
func (v *vault) View(ctx context.Context, fn func(ledger.Reader) error) error {
	if err := v.process.usable(); err != nil {
		return err
	}
	return v.db.View(ctx, fn)
}

// Scrub has nothing to overwrite: of a Memory nothing stays that was deleted.
func (v *vault) Scrub(context.Context) error { return v.process.usable() }

// Close leaves the file as it is.
func (v *vault) Close() error { return nil }

// openRing opens the keys beside a disk. A computer other than the one that wrote
// them finds them locked.
func (w *world) openRing(p *process, computer string, random *rand.Rand) (*ledger.KeyRing, error) {
	if p.disk.keys == nil {
		p.disk.keys = ledger.NewMemory()
	}
	salt := []byte("the salt beside the file of keys")
	return ledger.OpenKeyRing(w.ctx, &vault{process: p, db: p.disk.keys}, ledger.MachineWrapKey([]byte(computer), salt), filler(random))
}

func filler(rnd *rand.Rand) func([]byte) {
	return func(b []byte) {
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
	}
}

// openKeys opens the machine's keys at a start, and has those that it lacks come
// again.
func (m *machine) openKeys() error {
	if m.w.club == nil {
		return nil
	}
	ring, err := m.w.openRing(m.process, m.disk.name, m.secrets)
	if err != nil {
		return err
	}
	m.ring = uplink.Ring{KeyRing: ring}
	err = uplink.MembersAnew(m.w.ctx, m.process, m.ring, m.origin.Store)
	if protocol.CodeOf(err) == protocol.DiskFull {
		return nil
	}
	return err
}

// keysBeside are the keys that go up with events.
func (m *machine) keysBeside(records []protocol.Record) ([]protocol.MemberKey, error) {
	if m.ring.KeyRing == nil {
		return nil, nil
	}
	return uplink.KeysBeside(m.w.ctx, m.ring, records, m.w.log)
}

// keepKeys does what a part of the member feed says of keys.
func (m *machine) keepKeys(d *protocol.Delta) error {
	if m.ring.KeyRing == nil {
		return nil
	}
	return uplink.KeepKeys(m.w.ctx, m.ring, m.origin.Store, d)
}

// keepLookup stores the key that a Welcome brought.
func (m *machine) keepLookup(key protocol.LookupKey) {
	if m.ring.KeyRing == nil {
		return
	}
	if err := m.ring.KeepLookup(m.w.ctx, key); err != nil {
		m.w.tell("%s does not keep the key for look-ups: %v", m.disk.name, err)
	}
}

// keyIn reads whether a disk's file of keys has a key of somebody, and whether it
// opens for that disk's computer.
func (w *world) keyIn(d *disk, id protocol.MemberID) (key protocol.SubjectKey, ok bool) {
	if d.keys == nil {
		return key, false
	}
	ring, err := w.openRing(&process{disk: d}, d.name, w.source("auditor"))
	if err == nil {
		key, ok, err = ring.Key(w.ctx, string(id))
	}
	if err != nil && !errors.Is(err, ledger.ErrLocked) {
		w.fail("%s: %v", d.name, err)
	}
	return key, ok
}

// openKeys opens the hub's keys at a start. They follow no machine.
func (c *cloud) openKeys(p *process) (*ledger.KeyRing, error) {
	if c.w.club == nil {
		return nil, nil
	}
	return c.w.openRing(p, c.disk.name, c.w.club.random)
}
