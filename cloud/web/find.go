package web

import (
	"context"
	"net/url"
	"strconv"
	"strings"
	"time"

	"counterpart/protocol"
)

// findView is a search with what it found.
type findView struct {
	Code, Store, Near string // as they were typed
	Problem           string
	Item              string
	Hits              []hit
	Asked             bool
}

// hit is one store of a search.
type hit struct {
	Store, Name, Distance string
	Look, Stock, Price    string
	Checked               moment
	Doubt                 string // why somebody should ask the store
}

// find answers the search form. Its parameters are those of the API.
func (s *site) find(ctx context.Context, values url.Values) findView {
	view := findView{
		Code: strings.TrimSpace(values.Get("code")), Store: strings.TrimSpace(values.Get("store")), Near: strings.TrimSpace(values.Get("near")),
	}
	if view.Code == "" && view.Store == "" && view.Near == "" {
		return view
	}
	view.Asked = true
	question, problem := view.question()
	if view.Problem = problem; problem != "" {
		return view
	}
	answer, err := s.deps.Find(ctx, question)
	if err != nil {
		e := protocol.AsError(err)
		if e.Code == protocol.Internal && ctx.Err() == nil {
			s.deps.Log.ErrorContext(ctx, "item not found", "error", err)
		}
		view.Problem = e.Message
		return view
	}
	view.Item = inert(answer.Name + " (" + string(answer.SKU) + ")")
	now := s.deps.Now()
	for _, r := range answer.Results {
		view.Hits = append(view.Hits, newHit(r, answer.Unit, now))
	}
	return view
}

func (v *findView) question() (Question, string) {
	q := Question{Code: v.Code, Store: protocol.StoreID(v.Store)}
	switch {
	case v.Code == "":
		return q, "Type a barcode or a SKU."
	case v.Store == "" && v.Near == "":
		return q, "Type a store, or a place as latitude and longitude."
	case v.Store != "":
		return q, ""
	}
	lat, lon, ok := strings.Cut(v.Near, ",")
	var latErr, lonErr error
	q.Lat, latErr = strconv.ParseFloat(strings.TrimSpace(lat), 64)
	q.Lon, lonErr = strconv.ParseFloat(strings.TrimSpace(lon), 64)
	if !ok || latErr != nil || lonErr != nil || !(q.Lat >= -90 && q.Lat <= 90 && q.Lon >= -180 && q.Lon <= 180) {
		return q, "Write the place as latitude and longitude with a comma between, such as 51.5074,-0.1278."
	}
	return q, ""
}

func newHit(r Result, unit protocol.Unit, now time.Time) hit {
	h := hit{Store: string(r.Store), Name: inert(r.Name)}
	if r.DistanceKm != nil {
		h.Distance = strconv.FormatFloat(*r.DistanceKm, 'f', 1, 64) + " km"
	}
	if r.PriceMinor != nil {
		h.Price = price(*r.PriceMinor, r.Currency)
	}
	amount := r.Promisable.String()
	if unit != protocol.Each && unit != "" {
		amount += " " + string(unit)
	}
	switch r.Availability {
	case "in_stock":
		h.Look, h.Stock = "ok", "In stock: "+amount
	case "limited_availability":
		h.Look, h.Stock = "sending", "Few left: "+amount
	default:
		h.Look, h.Stock = "away", "None to promise"
	}
	if r.AsOf != nil {
		if at, err := time.Parse(time.RFC3339, *r.AsOf); err == nil {
			h.Checked = momentOf(at, now)
			h.Checked.Text = strings.ToLower(h.Checked.Text) // within a sentence
		}
	}
	switch r.Freshness {
	case "stale":
		h.Doubt = "Ask the store to confirm"
	case "never":
		h.Doubt = "The store has not reported yet"
	}
	return h
}
