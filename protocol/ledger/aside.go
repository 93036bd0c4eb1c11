package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"counterpart/protocol"

	"google.golang.org/protobuf/encoding/protowire"
)

// Aside is a part of a feed that this machine could not apply. It is kept as it
// came, and the feed goes on past it (I18).
type Aside struct {
	Delta  *protocol.Delta // the row, or the run of events
	Reason string
}

// asideKey is where the part of a feed that ends at an offset is kept. Those of
// a state feed belong to a generation, and go with it.
func asideKey(feed protocol.FeedID, gen, offset uint64) Key {
	return Key{Notes, string(binary.BigEndian.AppendUint64([]byte(asidePrefix(feed, gen)), offset))}
}

func asidePrefix(feed protocol.FeedID, gen uint64) string {
	return "aside" + sep + string(feed) + sep + strconv.FormatUint(gen, 10) + sep
}

// putAside keeps a piece as it came, but for the keys beside its rows: those lie in
// the key ring alone.
func putAside(tx Tx, gen uint64, piece *protocol.Delta, reason string) error {
	kept := *piece
	kept.Keys = nil
	kept.Rows = slices.Clone(piece.Rows)
	for i := range kept.Rows {
		kept.Rows[i].SubjectKey = protocol.SubjectKey{}
	}
	piece = &kept
	b, err := protocol.EncodeMessage(piece)
	if err != nil {
		return err
	}
	var f fields
	f.text(1, strings.ToValidUTF8(reason, "?"))
	f.bytes(2, b)
	return tx.Write([]Row{{Key: asideKey(piece.Feed, gen, piece.Upto), Value: f}})
}

func decodeAside(b []byte) (a Aside, err error) {
	err = decodeFields("aside", b, func(num protowire.Number, v value) error {
		switch num {
		case 1:
			a.Reason = v.text()
		case 2:
			m, err := protocol.DecodeMessage(v.data)
			if err != nil {
				return err
			}
			a.Delta, _ = m.(*protocol.Delta)
		}
		return nil
	})
	if err == nil && a.Delta == nil {
		err = errors.New("aside: it holds no delta")
	}
	return a, err
}

func scanAside(r Reader, prefix string, fn func(id string, a Aside) (bool, error)) error {
	return r.Scan(Notes, prefix, after(prefix), func(id string, v []byte) (bool, error) {
		a, err := decodeAside(v)
		if err != nil {
			return false, fmt.Errorf("row %q: %w", id, err)
		}
		return fn(id, a)
	})
}

// Asides lists what was set aside of each feed as it is live.
func Asides(r Reader) ([]Aside, error) {
	gens, err := readGenerations(r)
	if err != nil {
		return nil, err
	}
	var list []Aside
	err = scanAside(r, "aside"+sep, func(id string, a Aside) (bool, error) {
		if strings.HasPrefix(id, asidePrefix(a.Delta.Feed, gens.of(a.Delta.Feed))) {
			list = append(list, a)
		}
		return true, nil
	})
	return list, err
}

// asideNames are the rows of a state feed that were set aside, with their
// offsets.
func asideNames(r Reader, feed protocol.FeedID, gen uint64) (map[string]uint64, error) {
	var names map[string]uint64
	err := scanAside(r, asidePrefix(feed, gen), func(_ string, a Aside) (bool, error) {
		if names == nil {
			names = map[string]uint64{}
		}
		for _, row := range a.Delta.Rows {
			names[row.Key] = a.Delta.Upto
		}
		return true, nil
	})
	return names, err
}

// asideOfStream tells whether something of a stream was set aside.
func asideOfStream(r Reader, feed protocol.FeedID, inc protocol.Inc) (found bool, err error) {
	err = scanAside(r, asidePrefix(feed, 0), func(_ string, a Aside) (bool, error) {
		for i := range a.Delta.Events {
			found = found || a.Delta.Events[i].Origin.Inc == inc
		}
		return !found, nil
	})
	return found, err
}

// pieceOf is a run of events alone, the last of which stands at offset upto.
func pieceOf(d *protocol.Delta, p *protocol.PeerEvents, upto uint64) *protocol.Delta {
	return &protocol.Delta{Feed: d.Feed, Epoch: d.Epoch, After: upto - uint64(p.Count), Upto: upto, Events: []protocol.PeerEvents{*p}}
}

// SetAside does in place of ApplyDelta what keeps a feed going: it keeps the
// piece as it came and moves the cursor past it. Events that continue their
// stream are stored as dead letters, so that the stream goes on as well.
func SetAside(tx Tx, piece *protocol.Delta, head uint64, reason string) (Cursor, error) {
	c, known, err := follows(tx, piece)
	if err != nil || known {
		return c, err
	}
	gen, err := liveOf(tx, piece.Feed)
	if err != nil {
		return c, err
	}
	if err := setAside(tx, gen, piece, reason); err != nil {
		return c, err
	}
	return c, c.advance(tx, piece, head)
}

func setAside(tx Tx, gen uint64, piece *protocol.Delta, reason string) error {
	upto := piece.After
	for i := range piece.Events {
		p := &piece.Events[i]
		upto += uint64(p.Count)
		stored, err := applyDead(tx, p, reason)
		if err == nil && !stored {
			err = putAside(tx, gen, pieceOf(piece, p, upto), reason)
		}
		if err != nil {
			return err
		}
	}
	if len(piece.Rows) == 0 {
		return nil
	}
	return putAside(tx, gen, piece, reason)
}

// asideReason begins the reason of a dead letter that this machine alone could
// not fold. Verify does not try to, either.
const asideReason = "set aside: "

