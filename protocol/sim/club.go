package sim

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"counterpart/cloud/hub"
	"counterpart/protocol"
	basket "counterpart/protocol/cart"
	"counterpart/protocol/loyalty"
)

// club is the chain's members and what operators and the online shop do about them.
type club struct {
	w      *world
	rnd    *rand.Rand
	random *rand.Rand // of the hub's keys
	people []*person
	byID   map[protocol.MemberID]*person
	rules  map[string]*protocol.Programme // by the day of their beginning
	newest *person                        // who was enrolled at a till
	asked  int
	// ticking says that the hub is about to look at what is due.
	ticking bool
	// lent are the acts about what each stream may spend, by member and stream.
	lent  map[protocol.MemberID]map[protocol.Inc][]*act
	carts map[protocol.MemberID]map[protocol.SKU]protocol.Quantity
	ops   map[string]bool // on carts, that the hub has committed
	// unlocked are members whose key may be nowhere any more.
	unlocked map[protocol.MemberID]bool
	sales    map[protocol.StoreID][]*act // to members
}

// person is somebody who is a member, or becomes one. One who was not answered may
// become two.
type person struct {
	n      int
	id     protocol.MemberID
	fields protocol.Personal
	card   string
	home   protocol.StoreID
	atTill bool
	tries  int  // to enrol them at a till
	erased bool // the hub said so
}

// Every name, phone number and e-mail address of a run begins or ends like this, so
// that they are found wherever they are.
const (
	nameMark  = "Quillfeather"
	phoneMark = "+4479460"
	emailMark = "@quill.example"
)

func (w *world) newClub() *club {
	if w.plan.Members == 0 {
		return nil
	}
	c := &club{
		w: w, rnd: w.source("members"), random: w.source("secrets of the hub"), byID: map[protocol.MemberID]*person{}, rules: map[string]*protocol.Programme{},
		lent: map[protocol.MemberID]map[protocol.Inc][]*act{}, carts: map[protocol.MemberID]map[protocol.SKU]protocol.Quantity{}, ops: map[string]bool{},
		unlocked: map[protocol.MemberID]bool{}, sales: map[protocol.StoreID][]*act{},
	}
	for i := range w.plan.Members {
		p := &person{n: i, home: []protocol.StoreID{"s1", "s1", "s2"}[c.rnd.IntN(3)], atTill: c.rnd.IntN(2) == 0}
		p.fields = protocol.Personal{Name: fmt.Sprintf("Ann %s %d", nameMark, i), Phone: fmt.Sprintf("%s%05d", phoneMark, i), Email: fmt.Sprintf("ann%d%s", i, emailMark)}
		if c.rnd.IntN(2) == 0 {
			p.card = fmt.Sprintf("CARD-%d", i)
		}
		if i > 0 {
			before := c.people[c.rnd.IntN(i)]
			switch c.rnd.IntN(6) {
			case 0:
				p.fields.Phone = before.fields.Phone
			case 1:
				p.fields.Email = before.fields.Email
			case 2:
				p.card = before.card
			}
		}
		c.people = append(c.people, p)
	}
	return c
}

// plan puts into the calendar what is done about members away from the tills.
func (c *club) plan() {
	if c == nil {
		return
	}
	w, p := c.w, c.w.plan
	within := hours(float64(p.Hours))
	some := func(n int, within time.Duration, fn func()) {
		for range n {
			w.schedule(upTo(c.rnd, within), fn)
		}
	}
	for _, one := range c.people {
		if !one.atTill {
			some(1, within/4, func() { c.enrol(one) })
		}
	}
	some(p.Programmes, within, func() { w.cloud.operate("change of the programme", c.change) })
	for range p.Erasures {
		w.schedule(within/3+upTo(c.rnd, 2*within/3), c.erase)
	}
	some(1+c.rnd.IntN(3), within, func() { c.adjust(c.someone(c.rnd), loyaltyPoints(c.rnd)) })
	some(2+c.rnd.IntN(3), within, c.apart)
	some(1+c.rnd.IntN(3), within, c.credit)
	some(c.rnd.IntN(5), within, c.lapse)
	some(1+c.rnd.IntN(4), within, c.fill)
	for at := time.Hour; at < within; at += 6 * time.Hour {
		w.latent(at, c.lookAround)
	}
}

// lookAround is what the hub and each till do now and then.
func (c *club) lookAround() {
	if c.w.shop == nil {
		c.w.cloud.tick()
	}
	for _, m := range c.w.agents {
		m.counter.giveBack()
	}
}

// tickSoon lets the hub look at what is due after some seconds of its running time.
func (c *club) tickSoon() {
	if c == nil || c.ticking {
		return
	}
	c.ticking = true
	c.w.schedule(tickAfter, func() {
		c.ticking = false
		c.w.cloud.lapsed += tickAfter
		c.w.cloud.tick()
	})
}

// tickAfter is longer than a claim lasts.
const tickAfter = 6 * time.Second

