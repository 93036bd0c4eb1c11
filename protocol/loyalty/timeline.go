package loyalty

import (
	"slices"
	"strings"
	"time"

	"counterpart/protocol"
)

// Entry is something that happened with a member, as the timeline keeps it.
type Entry struct {
	Kind      string
	Channel   string
	Sealed    []byte // what was said, sealed with the member's key
	Reference string // the receipt, or what whoever wrote the entry gave
	Open      bool   // somebody had to do something about it when it was written
	Staff     protocol.StaffID
	Amount    protocol.Money // of a receipt
	Currency  string
	Points    protocol.Points
	Earned    protocol.Points // by a receipt, below 0 by one that reverses another
}

// EntryOf is what an event writes into a member's timeline; nil for nothing. no is
// the receipt's number.
func EntryOf(ev *protocol.Event, no protocol.ReceiptNo) (protocol.MemberID, *Entry) {
	switch {
	case ev.Sale != nil && ev.Sale.Member != "" && !ev.Sale.Training:
		s := ev.Sale
		return s.Member, &Entry{
			Kind: string(s.Type), Channel: channelStore, Reference: string(no), Staff: s.Staff, Amount: s.Total, Currency: s.Currency, Points: s.PointsEarned - s.PointsRedeemed, Earned: s.PointsEarned,
		}
	case ev.PointsChange != nil:
		p := ev.PointsChange
		return p.Member, &Entry{Kind: "points", Reference: string(p.Change), Staff: p.Staff, Points: p.Points}
	case ev.AccountChange != nil && ev.AccountChange.Account.Of() != "":
		c := ev.AccountChange
		e := &Entry{Kind: string(c.Account.Account()), Reference: string(c.Change), Staff: c.Staff, Currency: c.Account.Currency()}
		if e.Currency != "" {
			e.Amount = protocol.Money(c.Amount)
		}
		return c.Account.Of(), e
	case ev.Member != nil && ev.Member.Version == 1:
		return ev.Member.ID, &Entry{Kind: "enrolled", Staff: ev.Member.Staff}
	case ev.Order != nil && ev.Order.Member != "" && ev.Order.InsteadOf == 0:
		o := ev.Order
		e := &Entry{Kind: KindOrder, Reference: string(o.Order), Currency: o.Currency}
		for i := range o.Lines {
			e.Amount += o.Lines[i].Amount
		}
		return o.Member, e
	case ev.OrderChange != nil && ev.OrderChange.Member != "" && orderKinds[ev.OrderChange.Change] != "":
		c := ev.OrderChange
		return c.Member, &Entry{Kind: orderKinds[c.Change], Reference: string(c.Order), Staff: c.Staff}
	case ev.Fulfilment != nil && ev.Fulfilment.Member != "" && ev.Fulfilment.Act == protocol.HandOver:
		f := ev.Fulfilment
		return f.Member, &Entry{Kind: KindPickedUp, Channel: channelStore, Reference: string(f.Order), Staff: f.Staff}
	case ev.Contact != nil:
		c := ev.Contact
		return c.Member, &Entry{Kind: c.Kind, Channel: c.Channel, Sealed: c.Sealed, Reference: c.Reference, Open: c.Open, Staff: c.Staff}
	}
	return "", nil
}

const (
	channelStore = "store"
	// ContactTextMax bounds what is said, in bytes, and ReferenceMax a reference.
	ContactTextMax = 4_000
	ReferenceMax   = 200
	// KindClosed is the kind of an entry that closes another.
	KindClosed = "closed"
	// KindOrder is the kind of the entry of an order that was placed, KindPickedUp of
	// one that was handed over and had been paid; a sale hands over one that was due.
	KindOrder    = "order"
	KindPickedUp = "order_picked_up"
)

// orderKinds are the kinds of the entries that changes of an order write. A part that
// is canceled because another store keeps the goods is nothing to the member.
var orderKinds = map[protocol.Change]string{protocol.CancelRequested: "order_canceled", protocol.Expired: "order_expired", protocol.Unplaced: "order_unplaced"}

// eventKinds are the kinds of entries that events make by themselves.
var eventKinds = []string{"sale", "return", "void", "points", "enrolled", KindClosed, KindOrder, KindPickedUp, "order_canceled", "order_expired", "order_unplaced"}

// ContactRequest writes down what was said (POST /v1/members/{id}/timeline).
type ContactRequest struct {
	Channel   string  `json:"channel"` // web, phone, chat, store, email, …
	Kind      string  `json:"kind"`    // question, complaint, note, …
	Text      string  `json:"text"`
	Reference *string `json:"reference"`
	Open      bool    `json:"open"`
	Staff     string  `json:"staff"`
}

