package sim

import (
	"fmt"
	"slices"

	"counterpart/protocol"
)

// credit is what an act does to a member, as the auditor keeps it.
type credit struct {
	member   protocol.MemberID
	earned   protocol.Points
	redeemed protocol.Points
	adjusted protocol.Points
	byLine   []protocol.Points // earned, of a sale
	rules    string            // the programme that the sale names
	paid     protocol.Money    // of a sale, otherwise than with points
	asPoints protocol.Money    // of a sale, with points
	lease    *protocol.Lease
	known    *protocol.Member
	cart     *protocol.Cart
}

// creditOf reads what an event does to a member, nil for nothing.
func creditOf(ev *protocol.Event) *credit {
	switch {
	case ev.Sale != nil && ev.Sale.Member != "":
		s := ev.Sale
		c := &credit{member: s.Member, earned: s.PointsEarned, redeemed: s.PointsRedeemed, rules: s.Programme}
		for _, t := range s.Tenders {
			if t.Type == protocol.PointsPay {
				c.asPoints += t.Amount
			} else {
				c.paid += t.Amount
			}
		}
		c.paid -= s.Change
		for _, l := range s.Lines {
			c.byLine = append(c.byLine, l.Points)
		}
		return c
	case ev.PointsChange != nil:
		return &credit{member: ev.PointsChange.Member, adjusted: ev.PointsChange.Points}
	case ev.Lease != nil:
		return &credit{member: ev.Lease.Member, lease: ev.Lease}
	case ev.Member != nil:
		return &credit{member: ev.Member.ID, known: ev.Member}
	case ev.Cart != nil:
		return &credit{member: ev.Cart.Member, cart: ev.Cart}
	}
	return nil
}

// enter notes what an act is for members.
func (c *club) enter(a *act) {
	if c == nil || a.credit == nil {
		return
	}
	m, n := a.credit.member, &c.w.counts
	switch l := a.credit.lease; {
	case l != nil && l.Change == protocol.LeaseGranted:
		n.Lent++
	case a.credit.known != nil && a.credit.known.Version == 1:
		n.Members++
		c.welcome(m)
	case a.credit.known != nil && a.credit.known.Status == protocol.MemberErased:
		n.Erased++
	case a.receipt != "" && a.credit.redeemed > 0:
		n.PointsSpent++
	}
	holder := a.id.Inc
	if a.credit.lease != nil {
		holder = a.credit.lease.Holder
	} else if a.credit.redeemed <= 0 {
		holder = protocol.Inc{}
	}
	if holder != (protocol.Inc{}) {
		if c.lent[m] == nil {
			c.lent[m] = map[protocol.Inc][]*act{}
		}
		c.lent[m][holder] = append(c.lent[m][holder], a)
	}
	if a.receipt != "" && a.original == nil {
		n.MemberSales++
		c.sales[a.store] = append(c.sales[a.store], a)
	}
}

// lending is what a stream was lent of a member's points, and what became of it.
type lending struct{ granted, spent, closed protocol.Points }

func (l *lending) add(a *act) {
	switch d := a.credit.lease; {
	case d == nil:
		l.spent += a.credit.redeemed
	case d.Change == protocol.LeaseGranted:
		l.granted += d.Points
	case d.Change == protocol.LeaseClosed, d.Change == protocol.LeaseCredited:
		l.closed += d.Points
	}
}

func (l *lending) left() protocol.Points { return max(0, l.granted-l.spent-l.closed) }

// lentOf adds up what is known of a lease to whoever knows of some acts.
func (c *club) lentOf(member protocol.MemberID, holder protocol.Inc, knows func(*act) bool) (l lending) {
	for _, a := range c.lent[member][holder] {
		if knows(a) {
			l.add(a)
		}
	}
	return l
}

// has tells whether the machine has folded an act.
func (m *machine) has(a *act) bool {
	return m.disk.watch.heads[a.id.Inc].seq >= a.id.Seq || slices.Contains(m.disk.watch.again[a.id], a.print)
}