// lapse lets more time pass, for tills and for the hub, than a visit lasts.
func (c *club) lapse() {
	for _, m := range c.w.agents {
		m.lapsed += 16 * time.Minute
		m.counter.giveBack()
	}
	if c.rnd.IntN(2) == 0 {
		c.w.cloud.lapsed += 31 * time.Minute
		c.w.cloud.tick()
	}
}

// change begins another programme, whose date nobody's clock can be before.
func (c *club) change() error {
	points := protocol.Points(2 + c.rnd.IntN(12))
	rounding := []protocol.PointsRounding{protocol.RoundDown, protocol.RoundHalfUp}[c.rnd.IntN(2)]
	most := protocol.Points(100 + 50*c.rnd.IntN(8))
	d := loyalty.Document{
		Earn: []loyalty.EarnDocument{{PerMinor: protocol.Money(60 + 10*c.rnd.IntN(20)), Points: &points}}, Rounding: &rounding,
		Redeem: &loyalty.RedeemDocument{Points: redeemStep, Value: redeemStep, Minimum: redeemLeast}, HomeLeaseCap: protocol.Points(100 * c.rnd.IntN(16)),
		ValidFrom: time.Date(1990, 1, 1+len(c.rules), 0, 0, 0, 0, time.UTC).Format(time.DateOnly),
	}
	if c.rnd.IntN(3) == 0 {
		d.VisitLeaseCap = &most
	}
	row, err := d.Programme()
	if err != nil {
		return err
	}
	if _, err := c.w.cloud.hub.SetProgramme(c.w.ctx, d); err != nil {
		return err
	}
	c.rules[row.ValidFrom] = row
	c.tickSoon()
	return nil
}

// What points pay, under every programme: one each, in steps.
const (
	redeemStep  = 50
	redeemLeast = 100
)

// ask asks the hub for something, again later if it is down. What it may refuse is
// the caller's to know.
func (c *club) ask(what string, fn func(*hub.Hub) error, refusals ...protocol.Code) {
	w := c.w
	again := func(d time.Duration) {
		if !w.quiet {
			w.schedule(d, func() { c.ask(what, fn, refusals...) })
		}
	}
	if w.cloud.hub == nil || w.cloud.process.usable() != nil {
		again(10 * time.Minute)
		return
	}
	w.trace.mark('m', 255, w.now, fingerprint([]byte(what)))
	err := fn(w.cloud.hub)
	w.tell("members: %s: %v", what, err)
	c.tickSoon()
	switch code := protocol.CodeOf(err); {
	case err == nil:
	case w.cloud.process.usable() != nil, code == protocol.DiskFull:
		again(time.Minute)
	case slices.Contains(refusals, code):
	default:
		w.fail("%s: %v", what, err)
	}
}

func (c *club) call(route string) protocol.Call {
	c.asked++
	return protocol.Call{Route: route, Key: fmt.Sprint("club-", c.asked)}
}

// request is how somebody is enrolled.
func (p *person) request(store protocol.StoreID) loyalty.MemberRequest {
	home := string(store)
	q := loyalty.MemberRequest{Name: &p.fields.Name, Phone: &p.fields.Phone, Email: &p.fields.Email, HomeStore: &home}
	if p.card != "" {
		q.Card = &p.card
	}
	return q
}

// enrol makes somebody a member at the hub.
func (c *club) enrol(p *person) {
	call := c.call("POST /v1/members")
	c.ask("enrolment", func(h *hub.Hub) error {
		answer, err := h.EnrolMember(c.w.ctx, call, p.request(p.home))
		if protocol.CodeOf(err) == protocol.Conflict && p.card != "" {
			p.card = ""
			c.enrol(p)
		}
		if err != nil {
			return err
		}
		var d struct{ ID protocol.MemberID }
		if err := json.Unmarshal(answer.Body, &d); err != nil {
			return err
		}
		p.id, c.byID[d.ID] = d.ID, p
		return nil
	}, protocol.Conflict)
}

// someone is a member, nil where there is none yet.
func (c *club) someone(rnd *rand.Rand) *person {
	erased := rnd.IntN(6) == 0 // Who is no member any more may come all the same.
	known := slices.DeleteFunc(slices.Clone(c.people), func(p *person) bool { return p.id == "" || p.erased && !erased })
	if len(known) == 0 {
		return nil
	}
	return known[rnd.IntN(len(known))]
}

// erase forgets somebody, now and then while their store is cut off.
func (c *club) erase() {
	p := c.someone(c.rnd)
	if p == nil {
		return
	}
	for _, m := range c.w.agents {
		if c.rnd.IntN(3) == 0 {
			m.cut(upTo(c.rnd, 3*time.Hour))
		}
	}
	c.forget(p)
}

