package api

import (
	"net/http"

	"counterpart/protocol/loyalty"
)

// programmeBytesMax bounds the body of a programme.
const programmeBytesMax = 4 << 20

// setProgramme replaces the programme of a date. Sent again it changes nothing, so
// its key is not remembered.
func (s *server) setProgramme(w http.ResponseWriter, r *http.Request) error {
	var request loyalty.Document
	if _, err := readCall(r, "PUT /v1/programme", &request); err != nil {
		return err
	}
	doc, err := s.deps.SetProgramme(r.Context(), request)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, doc)
}

func (s *server) programmes(w http.ResponseWriter, r *http.Request) error {
	p := parametersOf(r)
	page := p.page()
	if p.err != nil {
		return p.err
	}
	doc, err := s.deps.Programmes(r.Context(), page)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, doc)
}
