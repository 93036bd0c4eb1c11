package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"counterpart/protocol"
)

// The log of a stream is made of rows in the order of their numbers. An event
// that came alone, and every event of an agent, has a row of its own: the hash
// after it and its record. Events that came to the hub in one batch stand in one
// row, packed as they came, behind the hashes after and before them. The key of
// such a run is that of its last event and one byte more, so that a scan from
// any of its numbers comes upon it.

// runEventsMin is the shortest run: fewer events are cheaper to have singly.
const runEventsMin = 4

const (
	eventIDBytes = len(protocol.Inc{}) + 8
	runMark      = "\x01"
)

func eventKey(id protocol.EventID) Key {
	var b [eventIDBytes]byte
	copy(b[:], id.Inc[:])
	binary.BigEndian.PutUint64(b[len(id.Inc):], uint64(id.Seq))
	return Key{Events, string(b[:])}
}

func runKey(last protocol.EventID) Key {
	k := eventKey(last)
	k.ID += runMark
	return k
}

// putEvents stores the records of b, the first of which is first and follows on
// head, and returns the hash after them.
func (s *set) putEvents(first protocol.EventID, head protocol.Hash, b Batch) protocol.Hash {
	prev, at := head, first
	if len(b.Frame) > 0 && len(b.Records) >= runEventsMin {
		var room [1024]byte
		row := room[:0]
		for _, r := range b.Records {
			row = r.AppendTo(append(row[:0], head[:]...))
			head = sha256.Sum256(row)
		}
		at.Seq += protocol.Seq(len(b.Records) - 1)
		run := make([]byte, 0, 2*len(head)+binary.MaxVarintLen32+len(b.Frame))
		run = binary.AppendUvarint(append(append(run, head[:]...), prev[:]...), uint64(len(b.Records)))
		s.putFresh(runKey(at), append(run, b.Frame...))
		return head
	}
	for _, r := range b.Records {
		row := make([]byte, 0, len(head)+protocol.RecordHeaderBytes+len(r.Body))
		row = r.AppendTo(append(row, head[:]...))
		head = sha256.Sum256(row)
		copy(row, head[:])
		s.putFresh(eventKey(at), row)
		at.Seq++
	}
	return head
}

func decodeEventRow(v []byte) (protocol.Hash, protocol.Record, error) {
	var h protocol.Hash
	if len(v) < len(h) {
		return h, protocol.Record{}, fmt.Errorf("the row of an event has %d bytes", len(v))
	}
	copy(h[:], v)
	rec, err := protocol.RecordFromBytes(v[len(h):])
	return h, rec, err
}

// decodeRun reads the row of a run: the hash before it, and its records.
func decodeRun(v []byte) (prev protocol.Hash, records []protocol.Record, err error) {
	if len(v) < 2*len(prev) {
		return prev, nil, fmt.Errorf("the row of a run of events has %d bytes", len(v))
	}
	copy(prev[:], v[len(prev):])
	v = v[2*len(prev):]
	count, n := binary.Uvarint(v)
	if n <= 0 || count > protocol.FrameEventsMax {
		return prev, nil, fmt.Errorf("a run of %d events", count)
	}
	records, err = protocol.DecodeFrame(v[n:], uint32(count))
	return prev, records, err
}

// ScanEvents calls fn for the events of a stream from first on.
func ScanEvents(r Reader, inc protocol.Inc, first protocol.Seq, fn func(protocol.Seq, protocol.Hash, protocol.Record) (bool, error)) error {
	from := eventKey(protocol.EventID{Inc: inc, Seq: first})
	to := eventKey(protocol.EventID{Inc: inc, Seq: ^protocol.Seq(0)})
	return r.Scan(Events, from.ID, to.ID, func(id string, v []byte) (bool, error) {
		if len(id) < eventIDBytes {
			return false, fmt.Errorf("event row %q", id)
		}
		seq := protocol.Seq(binary.BigEndian.Uint64([]byte(id[len(inc):eventIDBytes])))
		return eventsOf(seq, len(id) > eventIDBytes, v, func(seq protocol.Seq, h protocol.Hash, rec protocol.Record) (bool, error) {
			if seq < first {
				return true, nil
			}
			return fn(seq, h, rec)
		})
	})
}

