package pickup_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/pickup"
)

// logged is an event of a history, as a ledger would have it.
type logged struct {
	id      protocol.EventID
	event   *protocol.Event
	body    []byte
	receipt protocol.ReceiptNo
}

// A history is one part of an order in the hands of a hub and two machines of a
// store, each of which has folded some of the events.
type history struct {
	t      *testing.T
	rng    *rand.Rand
	events []logged
	seen   [writers]map[int]bool // by writer: which of the events it has folded
	seqs   [writers]protocol.Seq
	done   map[protocol.Act]int
	// instead counts the substitutes that were handed over.
	instead int
}

const (
	hub = iota
	first
	second
	writers
)

var partID = protocol.PartID{Order: protocol.NewOrderID(protocol.EventID{Inc: protocol.Inc{9}, Seq: 1}), Part: 1}

func newHistory(t *testing.T, seed uint64) *history {
	h := &history{t: t, rng: rand.New(rand.NewPCG(seed, 4)), done: map[protocol.Act]int{}}
	for i := range h.seen {
		h.seen[i] = map[int]bool{}
	}
	order := &protocol.Order{PartID: partID, Method: protocol.InStore, Paid: h.rng.IntN(2) == 0, Substitutes: seed%2 == 1}
	if h.rng.IntN(2) == 0 {
		order.Sourcing = pickup.SourcingNearest
	}
	if h.rng.IntN(2) == 0 {
		order.Method = protocol.ShipFromStore
	}
	var moves []protocol.Move
	for i := range 1 + h.rng.IntN(3) {
		sku, q := protocol.SKU(fmt.Sprint("item-", i%2)), protocol.Quantity(1000*(1+h.rng.IntN(3)))
		order.Lines = append(order.Lines, protocol.OrderLine{Number: uint32(i + 1), Item: protocol.ItemRef{SKU: sku}, Quantity: q})
		moves = append(moves, protocol.Move{SKU: sku, State: protocol.Committed, Delta: q})
	}
	h.log(hub, &protocol.Event{Kind: protocol.KindOrder, Order: order, Moves: moves}, "")
	return h
}

func (h *history) log(writer int, ev *protocol.Event, receipt protocol.ReceiptNo) {
	h.t.Helper()
	body, err := protocol.EncodeEvent(ev)
	if err != nil {
		h.t.Fatal(err)
	}
	h.seqs[writer]++
	h.seen[writer][len(h.events)] = true
	h.events = append(h.events, logged{protocol.EventID{Inc: protocol.Inc{byte(writer + 1)}, Seq: h.seqs[writer]}, ev, body, receipt})
}

// part folds the events of some indices in the order given.
func (h *history) part(order []int) *pickup.Part {
	p := &pickup.Part{}
	for _, i := range order {
		e := &h.events[i]
		p.Add(e.id, e.event, e.body, e.receipt)
	}
	return p
}

// view is the part as a writer knows it.
func (h *history) view(writer int) *pickup.Part {
	var order []int
	for i := range h.events {
		if h.seen[writer][i] {
			order = append(order, i)
		}
	}
	return h.part(order)
}

// step lets somebody learn or do something at random.
func (h *history) step() {
	writer := h.rng.IntN(writers)
	if h.rng.IntN(3) > 0 { // A writer's events arrive in their order; the hub's and the store's do not wait for each other.
		other := h.rng.IntN(writers)
		for i := range h.events {
			if h.events[i].id.Inc[0] == byte(other+1) && !h.seen[writer][i] {
				h.seen[writer][i] = true
				break
			}
		}
	}
	s := h.view(writer).State()
	if writer == hub {
		h.hubActs(&s)
		return
	}
	h.staffAct(writer, &s)
}

