package api

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"counterpart/protocol"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

var contract = sync.OnceValues(func() (*openapi3.T, error) {
	document, err := openapi3.NewLoader().LoadFromData(openAPI)
	if err != nil {
		return nil, err
	}
	for _, kind := range []string{"text/html", "text/event-stream", "text/css", "text/javascript", "image/svg+xml", "application/zstd", "application/x-ndjson", "text/tab-separated-values", "application/xml"} {
		openapi3filter.RegisterBodyDecoder(kind, func(body io.Reader, _ http.Header, _ *openapi3.SchemaRef, _ openapi3filter.EncodingFn) (any, error) {
			data, err := io.ReadAll(body)
			return string(data), err
		})
	}
	return document, document.Validate(context.Background())
})

func contractOf(t *testing.T) *openapi3.T {
	t.Helper()
	document, err := contract()
	if err != nil {
		t.Fatal(err)
	}
	return document
}

var restOfPath = regexp.MustCompile(`\{(\w+)\.\.\.\}|\{\$\}`)

// described is a route's pattern as openapi.json writes it.
func described(pattern string) string {
	return restOfPath.ReplaceAllStringFunc(pattern, func(p string) string {
		if p == "{$}" {
			return ""
		}
		return strings.Replace(p, "...", "", 1)
	})
}

// checkContract validates an answer against the operation of its route.
func checkContract(t *testing.T, pattern string, r *http.Request, w *httptest.ResponseRecorder) {
	t.Helper()
	document := contractOf(t)
	path := described(pattern)
	item := document.Paths.Value(path)
	if item == nil || item.GetOperation(r.Method) == nil {
		t.Fatalf("%s %s is not in openapi.json", r.Method, path)
	}
	operation := item.GetOperation(r.Method)
	input := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{
			Request: r, Route: &routers.Route{Spec: document, Path: path, PathItem: item, Method: r.Method, Operation: operation},
		},
		Status: w.Code, Header: w.Header(), Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	}
	input.SetBodyBytes(bytes.Clone(w.Body.Bytes()))
	if err := openapi3filter.ValidateResponse(t.Context(), input); err != nil {
		t.Errorf("%s %s answered %d against openapi.json: %v\n%s", r.Method, path, w.Code, err, w.Body)
	}
	if !strings.HasPrefix(w.Header().Get("Content-Type"), "application/x-ndjson") {
		return
	}
	line := operation.Responses.Value("200").Value.Content.Get("application/x-ndjson").Schema.Value.Extensions["x-line"]
	schema := document.Components.Schemas[strings.TrimPrefix(line.(string), "#/components/schemas/")]
	for row := range bytes.SplitSeq(bytes.TrimSpace(w.Body.Bytes()), []byte("\n")) {
		var value any
		if err := json.Unmarshal(row, &value); err != nil {
			t.Fatal(err)
		}
		if err := schema.Value.VisitJSON(value); err != nil {
			t.Errorf("%s %s: line against openapi.json: %v", r.Method, path, err)
		}
	}
}

func TestOpenAPIDescribesEveryRoute(t *testing.T) {
	document := contractOf(t)
	left := map[string]bool{}
	for path, item := range document.Paths.Map() {
		for method := range item.Operations() {
			left[method+" "+path] = true
		}
	}
	s := &server{}
	for _, rt := range s.routes() {
		name := rt.method + " " + described(rt.pattern)
		if !left[name] {
			t.Errorf("%s is not in openapi.json", name)
			continue
		}
		delete(left, name)
		operation := document.Paths.Value(described(rt.pattern)).GetOperation(rt.method)
		if got := operation.Extensions["x-principal"]; got != string(rt.who) {
			t.Errorf("%s is for %v in openapi.json and for %s in the table", name, got, rt.who)
		}
		var query []string
		for _, p := range operation.Parameters {
			if p.Value.In == openapi3.ParameterInQuery {
				query = append(query, p.Value.Name)
			}
		}
		if slices.Sort(query); rt.query != nil && !slices.Equal(query, slices.Sorted(slices.Values(rt.query))) {
			t.Errorf("%s knows the parameters %v, openapi.json says %v", name, rt.query, query)
		}
		if keyed := operation.Parameters.GetByInAndName(openapi3.ParameterInHeader, keyHeader) != nil; keyed != writes(rt.method) {
			t.Errorf("%s: its idempotency key is not described as it is read", name)
		}
		if (operation.RequestBody != nil) != (rt.bodyMax > 0) || (rt.bodyMax > 0) != writes(rt.method) {
			t.Errorf("%s: its body is not described as it is read", name)
		}
		if !slices.Contains([]principal{operator, shop, agent, anyone}, rt.who) || rt.handle == nil {
			t.Errorf("%s names no principal or handler", name)
		}
	}
	for name := range left {
		t.Errorf("%s is in openapi.json, but there is no such route", name)
	}
}

