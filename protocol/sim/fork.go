package sim

import (
	"fmt"
	"time"

	"counterpart/agent/uplink"
	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// witness is what a computer last saw in its database, kept beside it.
type witness struct {
	at      protocol.EventID
	hash    protocol.Hash
	machine int
}

// keepWitness writes down now and then what the database holds. It never runs
// ahead of it, and may be behind.
func (m *machine) keepWitness() {
	if m.rnd.IntN(4) == 0 {
		h := m.disk.watch.heads[m.origin.Inc]
		m.witness = &witness{at: protocol.EventID{Inc: m.origin.Inc, Seq: h.seq}, hash: h.hash, machine: m.index}
	}
}

// contradicts tells whether a database cannot be the one that was seen.
func (v *witness) contradicts(r ledger.Reader, o protocol.Origin, machine int) (bool, error) {
	if v == nil {
		return false, nil
	}
	if v.machine != machine {
		return true, nil
	}
	seen := o
	seen.Inc = v.at.Inc
	s, err := ledger.ReadStream(r, seen)
	switch {
	case err != nil:
		return false, err
	case v.at.Inc != o.Inc:
		return s.Seq == 0 && v.at.Seq > 0, nil
	case s.Seq < v.at.Seq:
		return true, nil
	case v.at.Seq == 0:
		return false, nil
	}
	hash, ok, err := ledger.HashAt(r, v.at)
	return ok && hash != v.hash, err
}

// identify counts the start, finds out who the machine is, and begins a new
// stream where the witness says that the database is not the one it was.
func (m *machine) identify() error {
	fresh, other := incOf(m.rnd), incOf(m.rnd)
	var id *ledger.Identity
	err := m.process.Update(m.w.ctx, func(tx ledger.Tx) (err error) {
		if id, err = ledger.StartIdentity(tx, fresh, m.cause); err != nil {
			return err
		}
		o := m.origin
		o.Inc = id.Inc
		differs, err := m.witness.contradicts(tx, o, m.index)
		if err != nil || !differs {
			return err
		}
		id, err = forkAt(tx, o, other, ledger.CauseWitness)
		return err
	})
	if err == nil {
		m.unaware = m.unaware && id.Inc != other
		m.become(id)
	}
	return err
}

// become makes a stream the one that the machine writes.
func (m *machine) become(id *ledger.Identity) {
	m.identity, m.origin.Inc, m.disk.watch.own = *id, id.Inc, id.Inc
	m.w.books.origins[id.Inc] = m.origin
	if id.Cause != "" {
		m.w.forked = true
	}
}

// forkAt begins a new stream after what the hub is known to have safely.
func forkAt(tx ledger.Tx, o protocol.Origin, fresh protocol.Inc, cause ledger.ForkCause) (*ledger.Identity, error) {
	marks, err := uplink.ReadMarks(tx, o.Inc)
	if err != nil {
		return nil, err
	}
	return ledger.Fork(tx, o, marks.Safe, fresh, cause)
}

// forksApart is how long one stream is kept at least before the hub's word
// begins another.
const forksApart = 10 * time.Second

// forkSoon ends the link of a stream that the hub holds other events of, and
// begins another stream, while people go on.
func (m *machine) forkSoon(cause ledger.ForkCause) {
	m.w.tell("%s is told to fork", m.disk.name)
	m.engine, m.tickAt = nil, 0
	m.disconnect()
	fresh := incOf(m.rnd)
	m.later(forksApart, func() any {
		var id *ledger.Identity
		err := m.process.Update(m.w.ctx, func(tx ledger.Tx) (err error) {
			id, err = forkAt(tx, m.origin, fresh, cause)
			return err
		})
		if err != nil {
			m.stop(err)
			return nil
		}
		m.unaware = false
		m.become(id)
		m.counter.refresh()
		m.finishFork()
		return nil
	})
}

// finishFork logs again what a fork has sealed, a step at a time, and then
// makes the link. People go on meanwhile.
func (m *machine) finishFork() {
	m.later(time.Millisecond, func() any {
		clock := protocol.Clock{WallMs: m.clock.wall().UnixMilli(), MonoMs: m.instant().Mono.Milliseconds()}
		done := false
		err := m.process.Update(m.w.ctx, func(tx ledger.Tx) (err error) {
			done, err = ledger.ContinueFork(tx, m.origin, clock)
			return err
		})
		switch {
		case protocol.CodeOf(err) == protocol.DiskFull:
			m.later(30*time.Second, func() any { m.finishFork(); return nil })
		case err != nil:
			m.stop(err)
		case done:
			m.link()
		default:
			m.finishFork()
		}
		return nil
	})
}

// keepCopy keeps the disk as it is now.
func (m *machine) keepCopy() {
	m.copies = append(m.copies, m.disk.copy())
	if len(m.copies) > 4 {
		m.copies = m.copies[1:]
	}
}

// rollBack puts an earlier copy in the disk's place while the machine is off.
// How it happens decides what the machine can know of it.
func (m *machine) rollBack(how string) {
	if len(m.copies) == 0 || !m.up {
		return
	}
	m.w.tell("%s is rolled back (%s)", m.disk.name, how)
	m.w.counts.Disasters++
	m.crash(upTo(m.rnd, 10*time.Minute))
	before := m.disk.db
	from := m.copies[m.rnd.IntN(len(m.copies))]
	m.disk.replace(from.db.Clone())
	m.keysAfter(how, from)
	m.w.forget(m, before)
	m.identity = ledger.Identity{}
	switch how {
	case "restore":
		m.witness, m.unaware = nil, false
		m.restore()
	case "witness":
	case "silent":
		m.witness, m.unaware = nil, true
	}
	m.staff.readPrinted()
}

// restore begins a new stream in a database that nobody runs on, as the command
// of that name does.
func (m *machine) restore() {
	p := &process{disk: m.disk, died: func() {}}
	quiet := m.w.quiet
	m.w.quiet = true // the command is repeated until it succeeds
	defer func() { m.w.quiet = quiet }()
	fresh := incOf(m.rnd)
	o := m.origin
	err := p.Update(m.w.ctx, func(tx ledger.Tx) (err error) {
		if o.Inc, err = ledger.Writer(tx); err != nil {
			return err
		}
		m.disk.watch.own = fresh
		m.w.forked = true
		id, err := forkAt(tx, o, fresh, ledger.CauseRestore)
		if err == nil {
			o.Inc = id.Inc
			m.w.books.origins[o.Inc] = o
		}
		return err
	})
	for done := false; err == nil && !done; {
		err = p.Update(m.w.ctx, func(tx ledger.Tx) (err error) {
			done, err = ledger.ContinueFork(tx, o, protocol.Clock{WallMs: m.clock.wall().UnixMilli()})
			return err
		})
	}
	if err != nil {
		m.w.fail("%s cannot be restored: %v", m.disk.name, err)
	}
}

// replace puts an empty machine in the place of one whose disk died.
func (m *machine) replace() {
	if !m.up {
		return
	}
	m.w.tell("%s dies and is replaced", m.disk.name)
	m.w.counts.Disasters++
	m.crash(upTo(m.rnd, 10*time.Minute))
	before := m.disk.db
	m.disk.replace(ledger.NewMemory())
	m.loseKeys(nil)
	m.w.forget(m, before)
	m.copies, m.witness, m.unaware, m.identity = nil, nil, false, ledger.Identity{}
	m.cause = ledger.CauseReplace
	m.staff.readPrinted()
}

// clone starts a copy of the machine's disk on another computer; both live on.
func (m *machine) clone(how string) {
	if !m.up {
		return
	}
	w := m.w
	w.tell("%s is cloned (%s)", m.disk.name, how)
	w.counts.Disasters++
	// No two clones share a name, or they would draw the same numbers.
	name := fmt.Sprintf("%s'%d", m.origin.Agent, len(w.agents)+1)
	c := &machine{w: w, index: len(w.agents), rnd: w.source("machine " + name), secrets: w.source("secrets of " + name), clock: clock{w: w}, origin: m.origin, witness: m.witness}
	c.disk = w.newDisk(name, c.index, m.disk.crash, m.disk.fault)
	c.disk.replace(m.disk.db.Clone())
	c.disk.keys = m.disk.copy().keys
	c.staff = newStaff(c)
	if how == "silent" || m.witness == nil {
		// Nothing was written down yet beside the database, or nothing was copied.
		c.witness, c.unaware, m.unaware = nil, true, true
	}
	w.agents = append(w.agents, c)
	w.forked = true
	c.staff.readPrinted()
	c.staff.work(30, time.Duration(w.plan.Hours)*time.Hour-w.truth())
	c.start()
}

// readPrinted learns from the disk which receipt numbers are used.
func (s *staff) readPrinted() {
	s.doubt = nil
	s.printed = map[string]uint64{}
	s.m.w.view(s.m.disk, func(r ledger.Reader) error {
		id, err := ledger.ReadIdentity(r)
		if err != nil || id == nil {
			return err
		}
		o := s.m.origin
		o.Inc = id.Inc
		stream, err := ledger.ReadStream(r, o)
		s.printed[id.Series] = stream.LastReceipt("1", id.Series)
		return err
	})
}

// replace puts another database in the disk's place.
func (d *disk) replace(db *ledger.Memory) {
	d.db = db
	d.watch.reread()
}

// forget marks the acts that the change of a machine's disk has lost: those that
// neither the hub nor any machine of the store holds now.
func (w *world) forget(m *machine, before *ledger.Memory) {
	w.forked = true
	old := w.watchOf(m.disk.name, before)
	for _, a := range w.books.order {
		if a.lost || a.store != m.origin.Store || !old.holds(a) || w.cloud.disk.watch.holds(a) {
			continue
		}
		a.lost = true
		for _, other := range w.agents {
			if other.origin.Store == a.store && other.disk.watch.holds(a) {
				a.lost = false
			}
		}
	}
}

// copied is a disk as it was once.
type copied struct{ db, keys *ledger.Memory }

func (d *disk) copy() copied {
	c := copied{db: d.db.Clone()}
	if d.keys != nil {
		c.keys = d.keys.Clone()
	}
	return c
}

// keysAfter is what a machine has of keys once a copy is in the place of its
// database. A backup holds none: the file beside the database stays, if the folder
// does. Who puts a whole disk back puts the keys of then back as well.
func (m *machine) keysAfter(how string, from copied) {
	switch {
	case m.w.club == nil:
	case how != "restore":
		m.loseKeys(from.keys)
	case m.w.club.rnd.IntN(2) == 0:
		m.loseKeys(nil)
	}
}

// loseKeys puts another file in the place of the machine's keys.
func (m *machine) loseKeys(other *ledger.Memory) {
	if m.w.club == nil {
		return
	}
	m.w.club.losing(m)
	m.disk.keys = nil
	if other != nil {
		m.disk.keys = other.Clone()
	}
}
