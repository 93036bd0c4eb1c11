package api

import (
	"net/http"

	"counterpart/protocol"
	"counterpart/protocol/loyalty"
)

// memberBytesMax bounds the body of a request about a member.
const memberBytesMax = 4 << 20

// MemberQuery looks members up by one of its members.
type MemberQuery struct{ Card, Phone, Email string }

func (s *server) enrolMember(w http.ResponseWriter, r *http.Request) error {
	var request loyalty.MemberRequest
	call, err := readCall(r, "POST /v1/members", &request)
	if err != nil {
		return err
	}
	answer, err := s.deps.EnrolMember(r.Context(), call, request)
	return writeAnswer(w, answer, err)
}

func (s *server) members(w http.ResponseWriter, r *http.Request) error {
	p := parametersOf(r)
	q := MemberQuery{Card: p.values.Get("card"), Phone: p.values.Get("phone"), Email: p.values.Get("email")}
	given := 0
	for _, v := range []string{q.Card, q.Phone, q.Email} {
		if v != "" {
			given++
		}
	}
	if given != 1 {
		return protocol.OutOfRange("card", "", "missing, or beside another (give one of card, phone and email)")
	}
	doc, err := s.deps.Members(r.Context(), q)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, doc)
}

func (s *server) member(w http.ResponseWriter, r *http.Request) error {
	return s.aboutMember(w, r, func(id protocol.MemberID) (any, error) { return s.deps.Member(r.Context(), id) })
}

// changeMember changes what the request names. Sent again it says the same once
// more, in another version, so its key is not remembered.
func (s *server) changeMember(w http.ResponseWriter, r *http.Request) error {
	return s.aboutMember(w, r, func(id protocol.MemberID) (any, error) {
		var request loyalty.MemberRequest
		if _, err := readCall(r, "PATCH /v1/members/"+string(id), &request); err != nil {
			return nil, err
		}
		return s.deps.ChangeMember(r.Context(), id, request)
	})
}

func (s *server) eraseMember(w http.ResponseWriter, r *http.Request) error {
	return s.aboutMember(w, r, func(id protocol.MemberID) (any, error) { return s.deps.EraseMember(r.Context(), id) })
}

func (s *server) aboutMember(w http.ResponseWriter, r *http.Request, do func(protocol.MemberID) (any, error)) error {
	id, err := memberOf(r)
	if err != nil {
		return err
	}
	doc, err := do(id)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, doc)
}

// memberOf is the member that an address names.
func memberOf(r *http.Request) (protocol.MemberID, error) {
	id := r.PathValue("id")
	if !protocol.ValidID(id) {
		return "", protocol.Refuse(protocol.NotFound, "That is not the id of a member. Nothing was recorded. Look the member up by card, phone or e-mail.")
	}
	return protocol.MemberID(id), nil
}

func (s *server) exportMember(w http.ResponseWriter, r *http.Request) error {
	return s.aboutMember(w, r, func(id protocol.MemberID) (any, error) { return s.deps.ExportMember(r.Context(), id) })
}
