package hub

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/cart"
	"counterpart/protocol/ledger"
	"counterpart/protocol/loyalty"

	"pgregory.net/rapid"
)

// mergeCore is a hub whose members are merged.
type mergeCore struct {
	*memberCore
	fatal   func(...any)
	numbers uint64
}

func newMergeCore(t *testing.T, fatal func(...any)) *mergeCore {
	c := &mergeCore{memberCore: newMemberCore(t), fatal: fatal}
	mustTakeIn(t, c.Hub, ItemsTable, "sku,gtin,name,price_minor,codes\nPEN,4006381333931,Pen,250,12345670*6\nINK,,Ink,900,\n")
	return c
}

func (c *mergeCore) must(err error) {
	c.t.Helper()
	if err != nil {
		c.fatal(err)
	}
}

// joins makes an active member of a store, with a key.
func (c *mergeCore) joins(id protocol.MemberID, store protocol.StoreID) {
	c.t.Helper()
	m := &protocol.Member{ID: id, Version: 1, Status: protocol.MemberActive, Card: "card " + string(id), HomeStore: store}
	c.must(c.seal(c.t.Context(), m, protocol.Personal{Name: "Name " + string(id)}, protocol.SubjectKey{byte(len(id)), id[len(id)-1]}))
	_, err := c.act(c.t.Context(), store, func(ledger.Tx) (*protocol.Event, error) {
		return &protocol.Event{Kind: protocol.KindMember, Member: m}, nil
	})
	c.must(err)
}

func (c *mergeCore) merges(id, with protocol.MemberID) (doc loyalty.MemberDocument, code protocol.Code) {
	c.t.Helper()
	return c.answers(c.MergeMember(c.t.Context(), protocol.Call{}, id, MergeRequest{With: with, Staff: "s7", Reason: "one person"}))
}

func (c *mergeCore) unmerges(id protocol.MemberID) (doc loyalty.MemberDocument, code protocol.Code) {
	c.t.Helper()
	return c.answers(c.UnmergeMember(c.t.Context(), protocol.Call{}, id, UnmergeRequest{Staff: "s7", Reason: "two people"}))
}

func (c *mergeCore) answers(a protocol.Answer, err error) (doc loyalty.MemberDocument, code protocol.Code) {
	c.t.Helper()
	if err != nil {
		return doc, protocol.CodeOf(err)
	}
	c.must(json.Unmarshal(a.Body, &doc))
	return doc, ""
}

// buys is a receipt to a member.
func (c *mergeCore) buys(p *player, id protocol.MemberID, earned, redeemed protocol.Points) Inbound {
	c.numbers++
	ev := receiptOf(protocol.SaleSale, c.numbers, "2026-11-21", 1000, "")
	ev.Sale.Series, ev.Sale.Member, ev.Sale.PointsEarned, ev.Sale.PointsRedeemed = "9", id, earned, redeemed
	return p.does(ev)
}

// group is a member's as the hub knows it, with its points.
func (c *mergeCore) group(id protocol.MemberID) (text string) {
	c.t.Helper()
	c.must(c.view(c.t.Context(), func(r ledger.Reader) error {
		ids, err := ledger.MemberGroup(r, id)
		if err != nil {
			return err
		}
		p, err := c.readPurse(r, id)
		text = fmt.Sprint(ids, " ", p.balance)
		return err
	}))
	return text
}

