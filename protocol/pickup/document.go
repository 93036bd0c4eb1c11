package pickup

import (
	"cmp"
	"slices"
	"time"

	"counterpart/protocol"
)

// Document is an order as both programs show it (HTTP.md). At an agent it is the
// part that the store keeps.
type Document struct {
	ID          protocol.OrderID     `json:"id"`
	Number      string               `json:"number"`
	Store       protocol.StoreID     `json:"store"`
	Method      protocol.Method      `json:"method"`
	HubState    string               `json:"hub_state"`
	StoreState  *string              `json:"store_state"`
	Firm        bool                 `json:"firm"`
	Fulfilments []FulfilmentDocument `json:"fulfilments"`
	ReceiptNo   *protocol.ReceiptNo  `json:"receipt_no"`
	Lines       []DocumentLine       `json:"lines"`
	TotalMinor  protocol.Money       `json:"total_minor"`
	Currency    string               `json:"currency"`
	Payment     PaymentDocument      `json:"payment"`
	Substitutes bool                 `json:"substitutes"` // the shopper takes other goods in the place of what is not there
	Shopper     ShopperDocument      `json:"shopper"`
	MemberID    *protocol.MemberID   `json:"member_id"`
	PlacedAt    *string              `json:"placed_at"`
	Picker      *string              `json:"picker"`
	PickupBy    *string              `json:"pickup_by"`
	PickupCode  *string              `json:"pickup_code"`
	PickupToken *string              `json:"pickup_token"`
	Shelf       *string              `json:"shelf"`
	Arrival     *ArrivalDocument     `json:"arrival"`
	Exceptions  []string             `json:"exceptions"`
	AsOf        string               `json:"as_of"`
}

// FulfilmentDocument is a part of the order.
type FulfilmentDocument struct {
	N          int              `json:"n"`
	Fulfilment uint32           `json:"fulfilment"` // the part's number, by which messages name it
	Store      protocol.StoreID `json:"store"`
	StoreState *string          `json:"store_state"`
}

// DocumentLine is one line of the order. Quantities are in the item's unit.
type DocumentLine struct {
	Line           int               `json:"line"`
	SKU            protocol.SKU      `json:"sku"`
	GTIN           *string           `json:"gtin"`
	Name           *string           `json:"name"`
	Qty            protocol.Quantity `json:"qty"`
	PickedQty      protocol.Quantity `json:"picked_qty"`
	UnitPriceMinor protocol.Money    `json:"unit_price_minor"`
	AmountMinor    protocol.Money    `json:"amount_minor"`
	// Substitutes are what was picked in the line's place, and part of PickedQty.
	Substitutes []SubstituteDocument `json:"substitutes"`
}

// SubstituteDocument is an item that was picked in the place of another.
type SubstituteDocument struct {
	SKU  protocol.SKU      `json:"sku"`
	GTIN *string           `json:"gtin"`
	Name *string           `json:"name"`
	Qty  protocol.Quantity `json:"qty"`
}

// NewSubstituteDocument shows what was picked in the place of a line. item is what
// the catalogue knows of it, nil for nothing.
func NewSubstituteDocument(l protocol.PartLine, item *protocol.Item) SubstituteDocument {
	d := SubstituteDocument{SKU: l.Item, Qty: l.Quantity}
	if item != nil {
		d.GTIN, d.Name = orNull(item.GTIN), orNull(item.Name)
	}
	return d
}

// PaymentDocument says whether the order is paid.
type PaymentDocument struct {
	Status    string  `json:"status"` // paid or due
	Reference *string `json:"reference"`
}

// ArrivalDocument is where the shopper waits.
type ArrivalDocument struct {
	Bay *string `json:"bay"`
	Car *string `json:"car"`
}

// Meta is what an order's document says beside its parts.
type Meta struct {
	// Item finds what the catalogue knows of a SKU, nil for nothing.
	Item func(protocol.SKU) *protocol.Item
	// Shopper is nobody in a document that is kept: see Reveal.
	Shopper ShopperDocument
	// The code and the token are given to the shopper's side by the hub alone.
	PickupCode  string
	PickupToken func(*Placement) string // nil for none
	Exceptions  []string
	PlacedMs    int64 // when the part that came last was placed, 0 where it is not kept
	Zone        *time.Location
	AsOf        string // RFC 3339
}

// Placement is a part with its store.
type Placement struct {
	Store protocol.StoreID
	State State
}

