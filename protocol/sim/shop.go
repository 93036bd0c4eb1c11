package sim

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/pickup"
	"counterpart/protocol/stock"
)

// shop is the online shop: it asks the hub to promise goods, and to cancel, pay
// and refund, and it repeats what was not answered.
type shop struct {
	w        *world
	rnd      *rand.Rand
	yields   *rand.Rand // which shoppers take other goods
	requests int
	rivalled bool // two orders are being placed at the same time
	// promises are the orders that the hub has committed, in their order, answered
	// or not, also those that it has lost since.
	promises []*promise
	byID     map[protocol.PartID]*promise
}

// promise is an order as the auditor keeps it.
type promise struct {
	protocol.PartID
	store protocol.StoreID
	key   string // of the request
	// placed is the hub's running time when it was promised.
	placed time.Duration
	items  []protocol.SKU
	lines  []protocol.Quantity
	price  []protocol.Money
	// numbers are the lines in the whole order, amounts what each came to.
	numbers   []uint32
	amounts   []protocol.Money
	insteadOf uint32 // the part that it stands in for
	movable   bool   // another store may stand in
	paid      bool
	due       times
	left      bool // nobody comes for it
	// substitutes says that the shopper takes other goods.
	substitutes bool
	// code and token are what the shopper was told; empty until the hub answered.
	code, token string
}

func (w *world) newShop() *shop {
	if w.plan.Orders == 0 {
		return nil
	}
	return &shop{w: w, rnd: w.source("shop"), yields: w.source("shoppers who take substitutes"), byID: map[protocol.PartID]*promise{}}
}

// open fills the shelves and plans the orders of the run.
func (s *shop) open() {
	if s == nil {
		return
	}
	w := s.w
	for _, store := range []protocol.StoreID{"s1", "s2"} {
		for i := range skus {
			q := protocol.Quantity(30+s.rnd.IntN(70)) * 1000
			w.schedule(upTo(s.rnd, 10*time.Minute), func() { s.deliver(store, protocol.SKU(fmt.Sprintf("SKU%d", i)), q) })
		}
	}
	s.deadlines()
	for range w.plan.Orders {
		w.schedule(10*time.Minute+upTo(s.rnd, time.Duration(w.plan.Hours-3)*time.Hour), func() { s.placeNew() })
	}
}

// deadlines lets the hub look at what is due, and time pass for it: mostly less
// than the first deadline, now and then more than the last.
func (s *shop) deadlines() {
	w := s.w
	for at := time.Hour; at < hours(float64(w.plan.Hours)); at += time.Hour {
		w.latent(at, w.cloud.tick)
	}
	for range s.rnd.IntN(6) {
		lapse := []time.Duration{10 * time.Minute, 31 * time.Minute, 2 * time.Hour, 8 * 24 * time.Hour}[s.rnd.IntN(4)]
		w.schedule(upTo(s.rnd, time.Duration(w.plan.Hours)*time.Hour), func() {
			w.tell("%v pass for the hub", lapse)
			w.cloud.lapsed += lapse
			w.cloud.tick()
		})
	}
}

// member is some machine of a store.
func (s *shop) member(store protocol.StoreID) *machine {
	var list []*machine
	for _, m := range s.w.agents {
		if m.origin.Store == store {
			list = append(list, m)
		}
	}
	return list[s.rnd.IntN(len(list))]
}

// deliver brings goods to a store, whose staff take them in.
func (s *shop) deliver(store protocol.StoreID, sku protocol.SKU, q protocol.Quantity) {
	m := s.member(store)
	if s.w.quiet || m.running() && m.staff.takeIn(sku, q) {
		return
	}
	s.w.schedule(time.Minute, func() { s.deliver(store, sku, q) })
}

// request is what a shopper wants, and how the shop asks for it.
func (s *shop) request() *pickup.PlaceRequest {
	store := protocol.StoreID("s1")
	if s.rnd.IntN(3) == 0 {
		store = "s2"
	}
	r := &pickup.PlaceRequest{
		Store: store, Method: []protocol.Method{protocol.InStore, protocol.Curbside, protocol.SameDay, protocol.ShipFromStore}[s.rnd.IntN(4)],
		Payment: pickup.PlacePayment{Status: []string{"paid", "due"}[s.rnd.IntN(2)]}, Partial: s.rnd.IntN(3) == 0,
		Substitutes: s.w.plan.Substitutes && s.yields.IntN(3) == 0,
	}
	for range 1 + s.rnd.IntN(3) {
		sku := protocol.SKU(fmt.Sprintf("SKU%d", s.rnd.IntN(skus)))
		q := protocol.Quantity(1+s.rnd.IntN(3)) * 1000
		if all := s.w.promisable(shelf{store, sku}, ""); all > 0 && s.rnd.IntN(2) == 0 {
			// As much as there is, or one more than that.
			q = all + protocol.Quantity(s.rnd.IntN(2))*1000
		}
		r.Lines = append(r.Lines, pickup.PlaceLine{Code: string(sku), Qty: &q})
	}
	if s.rnd.IntN(2) == 0 {
		r.Store, r.Near = "", &pickup.Place{Lat: 51.5, Lon: float64(s.rnd.IntN(3))/10 - 0.1}
		r.Sourcing = []string{"", pickup.SourcingNearest, pickup.SourcingMostStock, pickup.SourcingFewestParcels}[s.rnd.IntN(4)]
	}
	return r
}

