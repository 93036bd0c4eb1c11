package hub

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

const winter = "WINTER2026ABCD"

var winterCard = protocol.GiftCode(winter).Account("GBP")

// accountOf reads what an answer says of an account.
func (c *leaseCore) accountOf(a protocol.Answer, err error) (doc AccountDocument) {
	c.t.Helper()
	c.must(err)
	c.must(json.Unmarshal(a.Body, &doc))
	return doc
}

// lent compares who holds what of an account.
func (c *leaseCore) lent(id protocol.MemberID, when, want string) {
	c.t.Helper()
	got := ""
	c.must(c.view(c.t.Context(), func(r ledger.Reader) error {
		p, err := c.readPurse(r, id)
		got = ""
		for i := range p.holdings {
			h := &p.holdings[i]
			got += fmt.Sprintf("%s/%s %d %s, ", h.store, h.agent, h.lease.Left(), h.state())
		}
		got += fmt.Sprint("of ", p.balance)
		return err
	}))
	if got != want {
		c.t.Fatalf("%s: %s, want %s", when, got, want)
	}
}

// enters is a receipt that does something to an account.
func (c *leaseCore) enters(p *player, id protocol.MemberID, amount protocol.Points) Inbound {
	c.numbers++
	ev := receiptOf(protocol.SaleSale, c.numbers, "2026-11-21", 1000, "")
	ev.Sale.Series, ev.Sale.Accounts = "9", []protocol.AccountEntry{{Account: id, Amount: amount}}
	return p.does(ev)
}

func (c *leaseCore) comesFor(p *player, id protocol.MemberID, amount protocol.Points) (VisitDocument, protocol.Code) {
	doc, err := c.Visit(c.t.Context(), id, VisitRequest{Store: p.origin.Store, Agent: p.origin.Agent, Inc: p.origin.Inc.String(), Points: amount})
	return doc, protocol.CodeOf(err)
}

// TestGiftCardLeases lends a card to the store that sold it, without any programme,
// moves it to who asks, and never to a store of another currency.
func TestGiftCardLeases(t *testing.T) {
	c := newLeaseCore(t, t.Fatal, `{"earn":[],"home_lease_cap":0,"valid_from":"2026-01-01"}`)
	mustTakeIn(t, c.Hub, StoresTable, "id,name,timezone,currency,primary_agent\ns4,Gare,Europe/Paris,EUR,d1\n")
	a, b, d := c.player("s1", "a1", 1), c.player("s2", "b1", 2), c.player("s4", "d1", 3)
	for _, p := range []*player{a, b, d} {
		p.greet()
	}
	c.receive(c.enters(a, winterCard, 5000))
	c.lent(winterCard, "sold", "s1/a1 5000 active, of 5000")
	c.receive(c.enters(a, winterCard, -2000))
	c.lent(winterCard, "spent", "s1/a1 3000 active, of 3000")
	if doc, code := c.comesFor(b, winterCard, 1000); code != "" || !doc.Coming {
		t.Fatalf("answered %+v, %s", doc, code)
	}
	c.lent(winterCard, "asked for elsewhere", "s1/a1 3000 recalled, of 3000")
	c.receive(a.does(&protocol.Event{Kind: protocol.KindLease, Lease: &protocol.Lease{Member: winterCard, Holder: a.origin.Inc, Change: protocol.LeaseClosed, Points: 3000, Recalls: 1}}))
	c.lent(winterCard, "given back", "s2/b1 3000 active, of 3000")
	if doc, code := c.comesFor(d, winterCard, 1000); code != "" || doc.Left != 0 || doc.Coming {
		t.Errorf("a store of another currency is answered %+v, %s", doc, code)
	}
	if _, code := c.comesFor(b, protocol.GiftCode("NEVERSOLD123").Account("GBP"), 1000); code != protocol.NotFound {
		t.Errorf("a card that was never sold is answered %s", code)
	}
	// Two machines that hold the same log spend the same lease: a person is told.
	c.receive(c.enters(b, winterCard, -3500))
	c.must(c.view(t.Context(), func(r ledger.Reader) error {
		l, err := ledger.ReadLease(r, ledger.MemberAt{Store: "s2", Member: winterCard}, b.origin.Inc)
		if err == nil && !l.Overspent() {
			t.Errorf("the lease is %+v", l)
		}
		return err
	}))
	list, err := c.Exceptions(t.Context(), "open", Page{Limit: 10})
	if b, _ := json.Marshal(list); err != nil || !strings.Contains(string(b), ledger.ExceptionLeaseOverspent) || strings.Contains(string(b), winter) {
		t.Errorf("exceptions %s, %v", b, err)
	}
	c.sound()
}