// TestTwinsAreOneMember: who is enrolled at tills of two stores under one name and
// number is one member at once, whoever came first; the smaller id stands for both,
// both cards lead there, and nobody is asked.
func TestTwinsAreOneMember(t *testing.T) {
	for _, order := range [][]protocol.MemberID{{"m-1", "m-2"}, {"m-2", "m-1"}} {
		c := newMergeCore(t, t.Fatal)
		a, b := c.player("s1", "a1", 1), c.player("s2", "b1", 2)
		a.greet()
		b.greet()
		spelt := protocol.Personal{Name: " BA\u0308RBEL  Weiß", Phone: "+4915112345678"}
		c.receive(withKey(t, a.does(enrolsAs(t, order[0], "C1", "s1", protocol.Personal{Name: "Bärbel weiß", Phone: spelt.Phone})), order[0], personKey), c.buys(a, order[0], 5, 0))
		c.receive(withKey(t, b.does(enrolsAs(t, order[1], "C1", "s2", spelt)), order[1], personKey), c.buys(b, order[1], 7, 0))
		one, other := c.shown("m-1"), c.shown("m-2")
		if one.ID != "m-1" || other.ID != "m-1" || one.Status != protocol.MemberActive || other.Points.Balance != 12 || len(one.Merged) != 1 || one.Merged[0].ID != "m-2" || one.MergedInto != nil {
			t.Errorf("%v: shown as %+v and %+v", order, one, other)
		}
		for _, q := range []MemberQuery{{Card: *one.Card}, {Card: *one.Merged[0].Card}, {Phone: spelt.Phone}} {
			if list, err := c.Members(t.Context(), q); err != nil || len(list.Items) != 1 || list.Items[0].ID != "m-1" {
				t.Errorf("%v: by %+v %+v are found, %v", order, q, list.Items, err)
			}
		}
		if *one.Card == *one.Merged[0].Card {
			t.Errorf("both bear %s", *one.Card)
		}
		if list, err := c.Exceptions(t.Context(), "open", Page{Limit: 10}); err != nil || len(list.Items) != 0 {
			t.Errorf("%v: the exceptions are %+v, %v", order, list.Items, err)
		}
		c.sound()
		c.restart()
		if again := c.shown("m-2"); again.ID != "m-1" || again.Points.Balance != 12 {
			t.Errorf("%v: after a restart %+v", order, again)
		}
		// Who is one with somebody who was merged is one with whoever stands for that.
		c.receive()
		third := c.player("s1", "a2", 3)
		third.greet()
		c.receive(withKey(t, third.does(enrolsAs(t, "m-0", "C3", "s1", protocol.Personal{Phone: spelt.Phone})), "m-0", personKey))
		if got := c.group("m-2"); got != "[m-0 m-1 m-2] 12" {
			t.Errorf("%v: the third makes it %s", order, got)
		}
		c.sound()
	}
}

// TestMergedByHand merges, refuses what cannot be merged, and undoes a merge; what
// was earned and spent under each id stays there.
func TestMergedByHand(t *testing.T) {
	c := newMergeCore(t, t.Fatal)
	a, b := c.player("s1", "a1", 1), c.player("s2", "b1", 2)
	a.greet()
	b.greet()
	for i, id := range []protocol.MemberID{"m-1", "m-2", "m-3", "m-4"} {
		c.joins(id, []protocol.StoreID{"s1", "s2"}[i%2])
	}
	c.receive(c.buys(a, "m-1", 10, 0), c.buys(b, "m-2", 20, 0), c.buys(a, "m-3", 40, 0))
	if doc, code := c.merges("m-2", "m-3"); code != "" || doc.ID != "m-2" || doc.Points.Balance != 60 || *doc.Name != "Name m-2" {
		t.Fatalf("merged as %+v, %s", doc, code)
	}
	if doc, code := c.merges("m-3", "m-1"); code != "" || doc.ID != "m-1" || doc.Points.Balance != 70 || len(doc.Merged) != 2 {
		t.Fatalf("merged on as %+v, %s", doc, code)
	}
	before := c.numbersOf("m-2")
	if doc, code := c.merges("m-2", "m-3"); code != "" || doc.ID != "m-1" || c.numbersOf("m-2") != before {
		t.Errorf("merged again as %+v, %s", doc, code)
	}
	c.receive(withKey(t, a.does(enrols(t, "m-5", "C5", "s1")), "m-5", protocol.SubjectKey{}))
	for what, q := range map[string]struct {
		id, with protocol.MemberID
		code     protocol.Code
	}{
		"itself": {"m-1", "m-1", protocol.OutOfRangeCode}, "nobody": {"m-1", "", protocol.OutOfRangeCode}, "unknown": {"m-1", "m-9", protocol.NotFound},
		"temporary": {"m-1", "m-5", protocol.Conflict},
	} {
		if _, code := c.merges(q.id, q.with); code != q.code {
			t.Errorf("merged with %s: %q", what, code)
		}
	}
	c.receive(c.buys(b, "m-3", 3, 0), c.buys(b, "m-1", 0, 30))
	if got := c.group("m-3"); got != "[m-1 m-2 m-3] 43" {
		t.Errorf("together they have %s", got)
	}
	c.sound()
	doc, code := c.unmerges("m-2")
	if code != "" || doc.ID != "m-2" || doc.Points.Balance != 63 || len(doc.Merged) != 1 || doc.Status != protocol.MemberActive {
		t.Errorf("unmerged as %+v, %s", doc, code)
	}
	c.sound()
	if got := c.group("m-1"); got != "[m-1] -20" {
		t.Errorf("what was spent of the other's points is owed: %s", got)
	}
	for id, want := range map[protocol.MemberID]protocol.Code{"m-1": protocol.Conflict, "m-2": protocol.Conflict, "m-9": protocol.NotFound} {
		if _, code := c.unmerges(id); code != want {
			t.Errorf("%s is unmerged: %q", id, code)
		}
	}
}

