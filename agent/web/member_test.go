package web

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/cart"
	"counterpart/protocol/loyalty"
	"counterpart/protocol/stock"
)

// till is a shop with members.
type till struct {
	shop
	members  []loyalty.MemberDocument
	cart     cart.Document
	timeline loyalty.TimelineDocument
	looked   string
	away     error // of the cart and the timeline
}

func (s *till) deps() Deps {
	d := s.shop.deps()
	d.Members = func(_ context.Context, by, value string) ([]loyalty.MemberDocument, error) {
		s.looked = by + " " + value
		return s.members, s.err
	}
	d.Member = func(_ context.Context, id protocol.MemberID) (loyalty.MemberDocument, error) {
		s.looked = "id " + string(id)
		if s.err != nil {
			return loyalty.MemberDocument{}, s.err
		}
		return s.members[0], nil
	}
	d.Cart = func(context.Context, protocol.MemberID) (cart.Document, error) { return s.cart, s.away }
	d.Timeline = func(context.Context, protocol.MemberID, int) (loyalty.TimelineDocument, error) {
		return s.timeline, s.away
	}
	d.ItemsOf = func(context.Context, []protocol.SKU) ([]stock.ItemDocument, error) { return s.items, nil }
	return d
}

func ayla() loyalty.MemberDocument {
	return loyalty.MemberDocument{
		ID: "m-1", Card: pointer("M123456789012"), Status: protocol.MemberActive, Name: pointer("Ayla Quliyeva"), Phone: pointer("+994501234567"), Email: pointer("ayla@example.com"),
		Consents: []loyalty.ConsentDocument{{Channel: "sms", Purpose: "marketing", Granted: true}, {Channel: "email", Purpose: "order_news"}},
		Points:   loyalty.PointsDocument{Balance: 12345, SpendableHere: 500, AsOf: "2026-11-21T11:48:00+00:00"},
	}
}

func cartLineOf(sku, name string, qty protocol.Quantity) cart.DocumentLine {
	return cart.DocumentLine{SKU: protocol.SKU(sku), Name: &name, Qty: qty}
}

// wantIn holds a page to the texts that it shows.
func wantIn(t *testing.T, page string, texts ...string) {
	t.Helper()
	for _, want := range texts {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not hold %q: %s", want, page)
		}
	}
}

// TestMemberIsShownMasked: with what of the cart is here, and what happened last.
func TestMemberIsShownMasked(t *testing.T) {
	s := &till{members: []loyalty.MemberDocument{ayla()}}
	s.items = []stock.ItemDocument{
		{SKU: "PEN", Unit: "each", PriceMinor: pointer(protocol.Money(250)), Currency: pointer("GBP"), Stocked: true, OnHand: 31000},
		{SKU: "INK", Unit: "each", Stocked: true, OnHand: 1000},
		{SKU: "CUP", Stocked: true, OnHand: -2000},
		{SKU: "BAG"},
		{SKU: "OLD", Stocked: true, OnHand: 9000, Blocked: true},
	}
	note := cartLineOf("PEN", "Pen", 2000)
	note.Note = pointer("for <b>Basti</b>\u202e")
	locked := cartLineOf("INK", "Ink", 3000)
	locked.Locked = true
	s.cart = cart.Document{From: cart.FromHub, Lines: []cart.DocumentLine{
		note, locked, cartLineOf("CUP", "Cup", 1000), cartLineOf("BAG", "Bag", 1000), cartLineOf("OLD", "Old", 1000), cartLineOf("GHOST", "Ghost", 1000),
	}}
	s.timeline = loyalty.TimelineDocument{From: cart.FromStore, Items: []loyalty.EntryDocument{
		{Kind: "complaint", Channel: pointer("phone"), Text: pointer("The pen leaks"), Open: true, At: "2026-11-21T11:00:00+00:00"},
		{Kind: "sale", Channel: pointer("store"), Amount: pointer(protocol.Money(1295)), Currency: pointer("GBP"), Points: 12, Store: pointer(protocol.StoreID("s2")), At: "2026-11-19T12:00:00+00:00"},
		{Kind: "points", Points: -100, At: "2026-11-19T12:00:00+00:00"},
		{Kind: "question", Locked: true, At: "2026-11-19T12:00:00+00:00"},
	}}
	page := get(t, New(s.deps()), "/sell/member?card=M123456789012").Body.String()
	wantIn(t, page, `data-state="found"`, `data-id="m-1"`, `data-balance="12345"`, "A•••", "•••567", "a•••@example.com", "M123456789012", ">12,345<", ">500<", "12 min ago",
		"2 × <span class=\"price\">£2.50</span>", "for &lt;b&gt;Basti&lt;/b&gt;<", "31 here", "Only 1 here", "None here", "not counted", "Blocked from sale", "Not in this store’s list",
		"There is a note that cannot be read here.", "Only what happened in this store.", "Complaint <span class=\"tag\">Open</span>", "The pen leaks", "Phone", "Bought", "£12.95, &#43;12 points", "2 days ago",
		"−100 points", "What was said cannot be read here.", "SMS, marketing", "E-mail, order news")
	for _, banned := range []string{"Quliyeva", "1234567\"", "ayla@", "501234567", "\u202e"} {
		if strings.Contains(page, banned) {
			t.Errorf("the page holds %q", banned)
		}
	}
	if n := strings.Count(page, `data-do="put"`); n != 4 {
		t.Errorf("%d lines can be put into the sale, want 4", n)
	}
	if s.looked != "card M123456789012" {
		t.Errorf("looked up by %q", s.looked)
	}
}