// TestIssueGiftCard issues a card once, adjusts it, and takes away neither more than
// there is nor what stores hold.
func TestIssueGiftCard(t *testing.T) {
	c := newLeaseCore(t, t.Fatal, hundreds)
	code, call := winter, protocol.Call{Route: "gift", Key: "k-1", Body: []byte("1")}
	q := GiftCardRequest{Code: &code, Store: "s1", Amount: 5000, Reason: "late parcel", Staff: "s7"}
	first := c.accountOf(c.IssueGiftCard(t.Context(), call, q))
	if again := c.accountOf(c.IssueGiftCard(t.Context(), call, q)); *again.Code != winter || again.Balance != 5000 || first.ID != winterCard {
		t.Errorf("issued %+v, and again %+v", first, again)
	}
	if _, err := c.IssueGiftCard(t.Context(), protocol.Call{}, q); protocol.CodeOf(err) != protocol.Conflict {
		t.Errorf("the same code once more: %v", err)
	}
	made := c.accountOf(c.IssueGiftCard(t.Context(), protocol.Call{}, GiftCardRequest{Store: "s2", Reason: "to be topped up", Staff: "s7"}))
	if !protocol.ValidGiftCode(*made.Code) || made.Balance != 0 || *made.HomeStore != "s2" {
		t.Errorf("made %+v", made)
	}
	adjust := func(amount protocol.Money) error {
		_, err := c.AdjustGiftCard(t.Context(), protocol.Call{}, winter, "", AmountRequest{Amount: amount, Reason: "mistake", Staff: "s7"})
		return err
	}
	c.must(adjust(-1000))
	a := c.player("s1", "a1", 1)
	a.greet()
	c.second()
	c.lent(winterCard, "held", "s1/a1 4000 active, of 4000")
	if err := adjust(-500); protocol.CodeOf(err) != protocol.Conflict {
		t.Errorf("what a store holds is taken: %v", err)
	}
	c.lent(winterCard, "asked back", "s1/a1 4000 recalled, of 4000")
	c.receive(a.does(&protocol.Event{Kind: protocol.KindLease, Lease: &protocol.Lease{Member: winterCard, Holder: a.origin.Inc, Change: protocol.LeaseClosed, Points: 4000, Recalls: 1}}))
	c.must(adjust(-500))
	for amount, want := range map[protocol.Money]protocol.Code{-4000: protocol.OutOfRangeCode, 0: protocol.OutOfRangeCode, protocol.MoneyMax: protocol.OutOfRangeCode, protocol.MoneyMax + 1: protocol.OutOfRangeCode} {
		if err := adjust(amount); protocol.CodeOf(err) != want {
			t.Errorf("adjusted by %d: %v", amount, err)
		}
	}
	pan, ended := "4111111111111111", "soon"
	for name, bad := range map[string]GiftCardRequest{
		"card number": {Code: &pan, Store: "s1", Reason: "r", Staff: "s7"}, "code": {Code: &ended, Store: "s1", Reason: "r", Staff: "s7"}, "amount": {Store: "s1", Amount: -1, Reason: "r", Staff: "s7"},
		"store": {Store: "s9", Reason: "r", Staff: "s7"}, "reason": {Store: "s1", Staff: "s7"}, "end": {Store: "s1", ValidTo: &ended, Reason: "r", Staff: "s7"},
	} {
		if _, err := c.IssueGiftCard(t.Context(), protocol.Call{}, bad); err == nil || strings.Contains(err.Error(), pan) {
			t.Errorf("%s: %v", name, err)
		}
	}
	doc, err := c.GiftCard(t.Context(), winter, "")
	if err != nil || doc.Code != nil || doc.Balance != 3500 {
		t.Errorf("shown as %+v, %v", doc, err)
	}
	if _, err := c.GiftCard(t.Context(), winter, "EUR"); protocol.CodeOf(err) != protocol.NotFound {
		t.Errorf("in another currency: %v", err)
	}
	c.sound()
}

