package api

import (
	"net/http"

	"counterpart/protocol"
)

func (s *server) giftCard(w http.ResponseWriter, r *http.Request) error {
	document, err := s.deps.GiftCard(r.Context(), r.PathValue("code"))
	if err != nil {
		return err
	}
	return s.show(w, r, document)
}

func (s *server) accounts(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if !protocol.ValidID(id) {
		return protocol.Refuse(protocol.NotFound, "That is not the id of a member. Look the member up by card, phone or e-mail.")
	}
	list, err := s.deps.Accounts(r.Context(), protocol.MemberID(id))
	if err != nil {
		return err
	}
	return s.show(w, r, listOf(list, nil))
}
