package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/loyalty"
	"counterpart/protocol/stock"
)

func exampleMember() loyalty.MemberDocument {
	m := &protocol.Member{ID: "m-1", Version: 1, Status: protocol.MemberTemporary, Card: "M1", Sealed: []byte{1}, HomeStore: "s1", Consents: []protocol.Consent{{Channel: "sms", Purpose: "marketing"}}}
	return loyalty.NewMemberDocument(m, &protocol.Personal{Name: "Ayla"}, loyalty.PointsDocument{Balance: -3, AsOf: "2026-11-21T10:03:00+00:00"})
}

// memberDeps adds the functions about members.
func (s *shop) memberDeps(d Deps) Deps {
	d.EnrolMember = func(_ context.Context, c protocol.Call, q loyalty.MemberRequest) (protocol.Answer, error) {
		if _, err := s.record(c, *q.Phone); err != nil {
			return protocol.Answer{}, err
		}
		body, err := json.Marshal(exampleMember())
		return protocol.Answer{Status: http.StatusCreated, Body: body}, err
	}
	d.Member = func(_ context.Context, id protocol.MemberID) (loyalty.MemberDocument, error) {
		s.note(string(id))
		return exampleMember(), s.err
	}
	d.Members = func(_ context.Context, q MemberQuery) ([]loyalty.MemberDocument, error) {
		s.note(q.Card + " " + q.Phone + " " + q.Email)
		return []loyalty.MemberDocument{exampleMember()}, s.err
	}
	d.ItemsOf = func(context.Context, []protocol.SKU) ([]stock.ItemDocument, error) {
		return []stock.ItemDocument{exampleItem()}, s.err
	}
	return d
}

func TestMembersAreServed(t *testing.T) {
	s := newShop()
	h := New(s.deps())
	if w := post(t, h, "/v1/members", `{"phone":"+994501234567"}`); w.Code != http.StatusCreated || s.calls[0].Route != "POST /v1/members" || s.asked[0] != "+994501234567" {
		t.Errorf("enrolled: %d %s, asked for %q", w.Code, w.Body, s.asked)
	}
	for target, want := range map[string]string{
		"/v1/members/m-1": "m-1", "/v1/members?card=M%201": "M 1  ", "/v1/members?phone=%2B994501234567": " +994501234567 ", "/v1/members?email=a%40b.example": "  a@b.example",
	} {
		s.asked = nil
		if w := get(t, h, target); w.Code != http.StatusOK || len(s.asked) != 1 || s.asked[0] != want {
			t.Errorf("%s: %d %s, asked for %q", target, w.Code, w.Body, s.asked)
		}
	}
}

// TestMembersThatCannotBe refuses without repeating what was looked for.
func TestMembersThatCannotBe(t *testing.T) {
	s := newShop()
	h := New(s.deps())
	for _, target := range []string{"/v1/members", "/v1/members?card=1&phone=2", "/v1/members?email=" + strings.Repeat("x", 1025), "/v1/members?phone=%00"} {
		w := get(t, h, target)
		if wantProblem(t, w, 422, "out_of_range"); strings.Contains(w.Body.String(), "xxx") {
			t.Errorf("%s", w.Body)
		}
	}
	wantProblem(t, get(t, h, "/v1/members/m%201"), 404, "not_found")
	wantProblem(t, post(t, h, "/v1/members", `{"nickname":"A"}`), 400, "unknown_field")
	if len(s.asked) > 0 {
		t.Errorf("asked for %q", s.asked)
	}
	s.err = protocol.Refuse(protocol.CannotKnow, "The head office cannot be reached.")
	for _, target := range []string{"/v1/members/m-1", "/v1/members?card=1"} {
		wantProblem(t, get(t, h, target), 503, "cannot_know")
	}
	for _, method := range []string{http.MethodPatch, http.MethodDelete} {
		wantProblem(t, do(t, h, newRequest(method, "/v1/members/m-1", nil)), 405, "method_not_allowed")
	}
}