// TestMergedConsents keeps what the person said last, under whichever id.
func TestMergedConsents(t *testing.T) {
	c := newMergeCore(t, t.Fatal)
	c.joins("m-1", "s1")
	c.joins("m-2", "s2")
	for _, said := range []struct {
		id      protocol.MemberID
		channel string
		granted bool
	}{{"m-2", "sms", true}, {"m-1", "sms", false}, {"m-1", "email", true}, {"m-2", "email", false}, {"m-2", "post", true}} {
		c.time += time.Second
		_, err := c.ChangeMember(t.Context(), said.id, loyalty.MemberRequest{Consents: []loyalty.ConsentRequest{{Channel: said.channel, Purpose: "marketing", Granted: said.granted}}})
		c.must(err)
	}
	doc, code := c.merges("m-2", "m-1")
	got := ""
	for _, x := range doc.Consents {
		got += fmt.Sprint(x.Channel, " ", x.Granted, ", ")
	}
	if code != "" || doc.ID != "m-1" || got != "sms false, email false, post true, " {
		t.Errorf("merged as %s with %s, %q", doc.ID, got, code)
	}
	c.sound()
}

// numbersOf tells how often a member was changed.
func (c *mergeCore) numbersOf(id protocol.MemberID) (version uint32) {
	c.t.Helper()
	m, _, err := c.memberRow(c.t.Context(), id)
	c.must(err)
	return m.Version
}

// TestMergedAnyHow merges and undoes merges of random members, who shop under any of
// their ids, over restarts of the hub. Each is in one group, which the smallest id
// stands for; points are neither made nor lost, nor lent twice; and what stores are
// told is what a replay gives.
func TestMergedAnyHow(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := newMergeCore(t, rt.Fatal)
		var d loyalty.Document
		c.must(json.Unmarshal([]byte(hundreds), &d))
		_, err := c.SetProgramme(t.Context(), d)
		c.must(err)
		var ids []protocol.MemberID
		into := map[protocol.MemberID]protocol.MemberID{}
		for i := range 5 {
			ids = append(ids, protocol.MemberID(fmt.Sprint("m-", i)))
			c.joins(ids[i], []protocol.StoreID{"s1", "s2"}[i%2])
		}
		earned := map[protocol.MemberID]protocol.Points{}
		a, b := c.player("s1", "a1", 1), c.player("s2", "b1", 2)
		connect := func() { a.greet(); b.greet() }
		connect()
		rep := func(id protocol.MemberID) protocol.MemberID {
			for into[id] != "" {
				id = into[id]
			}
			return id
		}
		for range rapid.IntRange(5, 25).Draw(rt, "steps") {
			id := rapid.SampledFrom(ids).Draw(rt, "member")
			switch rapid.IntRange(0, 7).Draw(rt, "step") {
			case 0, 1, 2:
				other := rapid.SampledFrom(ids).Draw(rt, "other")
				if other == id {
					break
				}
				c.must2(c.merges(id, other))
				if x, y := min(rep(id), rep(other)), max(rep(id), rep(other)); x != y {
					into[y] = x
				}
			case 3:
				if into[id] != "" {
					c.must2(c.unmerges(id))
					delete(into, id)
				}
			case 4, 5, 6:
				points := protocol.Points(rapid.IntRange(1, 900).Draw(rt, "points"))
				c.receive(c.buys([]*player{a, b}[rapid.IntRange(0, 1).Draw(rt, "store")], id, points, 0))
				earned[id] += points
			case 7:
				c.restart()
				a.c, b.c = c.core, c.core
				connect()
			}
			c.agree(ids, rep, earned)
		}
		c.sound()
	})
}

func (c *mergeCore) must2(_ loyalty.MemberDocument, code protocol.Code) {
	c.t.Helper()
	if code != "" {
		c.fatal(code)
	}
}