func (h *history) hubActs(s *pickup.State) {
	switch h.rng.IntN(20) {
	case 2:
		if s.Hub < pickup.CancelRequested && s.Store != pickup.PickedUp {
			h.change(s, protocol.OrderChange{PartID: partID, Change: protocol.Withdrawn})
		}
	case 0:
		if s.Hub < pickup.CancelRequested && s.Store != pickup.PickedUp {
			h.change(s, protocol.OrderChange{PartID: partID, Change: protocol.CancelRequested})
		}
	case 1:
		if s.Hub < pickup.CancelRequested && s.Store != pickup.PickedUp {
			h.change(s, protocol.OrderChange{PartID: partID, Change: protocol.Expired})
		}
	}
	if h.rng.IntN(20) == 0 && !s.Paid && s.Hub < pickup.CancelRequested {
		h.change(s, protocol.OrderChange{PartID: partID, Change: protocol.PaidOrder})
	}
	h.pay(s)
}

// pay logs what the hub owes.
func (h *history) pay(s *pickup.State) {
	for _, owed := range s.Owed() {
		h.change(s, owed)
	}
	if lines := s.Homeless(); len(lines) > 0 {
		change := protocol.OrderChange{PartID: partID, Change: protocol.Unplaced, Lines: lines}
		if h.rng.IntN(2) == 0 {
			change.Change, change.Instead = protocol.Rerouted, 2
		}
		h.change(s, change)
	}
	for _, reason := range s.RefundsDue() {
		if h.rng.IntN(2) == 0 {
			h.change(s, protocol.OrderChange{PartID: partID, Change: protocol.Refunded, Reason: reason})
		}
	}
}

func (h *history) change(s *pickup.State, c protocol.OrderChange) {
	h.log(hub, &protocol.Event{Kind: protocol.KindOrderChange, OrderChange: &c, Moves: s.Moves(&c)}, "")
}

var acts = []protocol.Act{
	protocol.Accept, protocol.Reject, protocol.Pick, protocol.Pick, protocol.Ready, protocol.Arrive, protocol.HandOver, protocol.PutBack, protocol.Undo,
}

func (h *history) staffAct(writer int, s *pickup.State) {
	ask := pickup.Ask{Act: acts[h.rng.IntN(len(acts))], Staff: protocol.StaffID(fmt.Sprint("s", writer))}
	if ask.Act == protocol.Pick && s.Order != nil && h.rng.IntN(4) > 0 {
		for i, q := range s.Committed {
			got := protocol.Quantity(h.rng.Int64N(int64(max(q, 0))/1000+1)) * 1000
			if h.rng.IntN(2) == 0 {
				ask.Lines = append(ask.Lines, protocol.PartLine{Line: uint32(i + 1), Quantity: got})
			} else {
				ask.Lines = append(ask.Lines, protocol.PartLine{Line: uint32(i + 1), Quantity: max(q, 0)})
			}
			if left := q - ask.Lines[len(ask.Lines)-1].Quantity; s.Order.Substitutes && left > 0 {
				// Two of the items are what other lines ordered.
				other := protocol.SKU(fmt.Sprint("item-", (i+1+h.rng.IntN(2))%4))
				ask.Lines = append(ask.Lines, protocol.PartLine{Line: uint32(i + 1), Quantity: left, Item: other})
			}
		}
	}
	f, moves, err := s.Plan(ask, func(protocol.SKU) protocol.Quantity { return 5000 })
	if err != nil {
		if code := protocol.CodeOf(err); code != protocol.Conflict && code != protocol.NotFound && code != protocol.OutOfRangeCode {
			h.t.Fatal(err)
		}
		return
	}
	h.done[ask.Act]++
	if ask.Act == protocol.HandOver {
		h.instead += len(s.Substitutes())
	}
	if ask.Act == protocol.HandOver && !s.Paid {
		sale := &protocol.Sale{Type: protocol.SaleSale, Till: "1", Series: "1", Number: 1, Part: partID}
		for _, l := range f.Lines {
			sale.Lines = append(sale.Lines, protocol.SaleLine{Item: protocol.ItemRef{SKU: s.SKU(l)}, Quantity: l.Quantity, OriginalLine: l.Line})
		}
		h.log(writer, &protocol.Event{Kind: protocol.KindSale, Sale: sale, Moves: moves}, "a-1-1-1")
		return
	}
	h.log(writer, &protocol.Event{Kind: protocol.KindFulfilment, Fulfilment: f, Moves: moves}, "")
}