// TestNoMemberIsFoundInWords: who is not there, who cannot be known, and who is
// one of several are three things.
func TestNoMemberIsFoundInWords(t *testing.T) {
	away := protocol.Refuse(protocol.CannotKnow, "It is not known whether there is one.")
	two := ayla()
	two.ID, two.Name = "m-2", pointer("Basti")
	for _, c := range []struct {
		target  string
		members []loyalty.MemberDocument
		err     error
		looked  string
		texts   []string
	}{
		{"/sell/member?card=X1", nil, nil, "card X1", []string{`data-state="none"`, "No member has this card.", `data-do="enrol" data-card="X1"`}},
		{"/sell/member?phone=%2B99450", nil, nil, "phone +99450", []string{`data-state="none"`, `data-card=""`}},
		{"/sell/member?card=X1", nil, away, "card X1", []string{`data-state="unknown"`, "It is not known whether there is one.", `data-card="X1"`, "Sell without a member"}},
		{"/sell/member?id=m-1", nil, away, "id m-1", []string{`data-state="unknown"`}},
		{"/sell/member?email=a%40b", nil, protocol.OutOfRange("email", "", "no address"), "email a@b", []string{`data-state="refused"`}},
		{"/sell/member?phone=1", []loyalty.MemberDocument{ayla(), two}, nil, "phone 1", []string{`data-state="several"`, "2 members are known by that.", `data-member="m-1"`, `data-member="m-2"`, "B•••"}},
		{"/sell/member?card=" + strings.Repeat("x", 300), nil, nil, "", []string{`data-state="refused"`}},
		{"/sell/member", nil, nil, "", []string{`data-state="refused"`}},
	} {
		s := &till{members: c.members}
		s.err = c.err
		page := get(t, New(s.deps()), c.target).Body.String()
		wantIn(t, page, c.texts...)
		if s.looked != c.looked || strings.Contains(page, "Quliyeva") {
			t.Errorf("%s: looked up by %q: %s", c.target, s.looked, page)
		}
	}
}

// TestMemberWithoutTheHub: what is not known here is said to be so, and an erased
// member has nothing to show.
func TestMemberWithoutTheHub(t *testing.T) {
	s := &till{members: []loyalty.MemberDocument{ayla()}, away: protocol.Refuse(protocol.CannotKnow, "away")}
	wantIn(t, get(t, New(s.deps()), "/sell/member?id=m-1").Body.String(), "The cart is not known here", "What happened elsewhere is not known")
	s.away = nil
	s.cart = cart.Document{From: cart.FromStore, AsOf: "2026-11-21T09:00:00+00:00"}
	wantIn(t, get(t, New(s.deps()), "/sell/member?id=m-1").Body.String(), "As this store heard it, 3 h ago", "The cart is empty.", "Nothing yet.")
	for status, want := range map[protocol.MemberStatus]string{
		protocol.MemberErased: "This member is erased.", protocol.MemberMerged: "merged into another", protocol.MemberTemporary: "The head office does not know of it yet.",
	} {
		s.members[0].Status = status
		page := get(t, New(s.deps()), "/sell/member?id=m-1").Body.String()
		wantIn(t, page, want, `data-spends="false"`)
	}
	s.err = errors.New("disk fell out")
	if page := get(t, New(s.deps()), "/sell/member?id=m-1").Body.String(); strings.Contains(page, "disk") {
		t.Errorf("a cause is shown: %s", page)
	}
}

// TestMemberIsFollowed: also where nothing tells of a change, which is so of the
// carts of other stores' members.
func TestMemberIsFollowed(t *testing.T) {
	s := &till{members: []loyalty.MemberDocument{ayla()}}
	d := s.deps()
	var asked atomic.Int64
	d.Cart = func(context.Context, protocol.MemberID) (cart.Document, error) {
		if asked.Add(1) < 3 {
			return cart.Document{}, nil
		}
		return cart.Document{Lines: []cart.DocumentLine{cartLineOf("PEN", "Pen", 2000)}}, nil
	}
	site := newSite(d)
	site.memberBeat = time.Millisecond
	server := httptest.NewServer(http.HandlerFunc(site.serveMemberLive))
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"?id=m-1", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	if got := readBlock(t, lines); !strings.Contains(got, "The cart is empty.") {
		t.Fatalf("first: %s", got)
	}
	if got := readBlock(t, lines); got != ": alive\n" {
		t.Fatalf("while nothing changes: %s", got)
	}
	if got := readBlock(t, lines); !strings.HasPrefix(got, "event: parts\n") || !strings.Contains(got, `data-sku="PEN"`) {
		t.Fatalf("after the change: %s", got)
	}
}

// TestSellPage is complete, and knows in what money it sells.
func TestSellPage(t *testing.T) {
	s := &till{}
	s.status = Status{Store: "s1\"><script>", Agent: "a1", Link: "offline", Cause: "no_route", Currency: "HUF", Disk: "full"}
	h := New(s.deps())
	page := get(t, h, "/sell").Body.String()
	wantIn(t, page, `data-currency="HUF" data-digits="2" data-whole="true"`, "No internet", "Disk full: no sale can be recorded.")
	if strings.Contains(page, "\"><script>") {
		t.Error("the store’s name is not escaped")
	}
	for target, want := range map[string]int{"/assets/sell.js": http.StatusOK, "/assets/sell.css": http.StatusOK, "/sell/member/live": http.StatusNotFound, "/sell/member/live?id=%20": http.StatusNotFound} {
		if w := get(t, h, target); w.Code != want {
			t.Errorf("%s: %d", target, w.Code)
		}
	}
}