// eraseUnheard forgets, now and then, who was enrolled at a till last, while no store
// hears of it. What the hub is about to lose is in no store then, but their event may
// come from there again, with the key.
func (c *club) eraseUnheard() {
	if c == nil || c.newest == nil || c.newest.id == "" || c.rnd.IntN(2) == 0 {
		return
	}
	for _, m := range c.w.agents {
		m.cut(upTo(c.rnd, 2*time.Hour))
	}
	c.forget(c.newest)
}

func (c *club) forget(p *person) {
	c.ask("erasure", func(h *hub.Hub) error {
		_, err := h.EraseMember(c.w.ctx, p.id)
		p.erased = p.erased || err == nil
		return err
	}, protocol.NotFound)
}

// welcome gives a new member some points.
func (c *club) welcome(id protocol.MemberID) {
	q := hub.PointsRequest{Points: 50 * protocol.Points(6+c.rnd.IntN(15)), Reason: "welcome", Staff: "ann"}
	c.w.schedule(time.Minute+upTo(c.rnd, 3*time.Hour), func() { c.adjust(c.byID[id], q) })
}

// adjust gives somebody points or takes some away. What stores hold is asked back
// first, and asked for again.
func (c *club) adjust(p *person, q hub.PointsRequest) {
	if p == nil {
		return
	}
	call := c.call("POST /v1/members/points")
	for range 1 + c.rnd.IntN(2) {
		c.ask("points", func(h *hub.Hub) error {
			_, err := h.AdjustPoints(c.w.ctx, call, p.id, q)
			return err
		}, protocol.NotFound, protocol.Conflict, protocol.OutOfRangeCode)
	}
}

func loyaltyPoints(rnd *rand.Rand) hub.PointsRequest {
	return hub.PointsRequest{Points: protocol.Points(50 * (rnd.IntN(24) - 7)), Reason: "goodwill", Staff: "ann"}
}

// apart cuts several stores off at once, some of their machines in the middle of what
// they do, and has the same member shop in all of them.
func (c *club) apart() {
	p := c.someone(c.rnd)
	if p == nil {
		return
	}
	for _, m := range c.w.agents {
		if c.rnd.IntN(4) == 0 {
			continue
		}
		m.cut(10*time.Minute + upTo(c.rnd, time.Hour))
		if c.rnd.IntN(2) == 0 {
			m.crash(upTo(c.rnd, 10*time.Second))
		}
		for range 2 {
			c.w.schedule(time.Minute+upTo(c.rnd, 8*time.Minute), func() {
				if m.running() && !c.w.quiet {
					m.counter.sell(p)
				}
			})
		}
	}
}

// credit gives a member back what streams that are over still hold. Of one that is
// in use nothing is given back.
func (c *club) credit() {
	p := c.someone(c.rnd)
	if p == nil {
		return
	}
	c.ask("credit", func(h *hub.Hub) error {
		list, err := h.MemberLeases(c.w.ctx, p.id)
		if err != nil {
			return err
		}
		for _, l := range list.Items {
			if _, err := h.CreditLease(c.w.ctx, p.id, l.Holder, hub.CreditRequest{Staff: "ann", Reason: "the machine is gone"}); err != nil {
				return err
			}
		}
		return nil
	}, protocol.NotFound, protocol.Conflict)
}

// fill changes somebody's cart.
func (c *club) fill() {
	p := c.someone(c.rnd)
	if p == nil {
		return
	}
	c.asked++
	q := protocol.Quantity(1+c.rnd.IntN(4)) * 1000
	op := basket.OpRequest{OpID: fmt.Sprint("op-", c.asked), Op: []protocol.CartOp{protocol.CartAdd, protocol.CartAdd, protocol.CartSet}[c.rnd.IntN(3)], Code: fmt.Sprintf("SKU%d", c.rnd.IntN(skus)), Qty: &q, Channel: "web"}
	for range 1 + c.rnd.IntN(2) {
		c.ask("cart", func(h *hub.Hub) error {
			_, err := h.ChangeCart(c.w.ctx, p.id, op)
			return err
		}, protocol.NotFound, protocol.Conflict)
	}
}

// losing notes whose keys may be gone once a machine's are: those that the hub does
// not have.
func (c *club) losing(m *machine) {
	for _, a := range c.w.books.order {
		if a.credit != nil && a.credit.known != nil && a.store == m.origin.Store {
			if _, ok := c.w.keyIn(c.w.cloud.disk, a.credit.member); !ok {
				c.unlocked[a.credit.member] = true
			}
		}
	}
}

// close lets every till give back what it holds for visits, and the hub lend what it
// can, after everything has come to agree.
func (c *club) close() {
	if c == nil {
		return
	}
	for at := time.Minute; at <= 4*time.Minute; at += time.Minute {
		c.w.schedule(at, func() {
			for _, m := range c.w.agents {
				m.lapsed += 16 * time.Minute
				m.counter.giveBack()
			}
			c.w.cloud.lapsed += 31 * time.Minute
			c.w.cloud.tick()
		})
	}
}
