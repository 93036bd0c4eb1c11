package ledger

import (
	"bytes"
	"fmt"

	"counterpart/protocol"
)

// A fork ends a stream that must not be continued under its inc, because its
// database was rolled back or copied, and goes on in a new one. Three things
// hold at every moment, whatever transaction a crash falls into:
//
//   - Every event that was in the old stream is in one of the two, and its
//     effect counts once.
//   - The state is what a replay of both streams gives.
//   - The old stream keeps what the hub has safely; what lay above is under its
//     old ids in the new stream, so that nobody can take it for the same
//     numbers with other content.

// Fork gives a machine a new identity in one transaction; fresh is 128 random
// bits. safe is the last event of the present stream that the hub has safely.
// From here on nothing may be logged under the old inc. ContinueFork does the
// rest.
func Fork(tx Tx, o protocol.Origin, safe protocol.Seq, fresh protocol.Inc, cause ForkCause) (*Identity, error) {
	id, err := ReadIdentity(tx)
	if err != nil {
		return nil, err
	}
	if id == nil {
		return nil, fmt.Errorf("fork of a log that was never begun")
	}
	o.Inc = id.Inc
	stream, err := ReadStream(tx, o)
	if err != nil {
		return nil, err
	}
	// The event at the cut must still be here: its hash is the head that stays.
	err = ScanEvents(tx, o.Inc, 1, func(seq protocol.Seq, _ protocol.Hash, _ protocol.Record) (bool, error) {
		if seq > 1 {
			safe = max(safe, seq)
		}
		return false, nil
	})
	if err != nil {
		return nil, err
	}
	safe = min(safe, stream.Seq)
	if stream.Seq > safe {
		id.Sealed = append(id.Sealed, Sealed{Inc: o.Inc, Safe: safe, Next: safe + 1})
	}
	// A state that is being loaded may have events of the old stream on top that
	// are about to be cut off.
	if err := DropShadow(tx, protocol.PeerFeed(o.Store)); err != nil {
		return nil, err
	}
	id.Parent = protocol.StreamPos{Inc: o.Inc, Seq: stream.Seq}
	id.Inc, id.Series, id.Cause = fresh, forkSeries(fresh), cause
	return id, writeIdentity(tx, id)
}

// forkStep is how many events one call of ContinueFork handles, so that no sale
// waits long behind it.
const forkStep = 200

// ContinueFork does the next step of what Fork began and tells whether all is
// done: it logs sealed events again in the new stream, and then cuts the sealed
// stream back. clock is that of the machine now. Until it is done the store's
// event feed must not be applied.
func ContinueFork(tx Tx, o protocol.Origin, clock protocol.Clock) (done bool, err error) {
	id, err := ReadIdentity(tx)
	if err != nil || id == nil || len(id.Sealed) == 0 {
		return err == nil, err
	}
	sealed := &id.Sealed[0]
	old, now := o, o
	old.Inc, now.Inc = sealed.Inc, id.Inc
	stream, err := ReadStream(tx, old)
	if err != nil {
		return false, err
	}
	switch {
	case sealed.Next <= stream.Seq:
		sealed.Next, err = logAgain(tx, old, now, clock, sealed.Next)
	case stream.Seq > sealed.Safe:
		var at protocol.Seq
		if at, err = cutBack(tx, old, sealed.Safe); err == nil {
			sealed.Next = at + 1
		}
	default:
		// What the hub has of the sealed stream beyond the cut has to come down
		// again: the cursor has passed it.
		id.Sealed = id.Sealed[1:]
		_, err = ResetFeed(tx, protocol.FeedPos{Feed: protocol.PeerFeed(o.Store)})
	}
	if err != nil {
		return false, err
	}
	return len(id.Sealed) == 0, writeIdentity(tx, id)
}

// logAgain writes events of a sealed stream to the present one under their old
// ids and returns the next one to write. An event that was itself logged again
// keeps its first id.
func logAgain(tx Tx, old, now protocol.Origin, clock protocol.Clock, next protocol.Seq) (protocol.Seq, error) {
	var records []protocol.Record
	size := 0
	err := ScanEvents(tx, old.Inc, next, func(seq protocol.Seq, _ protocol.Hash, rec protocol.Record) (bool, error) {
		again := &protocol.Reissue{ID: protocol.EventID{Inc: old.Inc, Seq: seq}, Record: rec}
		again.Record.Body = bytes.Clone(rec.Body)
		if ev, err := protocol.DecodeEvent(again.Record.Body); err == nil && ev.Reissue != nil {
			again = ev.Reissue
		}
		body, err := protocol.EncodeEvent(&protocol.Event{Kind: protocol.KindReissue, Reissue: again})
		if err != nil {
			return false, err
		}
		records = append(records, protocol.Record{Clock: clock, Body: body})
		next, size = seq+1, size+len(body)
		return len(records) < forkStep && size < protocol.EventBytesMax, nil
	})
	if err == nil && len(records) == 0 {
		err = fmt.Errorf("event %d of the sealed stream %s is missing", next, old.Inc)
	}
	if err != nil {
		return next, err
	}
	s := newSet(tx)
	if err := s.load([]Key{streamKey(now)}); err != nil {
		return next, err
	}
	stream, err := get(s, streamKey(now), decodeStream)
	if err != nil {
		return next, err
	}
	head := StreamInfo{Origin: now, Stream: *stream}.Head()
	// An event that could not be folded is logged again as well: it is stored
	// and sent, and counts as dead there too.
	if _, err = applyFresh(s, now, stream.Seq+1, head, Batch{Records: records}, nil); err != nil {
		return next, err
	}
	return next, s.flush()
}

// cutBack deletes the last events of a sealed stream, down to safe at the
// lowest, and returns where the stream ends then. Each of them is in the
// present stream.
func cutBack(tx Tx, o protocol.Origin, safe protocol.Seq) (protocol.Seq, error) {
	s := newSet(tx)
	if err := s.load([]Key{streamKey(o)}); err != nil {
		return 0, err
	}
	stream, err := change(s, streamKey(o), decodeStream)
	if err != nil {
		return 0, err
	}
	to := safe
	if stream.Seq > safe+forkStep {
		to = stream.Seq - forkStep
	}
	err = ScanEvents(tx, o.Inc, to+1, func(seq protocol.Seq, _ protocol.Hash, rec protocol.Record) (bool, error) {
		at := protocol.EventID{Inc: o.Inc, Seq: seq}
		s.put(eventKey(at), blob(nil))
		ev, err := protocol.DecodeEvent(rec.Body)
		if err != nil || ev.Reissue == nil {
			s.put(deadKey(at), blob(nil))
			return true, nil
		}
		key := reissueKey(ev.Reissue.ID)
		if err := s.load([]Key{key}); err != nil {
			return false, err
		}
		again, err := change(s, key, decodeBodies)
		if err == nil {
			again.dropPlace(at)
		}
		return err == nil, err
	})
	if err != nil {
		return 0, err
	}
	stream.Seq, stream.Hash = to, protocol.Hash{}
	if to > 0 {
		var ok bool
		if stream.Hash, ok, err = HashAt(tx, protocol.EventID{Inc: o.Inc, Seq: to}); err == nil && !ok {
			err = fmt.Errorf("event %d of the sealed stream %s is missing", to, o.Inc)
		}
		if err != nil {
			return 0, err
		}
	}
	return to, s.flush()
}
