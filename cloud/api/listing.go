package api

import (
	"bufio"
	"encoding/json"
	"net/http"

	"counterpart/protocol"
)

// listingBufferBytes is how much of a listing is gathered before it is sent.
const listingBufferBytes = 64 << 10

// listing sends rows as NDJSON while they are found. Until the first piece is
// sent an error is told as a problem; afterwards the connection is broken, so
// that its final chunk is missing.
func (s *server) listing(w http.ResponseWriter, rows func(each func(any) error) error) error {
	out := bufio.NewWriterSize(&patientWriter{w, s.patience(w)}, listingBufferBytes)
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	if err := rows(func(row any) error { return encoder.Encode(row) }); err != nil {
		return err
	}
	return out.Flush()
}

func (s *server) stock(w http.ResponseWriter, r *http.Request) error {
	p := parametersOf(r)
	store := protocol.StoreID(p.required("store"))
	if p.err != nil {
		return p.err
	}
	return s.listing(w, func(each func(any) error) error { return s.deps.Stock(r.Context(), store, each) })
}

func (s *server) sales(w http.ResponseWriter, r *http.Request) error {
	p := parametersOf(r)
	q := SalesQuery{Store: protocol.StoreID(p.values.Get("store")), From: p.date("from"), To: p.date("to")}
	if q.From != "" && q.To != "" && q.From > q.To {
		p.wrong("to", "before from")
	}
	if p.err != nil {
		return p.err
	}
	return s.listing(w, func(each func(any) error) error { return s.deps.Sales(r.Context(), q, each) })
}
