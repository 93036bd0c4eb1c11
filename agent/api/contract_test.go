package api

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/cart"
	"counterpart/protocol/loyalty"
	"counterpart/protocol/sale"
	"counterpart/protocol/stock"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// contract is openapi.json, with one rule more than clients may count on: an
// answer has no member that the document does not describe.
var contract = sync.OnceValues(func() (*openapi3.T, error) {
	doc, err := openapi3.NewLoader().LoadFromData(openAPIDocument)
	if err != nil {
		return nil, err
	}
	for _, schema := range doc.Components.Schemas {
		v := schema.Value
		if v.AdditionalProperties.Has == nil && v.AdditionalProperties.Schema == nil && len(v.Properties) > 0 {
			v.AdditionalProperties.Has = new(bool)
		}
	}
	for _, kind := range []string{"text/html", "text/event-stream", "text/css", "text/javascript", "image/svg+xml"} {
		openapi3filter.RegisterBodyDecoder(kind, func(body io.Reader, _ http.Header, _ *openapi3.SchemaRef, _ openapi3filter.EncodingFn) (any, error) {
			data, err := io.ReadAll(body)
			return string(data), err
		})
	}
	return doc, nil
})

func contractOf(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := contract()
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// checkContract validates an answer against the operation of its route. An
// answer to an address that is not described has to be a problem.
func checkContract(t *testing.T, r *http.Request, w *httptest.ResponseRecorder) {
	t.Helper()
	doc := contractOf(t)
	path := strings.TrimSuffix(strings.TrimPrefix(r.Pattern, "GET "), "{$}")
	item := doc.Paths.Value(path)
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	if item == nil || item.GetOperation(method) == nil {
		if w.Code < 400 {
			t.Errorf("%s %s answered %d outside of openapi.json", r.Method, path, w.Code)
		}
		return
	}
	input := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{
			Request: r,
			Route:   &routers.Route{Spec: doc, Path: path, PathItem: item, Method: method, Operation: item.GetOperation(method)},
		},
		Status: w.Code, Header: w.Header(),
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true, ExcludeResponseBody: r.Method == http.MethodHead},
	}
	input.SetBodyBytes(bytes.Clone(w.Body.Bytes()))
	if err := openapi3filter.ValidateResponse(t.Context(), input); err != nil {
		t.Errorf("%s %s answered against openapi.json: %v", r.Method, path, err)
	}
}

func TestOpenAPIIsValid(t *testing.T) {
	if err := contractOf(t).Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
}

var wildcard = regexp.MustCompile(`\{([a-z_]+)\}`)

// TestEveryRouteIsDescribed compares the table of routes with openapi.json in
// both directions.
func TestEveryRouteIsDescribed(t *testing.T) {
	doc := contractOf(t)
	described := map[string]bool{}
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			described[method+" "+path] = true
		}
	}
	for _, row := range newServer(newShop().deps()).routes() {
		name := row.method + " " + row.pattern
		if row.who != staff && row.who != anyone {
			t.Errorf("%s names no principal", name)
		}
		if row.handle == nil {
			t.Errorf("%s has no handler", name)
		}
		if (row.body > 0) != (row.method == http.MethodPost) {
			t.Errorf("%s reads %d bytes", name, row.body)
		}
		if !described[name] {
			t.Errorf("%s is not in openapi.json", name)
			continue
		}
		delete(described, name)
		op := doc.Paths.Value(row.pattern).GetOperation(row.method)
		if got := op.Extensions["x-principal"]; got != string(row.who) {
			t.Errorf("%s is for %v in openapi.json and for %s in the table", name, got, row.who)
		}
		for _, m := range wildcard.FindAllStringSubmatch(row.pattern, -1) {
			if op.Parameters.GetByInAndName(openapi3.ParameterInPath, m[1]) == nil {
				t.Errorf("%s: parameter %s is not described", name, m[1])
			}
		}
		if (op.RequestBody != nil) != (row.body > 0) {
			t.Errorf("%s: its body is not described as it is read", name)
		}
	}
	for name := range described {
		t.Errorf("%s is in openapi.json, but there is no such route", name)
	}
}