// settle delivers everything to the hub until it owes nothing.
func (h *history) settle() pickup.State {
	h.t.Helper()
	for range 100 {
		for i := range h.events {
			h.seen[hub][i] = true
		}
		s := h.view(hub).State()
		if len(s.Owed())+len(s.Homeless()) == 0 {
			return s
		}
		h.pay(&s)
	}
	h.t.Fatal("the hub owes something for ever")
	return pickup.State{}
}

// TestPartIsASet folds random histories in random orders, with repetitions, and
// through their rows, and wants the same part. What the part says of goods is
// what the events' moves say.
func TestPartIsASet(t *testing.T) {
	done, instead := map[protocol.Act]int{}, 0
	for seed := range uint64(3000) {
		h := newHistory(t, seed)
		for range 40 {
			h.step()
		}
		s := h.settle()
		order := make([]int, len(h.events))
		for i := range order {
			order[i] = i
		}
		want := h.part(order).Encode()
		for range 3 {
			again := append(h.rng.Perm(len(order)), h.rng.Perm(len(order))...)
			p := h.part(again)
			cut := h.rng.IntN(len(again))
			half, err := pickup.DecodePart(h.part(again[:cut]).Encode())
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range again[cut:] {
				half.Add(h.events[i].id, h.events[i].event, h.events[i].body, h.events[i].receipt)
			}
			if !bytes.Equal(p.Encode(), want) || !bytes.Equal(half.Encode(), want) {
				t.Fatalf("seed %d: another order of folding gives another part", seed)
			}
		}
		h.goodsAgree(seed, &s)
		for act, n := range h.done {
			done[act] += n
		}
		instead += h.instead
	}
	if instead < 100 {
		t.Errorf("only %d substitutes were handed over", instead)
	}
	for _, act := range acts {
		if done[act] < 100 {
			t.Errorf("only %d times: %s", done[act], act)
		}
	}
}

// goodsAgree compares the part with the sums of the moves, and demands that
// every promise has ended or can still end.
func (h *history) goodsAgree(seed uint64, s *pickup.State) {
	h.t.Helper()
	var moved, said [protocol.StateCount]map[protocol.SKU]protocol.Quantity
	for i := range moved {
		moved[i], said[i] = map[protocol.SKU]protocol.Quantity{}, map[protocol.SKU]protocol.Quantity{}
	}
	for i := range h.events {
		for _, m := range h.events[i].event.Moves {
			moved[m.State][m.SKU] += m.Delta
		}
	}
	if s.Ended() && s.Hub < pickup.Canceled {
		h.t.Errorf("seed %d: %s, and the hub says %s", seed, s.Store, s.Hub)
	}
	for i, l := range s.Order.Lines {
		if gone := s.Asked[i] + s.Elsewhere[i]; s.Paid && s.Ended() && gone+s.HandedOf(i) < l.Quantity {
			h.t.Errorf("seed %d: paid, %s and %s, and of line %d only %s is paid back or comes from elsewhere", seed, s.Hub, s.Store, i+1, gone)
		}
		said[protocol.Committed][l.Item.SKU] += s.Committed[i]
		if s.Committed[i] != 0 && s.Over() {
			h.t.Errorf("seed %d: the part is over and %s of line %d is still promised", seed, s.Committed[i], i+1)
		}
	}
	for _, state := range []protocol.State{protocol.Committed, protocol.Staged} {
		for sku, q := range moved[state] {
			if state == protocol.Staged {
				said[state][sku] = s.StagedAs(sku)
			}
			if said[state][sku] != q {
				h.t.Errorf("seed %d: the moves leave %s %s of %s, the part says %s", seed, q, state, sku, said[state][sku])
			}
		}
	}
}

