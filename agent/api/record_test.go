package api

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"counterpart/protocol"
	"counterpart/protocol/sale"
)

func TestCallsCarryRouteKeyAndBody(t *testing.T) {
	for _, c := range []struct {
		target, body, route, asked string
	}{
		{"/v1/sales", saleBody, "POST /v1/sales", "4006381333931"},
		{"/v1/returns", `{"receipt_no":"a1-1-1-318","lines":[{"line":1,"qty":1}]}`, "POST /v1/returns", "a1-1-1-318"},
		{"/v1/sales/a1-1-1-318/void", ` {"reason":"wrong item","staff":"s7"} `, "POST /v1/sales/a1-1-1-318/void", "a1-1-1-318 wrong item"},
		{"/v1/stock/movements", `{"type":"receipt","lines":[{"code":"1","qty":24}]}`, "POST /v1/stock/movements", "receipt"},
		{"/v1/exceptions/x-1/resolve", `{"staff":"s7","reason":"counted"}`, "POST /v1/exceptions/x-1/resolve", "x-1 resolve s7 counted"},
	} {
		for _, key := range []string{"", "k-1", `"quoted"`, strings.Repeat("~", 128)} {
			s := newShop()
			r := newRequest(http.MethodPost, c.target, strings.NewReader(c.body))
			if key != "" {
				r.Header.Set("Idempotency-Key", key)
			}
			if w := do(t, New(s.deps()), r); w.Code/100 != 2 || w.Header().Get("Content-Type") != "application/json" {
				t.Fatalf("%s: %d %s", c.target, w.Code, w.Body)
			}
			call := s.calls[0]
			if call.Route != c.route || call.Key != key || string(call.Body) != c.body || s.asked[0] != c.asked {
				t.Errorf("%s: call %q %q %q, asked %q", c.target, call.Route, call.Key, call.Body, s.asked[0])
			}
		}
	}
}

