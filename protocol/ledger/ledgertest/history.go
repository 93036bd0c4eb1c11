package ledgertest

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// history is a set of streams of one store as a seed makes them: what two
// agents, a fork of the first, and the hub might have logged.
type history struct {
	rnd     *rand.Rand
	streams []*stream
	sold    []protocol.Sale // receipts that exist somewhere, with their agents
	agents  []protocol.AgentID
}

// stream is one log.
type stream struct {
	origin  protocol.Origin
	records []protocol.Record
	hashes  []protocol.Hash // hashes[i] is the chain's head before event i
	receipt uint64
}

func (s *stream) add(r protocol.Record) {
	s.records = append(s.records, r)
	s.hashes = append(s.hashes, s.hashes[len(s.hashes)-1].Next(r))
}

// hashBefore is the chain's head before the event at index i.
func (s *stream) hashBefore(i int) protocol.Hash { return s.hashes[i] }

const store = protocol.StoreID("s1")

// newHistory makes the history of a seed: four streams with about 10 to 60
// events together, which refer to each other as real ones do and break rules
// as real ones might.
func newHistory(seed uint64) *history { return newHistoryOf(seed, store, "a1", "a2", nil) }

// newHistoryOf is newHistory for a store with two agents, of which events may
// refer to what another one sold.
func newHistoryOf(seed uint64, store protocol.StoreID, first, second protocol.AgentID, other *history) *history {
	h := &history{rnd: rand.New(rand.NewPCG(seed, 0x636f756e746572))}
	if other != nil {
		h.sold, h.agents = slices.Clone(other.sold), slices.Clone(other.agents)
	}
	for i, agent := range []protocol.AgentID{first, second, first, protocol.HubAgent} {
		s := &stream{origin: protocol.Origin{Store: store, Agent: agent}}
		s.origin.Inc[0] = byte(i + 1)
		for j := 1; j < len(s.origin.Inc); j++ {
			s.origin.Inc[j] = byte(h.rnd.Uint32())
		}
		s.hashes = []protocol.Hash{s.origin.Genesis()}
		h.streams = append(h.streams, s)
	}
	for range 10 + h.rnd.IntN(50) {
		h.step()
	}
	return h
}

func (h *history) step() {
	switch h.rnd.IntN(28) {
	case 0, 1, 2, 3:
		h.sale(h.till())
	case 4, 5:
		h.reversal(h.till())
	case 6:
		h.movement(h.till())
	case 7:
		h.count(h.till())
	case 8:
		h.reissue()
	case 9:
		h.unknown(h.till())
	case 10:
		h.hub()
	case 11:
		h.poison(h.till())
	case 12:
		h.twin()
	case 13:
		h.order()
	case 14:
		h.fulfil(h.till())
	case 15:
		h.handle()
	case 16, 17:
		h.transfer()
	case 18, 19:
		h.takeBack(h.till())
	case 20, 21:
		h.points()
	case 22, 23:
		h.member()
	case 24, 25:
		h.cart()
	case 26, 27:
		h.contact()
	}
}

// till is one of the streams that store machines write.
func (h *history) till() *stream { return h.streams[h.rnd.IntN(3)] }

func (h *history) sku() protocol.SKU { return protocol.SKU(fmt.Sprintf("SKU %d", h.rnd.IntN(4))) }

func (h *history) quantity() protocol.Quantity { return protocol.Quantity(1+h.rnd.IntN(5)) * 500 }

func (h *history) log(s *stream, ev *protocol.Event) {
	body, err := protocol.EncodeEvent(ev)
	if err != nil {
		panic(fmt.Sprintf("history: %v", err))
	}
	s.add(protocol.Record{Clock: protocol.Clock{WallMs: int64(len(s.records)), MonoMs: 7}, Body: body})
}

func (h *history) sale(s *stream) {
	s.receipt++
	h.sell(s, fmt.Sprint(s.origin.Inc[0]), s.receipt)
}

