package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"counterpart/agent/till"
	"counterpart/agent/uplink"
	"counterpart/cloud/hub"
	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/loyalty"
	"counterpart/protocol/sale"
)

// counter is the till of a machine's process, with the people who serve members at
// it. What the till logs is entered into the books like what other staff do.
type counter struct {
	m    *machine
	till *till.Till
	rnd  *rand.Rand
	last *act // that the till recorded

	looking bool
}

// openCounter sets the till up, with each process anew.
func (m *machine) openCounter() {
	if m.w.club == nil || m.process.ended {
		return
	}
	c := &counter{m: m}
	if m.counter == nil {
		c.rnd = m.w.source("members at " + m.disk.name)
	} else {
		c.rnd = m.counter.rnd
	}
	m.counter, m.lapsed = c, 0
	c.till = till.New(till.Options{
		Driver: drawer{c, m.process}, Origin: m.origin, Series: m.identity.Series, Forked: m.identity.Cause != "", Boot: m.identity.Boot,
		Now: m.clock.wall, Mono: func() int64 { return (m.instant().Mono + m.lapsed).Milliseconds() },
		Confirmed: m.confirmed, Online: func() bool { return m.engine != nil && m.engine.Link().State == uplink.Online },
		Visit: c.visit, Log: m.w.log,
	})
}

// confirmed tells whether the hub has confirmed the head of a stream since the
// process started.
func (m *machine) confirmed(inc protocol.Inc) bool {
	return m.engine != nil && m.origin.Inc == inc && m.engine.HubHeard()
}

// drawer is the till's driver.
type drawer struct {
	*counter
	process *process
}

// Update is that of the process; an event that it logs is read for the books.
func (d drawer) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	m, a := d.m, &act{}
	err := d.process.Update(ctx, func(tx ledger.Tx) error {
		*a = act{store: m.origin.Store, unaware: m.unaware}
		before, err := ledger.ReadStream(tx, m.origin)
		if err == nil {
			err = fn(tx)
		}
		if err != nil {
			return err
		}
		at, err := ledger.ReadStream(tx, m.origin)
		if err != nil || at.Seq == before.Seq {
			return err
		}
		return d.read(tx, a, protocol.EventID{Inc: m.origin.Inc, Seq: at.Seq}, at.Hash)
	})
	if a.id.Seq > 0 {
		if m.staff.answered(a, err) {
			d.last = a
		}
	}
	return err
}

// View reads, as long as the process lives.
func (d drawer) View(ctx context.Context, fn func(ledger.Reader) error) error {
	return d.process.View(ctx, fn)
}

// Close leaves the disk as it is.
func (d drawer) Close() error { return nil }

// read takes down what the till logged.
func (c *counter) read(r ledger.Reader, a *act, id protocol.EventID, hash protocol.Hash) error {
	rec, _, err := ledger.ReadRecord(r, id)
	if err != nil {
		return err
	}
	ev, err := protocol.DecodeEvent(rec.Body)
	if err != nil {
		return err
	}
	s := c.m.staff
	a.id, a.hash, a.print, a.kind, a.moves, a.credit = id, hash, fingerprint(rec.AppendTo(nil)), ev.Kind, ev.Moves, creditOf(ev)
	if ev.Sale == nil {
		return nil
	}
	a.series, a.number = ev.Sale.Series, ev.Sale.Number
	a.receipt = protocol.NewReceiptNo(c.m.origin.Agent, ev.Sale.Till, a.series, a.number)
	if before := s.printed[a.series]; a.number != before+1 && !(c.m.unaware && a.number > before) {
		c.m.w.fail("%s prints receipt %d after %d (I1, I13)", c.m.disk.name, a.number, before)
	}
	if ev.Sale.Original == "" {
		for _, l := range ev.Sale.Lines {
			a.items, a.lines = append(a.items, l.Item.SKU), append(a.lines, l.Quantity)
		}
		return nil
	}
	// Of copies that printed the number twice either may be meant, if it has the lines.
	i := slices.IndexFunc(c.m.w.books.receipts[ev.Sale.Original], func(b *act) bool {
		return c.m.has(b) && !slices.ContainsFunc(ev.Sale.Lines, func(l protocol.SaleLine) bool { return int(l.OriginalLine) > len(b.lines) })
	})
	if i < 0 {
		return fmt.Errorf("receipt %s comes back, and was never printed", ev.Sale.Original)
	}
	a.original, a.void = c.m.w.books.receipts[ev.Sale.Original][i], ev.Sale.Type == protocol.SaleVoid
	a.lines = make([]protocol.Quantity, len(a.original.lines))
	for _, l := range ev.Sale.Lines {
		a.lines[l.OriginalLine-1] -= l.Quantity
	}
	return nil
}

