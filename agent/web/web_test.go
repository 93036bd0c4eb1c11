package web

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/pickup"
	"counterpart/protocol/sale"
	"counterpart/protocol/stock"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// shop is a fake agent behind the page.
type shop struct {
	mu         sync.Mutex
	status     Status
	sales      []sale.Document
	items      []stock.ItemDocument
	orders     []pickup.Document
	exceptions int
	err        error
	asked      []string
	changed    chan struct{}
}

func (s *shop) deps() Deps {
	s.changed = make(chan struct{})
	return Deps{
		Status: func(context.Context) Status {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.status
		},
		LastSales: func(context.Context, int) ([]sale.Document, error) { return s.sales, s.err },
		Items: func(_ context.Context, q string, _ int) ([]stock.ItemDocument, error) {
			s.asked = append(s.asked, q)
			return s.items, s.err
		},
		Orders:     func(context.Context) ([]pickup.Document, error) { return s.orders, s.err },
		Exceptions: func(context.Context) (int, error) { return s.exceptions, s.err },
		Changed: func() <-chan struct{} {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.changed
		},
		Now: func() time.Time { return noon },
	}
}

// change puts a new status into effect.
func (s *shop) change(to Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = to
	close(s.changed)
	s.changed = make(chan struct{})
}

func get(t *testing.T, h http.Handler, target string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, target, nil))
	return w
}

func pointer[T any](v T) *T { return &v }

func receipt(no string, names ...string) sale.Document {
	d := sale.Document{
		Type: protocol.SaleSale, ReceiptNo: protocol.ReceiptNo(no), At: "2026-11-21T10:02:12+04:00",
		BusinessDate: "2026-11-21", Currency: "GBP", TotalMinor: 123450,
	}
	for _, name := range names {
		d.Lines = append(d.Lines, sale.DocumentLine{SKU: "S", Name: &name, Qty: 2000})
	}
	return d
}

func TestPageShowsLinkSalesAndHits(t *testing.T) {
	voided := receipt("a1-1-1-9", "Pen", "Ink", "Cup", "Tea", "Jam")
	voided.Voided, voided.BusinessDate = true, "2026-11-20"
	s := &shop{
		status: Status{
			Agent: "a1", Store: "s1", Version: "1.0.0", BusinessDate: "2026-11-21", Link: "offline", Cause: "no_route",
			Since: "2026-11-21T11:30:00+00:00", Pending: 3, OldestPendingAt: "2026-11-21T11:48:00+00:00",
		},
		sales: []sale.Document{receipt("a1-1-1-10", "Pen"), voided},
		items: []stock.ItemDocument{
			{SKU: "PEN-01", GTIN: pointer("04006381333931"), Name: pointer("Pen"), Unit: "each", PriceMinor: pointer(protocol.Money(250)), Currency: pointer("GBP"), Stocked: true, OnHand: 31000},
			{SKU: "TEA", Unit: "kg", Stocked: true, Blocked: true, OnHand: -1250},
			{SKU: "BAG", Name: pointer("Bag"), Stocked: false},
		},
	}
	w := get(t, New(s.deps()), "/?q=+pen+")
	page := w.Body.String()
	for _, want := range []string{
		"Offline: sales continue.", "3 waiting to send", "No internet", ">11:48</time>", "12 min ago", "30 min ago",
		"a1-1-1-10", ">10:02</time>", "2\u00a0×\u00a0\u2068Pen\u2069", "£1,234.50", "2 more", "Voided", ">21 Nov 10:02</time>",
		"3 items", "PEN-01", "04006381333931", "£2.50", ">31</span>", "−1.25\u00a0kg", "by the book", "Blocked from sale", "not counted",
		`value="pen"`, "Sat 21 Nov 2026", "<h1>Store <bdi>s1</bdi></h1>",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not hold %q", want)
		}
	}
	if len(s.asked) != 1 || s.asked[0] != "pen" {
		t.Errorf("searched for %q", s.asked)
	}
	if n := strings.Count(page, `role="status"`); n != 1 {
		t.Errorf("%d elements with role=status, want one", n)
	}
	if fragment := get(t, New(s.deps()), "/find?q=pen").Body.String(); !strings.Contains(fragment, "PEN-01") || strings.Contains(fragment, "<html") {
		t.Errorf("the fragment of hits is %q", fragment)
	}
}

