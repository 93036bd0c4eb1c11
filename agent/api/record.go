package api

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"counterpart/protocol"
	"counterpart/protocol/sale"
	"counterpart/protocol/stock"
)

// keyHeader names a request so that it can be repeated safely.
const (
	keyHeader   = "Idempotency-Key"
	keyBytesMax = 128
)

// receiptBytesMax bounds what is looked up as a receipt number.
const receiptBytesMax = 256

func (s *server) sell(w http.ResponseWriter, r *http.Request) error {
	var request sale.Request
	call, err := readCall(r, "POST /v1/sales", &request)
	if err != nil {
		return err
	}
	answer, err := s.deps.Sell(r.Context(), call, request)
	return s.answer(w, r, answer, err)
}

// quote records nothing, so a key is read and has no effect.
func (s *server) quote(w http.ResponseWriter, r *http.Request) error {
	var request sale.Request
	if _, err := readCall(r, "POST /v1/sales/quote", &request); err != nil {
		return err
	}
	quote, err := s.deps.Quote(r.Context(), request)
	if err != nil {
		return err
	}
	return s.show(w, r, quote)
}

func (s *server) takeBack(w http.ResponseWriter, r *http.Request) error {
	var request sale.ReturnRequest
	call, err := readCall(r, "POST /v1/returns", &request)
	if err != nil {
		return err
	}
	answer, err := s.deps.Return(r.Context(), call, request)
	return s.answer(w, r, answer, err)
}

func (s *server) void(w http.ResponseWriter, r *http.Request) error {
	no := r.PathValue("receipt_no")
	if !protocol.ValidText(no, receiptBytesMax) {
		return protocol.Refuse(protocol.ReceiptUnknown, "That is not a receipt number. Nothing was recorded. Scan the receipt or type its number.")
	}
	var request sale.VoidRequest
	// The receipt is part of the route, so that one key for two receipts is
	// two requests.
	call, err := readCall(r, "POST /v1/sales/"+no+"/void", &request)
	if err != nil {
		return err
	}
	answer, err := s.deps.Void(r.Context(), call, protocol.ReceiptNo(no), request)
	return s.answer(w, r, answer, err)
}

func (s *server) move(w http.ResponseWriter, r *http.Request) error {
	var request stock.MovementRequest
	call, err := readCall(r, "POST /v1/stock/movements", &request)
	if err != nil {
		return err
	}
	answer, err := s.deps.Move(r.Context(), call, request)
	return s.answer(w, r, answer, err)
}

// answer sends what a call was answered with, byte for byte: a repeated call
// gets the first answer.
func (s *server) answer(w http.ResponseWriter, r *http.Request, a protocol.Answer, err error) error {
	if err != nil {
		return err
	}
	kind := "application/json"
	if a.Status >= http.StatusBadRequest {
		kind = "application/problem+json"
	}
	w.Header().Set("Content-Type", kind)
	s.write(w, r, a.Status, a.Body)
	return nil
}

// readCall reads the request's key and body, and the body into the value that
// into points to.
func readCall(r *http.Request, route string, into any) (protocol.Call, error) {
	call := protocol.Call{Route: route}
	keys := r.Header.Values(keyHeader)
	if len(keys) > 0 {
		if len(keys) > 1 || !validKey(keys[0]) {
			return call, protocol.OutOfRange(keyHeader, "", "not 1 to 128 visible ASCII characters, given once")
		}
		call.Key = keys[0]
	}
	// Shells and simple clients send JSON under the type of a form, so only
	// what cannot be JSON is refused by its type.
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil && strings.HasPrefix(kind, "multipart/") {
		return call, protocol.Refuse(protocol.BadJSON, "The request is a form with parts. Nothing was recorded. Send one JSON document as its body.")
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return call, protocol.Refuse(protocol.TooLarge, "The request is larger than 4 MiB. Nothing was recorded. Split it and send the parts.")
		}
		return call, &protocol.Error{Code: protocol.BadJSON, Message: "The request broke off. Nothing was recorded. Send it again.", Err: err}
	}
	call.Body = body
	return call, protocol.DecodeJSON(body, into)
}

// validKey tells whether a key is 1 to 128 visible ASCII characters.
func validKey(key string) bool {
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return false
		}
	}
	return key != "" && len(key) <= keyBytesMax
}
