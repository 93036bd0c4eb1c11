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
	// Frame is what the records were unpacked from. With it they are stored as
	// one row where all of them are new and follow on the cursor; without it
	// each becomes a row of its own.
	Frame []byte
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
	// Transfers are those that the events concern.
	Transfers []TransferAt
	// Members are those whose points the events changed.
	Members []MemberAt
	// MemberSales are the sales to members that counted for the first time.
	MemberSales []MemberSale
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
	res, err := apply(s, b)
	if err != nil {
		return res, err
	}
	return res, s.flush()
}

// apply is Apply, but for writing what changed.
func apply(s *set, b Batch) (Result, error) {
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
	fresh, err := verifyOverlap(s, b, stream.Seq, head)
	if err != nil {
		return Result{Stream: *stream}, err
	}
	if len(fresh) == 0 {
		return Result{Stream: *stream}, nil
	}
	if len(fresh) < len(b.Records) {
		b.Frame = nil
	}
	b.Records = fresh
	return applyFresh(s, b.Origin, stream.Seq+1, head, b, nil)
}

// applyFresh folds the records of b, which follow on the stream's cursor. events
// are their decoded forms, where the caller has them.
func applyFresh(s *set, o protocol.Origin, first protocol.Seq, head protocol.Hash, b Batch, events []*protocol.Event) (Result, error) {
	f := &fold{set: s, origin: o, stream: streamKey(o), res: Result{Feeds: map[protocol.FeedID]Growth{}}}
	if err := f.run(first, head, b, events); err != nil {
		return Result{}, err
	}
	after, err := get(s, f.stream, decodeStream)
	if err != nil {
		return Result{}, err
	}
	f.res.Stream, f.res.Applied = *after, len(b.Records)
	return f.res, nil
}

// verifyOverlap returns the records beyond the cursor, having checked that
// those up to it are the ones that are stored.
func verifyOverlap(s *set, b Batch, cursor protocol.Seq, head protocol.Hash) ([]protocol.Record, error) {
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
		if err := s.flushFresh(); err != nil {
			return nil, err
		}
		stored, ok, err := HashAt(s.tx, last)
		if err == nil && ok && len(b.Records) > 0 && stored != hash {
			err = ErrChain
		}
		return nil, err
	}
	for _, r := range b.Records[:known] {
		hash = hash.Next(r)
	}
	if hash != head {
		return nil, ErrChain
	}
	return b.Records[known:], nil
}
