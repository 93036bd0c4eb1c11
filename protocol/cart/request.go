package cart

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"

	"counterpart/protocol"
)

// NoteBytesMax bounds the note of a line.
const NoteBytesMax = 500

// OpRequest is an operation on a cart (POST …/cart/ops). Of a set, a quantity of 0
// takes the line away.
type OpRequest struct {
	OpID    string             `json:"op_id"`
	Op      protocol.CartOp    `json:"op"` // add, set, remove or note
	Code    string             `json:"code"`
	Qty     *protocol.Quantity `json:"qty"` // add: 1 where it is left out
	Note    *string            `json:"note"`
	Channel string             `json:"channel"` // from where it comes
}

// Validate refuses an operation that cannot be.
func (q *OpRequest) Validate() error {
	switch {
	case q.OpID == "" || !protocol.ValidText(q.OpID, protocol.CartOpIDBytesMax):
		return protocol.OutOfRange("op_id", "", "missing, longer than 128 bytes or holding control characters")
	case !slices.Contains([]protocol.CartOp{protocol.CartAdd, protocol.CartSet, protocol.CartRemove, protocol.CartNote}, q.Op):
		return protocol.OutOfRange("op", "", "not one of add, set, remove and note")
	case q.Code == "":
		return protocol.OutOfRange("code", "", "missing")
	case q.Channel != "" && (!protocol.ValidID(q.Channel) || len(q.Channel) > 32):
		return protocol.OutOfRange("channel", "", "not a word such as web or phone")
	case q.Note != nil && len(*q.Note) > NoteBytesMax:
		return protocol.OutOfRange("note", "", "longer than 500 bytes")
	case q.Op == protocol.CartAdd && q.Qty != nil && *q.Qty <= 0:
		return protocol.OutOfRange("qty", q.Qty.String(), "not above 0")
	case q.Op == protocol.CartSet && (q.Qty == nil || *q.Qty < 0):
		return protocol.OutOfRange("qty", "", "missing or below 0")
	}
	return nil
}

// Sum stands for what is asked for, but for the note, of which nothing may be
// found out.
func (q *OpRequest) Sum() uint64 {
	text := string(q.Op) + "\n" + q.Code + "\n"
	if q.Qty != nil {
		text += q.Qty.String()
	}
	sum := sha256.Sum256([]byte(text))
	return binary.BigEndian.Uint64(sum[:])
}

// Line is what the operation does to an item, whose code stands for so many
// thousandths of a unit. The note is the caller's to seal.
func (q *OpRequest) Line(sku protocol.SKU, multiplier protocol.Quantity) (protocol.CartLine, error) {
	l := protocol.CartLine{SKU: sku, Noted: q.Note != nil || q.Op == protocol.CartNote || q.Op == protocol.CartRemove}
	switch q.Op {
	case protocol.CartRemove:
		l.Set = true
	case protocol.CartAdd, protocol.CartSet:
		asked := protocol.Quantity(1000)
		if q.Qty != nil {
			asked = *q.Qty
		}
		l.Quantity, l.Set = asked*multiplier/1000, q.Op == protocol.CartSet
		if asked > QuantityMax*1000/max(multiplier, 1) || l.Quantity > QuantityMax || asked > 0 && l.Quantity <= 0 {
			return l, protocol.OutOfRange("qty", asked.String(), "more than a cart can hold")
		}
		l.Noted = l.Noted || l.Set && asked == 0
	}
	return l, nil
}

// MergeRequest names the anonymous cart that comes into a member's.
type MergeRequest struct {
	Cart string `json:"cart"`
}

// Document is a cart as both programs show it.
type Document struct {
	// ID is that of an anonymous cart, and MemberID then says into whose it went.
	ID       *string            `json:"id"`
	MemberID *protocol.MemberID `json:"member_id"`
	Lines    []DocumentLine     `json:"lines"`
	AsOf     string             `json:"as_of"`
	From     string             `json:"from"` // hub, or store: what this store's events say
}

// DocumentLine is one line of a cart.
type DocumentLine struct {
	SKU     protocol.SKU      `json:"sku"`
	GTIN    *string           `json:"gtin"`
	Name    *string           `json:"name"`
	Qty     protocol.Quantity `json:"qty"`
	Note    *string           `json:"note"`
	Locked  bool              `json:"locked"` // there is a note that cannot be read here
	AddedAt string            `json:"added_at"`
}

// NewLine shows a line. item is nil where the catalogue does not know it; open
// opens a note, and tells where it cannot.
func NewLine(l Line, item *protocol.Item, open func([]byte) (string, bool)) DocumentLine {
	doc := DocumentLine{SKU: l.SKU, Qty: l.Quantity, AddedAt: time.UnixMilli(l.AddedMs).UTC().Format(protocol.TimeLayout)}
	if item != nil {
		doc.Name = &item.Name
		if item.GTIN != "" {
			doc.GTIN = &item.GTIN
		}
	}
	if len(l.Note) > 0 {
		note, ok := open(l.Note)
		if doc.Locked = !ok; ok {
			doc.Note = &note
		}
	}
	return doc
}

// Where a cart is known from.
const (
	FromHub   = "hub"
	FromStore = "store"
)
