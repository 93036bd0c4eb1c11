package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"

	"counterpart/protocol"
)

// methodCode is the code of a 405. It is not one of protocol's codes, because
// only HTTP has methods.
const methodCode protocol.Code = "method_not_allowed"

// fail answers a request with what err says. A cause that nobody outside may
// see is logged here, and only here.
func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	ctx := r.Context()
	e := protocol.AsError(err)
	status := e.Code.Status()
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		// What a GET asks for by its path is not there; in a body it is wrong.
		switch e.Code {
		case protocol.UnknownCode:
			status = http.StatusNotFound
		case protocol.ReceiptUnknown:
			e = &protocol.Error{Code: protocol.NotFound, Message: e.Message, Members: e.Members}
			status = http.StatusNotFound
		}
	}
	switch {
	case status == http.StatusInternalServerError && gone(ctx, err):
		// Nobody may be waiting any more, but while the agent stops someone is.
		s.log.DebugContext(ctx, "request broken off", "method", r.Method, "route", r.Pattern, "error", err)
		e = protocol.AsError(errHidden)
	case status == http.StatusInternalServerError:
		s.log.ErrorContext(ctx, "request failed", "method", r.Method, "route", r.Pattern, "error", err)
		e = protocol.AsError(errHidden)
	case status > http.StatusInternalServerError && e.Err != nil:
		s.log.WarnContext(ctx, "request refused", "method", r.Method, "route", r.Pattern, "error", err)
	}
	s.problem(w, r, status, e)
}

// errHidden stands for a cause that was logged.
var errHidden = errors.New("see the log")

func (s *server) methodNotAllowed(w http.ResponseWriter, r *http.Request, allowed string) {
	e := protocol.Refuse(methodCode, "This address does not take "+strconv.Quote(clip(r.Method))+". Nothing was recorded. Use "+allowed+".")
	s.problem(w, r, http.StatusMethodNotAllowed, e)
}

// problem writes a problem document (RFC 9457).
func (s *server) problem(w http.ResponseWriter, r *http.Request, status int, e *protocol.Error) {
	title := e.Code.Title()
	if e.Code == methodCode {
		title = "Method not allowed"
	}
	body, err := problemDocument(title, status, e)
	if err != nil {
		s.log.ErrorContext(r.Context(), "problem cannot be written", "code", e.Code, "error", err)
		body, _ = problemDocument(title, status, &protocol.Error{Code: e.Code, Message: e.Message})
	}
	w.Header().Set("Content-Type", "application/problem+json")
	s.write(w, r, status, body)
}

// problemDocument puts the members in the order of HTTP.md. Members of the
// error never replace the document's own.
func problemDocument(title string, status int, e *protocol.Error) ([]byte, error) {
	own := []string{"type", "title", "status", "code", "detail"}
	values := map[string]any{"type": "about:blank", "title": title, "status": status, "code": e.Code, "detail": e.Message}
	names := slices.Clone(own[:4])
	for _, name := range slices.Sorted(maps.Keys(e.Members)) {
		if !slices.Contains(own, name) {
			names = append(names, name)
			values[name] = e.Members[name]
		}
	}
	names = append(names, "detail")
	b := bytes.NewBufferString("{")
	for i, name := range names {
		if i > 0 {
			b.WriteByte(',')
		}
		key, err := json.Marshal(name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(values[name])
		if err != nil {
			return nil, err
		}
		b.Write(key)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// clip bounds what an answer repeats of a request.
func clip(s string) string {
	const most = 32
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// write sends an answer whose headers are set.
func (s *server) write(w http.ResponseWriter, r *http.Request, status int, body []byte) {
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if _, err := w.Write(body); err != nil {
		// The work is done and logged; only the caller does not hear of it.
		s.log.DebugContext(r.Context(), "answer not delivered", "method", r.Method, "route", r.Pattern, "error", err)
	}
}

// show answers with a document.
func (s *server) show(w http.ResponseWriter, r *http.Request, document any) error {
	body, err := json.Marshal(document)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	s.write(w, r, http.StatusOK, body)
	return nil
}
