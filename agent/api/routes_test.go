package api

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"counterpart/protocol"

	"github.com/prometheus/client_golang/prometheus"
)

func TestGETRoutesAnswerAsDescribed(t *testing.T) {
	s := newShop()
	h := New(s.deps())
	for _, target := range []string{
		"/v1/sales/a1-1-1-318", "/v1/stock/4006381333931", "/v1/items?q=pen&limit=7&after=x", "/v1/members/m-1/cart", "/v1/members/m-1/accounts", "/v1/gift-cards/ABCD1234EFGH", "/v1/members/m-1/timeline?limit=7&after=" + exampleEntryID.String(), "/v1/status", "/v1/exceptions", "/v1/exceptions?state=open", "/v1/transfers?state=open&limit=7&after=s1/x",
		"/healthz", "/readyz", "/openapi.json", "/metrics", "/", "/sell", "/sell/member?card=M1", "/sell/member?id=m-1", "/find?q=pen", "/assets/page.css", "/assets/page.js", "/assets/icon.svg",
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			w := do(t, h, newRequest(method, target, nil))
			if w.Code != http.StatusOK {
				t.Errorf("%s %s: %d %s", method, target, w.Code, w.Body)
			}
			if w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("Content-Security-Policy") == "" {
				t.Errorf("%s: headers %v", target, w.Header())
			}
		}
	}
	if got := s.asked[:2]; got[0] != "a1-1-1-318" {
		t.Errorf("asked for %q", got)
	}
	if body := get(t, h, "/v1/exceptions?state=open").Body.String(); strings.Contains(body, "x2") || !strings.Contains(body, `"refs":[]`) || !strings.Contains(body, `"next":null`) {
		t.Errorf("open exceptions: %s", body)
	}
	if body := get(t, h, "/v1/status").Body.String(); !strings.Contains(body, `"feeds":[]`) {
		t.Errorf("status: %s", body)
	}
}

func TestMetricsAreTheGatherers(t *testing.T) {
	registry := prometheus.NewRegistry()
	counter := prometheus.NewCounter(prometheus.CounterOpts{Name: "counterpart_sales_total", Help: "Sales."})
	registry.MustRegister(counter)
	counter.Inc()
	d := newShop().deps()
	d.Metrics = registry
	if body := get(t, New(d), "/metrics").Body.String(); !strings.Contains(body, "counterpart_sales_total 1") {
		t.Errorf("metrics: %s", body)
	}
}

func TestCodesArePercentDecoded(t *testing.T) {
	for path, want := range map[string]string{
		"/v1/stock/a%2Fb%20c":               "a/b c",
		"/v1/stock/%2E%2E":                  "..",
		"/v1/stock/%C3%A7ay":                "çay",
		"/v1/stock/a%2F%2Fb":                "a//b",
		"/v1/stock/01040063813339311%1D21A": "01040063813339311\x1d21A",
		"/v1/stock/100%25":                  "100%",
	} {
		s := newShop()
		if w := get(t, New(s.deps()), path); w.Code != http.StatusOK || len(s.asked) != 1 || s.asked[0] != want {
			t.Errorf("%s: %d, asked for %q", path, w.Code, s.asked)
		}
	}
	s := newShop()
	h := New(s.deps())
	wantProblem(t, get(t, h, "/v1/stock/%ff"), 404, "unknown_code")
	wantProblem(t, get(t, h, "/v1/stock/"+strings.Repeat("1", 513)), 404, "unknown_code")
	wantProblem(t, get(t, h, "/v1/sales/%ff"), 404, "not_found")
	if len(s.asked) != 0 {
		t.Errorf("asked for %q", s.asked)
	}
}

func TestNotFoundOnGET(t *testing.T) {
	s := newShop()
	h := New(s.deps())
	s.err = protocol.Refuse(protocol.UnknownCode, "Not in this store's list.").With("value", "1")
	if p := wantProblem(t, get(t, h, "/v1/stock/1"), 404, "unknown_code"); p["value"] != "1" {
		t.Errorf("members are lost: %v", p)
	}
	wantProblem(t, post(t, h, "/v1/sales", saleBody), 422, "unknown_code")
	s.err = protocol.Refuse(protocol.ReceiptUnknown, "No such receipt.")
	wantProblem(t, get(t, h, "/v1/sales/x"), 404, "not_found")
	wantProblem(t, post(t, h, "/v1/sales/x/void", `{}`), 422, "receipt_unknown")
}