// placeNew places an order of a shopper who has no cart.
func (s *shop) placeNew() {
	r := s.request()
	s.w.fetching.limit(r)
	s.place(r, nil)
}

// placing is one request on its way, which keeps its key however often it is
// sent.
type placing struct {
	protocol.Call
	tries int
}

// place asks the hub for a promise until it answers.
func (s *shop) place(r *pickup.PlaceRequest, c *placing) {
	w := s.w
	if c == nil {
		s.requests++
		body, err := json.Marshal(r)
		if err != nil {
			w.fail("request of an order: %v", err)
		}
		c = &placing{Call: protocol.Call{Route: "POST /v1/orders", Key: fmt.Sprint("order-", s.requests), Body: body}}
		w.carts.asksFor(c.Key, r)
		w.fetching.requested(c.Key, r)
	}
	again := func(d time.Duration) {
		if !w.quiet {
			w.schedule(d, func() { s.place(r, c) })
		}
	}
	if w.cloud.hub == nil || w.cloud.process.usable() != nil {
		again(10 * time.Minute)
		return
	}
	c.tries++
	if c.tries == 1 && !s.rivalled && s.rnd.IntN(3) == 0 {
		s.rival(*r)
	}
	if w.plan.Cloud.Full > 0 && !w.quiet && s.rnd.IntN(8) == 0 {
		w.fill(w.cloud.disk, upTo(s.rnd, fullMax))
	}
	w.trace.mark('p', 255, w.now, uint64(s.requests))
	sent := *r
	answer, err := w.cloud.hub.PlaceOrder(w.ctx, c.Call, sent)
	w.cloud.process.between = nil
	switch code := protocol.CodeOf(err); {
	case err == nil:
		s.answered(c.Key, answer.Body)
		if s.rnd.IntN(6) == 0 && c.tries < 3 {
			again(time.Minute) // The answer was lost on its way.
		}
	case w.cloud.process.usable() != nil, code == protocol.DiskFull:
		again(time.Minute)
	case code == protocol.Short, code == protocol.PriceMissing, code == protocol.UnknownStore && r.Near != nil:
		w.counts.OrdersRefused++
		w.tell("order refused: %v", err)
		if code == protocol.Short {
			w.carts.refusedFairly("an order", r.Store, r.Lines, r.Hold, r.Partial)
		}
		if l := r.Lines[0]; s.rnd.IntN(3) == 0 && r.Near == nil {
			s.deliver(r.Store, protocol.SKU(l.Code), protocol.Quantity(1+s.rnd.IntN(20))*1000)
		}
	case w.carts.overtaken(r, code), w.fetching.tooLate(r, code):
		w.counts.OrdersRefused++
		w.tell("order refused: %v", err)
	default:
		w.fail("an order is not placed: %v", err)
	}
}

// rival places another order for the same goods between two steps of the next
// one.
func (s *shop) rival(r pickup.PlaceRequest) {
	steps := 1 + s.rnd.IntN(4)
	w, p := s.w, s.w.cloud.process
	r.Partial = true
	r.Lines = slices.Clone(r.Lines)
	for i := range r.Lines {
		q := 1_000_000 * protocol.Quantity(1)
		if s.rnd.IntN(3) == 0 {
			q = 1000
		}
		r.Lines[i].Qty = &q
	}
	p.between = func() {
		if steps--; steps == 0 {
			p.between = nil
			s.rivalled = true
			w.tell("another order at the same time")
			s.place(&r, nil)
			s.rivalled = false
		}
	}
}

