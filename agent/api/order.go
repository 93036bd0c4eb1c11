package api

import (
	"net/http"
	"strconv"

	"counterpart/protocol"
	"counterpart/protocol/pickup"
)

// errNoOrder is answered for what cannot be an order's id.
var errNoOrder = protocol.Refuse(protocol.NotFound, "That is not the id of an order. Nothing was recorded. Scan the code of the order or look it up by its number.")

func (s *server) fulfil(w http.ResponseWriter, r *http.Request) error {
	id, action := r.PathValue("id"), r.PathValue("action")
	if !protocol.ValidID(id) {
		return errNoOrder
	}
	if pickup.ActOf(action) == "" {
		return errNothingHere
	}
	var request pickup.Request
	// Order and action are part of the route, so that one key for two of them
	// is two requests.
	call, err := readCall(r, "POST /v1/orders/"+id+"/"+action, &request)
	if err != nil {
		return err
	}
	answer, err := s.deps.Fulfil(r.Context(), call, protocol.OrderID(id), action, request)
	return s.answer(w, r, answer, err)
}

func (s *server) order(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if !protocol.ValidID(id) {
		return errNoOrder
	}
	document, err := s.deps.Order(r.Context(), protocol.OrderID(id))
	if err != nil {
		return err
	}
	return s.show(w, r, document)
}

func (s *server) orders(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	for _, name := range []string{"state", "after"} {
		if !protocol.ValidText(query.Get(name), queryBytesMax) {
			return protocol.OutOfRange(name, "", "not text of at most "+strconv.Itoa(queryBytesMax)+" bytes")
		}
	}
	limit, err := limitOf(query.Get("limit"))
	if err != nil {
		return err
	}
	orders, next, err := s.deps.Orders(r.Context(), query.Get("state"), limit, query.Get("after"))
	if err != nil {
		return err
	}
	return s.show(w, r, listOf(orders, next))
}
