package hub

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/loyalty"

	"pgregory.net/rapid"
)

// leaseCore is a core whose stores lend points.
type leaseCore struct {
	*core
	fatal   func(...any)
	numbers uint64
}

const lender protocol.MemberID = "m-1"

func newLeaseCore(t *testing.T, fatal func(...any), programme string) *leaseCore {
	c := &leaseCore{core: newCore(t), fatal: fatal}
	mustTakeIn(t, c.Hub, StoresTable, "id,name,timezone,currency,primary_agent\ns3,Park,Europe/London,GBP,c1\n")
	c.rules(programme)
	c.says(&protocol.Member{ID: lender, Version: 1, Status: protocol.MemberActive, HomeStore: "s1"})
	return c
}

func (c *leaseCore) must(err error) {
	if err != nil {
		c.fatal(err)
	}
}

func (c *leaseCore) rules(programme string) {
	var d loyalty.Document
	c.must(json.Unmarshal([]byte(programme), &d))
	_, err := c.SetProgramme(c.t.Context(), d)
	c.must(err)
}

// hundreds lets points be spent by the hundred, and home stores hold 500.
const hundreds = `{"earn":[],"redeem":{"points":100,"value_minor":100,"minimum":200},"home_lease_cap":500,"valid_from":"2026-01-01"}`

func (c *leaseCore) says(m *protocol.Member) {
	_, err := c.act(c.t.Context(), "s1", func(ledger.Tx) (*protocol.Event, error) {
		return &protocol.Event{Kind: protocol.KindMember, Member: m}, nil
	})
	c.must(err)
}

func (c *leaseCore) adjust(points protocol.Points) error {
	_, err := c.AdjustPoints(c.t.Context(), protocol.Call{Route: "adjust"}, lender, PointsRequest{Points: points, Reason: "gift", Staff: "s7"})
	return err
}

// second lets a second go by.
func (c *leaseCore) second() {
	c.time += time.Second
	c.must(c.Tick(c.t.Context()))
}

func (c *leaseCore) purse() *purse {
	var p purse
	c.must(c.view(c.t.Context(), func(r ledger.Reader) (err error) {
		p, err = c.readPurse(r, lender)
		return err
	}))
	return &p
}

// holds compares what streams hold, by store and agent.
func (c *leaseCore) holds(t *testing.T, when, want string) {
	t.Helper()
	got, p := "", c.purse()
	for i := range p.holdings {
		h := &p.holdings[i]
		got += fmt.Sprintf("%s/%s %d %s, ", h.store, h.agent, h.lease.Left(), h.state())
	}
	if got += fmt.Sprint("of ", p.balance); got != want {
		t.Fatalf("%s: %s, want %s", when, got, want)
	}
}

// sale is a receipt to the member.
func (c *leaseCore) sale(p *player, kind protocol.SaleType, earned, redeemed protocol.Points) Inbound {
	c.numbers++
	ev := receiptOf(kind, c.numbers, "2026-11-21", 1000, "")
	ev.Sale.Series, ev.Sale.Member, ev.Sale.PointsEarned, ev.Sale.PointsRedeemed = "9", lender, earned, redeemed
	return p.does(ev)
}

func (p *player) closes(points protocol.Points, recalls uint32) Inbound {
	return p.does(&protocol.Event{Kind: protocol.KindLease, Lease: &protocol.Lease{Member: lender, Holder: p.origin.Inc, Change: protocol.LeaseClosed, Points: points, Recalls: recalls}})
}

func (c *leaseCore) visit(p *player, points protocol.Points) (VisitDocument, error) {
	return c.Visit(c.t.Context(), lender, VisitRequest{Store: p.origin.Store, Agent: p.origin.Agent, Inc: p.origin.Inc.String(), Points: points})
}

