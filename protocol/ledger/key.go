package ledger

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"counterpart/protocol"
)

// Parts of a key are joined by a byte that no identifier and no SKU contains.
const sep = "\x00"

func stateKey(parts ...string) Key { return Key{States, strings.Join(parts, sep)} }

func levelKey(store protocol.StoreID, sku protocol.SKU) Key {
	return Key{States, "level" + sep + string(store) + sep + string(sku)}
}

const streamPrefix = "stream" + sep

func streamKey(o protocol.Origin) Key {
	return Key{States, streamPrefix + string(o.Store) + sep + string(o.Agent) + sep + o.Inc.String()}
}

func receiptKey(no protocol.ReceiptNo) Key { return Key{States, "receipt" + sep + string(no)} }

// receiptOf is the inverse of receiptKey.
func receiptOf(k Key) protocol.ReceiptNo { return protocol.ReceiptNo(k.ID[len("receipt"+sep):]) }

func externalKey(source, id string) Key { return stateKey("external", source, id) }

func loadKey(store protocol.StoreID, id string) Key { return stateKey("load", string(store), id) }

func partKey(store protocol.StoreID, p protocol.PartID) Key {
	return stateKey("part", string(store), string(p.Order), strconv.FormatUint(uint64(p.Part), 10))
}

func orderKey(id protocol.OrderID) Key { return stateKey("order", string(id)) }

func reissueKey(id protocol.EventID) Key { return stateKey("reissue", id.String()) }

func exceptionKey(kind, subject string) Key { return stateKey("exception", kind, subject) }

func deadKey(id protocol.EventID) Key { return stateKey("dead", id.String()) }

// eventOf is the inverse of eventKey. It is zero for an ID that eventKey does
// not make.
func eventOf(k Key) (id protocol.EventID) {
	if len(k.ID) == len(id.Inc)+8 {
		copy(id.Inc[:], k.ID)
		id.Seq = protocol.Seq(binary.BigEndian.Uint64([]byte(k.ID[len(id.Inc):])))
	}
	return id
}

func feedHeadKey(feed protocol.FeedID) Key { return Key{Feeds, "head" + sep + string(feed)} }

func feedKey(feed protocol.FeedID, offset uint64) Key {
	b := append([]byte("at"+sep+string(feed)+sep), make([]byte, 8)...)
	binary.BigEndian.PutUint64(b[len(b)-8:], offset)
	return Key{Feeds, string(b)}
}

func cursorKey(feed protocol.FeedID) Key { return Key{Notes, "cursor" + sep + string(feed)} }

// after is the end of a scan over every ID that starts with prefix. Prefixes
// end in sep, so that raising the last byte is enough.
func after(prefix string) string {
	return prefix[:len(prefix)-1] + "\x01"
}

// split cuts an ID into the n parts that follow its first one.
func split(id string, n int) ([]string, error) {
	parts := strings.Split(id, sep)
	if len(parts) != n+1 {
		return nil, fmt.Errorf("key %q has %d parts, not %d", id, len(parts), n+1)
	}
	return parts[1:], nil
}
