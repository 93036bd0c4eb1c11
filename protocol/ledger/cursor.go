package ledger

import (
	"errors"
	"fmt"
	"strings"

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
	c, known, err := follows(tx, d)
	if err != nil || known {
		return c, err
	}
	gen, err := liveOf(tx, d.Feed)
	if err != nil {
		return c, err
	}
	if err := applyRows(tx, d, gen, c.Offset); err != nil {
		return c, err
	}
	upto := d.After
	for i := range d.Events {
		upto += uint64(d.Events[i].Count)
		if err := applyPeer(tx, d, &d.Events[i], upto); err != nil {
			return c, err
		}
	}
	return c, c.advance(tx, d, head)
}

// follows reads the cursor of a Delta's feed, and tells whether the Delta is
// known already.
func follows(r Reader, d *protocol.Delta) (c Cursor, known bool, err error) {
	if c, err = ReadCursor(r, d.Feed); err != nil {
		return c, false, err
	}
	if c.Epoch != d.Epoch && c.Offset > 0 || d.After > c.Offset {
		return c, false, ErrFeedGap
	}
	return c, d.Upto < c.Offset || d.Upto == c.Offset && c.Tail, nil
}

func (c *Cursor) advance(tx Tx, d *protocol.Delta, head uint64) error {
	c.Epoch, c.Offset = d.Epoch, max(c.Offset, d.Upto)
	c.Tail = c.Tail || c.Offset >= head
	return WriteCursor(tx, *c)
}

// applyPeer applies a run of events, the last of which stands at offset upto. A
// run of a stream of which something had to be set aside cannot follow on it
// any more, and is set aside at once.
func applyPeer(tx Tx, d *protocol.Delta, p *protocol.PeerEvents, upto uint64) error {
	records, err := protocol.DecodeFrame(p.Frame, p.Count)
	if err != nil {
		return fmt.Errorf("events of %s: %w", p.Origin.Agent, err)
	}
	_, err = Apply(tx, Batch{Origin: p.Origin, First: p.FirstSeq, Prev: p.PrevHash, Records: records})
	var gap *GapError
	if errors.As(err, &gap) {
		broken, scanErr := asideOfStream(tx, d.Feed, p.Origin.Inc)
		if scanErr != nil {
			return scanErr
		}
		if broken {
			return putAside(tx, 0, pieceOf(d, p, upto), "what comes before it was set aside")
		}
	}
	if err != nil {
		return fmt.Errorf("events of %s: %w", p.Origin.Agent, err)
	}
	return nil
}

// applyRows writes the rows of d above an offset into a generation. A row that
// cannot be read is set aside and holds up no other (I18).
func applyRows(tx Tx, d *protocol.Delta, gen, above uint64) error {
	if len(d.Rows) == 0 {
		return nil
	}
	rows, offsets, err := readable(tx, d, gen, above)
	if err != nil {
		return err
	}
	s := newSet(tx)
	for range roundsMax {
		var keys []Key
		for _, row := range rows {
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

// readable picks the rows that can be applied, with the offsets that they are
// stored at: 0 for one that is gone. Rows of names that this version does not
// know are left out, the unreadable ones are set aside.
func readable(tx Tx, d *protocol.Delta, gen, above uint64) (rows []feedRow, offsets []uint64, err error) {
	aside, err := asideNames(tx, d.Feed, gen)
	if err != nil {
		return nil, nil, err
	}
	for _, r := range d.Rows {
		if r.Offset <= above {
			continue
		}
		key, err := rowKey(gen, d.Feed, r.Key)
		if errors.Is(err, errRowUnknown) {
			continue
		}
		if err == nil {
			err = checkRow(d.Feed, &r)
		}
		if err != nil {
			piece := &protocol.Delta{Feed: d.Feed, Epoch: d.Epoch, After: r.Offset - 1, Upto: r.Offset, Rows: []protocol.FeedRow{r}}
			if err := putAside(tx, gen, piece, err.Error()); err != nil {
				return nil, nil, err
			}
			continue
		}
		if at, ok := aside[r.Key]; ok {
			if err := tx.Write([]Row{{Key: asideKey(d.Feed, gen, at)}}); err != nil {
				return nil, nil, err
			}
		}
		offset := r.Offset
		if len(r.Value) == 0 {
			offset = 0
		}
		rows = append(rows, feedRow{feed: d.Feed, name: r.Key, key: key, value: r.Value, gen: gen})
		offsets = append(offsets, offset)
	}
	return rows, offsets, nil
}

// rowNameBytesMax bounds the name of a row. The longest that the hub writes is
// a SKU of 64 bytes with its kind.
const rowNameBytesMax = 1024

var errRowName = errors.New("the name of the row is too long")

var errMemberRow = errors.New("the row is of another member than its name")

func checkMemberRow(r *protocol.FeedRow) error {
	row, err := protocol.DecodeMemberRow(r.Value)
	if id, _ := memberOfRow(r.Key); err == nil && row.Member.ID != id {
		err = errMemberRow
	}
	return err
}

// checkRow tells whether a row can be read, so that nothing is stored which
// would fail a till later.
func checkRow(feed protocol.FeedID, r *protocol.FeedRow) (err error) {
	if len(r.Key) > rowNameBytesMax {
		return errRowName
	}
	if len(r.Value) == 0 {
		return nil
	}
	kind, _, _ := strings.Cut(r.Key, "/")
	switch kind {
	case feedItem:
		_, err = protocol.DecodeItem(r.Value)
	case feedPrice:
		_, err = protocol.DecodePriceList(r.Value)
	case feedTax:
		_, err = protocol.DecodeTaxList(r.Value)
	case feedStore:
		_, err = protocol.DecodeStoreRecord(r.Value)
	case feedPolicy:
		_, err = protocol.DecodePolicyRow(r.Value)
	case feedProgramme:
		_, err = protocol.DecodeProgramme(r.Value)
	case feedMember:
		err = checkMemberRow(r)
	case feedPromotion:
		_, err = protocol.DecodePromotion(r.Value)
	}
	if err != nil {
		return fmt.Errorf("row %q of %s: %w", r.Key, feed, err)
	}
	return nil
}