// TestGiftCardEnds lets a card expire: what is free at once, what a store holds when
// it comes back.
func TestGiftCardEnds(t *testing.T) {
	c := newLeaseCore(t, t.Fatal, hundreds)
	code, end := winter, c.now().Add(48*time.Hour).UTC().Format(time.RFC3339)
	a := c.player("s1", "a1", 1)
	a.greet()
	c.accountOf(c.IssueGiftCard(t.Context(), protocol.Call{}, GiftCardRequest{Code: &code, Store: "s1", Amount: 5000, ValidTo: &end, Reason: "r", Staff: "s7"}))
	c.lent(winterCard, "held", "s1/a1 5000 active, of 5000")
	c.time += 49 * time.Hour
	c.second()
	c.lent(winterCard, "over", "s1/a1 5000 recalled, of 5000")
	c.receive(c.enters(a, winterCard, -1000), a.does(&protocol.Event{Kind: protocol.KindLease, Lease: &protocol.Lease{Member: winterCard, Holder: a.origin.Inc, Change: protocol.LeaseClosed, Points: 4000, Recalls: 1}}))
	c.lent(winterCard, "given back", "of 0")
	c.sound()
}

// TestCreditAndOffersOfAGroup: who stands for two members has the credit of both, and
// the offers to both; erasing them keeps the sums, and kills what was offered.
func TestCreditAndOffersOfAGroup(t *testing.T) {
	m := newMergeCore(t, t.Fatal)
	c := &leaseCore{core: m.core, fatal: t.Fatal}
	a, b := c.player("s1", "a1", 1), c.player("s2", "b1", 2)
	a.greet()
	b.greet()
	m.joins("m-1", "s1")
	m.joins("m-2", "s2")
	one, other := protocol.NewCreditAccount("GBP", "m-1"), protocol.NewCreditAccount("GBP", "m-2")
	credit := func(id protocol.MemberID, amount protocol.Money) protocol.Code {
		_, err := c.AdjustCredit(t.Context(), protocol.Call{}, id, CreditAmountRequest{AmountRequest: AmountRequest{Amount: amount, Reason: "sorry", Staff: "s7"}})
		return protocol.CodeOf(err)
	}
	if code := credit("m-1", 700) + credit("m-2", 300); code != "" {
		t.Fatal(code)
	}
	if code := credit("m-9", 5); code != protocol.NotFound {
		t.Errorf("credit to nobody: %s", code)
	}
	var offers List[AccountDocument]
	answer, err := c.IssueOffers(t.Context(), protocol.Call{}, OfferRequest{Members: []protocol.MemberID{"m-1", "m-2"}, Name: "Two pounds off", Kind: protocol.AmountOff, Amount: 200, Reason: "sorry", Staff: "s7"})
	c.must(err)
	c.must(json.Unmarshal(answer.Body, &offers))
	c.lent(other, "apart", "s2/b1 300 active, of 300")
	m.must2(m.merges("m-1", "m-2"))
	c.lent(other, "merged", "s1/a1 700 active, s2/b1 300 recalled, of 1000")
	c.receive(b.does(&protocol.Event{Kind: protocol.KindLease, Lease: &protocol.Lease{Member: other, Holder: b.origin.Inc, Change: protocol.LeaseClosed, Points: 300, Recalls: 1}}))
	c.lent(one, "given back", "s1/a1 1000 active, of 1000")
	for i := range offers.Items {
		list, err := c.MemberAccounts(t.Context(), "m-2")
		if err != nil || len(list.Items) != 3 || list.Items[0].ID != one || list.Items[0].Balance != 1000 || *list.Items[1+i].Member != "m-1" {
			t.Fatalf("they have %+v, %v", list.Items, err)
		}
	}
	if doc, code := c.comesFor(b, offers.Items[0].ID, 1); code != "" || !doc.Coming {
		t.Errorf("an offer is asked for: %+v, %s", doc, code)
	}
	if _, err := c.EraseMember(t.Context(), "m-1"); err != nil {
		t.Fatal(err)
	}
	// Nobody stands for who is erased: each has their own sums again.
	c.lent(one, "erased", "s1/a1 1000 recalled, of 700")
	if code := credit("m-1", 5); code != protocol.Conflict {
		t.Errorf("credit to who is erased: %s", code)
	}
	for _, o := range offers.Items {
		if _, code := c.comesFor(b, o.ID, 1); code != protocol.Conflict {
			t.Errorf("an offer to who is erased: %s", code)
		}
	}
	c.sound()
}