// twin sells under a number that another sale of the same agent may bear, as a
// machine and its copy do.
func (h *history) twin() {
	parent, fork := h.streams[0], h.streams[2]
	if h.rnd.IntN(2) == 0 {
		parent, fork = fork, parent
	}
	h.sell(parent, fmt.Sprint(fork.origin.Inc[0]), 1+h.rnd.Uint64N(fork.receipt+1))
}

// sell logs a sale of random goods under a receipt number.
func (h *history) sell(s *stream, series string, number uint64) {
	sale := protocol.Sale{Type: protocol.SaleSale, Till: "1", Series: series, Number: number, BusinessDate: "2026-11-21", Currency: "GBP"}
	ev := &protocol.Event{Kind: protocol.KindSale, Sale: &sale}
	for range 1 + h.rnd.IntN(3) {
		l := protocol.SaleLine{Item: protocol.ItemRef{SKU: h.sku()}, Quantity: h.quantity(), UnitPrice: 100, Amount: 100}
		sale.Lines = append(sale.Lines, l)
		ev.Moves = append(ev.Moves, protocol.Move{SKU: l.Item.SKU, State: protocol.OnHand, Delta: -l.Quantity})
	}
	if h.rnd.IntN(4) == 0 {
		sale.External = &protocol.External{Source: "pos-x", ID: fmt.Sprint(h.rnd.IntN(3))}
	}
	h.log(s, ev)
	h.sold, h.agents = append(h.sold, sale), append(h.agents, s.origin.Agent)
}

// reversal returns or voids some receipt, whether or not enough is left of it
// and whichever stream sold it. Now and then it takes a return back.
func (h *history) reversal(s *stream) {
	if len(h.sold) == 0 {
		return
	}
	i := h.rnd.IntN(len(h.sold))
	original, line := h.sold[i], 0
	s.receipt++
	sale := protocol.Sale{
		Type: protocol.SaleReturn, Till: "1", Series: fmt.Sprint(s.origin.Inc[0]), Number: s.receipt, BusinessDate: "2026-11-21", Currency: "GBP",
		Original: original.ReceiptNo(h.agents[i]),
	}
	if h.rnd.IntN(3) == 0 {
		sale.Type = protocol.SaleVoid
	}
	line = h.rnd.IntN(len(original.Lines))
	q := h.quantity()
	if h.rnd.IntN(6) == 0 {
		q = -q
	}
	sale.Lines = []protocol.SaleLine{{Item: original.Lines[line].Item, Quantity: -q, UnitPrice: 100, Amount: -100, OriginalLine: uint32(line + 1)}}
	h.log(s, &protocol.Event{Kind: protocol.KindSale, Sale: &sale, Moves: []protocol.Move{{SKU: original.Lines[line].Item.SKU, State: protocol.OnHand, Delta: q}}})
}

func (h *history) movement(s *stream) {
	sku, q, state := h.sku(), h.quantity(), protocol.State(h.rnd.IntN(int(protocol.StateCount)))
	h.log(s, &protocol.Event{
		Kind:     protocol.KindMovement,
		Movement: &protocol.Movement{Type: protocol.Adjustment, Reason: "found", Lines: []protocol.MovementLine{{Item: protocol.ItemRef{SKU: sku}, Quantity: q, State: state}}},
		Moves:    []protocol.Move{{SKU: sku, State: state, Delta: q}},
	})
}

// count counts an item with a random view of the other streams, and one of
// them may notice that it was not seen.
func (h *history) count(s *stream) {
	sku := h.sku()
	m := &protocol.Movement{Type: protocol.Count, Lines: []protocol.MovementLine{{Item: protocol.ItemRef{SKU: sku}, Quantity: 3000, Book: 1000}}}
	for _, other := range h.streams[:3] {
		if other != s && len(other.records) > 0 {
			m.Seen = append(m.Seen, protocol.StreamPos{Inc: other.origin.Inc, Seq: protocol.Seq(1 + h.rnd.IntN(len(other.records)))})
		}
	}
	if h.rnd.IntN(3) == 0 {
		m.Load, m.LoadRows = "l-1", int64(h.rnd.IntN(5))
	}
	h.log(s, &protocol.Event{Kind: protocol.KindMovement, Movement: m, Moves: []protocol.Move{{SKU: sku, State: protocol.OnHand, Delta: 2000}}})
	other := h.till()
	if other != s && h.rnd.IntN(2) == 0 {
		id := protocol.EventID{Inc: s.origin.Inc, Seq: protocol.Seq(len(s.records))}
		h.log(other, &protocol.Event{Kind: protocol.KindCountSeen, CountSeen: &protocol.CountSeen{Count: id, SKUs: []protocol.SKU{sku}}})
	}
}

