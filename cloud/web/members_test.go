package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/cart"
	"counterpart/protocol/loyalty"
)

func pointer[T any](v T) *T { return &v }

// people are those of a hub that knows one member, or says why it does not.
type people struct {
	found []loyalty.MemberDocument
	err   error
	asked string
}

func (p *people) deps() Deps {
	d := depsOf()
	d.People = People{
		Find: func(_ context.Context, by, value string) ([]loyalty.MemberDocument, error) {
			p.asked = by + " " + value
			return p.found, p.err
		},
		Member: func(_ context.Context, id protocol.MemberID) (loyalty.MemberDocument, error) {
			p.asked = "id " + string(id)
			return p.found[0], p.err
		},
		Leases: func(context.Context, protocol.MemberID) ([]Lease, error) {
			return []Lease{{"s1", "a1", "inc1", 500, "active"}, {"s2", "b1", "inc2", 20, "recalled"}, {"s3", "c1", "inc3", 7, "suspense"}}, nil
		},
		Cart: func(context.Context, protocol.MemberID) (cart.Document, error) {
			return cart.Document{Lines: []cart.DocumentLine{{SKU: "PEN", Name: pointer("Pen <b>"), Qty: 2000, Note: pointer("for Basti")}, {SKU: "INK", Qty: 500, Locked: true}}}, nil
		},
		Timeline: func(context.Context, protocol.MemberID, int) (loyalty.TimelineDocument, error) {
			return loyalty.TimelineDocument{Next: pointer("x"), Items: []loyalty.EntryDocument{
				{ID: "e-1", Kind: "complaint", Channel: pointer("phone"), Text: pointer("It leaks"), Open: true, At: ago(time.Hour)},
				{ID: "e-2", Kind: "sale", Amount: pointer(protocol.Money(1295)), Currency: pointer("GBP"), Points: 12, Store: pointer(protocol.StoreID("s2")), At: ago(time.Minute)},
				{ID: "e-3", Kind: "question", Locked: true},
			}}, nil
		},
	}
	return d
}

func ayla() loyalty.MemberDocument {
	return loyalty.MemberDocument{
		ID: "m-1", Card: pointer("M123456789012"), Status: protocol.MemberActive, Name: pointer("Ayla Quliyeva"), Phone: pointer("+994501234567"), Email: pointer("ayla@example.com"), Birthday: pointer("1990-02-03"),
		HomeStore: pointer(protocol.StoreID("s1")), Consents: []loyalty.ConsentDocument{{Channel: "sms", Purpose: "marketing", Granted: true, At: ago(48 * time.Hour)}},
		Points: loyalty.PointsDocument{Balance: -12345, Leased: 527},
	}
}

func found(t *testing.T, p *people, q string) string {
	t.Helper()
	w := page(t, p.deps(), "/members/found?"+url.Values{"q": {q}}.Encode())
	if w.Code != http.StatusOK {
		t.Errorf("%s: %d", q, w.Code)
	}
	return w.Body.String()
}

// TestMembersAreShownMasked: all that is known of one, and nothing of who it is.
func TestMembersAreShownMasked(t *testing.T) {
	body := found(t, &people{found: []loyalty.MemberDocument{ayla()}}, "M123456789012")
	for _, want := range []string{
		`data-member="m-1"`, "A•••", "•••567", "a•••@example.com", "M123456789012", "Active", "−12,345", ">527<", "SMS, marketing", "2 days ago",
		"May be spent there", "Asked back", "In suspense: its machine is gone", `data-act="credit" data-holder="inc3"`, "Pen &lt;b&gt;", "for Basti", "There is a note that cannot be read.", ">0.5<",
		"Complaint", "It leaks", `data-act="close" data-entry="e-1"`, "GBP 12.95, 12 points", "1 hour ago", "What was said cannot be read.", "There is more", `data-act="erase"`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not hold %q: %s", want, body)
		}
	}
	for _, banned := range []string{"Quliyeva", "501234567", "ayla@", "1990", "Pen <b>"} {
		if strings.Contains(body, banned) {
			t.Errorf("the page holds %q", banned)
		}
	}
	if n := strings.Count(body, `data-act="credit"`); n != 1 {
		t.Errorf("%d leases can be given back, want only the one in suspense", n)
	}
}

func TestMembersAreLookedUpByWhatIsTyped(t *testing.T) {
	for q, want := range map[string]string{
		"M123456789012": "card M123456789012", " 4006381333931 ": "card 4006381333931", "+994 50 123-45-67": "phone +994501234567", "00994501234567": "phone 00994501234567",
		"a@b.example": "email a@b.example", "m-1": "id m-1", "": "", strings.Repeat("x", 300): "",
	} {
		p := &people{found: []loyalty.MemberDocument{ayla()}}
		body := found(t, p, q)
		if p.asked != want || (want == "") != strings.Contains(body, "Type a card, a phone number") {
			t.Errorf("%q asks for %q, want %q", q, p.asked, want)
		}
	}
}

func TestMembersWhoAreNotOne(t *testing.T) {
	if body := found(t, &people{}, "M1"); !strings.Contains(body, "No member is known by that.") {
		t.Errorf("nobody: %s", body)
	}
	two := ayla()
	two.ID = "m-2"
	if body := found(t, &people{found: []loyalty.MemberDocument{ayla(), two}}, "+994501234567"); !strings.Contains(body, `data-choose="m-1"`) || !strings.Contains(body, `data-choose="m-2"`) || strings.Contains(body, "Quliyeva") {
		t.Errorf("two: %s", body)
	}
	gone := ayla()
	gone.Status, gone.Name, gone.Phone, gone.Email, gone.Card = protocol.MemberErased, nil, nil, nil, nil
	if body := found(t, &people{found: []loyalty.MemberDocument{gone}}, "m-1"); !strings.Contains(body, "Erased") || strings.Contains(body, `data-act="erase"`) || strings.Contains(body, "<form") {
		t.Errorf("erased: %s", body)
	}
	if body := found(t, &people{err: errors.New("disk fell out")}, "M1"); strings.Contains(body, "disk") || !strings.Contains(body, "told") {
		t.Errorf("a cause is shown: %s", body)
	}
	for target, code := range map[string]int{"/members": 200, "/assets/members.js": 200, "/assets/members.css": 200} {
		if w := page(t, depsOf(), target); w.Code != code || !strings.HasPrefix(w.Header().Get("Content-Security-Policy"), "default-src 'self'; ") {
			t.Errorf("%s: %d", target, w.Code)
		}
	}
}
