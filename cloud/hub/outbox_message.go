package hub

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/pickup"
)

// messageSource names the sender of messages; id and source together are unique
// in a chain.
const messageSource = "urn:counterpart:hub"

// The types of messages beside order.*, whose last words are pickup.NewsWords.
const (
	orderPrefix              = "order."
	typeExceptionOpened      = "exception.opened"
	typeStockLow             = "stock.low"
	typeAvailabilityChanged  = "stock.availability_changed"
	typeCartLastOne          = "cart.last_one"
	messageIDPrefix          = "msg_"
	messageLinesMax          = 100
	messageLinesLeftOutAbove = 12 << 10
)

// MessageTypes lists the types of all messages.
func MessageTypes() (types []string) {
	for _, word := range pickup.NewsWords {
		types = append(types, orderPrefix+word)
	}
	return append(types, typeStockLow, typeAvailabilityChanged, typeCartLastOne, typeExceptionOpened)
}

// cloudEvent is a message as it is sent: CloudEvents 1.0, structured JSON. It
// names no shopper: whoever may know asks for the order.
type cloudEvent struct {
	SpecVersion string `json:"specversion"`
	ID          string `json:"id"`
	Source      string `json:"source"`
	Type        string `json:"type"`
	Subject     string `json:"subject"`
	Time        string `json:"time"`
	ContentType string `json:"datacontenttype"`
	Data        any    `json:"data"`
}

func outgoing(id, kind, subject string, at time.Time, data any) (Outgoing, error) {
	body, err := json.Marshal(cloudEvent{
		SpecVersion: "1.0", ID: id, Source: messageSource, Type: kind, Subject: subject, Time: at.UTC().Format(time.RFC3339), ContentType: "application/json", Data: data,
	})
	return Outgoing{ID: id, Type: kind, Key: subject, Body: body}, err
}

// orderMessage is the data of order.*.
type orderMessage struct {
	EventID      string              `json:"event_id"`
	Order        protocol.OrderID    `json:"order"`
	Number       string              `json:"number"`
	Fulfilment   uint32              `json:"fulfilment"`
	InsteadOf    *uint32             `json:"instead_of"`
	Instead      *uint32             `json:"instead"`
	Store        protocol.StoreID    `json:"store"`
	Method       protocol.Method     `json:"method"`
	HubState     string              `json:"hub_state"`
	StoreState   *string             `json:"store_state"`
	Firm         bool                `json:"firm"`
	Payment      string              `json:"payment"`
	ReceiptNo    *protocol.ReceiptNo `json:"receipt_no"`
	Reason       *string             `json:"reason"`
	Reference    *string             `json:"reference"`
	Currency     string              `json:"currency"`
	TotalMinor   protocol.Money      `json:"total_minor"`
	RefundMinor  *protocol.Money     `json:"refund_minor"`
	Lines        []messageLine       `json:"lines"`
	LinesLeftOut bool                `json:"lines_left_out"`
}

// messageLine is a line of the order, as far as the part has it. ChangedQty is how
// much of it the message is about.
type messageLine struct {
	Line        int               `json:"line"`
	SKU         protocol.SKU      `json:"sku"`
	Qty         protocol.Quantity `json:"qty"`
	PickedQty   protocol.Quantity `json:"picked_qty"`
	ReleasedQty protocol.Quantity `json:"released_qty"`
	ChangedQty  protocol.Quantity `json:"changed_qty"`
	AmountMinor protocol.Money    `json:"amount_minor"`
	// Substitutes are what was picked in the line's place, and part of PickedQty.
	Substitutes []pickup.SubstituteDocument `json:"substitutes"`
}

func newOrderMessage(r ledger.Reader, store protocol.StoreID, n *pickup.News) (orderMessage, error) {
	s, o := &n.State, n.State.Order
	m := orderMessage{
		EventID: n.ID.String(), Order: o.Order, Number: o.Number, Fulfilment: o.Part, Store: store, Method: o.Method,
		HubState: s.Hub.String(), Firm: s.Firm(), Payment: "due", Reason: orNull(n.Reason), Reference: orNull(n.Reference), Currency: o.Currency,
		InsteadOf: numberOrNull(o.InsteadOf), Instead: numberOrNull(n.Instead), Lines: []messageLine{},
	}
	if n.Amount != 0 {
		m.RefundMinor = &n.Amount
	}
	if s.Known {
		m.StoreState = orNull(s.Store.String())
	}
	if s.Paid {
		m.Payment = "paid"
	}
	if s.Receipt != "" {
		m.ReceiptNo = &s.Receipt
	}
	for i, l := range o.Lines {
		line := messageLine{
			Line: int(l.Number), SKU: l.Item.SKU, Qty: l.Quantity, PickedQty: s.StagedOf(i) + s.HandedOf(i), ReleasedQty: s.Released[i], AmountMinor: l.Amount,
			Substitutes: []pickup.SubstituteDocument{},
		}
		for _, named := range n.Lines {
			if int(named.Line) == i+1 {
				line.ChangedQty += named.Quantity
			}
		}
		m.TotalMinor += l.Amount
		m.Lines = append(m.Lines, line)
	}
	for _, l := range s.Substitutes() {
		item, err := ledger.ReadItem(r, l.Item)
		if err != nil {
			return m, err
		}
		line := &m.Lines[l.Line-1]
		line.Substitutes = append(line.Substitutes, pickup.NewSubstituteDocument(l, item))
	}
	if len(m.Lines) > messageLinesMax || size(m.Lines) > messageLinesLeftOutAbove {
		m.Lines, m.LinesLeftOut = []messageLine{}, true
	}
	return m, nil
}

