package hub

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"slices"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/sale"
)

// SalesQuery asks for receipts. Empty members do not narrow it; dates are
// business dates, both included.
type SalesQuery struct {
	Store    protocol.StoreID
	From, To string
}

func (q *SalesQuery) wants(s *protocol.Sale) bool {
	return s != nil && !s.Training && (q.From == "" || s.BusinessDate >= q.From) && (q.To == "" || s.BusinessDate <= q.To)
}

// Sales hands each receipt to each, in the order of agent, inc and seq. An
// event that two streams logged is listed once. No view is held while each
// runs, since whoever reads the listing may be slow.
func (h *Hub) Sales(ctx context.Context, q SalesQuery, each func(any) error) error {
	var streams []ledger.StreamInfo
	err := h.view(ctx, func(r ledger.Reader) (err error) {
		if q.Store == "" {
			streams, err = ledger.AllStreams(r)
			return err
		}
		if err := knownStore(r, q.Store); err != nil {
			return err
		}
		streams, err = ledger.Streams(r, q.Store, "")
		return err
	})
	if err != nil {
		return err
	}
	streams = slices.DeleteFunc(streams, func(s ledger.StreamInfo) bool { return s.Origin.Agent == protocol.HubAgent })
	slices.SortFunc(streams, func(a, b ledger.StreamInfo) int {
		return cmp.Or(cmp.Compare(a.Origin.Agent, b.Origin.Agent), bytes.Compare(a.Origin.Inc[:], b.Origin.Inc[:]))
	})
	reissued := map[reissue]bool{}
	for _, s := range streams {
		for next := protocol.Seq(1); next <= s.Seq; {
			page := salesPage{query: &q, origin: s.Origin, reissued: reissued, next: next}
			if err := h.view(ctx, page.read); err != nil {
				return err
			}
			for _, doc := range page.documents {
				if err := each(doc); err != nil {
					return err
				}
			}
			if page.next == next {
				break // The rest of the stream is not here.
			}
			next = page.next
		}
	}
	return nil
}

// reissue is an event that was logged again after a fork. Two bodies under one
// id both count, as they do in the fold.
type reissue struct {
	id   protocol.EventID
	body protocol.Hash
}

// salesPage reads the receipts of some consecutive events of one stream.
type salesPage struct {
	query     *SalesQuery
	origin    protocol.Origin
	next      protocol.Seq // the first event to read, and in the end the first not read
	reissued  map[reissue]bool
	documents []sale.Document
}

func (p *salesPage) read(r ledger.Reader) error {
	first := p.next
	return ledger.ScanEvents(r, p.origin.Inc, first, func(seq protocol.Seq, _ protocol.Hash, record protocol.Record) (bool, error) {
		p.next = seq + 1
		found, err := p.receipt(r, seq, record)
		if err != nil {
			return false, err
		}
		if found != nil && p.query.wants(found.event.Sale) {
			doc, err := found.document(r)
			if err != nil {
				return false, err
			}
			p.documents = append(p.documents, doc)
		}
		return p.next-first < scanPage, nil
	})
}

// loggedSale is a receipt with where it is logged.
type loggedSale struct {
	id     protocol.EventID // under which it counts
	at     protocol.Seq
	origin protocol.Origin
	record protocol.Record
	event  *protocol.Event
}

// receipt decodes one event; nil where it is no receipt, cannot be read, or is
// listed already from where it was logged first.
func (p *salesPage) receipt(r ledger.Reader, seq protocol.Seq, record protocol.Record) (*loggedSale, error) {
	found := &loggedSale{id: protocol.EventID{Inc: p.origin.Inc, Seq: seq}, at: seq, origin: p.origin, record: record}
	var err error
	if found.event, err = protocol.DecodeEvent(record.Body); err != nil {
		return nil, nil // A dead letter: stored, counted, never folded.
	}
	again := found.event.Reissue
	if again == nil {
		return found, nil
	}
	found.id, found.record = again.ID, again.Record
	if found.event, err = protocol.DecodeEvent(again.Record.Body); err != nil || found.event.Sale == nil {
		return nil, nil
	}
	whole := again.Record.AppendTo(nil)
	original, ok, err := ledger.ReadRecord(r, again.ID)
	if err != nil || ok && bytes.Equal(original.AppendTo(nil), whole) {
		return nil, err
	}
	key := reissue{again.ID, sha256.Sum256(whole)}
	if p.reissued[key] {
		return nil, nil
	}
	p.reissued[key] = true
	return found, nil
}