// reissue logs an event of the first agent's first stream again under its
// fork, sometimes with another body.
func (h *history) reissue() {
	parent, fork := h.streams[0], h.streams[2]
	if len(parent.records) == 0 {
		return
	}
	i := h.rnd.IntN(len(parent.records))
	rec := parent.records[i]
	if h.rnd.IntN(8) == 0 {
		rec.WallMs++
	}
	h.log(fork, &protocol.Event{Kind: protocol.KindReissue, Reissue: &protocol.Reissue{
		ID: protocol.EventID{Inc: parent.origin.Inc, Seq: protocol.Seq(i + 1)}, Record: rec,
	}})
}

func (h *history) unknown(s *stream) {
	h.log(s, &protocol.Event{Kind: "loyalty_of_a_later_version", Moves: []protocol.Move{{SKU: h.sku(), State: protocol.Staged, Delta: h.quantity()}}})
}

func (h *history) hub() {
	load := &protocol.StockLoad{ID: "l-1", First: int64(h.rnd.IntN(3)), Total: 6}
	for range 1 + h.rnd.IntN(3) {
		load.Rows = append(load.Rows, protocol.StockRow{SKU: h.sku(), OnHand: h.quantity()})
	}
	h.log(h.streams[3], &protocol.Event{Kind: protocol.KindStockLoad, StockLoad: load})
}

func (h *history) part() protocol.PartID {
	return protocol.PartID{Order: protocol.OrderID(fmt.Sprint("o-", h.rnd.IntN(2))), Part: 1 + h.rnd.Uint32N(2)}
}

// instead is what stands in the place of a line's own item, mostly nothing.
func (h *history) instead() protocol.SKU {
	if h.rnd.IntN(3) > 0 {
		return ""
	}
	return h.sku()
}

// whose is whose order it is, mostly nobody's.
func (h *history) whose() protocol.MemberID {
	if h.rnd.IntN(3) > 0 {
		return ""
	}
	return protocol.MemberID(fmt.Sprint("m-", h.rnd.IntN(3)))
}

// order places an order, sometimes again, or changes one that may never have
// been placed.
func (h *history) order() {
	id := h.part()
	if h.rnd.IntN(2) == 0 {
		changes := []protocol.Change{protocol.PaidOrder, protocol.CancelRequested, protocol.Canceled, protocol.Expired, protocol.Refunded, protocol.ReleasedGoods}
		h.log(h.streams[3], &protocol.Event{Kind: protocol.KindOrderChange, OrderChange: &protocol.OrderChange{
			PartID: id, Member: h.whose(), Change: changes[h.rnd.IntN(len(changes))], Lines: []protocol.PartLine{{Line: 1, Quantity: h.quantity(), Item: h.instead()}},
		}})
		return
	}
	line := protocol.OrderLine{Number: 1, Item: protocol.ItemRef{SKU: h.sku()}, Quantity: h.quantity()}
	h.log(h.streams[3], &protocol.Event{
		Kind: protocol.KindOrder, Order: &protocol.Order{PartID: id, Member: h.whose(), Method: protocol.InStore, Lines: []protocol.OrderLine{line}},
		Moves: []protocol.Move{{SKU: line.Item.SKU, State: protocol.Committed, Delta: line.Quantity}},
	})
}