// TestHomeLease lends to the home store's primary, up to the cap and what is free,
// and tops up only by whole steps.
func TestHomeLease(t *testing.T) {
	c := newLeaseCore(t, t.Fatal, hundreds)
	c.must(c.adjust(150))
	a := c.player("s1", "a1", 1)
	a.greet()
	c.second()
	c.holds(t, "less than can be spent is not lent", "of 150")
	c.must(c.adjust(100))
	c.holds(t, "once it is enough it is", "s1/a1 250 active, of 250")
	c.must(c.adjust(90))
	c.holds(t, "less than a step is not added", "s1/a1 250 active, of 340")
	c.must(c.adjust(1000))
	c.holds(t, "the cap", "s1/a1 500 active, of 1340")
	c.receive(c.sale(a, protocol.SaleSale, 0, 200))
	c.holds(t, "what was spent is filled up", "s1/a1 500 active, of 1140")
	c.receive(c.sale(a, protocol.SaleReturn, 0, -200))
	c.holds(t, "what came back is the account's", "s1/a1 500 active, of 1340")
	c.rules(`{"earn":[],"redeem":{"points":100,"value_minor":100,"minimum":200},"home_lease_cap":800,"valid_from":"2026-01-01"}`)
	c.second()
	c.holds(t, "another programme", "s1/a1 800 active, of 1340")
	c.rules(`{"earn":[],"redeem":{"points":100,"value_minor":100,"minimum":200},"home_lease_cap":900,"valid_from":"2026-11-21T10:30:00+00:00"}`)
	c.second()
	c.holds(t, "one that is yet to begin", "s1/a1 800 active, of 1340")
	c.time += time.Hour
	c.second()
	c.holds(t, "which has begun", "s1/a1 900 active, of 1340")
	c.says(&protocol.Member{ID: lender, Version: 2, Status: protocol.MemberErased, HomeStore: "s1"})
	c.must(c.lendTo(t.Context(), lender))
	c.holds(t, "a member who is erased", "s1/a1 900 recalled, of 1340")
}

// TestVisitLease lends to another store what is free, and asks the home store for
// the rest.
func TestVisitLease(t *testing.T) {
	c := newLeaseCore(t, t.Fatal, hundreds)
	a, b := c.player("s1", "a1", 1), c.player("s2", "b1", 2)
	a.greet()
	b.greet()
	c.must(c.adjust(800))
	doc, err := c.visit(b, 200)
	if err != nil || doc != (VisitDocument{Member: lender, Balance: 800, Left: 300}) {
		t.Fatalf("answered %+v, %v", doc, err)
	}
	c.holds(t, "what is free", "s1/a1 500 active, s2/b1 300 active, of 800")
	if doc, err = c.visit(b, 700); err != nil || doc != (VisitDocument{Member: lender, Balance: 800, Left: 300, Coming: true}) {
		t.Fatalf("answered %+v, %v", doc, err)
	}
	c.holds(t, "the home store is asked", "s1/a1 500 recalled, s2/b1 300 active, of 800")
	c.receive(a.closes(500, 1))
	c.holds(t, "and gives", "s2/b1 800 active, of 800")
	c.receive(c.sale(b, protocol.SaleSale, 0, 700))
	c.receive(b.closes(100, 0))
	c.must(c.adjust(200))
	c.holds(t, "the home store gets what is given back", "s1/a1 300 active, of 300")
	c.time += time.Minute // Nobody has been heard since.
	b.greet()
	if doc, err = c.visit(b, 200); err != nil || doc != (VisitDocument{Member: lender, Balance: 300}) {
		t.Fatalf("answered %+v, %v", doc, err)
	}
	c.holds(t, "who is not heard is not asked", "s1/a1 300 active, of 300")
	stale := *b
	stale.origin.Inc[0]++
	if _, err := c.visit(&stale, 200); protocol.CodeOf(err) != protocol.Conflict {
		t.Errorf("another stream than the agent's is answered %v", err)
	}
}

// TestVisitCap lends no more than the programme lets another store hold.
func TestVisitCap(t *testing.T) {
	c := newLeaseCore(t, t.Fatal, `{"earn":[],"redeem":{"points":100,"value_minor":100,"minimum":200},"home_lease_cap":0,"visit_lease_cap":300,"valid_from":"2026-01-01"}`)
	b := c.player("s2", "b1", 2)
	b.greet()
	c.must(c.adjust(800))
	if doc, err := c.visit(b, 400); err != nil || doc.Left != 0 || doc.Coming {
		t.Errorf("answered %+v, %v", doc, err)
	}
	if doc, err := c.visit(b, 200); err != nil || doc.Left != 300 {
		t.Errorf("answered %+v, %v", doc, err)
	}
}

// TestAnotherPrimary moves the standing lease to the machine that acts for the home
// store, and to another home store.
func TestAnotherPrimary(t *testing.T) {
	c := newLeaseCore(t, t.Fatal, hundreds)
	a, other, b := c.player("s1", "a1", 1), c.player("s1", "a2", 2), c.player("s2", "b1", 3)
	for _, p := range []*player{a, other, b} {
		p.greet()
	}
	c.must(c.adjust(400))
	c.holds(t, "at first", "s1/a1 400 active, of 400")
	mustTakeIn(t, c.Hub, StoresTable, "id,primary_agent,name,timezone\ns1,a2,High Street,Europe/London\n")
	c.second()
	c.holds(t, "another primary", "s1/a1 400 recalled, of 400")
	c.receive(a.closes(400, 1))
	c.holds(t, "which gets what comes back", "s1/a2 400 active, of 400")
	c.says(&protocol.Member{ID: lender, Version: 2, Status: protocol.MemberActive, HomeStore: "s2"})
	c.must(c.lendTo(t.Context(), lender))
	c.receive(other.closes(400, 1))
	c.holds(t, "another home store", "s2/b1 400 active, of 400")
}