// TestQuote: what was asked is passed on, and the answer is as it is described.
func TestQuote(t *testing.T) {
	s := newShop()
	w := post(t, New(s.deps()), "/v1/sales/quote", `{"lines":[{"code":"1","qty":2}],"coupons":["SPRING"]}`)
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"cash_total_minor":450`) || len(s.asked) != 1 || s.asked[0] != "SPRING" {
		t.Errorf("%d %s, asked %q", w.Code, w.Body, s.asked)
	}
	s.err = protocol.Refuse(protocol.UnknownCode, "Not here.")
	wantProblem(t, post(t, New(s.deps()), "/v1/sales/quote", saleBody), 422, "unknown_code")
}

func TestAnswersAreSentByteForByte(t *testing.T) {
	s := newShop()
	d := s.deps()
	d.Sell = func(ctx context.Context, c protocol.Call, _ sale.Request) (protocol.Answer, error) {
		a, err := s.record(c, "")
		a.Status = http.StatusOK
		a.Body = bytes.ReplaceAll(a.Body, []byte(`,"lines"`), []byte(` ,  "lines"`))
		return a, err
	}
	w := post(t, New(d), "/v1/sales", saleBody)
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), ` ,  "lines"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestBadKeys(t *testing.T) {
	s := newShop()
	for _, keys := range [][]string{{""}, {"two words"}, {"ü"}, {strings.Repeat("k", 129)}, {"tab\t"}, {"a", "b"}, {"\x7f"}} {
		r := newRequest(http.MethodPost, "/v1/sales", strings.NewReader(saleBody))
		r.Header["Idempotency-Key"] = keys
		if p := wantProblem(t, do(t, New(s.deps()), r), 422, "out_of_range"); p["field"] != "Idempotency-Key" {
			t.Errorf("%q: %v", keys, p)
		}
	}
	if len(s.calls) != 0 {
		t.Errorf("%d calls got through", len(s.calls))
	}
}

// TestBodiesThatAreRefused holds all routes with a body to the rules for JSON.
func TestBodiesThatAreRefused(t *testing.T) {
	line := func(member string) string { return `{"lines":[{"code":"1","qty":1,` + member + `}]}` }
	for name, c := range map[string]struct {
		body, code string
		status     int
		member     string
		value      any
	}{
		"nothing":              {"", "bad_json", 400, "", nil},
		"blank":                {" \n", "bad_json", 400, "", nil},
		"null":                 {"null", "bad_json", 400, "", nil},
		"a list":               {"[]", "bad_json", 400, "", nil},
		"cut off":              {`{"lines":[`, "bad_json", 400, "", nil},
		"two documents":        {saleBody + saleBody, "bad_json", 400, "", nil},
		"not UTF-8":            {`{"reason":"` + "\xff" + `"}`, "bad_json", 400, "position", 12.0},
		"half a character":     {`{"reason":"\ud800"}`, "bad_json", 400, "", nil},
		"unknown member":       {`{"colour":"red"}`, "unknown_field", 400, "field", "colour"},
		"wrong case":           {`{"Staff":"s7"}`, "unknown_field", 400, "field", "Staff"},
		"member twice":         {`{"staff":"s7","staff":"s8"}`, "bad_json", 400, "field", "staff"},
		"number for text":      {`{"staff":7}`, "bad_json", 400, "field", "staff"},
		"unknown in a line":    {line(`"colour":"red"`), "unknown_field", 400, "", nil},
		"text for lines":       {`{"lines":"none"}`, "", 400, "", nil},
		"prototype":            {`{"__proto__":{}}`, "unknown_field", 400, "", nil},
		"deep":                 {strings.Repeat(`[`, 20000), "bad_json", 400, "", nil},
		"form":                 {"lines=1&qty=2", "bad_json", 400, "", nil},
		"byte order mark":      {"\ufeff{}", "bad_json", 400, "", nil},
		"comment":              {"{} // none", "bad_json", 400, "", nil},
		"not a number":         {`{"staff":NaN}`, "bad_json", 400, "", nil},
		"control in text":      {"{\"staff\":\"\n\"}", "bad_json", 400, "", nil},
		"trailing comma":       {`{"staff":"s7",}`, "bad_json", 400, "", nil},
		"single quotes":        {`{'staff':'s7'}`, "bad_json", 400, "", nil},
		"a member of a member": {`{"staff":{"id":"s7"}}`, "bad_json", 400, "field", "staff"},
	} {
		s := newShop()
		h := New(s.deps())
		for _, target := range []string{"/v1/sales", "/v1/sales/quote", "/v1/returns", "/v1/sales/a1-1-1-1/void", "/v1/stock/movements"} {
			w := post(t, h, target, c.body)
			p := problem(t, w)
			if w.Code != c.status || c.code != "" && p["code"] != c.code && !strings.HasSuffix(target, "void") {
				t.Errorf("%s, %s: %d %v", name, target, w.Code, p)
			}
			if c.member != "" && p[c.member] != c.value {
				t.Errorf("%s, %s: %s is %v, want %v", name, target, c.member, p[c.member], c.value)
			}
		}
		if len(s.calls) != 0 {
			t.Errorf("%s: %d calls got through", name, len(s.calls))
		}
	}
}

func TestNumbersThatDoNotFit(t *testing.T) {
	for body, want := range map[string]string{
		`{"lines":[{"code":"1","qty":1,"amount_minor":9223372036854775808}]}`:      "out_of_range",
		`{"lines":[{"code":"1","qty":1,"unit_price_minor":-9223372036854775809}]}`: "out_of_range",
		`{"lines":[{"code":"1","qty":10000000.001}]}`:                              "out_of_range",
		`{"lines":[{"code":"1","qty":0.0001}]}`:                                    "out_of_range",
		`{"lines":[{"code":"1","qty":1e400}]}`:                                     "out_of_range",
		`{"lines":[{"code":"1","qty":"1"}]}`:                                       "",
		`{"lines":[{"code":"1","qty":1,"amount_minor":4.50}]}`:                     "bad_json",
		`{"lines":[{"code":"1","qty":1,"amount_minor":450e0}]}`:                    "bad_json",
		`{"lines":[{"code":"1","qty":1,"amount_minor":"450"}]}`:                    "bad_json",
		`{"lines":[{"code":1,"qty":1}]}`:                                           "bad_json",
	} {
		s := newShop()
		w := post(t, New(s.deps()), "/v1/sales", body)
		p := problem(t, w)
		if want != "" && p["code"] != want || len(s.calls) != 0 {
			t.Errorf("%s: %v", body, p)
		}
		if p["line"] != 1.0 {
			t.Errorf("%s: the line is not named: %v", body, p)
		}
	}
}

// filler is JSON of a size that may be sent or not.
func filler(size int) io.Reader {
	head, tail := `{"reason":"`, `"}`
	return io.MultiReader(strings.NewReader(head), strings.NewReader(strings.Repeat("a", size-len(head)-len(tail))), strings.NewReader(tail))
}

func TestBodySize(t *testing.T) {
	s := newShop()
	h := New(s.deps())
	for _, target := range []string{"/v1/sales", "/v1/returns", "/v1/sales/a1-1-1-1/void", "/v1/stock/movements"} {
		wantProblem(t, do(t, h, newRequest(http.MethodPost, target, filler(4<<20+1))), 413, "too_large")
	}
	if len(s.calls) != 0 {
		t.Errorf("%d calls got through", len(s.calls))
	}
	if w := do(t, h, newRequest(http.MethodPost, "/v1/sales/a1-1-1-1/void", filler(4<<20))); w.Code != http.StatusCreated {
		t.Errorf("4 MiB are refused: %d %s", w.Code, w.Body)
	}
}

func TestBodyThatBreaksOff(t *testing.T) {
	s := newShop()
	body := io.MultiReader(strings.NewReader(saleBody[:20]), iotest.ErrReader(io.ErrUnexpectedEOF))
	wantProblem(t, do(t, New(s.deps()), newRequest(http.MethodPost, "/v1/sales", body)), 400, "bad_json")
	if len(s.calls) != 0 {
		t.Error("half a request got through")
	}
}

func TestContentTypes(t *testing.T) {
	s := newShop()
	h := New(s.deps())
	for _, kind := range []string{"", "application/json", "application/json; charset=utf-8", "application/x-www-form-urlencoded", "text/plain", "nonsense;;", "application/vnd.pos+json"} {
		r := newRequest(http.MethodPost, "/v1/sales", strings.NewReader(saleBody))
		r.Header.Set("Content-Type", kind)
		if w := do(t, h, r); w.Code != http.StatusCreated {
			t.Errorf("%q is refused: %s", kind, w.Body)
		}
	}
	for _, kind := range []string{"multipart/form-data; boundary=x", "Multipart/Mixed; boundary=x"} {
		r := newRequest(http.MethodPost, "/v1/sales", strings.NewReader(saleBody))
		r.Header.Set("Content-Type", kind)
		wantProblem(t, do(t, h, r), 400, "bad_json")
	}
}

// TestGETBodiesAreNotRead: a route without a body takes none.
func TestGETBodiesAreNotRead(t *testing.T) {
	r := newRequest(http.MethodGet, "/v1/status", iotest.ErrReader(io.ErrClosedPipe))
	if w := do(t, New(newShop().deps()), r); w.Code != http.StatusOK {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
