package api

import (
	"net/http"

	"counterpart/protocol"
)

// memberOf is the member in a request's path.
func memberOf(r *http.Request) (protocol.MemberID, error) {
	id := r.PathValue("id")
	if !protocol.ValidID(id) {
		return "", protocol.Refuse(protocol.NotFound, "That is not the id of a member. Nothing was recorded. Look the member up by card, phone or e-mail.")
	}
	return protocol.MemberID(id), nil
}

func (s *server) cart(w http.ResponseWriter, r *http.Request) error {
	id, err := memberOf(r)
	if err != nil {
		return err
	}
	document, err := s.deps.Cart(r.Context(), id)
	if err != nil {
		return err
	}
	return s.show(w, r, document)
}
