package api

import (
	"net/http"

	"counterpart/protocol"
	"counterpart/protocol/loyalty"
)

// MemberQuery looks members up by one of its members.
type MemberQuery struct{ Card, Phone, Email string }

// memberBytesMax bounds what members are looked up by.
const memberBytesMax = 1024

func (s *server) enrolMember(w http.ResponseWriter, r *http.Request) error {
	var request loyalty.MemberRequest
	call, err := readCall(r, "POST /v1/members", &request)
	if err != nil {
		return err
	}
	answer, err := s.deps.EnrolMember(r.Context(), call, request)
	return s.answer(w, r, answer, err)
}

func (s *server) members(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	given := 0
	for _, name := range []string{"card", "phone", "email"} {
		value := query.Get(name)
		if !protocol.ValidText(value, memberBytesMax) {
			return protocol.Refuse(protocol.OutOfRangeCode, "What is looked for is too long, or holds control characters. Correct it and ask again.").With("field", name)
		}
		if value != "" {
			given++
		}
	}
	if given != 1 {
		return protocol.Refuse(protocol.OutOfRangeCode, "A member is looked up by one of card, phone and email. Name one of them.")
	}
	found, err := s.deps.Members(r.Context(), MemberQuery{Card: query.Get("card"), Phone: query.Get("phone"), Email: query.Get("email")})
	if err != nil {
		return err
	}
	return s.show(w, r, listOf(found, nil))
}

func (s *server) member(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if !protocol.ValidID(id) {
		return protocol.Refuse(protocol.NotFound, "That is not the id of a member. Look the member up by card, phone or e-mail.")
	}
	document, err := s.deps.Member(r.Context(), protocol.MemberID(id))
	if err != nil {
		return err
	}
	return s.show(w, r, document)
}