// visit is the till's call to the hub, which the line may lose on its way there or
// back. What was lent comes down as an event, so whoever asked tries again.
func (c *counter) visit(ctx context.Context, q till.VisitRequest) (answer till.VisitAnswer, err error) {
	m, w := c.m, c.m.w
	lost := func() bool { return !w.quiet && w.plan.Line.Drop > 0 && c.rnd.IntN(6) == 0 }
	if m.connection == 0 || !m.reachable() || w.cloud.hub == nil || w.cloud.process.usable() != nil || lost() {
		return answer, errNoRoute
	}
	w.trace.mark('v', m.index, w.now, uint64(q.Points))
	doc, err := w.cloud.hub.Visit(ctx, q.Member, hub.VisitRequest{Store: q.Origin.Store, Agent: q.Origin.Agent, Inc: q.Origin.Inc.String(), Points: q.Points})
	w.tell("%s asks for %d points of %s: %+v %v", m.disk.name, q.Points, q.Member, doc, err)
	w.club.tickSoon()
	if err == nil && lost() {
		err = errNoRoute
	}
	return till.VisitAnswer{Balance: doc.Balance}, err
}

var errNoRoute = errors.New("no route")

// giveBack is what the till does now and then about points that it holds.
func (c *counter) giveBack() {
	if c == nil || !c.m.running() || c.m.w.err != nil {
		return
	}
	if err := c.till.GiveBack(c.m.w.ctx); err != nil && !c.excused(err) {
		c.m.w.fail("%s does not give back points: %v", c.m.disk.name, err)
	}
}

// refresh tells the till of a fork, as the agent does.
func (c *counter) refresh() {
	if c == nil {
		return
	}
	if err := c.till.Refresh(c.m.w.ctx); err != nil && !c.excused(err) {
		c.m.w.fail("%s does not know its stream: %v", c.m.disk.name, err)
	}
}

// lookSoon lets the till look at what came down.
func (c *counter) lookSoon() {
	if c == nil || c.looking {
		return
	}
	c.looking = true
	p := c.m.process
	c.m.w.after(time.Millisecond, func() {
		c.looking = false
		if c.m.process == p {
			c.giveBack()
		}
	})
}

// excused tells whether a till may fail so: its process is over, or its disk full.
func (c *counter) excused(err error) bool {
	return c.m.process.usable() != nil || protocol.CodeOf(err) == protocol.DiskFull && c.m.disk.full
}

// serve does something for a member; done is false where there was nothing to do.
func (c *counter) serve() (done, recorded bool) {
	if c == nil || c.rnd.IntN(10) > 0 {
		return false, false
	}
	club := c.m.w.club
	c.last = nil
	waiting := slices.IndexFunc(club.people, func(p *person) bool { return p.atTill && p.id == "" })
	sales := club.sales[c.m.origin.Store]
	switch p := club.someone(c.rnd); {
	case waiting >= 0 && c.rnd.IntN(2) == 0:
		c.enrol(club.people[waiting])
	case len(sales) > 0 && c.rnd.IntN(5) == 0:
		c.takeBack(sales[len(sales)-1-c.rnd.IntN(min(10, len(sales)))])
	case p != nil:
		c.sell(p)
	default:
		return false, false
	}
	return c.last != nil || c.m.process.usable() != nil || c.m.disk.full, c.last != nil
}