// writes tells whether a method records something.
func writes(method string) bool {
	return method == http.MethodPut || method == http.MethodPost || method == http.MethodPatch
}

func TestOpenAPIListsEveryCode(t *testing.T) {
	codes := contractOf(t).Components.Schemas["Problem"].Value.Properties["code"].Value.Enum
	for _, code := range []protocol.Code{
		protocol.BadJSON, protocol.UnknownField, protocol.Unauthenticated, protocol.Forbidden, protocol.NotFound, protocol.UnknownStore, protocol.UnknownCode,
		protocol.Conflict, protocol.TooLarge, protocol.BadCheckDigit, protocol.BadLength, protocol.RestrictedCode, protocol.OutOfRangeCode,
		protocol.NotProvisioned, protocol.DiskFull, protocol.Internal, methodCode,
	} {
		if !slices.Contains(codes, any(string(code))) {
			t.Errorf("code %s is not in openapi.json", code)
		}
	}
}

// requests are one good request for each route but the endless stream.
var requests = map[string]string{
	"/v1/connect": "/v1/connect", "/v1/snapshots/{feed...}": "/v1/snapshots/price/default", "/v1/loads/{id}": "/v1/loads/l-1",
	"/v1/availability": "/v1/availability?code=PEN&near=51.5,-0.1&radius_km=10&limit=5", "/v1/stock": "/v1/stock?store=s1",
	"/v1/sales": "/v1/sales?store=s1&from=2026-11-20&to=2026-11-21", "/v1/sales/{receipt_no}": "/v1/sales/a1-1-1-318",
	"/v1/stores": "/v1/stores?limit=5&after=s0", "/v1/agents": "/v1/agents", "/v1/exceptions": "/v1/exceptions?state=open", "/v1/transfers": "/v1/transfers?state=open&limit=5", "/v1/exceptions/{id}/{action}": "/v1/exceptions/x-1/resolve", "/v1/status": "/v1/status", "/v1/backup": "/v1/backup",
	"/v1/feeds/local-inventory.tsv": "/v1/feeds/local-inventory.tsv", "/v1/feeds/local-inventory.xml": "/v1/feeds/local-inventory.xml", "/v1/feeds/items/{file}": "/v1/feeds/items/PEN.jsonld?store=s1",
	"/v1/webhooks": "/v1/webhooks", "/v1/webhooks/{id}": "/v1/webhooks/wh_1", "/v1/webhooks/{id}/replay": "/v1/webhooks/wh_1/replay", "/v1/webhooks/{id}/dead": "/v1/webhooks/wh_1/dead",
	"/v1/orders": "/v1/orders", "/v1/stores/{store}/order-keys": "/v1/stores/s1/order-keys?orders=o-1,o-2", "/v1/holds": "/v1/holds", "/v1/holds/{id}": "/v1/holds/h-1", "/v1/policy": "/v1/policy", "/v1/programme": "/v1/programme", "/v1/members": "/v1/members?card=M1", "/v1/members/{id}": "/v1/members/m-1", "/v1/members/{id}/points": "/v1/members/m-1/points", "/v1/members/{id}/merge": "/v1/members/m-1/merge", "/v1/members/{id}/credit": "/v1/members/m-1/credit", "/v1/members/{id}/accounts": "/v1/members/m-1/accounts", "/v1/gift-cards": "/v1/gift-cards", "/v1/gift-cards/{code}": "/v1/gift-cards/ABCD1234EFGH", "/v1/gift-cards/{code}/adjust": "/v1/gift-cards/ABCD1234EFGH/adjust", "/v1/offers": "/v1/offers", "/v1/offers/{id}/withdraw": "/v1/offers/o-m-1-07/withdraw", "/v1/members/{id}/unmerge": "/v1/members/m-1/unmerge", "/v1/members/{id}/leases": "/v1/members/m-1/leases",
	"/v1/members/{id}/leases/{holder}/credit": "/v1/members/m-1/leases/9f/credit", "/v1/members/{id}/visit": "/v1/members/m-1/visit", "/v1/members/{id}/export": "/v1/members/m-1/export", "/v1/members/{id}/cart": "/v1/members/m-1/cart", "/v1/members/{id}/cart/ops": "/v1/members/m-1/cart/ops", "/v1/members/{id}/cart/merge": "/v1/members/m-1/cart/merge", "/v1/members/{id}/timeline": "/v1/members/m-1/timeline?limit=5", "/v1/members/{id}/timeline/{entry}/close": "/v1/members/m-1/timeline/e-1/close", "/v1/carts": "/v1/carts", "/v1/carts/{id}": "/v1/carts/c-1", "/v1/carts/{id}/ops": "/v1/carts/c-1/ops", "/v1/orders/{id}": "/v1/orders/o-1", "/v1/orders/{id}/{action}": "/v1/orders/o-1/cancel",
	"/v1/items": "/v1/items", "/v1/prices": "/v1/prices", "/v1/taxes": "/v1/taxes", "/v1/promotions": "/v1/promotions",
	"/metrics": "/metrics", "/healthz": "/healthz", "/readyz": "/readyz", "/openapi.json": "/openapi.json",
	"/{$}": "/", "/fleet": "/fleet", "/members": "/members", "/members/found": "/members/found?q=M1", "/assets/{file}": "/assets/page.css",
}