func TestHostileNamesAreInert(t *testing.T) {
	evil := "\u202e<script>alert(1)</script>\"'><img src=x onerror=alert(1)> 🥐\u2069 " + strings.Repeat("x", 120)
	s := &shop{
		status: Status{Store: "s1\"><script>", Agent: "<b>", Link: "online", Cause: "<i>"},
		sales:  []sale.Document{receipt("<svg onload=alert(1)>", evil)},
		items:  []stock.ItemDocument{{SKU: protocol.SKU(evil[:64]), Name: &evil, Unit: "<u>", Stocked: true}},
	}
	h := New(s.deps())
	for _, target := range []string{"/?q=" + "%3Cscript%3Ealert(2)%3C/script%3E%22", "/find?q=%3Cscript%3E"} {
		page := get(t, h, target).Body.String()
		for _, banned := range []string{"<script>", "<img", "<svg onload", "<b>", "<u>", "\u202e", " style=", " onclick", "javascript:"} {
			if strings.Contains(page, banned) {
				t.Errorf("%s holds %q", target, banned)
			}
		}
		if !strings.Contains(page, "&lt;script&gt;alert(1)&lt;/script&gt;") || !strings.Contains(page, "🥐") {
			t.Errorf("%s does not show the name", target)
		}
	}
}

// TestPromotionsAreShown: once for each promotion of a receipt, whatever lines it is
// spread over, and nothing of other discounts.
func TestPromotionsAreShown(t *testing.T) {
	off := func(id, name string, amount protocol.Money) sale.DocumentDiscount {
		return sale.DocumentDiscount{Type: sale.DiscountPromotion, ID: &id, Reason: &name, AmountMinor: amount}
	}
	doc := receipt("a1-1-1-7", "Pen")
	manual := "by hand"
	doc.Lines = []sale.DocumentLine{
		{Discounts: []sale.DocumentDiscount{off("p1", "3 for 5", 100), {Type: "manual", Reason: &manual, AmountMinor: 5}}},
		{Discounts: []sale.DocumentDiscount{off("p1", "3 for 5", 23), off("p2", "<b>Club</b>", 7)}},
	}
	page := get(t, New((&shop{sales: []sale.Document{doc}}).deps()), "/").Body.String()
	for _, want := range []string{"3 for 5\u2069 \u2212£1.23", "&lt;b&gt;Club&lt;/b&gt;\u2069 \u2212£0.07"} {
		if strings.Count(page, want) != 1 {
			t.Errorf("the page lacks %q: %s", want, page)
		}
	}
	if strings.Contains(page, manual) {
		t.Error("the page shows a discount that is no promotion's")
	}
	for i := range 5 {
		id := string(rune('a' + i))
		doc.Lines[0].Discounts = append(doc.Lines[0].Discounts, off(id, id, 1))
	}
	if page := get(t, New((&shop{sales: []sale.Document{doc}}).deps()), "/").Body.String(); !strings.Contains(page, "4 more promotions") {
		t.Errorf("many promotions: %s", page)
	}
}

func TestPageTellsWhatCannotBeRead(t *testing.T) {
	var log strings.Builder
	s := &shop{status: Status{Store: "s1", Link: "online"}, err: errors.New("disk fell out")}
	d := s.deps()
	d.Log = slog.New(slog.NewTextHandler(&log, nil))
	w := get(t, New(d), "/?q=pen")
	page := w.Body.String()
	if w.Code != http.StatusOK || strings.Contains(page, "disk fell out") || strings.Count(page, "Something went wrong inside") != 2 {
		t.Errorf("status %d, page %s", w.Code, page)
	}
	if strings.Count(log.String(), "disk fell out") != 2 {
		t.Errorf("log: %s", &log)
	}
	s.err = protocol.Refuse(protocol.NotProvisioned, "The list is still on its way.")
	if page := get(t, New(d), "/?q=pen").Body.String(); !strings.Contains(page, "The list is still on its way.") {
		t.Errorf("a refusal is not shown: %s", page)
	}
}

