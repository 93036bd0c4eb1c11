package ledger

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"counterpart/protocol"

	"google.golang.org/protobuf/encoding/protowire"
)

// reference is a row of the chain's reference data (an item, a price list, a
// tax list, a store) with the feed offset at which it last changed. The hub's
// fold gives offsets out; an agent takes them over with the row.
type reference struct {
	offset uint64
	value  []byte
}

func (r *reference) Encode() []byte {
	return append(binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(r.value)), r.offset), r.value...)
}

func decodeReference(b []byte) (*reference, error) {
	if b == nil {
		return &reference{}, nil
	}
	if len(b) < 8 {
		return nil, fmt.Errorf("reference row of %d bytes", len(b))
	}
	return &reference{offset: binary.BigEndian.Uint64(b), value: b[8:]}, nil
}

// feedHead is the last offset of a feed.
type feedHead struct{ offset uint64 }

func (h *feedHead) Encode() []byte { return binary.BigEndian.AppendUint64(nil, h.offset) }

func decodeFeedHead(b []byte) (*feedHead, error) {
	if b == nil {
		return &feedHead{}, nil
	}
	if len(b) != 8 {
		return nil, fmt.Errorf("feed head of %d bytes", len(b))
	}
	return &feedHead{offset: binary.BigEndian.Uint64(b)}, nil
}

// codeOwners lists the items that carry a code. Two items with one code are a
// matter for a person; the smaller SKU is listed first.
type codeOwners []CodeOwner

// CodeOwner is an item behind a code, with what one scan of it means.
type CodeOwner struct {
	SKU        protocol.SKU
	Multiplier protocol.Quantity
}

func (c *codeOwners) Encode() []byte {
	var f fields
	for _, o := range *c {
		var g fields
		g.text(1, string(o.SKU))
		g.int(2, int64(o.Multiplier))
		f.element(1, g)
	}
	return f
}

func decodeCodeOwners(b []byte) (*codeOwners, error) {
	var c codeOwners
	err := decodeFields("code", b, func(num protowire.Number, v value) error {
		var o CodeOwner
		err := decodeFields("owner", v.data, func(num protowire.Number, v value) error {
			switch num {
			case 1:
				o.SKU = protocol.SKU(v.data)
			case 2:
				o.Multiplier = protocol.Quantity(v.int())
			}
			return nil
		})
		c = append(c, o)
		return err
	})
	return &c, err
}

func (c *codeOwners) set(o CodeOwner) {
	c.drop(o.SKU)
	i, _ := slices.BinarySearchFunc(*c, o, func(a, b CodeOwner) int { return strings.Compare(string(a.SKU), string(b.SKU)) })
	*c = slices.Insert(*c, i, o)
}

func (c *codeOwners) drop(sku protocol.SKU) {
	*c = slices.DeleteFunc(*c, func(o CodeOwner) bool { return o.SKU == sku })
}

// itemCodes are the codes by which an item is found, its GTIN first.
func itemCodes(it *protocol.Item) []protocol.ItemCode {
	codes := make([]protocol.ItemCode, 0, 1+len(it.Codes))
	if it.GTIN != "" {
		codes = append(codes, protocol.ItemCode{Code: it.GTIN, Multiplier: 1000})
	}
	return append(codes, it.Codes...)
}

// feedRow is one row of a state feed before it has an offset.
type feedRow struct {
	feed  protocol.FeedID
	name  string // the key within the feed
	key   Key
	value []byte
}

// Names of rows within their feeds.
const (
	feedItem  = "item"
	feedPrice = "price"
	feedTax   = "tax"
	feedStore = "store"
)

// catalogRows are the feed rows of a catalogue event.
func catalogRows(c *protocol.Catalog) ([]feedRow, error) {
	rows := make([]feedRow, 0, len(c.Items)+len(c.Prices)+len(c.Taxes)+len(c.Stores))
	add := func(feed protocol.FeedID, name string, key Key, value []byte, err error) error {
		rows = append(rows, feedRow{feed, name, key, value})
		return err
	}
	for i := range c.Items {
		it := &c.Items[i]
		b, err := protocol.EncodeItem(it)
		if err := add(protocol.FeedCatalog, feedItem+"/"+string(it.SKU), itemKey(it.SKU), b, err); err != nil {
			return nil, err
		}
	}
	for i := range c.Prices {
		p := &c.Prices[i]
		b, err := protocol.EncodePriceList(p)
		if err := add(protocol.PriceFeed(p.Zone), feedPrice+"/"+string(p.SKU), priceKey(p.Zone, p.SKU), b, err); err != nil {
			return nil, err
		}
	}
	for i := range c.Taxes {
		t := &c.Taxes[i]
		b, err := protocol.EncodeTaxList(t)
		if err := add(protocol.PriceFeed(t.Zone), feedTax+"/"+t.Code, taxKey(t.Zone, t.Code), b, err); err != nil {
			return nil, err
		}
	}
	for i := range c.Stores {
		st := &c.Stores[i]
		b, err := protocol.EncodeStoreRecord(st)
		if err := add(protocol.StoreFeed(st.ID), feedStore, storeKey(st.ID), b, err); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// putReference stores a row of reference data at its offset and keeps the
// index of codes. The row, and the code rows of its old and new value, must be
// loaded.
func (s *set) putReference(row feedRow, offset uint64) error {
	ref, err := change(s, row.key, decodeReference)
	if err != nil {
		return err
	}
	if strings.HasPrefix(row.key.ID, "item"+sep) {
		if err := s.indexCodes(ref.value, row.value); err != nil {
			return err
		}
	}
	ref.offset, ref.value = offset, row.value
	return nil
}

func (s *set) indexCodes(before, now []byte) error {
	if len(before) > 0 {
		old, err := protocol.DecodeItem(before)
		if err != nil {
			return err
		}
		for _, c := range itemCodes(old) {
			owners, err := change(s, codeKey(c.Code), decodeCodeOwners)
			if err != nil {
				return err
			}
			owners.drop(old.SKU)
		}
	}
	it, err := protocol.DecodeItem(now)
	if err != nil {
		return err
	}
	for _, c := range itemCodes(it) {
		owners, err := change(s, codeKey(c.Code), decodeCodeOwners)
		if err != nil {
			return err
		}
		owners.set(CodeOwner{SKU: it.SKU, Multiplier: c.Multiplier})
	}
	return nil
}

// referenceKeys adds the keys that putReference needs: the row itself, then,
// once it is loaded, the codes of its old and new value.
func (s *set) referenceKeys(keys []Key, row feedRow) ([]Key, error) {
	keys = append(keys, row.key)
	if !strings.HasPrefix(row.key.ID, "item"+sep) || !s.has(row.key) {
		return keys, nil
	}
	ref, err := get(s, row.key, decodeReference)
	if err != nil {
		return nil, err
	}
	for _, b := range [][]byte{ref.value, row.value} {
		if len(b) == 0 {
			continue
		}
		it, err := protocol.DecodeItem(b)
		if err != nil {
			return nil, err
		}
		for _, c := range itemCodes(it) {
			keys = append(keys, codeKey(c.Code))
		}
	}
	return keys, nil
}