// enrol makes somebody a member, whether or not the line is up.
func (c *counter) enrol(p *person) {
	m, ctx := c.m, c.m.w.ctx
	member := &protocol.Member{ID: protocol.NewMemberID(filler(m.secrets)), Version: 1, Status: protocol.MemberTemporary}
	// Whoever is enrolled again, since nobody knows whether it was done, gives another
	// name: members are not merged in a simulation, whose auditor knows no groups.
	p.tries++
	p.fields.Name = fmt.Sprintf("Ann %s %d, %d", nameMark, p.n, p.tries)
	q := p.request(m.origin.Store)
	person := protocol.Personal{}
	key := protocol.NewSubjectKey(filler(m.secrets))
	err := q.ApplyTo(member, &person, m.clock.wall().UnixMilli())
	lookup, ok, failed := m.ring.Lookup(ctx)
	if err = errors.Join(err, failed); err == nil && ok {
		member.PhoneSum, member.EmailSum, err = loyalty.Contacts(lookup, person)
	}
	if member.Card == "" {
		member.Card = protocol.NewMemberCard(filler(m.secrets))
	}
	if err == nil {
		member.Sealed, err = protocol.Seal(key, string(member.ID), person, filler(m.secrets))
	}
	if err == nil {
		err = m.ring.Put(ctx, map[string]protocol.SubjectKey{string(member.ID): key})
	}
	if err == nil {
		if _, err = c.till.Enrol(ctx, protocol.Call{Route: "POST /v1/members"}, member); err != nil {
			// Whether it can be forgotten is no concern of who was enrolled.
			_ = m.ring.Forget(ctx, []string{string(member.ID)})
		}
	}
	switch {
	case err == nil:
		p.id, m.w.club.byID[member.ID], m.w.club.newest = member.ID, p, p
		m.w.tell("%s enrols %s as %s", m.disk.name, person.Name, member.ID)
	case c.excused(err), protocol.CodeOf(err) == protocol.NotProvisioned:
	case protocol.CodeOf(err) == protocol.Conflict:
		p.card = "" // Somebody bears it.
	default:
		m.w.fail("%s enrols nobody: %v", m.disk.name, err)
	}
}

// sell sells to a member, who may want to pay with points.
func (c *counter) sell(p *person) {
	m := c.m
	r, total := c.basket(p)
	if c.rnd.IntN(4) == 0 {
		if err := c.till.Visit(m.w.ctx, p.id); err != nil {
			m.w.tell("%s: nobody is asked for points: %v", m.disk.name, err)
		}
	}
	if m.process.usable() != nil {
		return
	}
	left, _ := m.spendable(p.id)
	if rare := c.rnd.IntN(4) == 0; rare != (left >= redeemLeast) {
		wish := []protocol.Points{redeemLeast, redeemLeast, left, left + redeemStep, redeemStep * protocol.Points(2+c.rnd.IntN(8))}[c.rnd.IntN(5)]
		if points := min(wish, protocol.Points(total)) / redeemStep * redeemStep; points >= redeemLeast && c.redeem(r, points, total, 2) {
			return
		}
	}
	c.sellForCash(r, total)
}

// sellForCash sells without points, which is never refused once the till may sell.
func (c *counter) sellForCash(r *sale.Request, total protocol.Money) {
	c.pay(r, 0, total)
	if _, err := c.till.Sell(c.m.w.ctx, protocol.Call{Route: "POST /v1/sales"}, *r); err != nil && !c.excused(err) && protocol.CodeOf(err) != protocol.NotProvisioned {
		c.m.w.fail("%s does not sell to a member: %v (I22)", c.m.disk.name, err)
	}
}

// basket is what a member wants.
func (c *counter) basket(p *person) (r *sale.Request, total protocol.Money) {
	r = &sale.Request{MemberID: string(p.id)}
	price := protocol.Money(100)
	for range 1 + c.rnd.IntN(2) {
		n := 1 + c.rnd.IntN(3)
		q := protocol.Quantity(n) * 1000
		r.Lines = append(r.Lines, sale.Line{Code: fmt.Sprintf("SKU%d", c.rnd.IntN(skus)), Qty: &q, UnitPriceMinor: &price})
		total += price * protocol.Money(n)
	}
	return r, total
}