// applyDead stores events without folding them, where they continue their
// stream.
func applyDead(tx Tx, p *protocol.PeerEvents, reason string) (bool, error) {
	records, err := protocol.DecodeFrame(p.Frame, p.Count)
	if err != nil {
		return false, nil
	}
	stream, err := ReadStream(tx, p.Origin)
	if err != nil {
		return false, err
	}
	info := StreamInfo{Origin: p.Origin, Stream: stream}
	if p.FirstSeq != stream.Seq+1 || p.PrevHash != info.Head() {
		return false, nil
	}
	return true, storeDead(tx, info, records, asideReason+reason)
}

// SetEventsAside does in place of Apply what keeps a stream going that holds an
// event which this machine cannot fold: it stores the batch's events, which must
// follow on the cursor, as dead letters.
func SetEventsAside(tx Tx, b Batch, reason string) (Result, error) {
	stream, err := ReadStream(tx, b.Origin)
	if err != nil {
		return Result{}, err
	}
	info := StreamInfo{Origin: b.Origin, Stream: stream}
	switch {
	case b.First != stream.Seq+1:
		return Result{Stream: stream}, &GapError{Want: stream.Seq + 1}
	case b.Prev != info.Head():
		return Result{Stream: stream}, ErrChain
	}
	if err := storeDead(tx, info, b.Records, asideReason+reason); err != nil {
		return Result{}, err
	}
	n := len(b.Records)
	res := Result{Applied: n, Dead: n, Events: make([]*protocol.Event, n)}
	res.Stream, err = ReadStream(tx, b.Origin)
	return res, err
}

// storeDead stores records that follow on a stream as dead letters.
func storeDead(tx Tx, info StreamInfo, records []protocol.Record, reason string) error {
	stream, hash := info.Stream, info.Head()
	rows := make([]Row, 0, 2*len(records)+1)
	for _, r := range records {
		hash = hash.Next(r)
		stream.Seq++
		id := protocol.EventID{Inc: info.Origin.Inc, Seq: stream.Seq}
		rows = append(rows,
			Row{Key: eventKey(id), Value: r.AppendTo(append([]byte(nil), hash[:]...))},
			Row{Key: deadKey(id), Value: []byte(reason)})
	}
	stream.Hash = hash
	if begins, err := beginSums(tx, info.Origin.Store, info.Origin.Agent, info.Seq+1); err != nil {
		return err
	} else if begins {
		rows = append(rows, Row{Key: sumKey(info.Origin.Store, info.Origin.Agent), Value: (&sumRow{known: true}).Encode()})
	}
	return tx.Write(append(rows, Row{Key: streamKey(info.Origin), Value: stream.Encode()}))
}

// eventsAside are the events that this machine could not fold, with what is
// stored as their reason.
func eventsAside(r Reader) (map[string]string, error) {
	aside := map[string]string{}
	prefix := "dead" + sep
	err := r.Scan(States, prefix, after(prefix), func(id string, v []byte) (bool, error) {
		if strings.HasPrefix(string(v), asideReason) {
			aside[strings.TrimPrefix(id, prefix)] = string(v)
		}
		return true, nil
	})
	return aside, err
}

// ResetFeed moves the cursor of an event feed, from where everything comes
// again: what was set aside of it, too.
func ResetFeed(tx Tx, pos protocol.FeedPos) (Cursor, error) {
	c, err := ReadCursor(tx, pos.Feed)
	if err != nil {
		return c, err
	}
	var rows []Row
	err = scanAside(tx, asidePrefix(pos.Feed, 0), func(id string, _ Aside) (bool, error) {
		rows = append(rows, Row{Key: Key{Notes, id}})
		return true, nil
	})
	if err != nil {
		return c, err
	}
	c.FeedPos = pos
	return c, tx.Write(append(rows, Row{Key: cursorKey(c.Feed), Value: c.Encode()}))
}

// Attempt is the step of a feed that is being tried. It is written before the
// step where an earlier try failed or may have ended with the process, and goes
// in the transaction that carries the step out.
type Attempt struct {
	Epoch  uint64
	After  uint64 // where the step begins
	Shadow bool   // the step is part of a snapshot
	Tries  uint64
	// Piece is the end of the part of the step that is being tried alone, and
	// PieceTries how often it was; 0 while the step is tried as a whole.
	Piece      uint64
	PieceTries uint64
}

func attemptKey(feed protocol.FeedID) Key { return Key{Notes, "trying" + sep + string(feed)} }

// ReadAttempt reads what is being tried of a feed; without tries there is
// nothing.
func ReadAttempt(r Reader, feed protocol.FeedID) (a Attempt, err error) {
	values, err := r.Load([]Key{attemptKey(feed)})
	if err != nil {
		return a, err
	}
	return a, decodeFields("attempt", values[0], func(num protowire.Number, v value) error {
		switch num {
		case 1:
			a.Epoch = v.num
		case 2:
			a.After = v.num
		case 3:
			a.Shadow = v.num != 0
		case 4:
			a.Tries = v.num
		case 5:
			a.Piece = v.num
		case 6:
			a.PieceTries = v.num
		}
		return nil
	})
}

// WriteAttempt notes what is being tried of a feed; the zero Attempt removes
// the note.
func WriteAttempt(tx Tx, feed protocol.FeedID, a Attempt) error {
	var f fields
	f.uint(1, a.Epoch)
	f.uint(2, a.After)
	f.bool(3, a.Shadow)
	f.uint(4, a.Tries)
	f.uint(5, a.Piece)
	f.uint(6, a.PieceTries)
	return tx.Write([]Row{{Key: attemptKey(feed), Value: f}})
}