// TestI13_ALeaseInSuspense: what a stream held that is over is lent to nobody until
// a person credits it, and nobody credits what a machine may still spend.
func TestI13_ALeaseInSuspense(t *testing.T) {
	c := newLeaseCore(t, t.Fatal, hundreds)
	a := c.player("s1", "a1", 1)
	a.greet()
	c.must(c.adjust(700))
	credit := func(p *player) error {
		_, err := c.CreditLease(t.Context(), lender, p.origin.Inc.String(), CreditRequest{Staff: "s7", Reason: "stolen"})
		return err
	}
	if err := credit(a); protocol.CodeOf(err) != protocol.Conflict {
		t.Errorf("what is in use is credited: %v", err)
	}
	forked := c.player("s1", "a1", 9)
	forked.hello.ForkCause = "restored"
	forked.greet()
	c.second()
	c.holds(t, "a fork", "s1/a1 500 suspense, s1/a1 200 active, of 700")
	if err := c.adjust(-300); protocol.CodeOf(err) != protocol.Conflict {
		t.Errorf("what may have been spent is taken away: %v", err)
	}
	c.must(credit(a))
	c.holds(t, "credited", "s1/a1 200 recalled, of 700")
	if err := credit(a); protocol.CodeOf(err) != protocol.NotFound {
		t.Errorf("credited twice: %v", err)
	}
	list, err := c.MemberLeases(t.Context(), lender)
	if err != nil || len(list.Items) != 1 || list.Items[0] != (LeaseDocument{Member: lender, Store: "s1", Agent: "a1", Holder: forked.origin.Inc.String(), Left: 200, State: "recalled"}) {
		t.Errorf("listed as %+v, %v", list, err)
	}
}

// TestI14_RestoredHub lends nothing until every agent has told what it holds of
// the time that the hub has forgotten.
func TestI14_RestoredHub(t *testing.T) {
	c := newLeaseCore(t, t.Fatal, hundreds)
	a, b := c.player("s1", "a1", 1), c.player("s2", "b1", 2)
	a.greet()
	b.greet()
	c.must(c.renew(t.Context(), c.Epoch()))
	c.must(c.adjust(700))
	c.holds(t, "nobody has told", "of 700")
	spent := c.sale(a, protocol.SaleSale, 1, 0) // while the hub was away
	a.greet()
	b.greet()
	c.second()
	c.holds(t, "one has not told all", "of 700")
	var batch protocol.Message
	batch, err := protocol.DecodeMessage(spent.Payload)
	c.must(err)
	batch.(*protocol.Batch).Session = a.session
	c.receive(payload(t, a.up(), batch))
	c.second()
	c.holds(t, "all have", "s1/a1 500 active, of 701")
	known := c.player("s3", "c1", 3)
	known.hello.SeenEpoch, known.hello.LastSeq, known.hello.LastHash = 1, 1, protocol.Hash{1}
	known.greet()
	c.receive(c.sale(a, protocol.SaleSale, 0, 300))
	c.holds(t, "one comes that is not known and has a past", "s1/a1 200 active, of 401")
}

// TestAdjust takes away no more than there is, and what stores hold only once they
// have given it back.
func TestAdjust(t *testing.T) {
	c := newLeaseCore(t, t.Fatal, hundreds)
	a := c.player("s1", "a1", 1)
	a.greet()
	c.must(c.adjust(400))
	if err := c.adjust(-401); protocol.CodeOf(err) != protocol.OutOfRangeCode {
		t.Errorf("more than there is: %v", err)
	}
	if err := c.adjust(-300); protocol.CodeOf(err) != protocol.Conflict {
		t.Errorf("what a store holds: %v", err)
	}
	c.receive(a.closes(400, 1))
	c.holds(t, "what came back is kept for it", "of 400")
	c.must(c.adjust(-300))
	c.holds(t, "taken", "of 100")
	for _, q := range []PointsRequest{{Points: 0, Reason: "x", Staff: "s7"}, {Points: 1, Staff: "s7"}, {Points: 1, Reason: "x"}, {Points: protocol.PointsMax + 1, Reason: "x", Staff: "s7"}} {
		if _, err := c.AdjustPoints(t.Context(), protocol.Call{}, lender, q); protocol.CodeOf(err) != protocol.OutOfRangeCode {
			t.Errorf("%+v: %v", q, err)
		}
	}
	call := protocol.Call{Route: "adjust", Key: "k-1", Body: []byte("x")}
	for range 2 {
		answer, err := c.AdjustPoints(t.Context(), call, lender, PointsRequest{Points: 50, Reason: "gift", Staff: "s7"})
		if err != nil || answer.Status != 201 {
			t.Errorf("answered %+v, %v", answer, err)
		}
	}
	c.holds(t, "the same twice", "of 150")
}

