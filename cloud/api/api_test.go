package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"counterpart/protocol"

	"github.com/prometheus/client_golang/prometheus"
)

// problemOf checks that an answer is a problem and returns it.
func problemOf(t *testing.T, w *httptest.ResponseRecorder, status int, code protocol.Code) map[string]any {
	t.Helper()
	var p map[string]any
	err := json.Unmarshal(w.Body.Bytes(), &p)
	if err != nil || w.Code != status || p["code"] != string(code) || p["status"] != float64(status) || p["type"] != "about:blank" ||
		p["detail"] == "" || p["title"] == "" || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("answered %d %s (%v), want %d %s", w.Code, w.Body, err, status, code)
	}
	return p
}

func TestRefusalsBecomeProblems(t *testing.T) {
	tests := []struct {
		target string
		err    error
		status int
		code   protocol.Code
	}{
		{"/v1/availability?code=NO&store=s1", protocol.Refuse(protocol.UnknownCode, "No."), 404, protocol.UnknownCode},
		{"/v1/availability?code=NO&store=s1", protocol.Refuse(protocol.UnknownStore, "No."), 404, protocol.UnknownStore},
		{"/v1/loads/l-1", protocol.Refuse(protocol.NotFound, "No."), 404, protocol.NotFound},
		{"/v1/stock?store=s9", protocol.Refuse(protocol.UnknownStore, "No."), 404, protocol.UnknownStore},
		{"/v1/status", errors.New("secret"), 500, protocol.Internal},
		{"/readyz", errors.New("secret"), 503, protocol.NotProvisioned},
		{"/v1/availability?store=s1", nil, 422, protocol.OutOfRangeCode},
		{"/v1/availability?code=P", nil, 422, protocol.OutOfRangeCode},
		{"/v1/availability?code=P&store=s1&near=1,2", nil, 422, protocol.OutOfRangeCode},
		{"/v1/availability?code=P&near=1", nil, 422, protocol.OutOfRangeCode},
		{"/v1/availability?code=P&near=91,2", nil, 422, protocol.OutOfRangeCode},
		{"/v1/availability?code=P&near=NaN,2", nil, 422, protocol.OutOfRangeCode},
		{"/v1/availability?code=P&near=1,2&radius_km=-1", nil, 422, protocol.OutOfRangeCode},
		{"/v1/availability?code=P&near=1,2&limit=201", nil, 422, protocol.OutOfRangeCode},
		{"/v1/availability?code=P&code=Q&store=s1", nil, 400, protocol.BadJSON},
		{"/v1/availability?code=%ff&store=s1", nil, 400, protocol.BadJSON},
		{"/v1/availability?code=%zz&store=s1", nil, 400, protocol.BadJSON},
		{"/v1/stores?limit=0", nil, 422, protocol.OutOfRangeCode},
		{"/v1/agents?limit=x", nil, 422, protocol.OutOfRangeCode},
		{"/v1/exceptions?state=odd", nil, 422, protocol.OutOfRangeCode},
		{"/v1/transfers?state=odd", nil, 422, protocol.OutOfRangeCode},
		{"/v1/sales?from=21.11.2026", nil, 422, protocol.OutOfRangeCode},
		{"/v1/sales?from=2026-11-22&to=2026-11-21", nil, 422, protocol.OutOfRangeCode},
		{"/v1/stock", nil, 422, protocol.OutOfRangeCode},
		{"/v1/nothing", nil, 404, protocol.NotFound},
		{"/assets/nothing.js", nil, 404, protocol.NotFound},
	}
	for _, tt := range tests {
		t.Run(tt.target, func(t *testing.T) {
			var log bytes.Buffer
			d := (&fakeHub{err: tt.err}).deps()
			d.Log = slog.New(slog.NewTextHandler(&log, nil))
			w := get(t, New(d), tt.target)
			problemOf(t, w, tt.status, tt.code)
			if strings.Contains(w.Body.String(), "secret") || strings.Count(log.String(), "secret") != strings.Count(errText(tt.err), "secret") {
				t.Errorf("the cause is told or not logged once: %s; %s", w.Body, &log)
			}
		})
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestOtherMethodsAreRefused(t *testing.T) {
	h := New((&fakeHub{}).deps())
	w := do(t, h, httptest.NewRequest(http.MethodPost, "/v1/stock?store=s1", nil))
	p := problemOf(t, w, 405, "method_not_allowed")
	if w.Header().Get("Allow") != "GET, PUT" || p["title"] != "Method not allowed" {
		t.Errorf("Allow is %q, problem %v", w.Header().Get("Allow"), p)
	}
	r := httptest.NewRequest(http.MethodGet, "/v1/status", strings.NewReader("{}"))
	problemOf(t, do(t, h, r), 413, protocol.TooLarge)
}

func TestParametersArePassedOn(t *testing.T) {
	tests := map[string]any{
		"/v1/availability?code=a%2Fb%20%C3%A7&store=s1":             AvailabilityQuery{Code: "a/b ç", Store: "s1", RadiusKm: 50, Limit: 20},
		"/v1/availability?code=P&near=51.5,-0.12":                   AvailabilityQuery{Code: "P", Lat: 51.5, Lon: -0.12, RadiusKm: 50, Limit: 20},
		"/v1/availability?code=P&near=1,%202&radius_km=7.5&limit=3": AvailabilityQuery{Code: "P", Lat: 1, Lon: 2, RadiusKm: 7.5, Limit: 3},
		"/v1/sales/a1-1-1-3":                                        protocol.ReceiptNo("a1-1-1-3"),
		"/v1/sales?from=2026-11-20":                                 SalesQuery{From: "2026-11-20"},
		"/v1/stores":                                                Page{Limit: 100},
		"/v1/agents?limit=7&after=a1":                               Page{Limit: 7, After: "a1"},
		"/v1/snapshots/store/s1":                                    "store/s1",
		"/v1/snapshots/catalog":                                     "catalog",
	}
	for target, want := range tests {
		f := &fakeHub{}
		if w := get(t, New(f.deps()), target); w.Code != http.StatusOK || len(f.asked) != 1 || f.asked[0] != want {
			t.Errorf("%s: %d, passed on %+v", target, w.Code, f.asked)
		}
	}
}

func TestUploadAnswers(t *testing.T) {
	report := doc{"read": 0, "applied": 0, "unchanged": 0, "rejected": 0, "load_id": nil, "errors": []doc{}}
	bad := doc{"read": 1, "applied": 0, "unchanged": 0, "rejected": 1, "load_id": nil, "errors": []doc{{"row": 1, "field": nil, "value": nil, "code": "bad_json", "message": "No."}}}
	tests := []struct {
		name, target string
		imported     Imported
		status       int
	}{
		{"good", "/v1/items", Imported{Good: 1, Report: report}, 200},
		{"good and bad", "/v1/items", Imported{Good: 1, Rejected: 1, Report: bad}, 200},
		{"empty", "/v1/items", Imported{Report: report}, 200},
		{"nothing good", "/v1/items", Imported{Rejected: 1, Report: bad}, 422},
		{"stock", "/v1/stock?store=s1", Imported{Good: 1, Pending: true, Report: report}, 202},
		{"stock without rows", "/v1/stock?store=s1", Imported{Report: report}, 200},
		{"stock, nothing good", "/v1/stock?store=s1", Imported{Rejected: 1, Report: bad}, 422},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &fakeHub{imported: tt.imported}
			r := httptest.NewRequest(http.MethodPut, tt.target, strings.NewReader("the rows"))
			r.Header.Set("Content-Type", "application/x-ndjson")
			r.Header.Set("Idempotency-Key", "load-~1")
			w := do(t, New(f.deps()), r)
			checkContract(t, strings.TrimSuffix(tt.target, "?store=s1"), r, w)
			if w.Code != tt.status || w.Header().Get("Content-Type") != "application/json" || !strings.Contains(w.Body.String(), `"read":`) {
				t.Errorf("answered %d %s", w.Code, w.Body)
			}
			if f.asked[0] != "the rows" || f.asked[1].(Upload).Format != "application/x-ndjson" || f.asked[1].(Upload).Key != "load-~1" {
				t.Errorf("passed on %+v", f.asked)
			}
		})
	}
}

