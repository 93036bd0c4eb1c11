package api

import (
	"net/http"

	"counterpart/protocol"
	"counterpart/protocol/loyalty"
)

func (s *server) timeline(w http.ResponseWriter, r *http.Request) error {
	p := parametersOf(r)
	page := p.page()
	if p.err != nil {
		return p.err
	}
	return s.aboutMember(w, r, func(id protocol.MemberID) (any, error) { return s.deps.Timeline(r.Context(), id, page) })
}

func (s *server) writeContact(w http.ResponseWriter, r *http.Request) error {
	id, err := memberOf(r)
	if err != nil {
		return err
	}
	var request loyalty.ContactRequest
	call, err := readCall(r, "POST /v1/members/"+string(id)+"/timeline", &request)
	if err != nil {
		return err
	}
	answer, err := s.deps.WriteContact(r.Context(), call, id, request)
	return writeAnswer(w, answer, err)
}

func (s *server) closeEntry(w http.ResponseWriter, r *http.Request) error {
	id, err := memberOf(r)
	if err != nil {
		return err
	}
	entry := r.PathValue("entry")
	var request loyalty.CloseRequest
	call, err := readCall(r, "POST /v1/members/"+string(id)+"/timeline/"+entry+"/close", &request)
	if err != nil {
		return err
	}
	answer, err := s.deps.CloseEntry(r.Context(), call, id, entry, request)
	return writeAnswer(w, answer, err)
}
