package api

import (
	"errors"
	"io"
	"net/http"
	"strings"

	"counterpart/protocol"
	"counterpart/protocol/pickup"
)

// orderBytesMax bounds the body of a request about an order.
const orderBytesMax = 4 << 20

func (s *server) placeOrder(w http.ResponseWriter, r *http.Request) error {
	var request pickup.PlaceRequest
	call, err := readCall(r, "POST /v1/orders", &request)
	if err != nil {
		return err
	}
	answer, err := s.deps.PlaceOrder(r.Context(), call, request)
	return writeAnswer(w, answer, err)
}

func (s *server) hold(w http.ResponseWriter, r *http.Request) error {
	var request pickup.HoldRequest
	call, err := readCall(r, "POST /v1/holds", &request)
	if err != nil {
		return err
	}
	answer, err := s.deps.Hold(r.Context(), call, request)
	return writeAnswer(w, answer, err)
}

func (s *server) releaseHold(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if !protocol.ValidID(id) {
		return protocol.Refuse(protocol.NotFound, "That is not the id of a hold. Nothing was released. Use the id that holding was answered with.")
	}
	if err := s.deps.ReleaseHold(r.Context(), id); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *server) order(w http.ResponseWriter, r *http.Request) error {
	id, err := orderID(r)
	if err != nil {
		return err
	}
	doc, err := s.deps.Order(r.Context(), id)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, doc)
}

// orderKeys answers an agent that lacks keys of orders.
func (s *server) orderKeys(w http.ResponseWriter, r *http.Request) error {
	var ids []protocol.OrderID
	for _, id := range strings.Split(r.URL.Query().Get("orders"), ",") {
		if !protocol.ValidID(id) {
			return protocol.OutOfRange("orders", "", "not ids of orders, separated by commas")
		}
		ids = append(ids, protocol.OrderID(id))
	}
	store := r.PathValue("store")
	if !protocol.ValidID(store) {
		return protocol.OutOfRange("store", "", "not an identifier")
	}
	b, err := s.deps.OrderKeys(r.Context(), protocol.StoreID(store), ids)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "no-store")
	_, err = w.Write(b)
	return err
}

// OrdersQuery asks for orders. What is empty does not matter.
type OrdersQuery struct {
	Store  protocol.StoreID
	State  string
	Number string
}

func (s *server) orders(w http.ResponseWriter, r *http.Request) error {
	p := parametersOf(r)
	page := p.page()
	q := OrdersQuery{Store: protocol.StoreID(p.values.Get("store")), State: p.values.Get("state"), Number: p.values.Get("number")}
	if p.err != nil {
		return p.err
	}
	doc, err := s.deps.Orders(r.Context(), q, page)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, doc)
}

func (s *server) actOnOrder(w http.ResponseWriter, r *http.Request) error {
	id, err := orderID(r)
	if err != nil {
		return err
	}
	action := r.PathValue("action")
	if !pickup.KnownHubAction(action) {
		return errNothingHere
	}
	var request pickup.HubAction
	call, err := readCall(r, "POST /v1/orders/"+string(id)+"/"+action, &request)
	if err != nil {
		return err
	}
	answer, err := s.deps.ActOnOrder(r.Context(), call, id, action, request)
	return writeAnswer(w, answer, err)
}

var errNothingHere = protocol.Refuse(protocol.NotFound, "There is nothing at this address. Nothing was recorded. See /openapi.json for the addresses there are.")

func orderID(r *http.Request) (protocol.OrderID, error) {
	id := r.PathValue("id")
	if !protocol.ValidID(id) {
		return "", protocol.Refuse(protocol.NotFound, "That is not the id of an order. Nothing was recorded. Use the id that placing it was answered with.")
	}
	return protocol.OrderID(id), nil
}

// readCall reads a request's key and body, and the body into the value that into
// points to.
func readCall(r *http.Request, route string, into any) (protocol.Call, error) {
	call := protocol.Call{Route: route}
	var err error
	if call.Key, err = idempotencyKey(r.Header); err != nil {
		return call, err
	}
	if call.Body, err = io.ReadAll(r.Body); err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return call, protocol.Refuse(protocol.TooLarge, "The request is larger than 4 MiB. Nothing was recorded. Split it and send the parts.")
		}
		return call, &protocol.Error{Code: protocol.BadJSON, Message: "The request broke off. Nothing was recorded. Send it again.", Err: err}
	}
	return call, protocol.DecodeJSON(call.Body, into)
}

// writeAnswer sends what a call was answered with, byte for byte: a repeated
// call gets the first answer.
func writeAnswer(w http.ResponseWriter, a protocol.Answer, err error) error {
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(a.Status)
	_, _ = w.Write(a.Body) // fails only when the reader is gone
	return nil
}