// TestEveryCodeIsDescribed: a problem's code is one that clients can look up.
func TestEveryCodeIsDescribed(t *testing.T) {
	codes := contractOf(t).Components.Schemas["Problem"].Value.Properties["code"].Value.Enum
	for _, code := range []protocol.Code{
		protocol.BadJSON, protocol.UnknownField, protocol.Unauthenticated, protocol.Forbidden, protocol.NotFound, protocol.UnknownStore, protocol.UnknownCode,
		protocol.InProgress, protocol.OverReturn, protocol.AlreadyVoided, protocol.Short, protocol.Conflict, protocol.TooLarge, protocol.BadCheckDigit,
		protocol.BadLength, protocol.RestrictedCode, protocol.PriceMissing, protocol.OutOfRangeCode, protocol.TenderShort, protocol.ReceiptUnknown,
		protocol.PointsUnavailable, protocol.CardNumber, protocol.IdempotencyMismatch, protocol.SlowDown, protocol.NotProvisioned, protocol.CannotKnow, protocol.DiskFull,
		protocol.Internal, methodCode,
	} {
		if !slices.Contains(codes, any(string(code))) {
			t.Errorf("code %s is not in openapi.json", code)
		}
	}
}

// TestSchemasHaveTheMembersOfTheTypes compares the described members with
// those that are really read and written, so that neither drifts.
func TestSchemasHaveTheMembersOfTheTypes(t *testing.T) {
	doc := contractOf(t)
	for name, example := range map[string]any{
		"SaleRequest": sale.Request{}, "ReturnRequest": sale.ReturnRequest{}, "VoidRequest": sale.VoidRequest{}, "MovementRequest": stock.MovementRequest{}, "MemberRequest": loyalty.MemberRequest{},
	} {
		s := schemas{t: t, request: true}
		s.compare(doc.Components.Schemas[name], reflect.TypeOf(example), name)
	}
	for name, example := range map[string]any{
		"Sale": sale.Document{}, "Quote": sale.Quote{}, "Movement": stock.MovementDocument{}, "Level": stock.Document{}, "Items": list[stock.ItemDocument]{},
		"Cart": cart.Document{}, "Timeline": loyalty.TimelineDocument{}, "Exceptions": list[Exception]{}, "Status": Status{}, "State": state{}, "MemberList": list[loyalty.MemberDocument]{},
	} {
		s := schemas{t: t}
		s.compare(doc.Components.Schemas[name], reflect.TypeOf(example), name)
	}
}

// schemas compares schemas with Go types.
type schemas struct {
	t       *testing.T
	request bool
}

func (s schemas) compare(ref *openapi3.SchemaRef, typ reflect.Type, at string) {
	schema := ref.Value
	nullable := typ.Kind() == reflect.Pointer
	if nullable {
		typ = typ.Elem()
	}
	if !s.request && schema.Nullable != nullable {
		s.t.Errorf("%s: nullable is %v, but can it be null: %v", at, schema.Nullable, nullable)
	}
	switch {
	case typ == reflect.TypeFor[protocol.Quantity]():
		if !schema.Type.Is("number") {
			s.t.Errorf("%s is no number", at)
		}
	case typ.Kind() == reflect.Struct:
		s.members(schema, typ, at)
	case typ.Kind() == reflect.Slice:
		s.compare(schema.Items, typ.Elem(), at+"[]")
	case typ.Kind() == reflect.Map:
		s.compare(schema.AdditionalProperties.Schema, typ.Elem(), at+"{}")
	default:
		want := "integer"
		switch typ.Kind() {
		case reflect.String:
			want = "string"
		case reflect.Bool:
			want = "boolean"
		}
		if !schema.Type.Is(want) {
			s.t.Errorf("%s is %v, want %s", at, schema.Type, want)
		}
	}
}

func (s schemas) members(schema *openapi3.Schema, typ reflect.Type, at string) {
	var names, always []string
	for _, f := range reflect.VisibleFields(typ) {
		name, option, _ := strings.Cut(f.Tag.Get("json"), ",")
		names = append(names, name)
		if option != "omitempty" {
			always = append(always, name)
		}
		if member := schema.Properties[name]; member != nil {
			s.compare(member, f.Type, at+"."+name)
		}
	}
	slices.Sort(names)
	slices.Sort(always)
	if got := slices.Sorted(maps.Keys(schema.Properties)); !slices.Equal(got, names) {
		s.t.Errorf("%s is described with %v, and is %v", at, got, names)
	}
	if schema.AdditionalProperties.Has == nil || *schema.AdditionalProperties.Has {
		s.t.Errorf("%s is open", at)
	}
	if required := slices.Sorted(slices.Values(schema.Required)); !s.request && !slices.Equal(required, always) {
		s.t.Errorf("%s: required are %v, always present %v", at, required, always)
	}
}
