package api

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/stock"
)

// Limits of a search for stores near a place.
const (
	radiusKmStandard = 50
	radiusKmMax      = 20_040 // half around the earth
	nearStandard     = 20
	nearMax          = 200
)

func (s *server) availability(w http.ResponseWriter, r *http.Request) error {
	q, err := availabilityQuery(parametersOf(r))
	if err != nil {
		return err
	}
	body, err := s.lookups.answer(r.Context(), q, func(ctx context.Context) ([]byte, error) {
		doc, err := s.deps.Availability(ctx, q)
		if err != nil {
			return nil, err
		}
		return encodeJSON(doc)
	})
	if err != nil {
		return err
	}
	sendJSON(w, http.StatusOK, body)
	return nil
}

func availabilityQuery(p *parameters) (AvailabilityQuery, error) {
	q := AvailabilityQuery{
		Code: p.required("code"), Store: protocol.StoreID(p.values.Get("store")),
		RadiusKm: radiusKmStandard, Limit: p.whole("limit", nearStandard, 1, nearMax),
	}
	if p.values.Has("radius_km") {
		q.RadiusKm = p.decimal("radius_km", p.values.Get("radius_km"), 0, radiusKmMax)
	}
	near := p.values.Get("near")
	switch {
	case q.Store == "" && near == "":
		p.wrong("store", "missing, and so is near")
	case q.Store != "" && near != "":
		p.wrong("near", "given beside store, of which only one can be meant")
	case near != "":
		lat, lon, ok := strings.Cut(near, ",")
		if !ok {
			p.wrong("near", "not a latitude and a longitude with a comma between")
		}
		q.Lat, q.Lon = p.decimal("near", lat, -90, 90), p.decimal("near", lon, -180, 180)
	}
	return q, p.err
}

func (s *server) sale(w http.ResponseWriter, r *http.Request) error {
	doc, err := s.deps.Sale(r.Context(), protocol.ReceiptNo(r.PathValue("receipt_no")))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, doc)
}

func (s *server) stores(w http.ResponseWriter, r *http.Request) error {
	p := parametersOf(r)
	page := p.page()
	if p.err != nil {
		return p.err
	}
	doc, err := s.deps.Stores(r.Context(), page)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, doc)
}

func (s *server) agents(w http.ResponseWriter, r *http.Request) error {
	p := parametersOf(r)
	page := p.page()
	if p.err != nil {
		return p.err
	}
	doc, err := s.deps.Agents(r.Context(), page)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, doc)
}

func (s *server) exceptions(w http.ResponseWriter, r *http.Request) error {
	p := parametersOf(r)
	page, state := p.page(), p.values.Get("state")
	if state != "" && state != "open" && state != "assigned" && state != "resolved" {
		p.wrong("state", "not open, assigned or resolved")
	}
	if p.err != nil {
		return p.err
	}
	doc, err := s.deps.Exceptions(r.Context(), state, page)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, doc)
}

func (s *server) transfers(w http.ResponseWriter, r *http.Request) error {
	p := parametersOf(r)
	page, state := p.page(), p.values.Get("state")
	if state != "" && !slices.Contains(stock.TransferStates, state) {
		p.wrong("state", "not one of "+strings.Join(stock.TransferStates, ", "))
	}
	if p.err != nil {
		return p.err
	}
	doc, err := s.deps.Transfers(r.Context(), state, page)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, doc)
}

// exceptionBytesMax bounds the id of an exception, which may name a store and an
// agent.
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
	return writeAnswer(w, answer, err)
}

func (s *server) status(w http.ResponseWriter, r *http.Request) error {
	doc, err := s.deps.Status(r.Context())
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, doc)
}