// fulfil acts on a part that may not be known, after some act or none. Now and
// then it is a sale that hands over.
func (h *history) fulfil(s *stream) {
	acts := []protocol.Act{protocol.Accept, protocol.Reject, protocol.Pick, protocol.Ready, protocol.HandOver, protocol.PutBack, protocol.Undo, "polish"}
	f := &protocol.Fulfilment{PartID: h.part(), Member: h.whose(), Act: acts[h.rnd.IntN(len(acts))], Attempt: h.rnd.Uint32N(3), Lines: []protocol.PartLine{{Line: 1 + h.rnd.Uint32N(2), Quantity: h.quantity(), Item: h.instead()}}}
	if other := h.till(); len(other.records) > 0 && h.rnd.IntN(2) == 0 {
		f.After = protocol.EventID{Inc: other.origin.Inc, Seq: protocol.Seq(1 + h.rnd.IntN(len(other.records)))}
	}
	if h.rnd.IntN(5) > 0 {
		h.log(s, &protocol.Event{Kind: protocol.KindFulfilment, Fulfilment: f, Moves: []protocol.Move{{SKU: h.sku(), State: protocol.Staged, Delta: h.quantity()}}})
		return
	}
	s.receipt++
	h.log(s, &protocol.Event{Kind: protocol.KindSale, Sale: &protocol.Sale{
		Type: protocol.SaleSale, Till: "1", Series: fmt.Sprint(s.origin.Inc[0]), Number: s.receipt, Part: f.PartID,
		Lines: []protocol.SaleLine{{Item: protocol.ItemRef{SKU: h.sku()}, Quantity: h.quantity(), OriginalLine: 1}},
	}})
}

// takeBack returns goods against an order that may not be known, or not handed
// over yet.
func (h *history) takeBack(s *stream) {
	s.receipt++
	h.log(s, &protocol.Event{Kind: protocol.KindSale, Sale: &protocol.Sale{
		Type: protocol.SaleReturn, Till: "1", Series: fmt.Sprint(s.origin.Inc[0]), Number: s.receipt, ReturnedOrder: h.part().Order, Training: h.rnd.IntN(6) == 0,
		Lines: []protocol.SaleLine{{Item: protocol.ItemRef{SKU: h.sku()}, Quantity: -h.quantity(), OriginalLine: 1}},
	}})
}

// transfer sends goods off, tells of some that come, or receives them, whether
// or not anybody knows of the transfer. Some leave under the name of their event.
func (h *history) transfer() {
	id, sku, q := fmt.Sprint("t-", h.rnd.IntN(2)), h.sku(), h.quantity()
	line := []protocol.MovementLine{{Item: protocol.ItemRef{SKU: sku}, Quantity: q}}
	switch h.rnd.IntN(4) {
	case 0:
		m := &protocol.Movement{Type: protocol.TransferOut, ToStore: "s9", TransferID: id, Lines: line}
		if h.rnd.IntN(2) == 0 {
			m.TransferID = ""
		}
		h.log(h.till(), &protocol.Event{Kind: protocol.KindMovement, Movement: m, Moves: []protocol.Move{{SKU: sku, State: protocol.OnHand, Delta: -q}}})
	case 1:
		change := []protocol.TransferChange{protocol.TransferSent, protocol.TransferCorrected, "recalled"}[h.rnd.IntN(3)]
		h.log(h.streams[3], &protocol.Event{
			Kind: protocol.KindTransfer, Moves: []protocol.Move{{SKU: sku, State: protocol.Incoming, Delta: q}},
			Transfer: &protocol.Transfer{ID: id, From: "s8", Change: change, Lines: []protocol.TransferLine{{Item: line[0].Item, Quantity: q}}},
		})
	default:
		h.log(h.till(), &protocol.Event{
			Kind: protocol.KindMovement, Movement: &protocol.Movement{Type: protocol.TransferIn, TransferID: id, Lines: line},
			Moves: []protocol.Move{{SKU: sku, State: protocol.OnHand, Delta: q}, {SKU: sku, State: protocol.Incoming, Delta: -q}},
		})
	}
}