// TestOfferIsLentWithItsTerms gives an offer to members in one act, tells its terms to
// the store that gets it, and withdraws it.
func TestOfferIsLentWithItsTerms(t *testing.T) {
	c := newLeaseCore(t, t.Fatal, hundreds)
	a, b := c.player("s1", "a1", 1), c.player("s2", "b1", 2)
	a.greet()
	b.greet()
	q := OfferRequest{Members: []protocol.MemberID{lender}, Name: "A fifth off", Kind: protocol.PercentOff, Rate: 200_000, SKUs: []protocol.SKU{"PEN", "INK", "PEN"}, ValidTo: "2026-12-24", Reason: "birthday", Staff: "s7"}
	call := protocol.Call{Route: "offers", Key: "k-1", Body: []byte("1")}
	var first, again List[AccountDocument]
	for _, list := range []*List[AccountDocument]{&first, &again} {
		answer, err := c.IssueOffers(t.Context(), call, q)
		c.must(err)
		c.must(json.Unmarshal(answer.Body, list))
	}
	id := first.Items[0].ID
	if len(again.Items) != 1 || again.Items[0].ID != id || len(first.Items[0].Offer.SKUs) != 2 {
		t.Fatalf("issued %+v, and again %+v", first.Items, again.Items)
	}
	c.lent(id, "at home", "s1/a1 1 active, of 1")
	c.comesFor(b, id, 1)
	c.receive(a.does(&protocol.Event{Kind: protocol.KindLease, Lease: &protocol.Lease{Member: id, Holder: a.origin.Inc, Change: protocol.LeaseClosed, Points: 1, Recalls: 1}}))
	c.lent(id, "elsewhere", "s2/b1 1 active, of 1")
	c.must(c.view(t.Context(), func(r ledger.Reader) error {
		terms, err := ledger.ReadTermsAt(r, ledger.MemberAt{Store: "s2", Member: id})
		if err == nil && (terms == nil || terms.Offer.Rate != 200_000) {
			t.Errorf("the other store was told %+v", terms)
		}
		return err
	}))
	if doc := c.accountOf(c.WithdrawOffer(t.Context(), protocol.Call{}, id, CreditRequest{Staff: "s7", Reason: "mistake"})); doc.State != stateWithdrawn {
		t.Errorf("withdrawn as %+v", doc)
	}
	c.lent(id, "withdrawn", "s2/b1 1 recalled, of 1")
	for name, spoil := range map[string]func(*OfferRequest){
		"nobody": func(q *OfferRequest) { q.Members = nil }, "a stranger": func(q *OfferRequest) { q.Members = []protocol.MemberID{lender, "m-9"} }, "name": func(q *OfferRequest) { q.Name = " " },
		"kind": func(q *OfferRequest) { q.Kind = protocol.NForPrice }, "rate": func(q *OfferRequest) { q.Rate = 1_000_001 }, "goods": func(q *OfferRequest) { q.SKUs = []protocol.SKU{"a\n"} },
		"goods of a basket": func(q *OfferRequest) { q.Kind, q.Rate, q.Amount = protocol.AmountOff, 0, 5 }, "amount": func(q *OfferRequest) { q.Kind, q.Rate, q.SKUs = protocol.AmountOff, 0, nil },
		"minimum": func(q *OfferRequest) { q.Minimum = 5 }, "end": func(q *OfferRequest) { q.ValidTo = "soon" }, "currency": func(q *OfferRequest) { q.Currency = "pounds" }, "reason": func(q *OfferRequest) { q.Reason = "" },
	} {
		bad := q
		spoil(&bad)
		if _, err := c.IssueOffers(t.Context(), protocol.Call{}, bad); err == nil {
			t.Errorf("%s: is taken", name)
		}
	}
	if list, err := c.MemberAccounts(t.Context(), lender); err != nil || len(list.Items) != 1 {
		t.Errorf("after refusals there are %+v, %v", list.Items, err)
	}
	if _, err := c.WithdrawOffer(t.Context(), protocol.Call{}, "o-m-1-ff", CreditRequest{Staff: "s7", Reason: "mistake"}); protocol.CodeOf(err) != protocol.NotFound {
		t.Errorf("an offer that is not there: %v", err)
	}
	c.sound()
}