// TestCorrectionsAreTakenBack lets the hub learn of a hand-over, or of an undo,
// before the picks that it undid, as after a restore: what it made up for then
// is no longer missing when they come.
func TestCorrectionsAreTakenBack(t *testing.T) {
	for name, asks := range map[string][]pickup.Ask{
		"handed over":          {{Act: protocol.Pick}, {Act: protocol.HandOver}},
		"undone and rejected":  {{Act: protocol.Pick}, {Act: protocol.Undo}, {Act: protocol.Reject}},
		"undone and begun new": {{Act: protocol.Pick}, {Act: protocol.Undo}},
	} {
		h := newHistory(t, 2)
		h.change(ptr(h.view(hub).State()), protocol.OrderChange{PartID: partID, Change: protocol.PaidOrder})
		for i := range h.events {
			h.seen[first][i] = true
		}
		begin := len(h.events)
		for _, ask := range asks {
			s := h.view(first).State()
			if ask.Act == protocol.Pick {
				for i, q := range s.Committed {
					ask.Lines = append(ask.Lines, protocol.PartLine{Line: uint32(i + 1), Quantity: q})
				}
			}
			f, moves, err := s.Plan(ask, nil)
			if err != nil {
				t.Fatal(name, err)
			}
			h.log(first, &protocol.Event{Kind: protocol.KindFulfilment, Fulfilment: f, Moves: moves}, "")
		}
		end := len(h.events)
		for i := end - 1; i >= begin; i-- {
			h.seen[hub][i] = true
			for range 3 {
				h.pay(ptr(h.view(hub).State()))
			}
		}
		s := h.settle()
		for i := range s.Staged {
			promised := protocol.Quantity(0)
			if s.Store == pickup.Received {
				promised = s.Order.Lines[i].Quantity
			}
			if s.Committed[i] != promised || s.Staged[i] != 0 {
				t.Errorf("%s: of line %d are %s promised and %s staged", name, i+1, s.Committed[i], s.Staged[i])
			}
		}
	}
}

func ptr(s pickup.State) *pickup.State { return &s }

// TestI15_RegistersOnlyClimb adds the events of random histories one by one and
// wants neither register to fall.
func TestI15_RegistersOnlyClimb(t *testing.T) {
	for seed := range uint64(1000) {
		h := newHistory(t, seed)
		for range 40 {
			h.step()
		}
		h.settle()
		p, before := &pickup.Part{}, pickup.State{}
		for _, i := range slices.Insert(h.rng.Perm(len(h.events)), 0, 0) {
			p.Add(h.events[i].id, h.events[i].event, h.events[i].body, h.events[i].receipt)
			s := p.State()
			fell := s.Store != pickup.PickedUp && (s.Attempt < before.Attempt || s.Attempt == before.Attempt && s.Store < before.Store)
			if s.Hub < before.Hub || fell || before.Store == pickup.PickedUp && s.Store != pickup.PickedUp {
				t.Fatalf("seed %d: from %s, attempt %d, %s to %s, attempt %d, %s", seed, before.Hub, before.Attempt, before.Store, s.Hub, s.Attempt, s.Store)
			}
			before = s
		}
	}
}

// TestPaidBackTwiceIsSeen lets a hub that was restored ask for a refund that it
// does not know to have asked for: a person has to look, and nobody before.
func TestPaidBackTwiceIsSeen(t *testing.T) {
	h := newHistory(t, 2)
	var lines []protocol.PartLine
	for i, l := range h.events[0].event.Order.Lines {
		lines = append(lines, protocol.PartLine{Line: uint32(i + 1), Quantity: l.Quantity})
	}
	for _, c := range []protocol.OrderChange{
		{PartID: partID, Change: protocol.PaidOrder},
		{PartID: partID, Change: protocol.Rerouted, Instead: 2, Lines: lines[:1]},
		{PartID: partID, Change: protocol.RefundRequested, Lines: lines[1:]},
	} {
		h.change(ptr(h.view(hub).State()), c)
	}
	if found := h.view(hub).Broken()[pickup.SettledTwice]; len(found) > 0 {
		t.Errorf("%v break a rule", found)
	}
	h.change(ptr(h.view(hub).State()), protocol.OrderChange{PartID: partID, Change: protocol.RefundRequested, Lines: lines[:1]})
	if found := h.view(hub).Broken()[pickup.SettledTwice]; len(found) != 3 {
		t.Errorf("%v of 3 events break a rule", found)
	}
}

