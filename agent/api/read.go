package api

import (
	"context"
	_ "embed"
	"net/http"
	"strconv"
	"unicode/utf8"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/stock"
)

// The bounds of what a GET may ask for.
const (
	codeBytesMax  = 512
	queryBytesMax = 256
	limitDefault  = 50
	limitMax      = 500
)

//go:embed openapi.json
var openAPIDocument []byte

// list is the document of every list.
type list[T any] struct {
	Items []T     `json:"items"`
	Next  *string `json:"next"`
}

// listOf is a list that is never null.
func listOf[T any](items []T, next *string) list[T] {
	if items == nil {
		items = []T{}
	}
	return list[T]{Items: items, Next: next}
}

func (s *server) sale(w http.ResponseWriter, r *http.Request) error {
	no := r.PathValue("receipt_no")
	if !protocol.ValidText(no, receiptBytesMax) {
		return protocol.Refuse(protocol.NotFound, "That is not a receipt number. Scan the receipt or type its number.")
	}
	document, err := s.deps.Sale(r.Context(), protocol.ReceiptNo(no))
	if err != nil {
		return err
	}
	return s.show(w, r, document)
}

func (s *server) stock(w http.ResponseWriter, r *http.Request) error {
	code := r.PathValue("code")
	if !utf8.ValidString(code) || len(code) > codeBytesMax {
		return protocol.Refuse(protocol.UnknownCode, "That is not a code. Scan again or type it.")
	}
	document, err := s.deps.Stock(r.Context(), code)
	if err != nil {
		return err
	}
	return s.show(w, r, document)
}

func (s *server) items(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	for _, name := range []string{"q", "after"} {
		if text := query.Get(name); !utf8.ValidString(text) || len(text) > queryBytesMax {
			return protocol.OutOfRange(name, "", "not UTF-8 text of at most "+strconv.Itoa(queryBytesMax)+" bytes")
		}
	}
	limit, err := limitOf(query.Get("limit"))
	if err != nil {
		return err
	}
	items, next, err := s.deps.Items(r.Context(), query.Get("q"), limit, query.Get("after"))
	if err != nil {
		return err
	}
	return s.show(w, r, listOf[stock.ItemDocument](items, next))
}

// limitOf reads how many entries a list may have.
func limitOf(text string) (int, error) {
	if text == "" {
		return limitDefault, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > limitMax {
		return 0, protocol.OutOfRange("limit", clip(text), "not a number from 1 to "+strconv.Itoa(limitMax))
	}
	return n, nil
}

func (s *server) status(w http.ResponseWriter, r *http.Request) error {
	return s.show(w, r, s.statusNow(r.Context()))
}

// statusNow is the status with lists that are never null.
func (s *server) statusNow(ctx context.Context) Status {
	status := s.deps.Status(ctx)
	if status.Feeds == nil {
		status.Feeds = []Feed{}
	}
	return status
}

func (s *server) exceptions(w http.ResponseWriter, r *http.Request) error {
	all, err := s.deps.Exceptions(r.Context())
	if err != nil {
		return err
	}
	state := r.URL.Query().Get("state")
	shown := make([]Exception, 0, len(all))
	for _, e := range all {
		if state != "" && e.State != state {
			continue
		}
		if e.Refs == nil {
			e.Refs = []string{}
		}
		shown = append(shown, e)
	}
	return s.show(w, r, listOf(shown, nil))
}

func (s *server) transfers(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	for _, name := range []string{"state", "after"} {
		if !protocol.ValidText(query.Get(name), transferBytesMax) {
			return protocol.OutOfRange(name, "", "not text of at most "+strconv.Itoa(transferBytesMax)+" bytes")
		}
	}
	limit, err := limitOf(query.Get("limit"))
	if err != nil {
		return err
	}
	list, next, err := s.deps.Transfers(r.Context(), query.Get("state"), limit, query.Get("after"))
	if err != nil {
		return err
	}
	return s.show(w, r, listOf(list, next))
}

// transferBytesMax bounds where a page of transfers begins: a store and the name
// of a transfer.
const transferBytesMax = 1024

// exceptionBytesMax bounds the id of an exception.
const exceptionBytesMax = 256

// handleException assigns or resolves. Exception and action are part of the
// route, so that one key for two of them is two requests.
func (s *server) handleException(w http.ResponseWriter, r *http.Request) error {
	id, action := r.PathValue("id"), r.PathValue("action")
	if !ledger.KnownHandling(action) || !protocol.ValidText(id, exceptionBytesMax) {
		return errNothingHere
	}
	var request ledger.HandleRequest
	call, err := readCall(r, "POST /v1/exceptions/"+id+"/"+action, &request)
	if err != nil {
		return err
	}
	answer, err := s.deps.HandleException(r.Context(), call, id, action, request)
	return s.answer(w, r, answer, err)
}

// state is the document of the two probes.
type state struct {
	State string `json:"state"`
}

func (s *server) healthz(w http.ResponseWriter, r *http.Request) error {
	return s.show(w, r, state{"alive"})
}

// readyz tells whether a sale would be taken now. The hub has no part in it.
func (s *server) readyz(w http.ResponseWriter, r *http.Request) error {
	if err := s.deps.Ready(r.Context()); err != nil {
		return err
	}
	return s.show(w, r, state{"ready"})
}

func (s *server) openAPI(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Content-Type", "application/json")
	s.write(w, r, http.StatusOK, openAPIDocument)
	return nil
}
