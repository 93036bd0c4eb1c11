package api

import (
	"net/http"

	"counterpart/protocol/stock"
)

// policyBytesMax bounds the body of a row of the policy.
const policyBytesMax = 64 << 10

// setPolicy replaces a row. Sent again it changes nothing, so its key is not
// remembered.
func (s *server) setPolicy(w http.ResponseWriter, r *http.Request) error {
	var request stock.PolicyRequest
	if _, err := readCall(r, "PUT /v1/policy", &request); err != nil {
		return err
	}
	doc, err := s.deps.SetPolicy(r.Context(), request)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, doc)
}

func (s *server) policies(w http.ResponseWriter, r *http.Request) error {
	p := parametersOf(r)
	page := p.page()
	if p.err != nil {
		return p.err
	}
	doc, err := s.deps.Policies(r.Context(), page)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, doc)
}
