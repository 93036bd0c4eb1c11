package sim

import (
	"encoding/binary"
	"strconv"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/pickup"
)

// readings are what the auditor has made of values. A value never changes, and one
// that is listed here stays in memory, so that the address of its first byte
// stands for it: each is read once, however often and on however many disks the
// auditor comes upon it.
type readings struct {
	runs  map[*byte][]logged
	parts map[*byte]pickup.State
}

func newReadings() readings {
	return readings{runs: map[*byte][]logged{}, parts: map[*byte]pickup.State{}}
}

// logged is an event of a log. Its row is the hash after it and its record.
type logged struct {
	id  protocol.EventID
	row []byte
}

// eventIDBytes is the length of the key of an event that has a row of its own.
const eventIDBytes = len(protocol.Inc{}) + 8

// eventsOf calls fn for each event of a row of a log, as if it had a row of its
// own.
func (w *world) eventsOf(r ledger.Row, fn func(logged)) error {
	if len(r.Key.ID) == eventIDBytes {
		return ledger.EventsOfRow(r, func(id protocol.EventID, _ protocol.Hash, _ protocol.Record) { fn(logged{id, r.Value}) })
	}
	list, err := w.runOf(r)
	for _, l := range list {
		fn(l)
	}
	return err
}

// runOf reads a row that may hold several events.
func (w *world) runOf(r ledger.Row) (list []logged, err error) {
	if len(r.Value) > 0 {
		if list, known := w.readings.runs[&r.Value[0]]; known {
			return list, nil
		}
	}
	err = ledger.EventsOfRow(r, func(id protocol.EventID, hash protocol.Hash, rec protocol.Record) {
		list = append(list, logged{id, rec.AppendTo(hash[:])})
	})
	if err == nil {
		w.readings.runs[&r.Value[0]] = list
	}
	return list, err
}

// event is the row of an event, as committed last; nil where it is not there.
func (d *disk) event(inc protocol.Inc, seq protocol.Seq) (row []byte) {
	from, to := eventKey(inc, seq), eventKey(inc, ^protocol.Seq(0))
	err := d.db.View(d.w.ctx, func(r ledger.Reader) error {
		return r.Scan(ledger.Events, from.ID, to.ID, func(id string, value []byte) (bool, error) {
			return false, d.w.eventsOf(ledger.Row{Key: ledger.Key{Table: ledger.Events, ID: id}, Value: value}, func(l logged) {
				if l.id.Seq == seq {
					row = l.row
				}
			})
		})
	})
	if err != nil {
		d.w.fail("%s: %v", d.name, err)
	}
	return row
}

func eventKey(inc protocol.Inc, seq protocol.Seq) ledger.Key {
	return ledger.Key{Table: ledger.Events, ID: string(binary.BigEndian.AppendUint64(inc[:], uint64(seq)))}
}

// eventID reads the key of an event that has a row of its own.
func eventID(key ledger.Key) (id protocol.EventID) {
	id.Seq = protocol.Seq(binary.BigEndian.Uint64([]byte(key.ID[copy(id.Inc[:], key.ID):])))
	return id
}

// partPrefix begins the keys of the rows of parts of orders.
const partPrefix = "part\x00"

// partAt is the state of a part of an order. Nobody may change what it points to.
func (w *world) partAt(r ledger.Reader, p *promise) (pickup.State, error) {
	key := ledger.Key{Table: ledger.States, ID: partPrefix + string(p.store) + "\x00" + string(p.Order) + "\x00" + strconv.FormatUint(uint64(p.Part), 10)}
	values, err := r.Load([]ledger.Key{key})
	if err != nil {
		return pickup.State{}, err
	}
	return w.partState(values[0], func() (*pickup.Part, error) { return ledger.ReadPart(r, p.store, p.PartID) })
}

// partState is the state of the part that a value is, which is read if it was not yet.
func (w *world) partState(value []byte, read func() (*pickup.Part, error)) (pickup.State, error) {
	if len(value) > 0 {
		if s, known := w.readings.parts[&value[0]]; known {
			return s, nil
		}
	}
	part, err := read()
	if err != nil {
		return pickup.State{}, err
	}
	s := part.State()
	if len(value) > 0 {
		w.readings.parts[&value[0]] = s
	}
	return s, nil
}
