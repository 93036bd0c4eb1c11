package till

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/sale"
	"counterpart/protocol/stock"
)

// logged is an event as it stands in the log.
type logged struct {
	id      protocol.EventID
	clock   protocol.Clock
	event   *protocol.Event
	reissue bool // logged again after a fork; id and event are the original's
}

// decodeLogged reads an event. Of one that was logged again after a fork it
// reads the original.
func decodeLogged(id protocol.EventID, rec protocol.Record) (logged, error) {
	e := logged{id: id, clock: rec.Clock}
	var err error
	if e.event, err = protocol.DecodeEvent(rec.Body); err != nil {
		return e, fmt.Errorf("event %s: %w", id, err)
	}
	if again := e.event.Reissue; again != nil {
		e.id, e.clock, e.reissue = again.ID, again.Record.Clock, true
		if e.event, err = protocol.DecodeEvent(again.Record.Body); err != nil {
			return e, fmt.Errorf("event %s: %w", again.ID, err)
		}
	}
	return e, nil
}

// readLogged reads an event by its id; ok is false where it is not here.
func readLogged(r ledger.Reader, id protocol.EventID) (e logged, ok bool, err error) {
	rec, ok, err := ledger.ReadEvent(r, id)
	if err != nil || !ok {
		return e, false, err
	}
	e, err = decodeLogged(id, rec)
	return e, err == nil, err
}

// originOf finds whose stream of this store an inc is.
func (t *Till) originOf(r ledger.Reader, inc protocol.Inc) (protocol.Origin, error) {
	if inc == t.origin().Inc {
		return t.origin(), nil
	}
	streams, err := ledger.Streams(r, t.origin().Store, "")
	if err != nil {
		return protocol.Origin{}, err
	}
	for _, s := range streams {
		if s.Origin.Inc == inc {
			return s.Origin, nil
		}
	}
	return protocol.Origin{}, fmt.Errorf("stream %s is not one of store %s", inc, t.origin().Store)
}

// saleDocument shows a logged receipt as things stand now: with what came back
// of it since, and under the names of today's catalogue.
func (t *Till) saleDocument(r ledger.Reader, e logged) (sale.Document, error) {
	origin, err := t.originOf(r, e.id.Inc)
	if err != nil {
		return sale.Document{}, err
	}
	s := e.event.Sale
	receipt, err := ledger.ReadReceipt(r, s.ReceiptNo(origin.Agent))
	if err != nil {
		return sale.Document{}, err
	}
	skus := make([]protocol.SKU, len(s.Lines))
	for i, l := range s.Lines {
		skus[i] = l.Item.SKU
	}
	items, err := ledger.ReadItems(r, skus)
	if err != nil {
		return sale.Document{}, err
	}
	lines := make([]sale.Resolved, len(items))
	for i := range items {
		lines[i].Item = items[i]
	}
	return sale.NewDocument(sale.Meta{
		EventID: e.id, Inc: e.id.Inc, Seq: e.id.Seq, Store: origin.Store, Agent: origin.Agent,
		At:       displayRecord(e.clock, e.event.UTCOffsetMin),
		Returned: receipt.Returned, Voided: receipt.Voided(), Item: itemsOf(lines),
	}, s), nil
}

// movementDocument shows a logged movement with what is on hand now.
func (t *Till) movementDocument(r ledger.Reader, e logged) (stock.MovementDocument, error) {
	origin, err := t.originOf(r, e.id.Inc)
	if err != nil {
		return stock.MovementDocument{}, err
	}
	m := e.event.Movement
	skus := make([]protocol.SKU, len(m.Lines))
	for i, l := range m.Lines {
		skus[i] = l.Item.SKU
	}
	items, err := ledger.ReadItems(r, skus)
	if err != nil {
		return stock.MovementDocument{}, err
	}
	levels, err := ledger.ReadLevels(r, origin.Store, skus)
	if err != nil {
		return stock.MovementDocument{}, err
	}
	known := make(map[protocol.SKU]*protocol.Item, len(items))
	onHand := make([]protocol.Quantity, len(levels))
	for i := range skus {
		known[skus[i]], onHand[i] = items[i], levels[i].OnHand()
	}
	doc := stock.NewMovementDocument(stock.MovementMeta{
		EventID: e.id, Inc: e.id.Inc, Seq: e.id.Seq, Store: origin.Store, Agent: origin.Agent,
		At: displayRecord(e.clock, e.event.UTCOffsetMin), OnHand: onHand,
		Item: func(sku protocol.SKU) *protocol.Item { return known[sku] },
	}, m)
	if m.Type == protocol.TransferIn {
		warnings, err := transferWarning(r, ledger.TransferAt{Store: origin.Store, ID: m.TransferID})
		if err != nil {
			return doc, err
		}
		doc.Warnings = append(doc.Warnings, warnings...)
	}
	return doc, nil
}