// TestAccountsWithoutAHome: who has no home store has credit and offers all the same;
// they are lent to the store that the member is in.
func TestAccountsWithoutAHome(t *testing.T) {
	c := newLeaseCore(t, t.Fatal, hundreds)
	c.says(&protocol.Member{ID: "m-7", Version: 1, Status: protocol.MemberActive})
	b := c.player("s2", "b1", 2)
	b.greet()
	call := protocol.Call{Route: "credit", Key: "k-1", Body: []byte("1")}
	q := CreditAmountRequest{AmountRequest: AmountRequest{Amount: 900, Reason: "sorry", Staff: "s7"}}
	for range 2 {
		if doc := c.accountOf(c.AdjustCredit(t.Context(), call, "m-7", q)); doc.Balance != 900 || doc.HomeStore != nil {
			t.Fatalf("given %+v", doc)
		}
	}
	id := protocol.NewCreditAccount("GBP", "m-7")
	c.lent(id, "at nobody's home", "of 900")
	if doc, code := c.comesFor(b, id, 500); code != "" || doc.Left != 900 {
		t.Fatalf("answered %+v, %s", doc, code)
	}
	c.receive(c.enters(b, id, -500))
	c.lent(id, "spent", "s2/b1 400 active, of 400")
	c.sound()
}

// TestI13_ACardInSuspense: what a machine held of a card that is gone is lent to
// nobody until somebody takes the risk.
func TestI13_ACardInSuspense(t *testing.T) {
	c := newLeaseCore(t, t.Fatal, hundreds)
	a, b := c.player("s1", "a1", 1), c.player("s2", "b1", 2)
	a.greet()
	b.greet()
	c.receive(c.enters(a, winterCard, 5000))
	forked := c.player("s1", "a1", 4)
	forked.hello.ForkCause = "restored"
	forked.greet()
	c.second()
	c.lent(winterCard, "held by what is gone", "s1/a1 5000 suspense, of 5000")
	if doc, code := c.comesFor(b, winterCard, 1000); code != "" || doc.Left != 0 || doc.Coming {
		t.Errorf("answered %+v, %s", doc, code)
	}
	list, err := c.MemberLeases(t.Context(), winterCard)
	if err != nil || len(list.Items) != 1 || list.Items[0].Holder != a.origin.Inc.String() {
		t.Fatalf("leases %+v, %v", list.Items, err)
	}
	_, err = c.CreditLease(t.Context(), winterCard, a.origin.Inc.String(), CreditRequest{Staff: "s7", Reason: "stolen"})
	c.must(err)
	c.lent(winterCard, "credited", "s1/a1 5000 active, of 5000")
	c.sound()
}
