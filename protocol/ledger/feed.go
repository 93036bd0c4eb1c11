package ledger

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"counterpart/protocol"

	"google.golang.org/protobuf/encoding/protowire"
)

// Limits of one Delta.
const (
	deltaRowsMax  = 500
	deltaBytesMax = 96 << 10
)

// peerRow says which events one step of an event feed carries. Offsets of an
// event feed count events; a row stands at the offset of its last event.
type peerRow struct {
	origin protocol.Origin
	first  protocol.Seq
	count  uint64
}

func (p *peerRow) Encode() []byte {
	var f fields
	f.text(1, string(p.origin.Store))
	f.text(2, string(p.origin.Agent))
	f.bytes(3, p.origin.Inc[:])
	f.uint(4, uint64(p.first))
	f.uint(5, p.count)
	return f
}

func decodePeerRow(b []byte) (*peerRow, error) {
	p := &peerRow{}
	err := decodeFields("peer row", b, func(num protowire.Number, v value) error {
		switch num {
		case 1:
			p.origin.Store = protocol.StoreID(v.data)
		case 2:
			p.origin.Agent = protocol.AgentID(v.data)
		case 3:
			copy(p.origin.Inc[:], v.data)
		case 4:
			p.first = protocol.Seq(v.num)
		case 5:
			p.count = v.num
		}
		return nil
	})
	return p, err
}

// AppendPeer puts newly applied events of a store's stream on its event feed
// and returns the feed's new head.
func AppendPeer(tx Tx, o protocol.Origin, first protocol.Seq, count int) (uint64, error) {
	s := newSet(tx)
	feed := protocol.PeerFeed(o.Store)
	if err := s.load([]Key{feedHeadKey(feed)}); err != nil {
		return 0, err
	}
	head, err := change(s, feedHeadKey(feed), decodeFeedHead)
	if err != nil {
		return 0, err
	}
	head.offset += uint64(count)
	s.put(feedKey(feed, head.offset), &peerRow{origin: o, first: first, count: uint64(count)})
	return head.offset, s.flush()
}

// FeedHead is the last offset of a feed at the hub.
func FeedHead(r Reader, feed protocol.FeedID) (uint64, error) {
	values, err := r.Load([]Key{feedHeadKey(feed)})
	if err != nil {
		return 0, err
	}
	head, err := decodeFeedHead(values[0])
	if err != nil {
		return 0, err
	}
	return head.offset, nil
}

// ReadDelta reads what follows offset after on a feed, at most one Delta's
// worth. With nothing to tell, Upto equals after or the feed's head.
func ReadDelta(r Reader, feed protocol.FeedID, epoch, after uint64) (*protocol.Delta, error) {
	head, err := FeedHead(r, feed)
	if err != nil {
		return nil, err
	}
	d := &protocol.Delta{Feed: feed, Epoch: epoch, After: after, Upto: max(after, head)}
	if after >= head {
		return d, nil
	}
	if strings.HasPrefix(string(feed), "peer/") {
		return d, readPeer(r, d)
	}
	return d, readRows(r, d)
}

func scanFeed(r Reader, d *protocol.Delta, fn func(offset uint64, value []byte) (bool, error)) error {
	from := feedKey(d.Feed, d.After+1).ID
	return r.Scan(Feeds, from, after("at"+sep+string(d.Feed)+sep), func(id string, v []byte) (bool, error) {
		if len(id) < 8 {
			return false, fmt.Errorf("feed row %q", id)
		}
		return fn(binary.BigEndian.Uint64([]byte(id[len(id)-8:])), v)
	})
}

func readRows(r Reader, d *protocol.Delta) error {
	var keys []Key
	cut := false
	err := scanFeed(r, d, func(offset uint64, name []byte) (bool, error) {
		if len(d.Rows) == deltaRowsMax {
			cut = true
			return false, nil
		}
		key, err := rowKey(d.Feed, string(name))
		d.Rows = append(d.Rows, protocol.FeedRow{Offset: offset, Key: string(name)})
		keys = append(keys, key)
		return true, err
	})
	if err != nil {
		return err
	}
	values, err := r.Load(keys)
	if err != nil {
		return err
	}
	size := 0
	for i := range d.Rows {
		ref, err := decodeReference(values[i])
		if err != nil {
			return err
		}
		if size += len(ref.value) + len(d.Rows[i].Key); size > deltaBytesMax && i > 0 {
			d.Rows, cut = d.Rows[:i], true
			break
		}
		d.Rows[i].Value = bytes.Clone(ref.value)
	}
	if cut {
		d.Upto = d.Rows[len(d.Rows)-1].Offset
	}
	return nil
}

