package ledger

import (
	"errors"
	"fmt"

	"counterpart/protocol"

	"google.golang.org/protobuf/encoding/protowire"
)

// Cursor is how far this machine has applied a feed.
type Cursor struct {
	protocol.FeedPos
	// Tail says that the feed's end was reached once. It is never taken
	// back: from then on the machine can work without the hub.
	Tail bool
}

// Encode writes the cursor's row.
func (c *Cursor) Encode() []byte {
	var f fields
	f.uint(1, c.Epoch)
	f.uint(2, c.Offset)
	f.bool(3, c.Tail)
	return f
}

func decodeCursor(b []byte) (*Cursor, error) {
	c := &Cursor{}
	err := decodeFields("cursor", b, func(num protowire.Number, v value) error {
		switch num {
		case 1:
			c.Epoch = v.num
		case 2:
			c.Offset = v.num
		case 3:
			c.Tail = v.num != 0
		}
		return nil
	})
	return c, err
}

// ReadCursor reads the cursor of a feed; one that was never read is at 0.
func ReadCursor(r Reader, feed protocol.FeedID) (Cursor, error) {
	values, err := r.Load([]Key{cursorKey(feed)})
	if err != nil {
		return Cursor{}, err
	}
	c, err := decodeCursor(values[0])
	if err != nil {
		return Cursor{}, err
	}
	c.Feed = feed
	return *c, nil
}

// WriteCursor moves the cursor of a feed.
func WriteCursor(tx Tx, c Cursor) error {
	return tx.Write([]Row{{Key: cursorKey(c.Feed), Value: c.Encode()}})
}

// ErrFeedGap is returned for a Delta that does not follow on the cursor;
// whoever sees it asks the hub for what is missing.
var ErrFeedGap = errors.New("the delta does not follow on the feed's cursor")

// ApplyDelta applies a Delta and moves the feed's cursor in the same
// transaction. A Delta that is known already changes nothing. head is the
// feed's head as last heard; reaching it marks the feed's tail.
func ApplyDelta(tx Tx, d *protocol.Delta, head uint64) (Cursor, error) {
	c, err := ReadCursor(tx, d.Feed)
	if err != nil {
		return c, err
	}
	if c.Epoch != d.Epoch && c.Offset > 0 || d.After > c.Offset {
		return c, ErrFeedGap
	}
	if d.Upto < c.Offset || d.Upto == c.Offset && c.Tail {
		return c, nil
	}
	if err := applyRows(tx, d, c.Offset); err != nil {
		return c, err
	}
	for _, p := range d.Events {
		records, err := protocol.DecodeFrame(p.Frame, p.Count)
		if err != nil {
			return c, err
		}
		if _, err := Apply(tx, Batch{Origin: p.Origin, First: p.FirstSeq, Prev: p.PrevHash, Records: records}); err != nil {
			return c, fmt.Errorf("events of %s: %w", p.Origin.Agent, err)
		}
	}
	c.Epoch, c.Offset = d.Epoch, max(c.Offset, d.Upto)
	c.Tail = c.Tail || c.Offset >= head
	return c, WriteCursor(tx, c)
}

// ApplyRows writes rows of a state feed without touching the cursor; a
// snapshot is applied in such steps and its cursor is written last.
func ApplyRows(tx Tx, feed protocol.FeedID, rows []protocol.FeedRow) error {
	return applyRows(tx, &protocol.Delta{Feed: feed, Rows: rows}, 0)
}

func applyRows(tx Tx, d *protocol.Delta, above uint64) error {
	if len(d.Rows) == 0 {
		return nil
	}
	s := newSet(tx)
	rows := make([]feedRow, 0, len(d.Rows))
	offsets := make([]uint64, 0, len(d.Rows))
	for _, r := range d.Rows {
		key, err := rowKey(d.Feed, r.Key)
		if err != nil {
			return err
		}
		if r.Offset > above {
			rows = append(rows, feedRow{feed: d.Feed, name: r.Key, key: key, value: r.Value})
			offsets = append(offsets, r.Offset)
		}
	}
	for range roundsMax {
		var keys []Key
		for _, row := range rows {
			var err error
			if keys, err = s.referenceKeys(keys, row); err != nil {
				return err
			}
		}
		if err := s.load(keys); err != nil {
			return err
		}
	}
	for i, row := range rows {
		if err := s.putReference(row, offsets[i]); err != nil {
			return err
		}
	}
	return s.flush()
}