// accounts does to gift cards, store credit and offers what points does to points.
func (h *history) accounts(member protocol.MemberID, some protocol.Points) {
	anybody := h.streams[h.rnd.IntN(len(h.streams))]
	account := []protocol.MemberID{protocol.GiftCode("ABCD1234").Account("GBP"), protocol.NewCreditAccount("GBP", member), "o-" + member + "-07"}[h.rnd.IntN(3)]
	switch h.rnd.IntN(4) {
	case 0:
		changes := []protocol.LeaseChange{protocol.LeaseGranted, protocol.LeaseRecalled, protocol.LeaseCredited}
		h.log(anybody, &protocol.Event{Kind: protocol.KindLease, Lease: &protocol.Lease{
			Member: account, Holder: h.till().origin.Inc, Change: changes[h.rnd.IntN(len(changes))], Points: some,
		}})
	case 1:
		change := &protocol.AccountChange{Account: account, Change: []protocol.AccountReason{protocol.AccountIssued, protocol.AccountAdjusted, protocol.AccountExpired, "found"}[h.rnd.IntN(4)], Amount: 5 - some}
		if h.rnd.IntN(2) == 0 {
			change.Terms = &protocol.AccountTerms{Version: 1 + uint32(h.rnd.IntN(3)), Withdrawn: h.rnd.IntN(2) == 0}
			if h.rnd.IntN(3) > 0 {
				change.Terms.Offer = &protocol.Promotion{ID: "p", Zone: "offer", Kind: protocol.PercentOff, Rate: protocol.RatePPM(100_000 * h.rnd.IntN(6))}
			}
		}
		h.log(anybody, &protocol.Event{Kind: protocol.KindAccountChange, AccountChange: change})
	default:
		s := h.till()
		s.receipt++
		h.log(s, &protocol.Event{Kind: protocol.KindSale, Sale: &protocol.Sale{
			Type: protocol.SaleSale, Till: "1", Series: fmt.Sprint(s.origin.Inc[0]), Number: s.receipt, Training: h.rnd.IntN(6) == 0,
			Lines: []protocol.SaleLine{{
				Item: protocol.ItemRef{SKU: h.sku()}, Quantity: h.quantity(), Amount: 70, Discounts: []protocol.Discount{{Type: "promotion", ID: string(account), Amount: 30}},
			}},
			Accounts: []protocol.AccountEntry{{Account: account, Amount: protocol.Points(h.rnd.IntN(9) - 5)}, {Account: account, Amount: some, Line: 1}},
		}})
	}
}

// points earns or redeems points at a till, or says something of a lease or an
// account, whoever may say so. More may be spent than was granted.
func (h *history) points() {
	member, some := protocol.MemberID(fmt.Sprint("m-", h.rnd.IntN(people))), protocol.Points(1+h.rnd.IntN(9))
	anybody := h.streams[h.rnd.IntN(len(h.streams))]
	if h.rnd.IntN(3) == 0 {
		h.accounts(member, some)
		return
	}
	switch h.rnd.IntN(5) {
	case 0:
		changes := []protocol.LeaseChange{protocol.LeaseGranted, protocol.LeaseGranted, protocol.LeaseRecalled, protocol.LeaseCredited, protocol.LeaseSettled, "frozen"}
		h.log(anybody, &protocol.Event{Kind: protocol.KindLease, Lease: &protocol.Lease{
			Member: member, Holder: h.till().origin.Inc, Change: changes[h.rnd.IntN(len(changes))], Points: some,
		}})
	case 1:
		h.log(anybody, &protocol.Event{Kind: protocol.KindLease, Lease: &protocol.Lease{Member: member, Holder: anybody.origin.Inc, Change: protocol.LeaseClosed, Points: some, Recalls: uint32(some % 3)}})
	case 2:
		change := []protocol.PointsReason{protocol.PointsAdjusted, protocol.PointsExpired, "found"}[h.rnd.IntN(3)]
		h.log(anybody, &protocol.Event{Kind: protocol.KindPointsChange, PointsChange: &protocol.PointsChange{Member: member, Change: change, Points: 5 - some}})
	default:
		s := h.till()
		s.receipt++
		redeemed := protocol.Points(h.rnd.IntN(7) - 2)
		h.log(s, &protocol.Event{Kind: protocol.KindSale, Sale: &protocol.Sale{
			Type: protocol.SaleSale, Till: "1", Series: fmt.Sprint(s.origin.Inc[0]), Number: s.receipt, Member: member, Training: h.rnd.IntN(6) == 0,
			Lines:        []protocol.SaleLine{{Item: protocol.ItemRef{SKU: h.sku()}, Quantity: h.quantity(), Points: some}},
			PointsEarned: some, PointsRedeemed: redeemed, PointsAtRisk: protocol.Points(h.rnd.IntN(int(max(0, redeemed)) + 1)), Programme: "2026-01-01",
		}})
	}
}