// rowKey is where the row of a state feed is kept.
func rowKey(feed protocol.FeedID, name string) (Key, error) {
	kind, rest, _ := strings.Cut(name, "/")
	_, zone, _ := strings.Cut(string(feed), "/")
	switch {
	case kind == feedItem && feed == protocol.FeedCatalog:
		return itemKey(protocol.SKU(rest)), nil
	case kind == feedPrice && strings.HasPrefix(string(feed), "price/"):
		return priceKey(protocol.ZoneID(zone), protocol.SKU(rest)), nil
	case kind == feedTax && strings.HasPrefix(string(feed), "price/"):
		return taxKey(protocol.ZoneID(zone), rest), nil
	case kind == feedStore && strings.HasPrefix(string(feed), "store/"):
		return storeKey(protocol.StoreID(zone)), nil
	}
	return Key{}, fmt.Errorf("feed %s has a row of unknown name %q", feed, name)
}

func readPeer(r Reader, d *protocol.Delta) error {
	size := 0
	return scanFeed(r, d, func(offset uint64, v []byte) (bool, error) {
		row, err := decodePeerRow(v)
		if err != nil {
			return false, err
		}
		if size > 0 && size+int(row.count)*64 > deltaBytesMax {
			return false, nil
		}
		first := row.first
		if start := offset - row.count; start < d.After {
			first += protocol.Seq(d.After - start)
		}
		records, prev, err := Records(r, row.origin, first, int(row.first+protocol.Seq(row.count)-first), deltaBytesMax*4)
		if err != nil {
			return false, err
		}
		frame, n, err := protocol.CutFrame(records)
		if err != nil {
			return false, err
		}
		d.Events = append(d.Events, protocol.PeerEvents{Origin: row.origin, FirstSeq: first, PrevHash: prev, Count: uint32(n), Frame: frame})
		d.Upto = offset - (row.count - uint64(first-row.first) - uint64(n))
		size += len(frame)
		return d.Upto == offset && size < deltaBytesMax, nil
	})
}

// ErrTrimmed is returned for events that are no longer here.
var ErrTrimmed = errors.New("the events are no longer here")

// Records reads up to count records of a stream from first on, together at
// most about bytesMax, and the hash before the first of them.
func Records(r Reader, o protocol.Origin, first protocol.Seq, count, bytesMax int) ([]protocol.Record, protocol.Hash, error) {
	prev := o.Genesis()
	from := eventKey(protocol.EventID{Inc: o.Inc, Seq: first})
	if first > 1 {
		values, err := r.Load([]Key{eventKey(protocol.EventID{Inc: o.Inc, Seq: first - 1})})
		if err != nil {
			return nil, prev, err
		}
		if values[0] == nil {
			return nil, prev, ErrTrimmed
		}
		if prev, _, err = decodeEventRow(values[0]); err != nil {
			return nil, prev, fmt.Errorf("event %s-%d: %w", o.Inc, first-1, err)
		}
	}
	var records []protocol.Record
	size := 0
	to := eventKey(protocol.EventID{Inc: o.Inc, Seq: first + protocol.Seq(count)})
	err := r.Scan(Events, from.ID, to.ID, func(id string, v []byte) (bool, error) {
		if id != eventKey(protocol.EventID{Inc: o.Inc, Seq: first + protocol.Seq(len(records))}).ID {
			return false, ErrTrimmed
		}
		_, rec, err := decodeEventRow(v)
		if err != nil {
			return false, err
		}
		rec.Body = bytes.Clone(rec.Body)
		records = append(records, rec)
		size += len(rec.Body)
		return size < bytesMax, nil
	})
	return records, prev, err
}

var errNoEvent = errors.New("the event is not here")

func decodeEventRow(v []byte) (protocol.Hash, protocol.Record, error) {
	var h protocol.Hash
	if len(v) < len(h) {
		return h, protocol.Record{}, errNoEvent
	}
	copy(h[:], v)
	rec, err := protocol.RecordFromBytes(v[len(h):])
	return h, rec, err
}
