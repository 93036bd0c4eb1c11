package ledger

import (
	"errors"
	"fmt"

	"counterpart/protocol"

	"google.golang.org/protobuf/encoding/protowire"
)

// An agent loads the state of its store into a generation that nobody reads,
// folds on top of it whatever its own database holds beyond, and makes it live
// in one transaction together with the feed's cursor. So nothing that is only
// here can be lost (I2, I3), and nobody sees half of each (I11). What the agent
// holds and the snapshot covers stays in the log; what the snapshot covers and
// the agent does not hold is a hole in its stream.

// nameRows is the first row of a snapshot of a store's state; its value says
// how many there are in all.
const nameRows = "rows"

// StandingHead is the first row of a snapshot with so many others.
func StandingHead(others uint64) StandingRow {
	var f fields
	f.uint(1, others+1)
	return StandingRow{nameRows, f}
}

// errStandingPart is returned for a part of a snapshot that is not what it
// says.
var errStandingPart = errors.New("the parts of the snapshot do not make one")

// LoadStanding loads a part of a snapshot of a store's state that BeginShadow
// began. Its offsets count rows. A part that is loaded already changes nothing.
func LoadStanding(tx Tx, store protocol.StoreID, d *protocol.Delta) error {
	s, err := ReadShadow(tx, d.Feed)
	if err != nil {
		return err
	}
	if s.Sum == "" || d.After > s.Upto {
		return errShadowOrder
	}
	if d.Upto <= s.Upto {
		return nil
	}
	if d.Feed != protocol.PeerFeed(store) || d.Upto-d.After != uint64(len(d.Rows)) {
		return errStandingPart
	}
	rows := make([]Row, 0, len(d.Rows))
	for i := range d.Rows {
		r := &d.Rows[i]
		if r.Offset != d.After+uint64(i)+1 || (r.Offset == 1) != (r.Key == nameRows) {
			return errStandingPart
		}
		if r.Key == nameRows {
			if s.rows, err = decodeStandingHead(r.Value); err != nil {
				return err
			}
			continue
		}
		if err := checkStanding(store, r.Key, r.Value); err != nil {
			return fmt.Errorf("row %q: %w", r.Key, err)
		}
		// A row may be empty: the level of an item that came back to nothing.
		rows = append(rows, Row{Key: Key{States, r.Key}, Value: append([]byte{}, r.Value...)})
	}
	if err := atGeneration(rawTx(tx), s.gen).Write(rows); err != nil {
		return err
	}
	s.Upto = d.Upto
	return tx.Write([]Row{{Key: shadowKey(d.Feed), Value: s.encode()}})
}

func decodeStandingHead(b []byte) (n uint64, err error) {
	err = decodeFields("rows", b, func(num protowire.Number, v value) error {
		if num == 1 {
			n = v.num
		}
		return nil
	})
	return n, err
}

// ErrNotCovered is returned where a snapshot and what is here cannot be joined:
// each lacks events that the other one has. What is here stays as it is.
var ErrNotCovered = errors.New("the snapshot cannot be joined with the events that are here")

// JoinStanding folds up to most events that are here and not in the loaded
// snapshot on top of it, and tells whether there are more.
func JoinStanding(tx Tx, o protocol.Origin, most int) (more bool, err error) {
	s, err := ReadShadow(tx, protocol.PeerFeed(o.Store))
	if err != nil {
		return false, err
	}
	if s.Sum == "" || s.rows == 0 || s.Upto < s.rows {
		return false, errShadowPart
	}
	fresh := atGeneration(rawTx(tx), s.gen)
	streams, err := Streams(tx, o.Store, "")
	if err != nil {
		return false, err
	}
	for _, here := range streams {
		there, err := ReadStream(fresh, here.Origin)
		if err != nil {
			return false, err
		}
		head := StreamInfo{Origin: here.Origin, Stream: there}.Head()
		switch {
		case here.Seq == there.Seq && here.Head() != head,
			here.Seq < there.Seq && here.Origin == o:
			return false, fmt.Errorf("%w: stream %s", ErrNotCovered, here.Origin.Inc)
		case here.Seq <= there.Seq:
			continue
		case most <= 0:
			return true, nil
		}
		n, err := join(tx, fresh, here.Origin, there.Seq+1, min(most, int(here.Seq-there.Seq)))
		if err != nil {
			return false, err
		}
		if most -= n; there.Seq+protocol.Seq(n) < here.Seq {
			return true, nil
		}
	}
	return false, nil
}

