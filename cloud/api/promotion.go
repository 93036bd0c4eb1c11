package api

import "net/http"

func (s *server) promotions(w http.ResponseWriter, r *http.Request) error {
	p := parametersOf(r)
	page := p.page()
	if p.err != nil {
		return p.err
	}
	doc, err := s.deps.Promotions(r.Context(), page)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, doc)
}