// agree compares the hub's groups and points with what they should be.
func (c *mergeCore) agree(ids []protocol.MemberID, rep func(protocol.MemberID) protocol.MemberID, earned map[protocol.MemberID]protocol.Points) {
	c.t.Helper()
	for _, id := range ids {
		var group []protocol.MemberID
		var sum protocol.Points
		for _, other := range ids {
			if rep(other) == rep(id) {
				group, sum = append(group, other), sum+earned[other]
			}
		}
		if got, want := c.group(id), fmt.Sprint(group, " ", sum); got != want {
			c.fatal(fmt.Sprintf("%s is of %s, not of %s", id, got, want))
		}
		if group[0] != rep(id) {
			c.fatal(fmt.Sprintf("%s stands for %v", rep(id), group))
		}
		c.must(c.view(c.t.Context(), func(r ledger.Reader) error {
			p, err := c.readPurse(r, id)
			if err == nil && p.leased > p.balance && !slices.ContainsFunc(p.holdings, func(h holding) bool { return h.lease.Recalled() || !h.current }) {
				err = fmt.Errorf("of %d points %d are lent, and none asked back", p.balance, p.leased)
			}
			return err
		}))
	}
}

// TestMergedLeases: what a store holds of somebody who was merged counts as lent, is
// asked back, and may be spent until it is; what is lent from then on names who
// stands for both.
func TestMergedLeases(t *testing.T) {
	c := newMergeCore(t, t.Fatal)
	var d loyalty.Document
	c.must(json.Unmarshal([]byte(hundreds), &d))
	_, err := c.SetProgramme(t.Context(), d)
	c.must(err)
	mustTakeIn(t, c.Hub, StoresTable, "id,name,timezone,currency,primary_agent\ns1,One,Europe/London,GBP,a1\ns2,Two,Europe/London,GBP,b1\n")
	c.joins("m-1", "s1")
	c.joins("m-2", "s2")
	a, b := c.player("s1", "a1", 1), c.player("s2", "b1", 2)
	a.greet()
	b.greet()
	c.receive(c.buys(a, "m-1", 600, 0), c.buys(b, "m-2", 400, 0))
	visit := func(id protocol.MemberID) {
		t.Helper()
		if doc, err := c.Visit(t.Context(), id, VisitRequest{Store: "s2", Agent: "b1", Inc: b.origin.Inc.String()}); err != nil || doc.Member != "m-1" {
			t.Errorf("a visit answers %+v, %v", doc, err)
		}
	}
	visit("m-1")
	leases := func(when, want string) {
		t.Helper()
		list, err := c.MemberLeases(t.Context(), "m-2")
		c.must(err)
		got := ""
		for _, l := range list.Items {
			got += fmt.Sprintf("%s at %s %d %s, ", l.Member, l.Store, l.Left, l.State)
		}
		if got != want {
			t.Fatalf("%s: %s, want %s", when, got, want)
		}
	}
	c.must2(c.merges("m-1", "m-2"))
	leases("merged", "m-1 at s1 500 active, m-1 at s2 100 active, m-2 at s2 400 recalled, ")
	c.receive(c.buys(b, "m-2", 0, 200))
	leases("spent of what is asked back", "m-1 at s1 500 active, m-1 at s2 100 active, m-2 at s2 200 recalled, ")
	c.receive(b.does(&protocol.Event{Kind: protocol.KindLease, Lease: &protocol.Lease{Member: "m-2", Holder: b.origin.Inc, Change: protocol.LeaseClosed, Points: 200, Recalls: 1}}))
	leases("given back", "m-1 at s1 500 active, m-1 at s2 100 active, ")
	if got := c.group("m-2"); got != "[m-1 m-2] 800" {
		t.Errorf("they have %s", got)
	}
	visit("m-2")
	leases("asked for under the other id", "m-1 at s1 500 active, m-1 at s2 300 active, ")
	if _, err := c.AdjustPoints(t.Context(), protocol.Call{}, "m-2", PointsRequest{Points: 50, Reason: "gift", Staff: "s7"}); err != nil || c.group("m-1") != "[m-1 m-2] 850" {
		t.Errorf("adjusted: %v, %s", err, c.group("m-1"))
	}
	c.must2(c.unmerges("m-2"))
	if one, other := c.group("m-1"), c.group("m-2"); one != "[m-1] 650" || other != "[m-2] 200" {
		t.Errorf("apart they have %s and %s", one, other)
	}
	c.sound()
}

