package api

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"counterpart/protocol"
)

// upload takes in a file of rows while it arrives.
func (s *server) upload(table string) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		format, err := fileFormat(r.Header.Get("Content-Type"))
		if err != nil {
			return err
		}
		key, err := idempotencyKey(r.Header)
		if err != nil {
			return err
		}
		patience := s.patience(w)
		up := Upload{Table: table, Format: format, Key: key, Body: &patientReader{from: r.Body, patience: patience}}
		if table == "stock" {
			p := parametersOf(r)
			up.Store = protocol.StoreID(p.required("store"))
			if p.err != nil {
				return p.err
			}
		}
		result, err := s.deps.Import(r.Context(), up)
		patience.writing()
		switch {
		case err != nil && cutOff(err):
			return protocol.Refuse(protocol.BadJSON, "The file ended before it was complete. Rows that arrived may have been applied; send it again, which is safe.")
		case err != nil:
			return err
		case result.Good == 0 && result.Rejected > 0:
			return writeJSON(w, http.StatusUnprocessableEntity, result.Report)
		case result.Pending:
			return writeJSON(w, http.StatusAccepted, result.Report)
		}
		return writeJSON(w, http.StatusOK, result.Report)
	}
}

// cutOff tells whether a body ended early. Deadlines of our own count: the
// client was too slow.
func cutOff(err error) bool {
	var ours *protocol.Error
	var limit *http.MaxBytesError
	if errors.As(err, &ours) || errors.As(err, &limit) || errors.Is(err, context.Canceled) {
		return false
	}
	var timeout interface{ Timeout() bool }
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &timeout) && timeout.Timeout()
}

// keyHeader names a request so that it can be repeated safely.
const (
	keyHeader   = "Idempotency-Key"
	keyBytesMax = 128
)

// idempotencyKey reads the key of a request, empty for none.
func idempotencyKey(h http.Header) (string, error) {
	keys := h.Values(keyHeader)
	if len(keys) == 0 {
		return "", nil
	}
	invisible := func(c rune) bool { return c <= ' ' || c > '~' }
	if key := keys[0]; len(keys) > 1 || key == "" || len(key) > keyBytesMax || strings.ContainsFunc(key, invisible) {
		return "", protocol.OutOfRange(keyHeader, "", "not 1 to 128 visible ASCII characters, given once")
	}
	return keys[0], nil
}

// fileFormat reads the media type of a file.
func fileFormat(header string) (string, error) {
	format, params, err := mime.ParseMediaType(header)
	charset := params["charset"]
	known := format == "text/csv" || format == "application/x-ndjson"
	if err != nil || !known || charset != "" && !strings.EqualFold(charset, "utf-8") && !strings.EqualFold(charset, "us-ascii") {
		return "", protocol.Refuse(protocol.BadJSON,
			"A file is sent as text/csv or application/x-ndjson in UTF-8, which its Content-Type has to say. Nothing was recorded. Send it with one of these.")
	}
	return format, nil
}

func (s *server) load(w http.ResponseWriter, r *http.Request) error {
	doc, err := s.deps.Load(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, doc)
}
