package api

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"

	"counterpart/protocol"
)

var (
	errForeignHost = protocol.Refuse(protocol.Forbidden,
		"This request came under a name that is not this machine’s. Nothing was recorded. Use http://localhost or the address that the agent listens on.")
	errForeignOrigin = protocol.Refuse(protocol.Forbidden,
		"This request came from another site’s page. Nothing was recorded. Use this machine’s own page or a program.")
	errSignIn = protocol.Refuse(protocol.Unauthenticated,
		"This needs a sign-in. Nothing was recorded. Sign in and try again.")
)

// guard is what holds for every request, whatever its route: it came to this
// machine by its own name, and a handler that breaks takes nothing with it.
//
// A page of another site can make a browser in the shop resolve that site's
// name to 127.0.0.1 and then read and write here as if it were its own page
// (DNS rebinding). The Host header then still carries the other name.
func (s *server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		t := &tracked{ResponseWriter: w}
		defer s.recovered(t, r)
		if !ownHost(r) {
			s.fail(t, r, errForeignHost)
			return
		}
		next.ServeHTTP(t, r)
	})
}

// recovered turns a handler's panic into an internal error. Where the answer
// has begun it can only be cut off, so that nobody takes it for complete.
func (s *server) recovered(t *tracked, r *http.Request) {
	cause := recover()
	if cause == nil {
		return
	}
	if cause == http.ErrAbortHandler {
		panic(cause)
	}
	s.log.ErrorContext(r.Context(), "handler panicked",
		"method", r.Method, "route", r.Pattern, "panic", fmt.Sprint(cause), "stack", string(debug.Stack()))
	if t.begun {
		panic(http.ErrAbortHandler)
	}
	s.problem(t, r, http.StatusInternalServerError, protocol.AsError(errHidden))
}

// tracked remembers whether the answer has begun.
type tracked struct {
	http.ResponseWriter
	begun bool
}

func (t *tracked) WriteHeader(status int) {
	t.begun = true
	t.ResponseWriter.WriteHeader(status)
}

func (t *tracked) Write(b []byte) (int, error) {
	t.begun = true
	return t.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (t *tracked) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// ownHost tells whether the Host header names this machine: localhost, a
// loopback address, or the address that the connection came to. Other names
// could be anyone's.
func ownHost(r *http.Request) bool {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") {
		return true
	}
	named, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	named = named.Unmap().WithZone("")
	if named.IsLoopback() {
		return true
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return false
	}
	here, err := netip.ParseAddrPort(local.String())
	return err == nil && here.Addr().Unmap().WithZone("") == named
}

// admit tells whether the caller may use a route. Until sign-in exists there
// is one principal with all rights, and only in development.
func (s *server) admit(row route, r *http.Request) error {
	if row.who != anyone && !s.deps.InsecureDev {
		return errSignIn
	}
	// A browser sends along with a request from another site's page where it
	// comes from; requests that only read are harmless, since their answer
	// stays hidden from that page.
	if err := s.origins.Check(r); err != nil {
		return errForeignOrigin
	}
	return nil
}