// TestMergedCarts puts what is in a cart into that of who stands for its owner, once;
// what is done under either id is done to that one.
func TestMergedCarts(t *testing.T) {
	c := newMergeCore(t, t.Fatal)
	a := c.player("s1", "a1", 1)
	a.greet()
	c.joins("m-1", "s1")
	c.joins("m-2", "s2")
	note := "the blue one"
	withNote := op("o-1", protocol.CartAdd, "INK", 1000)
	withNote.Note = &note
	for id, list := range map[protocol.MemberID][]cart.OpRequest{"m-1": {op("o-1", protocol.CartAdd, "PEN", 1000)}, "m-2": {op("o-2", protocol.CartAdd, "PEN", 2000), withNote}} {
		for _, q := range list {
			if _, code := c.cartOp(id, q); code != "" {
				t.Fatal(code)
			}
		}
	}
	c.must2(c.merges("m-1", "m-2"))
	doc, err := c.Cart(t.Context(), "m-2")
	c.must(err)
	if got := contents(doc); !strings.Contains(got, "PEN 3") || !strings.Contains(got, "INK 1") || *doc.MemberID != "m-1" {
		t.Errorf("the cart of %s holds %q", *doc.MemberID, got)
	}
	if i := slices.IndexFunc(doc.Lines, func(l cart.DocumentLine) bool { return l.SKU == "INK" }); doc.Lines[i].Note == nil || *doc.Lines[i].Note != note {
		t.Errorf("the note is %+v", doc.Lines[i])
	}
	if _, code := c.cartOp("m-2", op("o-3", protocol.CartAdd, "PEN", 1000)); code != "" {
		t.Error(code)
	}
	ev := receiptOf(protocol.SaleSale, 900, "2026-11-21", 250, "")
	ev.Sale.Series, ev.Sale.Member = "9", "m-2"
	ev.Sale.Lines[0].Item.SKU, ev.Sale.Lines[0].Quantity = "PEN", 3000
	c.receive(a.does(ev))
	for _, id := range []protocol.MemberID{"m-1", "m-2"} {
		doc, err := c.Cart(t.Context(), id)
		c.must(err)
		if got := contents(doc); !strings.Contains(got, "PEN 1 ") {
			t.Errorf("after the sale the cart of %s holds %q", id, got)
		}
	}
	c.must2(c.unmerges("m-2"))
	c.holdsCart("m-2", "")
	c.must2(c.merges("m-2", "m-1"))
	if doc, err := c.Cart(t.Context(), "m-1"); err != nil || !strings.Contains(contents(doc), "PEN 1 ") {
		t.Errorf("merged once more the cart holds %q, %v", contents(doc), err)
	}
	c.sound()
}

// TestMergedTimeline shows what happened under all ids, page by page, each text with
// its own key, and writes and closes under the right one.
func TestMergedTimeline(t *testing.T) {
	c := newMergeCore(t, t.Fatal)
	a, b := c.player("s1", "a1", 1), c.player("s2", "b1", 2)
	a.greet()
	b.greet()
	c.joins("m-1", "s1")
	c.joins("m-2", "s2")
	says := func(id protocol.MemberID, text string) string {
		t.Helper()
		c.time += time.Millisecond
		answer, err := c.WriteContact(t.Context(), protocol.Call{}, id, loyalty.ContactRequest{Channel: "phone", Kind: "question", Text: text, Open: true})
		c.must(err)
		var doc loyalty.EntryDocument
		c.must(json.Unmarshal(answer.Body, &doc))
		return doc.ID
	}
	says("m-1", "first")
	of2 := says("m-2", "second")
	c.must2(c.merges("m-1", "m-2"))
	says("m-2", "third")
	c.receive(c.buys(b, "m-2", 5, 0), c.buys(a, "m-1", 5, 0))
	var texts []string
	kinds, after := map[string]int{}, ""
	for {
		page, err := c.Timeline(t.Context(), "m-2", Page{Limit: 2, After: after})
		c.must(err)
		for _, e := range page.Items {
			if kinds[e.Kind]++; e.Text != nil {
				texts = append(texts, *e.Text)
			}
			if e.Locked {
				t.Errorf("locked: %+v", e)
			}
		}
		if page.Next == nil {
			break
		}
		after = *page.Next
	}
	slices.Sort(texts)
	if fmt.Sprint(texts, kinds) != "[first second third] map[enrolled:2 question:3 sale:2]" {
		t.Errorf("the timeline has %v %v", texts, kinds)
	}
	closes := func(id protocol.MemberID) error {
		_, err := c.CloseEntry(t.Context(), protocol.Call{}, id, of2, loyalty.CloseRequest{Staff: "s7"})
		return err
	}
	c.must(closes("m-1"))
	if err := closes("m-1"); protocol.CodeOf(err) != protocol.Conflict {
		t.Errorf("closed twice: %v", err)
	}
	c.sound()
}