// people are how many members a history has.
const people = 4

// member enrols somebody, or changes what is known, whoever may. Cards and phone
// numbers are few, so that several bear one.
func (h *history) member() {
	m := &protocol.Member{
		ID: protocol.MemberID(fmt.Sprint("m-", h.rnd.IntN(people))), Version: 1 + h.rnd.Uint32N(5), Status: protocol.MemberActive, Sealed: []byte{1, byte(h.rnd.Uint32())},
	}
	if h.rnd.IntN(3) > 0 {
		m.Card = fmt.Sprint("card ", h.rnd.IntN(2))
	}
	if h.rnd.IntN(3) > 0 {
		m.PhoneSum[0], m.EmailSum[0] = byte(h.rnd.IntN(3)), byte(h.rnd.IntN(2))
	}
	m.HomeStore = []protocol.StoreID{"", "s1", "s2"}[h.rnd.IntN(3)]
	statuses := []protocol.MemberStatus{protocol.MemberActive, protocol.MemberTemporary, protocol.MemberMerged, protocol.MemberErased}
	if h.rnd.IntN(2) == 0 {
		m.Status = statuses[h.rnd.IntN(len(statuses))]
	}
	if m.Status == protocol.MemberMerged {
		// It may be nobody's to write, and name the wrong one, or itself.
		m.Version, m.Into = 2+h.rnd.Uint32N(4), protocol.MemberID(fmt.Sprint("m-", h.rnd.IntN(people)))
		h.log(h.streams[3], &protocol.Event{Kind: protocol.KindMember, Member: m})
		return
	}
	if h.rnd.IntN(4) == 0 {
		m.CardShared = fmt.Sprint("card ", h.rnd.IntN(2))
	}
	if h.rnd.IntN(4) == 0 {
		m.DuplicateOf = protocol.MemberID(fmt.Sprint("m-", h.rnd.IntN(people)))
	}
	s := h.streams[h.rnd.IntN(len(h.streams))]
	if m.Version > 1 && h.rnd.IntN(2) == 0 {
		s = h.streams[3]
	}
	h.log(s, &protocol.Event{Kind: protocol.KindMember, Member: m})
}

// cart changes what is in somebody's cart, mostly in the hub's stream. Names of
// operations and items are few, so that operations repeat and replace each other.
func (h *history) cart() {
	s := h.streams[3]
	if h.rnd.IntN(8) == 0 {
		s = h.till()
	}
	ops := []protocol.CartOp{protocol.CartAdd, protocol.CartSet, protocol.CartSold, protocol.CartTidy, "lend"}
	c := &protocol.Cart{
		Member: protocol.MemberID(fmt.Sprint("m-", h.rnd.IntN(2))), Op: ops[h.rnd.IntN(len(ops))], OpID: fmt.Sprint("op ", h.rnd.IntN(6)),
		Request: h.rnd.Uint64N(2), Whole: h.rnd.IntN(6) == 0,
	}
	for i := range h.rnd.IntN(4) {
		l := protocol.CartLine{SKU: protocol.SKU(fmt.Sprint("SKU ", i)), Quantity: h.quantity(), Set: h.rnd.IntN(3) == 0, AddedMs: h.rnd.Int64N(3)}
		if l.Noted = h.rnd.IntN(3) == 0; l.Noted && h.rnd.IntN(2) == 0 {
			l.Note = []byte{byte(h.rnd.Uint32())}
		}
		if !l.Set && h.rnd.IntN(3) == 0 {
			l.Quantity = -l.Quantity
		}
		c.Lines = append(c.Lines, l)
	}
	h.log(s, &protocol.Event{Kind: protocol.KindCart, Cart: c})
}