func TestUploadsThatAreRefused(t *testing.T) {
	h := New((&fakeHub{}).deps())
	for _, kind := range []string{"", "application/json", "text/csv; charset=latin1", "text"} {
		problemOf(t, put(t, h, "/v1/items", kind, "x"), 400, protocol.BadJSON)
	}
	problemOf(t, put(t, h, "/v1/stock", "text/csv", "x"), 422, protocol.OutOfRangeCode)
	problemOf(t, put(t, h, "/v1/items?store=s1", "text/csv", "x"), 400, protocol.UnknownField)
	for _, keys := range [][]string{{""}, {"two words"}, {"é"}, {strings.Repeat("k", 129)}, {"a", "b"}} {
		r := httptest.NewRequest(http.MethodPut, "/v1/items", strings.NewReader("x"))
		r.Header.Set("Content-Type", "text/csv")
		r.Header["Idempotency-Key"] = keys
		problemOf(t, do(t, h, r), 422, protocol.OutOfRangeCode)
	}
	r := httptest.NewRequest(http.MethodPut, "/v1/items", strings.NewReader("x"))
	r.Header.Set("Content-Type", "text/csv")
	r.ContentLength = uploadMax + 1
	problemOf(t, do(t, h, r), 413, protocol.TooLarge)
	r = httptest.NewRequest(http.MethodPut, "/v1/items", io.LimitReader(endless{}, uploadMax+1))
	r.Header.Set("Content-Type", "text/csv")
	d := (&fakeHub{}).deps()
	d.Import = func(_ context.Context, up Upload) (Imported, error) {
		_, err := io.Copy(io.Discard, up.Body)
		return Imported{}, err
	}
	problemOf(t, do(t, New(d), r), 413, protocol.TooLarge)
	d.Import = func(context.Context, Upload) (Imported, error) { return Imported{}, io.ErrUnexpectedEOF }
	problemOf(t, put(t, New(d), "/v1/items", "text/csv", "x"), 400, protocol.BadJSON)
}