// TestPaidTwiceIsSeen lets a till sell a due order that was paid to the shop
// meanwhile: a person has to look, and not where it was paid once.
func TestPaidTwiceIsSeen(t *testing.T) {
	for _, both := range []bool{true, false} {
		h := newHistory(t, 1)
		if both {
			h.change(ptr(h.view(hub).State()), protocol.OrderChange{PartID: partID, Change: protocol.PaidOrder})
		}
		h.log(first, &protocol.Event{Kind: protocol.KindSale, Sale: &protocol.Sale{
			Type: protocol.SaleSale, Till: "1", Series: "S", Number: 1, BusinessDate: "2026-11-21", Currency: "GBP", Part: partID,
		}}, "r-1")
		for i := range h.events {
			h.seen[hub][i] = true
		}
		if found := h.view(hub).Broken()[pickup.PaidTwice]; len(found) != map[bool]int{true: 2}[both] {
			t.Errorf("paid twice %v: %v break a rule", both, found)
		}
	}
}

// TestActsAtOnce: an act and the sale by which another machine hands the order over
// show that their machines did not know of each other, if they follow the same act;
// one that follows the other is in order.
func TestActsAtOnce(t *testing.T) {
	lines := []protocol.PartLine{{Line: 1, Quantity: 1000}}
	id := func(inc byte, seq protocol.Seq) protocol.EventID {
		return protocol.EventID{Inc: protocol.Inc{inc}, Seq: seq}
	}
	act := func(what protocol.Act, attempt uint32, after protocol.EventID) *protocol.Event {
		return &protocol.Event{Kind: protocol.KindFulfilment, Fulfilment: &protocol.Fulfilment{PartID: partID, Act: what, Attempt: attempt, After: after, Lines: lines}}
	}
	sale := func(after protocol.EventID) *protocol.Event {
		return &protocol.Event{Kind: protocol.KindSale, Sale: &protocol.Sale{
			Type: protocol.SaleSale, Till: "1", Series: "1", Number: 1, Currency: "GBP", Part: partID, PartAfter: after,
			Lines: []protocol.SaleLine{{Item: protocol.ItemRef{SKU: "PEN"}, Quantity: 1000, OriginalLine: 1}},
		}}
	}
	order := &protocol.Event{Kind: protocol.KindOrder, Order: &protocol.Order{
		PartID: partID, Method: protocol.InStore, Lines: []protocol.OrderLine{{Number: 1, Item: protocol.ItemRef{SKU: "PEN"}, Quantity: 1000}},
	}}
	picked, undone, sold := id(1, 1), id(2, 1), id(1, 2)
	for name, c := range map[string]struct {
		last   map[protocol.EventID]*protocol.Event
		atOnce int
	}{
		"sold":                         {map[protocol.EventID]*protocol.Event{sold: sale(picked)}, 0},
		"sold after another's ready":   {map[protocol.EventID]*protocol.Event{undone: act(protocol.Ready, 0, picked), sold: sale(undone)}, 0},
		"undone and sold":              {map[protocol.EventID]*protocol.Event{undone: act(protocol.Undo, 1, picked), sold: sale(picked)}, 2},
		"undone and sold by a version": {map[protocol.EventID]*protocol.Event{undone: act(protocol.Undo, 1, picked), sold: sale(protocol.EventID{})}, 0},
	} {
		var part pickup.Part
		c.last[id(9, 1)], c.last[picked] = order, act(protocol.Pick, 0, protocol.EventID{})
		for at, ev := range c.last {
			body, err := protocol.EncodeEvent(ev)
			if err != nil {
				t.Fatal(err)
			}
			part.Add(at, ev, body, "R-1")
		}
		again, err := pickup.DecodePart(part.Encode())
		if err != nil || !bytes.Equal(again.Encode(), part.Encode()) {
			t.Fatalf("%s: read again as %x, %v", name, again.Encode(), err)
		}
		if ids := again.Broken()[pickup.AtOnce]; len(ids) != c.atOnce {
			t.Errorf("%s: done at once are %v", name, ids)
		}
		if s := again.State(); s.Store != pickup.PickedUp || s.Last != sold && c.atOnce == 0 && name != "undone and sold by a version" {
			t.Errorf("%s: it is %s, the last act %s", name, s.Store, s.Last)
		}
	}
}