// machine is an agent of the state machine below: what it knows of its lease, and
// what it has not yet sent.
type machine struct {
	*player
	granted, recalls protocol.Points // that have come down
	gone             protocol.Points // spent and given back
	waiting          []Inbound
	away             protocol.Points // of gone, in what waits
}

func (m *machine) left() protocol.Points { return m.granted - m.gone }

// lending plays members' points at random: what the machines may still spend and
// what they spent unheard is never more than the member has, and no points are in
// two hands.
type lending struct {
	*leaseCore
	machines []*machine
	incs     byte
	account  protocol.MemberID // that is played with
	home     protocol.Points   // what the home store may hold of it, but for less than unit
	unit     protocol.Points
}

func (l *lending) purse() *purse {
	var p purse
	l.must(l.view(l.t.Context(), func(r ledger.Reader) (err error) {
		p, err = l.readPurse(r, l.account)
		return err
	}))
	return &p
}

func (l *lending) adjust(some protocol.Points) (err error) {
	q := AmountRequest{Amount: protocol.Money(some), Reason: "gift", Staff: "s7"}
	switch l.account.Account() {
	case protocol.GiftAccount:
		_, err = l.AdjustGiftCard(l.t.Context(), protocol.Call{}, string(l.account), "", q)
	case protocol.CreditAccount:
		_, err = l.AdjustCredit(l.t.Context(), protocol.Call{}, lender, CreditAmountRequest{AmountRequest: q})
	default:
		err = l.leaseCore.adjust(some)
	}
	return err
}

// spends is a receipt that puts something on the account, and takes of it.
func (l *lending) spends(m *machine, earned, spent protocol.Points) Inbound {
	if l.account == lender {
		return l.sale(m.player, protocol.SaleSale, earned, spent)
	}
	l.numbers++
	ev := receiptOf(protocol.SaleSale, l.numbers, "2026-11-21", 1000, "")
	ev.Sale.Series, ev.Sale.Accounts = "9", []protocol.AccountEntry{{Account: l.account, Amount: -spent}, {Account: l.account, Amount: earned, Line: 1}}
	return m.does(ev)
}

func (l *lending) givesBack(m *machine) Inbound {
	return m.does(&protocol.Event{Kind: protocol.KindLease, Lease: &protocol.Lease{Member: l.account, Holder: m.origin.Inc, Change: protocol.LeaseClosed, Points: m.left(), Recalls: uint32(m.recalls)}})
}

func (l *lending) begin(store protocol.StoreID, agent protocol.AgentID, cause ledger.ForkCause) *machine {
	l.incs++
	m := &machine{player: l.player(store, agent, l.incs)}
	m.hello.ForkCause = string(cause)
	m.greet()
	return m
}

func (l *lending) check(t *rapid.T) {
	p := l.purse()
	if p.leased > p.balance {
		t.Fatalf("%d points are lent of %d", p.leased, p.balance)
	}
	for _, m := range l.machines {
		if held := p.left(m.origin.Inc); m.left()+m.away > held {
			t.Fatalf("%s may spend %d and has spent %d unheard, and the hub says it holds %d", m.origin.Agent, m.left(), m.away, held)
		}
	}
}