func TestUnknownAddressesAndMethods(t *testing.T) {
	h := New(newShop().deps())
	for _, target := range []string{"/v1", "/v1/", "/v1/sale", "/v1/sales/", "/v1/stock", "/v1//status", "/v1/./status", "/v1/x/../status", "/v1/status/", "/assets/", "/assets/none", "/favicon.ico", "/v2/status"} {
		wantProblem(t, get(t, h, target), 404, "not_found")
	}
	for _, c := range []struct{ method, target, allow string }{
		{http.MethodGet, "/v1/sales", "POST"},
		{http.MethodPut, "/v1/sales/a1-1-1-1", "GET, HEAD"},
		{http.MethodPost, "/v1/status", "GET, HEAD"},
		{http.MethodHead, "/v1/events", "GET"},
		{http.MethodOptions, "/v1/returns", "POST"},
		{"BREW", "/", "GET, HEAD"},
		{http.MethodDelete, "/assets/page.js", "GET, HEAD"},
	} {
		w := do(t, h, newRequest(c.method, c.target, nil))
		if got := w.Header().Get("Allow"); got != c.allow {
			t.Errorf("%s %s: Allow %q, want %q", c.method, c.target, got, c.allow)
		}
		if c.method != http.MethodHead {
			wantProblem(t, w, 405, "method_not_allowed")
		}
	}
}

func TestOnlyAnyoneWithoutInsecureDev(t *testing.T) {
	s := newShop()
	d := s.deps()
	d.InsecureDev = false
	srv := newServer(d)
	h := New(d)
	for _, row := range srv.routes() {
		target := strings.NewReplacer("{receipt_no}", "a1-1-1-1", "{code}", "1", "{file}", "page.css").Replace(row.pattern)
		w := do(t, h, newRequest(row.method, target, strings.NewReader(saleBody)))
		if row.who == anyone {
			if w.Code != http.StatusOK {
				t.Errorf("%s %s: %d", row.method, target, w.Code)
			}
			continue
		}
		wantProblem(t, w, 401, "unauthenticated")
		if w.Header().Get("WWW-Authenticate") == "" {
			t.Errorf("%s: no WWW-Authenticate", target)
		}
	}
	if len(s.calls)+len(s.asked) != 0 {
		t.Errorf("the agent was asked: %v %v", s.calls, s.asked)
	}
}

func TestForeignHosts(t *testing.T) {
	h := New(newShop().deps())
	local := context.WithValue(t.Context(), http.LocalAddrContextKey, net.Addr(&net.TCPAddr{IP: net.IPv4(192, 168, 1, 9), Port: 7070}))
	for host, ok := range map[string]bool{
		"127.0.0.1:7070": true, "127.0.0.1": true, "127.9.9.9": true, "localhost": true, "LOCALHOST:1": true, "localhost.:7070": true,
		"[::1]:7070": true, "[::1]": true, "::1": true, "[::ffff:127.0.0.1]:1": true, "192.168.1.9:7070": true, "192.168.1.9": true,
		"192.168.1.10:7070": false, "example.com": false, "localhost.example.com": false, "127.0.0.1.example.com": false, "0.0.0.0:7070": false, "": false,
		"example.com:7070": false, "localhost:7070:1": false, "2130706433": false,
	} {
		r := newRequest(http.MethodGet, "/v1/status", nil).WithContext(local)
		r.Host = host
		w := do(t, h, r)
		if ok && w.Code != http.StatusOK {
			t.Errorf("Host %q is refused: %s", host, w.Body)
		}
		if !ok {
			wantProblem(t, w, 403, "forbidden")
		}
	}
}

func TestForeignOrigins(t *testing.T) {
	for _, c := range []struct {
		header, value string
		ok            bool
	}{
		{"Origin", "http://127.0.0.1:7070", true},
		{"Sec-Fetch-Site", "same-origin", true},
		{"Sec-Fetch-Site", "none", true},
		{"Origin", "http://example.com", false},
		{"Origin", "http://127.0.0.1:3000", false},
		{"Origin", "null", false},
		{"Sec-Fetch-Site", "cross-site", false},
		{"Sec-Fetch-Site", "same-site", false},
	} {
		s := newShop()
		h := New(s.deps())
		for _, target := range []string{"/v1/sales", "/v1/sales/a1-1-1-1/void", "/v1/returns", "/v1/stock/movements"} {
			r := newRequest(http.MethodPost, target, strings.NewReader(`{"lines":[{"code":"1","qty":1}]}`))
			if strings.HasSuffix(target, "void") {
				r = newRequest(http.MethodPost, target, strings.NewReader(`{}`))
			}
			r.Header.Set(c.header, c.value)
			r.Header.Set("Content-Type", "text/plain")
			w := do(t, h, r)
			if c.ok && w.Code != http.StatusCreated {
				t.Errorf("%s %s: %s refused: %s", target, c.header, c.value, w.Body)
			}
			if !c.ok {
				wantProblem(t, w, 403, "forbidden")
			}
		}
		if (len(s.calls) == 4) != c.ok {
			t.Errorf("%s %s: %d calls got through", c.header, c.value, len(s.calls))
		}
	}
}