// answered notes what the shopper is told, and plans what becomes of the order.
func (s *shop) answered(key string, body []byte) {
	var d pickup.Document
	if err := json.Unmarshal(body, &d); err != nil || len(d.Fulfilments) == 0 || d.PickupCode == nil || d.PickupToken == nil {
		s.w.fail("an order is answered with %s: %v", body, err)
		return
	}
	for i, f := range d.Fulfilments {
		id := protocol.PartID{Order: d.ID, Part: f.Fulfilment}
		p := s.byID[id]
		if p == nil || i == 0 && p.key != key {
			s.w.fail("order %s is answered, and was not committed (I1, I19)", id)
			return
		}
		if p.code != "" {
			return // It was answered before.
		}
		p.code = *d.PickupCode
		if f.Store == d.Store && len(d.Fulfilments) == 1 {
			p.token = *d.PickupToken
		}
		s.w.counts.Orders++
		s.w.tell("order %s at %s: %v %v", id, p.store, p.items, p.lines)
		s.planVisits(p)
	}
}

// code is what the shopper was told of an order, also for the parts that stand in
// for others. One who was not answered asks for it.
func (s *shop) code(p *promise) string {
	for part := uint32(1); p.code == "" && part < p.Part; part++ {
		if first := s.byID[protocol.PartID{Order: p.Order, Part: part}]; first != nil {
			p.code = first.code
		}
	}
	if c := s.w.cloud; p.code == "" && c.hub != nil && c.process.usable() == nil {
		if d, err := c.hub.Order(s.w.ctx, p.Order); err == nil && d.PickupCode != nil {
			p.code = *d.PickupCode
		}
	}
	return p.code
}

// planVisits plans what the shop and the store's staff do about an order.
func (s *shop) planVisits(p *promise) {
	w := s.w
	for range 2 + s.rnd.IntN(3) {
		steps := 1 + s.rnd.IntN(4)
		m := s.member(p.store)
		w.schedule(s.someTime(), func() { m.staff.visit(p, steps) })
	}
	if s.rnd.IntN(5) == 0 {
		w.schedule(s.someTime(), func() { s.apart(p) })
	}
	if s.rnd.IntN(3) == 0 {
		w.schedule(s.someTime(), func() { s.ask(p, "cancel") })
		for range 2 {
			w.schedule(s.someTime()+s.someTime(), func() { s.ask(p, "refund") })
		}
	}
	for action, of := range []int{4, 6, 8} {
		if s.rnd.IntN(of) == 0 {
			w.schedule(s.someTime(), func() { s.ask(p, []string{"pay", "arrive", "refund"}[action]) })
		}
	}
}

// someTime is between seconds and a day and a half, each order of magnitude as
// often.
func (s *shop) someTime() time.Duration {
	return time.Duration(math.Exp(s.rnd.Float64()*9.5) * float64(10*time.Second))
}

// apart cuts the machines of a store off while each works on the same order.
func (s *shop) apart(p *promise) {
	if s.w.quiet {
		return
	}
	for _, m := range s.w.agents {
		if m.origin.Store != p.store {
			continue
		}
		m.cut(10*time.Minute + upTo(s.rnd, time.Hour))
		s.w.schedule(time.Minute+upTo(s.rnd, 5*time.Minute), func() { m.staff.visit(p, 2+s.rnd.IntN(4)) })
	}
}

// ask asks the hub to do something about an order.
func (s *shop) ask(p *promise, action string) {
	w := s.w
	again := func(d time.Duration) {
		if !w.quiet {
			w.schedule(d, func() { s.ask(p, action) })
		}
	}
	if w.cloud.hub == nil || w.cloud.process.usable() != nil {
		again(10 * time.Minute)
		return
	}
	w.trace.mark('q', 255, w.now, fingerprint([]byte(action)))
	_, err := w.cloud.hub.ActOnOrder(w.ctx, protocol.Call{Route: "POST /v1/orders/" + action}, p.Order, action, pickup.HubAction{})
	w.tell("shop: %s %s: %v", action, p.PartID, err)
	switch code := protocol.CodeOf(err); {
	case err == nil:
		w.auditPaidBack(p)
	case code == protocol.Conflict:
	case w.cloud.process.usable() != nil, code == protocol.DiskFull:
		again(time.Minute)
	case code == protocol.NotFound && !w.cloud.book.holdsOrder(p):
	default:
		w.fail("%s of order %s: %v", action, p.PartID, err)
	}
}

// close brings every order to an end, after everything has come to agree: the
// shop cancels some, staff hand over or put back the rest, and what the hub
// asks to be refunded is.
func (s *shop) close() {
	if s == nil {
		return
	}
	w := s.w
	w.schedule(10*time.Minute, w.fetching.lapseAll)
	for _, p := range s.promises {
		if s.rnd.IntN(3) == 0 && !p.left {
			w.schedule(time.Second, func() { s.ask(p, "cancel") })
		}
	}
	// What one store gives up goes on to another, which has to come to an end too.
	for at := 2 * time.Minute; at <= 20*time.Minute; at += 3 * time.Minute {
		w.schedule(at, func() {
			for _, p := range s.promises {
				s.finish(p)
			}
			s.lookAgain()
		})
	}
	w.schedule(24*time.Minute, func() {
		for _, p := range s.promises {
			s.ask(p, "refund")
		}
	})
}