// Sale is the document of a receipt of this store: not_found where it is not
// here.
func (t *Till) Sale(ctx context.Context, no protocol.ReceiptNo) (sale.Document, error) {
	var doc sale.Document
	err := t.o.Driver.View(ctx, func(r ledger.Reader) error {
		receipt, err := ledger.ReadReceipt(r, no)
		if err != nil {
			return err
		}
		if !receipt.Known() {
			return errNoReceipt(no, "")
		}
		e, ok, err := readLogged(r, receipt.Event)
		if err != nil {
			return err
		}
		if !ok || e.event.Sale == nil {
			return protocol.Refuse(protocol.NotFound, "Receipt "+string(no)+" is known, but what is on it is no longer kept on this machine. Look it up at head office.").
				With("receipt_no", string(no))
		}
		doc, err = t.saleDocument(r, e)
		return err
	})
	return doc, err
}

// EventDocument is one event of this machine's own stream for those who
// follow it.
type EventDocument struct {
	Seq  protocol.Seq
	Name string // sale, return, void, movement or order
	Data []byte // the JSON of its document
}

// EventsAfter lists events of this machine's own stream above seq in their
// order, at most about limit. Events that nobody shows are left out; one that
// has two documents comes twice.
func (t *Till) EventsAfter(ctx context.Context, seq protocol.Seq, limit int) ([]EventDocument, error) {
	docs := []EventDocument{}
	if limit <= 0 {
		return docs, nil
	}
	err := t.o.Driver.View(ctx, func(r ledger.Reader) error {
		return ledger.ScanEvents(r, t.origin().Inc, seq+1, func(at protocol.Seq, _ protocol.Hash, rec protocol.Record) (bool, error) {
			found, err := t.eventDocuments(r, at, rec)
			docs = append(docs, found...)
			return err == nil && len(docs) < limit, err
		})
	})
	return docs, err
}

// eventDocuments are what an event shows: a sale that hands over an order is
// told as both.
func (t *Till) eventDocuments(r ledger.Reader, at protocol.Seq, rec protocol.Record) (docs []EventDocument, err error) {
	e, err := decodeLogged(protocol.EventID{Inc: t.origin().Inc, Seq: at}, rec)
	if err != nil || e.reissue { // what was logged again was told the first time
		return nil, err
	}
	show := func(name string, document any, err error) error {
		if err != nil {
			return err
		}
		data, err := json.Marshal(document)
		docs = append(docs, EventDocument{Seq: at, Name: name, Data: data})
		return err
	}
	if id := ledger.PartOf(e.event); id.Part != 0 {
		order, err := t.orderNow(r, id.Order)
		if err := show("order", order, err); err != nil {
			return nil, err
		}
	}
	switch {
	case e.event.Sale != nil:
		receipt, err := t.saleDocument(r, e)
		return docs, show(string(e.event.Sale.Type), receipt, err)
	case e.event.Movement != nil:
		movement, err := t.movementDocument(r, e)
		return docs, show(string(protocol.KindMovement), movement, err)
	}
	return docs, nil
}

// lastSalesStep is how many events a look back begins with.
const lastSalesStep = 64

// LastSales lists the last n receipts of this machine, the newest first.
func (t *Till) LastSales(ctx context.Context, n int) ([]sale.Document, error) {
	docs := []sale.Document{}
	if n <= 0 {
		return docs, nil
	}
	err := t.o.Driver.View(ctx, func(r ledger.Reader) error {
		stream, err := ledger.ReadStream(r, t.origin())
		if err != nil {
			return err
		}
		end, step := stream.Seq, protocol.Seq(max(n, lastSalesStep))
		for end > 0 && len(docs) < n {
			first := protocol.Seq(1)
			if end > step {
				first = end - step + 1
			}
			found, err := t.receiptsBetween(r, first, end)
			if err != nil {
				return err
			}
			for _, e := range found[:min(len(found), n-len(docs))] {
				doc, err := t.saleDocument(r, e)
				if err != nil {
					return err
				}
				docs = append(docs, doc)
			}
			end, step = first-1, step*2
		}
		return nil
	})
	return docs, err
}

// receiptsBetween lists the receipts among events of the own stream, the
// newest first.
func (t *Till) receiptsBetween(r ledger.Reader, first, last protocol.Seq) ([]logged, error) {
	var found []logged
	err := ledger.ScanEvents(r, t.origin().Inc, first, func(at protocol.Seq, _ protocol.Hash, rec protocol.Record) (bool, error) {
		if at > last {
			return false, nil
		}
		e, err := decodeLogged(protocol.EventID{Inc: t.origin().Inc, Seq: at}, rec)
		if err == nil && e.event.Sale != nil && !e.reissue {
			found = append(found, e)
		}
		return err == nil, err
	})
	slices.Reverse(found)
	return found, err
}