// CloseRequest says that an open entry is done with.
type CloseRequest struct {
	Staff string `json:"staff"`
	Text  string `json:"text"`
}

// Contact is what is asked for, but for the text, which the caller seals. holdsCard
// tells whether a text holds the number of a payment card.
func (q *ContactRequest) Contact(id protocol.MemberID, holdsCard func(string) bool) (*protocol.Contact, error) {
	reference := strings.TrimSpace(orNone(q.Reference))
	switch {
	case !isWord(q.Channel):
		return nil, protocol.OutOfRange("channel", "", "missing, or not a word such as web or phone")
	case !isWord(q.Kind) || slices.Contains(eventKinds, q.Kind):
		return nil, protocol.OutOfRange("kind", "", "missing, not a word such as question or complaint, or one of those that events make")
	case strings.TrimSpace(q.Text) == "" || len(q.Text) > ContactTextMax:
		return nil, protocol.OutOfRange("text", "", "missing or longer than 4,000 bytes")
	case !protocol.ValidText(reference, ReferenceMax):
		return nil, protocol.OutOfRange("reference", "", "longer than 200 bytes, or holding control characters")
	case holdsCard(q.Text) || holdsCard(reference):
		return nil, errCardInText()
	}
	staff, err := staffOf(q.Staff)
	return &protocol.Contact{Member: id, Channel: q.Channel, Kind: q.Kind, Reference: reference, Open: q.Open, Staff: staff}, err
}

// Contact is what closes an entry, but for the text, which the caller seals.
func (q *CloseRequest) Contact(id protocol.MemberID, entry EntryID, holdsCard func(string) bool) (*protocol.Contact, error) {
	switch {
	case len(q.Text) > ContactTextMax:
		return nil, protocol.OutOfRange("text", "", "longer than 4,000 bytes")
	case holdsCard(q.Text):
		return nil, errCardInText()
	}
	staff, err := staffOf(q.Staff)
	return &protocol.Contact{
		Member: id, Channel: channelStore, Kind: KindClosed, Reference: entry.String(), Staff: staff, Closes: entry.Event, ClosesAtMs: entry.AtMs,
	}, err
}

func errCardInText() error {
	return protocol.Refuse(protocol.CardNumber, "The text holds what looks like the number of a payment card. Nothing was recorded, and the number was not kept. Take it out and send the rest again.")
}

func isWord(s string) bool { return protocol.ValidID(s) && len(s) <= wordBytesMax }

func staffOf(s string) (protocol.StaffID, error) {
	if s != "" && !protocol.ValidID(s) {
		return "", protocol.OutOfRange("staff", "", "not an identifier")
	}
	return protocol.StaffID(s), nil
}

// EntryID names an entry by its time and its event, so that it leads to its row.
type EntryID struct {
	AtMs  int64
	Event protocol.EventID
}

// EntryDocument is an entry as both programs show it.
type EntryDocument struct {
	ID        string            `json:"id"`
	At        string            `json:"at"`
	Channel   *string           `json:"channel"`
	Kind      string            `json:"kind"`
	Text      *string           `json:"text"`
	Locked    bool              `json:"locked"` // there is a text that cannot be read
	Reference *string           `json:"reference"`
	Open      bool              `json:"open"`
	Store     *protocol.StoreID `json:"store"`
	Staff     *string           `json:"staff"`
	Amount    *protocol.Money   `json:"amount_minor"`
	Currency  *string           `json:"currency"`
	Points    protocol.Points   `json:"points"`
	EventID   string            `json:"event_id"`
}

// NewEntryDocument shows an entry of a store's streams. open opens a text, and
// tells where it cannot.
func NewEntryDocument(id EntryID, store protocol.StoreID, e *Entry, closed bool, open func([]byte) (string, bool)) EntryDocument {
	doc := EntryDocument{
		ID: id.String(), At: time.UnixMilli(id.AtMs).UTC().Format(protocol.TimeLayout), Channel: orNull(e.Channel), Kind: e.Kind, Reference: orNull(e.Reference),
		Open: e.Open && !closed, Store: orNull(store), Staff: orNull(string(e.Staff)), Currency: orNull(e.Currency), Points: e.Points, EventID: id.Event.String(),
	}
	if e.Currency != "" {
		doc.Amount = &e.Amount
	}
	if len(e.Sealed) > 0 {
		text, ok := open(e.Sealed)
		if doc.Locked = !ok; ok {
			doc.Text = &text
		}
	}
	return doc
}

// TimelineDocument is a page of a member's timeline, newest first.
type TimelineDocument struct {
	Items []EntryDocument `json:"items"`
	Next  *string         `json:"next"`
	AsOf  string          `json:"as_of"`
	From  string          `json:"from"` // hub, or store: what happened in this store
}