// document shows a receipt with what came back of it since.
func (l *loggedSale) document(r ledger.Reader) (sale.Document, error) {
	s := l.event.Sale
	receipt, err := ledger.ReadReceipt(r, s.ReceiptNo(l.origin.Agent))
	if err != nil {
		return sale.Document{}, err
	}
	items, err := itemsOf(r, s)
	if err != nil {
		return sale.Document{}, err
	}
	meta := sale.Meta{
		EventID: l.id, Inc: l.origin.Inc, Seq: l.at, Store: l.origin.Store, Agent: l.origin.Agent,
		At: time.UnixMilli(l.record.WallMs).In(time.FixedZone("", int(l.event.UTCOffsetMin)*60)).Format(protocol.TimeLayout),
		Item: func(sku protocol.SKU) (name, gtin string, ok bool) {
			it := items[sku]
			if it == nil {
				return "", "", false
			}
			return it.Name, it.GTIN, true
		},
	}
	if receipt.Event == l.id && s.Type == protocol.SaleSale {
		meta.Returned, meta.Voided = receipt.Returned, receipt.Voided()
	}
	return sale.NewDocument(meta, s), nil
}

func itemsOf(r ledger.Reader, s *protocol.Sale) (map[protocol.SKU]*protocol.Item, error) {
	skus := make([]protocol.SKU, len(s.Lines))
	for i := range s.Lines {
		skus[i] = s.Lines[i].Item.SKU
	}
	list, err := ledger.ReadItems(r, skus)
	if err != nil {
		return nil, err
	}
	items := make(map[protocol.SKU]*protocol.Item, len(list))
	for i, it := range list {
		items[skus[i]] = it
	}
	return items, nil
}

// Sale finds a receipt by its number.
func (h *Hub) Sale(ctx context.Context, no protocol.ReceiptNo) (sale.Document, error) {
	var doc sale.Document
	err := h.view(ctx, func(r ledger.Reader) error {
		receipt, err := ledger.ReadReceipt(r, no)
		if err != nil {
			return err
		}
		if !receipt.Known() {
			return protocol.Refuse(protocol.NotFound, "The hub has no receipt "+clip(string(no))+". It may still be on its way from the store. Check the number, or ask again later.")
		}
		found, err := findEvent(r, receipt)
		if err != nil {
			return err
		}
		doc, err = found.document(r)
		return err
	})
	return doc, err
}

// findEvent reads the event of a receipt from where it was logged first or,
// where that part of its stream was lost, from where it was logged again.
func findEvent(r ledger.Reader, receipt *ledger.Receipt) (*loggedSale, error) {
	streams, err := ledger.Streams(r, receipt.Store, receipt.Agent)
	if err != nil {
		return nil, err
	}
	for _, s := range streams {
		if s.Origin.Inc != receipt.Event.Inc {
			continue
		}
		record, ok, err := ledger.ReadRecord(r, receipt.Event)
		if err != nil {
			return nil, err
		}
		if ok {
			page := salesPage{origin: s.Origin}
			return page.receipt(r, receipt.Event.Seq, record)
		}
	}
	for _, s := range streams {
		var found *loggedSale
		page := salesPage{origin: s.Origin, reissued: map[reissue]bool{}}
		err := ledger.ScanEvents(r, s.Origin.Inc, 1, func(seq protocol.Seq, _ protocol.Hash, record protocol.Record) (bool, error) {
			l, err := page.receipt(r, seq, record)
			if l != nil && l.id == receipt.Event && l.event.Sale != nil {
				found = l
			}
			return found == nil, err
		})
		if err != nil || found != nil {
			return found, err
		}
	}
	return nil, protocol.AsError(errLostReceipt)
}