func TestReadyz(t *testing.T) {
	s := newShop()
	h := New(s.deps())
	s.err = protocol.Refuse(protocol.NotProvisioned, "The price list is not here yet. Wait for the hub.")
	wantProblem(t, get(t, h, "/readyz"), 503, "not_provisioned")
	if w := get(t, h, "/healthz"); w.Code != http.StatusOK {
		t.Errorf("alive, but not ready: %d", w.Code)
	}
}

func TestItemsBounds(t *testing.T) {
	s := newShop()
	h := New(s.deps())
	for _, query := range []string{"limit=0", "limit=-1", "limit=501", "limit=x", "limit=1e2", "limit=99999999999999999999", "q=%ff", "q=" + strings.Repeat("a", 257), "after=%ff"} {
		wantProblem(t, get(t, h, "/v1/items?"+query), 422, "out_of_range")
	}
	if len(s.asked) != 0 {
		t.Errorf("asked for %q", s.asked)
	}
}

func TestCausesAreLoggedOnceAndNeverShown(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		code   string
		logged int
	}{
		{errors.New("secret cause"), 500, "internal", 1},
		{&protocol.Error{Code: protocol.Internal, Message: "secret cause", Members: map[string]any{"path": "secret cause"}}, 500, "internal", 1},
		{&protocol.Error{Code: "of a later version", Message: "secret cause"}, 500, "internal", 1},
		{&protocol.Error{Code: protocol.DiskFull, Message: "Disk full. Nothing was sold.", Err: errors.New("secret cause")}, 507, "disk_full", 1},
		{&protocol.Error{Code: protocol.Conflict, Message: "Not now.", Err: errors.New("secret cause")}, 409, "conflict", 0},
		{protocol.Refuse(protocol.SlowDown, "Wait a second, then try again."), 429, "slow_down", 0},
	} {
		s := newShop()
		s.err = c.err
		w := post(t, New(s.deps()), "/v1/sales", saleBody)
		p := wantProblem(t, w, c.status, c.code)
		if strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%v is shown: %s", c.err, w.Body)
		}
		if n := strings.Count(s.log.String(), "secret cause"); n != c.logged {
			t.Errorf("%v is logged %d times, want %d: %s", c.err, n, c.logged, &s.log)
		}
		if c.code == "internal" && len(p) != 5 {
			t.Errorf("internal says more than it may: %v", p)
		}
	}
}

func TestMembersNeverReplaceTheProblemsOwn(t *testing.T) {
	s := newShop()
	s.err = protocol.Refuse(protocol.OverReturn, "Only 1 is left to return.").With("status", 200).With("line", 2).With("remaining", protocol.Quantity(1500)).With("code", "x")
	w := post(t, New(s.deps()), "/v1/returns", `{"receipt_no":"a1-1-1-1","lines":[{"line":2,"qty":3}]}`)
	want := `{"type":"about:blank","title":"More than was sold","status":409,"code":"over_return","line":2,"remaining":1.5,"detail":"Only 1 is left to return."}`
	if w.Body.String() != want {
		t.Errorf("got  %s\nwant %s", w.Body, want)
	}
	s.err = protocol.Refuse(protocol.Conflict, "Not now.").With("odd", make(chan int))
	wantProblem(t, post(t, New(s.deps()), "/v1/sales", saleBody), 409, "conflict")
}

func TestPanicsBecomeInternalErrors(t *testing.T) {
	s := newShop()
	s.panics = "secret cause"
	w := post(t, New(s.deps()), "/v1/sales", saleBody)
	wantProblem(t, w, 500, "internal")
	if strings.Contains(w.Body.String(), "secret") || strings.Count(s.log.String(), "secret cause") != 1 || !strings.Contains(s.log.String(), "stack=") {
		t.Errorf("shown %s, logged %s", w.Body, &s.log)
	}
	// The page begins its answer only when all of it is there.
	wantProblem(t, get(t, New(s.deps()), "/"), 500, "internal")
}

// TestPanicAfterTheAnswerBeganCutsItOff: half an answer must not look whole.
func TestPanicAfterTheAnswerBeganCutsItOff(t *testing.T) {
	s := newServer(newShop().deps())
	h := s.guard(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
		panic("secret cause")
	}))
	defer func() {
		if got := recover(); got != http.ErrAbortHandler {
			t.Errorf("panicked with %v", got)
		}
	}()
	h.ServeHTTP(httptest.NewRecorder(), newRequest(http.MethodGet, "/", nil))
}
