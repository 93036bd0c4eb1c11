package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"counterpart/protocol"
)

// answer is a response that knows whether it has begun: until then an error can
// still be told.
type answer struct {
	http.ResponseWriter
	begun bool
}

func (a *answer) WriteHeader(status int) {
	a.begun = true
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	a.begun = true
	return a.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// ServeHTTP guards every request. What breaks inside is logged here, once, and
// told in one fixed sentence.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := &answer{ResponseWriter: w}
	defer func() {
		switch cause := recover(); {
		case cause == nil:
		case cause == http.ErrAbortHandler:
			panic(cause)
		default:
			s.fail(a, r, fmt.Errorf("panic: %v\n%s", cause, debug.Stack()))
		}
	}()
	a.Header().Set("X-Content-Type-Options", "nosniff")
	if err := s.admit(r); err != nil {
		s.fail(a, r, err)
		return
	}
	if _, pattern := s.mux.Handler(r); pattern == "" {
		s.noRoute(a, r)
		return
	}
	s.mux.ServeHTTP(a, r)
}

// admit refuses requests that a browser was made to send by a foreign page, also
// under a foreign name that leads to this machine (DNS rebinding).
func (s *server) admit(r *http.Request) error {
	if s.deps.InsecureDev && !loopback(r.Host) {
		return protocol.Refuse(protocol.Forbidden, "The hub runs for development and answers on this machine alone. Nothing was recorded. Use the address 127.0.0.1 or localhost.")
	}
	foreign := protocol.Refuse(protocol.Forbidden, "A page of another site sent this request. Nothing was recorded. Use the hub's own page, or send it from a program.")
	if origin := r.Header.Get("Origin"); origin != "" {
		u, err := url.Parse(origin)
		if err != nil || !strings.EqualFold(u.Host, r.Host) {
			return foreign
		}
	}
	safe := r.Method == http.MethodGet || r.Method == http.MethodHead
	if site := r.Header.Get("Sec-Fetch-Site"); !safe && site != "" && site != "same-origin" && site != "none" {
		return foreign
	}
	return nil
}

func loopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.Trim(hostport, "[]")
	}
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// noRoute answers an address that does not exist, or not with this method.
func (s *server) noRoute(w *answer, r *http.Request) {
	var methods []string
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodPost, http.MethodPatch, http.MethodDelete} {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := s.mux.Handler(other); pattern != "" {
			methods = append(methods, method)
		}
	}
	if len(methods) == 0 {
		s.notFound(w, r)
		return
	}
	allowed := strings.Join(methods, ", ")
	w.Header().Set("Allow", allowed)
	e := protocol.Refuse(methodCode, "This address does not take "+strconv.Quote(clip(r.Method))+", only "+allowed+". Nothing was recorded. Look at /openapi.json.")
	writeProblem(w, http.StatusMethodNotAllowed, e)
}

func (s *server) notFound(w http.ResponseWriter, _ *http.Request) {
	writeProblem(w, http.StatusNotFound, protocol.Refuse(protocol.NotFound, "There is nothing at this address. Look at /openapi.json for what there is."))
}

// serve wraps a route's handler in what the table says of it.
func (s *server) serve(rt route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		a, ok := w.(*answer)
		if !ok {
			a = &answer{ResponseWriter: w}
		}
		if err := s.allow(a, rt, r); err != nil {
			s.fail(a, r, err)
			return
		}
		if err := rt.handle(a, r); err != nil {
			s.fail(a, r, err)
		}
	}
}

// allow checks principal, parameters and size before a handler sees a request.
func (s *server) allow(w http.ResponseWriter, rt route, r *http.Request) error {
	if rt.who != anyone && !s.deps.InsecureDev {
		return protocol.Refuse(protocol.Unauthenticated, "This needs a sign-in as "+string(rt.who)+". Nothing was recorded. Sign in and try again.")
	}
	if r.ContentLength > rt.bodyMax {
		return tooLarge(rt.bodyMax)
	}
	r.Body = http.MaxBytesReader(w, r.Body, rt.bodyMax)
	if rt.query == nil {
		return nil
	}
	return knownParameters(r, rt.query)
}

func tooLarge(limit int64) error {
	if limit == noBody {
		return protocol.Refuse(protocol.TooLarge, "This address takes no body. Nothing was recorded. Send the request without one.")
	}
	return protocol.Refuse(protocol.TooLarge, fmt.Sprintf("The file is larger than %d MiB. Split it up and send the parts; sending rows again is safe.", limit>>20))
}

// fail tells an error, or breaks the connection where the answer has begun, so
// that half a listing is never taken for a whole one.
func (s *server) fail(w *answer, r *http.Request, err error) {
	var limit *http.MaxBytesError
	if errors.As(err, &limit) {
		err = tooLarge(limit.Limit)
	}
	e := protocol.AsError(err)
	status := e.Code.Status()
	if e.Code == protocol.UnknownCode && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		status = http.StatusNotFound
	}
	gone := r.Context().Err() != nil && errors.Is(err, context.Canceled)
	if status >= 500 && !gone {
		s.deps.Log.ErrorContext(r.Context(), "request failed", "method", r.Method, "route", r.Pattern, "error", err)
	}
	if w.begun {
		panic(http.ErrAbortHandler)
	}
	writeProblem(w, status, e)
}

// patience keeps a connection open for as long as the client moves on, whatever
// limits the server sets for whole requests.
type patience struct {
	control *http.ResponseController
	idle    time.Duration // how long one read or write may take
}

func (s *server) patience(w http.ResponseWriter) patience {
	return patience{control: http.NewResponseController(w), idle: s.idle}
}

// What is not a network connection has no deadlines, which is no error here.

func (p patience) reading()     { _ = p.control.SetReadDeadline(time.Now().Add(p.idle)) }
func (p patience) doneReading() { _ = p.control.SetReadDeadline(time.Time{}) }
func (p patience) writing()     { _ = p.control.SetWriteDeadline(time.Now().Add(p.idle)) }

// patientWriter gives the client time for each piece that it is sent.
type patientWriter struct {
	http.ResponseWriter
	patience patience
}

func (p *patientWriter) Write(b []byte) (int, error) {
	p.patience.writing()
	return p.ResponseWriter.Write(b)
}

// patientReader gives the client time for each piece that it sends. A deadline
// that stayed behind the last piece would end the request while it is worked on;
// one that has passed stays, so that nobody waits for the rest.
type patientReader struct {
	from     io.Reader
	patience patience
}

func (p *patientReader) Read(b []byte) (int, error) {
	p.patience.reading()
	n, err := p.from.Read(b)
	if err == io.EOF {
		p.patience.doneReading()
	}
	return n, err
}
