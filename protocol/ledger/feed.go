package ledger

import (
	"bytes"
	"errors"
	"strings"

	"counterpart/protocol"
)

// Limits of one Delta.
const (
	deltaRowsMax  = 500
	deltaBytesMax = 96 << 10
)

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

func readRows(r Reader, d *protocol.Delta) error {
	var keys []Key
	cut := false
	err := scanFeed(r, d.Feed, d.After, func(offset uint64, name []byte) (bool, error) {
		if len(d.Rows) == deltaRowsMax {
			cut = true
			return false, nil
		}
		key, err := rowKey(0, d.Feed, string(name))
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

// rowKey is where the row of a state feed is kept in a generation.
func rowKey(gen uint64, feed protocol.FeedID, name string) (Key, error) {
	kind, rest, _ := strings.Cut(name, "/")
	_, zone, _ := strings.Cut(string(feed), "/")
	switch {
	case kind == feedItem && feed == protocol.FeedCatalog:
		return itemKey(gen, protocol.SKU(rest)), nil
	case kind == feedPrice && strings.HasPrefix(string(feed), "price/"):
		return priceKey(gen, protocol.ZoneID(zone), protocol.SKU(rest)), nil
	case kind == feedTax && strings.HasPrefix(string(feed), "price/"):
		return taxKey(gen, protocol.ZoneID(zone), rest), nil
	case kind == feedPromotion && strings.HasPrefix(string(feed), "price/"):
		return promotionKey(gen, protocol.ZoneID(zone), protocol.PromotionID(rest)), nil
	case kind == feedStore && strings.HasPrefix(string(feed), "store/"):
		return storeKey(gen, protocol.StoreID(zone)), nil
	case kind == feedPolicy && feed == protocol.FeedCatalog:
		return policyKey(gen, "", name), nil
	case kind == feedPolicy && strings.HasPrefix(string(feed), "store/"):
		return policyKey(gen, protocol.StoreID(zone), name), nil
	case kind == feedProgramme && feed == protocol.FeedCatalog:
		return programmeKey(gen, rest), nil
	case kind == feedMember && strings.HasPrefix(string(feed), feedMember+"/"):
		return memberRowKey(gen, MemberAt{protocol.StoreID(zone), protocol.MemberID(rest)}), nil
	}
	return Key{}, errRowUnknown
}

// errRowUnknown is returned for a name that this version does not know.
var errRowUnknown = errors.New("the feed has a row of unknown name")

// ErrTrimmed is returned for events that are no longer here.
var ErrTrimmed = errors.New("the events are no longer here")
