package web

import (
	"context"
	"net/http"
	"strconv"

	"counterpart/protocol"
)

// sellView is the till's page. What is sold stands in the browser alone until it
// is paid, so the page is rendered without it.
type sellView struct {
	liveView
	Currency string
	Digits   int  // of its minor unit
	Whole    bool // the minor unit is stored and not in use
}

func (s *site) serveSell(w http.ResponseWriter, r *http.Request) {
	v := sellView{liveView: s.head(r.Context())}
	v.Currency = s.deps.Status(r.Context()).Currency
	v.Digits, v.Whole = protocol.MinorDigits(v.Currency), wholeOnly[v.Currency]
	s.answer(w, r, "sell", v)
}

// lookups are what a member is looked up by, as parameters.
var lookups = []string{"card", "phone", "email"}

// serveMember shows whom a card, a phone number, an e-mail address or an id is of.
func (s *site) serveMember(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	if id := query.Get("id"); id != "" {
		s.answer(w, r, "member", s.memberByID(r.Context(), protocol.MemberID(id)))
		return
	}
	for _, by := range lookups {
		if value := query.Get(by); value != "" {
			s.answer(w, r, "member", s.lookUp(r.Context(), by, value))
			return
		}
	}
	s.answer(w, r, "member", memberView{State: memberRefused, Text: "Scan a card, or type a phone number or an e-mail address."})
}

// serveMemberLive follows one member while their card lies at the till. Carts of
// members of this store come down as events. Those of visitors do not, so the hub
// is asked for them at each beat, which is shorter.
func (s *site) serveMemberLive(w http.ResponseWriter, r *http.Request) {
	id := protocol.MemberID(r.URL.Query().Get("id"))
	if !protocol.ValidID(string(id)) {
		s.deps.NotFound.ServeHTTP(w, r)
		return
	}
	at := *s
	at.settle, at.beat = s.memberSettle, s.memberBeat
	at.follow(w, r, "member", func(ctx context.Context) any { return s.memberByID(ctx, id) })
}

// groupPoints writes a number of points.
func groupPoints(p protocol.Points) string {
	if p < 0 {
		return minusSign + groupThousands(strconv.FormatUint(uint64(-p), 10))
	}
	return groupThousands(strconv.FormatUint(uint64(p), 10))
}