// spendable is what the machine may spend of a member's points as the auditor reckons
// it. It is in doubt where a copy has used the same numbers.
func (m *machine) spendable(member protocol.MemberID) (left protocol.Points, sure bool) {
	sure = true
	l := m.w.club.lentOf(member, m.origin.Inc, func(a *act) bool {
		sure = sure && len(m.w.books.acts[a.id]) < 2
		return m.has(a)
	})
	if !m.confirmed(m.origin.Inc) {
		return 0, sure
	}
	return l.left(), sure
}

// account adds up what acts do to a member's points.
type account struct {
	balance protocol.Points
	stores  map[protocol.StoreID]protocol.Points
	back    bool // points that were earned were taken back
}

func (c *club) accountOf(member protocol.MemberID, acts []*act) account {
	sum := account{stores: map[protocol.StoreID]protocol.Points{}}
	for _, a := range acts {
		if a.credit == nil || a.credit.member != member {
			continue
		}
		n := a.credit.earned - a.credit.redeemed + a.credit.adjusted
		sum.balance += n
		sum.stores[a.store] += n
		sum.back = sum.back || a.credit.earned < 0
	}
	return sum
}

// judgeMembers holds what the hub does about members to what it knows in that
// moment; beside is what it commits in the same transaction.
func (w *world) judgeMembers(a *act, beside []*act) {
	d := a.credit.lease
	if d != nil && d.Change == protocol.LeaseCredited {
		w.judgeCredit(d)
	}
	taken := -a.credit.adjusted
	if d != nil && d.Change == protocol.LeaseGranted {
		taken = d.Points
	}
	if taken <= 0 {
		return
	}
	if free := w.freeAtHub(a, beside); taken > free {
		w.fail("the hub lends or takes away %d points of %s, of which %d are free (I14)", taken, a.credit.member, free)
	}
}

// freeAtHub is what a member has that nobody may spend, as the hub knows when it
// commits an act: by what it holds, and by what it has forgotten and a machine still
// may spend.
func (w *world) freeAtHub(a *act, beside []*act) protocol.Points {
	c, m := w.club, a.credit.member
	known := map[*act]bool{}
	var list []*act
	add := func(b *act) {
		if b != a && !known[b] {
			known[b] = true
			list = append(list, b)
		}
	}
	for _, b := range w.cloud.book.members[m] {
		add(b)
	}
	for _, b := range beside {
		if b.credit != nil && b.credit.member == m {
			add(b)
		}
	}
	free := c.accountOf(m, list).balance
	for holder, all := range c.lent[m] {
		forgotten := slices.ContainsFunc(all, func(b *act) bool {
			l := b.credit.lease
			return b != a && l != nil && l.Change == protocol.LeaseGranted && !known[b] && w.mayBeSpent(b)
		})
		l := c.lentOf(m, holder, func(b *act) bool { return known[b] || forgotten && b != a && !b.lost })
		free -= l.left()
	}
	return free
}

// judgeCredit holds the hub to crediting nothing that a machine in session may
// spend. Of copies it hears one at a time, and a hub that was restored may know an
// earlier stream.
func (w *world) judgeCredit(d *protocol.Lease) {
	if w.plan.Disaster.Cloned+w.plan.Disaster.Twin > 0 || w.cloud.renewed {
		return
	}
	for _, m := range w.agents {
		if m.confirmed(d.Holder) {
			w.fail("the hub credits %d points that %s may spend (I13)", d.Points, m.disk.name)
		}
	}
}

// mayBeSpent tells whether the machine to which points were lent knows of it.
func (w *world) mayBeSpent(grant *act) bool {
	return slices.ContainsFunc(w.agents, func(m *machine) bool { return m.origin.Inc == grant.credit.lease.Holder && m.has(grant) })
}