// joinBytesMax bounds what one step reads of a stream.
const joinBytesMax = 1 << 20

// join folds events of one stream that are here.
func join(here Reader, fresh Tx, o protocol.Origin, first protocol.Seq, count int) (int, error) {
	records, prev, err := Records(here, o, first, count, joinBytesMax)
	if err == nil && len(records) == 0 {
		err = ErrTrimmed
	}
	if err == nil {
		_, err = Apply(fresh, Batch{Origin: o, First: first, Prev: prev, Records: records})
	}
	if errors.Is(err, ErrTrimmed) || errors.Is(err, ErrChain) {
		err = fmt.Errorf("%w: stream %s from %d: %w", ErrNotCovered, o.Inc, first, err)
	}
	return len(records), err
}

// SwapStanding makes a loaded state the live one, joined with everything that
// is here, and lets the store's event feed go on from the snapshot's offset. It
// does nothing, and says so, where more than most events are left to be joined.
// The rows of before are left to Sweep.
func SwapStanding(tx Tx, o protocol.Origin, pos protocol.FeedPos, most int) (c Cursor, done bool, err error) {
	s, err := ReadShadow(tx, pos.Feed)
	if err != nil {
		return c, false, err
	}
	if s.Sum == "" || s.FeedPos != pos {
		return c, false, errShadowPart
	}
	if more, err := JoinStanding(tx, o, most); err != nil || more {
		return c, false, err
	}
	rows, err := holes(tx, atGeneration(rawTx(tx), s.gen), o.Store)
	if err != nil {
		return c, false, err
	}
	gens, err := readGenerations(tx)
	if err != nil {
		return c, false, err
	}
	if c, err = ResetFeed(tx, pos); err != nil {
		return c, false, err
	}
	feed := standingFeed(o.Store)
	before := sweep{feed, gens.of(feed)}
	gens = append(generations(nil), gens...)
	return c, true, tx.Write(append(rows,
		Row{Key: generationsKey, Value: gens.set(feed, s.gen).Encode()},
		Row{Key: shadowKey(pos.Feed)},
		Row{Key: before.key(), Value: before.encode()},
	))
}

// Holes of a stream are events that a snapshot covered and that are not in the
// log here. Their effects are in the state, and what follows them continues the
// hash behind them.

func holePrefix(inc protocol.Inc) string { return "hole" + sep + inc.String() + sep }

func holeKey(inc protocol.Inc, from protocol.Seq) Key {
	return Key{Notes, holePrefix(inc) + fmt.Sprintf("%020d", from)}
}

// holes are the notes of what the loaded streams have and the log has not.
func holes(here Reader, fresh Reader, store protocol.StoreID) ([]Row, error) {
	streams, err := Streams(fresh, store, "")
	if err != nil {
		return nil, err
	}
	var rows []Row
	for _, s := range streams {
		old, err := ReadStream(here, s.Origin)
		if err != nil {
			return nil, err
		}
		if old.Seq < s.Seq {
			h := Gap{From: old.Seq + 1, To: s.Seq, Hash: s.Hash}
			rows = append(rows, Row{Key: holeKey(s.Origin.Inc, h.From), Value: h.Encode()})
		}
	}
	return rows, nil
}

// holesOf are the holes of a stream in their order.
func holesOf(r Reader, inc protocol.Inc) (list []Gap, err error) {
	prefix := holePrefix(inc)
	err = r.Scan(Notes, prefix, after(prefix), func(_ string, v []byte) (bool, error) {
		g, err := decodeGap(v)
		if err == nil {
			list = append(list, *g)
		}
		return err == nil, err
	})
	return list, err
}
