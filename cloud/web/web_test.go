package web

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"counterpart/protocol"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) string { return noon.Add(-d).Format(time.RFC3339) }

// depsOf are those of a hub with some stores.
func depsOf(stores ...Store) Deps {
	changed := make(chan struct{})
	return Deps{
		Fleet: func(_ context.Context, each func(Store)) error {
			for _, s := range stores {
				each(s)
			}
			return nil
		},
		Find:    func(context.Context, Question) (Answer, error) { return Answer{}, nil },
		Changed: func() <-chan struct{} { return changed },
		Now:     func() time.Time { return noon },
	}
}

func page(t *testing.T, d Deps, target string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	New(d).ServeHTTP(w, httptest.NewRequest(http.MethodGet, target, nil))
	return w
}

func TestTheWorstStoresComeFirst(t *testing.T) {
	d := depsOf(
		Store{ID: "well", Name: "Well", Link: "online", LastSeen: ago(time.Second), AsOf: ago(time.Second), Freshness: "live"},
		Store{ID: "never", Name: "Never", Link: "never", Freshness: "never"},
		Store{ID: "away1", Name: "Away", Link: "offline", LastSeen: ago(2 * time.Minute), AsOf: ago(2 * time.Minute), Freshness: "recent"},
		Store{ID: "sending", Name: "Sending", Link: "online", LastSeen: ago(0), Waiting: 1234, AsOf: ago(time.Hour), Freshness: "stale"},
		Store{ID: "away3", Name: "Away", Link: "offline", LastSeen: ago(72 * time.Hour), AsOf: ago(72 * time.Hour), Freshness: "stale"},
		Store{ID: "copy", Name: "Copy", Link: "fenced", LastSeen: ago(0)},
		Store{ID: "zebra", Name: "Heard of longer ago", Link: "online", LastSeen: ago(30 * time.Second), AsOf: ago(0), Freshness: "live"},
	)
	body := page(t, d, "/").Body.String()
	last := -1
	for _, id := range []string{"copy", "away3", "away1", "sending", "never", "well", "zebra"} {
		at := strings.Index(body, `data-store="`+id+`"`)
		if at <= last {
			t.Errorf("%s stands in the wrong place", id)
		}
		last = at
	}
	for _, want := range []string{
		"Never seen", "3 days ago", "2 minutes ago", "Just now", "1 hour", "Needs action", "1,234", `title="2026-11-18 12:00:00 UTC"`,
		"<dt>Stores</dt><dd>7</dd>", "<dt>Online</dt><dd>3</dd>", "<dt>Offline</dt><dd>2</dd>", "<dt>Waiting to be sent</dt><dd>1,234</dd>",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

// TestPointsAtRiskAreShown: not before there are any.
func TestPointsAtRiskAreShown(t *testing.T) {
	bound, known := protocol.Points(0), protocol.Points(0)
	d := depsOf(Store{ID: "s1", Name: "Well", Link: "online"})
	d.Exposure = func(context.Context) (protocol.Points, protocol.Points, error) { return bound, known, nil }
	if body := page(t, d, "/").Body.String(); strings.Contains(body, "Points at risk") {
		t.Error("points at risk are shown where there can be none")
	}
	bound, known = 15_000, 120
	body := page(t, d, "/").Body.String()
	for _, want := range []string{"<dt>Points at risk, at most</dt><dd>15,000</dd>", "<dt>Points at risk, not settled</dt><dd>120</dd>"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

func TestNothingOnThePageRunsButItsOwn(t *testing.T) {
	d := depsOf(Store{ID: "s1", Name: "<script>alert(1)</script>\u202e" + strings.Repeat("x", 120), City: `"><b>`, Link: "online"})
	w := page(t, d, "/?code=%3Cscript%3E&near=%22%3E")
	body := w.Body.String()
	if strings.Contains(body, "<script>") || strings.Contains(body, "<b>") || strings.Contains(body, "style=") || strings.Contains(body, "http://") || strings.Contains(body, "https://") {
		t.Error("the page holds what others wrote as markup, inline style, or an outside address")
	}
	if strings.Contains(body, "\u202e") {
		t.Error("a name can turn the text around")
	}
	h := w.Header()
	if h.Get("Content-Security-Policy") != contentPolicy || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cache-Control") != "no-store" {
		t.Errorf("headers are %v", h)
	}
	for _, file := range []string{"page.css", "page.js", "icon.svg"} {
		if w := page(t, d, "/assets/"+file); w.Code != 200 || w.Header().Get("ETag") == "" {
			t.Errorf("%s: %d", file, w.Code)
		}
	}
	if w := page(t, d, "/assets/none.js"); w.Code != 404 {
		t.Errorf("an asset that is not there: %d", w.Code)
	}
}

func TestFindWorksWithoutScripts(t *testing.T) {
	km, amount, at, age := 1.234, protocol.Money(25), ago(3*time.Minute), int64(180)
	var asked Question
	d := depsOf()
	d.Find = func(_ context.Context, q Question) (Answer, error) {
		asked = q
		return Answer{SKU: "PEN", Name: "Pen", Unit: protocol.Each, Results: []Result{
			{Store: "s1", Name: "High Street", DistanceKm: &km, PriceMinor: &amount, Currency: "GBP", Promisable: 30_000, Availability: "in_stock", AsOf: &at, AgeS: &age, Freshness: "recent"},
			{Store: "s2", Name: "Bridge", Promisable: 1500, Availability: "limited_availability", AsOf: &at, Freshness: "stale"},
			{Store: "s3", Name: "Nowhere", Availability: "out_of_stock", Freshness: "never"},
		}}, nil
	}
	body := page(t, d, "/?code=PEN&near=51.5,%20-0.1&store=").Body.String()
	if asked != (Question{Code: "PEN", Lat: 51.5, Lon: -0.1}) {
		t.Errorf("asked for %+v", asked)
	}
	for _, want := range []string{
		"Pen (PEN)", "In stock: 30", "1.2 km", "GBP 0.25", "3 minutes ago", "Few left: 1.5", "Ask the store to confirm", "None to promise", "has not reported yet", `value="51.5, -0.1"`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if page(t, d, "/?code=PEN&store=s2"); asked != (Question{Code: "PEN", Store: "s2"}) {
		t.Errorf("asked for %+v", asked)
	}
	for query, want := range map[string]string{
		"code=&store=s1": "Type a barcode or a SKU.", "code=P": "Type a store, or a place", "code=P&near=x": "latitude and longitude", "code=P&near=100,1": "latitude and longitude",
	} {
		if body := page(t, d, "/?"+query).Body.String(); !strings.Contains(body, want) {
			t.Errorf("%s: the page does not say %q", query, want)
		}
	}
	d.Find = func(context.Context, Question) (Answer, error) {
		return Answer{}, protocol.Refuse(protocol.UnknownCode, "No item has code NO.")
	}
	if w := page(t, d, "/?code=NO&store=s1"); w.Code != 200 || !strings.Contains(w.Body.String(), "No item has code NO.") {
		t.Errorf("an unknown code: %d", w.Code)
	}
}

func TestTroubleInsideIsToldCalmly(t *testing.T) {
	d := depsOf()
	d.Fleet = func(context.Context, func(Store)) error { return errors.New("secret") }
	if body := page(t, d, "/").Body.String(); !strings.Contains(body, "They sell on") || strings.Contains(body, "secret") {
		t.Error("the page does not say that the stores cannot be shown")
	}
	if body := page(t, depsOf(), "/").Body.String(); !strings.Contains(body, "No store yet") {
		t.Error("an empty chain is not explained")
	}
}

func manyStores(n int) []Store {
	stores := make([]Store, n)
	for i := range stores {
		stores[i] = Store{ID: fmt.Sprintf("s%04d", i), Name: "Shop", City: "London", Link: "online", LastSeen: ago(time.Minute), AsOf: ago(0), Freshness: "live"}
	}
	return stores
}

func TestALargeChainIsCutToItsWorst(t *testing.T) {
	body := page(t, depsOf(manyStores(1200)...), "/").Body.String()
	if got := strings.Count(body, "data-store="); got != rowsMax || !strings.Contains(body, "200 more stores") || !strings.Contains(body, "<dd>1,200</dd>") {
		t.Errorf("%d rows", got)
	}
}

// BenchmarkThousandStores: a fleet of 1,000 rows is to be there within a second.
func BenchmarkThousandStores(b *testing.B) {
	h := New(depsOf(manyStores(1000)...))
	for b.Loop() {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	}
}

func TestLiveSendsWhatChanged(t *testing.T) {
	changed := make(chan struct{})
	state := make(chan Store, 3)
	d := depsOf()
	d.Changed = func() <-chan struct{} { return changed }
	current := Store{ID: "s1", Name: "Shop", Link: "offline"}
	d.Fleet = func(_ context.Context, each func(Store)) error {
		select {
		case current = <-state:
		default:
		}
		each(current)
		return nil
	}
	s := newSite(d)
	s.settle, s.beat = time.Millisecond, 10*time.Millisecond
	srv := httptest.NewServer(http.HandlerFunc(s.serveLive))
	defer srv.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := srv.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	next := func(want string) {
		t.Helper()
		for lines.Scan() {
			if strings.Contains(lines.Text(), want) {
				return
			}
		}
		t.Fatalf("the stream ended before %q: %v", want, lines.Err())
	}
	next("Offline</span>")
	next(": alive")
	state <- Store{ID: "s1", Name: "Shop", Link: "online"}
	next("event: fleet")
	next("Online</span>")
}

func TestPrices(t *testing.T) {
	for want, in := range map[string]struct {
		m protocol.Money
		c string
	}{
		"GBP 1,234.50": {123450, "GBP"}, "JPY 1,235": {1235, "JPY"}, "KWD 0.005": {5, "KWD"}, "EUR −0.07": {-7, "EUR"}, "IRR 12.00": {1200, "IRR"},
	} {
		if got := price(in.m, in.c); got != want {
			t.Errorf("price is %q, want %q", got, want)
		}
	}
}