// judgeSale holds what a till records of a member to the rules and to what its
// stream was lent.
func (m *machine) judgeSale(a *act) {
	c, w := a.credit, m.w
	if c == nil || w.err != nil {
		return
	}
	if a.original != nil {
		m.judgeBack(a)
		return
	}
	if a.receipt == "" {
		return
	}
	if want := w.club.earns(c); c.earned != want {
		w.fail("%s: receipt %s earns %d points, not %d of %d paid (I3)", m.disk.name, a.receipt, c.earned, want, c.paid)
	}
	if c.redeemed <= 0 {
		return
	}
	if left, sure := m.spendable(c.member); sure && c.redeemed > left && !w.setAside(m) {
		w.fail("%s spends %d points of %s, of which it was lent %d (I13)", m.disk.name, c.redeemed, c.member, left)
	}
}

// earns is what a sale earns under the rules that it names.
func (c *club) earns(s *credit) protocol.Points {
	rules := c.rules[s.rules]
	if rules == nil || s.paid <= 0 {
		return 0
	}
	per, n := int64(rules.Earn[0].PerMinor), int64(s.paid)*int64(rules.Earn[0].Points)
	if rules.Rounding == protocol.RoundHalfUp {
		return protocol.Points((2*n + per) / (2 * per))
	}
	return protocol.Points(n / per)
}

// judgeBack holds a return to what was earned on what comes back, in proportion, as
// far as the machine knows of what came back before.
func (m *machine) judgeBack(a *act) {
	sale := a.original
	if sale.credit == nil || len(m.w.books.receipts[sale.receipt]) > 1 {
		return // Copies have printed the number twice, and either may be meant.
	}
	before := make([]protocol.Quantity, len(sale.lines))
	for _, b := range m.w.books.reversals[sale.receipt] {
		if b == a || !m.has(b) {
			continue
		}
		if len(m.w.books.acts[b.id]) > 1 {
			return
		}
		for i, q := range b.lines {
			before[i] += q
		}
	}
	want := protocol.Points(0)
	for i, q := range a.lines {
		if i < len(sale.lines) && i < len(sale.credit.byLine) {
			part := func(q protocol.Quantity) protocol.Points {
				q = min(q, sale.lines[i])
				return protocol.Points((2*int64(sale.credit.byLine[i])*int64(q) + int64(sale.lines[i])) / (2 * int64(sale.lines[i])))
			}
			want -= part(before[i]+q) - part(before[i])
		}
	}
	if a.credit == nil || a.credit.earned != want || a.credit.member != sale.credit.member {
		m.w.fail("%s: what comes back on %s takes %+v off, not %d (I3)", m.disk.name, sale.receipt, a.credit, want)
	}
	if a.credit != nil && (a.credit.redeemed > 0 || -a.credit.redeemed > sale.credit.redeemed) {
		m.w.fail("%s: what comes back on %s gives %d points back, %d were spent (I3)", m.disk.name, sale.receipt, -a.credit.redeemed, sale.credit.redeemed)
	}
}

// hubCredit is what the hub wrote about a member, nil for all else.
func (w *world) hubCredit(id protocol.EventID, o protocol.Origin, record []byte) *act {
	rec, err := protocol.RecordFromBytes(record)
	if err != nil {
		return nil
	}
	ev, err := protocol.DecodeEvent(rec.Body)
	if err != nil {
		return nil
	}
	c := creditOf(ev)
	if c == nil {
		return nil
	}
	return &act{id: id, print: fingerprint(record), store: o.Store, kind: ev.Kind, moves: ev.Moves, credit: c}
}

// describe is for the story of a run.
func (c *credit) describe() string {
	switch {
	case c.lease != nil:
		return fmt.Sprintf("lease of %s for %x %s %d", c.member, c.lease.Holder[:4], c.lease.Change, c.lease.Points)
	case c.known != nil:
		return fmt.Sprintf("%s is %s, version %d", c.member, c.known.Status, c.known.Version)
	case c.cart != nil:
		return fmt.Sprintf("cart of %s: %s %v", c.member, c.cart.Op, c.cart.Lines)
	}
	return fmt.Sprintf("%s earns %d, spends %d, %+d", c.member, c.earned, c.redeemed, c.adjusted)
}