// NewDocument shows an order by its parts, in the order of their numbers, of
// which there is at least one and each has an order. What is said of the whole
// order is said of the part that is least far, among those that still bring
// something to the shopper.
func NewDocument(m Meta, parts []Placement) Document {
	said := speaker(parts)
	s, o := &said.State, said.State.Order
	d := Document{
		ID: o.Order, Number: o.Number, Store: said.Store, Method: o.Method, HubState: s.Hub.String(), StoreState: s.shown(), Firm: s.Firm(),
		Currency: o.Currency, Substitutes: o.Substitutes, Payment: PaymentDocument{Status: "due", Reference: orNull(o.PaymentReference)},
		Shopper: m.Shopper, MemberID: orNull(o.Member),
		PickupCode: orNull(m.PickupCode), Shelf: orNull(s.Shelf), Picker: orNull(string(s.Picker)), Exceptions: m.Exceptions, AsOf: m.AsOf,
	}
	if m.PickupToken != nil {
		d.PickupToken = orNull(m.PickupToken(said))
	}
	if d.Exceptions == nil {
		d.Exceptions = []string{}
	}
	if s.Paid {
		d.Payment.Status = "paid"
	}
	if s.Receipt != "" {
		d.ReceiptNo = &s.Receipt
	}
	if s.Arrived {
		d.Arrival = &ArrivalDocument{Bay: orNull(s.Bay), Car: orNull(s.Car)}
	}
	d.PickupBy, d.PlacedAt = m.moment(o.PickupByMs), m.moment(m.PlacedMs)
	for i := range parts {
		p := &parts[i]
		d.Fulfilments = append(d.Fulfilments, FulfilmentDocument{N: i + 1, Fulfilment: p.State.Order.Part, Store: p.Store, StoreState: p.State.shown()})
	}
	d.lines(m, parts)
	return d
}

// speaker is the part that speaks for the whole order.
func speaker(parts []Placement) *Placement {
	said := &parts[len(parts)-1]
	live := false
	for i := range parts {
		p := &parts[i]
		if p.State.Ended() || slices.ContainsFunc(parts, func(other Placement) bool { return other.State.Order.InsteadOf == p.State.Order.Part }) && !some(p.State.Staged) {
			continue
		}
		if !live || p.State.Hub < said.State.Hub || p.State.Hub == said.State.Hub && p.State.Store < said.State.Store {
			said, live = p, true
		}
	}
	return said
}

// lines shows the lines of the whole order. What another part stands in for is
// that part's.
func (d *Document) lines(m Meta, parts []Placement) {
	at := map[uint32]int{}
	moved := map[[2]uint32]protocol.OrderLine{} // by part and line
	for i := range parts {
		o := parts[i].State.Order
		for _, l := range o.Lines {
			key := [2]uint32{o.InsteadOf, l.Number}
			sum := moved[key]
			sum.Quantity, sum.Amount = sum.Quantity+l.Quantity, sum.Amount+l.Amount
			moved[key] = sum
		}
	}
	for i := range parts {
		s := &parts[i].State
		for j, l := range s.Order.Lines {
			n, ok := at[l.Number]
			if !ok {
				n = len(d.Lines)
				at[l.Number] = n
				line := DocumentLine{Line: int(l.Number), SKU: l.Item.SKU, GTIN: orNull(l.Item.GTIN), Name: orNull(l.Item.Name), UnitPriceMinor: l.UnitPrice, Substitutes: []SubstituteDocument{}}
				if item := m.Item(l.Item.SKU); item != nil {
					line.GTIN, line.Name = orNull(item.GTIN), orNull(item.Name)
				}
				d.Lines = append(d.Lines, line)
			}
			gone := moved[[2]uint32{s.Order.Part, l.Number}]
			line := &d.Lines[n]
			line.Qty += l.Quantity - gone.Quantity
			line.PickedQty += s.StagedOf(j) + s.HandedOf(j)
			line.AmountMinor += l.Amount - gone.Amount
			d.TotalMinor += l.Amount - gone.Amount
		}
		for _, l := range s.Substitutes() {
			line := &d.Lines[at[s.Order.Lines[l.Line-1].Number]]
			line.substitute(l, m.Item(l.Item))
		}
	}
	slices.SortStableFunc(d.Lines, func(a, b DocumentLine) int { return cmp.Compare(a.Line, b.Line) })
}

// substitute adds what a part took in the line's place; another part may have
// taken the same.
func (l *DocumentLine) substitute(taken protocol.PartLine, item *protocol.Item) {
	for i := range l.Substitutes {
		if l.Substitutes[i].SKU == taken.Item {
			l.Substitutes[i].Qty += taken.Quantity
			return
		}
	}
	l.Substitutes = append(l.Substitutes, NewSubstituteDocument(taken, item))
}

// moment is a time as documents show it, null for none.
func (m *Meta) moment(ms int64) *string {
	if ms == 0 {
		return nil
	}
	return orNull(time.UnixMilli(ms).In(m.Zone).Format(protocol.TimeLayout))
}

// shown is the store's state, null while the store has said nothing.
func (s *State) shown() *string {
	if !s.Known {
		return nil
	}
	return orNull(s.Store.String())
}

func orNull[S ~string](s S) *S {
	if s == "" {
		return nil
	}
	return &s
}
