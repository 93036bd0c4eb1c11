package ledger

import (
	"errors"
	"fmt"

	"counterpart/protocol"
)

// Batch is a run of consecutive events of one stream.
type Batch struct {
	Origin  protocol.Origin
	First   protocol.Seq
	Prev    protocol.Hash
	Records []protocol.Record
}

// Result says what Apply did.
type Result struct {
	Stream  Stream // the stream's cursor afterwards
	Applied int    // events that were new
	Dead    int    // of these, events that were stored but could not be folded
	// Events are the new events, decoded; nil stands for a dead one.
	Events []*protocol.Event
	// Feeds are the state feeds that grew.
	Feeds map[protocol.FeedID]Growth
	// Digests are those among the events whose writer had folded the same
	// events of its own as are here.
	Digests []Compared
}

// Growth is what a transaction added to a feed: the offsets above Before, up to
// and including Head.
type Growth struct{ Before, Head uint64 }

// Join is the growth of two transactions, or parts of one, together. The zero
// Growth adds nothing.
func (g Growth) Join(other Growth) Growth {
	if g == (Growth{}) {
		return other
	}
	return Growth{Before: min(g.Before, other.Before), Head: max(g.Head, other.Head)}
}

// GapError says that a batch does not follow on the cursor.
type GapError struct{ Want protocol.Seq }

func (e *GapError) Error() string {
	return fmt.Sprintf("events are missing: the next one is %d", e.Want)
}

// ErrChain is returned when a batch does not continue the chain of hashes, or
// repeats numbers with other events. Nothing was applied.
var ErrChain = errors.New("events do not continue the stream's chain of hashes")

// Apply stores the new events of a batch, folds them and moves the stream's
// cursor, all through tx. Events that are there already are verified and
// skipped, so applying a batch again changes nothing. A batch that starts
// behind a gap or on another chain changes nothing and is refused.
func Apply(tx Tx, b Batch) (Result, error) {
	s := newSet(tx)
	key := streamKey(b.Origin)
	if err := s.load([]Key{key}); err != nil {
		return Result{}, err
	}
	stream, err := get(s, key, decodeStream)
	if err != nil {
		return Result{}, err
	}
	head := stream.Hash
	if stream.Seq == 0 {
		head = b.Origin.Genesis()
	}
	if b.First == 0 || b.First > stream.Seq+1 {
		return Result{Stream: *stream}, &GapError{Want: stream.Seq + 1}
	}
	fresh, err := verifyOverlap(tx, b, stream.Seq, head)
	if err != nil {
		return Result{Stream: *stream}, err
	}
	if len(fresh) == 0 {
		return Result{Stream: *stream}, nil
	}
	return applyFresh(s, b.Origin, stream.Seq+1, head, fresh, nil)
}

// applyFresh folds records that follow on the stream's cursor. events are their
// decoded forms, where the caller has them.
func applyFresh(s *set, o protocol.Origin, first protocol.Seq, head protocol.Hash, fresh []protocol.Record, events []*protocol.Event) (Result, error) {
	f := &fold{set: s, origin: o, stream: streamKey(o), res: Result{Feeds: map[protocol.FeedID]Growth{}}}
	if err := f.run(first, head, fresh, events); err != nil {
		return Result{}, err
	}
	if err := s.flush(); err != nil {
		return Result{}, err
	}
	after, err := get(s, f.stream, decodeStream)
	if err != nil {
		return Result{}, err
	}
	f.res.Stream, f.res.Applied = *after, len(fresh)
	return f.res, nil
}

// verifyOverlap returns the records beyond the cursor, having checked that
// those up to it are the ones that are stored.
func verifyOverlap(tx Tx, b Batch, cursor protocol.Seq, head protocol.Hash) ([]protocol.Record, error) {
	known := int(cursor - b.First + 1)
	hash := b.Prev
	if known >= len(b.Records) {
		for _, r := range b.Records {
			hash = hash.Next(r)
		}
		if known == len(b.Records) {
			if hash != head {
				return nil, ErrChain
			}
			return nil, nil
		}
		last := protocol.EventID{Inc: b.Origin.Inc, Seq: b.First + protocol.Seq(len(b.Records)) - 1}
		values, err := tx.Load([]Key{eventKey(last)})
		if err != nil {
			return nil, err
		}
		if len(b.Records) > 0 && len(values[0]) >= len(hash) && protocol.Hash(values[0][:len(hash)]) != hash {
			return nil, ErrChain
		}
		return nil, nil
	}
	for _, r := range b.Records[:known] {
		hash = hash.Next(r)
	}
	if hash != head {
		return nil, ErrChain
	}
	return b.Records[known:], nil
}