// TestMergedAreErasedTogether: they are one person. Nobody is left with a key, though
// the process should end in the middle.
func TestMergedAreErasedTogether(t *testing.T) {
	c := newMergeCore(t, t.Fatal)
	for _, id := range []protocol.MemberID{"m-1", "m-2", "m-3"} {
		c.joins(id, "s1")
	}
	c.must2(c.merges("m-1", "m-2"))
	c.must2(c.merges("m-2", "m-3"))
	name := "Another"
	if doc, err := c.ChangeMember(t.Context(), "m-3", loyalty.MemberRequest{Name: &name}); err != nil || doc.ID != "m-1" || *doc.Name != name {
		t.Errorf("changed as %+v, %v", doc, err)
	}
	if doc, err := c.EraseMember(t.Context(), "m-2"); err != nil || doc.Status != protocol.MemberErased || doc.ID != "m-2" {
		t.Errorf("erased as %+v, %v", doc, err)
	}
	for _, id := range []protocol.MemberID{"m-1", "m-2", "m-3"} {
		if doc := c.shown(id); doc.ID != id || doc.Status != protocol.MemberErased || doc.Name != nil || doc.Card != nil || doc.MergedInto != nil {
			t.Errorf("%s is %+v", id, doc)
		}
		if _, ok, err := c.ring.Key(t.Context(), string(id)); ok || err != nil {
			t.Errorf("the key of %s is here: %v", id, err)
		}
	}
	if _, code := c.merges("m-1", "m-2"); code != protocol.Conflict {
		t.Errorf("the erased are merged: %q", code)
	}
	c.sound()
}

// TestMergedInTime: tiers and what expires follow from what was earned under all ids,
// and tell of no exception twice.
func TestMergedInTime(t *testing.T) {
	c := newLeaseCore(t, t.Fatal, tiered)
	a := c.player("s1", "a1", 1)
	a.greet()
	c.says(&protocol.Member{ID: "m-2", Version: 1, Status: protocol.MemberActive, HomeStore: "s1", DuplicateOf: lender})
	c.shops(a, 500, 0)
	earns := func(id protocol.MemberID, points protocol.Points) {
		c.numbers++
		ev := receiptOf(protocol.SaleSale, c.numbers, "2026-11-21", 1000, "")
		ev.Sale.Series, ev.Sale.Member, ev.Sale.PointsEarned = "9", id, points
		a.wallMs = c.now().UnixMilli()
		c.receive(a.does(ev))
	}
	earns("m-2", 500)
	tiers := func(when, want string) {
		t.Helper()
		got := ""
		for _, id := range []protocol.MemberID{lender, "m-2"} {
			m, _, err := c.memberRow(t.Context(), id)
			c.must(err)
			got += m.Tier + " "
		}
		if got != want {
			t.Errorf("%s the tiers are %q, not %q", when, got, want)
		}
	}
	list, err := c.Exceptions(t.Context(), "open", Page{Limit: 10})
	c.must(err)
	refs := len(list.Items[0].Refs)
	tiers("apart", "silver silver ")
	_, err = c.MergeMember(t.Context(), protocol.Call{}, "m-2", MergeRequest{With: lender, Staff: "s7", Reason: "one person"})
	c.must(err)
	tiers("merged", "gold silver ")
	c.rules(expiring)
	c.days(31)
	c.holds(t, "what is free of both goes, the rest is asked for", "s1/a1 500 recalled, of 500")
	c.receive(a.closes(500, 1))
	if p := c.purse(); p.balance != 0 || p.id != lender {
		t.Errorf("of what is old %d points are left", p.balance)
	}
	_, err = c.UnmergeMember(t.Context(), protocol.Call{}, "m-2", UnmergeRequest{Staff: "s7", Reason: "two people"})
	c.must(err)
	list, err = c.Exceptions(t.Context(), "open", Page{Limit: 10})
	if err != nil || len(list.Items) != 1 || len(list.Items[0].Refs) != refs {
		t.Errorf("the exceptions are %+v, %v", list.Items, err)
	}
}