// eventsOf calls fn for the events of one row; last is the number in its key.
func eventsOf(last protocol.Seq, run bool, v []byte, fn func(protocol.Seq, protocol.Hash, protocol.Record) (bool, error)) (bool, error) {
	if !run {
		h, rec, err := decodeEventRow(v)
		if err != nil {
			return false, err
		}
		return fn(last, h, rec)
	}
	h, records, err := decodeRun(v)
	for i, rec := range records {
		h = h.Next(rec)
		if more, err := fn(last-protocol.Seq(len(records)-1-i), h, rec); err != nil || !more {
			return false, err
		}
	}
	return err == nil, err
}

// EventsOfRow calls fn for each event of a row of the table Events, for whoever
// looks at what is written: its id, the hash after it, and its record.
func EventsOfRow(row Row, fn func(protocol.EventID, protocol.Hash, protocol.Record)) error {
	id := row.Key.ID
	if len(id) < eventIDBytes {
		return fmt.Errorf("event row %q", id)
	}
	var at protocol.EventID
	copy(at.Inc[:], id)
	last := protocol.Seq(binary.BigEndian.Uint64([]byte(id[len(at.Inc):eventIDBytes])))
	_, err := eventsOf(last, len(id) > eventIDBytes, row.Value, func(seq protocol.Seq, h protocol.Hash, rec protocol.Record) (bool, error) {
		at.Seq = seq
		fn(at, h, rec)
		return true, nil
	})
	return err
}

// readEvent finds what stands in a log under a number.
func readEvent(r Reader, at protocol.EventID) (hash protocol.Hash, rec protocol.Record, ok bool, err error) {
	values, err := r.Load([]Key{eventKey(at)})
	if err != nil {
		return hash, rec, false, err
	}
	if values[0] != nil {
		hash, rec, err = decodeEventRow(values[0])
		return hash, rec, err == nil, err
	}
	err = ScanEvents(r, at.Inc, at.Seq, func(seq protocol.Seq, h protocol.Hash, found protocol.Record) (bool, error) {
		hash, rec, ok = h, found, seq == at.Seq
		return false, nil
	})
	if !ok {
		return protocol.Hash{}, protocol.Record{}, false, err
	}
	return hash, rec, true, err
}

// ReadRecord reads what stands in a log under a number; ok is false where it is
// not here.
func ReadRecord(r Reader, at protocol.EventID) (rec protocol.Record, ok bool, err error) {
	_, rec, ok, err = readEvent(r, at)
	return rec, ok, err
}

// HashAt is the hash after an event of a log; ok is false where it is not here.
func HashAt(r Reader, at protocol.EventID) (hash protocol.Hash, ok bool, err error) {
	hash, _, ok, err = readEvent(r, at)
	return hash, ok, err
}

// Records reads up to count records of a stream from first on, together at
// most about bytesMax, and the hash before the first of them.
func Records(r Reader, o protocol.Origin, first protocol.Seq, count, bytesMax int) ([]protocol.Record, protocol.Hash, error) {
	prev := o.Genesis()
	if first > 1 {
		var err error
		if prev, err = hashBefore(r, o, first); err != nil {
			return nil, prev, err
		}
	}
	var records []protocol.Record
	size, next := 0, first
	err := ScanEvents(r, o.Inc, first, func(seq protocol.Seq, _ protocol.Hash, rec protocol.Record) (bool, error) {
		switch {
		case seq >= first+protocol.Seq(count):
			return false, nil
		case seq != next:
			return false, ErrTrimmed
		}
		next++
		rec.Body = bytes.Clone(rec.Body)
		records = append(records, rec)
		size += len(rec.Body)
		return size < bytesMax && len(records) < count, nil
	})
	return records, prev, err
}