// TestAnswersAreAsDescribed sends each route a good request, one that is refused
// inside, and one with a parameter that nobody knows.
func TestAnswersAreAsDescribed(t *testing.T) {
	s := &server{}
	for _, rt := range s.routes() {
		if rt.pattern == "/live" {
			continue // It does not end; TestLivePage reads it.
		}
		t.Run(rt.method+" "+rt.pattern, func(t *testing.T) {
			target := requests[rt.pattern]
			if target == "" {
				t.Fatal("no request for this route")
			}
			if rt.method == http.MethodPut {
				target = strings.Replace(target, "?limit=5&after=s0", "", 1)
			}
			if rt.method == http.MethodPost {
				target, _, _ = strings.Cut(target, "?")
			}
			request := func(target string) *http.Request {
				r := httptest.NewRequest(rt.method, target, nil)
				if rt.method == http.MethodPut {
					r = httptest.NewRequest(rt.method, target, strings.NewReader("sku,name\n"))
					r.Header.Set("Content-Type", "text/csv; charset=utf-8")
				}
				if rt.bodyMax > 0 && rt.bodyMax != uploadMax {
					body := `{}`
					if strings.HasSuffix(rt.pattern, "/cart/merge") {
						body = `{"cart":"c-1"}`
					}
					r = httptest.NewRequest(rt.method, target, strings.NewReader(body))
					r.Header.Set("Content-Type", "application/json")
				}
				return r
			}
			report := doc{"read": 1, "applied": 1, "unchanged": 0, "rejected": 0, "load_id": nil, "errors": []doc{}}
			f := &fakeHub{rows: []any{level(), level()}, imported: Imported{Good: 1, Report: report}}
			if rt.pattern == "/v1/sales" {
				f.rows = []any{receipt(), receipt()}
			}
			if strings.HasPrefix(rt.pattern, "/v1/feeds/") {
				f.rows = localRows
			}
			r := request(target)
			w := do(t, New(f.deps()), r)
			if w.Code != http.StatusOK && w.Code != http.StatusCreated && w.Code != http.StatusNoContent {
				t.Errorf("answered %d %s", w.Code, w.Body)
			}
			checkContract(t, rt.pattern, r, w)
			f = &fakeHub{err: protocol.Refuse(protocol.Conflict, "Not now.").With("value", 1)}
			r = request(target)
			checkContract(t, rt.pattern, r, do(t, New(f.deps()), r))
			if rt.query == nil {
				return
			}
			join := "?"
			if strings.Contains(target, "?") {
				join = "&"
			}
			r = request(target + join + "colour=blue")
			w = do(t, New((&fakeHub{}).deps()), r)
			checkContract(t, rt.pattern, r, w)
			if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), `"unknown_field"`) {
				t.Errorf("an unknown parameter: %d %s", w.Code, w.Body)
			}
		})
	}
}
