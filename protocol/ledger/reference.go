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
// tax list, a store, a policy, a programme, a promotion, a member as a store is told) with the feed offset at which it last changed. The hub's
// fold gives offsets out; an agent takes them over with the row. A row without a
// value is gone: the hub keeps its offset, so that the feed tells of it, and an
// agent keeps nothing.
type reference struct {
	offset uint64
	value  []byte
}

func (r *reference) gone() bool { return r.offset == 0 || len(r.value) == 0 }

func (r *reference) Encode() []byte {
	if r.offset == 0 {
		return nil
	}
	return append(binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(r.value)), r.offset), r.value...)
}

func decodeReference(b []byte) (*reference, error) {
	r, err := readReference(b)
	if err != nil {
		return nil, err
	}
	return &r, nil
}

// readReference is decodeReference for who keeps no aggregate.
func readReference(b []byte) (reference, error) {
	if b == nil {
		return reference{}, nil
	}
	if len(b) < 8 {
		return reference{}, fmt.Errorf("reference row of %d bytes", len(b))
	}
	return reference{offset: binary.BigEndian.Uint64(b), value: b[8:]}, nil
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

// feedRow is one row of a state feed before it has an offset. Without a value
// it says that the row is gone.
type feedRow struct {
	feed  protocol.FeedID
	name  string // the key within the feed
	key   Key
	value []byte
	gen   uint64 // the generation that key belongs to
}

// item tells whether the row is one of the catalogue, whose codes are indexed.
func (r *feedRow) item() bool { return strings.HasPrefix(r.name, feedItem+"/") }

// Names of rows within their feeds.
const (
	feedItem      = "item"
	feedPrice     = "price"
	feedTax       = "tax"
	feedStore     = "store"
	feedPolicy    = "policy"
	feedProgramme = "programme"
	feedPromotion = "promotion"
)

// catalogRows are the feed rows of a catalogue event. The fold writes
// generation 0.
func catalogRows(c *protocol.Catalog) ([]feedRow, error) {
	rows := make([]feedRow, 0, c.Rows())
	add := func(feed protocol.FeedID, name string, key Key, value []byte, err error) error {
		rows = append(rows, feedRow{feed: feed, name: name, key: key, value: value})
		return err
	}
	for i := range c.Items {
		it := &c.Items[i]
		b, err := protocol.EncodeItem(it)
		if err := add(protocol.FeedCatalog, feedItem+"/"+string(it.SKU), itemKey(0, it.SKU), b, err); err != nil {
			return nil, err
		}
	}
	for i := range c.Prices {
		p := &c.Prices[i]
		b, err := protocol.EncodePriceList(p)
		if err := add(protocol.PriceFeed(p.Zone), feedPrice+"/"+string(p.SKU), priceKey(0, p.Zone, p.SKU), b, err); err != nil {
			return nil, err
		}
	}
	for i := range c.Taxes {
		t := &c.Taxes[i]
		b, err := protocol.EncodeTaxList(t)
		if err := add(protocol.PriceFeed(t.Zone), feedTax+"/"+t.Code, taxKey(0, t.Zone, t.Code), b, err); err != nil {
			return nil, err
		}
	}
	for i := range c.Stores {
		st := &c.Stores[i]
		b, err := protocol.EncodeStoreRecord(st)
		if err := add(protocol.StoreFeed(st.ID), feedStore, storeKey(0, st.ID), b, err); err != nil {
			return nil, err
		}
	}
	for i := range c.Policies {
		p := &c.Policies[i]
		var b []byte
		var err error
		if !p.Gone() {
			b, err = protocol.EncodePolicyRow(p)
		}
		name := policyName(p)
		if err := add(policyFeed(p.Store), name, policyKey(0, p.Store, name), b, err); err != nil {
			return nil, err
		}
	}
	for i := range c.Programmes {
		p := &c.Programmes[i]
		b, err := protocol.EncodeProgramme(p)
		if err := add(protocol.FeedCatalog, feedProgramme+"/"+p.ValidFrom, programmeKey(0, p.ValidFrom), b, err); err != nil {
			return nil, err
		}
	}
	for i := range c.Promotions {
		row, err := promotionRow(&c.Promotions[i])
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func promotionRow(p *protocol.Promotion) (row feedRow, err error) {
	row = feedRow{feed: protocol.PriceFeed(p.Zone), name: feedPromotion + "/" + string(p.ID), key: promotionKey(0, p.Zone, p.ID)}
	if !p.Gone() {
		row.value, err = protocol.EncodePromotion(p)
	}
	return row, err
}

// putReference stores a row of reference data at its offset and keeps the
// index of codes or of members. The row, and the index rows of its old and new
// value, must be loaded.
func (s *set) putReference(row feedRow, offset uint64) error {
	ref, err := change(s, row.key, decodeReference)
	if err != nil {
		return err
	}
	if row.item() {
		if err := s.indexCodes(row.gen, ref.value, row.value); err != nil {
			return err
		}
	}
	if row.member() {
		if err := s.indexMember(row, ref.value); err != nil {
			return err
		}
	}
	ref.offset, ref.value = offset, row.value
	return nil
}

func (s *set) indexCodes(gen uint64, before, now []byte) error {
	old, err := codesOf(before)
	if err != nil {
		return err
	}
	for _, c := range old.codes {
		owners, err := change(s, codeKey(gen, c.Code), decodeCodeOwners)
		if err != nil {
			return err
		}
		owners.drop(old.sku)
	}
	item, err := codesOf(now)
	if err != nil {
		return err
	}
	for _, c := range item.codes {
		owners, err := change(s, codeKey(gen, c.Code), decodeCodeOwners)
		if err != nil {
			return err
		}
		owners.set(CodeOwner{SKU: item.sku, Multiplier: c.Multiplier})
	}
	return nil
}

// codedItem is an item as far as the index of codes is concerned.
type codedItem struct {
	sku   protocol.SKU
	codes []protocol.ItemCode
}

// codesOf are the codes by which an item is found, its GTIN first; an item that
// is gone has none.
func codesOf(value []byte) (codedItem, error) {
	if len(value) == 0 {
		return codedItem{}, nil
	}
	it, err := protocol.DecodeItem(value)
	if err != nil {
		return codedItem{}, err
	}
	codes := make([]protocol.ItemCode, 0, 1+len(it.Codes))
	if it.GTIN != "" {
		codes = append(codes, protocol.ItemCode{Code: it.GTIN, Multiplier: 1000})
	}
	return codedItem{it.SKU, append(codes, it.Codes...)}, nil
}

// referenceKeys adds the keys that putReference needs: the row itself, then,
// once it is loaded, the index rows of its old and new value.
func (s *set) referenceKeys(keys []Key, row feedRow) ([]Key, error) {
	keys = append(keys, row.key)
	if !row.item() && !row.member() || !s.has(row.key) {
		return keys, nil
	}
	ref, err := get(s, row.key, decodeReference)
	if err != nil {
		return nil, err
	}
	if row.member() {
		for _, b := range [][]byte{ref.value, row.value} {
			found, err := memberLookups(row.feed, row.gen, b)
			if err != nil {
				return nil, err
			}
			keys = append(keys, found...)
		}
		return keys, nil
	}
	for _, b := range [][]byte{ref.value, row.value} {
		it, err := codesOf(b)
		if err != nil {
			return nil, err
		}
		for _, c := range it.codes {
			keys = append(keys, codeKey(row.gen, c.Code))
		}
	}
	return keys, nil
}