func (c *counter) pay(r *sale.Request, points protocol.Points, total protocol.Money) {
	n, cash := int64(points), total-protocol.Money(points)
	r.RedeemPoints, r.Tenders = nil, nil
	if points > 0 {
		r.RedeemPoints = &n
	}
	if cash > 0 {
		r.Tenders = []sale.Tender{{Type: string(protocol.Cash), AmountMinor: &cash}}
	}
}

// redeem pays with points, and holds the till to what it may spend. Where points
// were asked for it is tried again, for which the shopper waits. It tells whether
// nothing is left to do.
func (c *counter) redeem(r *sale.Request, points protocol.Points, total protocol.Money, tries int) bool {
	m := c.m
	c.pay(r, points, total)
	left, sure := m.spendable(protocol.MemberID(r.MemberID))
	online := m.engine != nil && m.engine.Link().State == uplink.Online
	_, err := c.till.Sell(m.w.ctx, protocol.Call{Route: "POST /v1/sales"}, *r)
	switch code := protocol.CodeOf(err); {
	case err == nil, c.excused(err):
		return true
	case code == protocol.NotProvisioned:
		return true
	case code != protocol.PointsUnavailable:
		m.w.fail("%s does not let points be spent: %v", m.disk.name, err)
		return true
	}
	m.w.counts.PointsRefused++
	why, _ := protocol.AsError(err).Members["why"].(string)
	if sure && points <= left && why != string(sale.PointsNoProgramme) && !m.w.setAside(m) {
		m.w.fail("%s refuses to spend %d points of %s, of which it was lent %d: %v (I22)", m.disk.name, points, r.MemberID, left, err)
		return true
	}
	if tries == 0 || !online || c.rnd.IntN(3) == 0 {
		return false
	}
	p := m.process
	m.w.after(200*time.Millisecond+upTo(c.rnd, time.Second), func() {
		if m.process == p && m.running() {
			if !c.redeem(r, points, total, tries-1) {
				c.sellForCash(r, total)
			}
		}
	})
	return true
}

// takeBack takes goods of a member back, or voids the receipt.
func (c *counter) takeBack(original *act) {
	m := c.m
	if m.identity.Series == original.series && c.rnd.IntN(6) == 0 && !m.w.plan.twin() {
		_, err := c.till.Void(m.w.ctx, protocol.Call{Route: "POST /v1/sales/void"}, original.receipt, sale.VoidRequest{Reason: "mistake"})
		m.w.tell("%s voids %s: %v", m.disk.name, original.receipt, err)
		return
	}
	r := sale.ReturnRequest{ReceiptNo: string(original.receipt), Reason: "too small"}
	total := protocol.Money(0)
	for i, q := range original.lines {
		n := 1 + c.rnd.IntN(int(q/1000))
		part := protocol.Quantity(n) * 1000
		if i > 0 && c.rnd.IntN(2) == 0 {
			continue
		}
		r.Lines = append(r.Lines, sale.ReturnLine{Line: uint32(i + 1), Qty: &part})
		total += 100 * protocol.Money(n)
	}
	points := min(original.credit.asPoints, total)
	if points > 0 && c.rnd.IntN(2) == 0 {
		r.Tenders = append(r.Tenders, sale.Tender{Type: string(protocol.PointsPay), AmountMinor: &points})
		total -= points
	}
	if total > 0 {
		r.Tenders = append(r.Tenders, sale.Tender{Type: string(protocol.Cash), AmountMinor: &total})
	}
	_, err := c.till.Return(m.w.ctx, protocol.Call{Route: "POST /v1/returns"}, r)
	m.w.tell("%s takes back on %s: %v", m.disk.name, original.receipt, err)
	if code := protocol.CodeOf(err); err != nil && code == protocol.Internal && !c.excused(err) {
		m.w.fail("%s takes nothing back: %v", m.disk.name, err)
	}
}