// finish has some machine that has everything do what is left to do.
func (s *shop) finish(p *promise) {
	for _, m := range s.w.agents {
		if m.origin.Store == p.store && m.running() && !s.w.setAside(m) {
			for range 5 {
				m.staff.finish(p)
			}
			return
		}
	}
}

// book is the auditor's sum of what the hub has acknowledged.
type book struct {
	counted map[*act]bool
	members map[protocol.MemberID][]*act
	levels  map[shelf][protocol.StateCount]protocol.Quantity
	// wrong is where each stream found the book of an item wrong last, seen how far
	// whoever counted it had seen each stream.
	wrong, seen map[shelf]map[protocol.Inc]protocol.Seq
}

func newBook() book {
	return book{
		counted: map[*act]bool{}, members: map[protocol.MemberID][]*act{}, levels: map[shelf][protocol.StateCount]protocol.Quantity{},
		wrong: map[shelf]map[protocol.Inc]protocol.Seq{}, seen: map[shelf]map[protocol.Inc]protocol.Seq{},
	}
}

// add counts an act, whichever stream brings it and however often.
func (b *book) add(a *act) {
	if b.counted[a] {
		return
	}
	b.counted[a] = true
	if a.credit != nil {
		b.members[a.credit.member] = append(b.members[a.credit.member], a)
	}
	for _, m := range a.moves {
		at := shelf{a.store, m.SKU}
		level := b.levels[at]
		level[m.State] += m.Delta
		b.levels[at] = level
	}
	if a.given {
		return // Only its moves are known.
	}
	note := func(list map[shelf]map[protocol.Inc]protocol.Seq, sku protocol.SKU, id protocol.EventID) {
		at := shelf{a.store, sku}
		if list[at] == nil {
			list[at] = map[protocol.Inc]protocol.Seq{}
		}
		list[at][id.Inc] = max(list[at][id.Inc], id.Seq)
	}
	for _, sku := range a.foundWrong() {
		note(b.wrong, sku, a.id)
	}
	for _, sku := range a.counted {
		for _, p := range a.seen {
			note(b.seen, sku, protocol.EventID(p))
		}
	}
}

// foundWrong are the items of which staff saw that the book was wrong: the counter
// had missed something, or it was not on the shelf.
func (a *act) foundWrong() []protocol.SKU {
	skus := slices.Clone(a.seenSKUs)
	for _, m := range a.moves {
		if a.did == string(protocol.Pick) && m.State == protocol.OnHand && m.Delta < 0 {
			skus = append(skus, m.SKU)
		}
	}
	return skus
}

// doubtful tells whether the book of an item was found wrong, and nobody counted it
// since with that in view.
func (b *book) doubtful(at shelf) bool {
	for inc, seq := range b.wrong[at] {
		if b.seen[at][inc] < seq {
			return true
		}
	}
	return false
}

// promisable is the most that may be promised of an item now (I12).
func (b *book) promisable(at shelf) protocol.Quantity {
	q := b.levels[at]
	allotment := q[protocol.OnHand] - q[protocol.Staged] - q[protocol.Damaged] - q[protocol.QualityControl] - stock.SafetyStockDefault
	if b.doubtful(at) {
		allotment -= 1000
	}
	return max(0, max(0, allotment)-max(0, q[protocol.Committed]))
}

// holdsOrder tells whether the hub has the event that placed an order.
func (b *book) holdsOrder(p *promise) bool {
	for a := range b.counted {
		if a.did == didOrder && a.part == p.PartID {
			return true
		}
	}
	return false
}

// storesTable is the rows of the chain's stores; the shop has to know where they
// are.
func (w *world) storesTable() string {
	rows := "id,name,timezone\ns1,High Street,Europe/London\ns2,Station,Europe/London\n"
	if w.club != nil {
		// Points are lent to the machine that acts for the store.
		rows = "id,name,timezone,primary_agent\ns1,High Street,Europe/London,a1\ns2,Station,Europe/London,a3\n"
	}
	if w.plan.Orders > 0 {
		rows = strings.NewReplacer("timezone", "timezone,lat,lon", "s1,High Street,Europe/London", "s1,High Street,Europe/London,51.5,0", "s2,Station,Europe/London", "s2,Station,Europe/London,51.5,0.2").Replace(rows)
	}
	return rows
}
