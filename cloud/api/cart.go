package api

import (
	"context"
	"io"
	"net/http"
	"strings"

	"counterpart/protocol"
	"counterpart/protocol/cart"
)

func (s *server) memberCart(w http.ResponseWriter, r *http.Request) error {
	return s.aboutMember(w, r, func(id protocol.MemberID) (any, error) { return s.deps.Cart(r.Context(), id) })
}

// changeCart does an operation, whose own name makes it count once: its answer
// holds what is personal and is not remembered.
func (s *server) changeCart(w http.ResponseWriter, r *http.Request) error {
	return s.aboutMember(w, r, func(id protocol.MemberID) (any, error) {
		var request cart.OpRequest
		if _, err := readCall(r, "POST /v1/members/"+string(id)+"/cart/ops", &request); err != nil {
			return nil, err
		}
		return s.deps.ChangeCart(r.Context(), id, request)
	})
}

func (s *server) mergeCart(w http.ResponseWriter, r *http.Request) error {
	return s.aboutMember(w, r, func(id protocol.MemberID) (any, error) {
		var request cart.MergeRequest
		if _, err := readCall(r, "POST /v1/members/"+string(id)+"/cart/merge", &request); err != nil {
			return nil, err
		}
		if !protocol.ValidID(request.Cart) {
			return nil, protocol.OutOfRange("cart", "", "not the id of a cart")
		}
		return s.deps.MergeCart(r.Context(), id, request)
	})
}

// newCart begins an anonymous cart; an empty body will do.
func (s *server) newCart(w http.ResponseWriter, r *http.Request) error {
	if r.ContentLength == 0 {
		r.Body = io.NopCloser(strings.NewReader("{}"))
	}
	call, err := readCall(r, "POST /v1/carts", &struct{}{})
	if err != nil {
		return err
	}
	answer, err := s.deps.NewCart(r.Context(), call)
	return writeAnswer(w, answer, err)
}

func (s *server) guestCart(w http.ResponseWriter, r *http.Request) error {
	return aboutCart(w, r, s.deps.GuestCart)
}

func (s *server) changeGuestCart(w http.ResponseWriter, r *http.Request) error {
	return aboutCart(w, r, func(ctx context.Context, id string) (any, error) {
		var request cart.OpRequest
		if _, err := readCall(r, "POST /v1/carts/"+id+"/ops", &request); err != nil {
			return nil, err
		}
		return s.deps.ChangeGuestCart(ctx, id, request)
	})
}

func aboutCart(w http.ResponseWriter, r *http.Request, do func(context.Context, string) (any, error)) error {
	id := r.PathValue("id")
	if !protocol.ValidID(id) {
		return protocol.Refuse(protocol.NotFound, "That is not the id of a cart. Nothing was recorded. Begin a new one.")
	}
	doc, err := do(r.Context(), id)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, doc)
}
