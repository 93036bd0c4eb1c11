package api

import (
	"net/http"

	"counterpart/protocol"
	"counterpart/protocol/loyalty"
)

// entryBytesMax bounds the id of an entry.
const entryBytesMax = 128

func (s *server) timeline(w http.ResponseWriter, r *http.Request) error {
	id, err := memberOf(r)
	if err != nil {
		return err
	}
	query := r.URL.Query()
	limit, err := limitOf(query.Get("limit"))
	if err != nil {
		return err
	}
	after := query.Get("after")
	if _, err := loyalty.ParseEntryID(after); after != "" && err != nil {
		return protocol.OutOfRange("after", "", "not what a page of this listing ended with")
	}
	document, err := s.deps.Timeline(r.Context(), id, limit, after)
	if err != nil {
		return err
	}
	return s.show(w, r, document)
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
	return s.answer(w, r, answer, err)
}

func (s *server) closeEntry(w http.ResponseWriter, r *http.Request) error {
	id, err := memberOf(r)
	if err != nil {
		return err
	}
	entry := r.PathValue("entry")
	if !protocol.ValidText(entry, entryBytesMax) {
		return protocol.Refuse(protocol.NotFound, "That is not the id of an entry. Nothing was recorded. Look at the timeline.")
	}
	var request loyalty.CloseRequest
	call, err := readCall(r, "POST /v1/members/"+string(id)+"/timeline/"+entry+"/close", &request)
	if err != nil {
		return err
	}
	answer, err := s.deps.CloseEntry(r.Context(), call, id, entry, request)
	return s.answer(w, r, answer, err)
}