// contact writes down what somebody said, or that an entry is done with which may
// come later or never.
func (h *history) contact() {
	s := h.streams[h.rnd.IntN(len(h.streams))]
	c := &protocol.Contact{
		Member: protocol.MemberID(fmt.Sprint("m-", h.rnd.IntN(3))), Channel: "phone", Kind: "question", Sealed: []byte{byte(h.rnd.Uint32())}, Open: h.rnd.IntN(2) == 0,
	}
	if h.rnd.IntN(2) == 0 {
		of := h.streams[h.rnd.IntN(len(h.streams))]
		c.Closes, c.ClosesAtMs = protocol.EventID{Inc: of.origin.Inc, Seq: protocol.Seq(1 + h.rnd.IntN(len(of.records)+2))}, int64(h.rnd.IntN(len(of.records)+2))
	}
	h.log(s, &protocol.Event{Kind: protocol.KindContact, Contact: c})
}

// handle does something about a rule that may be broken or not, naming some
// events and following some change or none. Any stream may do so, the hub's too.
func (h *history) handle() {
	kinds, subjects := []string{"over_return", "void_and_return", "transfer_differs"}, []string{"a1-1-1-1", "a1-1-1-2", "a2-1-2-1", "s1 t-0"}
	x := &protocol.ExceptionChange{
		Kind: kinds[h.rnd.IntN(len(kinds))], Subject: subjects[h.rnd.IntN(len(subjects))], Change: protocol.Resolve,
		Staff: "s7", Reason: fmt.Sprint("reason ", h.rnd.IntN(2)), Times: h.rnd.Uint64N(2),
	}
	if h.rnd.IntN(3) == 0 {
		x.Change = protocol.Assign
	}
	for _, s := range h.streams {
		if len(s.records) > 0 && h.rnd.IntN(2) == 0 {
			x.Events = append(x.Events, protocol.EventID{Inc: s.origin.Inc, Seq: protocol.Seq(1 + h.rnd.IntN(len(s.records)))})
		}
	}
	if len(x.Events) > 0 && h.rnd.IntN(2) == 0 {
		x.After = x.Events[0]
	}
	h.log(h.streams[h.rnd.IntN(len(h.streams))], &protocol.Event{Kind: protocol.KindExceptionChange, ExceptionChange: x})
}

func (h *history) poison(s *stream) {
	junk := make([]byte, 1+h.rnd.IntN(40))
	for i := range junk {
		junk[i] = byte(h.rnd.Uint32())
	}
	s.add(protocol.Record{Body: junk})
}

// inOrder is the plainest delivery: stream after stream, each at once.
func (h *history) inOrder() []ledger.Batch {
	var list []ledger.Batch
	for _, s := range h.streams {
		if len(s.records) > 0 {
			list = append(list, ledger.Batch{Origin: s.origin, First: 1, Prev: s.origin.Genesis(), Records: s.records})
		}
	}
	return list
}

// shuffled is a delivery as a bad network makes it: streams interleaved, cut
// into batches anywhere, with parts sent again.
func (h *history) shuffled() []ledger.Batch {
	var list []ledger.Batch
	next := make([]int, len(h.streams))
	for {
		var open []int
		for i, s := range h.streams {
			if next[i] < len(s.records) {
				open = append(open, i)
			}
		}
		if len(open) == 0 {
			return list
		}
		i := open[h.rnd.IntN(len(open))]
		s := h.streams[i]
		from := next[i] - h.rnd.IntN(next[i]+1)*h.rnd.IntN(2)
		to := next[i] + 1 + h.rnd.IntN(len(s.records)-next[i])
		if h.rnd.IntN(5) == 0 {
			to = max(from+1, next[i]) // nothing new at all
		}
		list = append(list, ledger.Batch{Origin: s.origin, First: protocol.Seq(from + 1), Prev: s.hashBefore(from), Records: s.records[from:to]})
		next[i] = max(next[i], to)
	}
}