func TestSearchSaysWhatItFound(t *testing.T) {
	s := &shop{}
	h := New(s.deps())
	for target, want := range map[string]string{
		"/find?q=x":                           "Not in this store’s list",
		"/find?q=" + strings.Repeat("a", 257): "too long",
		"/find?q=%ff":                         "too long",
		"/find":                               "",
	} {
		if got := get(t, h, target).Body.String(); !strings.Contains(got, want) || want == "" && strings.TrimSpace(got) != "" {
			t.Errorf("%s: %q", target, got)
		}
	}
	s.items = make([]stock.ItemDocument, hitsMax+1)
	got := get(t, h, "/find?q=a").Body.String()
	if strings.Count(got, "<li>") != hitsMax || !strings.Contains(got, "The first 20 items.") {
		t.Errorf("too many hits: %q", got)
	}
	if page := get(t, h, "/").Body.String(); !strings.Contains(page, "No sale yet.") {
		t.Error("an empty day is not explained")
	}
}

func TestHeadersAndAssets(t *testing.T) {
	s := &shop{}
	h := New(s.deps())
	for _, target := range []string{"/", "/find", "/assets/page.css", "/assets/page.js", "/assets/icon.svg", "/assets/none"} {
		w := get(t, h, target)
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'self'; ", "X-Content-Type-Options": "nosniff",
			"X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
		} {
			if got := w.Header().Get(name); !strings.HasPrefix(got, want) {
				t.Errorf("%s: %s is %q", target, name, got)
			}
		}
	}
	if w := get(t, h, "/assets/none"); w.Code != http.StatusNotFound {
		t.Errorf("a missing asset: %d", w.Code)
	}
	first := get(t, h, "/assets/page.js")
	if kind := first.Header().Get("Content-Type"); !strings.HasPrefix(kind, "text/javascript") {
		t.Errorf("script as %s", kind)
	}
	r := httptest.NewRequest(http.MethodGet, "/assets/page.js", nil)
	r.Header.Set("If-None-Match", first.Header().Get("ETag"))
	again := httptest.NewRecorder()
	h.ServeHTTP(again, r)
	if again.Code != http.StatusNotModified {
		t.Errorf("an unchanged script is sent again: %d", again.Code)
	}
}

// TestPageLoadsNothingFromElsewhere reads the sources for addresses.
func TestPageLoadsNothingFromElsewhere(t *testing.T) {
	for _, name := range []string{"page.html", "orders.html", "sell.html", "assets/page.css", "assets/page.js", "assets/orders.css", "assets/orders.js", "assets/sell.css", "assets/sell.js", "assets/sell-dialogs.js", "assets/sell-live.js", "assets/sell-text.js", "assets/icon.svg"} {
		data, err := files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(data), `xmlns="http://www.w3.org/2000/svg"`, "")
		for _, banned := range []string{"http://", "https://", "url(//", "@import", "<style", " style=", "innerHTML =", "eval("} {
			if strings.Contains(text, banned) {
				t.Errorf("%s holds %q", name, banned)
			}
		}
	}
}

func TestLiveSendsChangesOnly(t *testing.T) {
	s := &shop{status: Status{Store: "s1", Link: "online"}}
	site := newSite(s.deps())
	site.settle = time.Millisecond
	server := httptest.NewServer(http.HandlerFunc(site.serveLive))
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if kind := resp.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/event-stream") {
		t.Fatalf("Content-Type %s", kind)
	}
	lines := bufio.NewReader(resp.Body)
	if got := readBlock(t, lines); !strings.HasPrefix(got, "event: parts\ndata: ") || !strings.Contains(got, ">Online<") {
		t.Fatalf("first: %s", got)
	}
	s.change(Status{Store: "s1", Link: "offline", Cause: "hub_error", Pending: 2})
	if got := readBlock(t, lines); !strings.Contains(got, "Server trouble: sales continue.") || !strings.Contains(got, "2 waiting to send") {
		t.Fatalf("after the change: %s", got)
	}
	s.change(s.status)
	if got := readBlock(t, lines); got != ": alive\n" {
		t.Fatalf("after a change that changes nothing: %s", got)
	}
}

// readBlock reads up to the next empty line.
func readBlock(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	var block strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if line == "\n" || err != nil {
			return block.String()
		}
		block.WriteString(line)
	}
}
