package api

import (
	"net/http"
	"slices"
	"strings"

	"counterpart/agent/web"
	"counterpart/protocol"
)

// principal says who may call a route.
type principal string

const (
	// anyone includes callers that nothing is known about.
	anyone principal = "anyone"
	// staff is anyone who works in the shop, and its other systems.
	staff principal = "staff"
)

// The limits of what is read of a request's body.
const (
	bodyNone  int64 = 0
	bodyBytes int64 = 4 << 20
)

// route is one row of the table of routes.
type route struct {
	method  string
	pattern string // a path pattern of net/http, as in openapi.json
	who     principal
	body    int64 // most bytes of the body
	stream  bool  // the answer lasts until someone goes
	handle  func(http.ResponseWriter, *http.Request) error
}

// routes is the table of all routes. The handler tree is made from it and from
// nothing else. Metrics say how a shop trades, so they are not for everyone.
func (s *server) routes() []route {
	return []route{
		{method: http.MethodPost, pattern: "/v1/sales", who: staff, body: bodyBytes, handle: s.sell},
		{method: http.MethodPost, pattern: "/v1/sales/quote", who: staff, body: bodyBytes, handle: s.quote},
		{method: http.MethodGet, pattern: "/v1/sales/{receipt_no}", who: staff, handle: s.sale},
		{method: http.MethodPost, pattern: "/v1/sales/{receipt_no}/void", who: staff, body: bodyBytes, handle: s.void},
		{method: http.MethodPost, pattern: "/v1/returns", who: staff, body: bodyBytes, handle: s.takeBack},
		{method: http.MethodPost, pattern: "/v1/stock/movements", who: staff, body: bodyBytes, handle: s.move},
		{method: http.MethodGet, pattern: "/v1/stock/{code}", who: staff, handle: s.stock},
		{method: http.MethodGet, pattern: "/v1/items", who: staff, handle: s.items},
		{method: http.MethodGet, pattern: "/v1/orders", who: staff, handle: s.orders},
		{method: http.MethodGet, pattern: "/v1/orders/{id}", who: staff, handle: s.order},
		{method: http.MethodPost, pattern: "/v1/orders/{id}/{action}", who: staff, body: bodyBytes, handle: s.fulfil},
		{method: http.MethodPost, pattern: "/v1/members", who: staff, body: bodyBytes, handle: s.enrolMember},
		{method: http.MethodGet, pattern: "/v1/members", who: staff, handle: s.members},
		{method: http.MethodGet, pattern: "/v1/members/{id}", who: staff, handle: s.member},
		{method: http.MethodGet, pattern: "/v1/members/{id}/accounts", who: staff, handle: s.accounts},
		{method: http.MethodGet, pattern: "/v1/gift-cards/{code}", who: staff, handle: s.giftCard},
		{method: http.MethodGet, pattern: "/v1/members/{id}/cart", who: staff, handle: s.cart},
		{method: http.MethodGet, pattern: "/v1/members/{id}/timeline", who: staff, handle: s.timeline},
		{method: http.MethodPost, pattern: "/v1/members/{id}/timeline", who: staff, body: bodyBytes, handle: s.writeContact},
		{method: http.MethodPost, pattern: "/v1/members/{id}/timeline/{entry}/close", who: staff, body: bodyBytes, handle: s.closeEntry},
		{method: http.MethodGet, pattern: "/v1/events", who: staff, stream: true, handle: s.events},
		{method: http.MethodGet, pattern: "/v1/status", who: staff, handle: s.status},
		{method: http.MethodGet, pattern: "/v1/transfers", who: staff, handle: s.transfers},
		{method: http.MethodGet, pattern: "/v1/exceptions", who: staff, handle: s.exceptions},
		{method: http.MethodPost, pattern: "/v1/exceptions/{id}/{action}", who: staff, body: bodyBytes, handle: s.handleException},

		{method: http.MethodGet, pattern: "/metrics", who: staff, handle: serve(s.metrics)},
		{method: http.MethodGet, pattern: "/healthz", who: anyone, handle: s.healthz},
		{method: http.MethodGet, pattern: "/readyz", who: anyone, handle: s.readyz},
		{method: http.MethodGet, pattern: "/openapi.json", who: anyone, handle: s.openAPI},

		{method: http.MethodGet, pattern: web.PagePath, who: staff, handle: serve(s.web)},
		{method: http.MethodGet, pattern: web.FindPath, who: staff, handle: serve(s.web)},
		{method: http.MethodGet, pattern: web.LivePath, who: staff, stream: true, handle: serve(s.web)},
		{method: http.MethodGet, pattern: web.OrdersPath, who: staff, handle: serve(s.web)},
		{method: http.MethodGet, pattern: web.OrdersLivePath, who: staff, stream: true, handle: serve(s.web)},
		{method: http.MethodGet, pattern: web.SellPath, who: staff, handle: serve(s.web)},
		{method: http.MethodGet, pattern: web.MemberPath, who: staff, handle: serve(s.web)},
		{method: http.MethodGet, pattern: web.MemberLivePath, who: staff, stream: true, handle: serve(s.web)},
		{method: http.MethodGet, pattern: web.AssetsPath + "/{file}", who: anyone, handle: serve(s.web)},
	}
}

// serve makes a row's handler of one that answers its errors itself.
func serve(h http.Handler) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		h.ServeHTTP(w, r)
		return nil
	}
}

// methods are the routes of one path.
type methods map[string]route

// tree makes the handler of all rows.
func (s *server) tree(rows []route) http.Handler {
	paths := map[string]methods{}
	for _, row := range rows {
		if paths[row.pattern] == nil {
			paths[row.pattern] = methods{}
		}
		paths[row.pattern][row.method] = row
		// A HEAD request for a stream would never end and show nothing.
		if row.method == http.MethodGet && !row.stream {
			paths[row.pattern][http.MethodHead] = row
		}
	}
	mux := http.NewServeMux()
	for pattern, at := range paths {
		if strings.HasSuffix(pattern, "/") {
			pattern += "{$}"
		}
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			s.dispatch(at, w, r)
		})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A pattern is empty where the mux would answer by itself, with a
		// redirection or a page of its own.
		if _, pattern := mux.Handler(r); pattern == "" || !cleanPath(r.URL.EscapedPath()) {
			s.notFound(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// cleanPath tells whether a path has no empty, . or .. segments.
func cleanPath(escaped string) bool {
	segments := strings.Split(escaped, "/")
	for i, segment := range segments {
		if segment == "." || segment == ".." || segment == "" && i != 0 && i != len(segments)-1 {
			return false
		}
	}
	return strings.HasPrefix(escaped, "/")
}

// dispatch finds the row of a request's method and holds the request to it.
func (s *server) dispatch(at methods, w http.ResponseWriter, r *http.Request) {
	row, ok := at[r.Method]
	if !ok {
		allowed := make([]string, 0, len(at))
		for method := range at {
			allowed = append(allowed, method)
		}
		slices.Sort(allowed)
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		s.methodNotAllowed(w, r, strings.Join(allowed, " or "))
		return
	}
	if err := s.admit(row, r); err != nil {
		if protocol.CodeOf(err) == protocol.Unauthenticated {
			w.Header().Set("WWW-Authenticate", `Bearer realm="counterpart"`)
		}
		s.fail(w, r, err)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, row.body)
	if err := row.handle(w, r); err != nil {
		s.fail(w, r, err)
	}
}