type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

// TestBrokenListingHasNoEnd: whoever reads half a listing must be able to tell.
func TestBrokenListingHasNoEnd(t *testing.T) {
	f := &fakeHub{failAt: 3000}
	for range 4000 {
		f.rows = append(f.rows, level())
	}
	d := f.deps()
	srv := httptest.NewServer(New(d))
	defer srv.Close()
	res, err := srv.Client().Get(srv.URL + "/v1/stock?store=s1")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if !errors.Is(err, io.ErrUnexpectedEOF) || res.StatusCode != http.StatusOK || len(body) == 0 {
		t.Errorf("read %d bytes of %d, %v", len(body), res.StatusCode, err)
	}
	f.failAt = 1
	if w := get(t, New(d), "/v1/stock?store=s1"); w.Code != 500 || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("a listing that fails at once: %d %s", w.Code, w.Body)
	}
	f.rows = nil
	if w := get(t, New(d), "/v1/stock?store=s1"); w.Code != 200 || w.Body.Len() != 0 || w.Header().Get("Content-Type") != "application/x-ndjson" {
		t.Errorf("an empty listing: %d %q %v", w.Code, w.Body, w.Header())
	}
}

func TestSnapshot(t *testing.T) {
	h := New((&fakeHub{}).deps())
	w := get(t, h, "/v1/snapshots/catalog")
	sum := strings.Repeat("a", 64)
	for name, want := range map[string]string{
		"Content-Type": "application/zstd", "ETag": `"` + sum + `"`, "Counterpart-Epoch": "7", "Counterpart-Offset": "20000", "Counterpart-SHA256": sum, "Accept-Ranges": "bytes",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if !bytes.Equal(w.Body.Bytes(), snapshotBody) {
		t.Error("the body differs")
	}
	r := httptest.NewRequest(http.MethodGet, "/v1/snapshots/catalog", nil)
	r.Header.Set("Range", "bytes=9990-")
	r.Header.Set("If-Range", `"`+sum+`"`)
	if w := do(t, h, r); w.Code != http.StatusPartialContent || w.Body.String() != "0123456789" {
		t.Errorf("range: %d %q", w.Code, w.Body)
	}
	r = httptest.NewRequest(http.MethodGet, "/v1/snapshots/catalog", nil)
	r.Header.Set("If-None-Match", `"`+sum+`"`)
	if w := do(t, h, r); w.Code != http.StatusNotModified {
		t.Errorf("the same again: %d", w.Code)
	}
}

// TestBackup: a part of one backup must never be joined to a part of another.
func TestBackup(t *testing.T) {
	f := &fakeHub{}
	r := httptest.NewRequest(http.MethodGet, "/v1/backup", nil)
	r.Header.Set("Range", "bytes=9990-")
	w := do(t, New(f.deps()), r)
	if w.Code != http.StatusOK || !bytes.Equal(w.Body.Bytes(), snapshotBody) || w.Header().Get("Content-Length") != "10000" || w.Header().Get("Accept-Ranges") != "" {
		t.Errorf("answered %d with %d bytes, %v", w.Code, w.Body.Len(), w.Header())
	}
	if f.open != 0 {
		t.Error("the backup was not closed")
	}
}

// TestForeignPagesAreRefused covers DNS rebinding and requests across sites.
func TestForeignPagesAreRefused(t *testing.T) {
	h := New((&fakeHub{}).deps())
	for host, ok := range map[string]bool{
		"127.0.0.1:8080": true, "localhost:8080": true, "[::1]:8080": true, "127.0.0.1": true, "evil.example": false, "127.0.0.1.evil.example:8080": false, "10.0.0.1:8080": false, "": false,
	} {
		r := httptest.NewRequest(http.MethodGet, "/healthz", nil)
		r.Host = host
		if w := do(t, h, r); (w.Code == 200) != ok || !ok && w.Code != 403 {
			t.Errorf("host %q: %d", host, w.Code)
		}
	}
	for origin, ok := range map[string]bool{"http://127.0.0.1:8080": true, "http://localhost:8080": false, "http://evil.example": false, "null": false} {
		r := httptest.NewRequest(http.MethodGet, "/healthz", nil)
		r.Header.Set("Origin", origin)
		if w := do(t, h, r); (w.Code == 200) != ok || !ok && w.Code != 403 {
			t.Errorf("origin %q: %d", origin, w.Code)
		}
	}
	r := httptest.NewRequest(http.MethodPut, "/v1/items", strings.NewReader("x"))
	r.Header.Set("Content-Type", "text/csv")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	problemOf(t, do(t, h, r), 403, protocol.Forbidden)
}

func TestWithoutDevelopmentModeEverythingNeedsASignIn(t *testing.T) {
	d := (&fakeHub{}).deps()
	d.InsecureDev = false
	h := New(d)
	s := &server{}
	for _, rt := range s.routes() {
		target := requests[rt.pattern]
		if target == "" {
			target = rt.pattern
		}
		w := do(t, h, httptest.NewRequest(rt.method, target, nil))
		if (rt.who == anyone) != (w.Code == 200) || rt.who != anyone && w.Code != 401 {
			t.Errorf("%s %s: %d", rt.method, target, w.Code)
		}
	}
}

func TestPanicsAreToldAndLoggedOnce(t *testing.T) {
	var log bytes.Buffer
	d := (&fakeHub{}).deps()
	d.Log = slog.New(slog.NewTextHandler(&log, nil))
	d.Connect = func() Connect { panic("it broke") }
	w := get(t, New(d), "/v1/connect")
	problemOf(t, w, 500, protocol.Internal)
	if strings.Contains(w.Body.String(), "it broke") || strings.Count(log.String(), "level=ERROR") != 1 || !strings.Contains(log.String(), "it broke") {
		t.Errorf("told %s, logged %s", w.Body, &log)
	}
}

func TestMetricsAreTheGatherers(t *testing.T) {
	registry := prometheus.NewRegistry()
	counter := prometheus.NewCounter(prometheus.CounterOpts{Name: "counterpart_hub_events_total", Help: "Events."})
	registry.MustRegister(counter)
	counter.Inc()
	d := (&fakeHub{}).deps()
	d.Metrics = registry
	if body := get(t, New(d), "/metrics").Body.String(); !strings.Contains(body, "counterpart_hub_events_total 1") {
		t.Errorf("metrics: %s", body)
	}
}

func TestProblemMembersDoNotReplaceItsOwn(t *testing.T) {
	f := &fakeHub{err: protocol.Refuse(protocol.NotFound, "No.").With("status", 1).With("code", "x").With("line", 3)}
	if p := problemOf(t, get(t, New(f.deps()), "/v1/status"), 404, protocol.NotFound); p["line"] != float64(3) {
		t.Errorf("problem is %v", p)
	}
}

// TestLivePage reads the stream over a real connection until its first part.
func TestLivePage(t *testing.T) {
	srv := httptest.NewServer(New((&fakeHub{}).deps()))
	defer srv.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL+"/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := srv.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	first, err := bufio.NewReader(res.Body).ReadString('\n')
	if err != nil || first != "event: fleet\n" || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") || res.Header.Get("Content-Security-Policy") == "" {
		t.Errorf("stream begins with %q, %v, %v", first, res.Header, err)
	}
}

// TestSlowClientIsGivenUp: a client that stops in the middle of a file is told
// so, and does not hold the connection for ever.
func TestSlowClientIsGivenUp(t *testing.T) {
	d := (&fakeHub{}).deps()
	s := newServer(d)
	s.idle = 50 * time.Millisecond
	srv := httptest.NewServer(s)
	defer srv.Close()
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "PUT /v1/items HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/csv\r\nContent-Length: 100\r\n\r\nsku"); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusBadRequest {
		t.Errorf("answered %d", res.StatusCode)
	}
}