func numberOrNull(n uint32) *uint32 {
	if n == 0 {
		return nil
	}
	return &n
}

// size is about how many bytes lines take; receivers may refuse large bodies.
func size(lines []messageLine) (bytes int) {
	for _, l := range lines {
		bytes += 100 + len(l.SKU)
		for _, other := range l.Substitutes {
			bytes += 70 + len(other.SKU)
			if other.Name != nil {
				bytes += len(*other.Name)
			}
		}
	}
	return bytes
}

// exceptionMessage is the data of exception.opened.
type exceptionMessage struct {
	ID     string   `json:"id"`
	Kind   string   `json:"kind"`
	Store  *string  `json:"store"`
	Refs   []string `json:"refs"`
	Detail string   `json:"detail"`
}

// tell makes the messages of what a transaction changed.
func (b *outbox) tell(r ledger.Reader, w *ledger.Watched) (list []Outgoing, err error) {
	parts, err := w.Parts()
	if err != nil {
		return nil, err
	}
	for _, told := range inOrder(parts) {
		at, err := b.happened(r, told.news.ID)
		if err != nil {
			return nil, err
		}
		data, err := newOrderMessage(r, told.store, &told.news)
		if err != nil {
			return nil, err
		}
		m, err := outgoing(messageIDPrefix+told.news.ID.String(), orderPrefix+told.news.Word, string(told.order), at, data)
		if err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	opened, err := w.Opened()
	if err != nil {
		return nil, err
	}
	for i := range opened {
		e := &opened[i]
		refs := []string{e.Subject}
		for _, id := range e.Events {
			refs = append(refs, id.String())
		}
		m, err := exceptionOpenedMessage(exceptionMessage{ID: e.ID(), Kind: e.Kind, Store: orNull(e.Store), Refs: refs, Detail: e.Detail()}, b.now())
		if err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	return list, nil
}

// exceptionOpenedMessage has an id that follows from the exception's, which
// follows from what broke the rule.
func exceptionOpenedMessage(data exceptionMessage, at time.Time) (Outgoing, error) {
	return outgoing(messageIDPrefix+data.ID, typeExceptionOpened, data.ID, at, data)
}

// happened is when an event happened, as its writer's clock had it.
func (b *outbox) happened(r ledger.Reader, id protocol.EventID) (time.Time, error) {
	record, ok, err := ledger.ReadEvent(r, id)
	if err != nil || !ok {
		return b.now(), err
	}
	return time.UnixMilli(record.WallMs), nil
}

// tellOfMachines tells of the exceptions that are not rows of the fold: names
// that two machines use, and quantities that differ. A note says which were told.
func (h *Hub) tellOfMachines(ctx context.Context) error {
	docs := h.ownWork()
	if len(docs) == 0 {
		return nil
	}
	posted := 0
	err := h.outbox.Driver.Update(ctx, func(tx ledger.Tx) error {
		var list []Outgoing
		for _, d := range docs {
			told, err := ledger.Note(tx, noteOutboxTold, d.ID)
			if err != nil {
				return err
			}
			if told != nil {
				continue
			}
			if err := ledger.SetNote(tx, []byte{1}, noteOutboxTold, d.ID); err != nil {
				return err
			}
			m, err := exceptionOpenedMessage(exceptionMessage{ID: d.ID, Kind: d.Kind, Store: orNull(d.Store), Refs: append([]string{}, d.Refs...), Detail: d.Detail}, h.now())
			if err != nil {
				return err
			}
			list = append(list, m)
		}
		posted = len(list)
		return h.outbox.post(tx, list)
	})
	if err == nil && posted > 0 {
		h.outbox.wake()
	}
	return err
}

// outboxStockName is the note of a level that moved, by store and SKU.
func outboxStockName(id string) (store protocol.StoreID, sku protocol.SKU) {
	s, k, _ := strings.Cut(strings.TrimPrefix(id, noteOutboxStock+"\x00"), "\x00")
	return protocol.StoreID(s), protocol.SKU(k)
}
