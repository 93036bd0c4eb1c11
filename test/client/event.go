package client

import "google.golang.org/protobuf/encoding/protowire"

// The numbers of enums that the client uses.
const (
	KindSale      = 1
	KindMovement  = 2
	KindCountSeen = 3
	KindStockLoad = 4
	KindReissue   = 6

	OnHand  = 0
	Damaged = 3

	SaleSale   = 1
	SaleReturn = 2
	SaleVoid   = 3

	Receipt     = 1
	Adjustment  = 2
	Count       = 3
	TransferOut = 4

	Cash = 1
)

// Move adds Delta thousandths to one quantity of an item.
type Move struct {
	SKU   string
	State uint64
	Delta int64
}

// Event is what all events have. Lines refer to items by their index in Items.
type Event struct {
	Kind  uint64
	Text  string // where Kind is 0
	Boot  uint64
	Items []string // SKUs
	Moves []Move
	Body  []byte // the message of the kind, under the field Field
	Field protowire.Number
}

// Encode writes the body of a record. Moves name items that Items lacks by
// adding them.
func (e Event) Encode() []byte {
	var items, deltas []int64
	var states []uint64
	for i, m := range e.Moves {
		at := 0
		for at < len(e.Items) && e.Items[at] != m.SKU {
			at++
		}
		if at == len(e.Items) {
			e.Items = append(e.Items, m.SKU)
		}
		items, states, deltas = append(items, int64(at-i)), append(states, m.State), append(deltas, m.Delta)
	}
	var f fields
	f.uint(1, e.Kind)
	f.text(2, e.Text)
	f.uint(3, e.Boot)
	f.column(5, signed(items))
	f.column(6, states)
	f.numbers(7, signed(deltas))
	f.texts(12, e.Items)
	if e.Field != 0 {
		f.element(e.Field, e.Body)
	}
	return f
}

// Line is one line of a sale.
type Line struct {
	Item       int // index into the event's items
	Quantity   int64
	Price      int64
	Tax        uint64 // index into the taxes, then into the further codes
	Difference int64  // of the amount from quantity × price
	State      uint64
	Original   uint64
	Unstocked  bool
}

// Tax is the tax of one code.
type Tax struct {
	Code           string
	Rate, Net, Tax int64
}

// Sale is a receipt with one tender in cash.
type Sale struct {
	Type         uint64
	Currency     string
	Inclusive    bool
	BusinessDate uint64
	Till, Series string
	Number       uint64
	Lines        []Line
	Taxes        []Tax
	MoreTaxCodes []string
	Total        int64
	Original     string
	Reason       string
	Training     bool
}

// Encode writes the message Sale.
func (s Sale) Encode() []byte {
	var quantities, items, prices, differences []int64
	var taxes, states, originals, unstocked []uint64
	for i, l := range s.Lines {
		quantities, items = append(quantities, l.Quantity), append(items, int64(l.Item-i))
		prices, differences = append(prices, l.Price), append(differences, l.Difference)
		taxes, states, originals = append(taxes, l.Tax), append(states, l.State), append(originals, l.Original)
		flag := uint64(0)
		if l.Unstocked {
			flag = 1
		}
		unstocked = append(unstocked, flag)
	}
	var f fields
	f.uint(1, s.Type)
	f.text(3, s.Currency)
	f.bool(4, s.Inclusive)
	f.uint(6, s.BusinessDate)
	f.text(7, s.Till)
	f.text(8, s.Series)
	f.uint(9, s.Number)
	f.numbers(10, signed(quantities))
	f.column(11, signed(items))
	f.column(12, taxes)
	f.column(13, signed(prices))
	f.column(14, signed(differences))
	f.column(16, states)
	f.column(17, originals)
	f.column(18, unstocked)
	for _, t := range s.Taxes {
		var row fields
		row.text(1, t.Code)
		row.sint(2, t.Rate)
		row.sint(3, t.Net)
		row.sint(4, t.Tax)
		f.element(20, row)
	}
	for _, code := range s.MoreTaxCodes {
		f.element(21, []byte(code))
	}
	var tender fields
	tender.uint(1, Cash)
	tender.sint(3, s.Total)
	f.element(22, tender)
	f.sint(23, s.Total)
	f.text(28, s.Original)
	f.text(29, s.Reason)
	f.bool(30, s.Training)
	return f
}

// Event wraps the sale. It moves what its lines say, unless it is training.
func (s Sale) Event(items ...string) Event {
	e := Event{Kind: KindSale, Boot: 1, Items: items, Body: s.Encode(), Field: 16}
	for _, l := range s.Lines {
		if s.Training || l.Unstocked {
			continue
		}
		e.Moves = append(e.Moves, Move{SKU: items[l.Item], Delta: -l.Quantity})
		if l.State != OnHand {
			e.Moves = append(e.Moves, Move{SKU: items[l.Item], State: l.State, Delta: -l.Quantity})
		}
	}
	return e
}

// StreamPos is how far a stream was folded.
type StreamPos struct {
	Inc Inc
	Seq uint64
}

func (p StreamPos) encode() []byte {
	var f fields
	f.element(1, p.Inc[:])
	f.uint(2, p.Seq)
	return f
}

// MovementLine is one line of a movement.
type MovementLine struct {
	SKU            string
	Quantity, Book int64
	State          uint64
}

// Movement is a change of stock that is not a sale.
type Movement struct {
	Type     uint64
	Reason   string
	ToStore  string
	Lines    []MovementLine
	Seen     []StreamPos
	Load     string
	LoadRows uint64
}

// Event encodes the movement, with the moves that follow from its type.
func (m Movement) Event() Event {
	e := Event{Kind: KindMovement, Boot: 1, Field: 17}
	var quantities, books []int64
	var states []uint64
	for _, l := range m.Lines {
		quantities, books, states = append(quantities, l.Quantity), append(books, l.Book), append(states, l.State)
		e.Items = append(e.Items, l.SKU)
		move := Move{SKU: l.SKU, State: l.State, Delta: l.Quantity}
		switch m.Type {
		case TransferOut:
			move.Delta = -l.Quantity
		case Count:
			move.Delta = l.Quantity - l.Book
		}
		if move.Delta != 0 {
			e.Moves = append(e.Moves, move)
		}
	}
	var f fields
	f.uint(1, m.Type)
	f.text(4, m.Reason)
	f.text(6, m.ToStore)
	f.numbers(8, signed(quantities))
	f.column(10, states)
	f.column(11, signed(books))
	for _, p := range m.Seen {
		f.element(12, p.encode())
	}
	f.text(13, m.Load)
	f.uint(14, m.LoadRows)
	e.Body = f
	return e
}

// CountSeen is written after a count of another agent that had not seen
// movements of this one.
func CountSeen(count StreamPos, skus ...string) Event {
	var f fields
	f.element(1, count.encode())
	for _, sku := range skus {
		f.element(2, []byte(sku))
	}
	return Event{Kind: KindCountSeen, Boot: 1, Body: f, Field: 18}
}

// Reissue logs an event of a parent stream again.
func Reissue(id StreamPos, r Record) Event {
	var f fields
	f.element(1, id.encode())
	f.sint(2, r.Wall)
	f.sint(3, r.Running)
	f.bytes(4, r.Body)
	return Event{Kind: KindReissue, Boot: 1, Body: f, Field: 21}
}