func (l *lending) step(t *rapid.T) {
	m := l.machines[rapid.IntRange(0, len(l.machines)-1).Draw(t, "machine")]
	some := protocol.Points(rapid.IntRange(1, 60).Draw(t, "points"))
	switch rapid.IntRange(0, 9).Draw(t, "act") {
	case 0:
		l.must(l.adjust(some))
	case 1:
		if err := l.adjust(-some); err != nil && protocol.CodeOf(err) != protocol.Conflict && protocol.CodeOf(err) != protocol.OutOfRangeCode {
			t.Fatal(err)
		}
	case 2: // what the hub says comes down
		if held := l.purse().of(m.origin.Inc); held != nil {
			m.granted, m.recalls = held.lease.Granted, held.lease.Recalls
		}
	case 3, 4:
		if some = min(some, m.left()); some > 0 {
			m.gone, m.away = m.gone+some, m.away+some
			m.waiting = append(m.waiting, l.spends(m, rapid.SampledFrom([]protocol.Points{0, 3}).Draw(t, "earned"), some))
		}
	case 5:
		m.waiting = append(m.waiting, l.givesBack(m))
		m.gone, m.away = m.granted, m.away+m.left()
	case 6: // what is waiting goes up, some of it twice
		if len(m.waiting) > 0 {
			l.receive(slices.Concat(m.waiting, m.waiting[:1])...)
			m.waiting, m.away = nil, 0
		}
	case 7:
		_, err := l.Visit(l.t.Context(), l.account, VisitRequest{Store: m.origin.Store, Agent: m.origin.Agent, Inc: m.origin.Inc.String(), Points: some})
		if l.account == lender || l.purse().sums.Events > 0 {
			l.must(err)
		}
	case 8:
		if rapid.IntRange(0, 5).Draw(t, "fork") == 0 {
			i := slices.Index(l.machines, m)
			l.machines[i] = l.begin(m.origin.Store, m.origin.Agent, "restored") // What waited is lost.
			_, err := l.CreditLease(l.t.Context(), l.account, m.origin.Inc.String(), CreditRequest{Staff: "s7", Reason: "gone"})
			if err != nil && protocol.CodeOf(err) != protocol.NotFound {
				t.Fatal(err)
			}
		}
	case 9:
		l.time += time.Duration(rapid.IntRange(0, 40).Draw(t, "seconds")) * time.Second
		l.must(l.Tick(l.t.Context()))
	}
}

// TestI14_NeverMoreThanThereIs plays sales, returns of points, grants, recalls,
// closing, credits and forks in any order, and lets events come late, of points as of
// other accounts.
func TestI14_NeverMoreThanThereIs(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		l := &lending{leaseCore: newLeaseCore(t, func(args ...any) { rt.Fatal(args...) },
			`{"earn":[],"redeem":{"points":2,"value_minor":1,"minimum":4},"home_lease_cap":50,"valid_from":"2026-01-01"}`), account: lender, home: 50, unit: 2}
		if account := rapid.SampledFrom([]protocol.MemberID{lender, winterCard, protocol.NewCreditAccount("GBP", lender)}).Draw(rt, "account"); account != lender {
			l.account, l.home, l.unit = account, protocol.PointsMax, 1
		}
		if code := winter; l.account == winterCard {
			l.accountOf(l.IssueGiftCard(t.Context(), protocol.Call{}, GiftCardRequest{Code: &code, Store: "s1", Reason: "r", Staff: "s7"}))
		}
		l.machines = []*machine{l.begin("s1", "a1", ""), l.begin("s1", "a2", ""), l.begin("s2", "b1", ""), l.begin("s3", "c1", "")}
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			l.step(rt)
			l.check(rt)
		}
		report := l.verify()
		if !report.OK() {
			rt.Fatalf("the log gives other rows: %v", report.Differences)
		}
		l.ends(rt)
	})
}

func (c *leaseCore) verify() (report *ledger.Report) {
	c.must(c.view(c.t.Context(), func(r ledger.Reader) (err error) {
		report, err = ledger.Verify(r)
		return err
	}))
	return report
}

// ends lets everything arrive: then the home store's primary holds what it may, and
// nobody else anything.
func (l *lending) ends(t *rapid.T) {
	for range 3 {
		for _, m := range l.machines {
			if len(m.waiting) > 0 {
				l.receive(m.waiting...)
				m.waiting, m.away = nil, 0
			}
			if held := l.purse().of(m.origin.Inc); held != nil {
				m.granted, m.recalls = held.lease.Granted, held.lease.Recalls
				if held.lease.Recalled() {
					l.receive(l.givesBack(m))
					m.gone = m.granted
				}
			}
			l.check(t)
		}
		l.time += time.Hour
		l.must(l.Tick(l.t.Context()))
	}
	p := l.purse()
	home := p.left(l.machines[0].origin.Inc)
	if want := min(l.home, p.balance); p.leased != home || want-home >= l.unit && want >= 2*l.unit {
		t.Fatalf("of %d points the home store holds %d and everybody %d", p.balance, home, p.leased)
	}
}
