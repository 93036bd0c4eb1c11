package api

import (
	_ "embed" // for openapi.json
	"io"
	"net/http"
	"strconv"
	"time"

	"counterpart/protocol"
)

// openAPI states the whole interface. It is written by hand and tested against
// what the handlers answer.
//
//go:embed openapi.json
var openAPI []byte

func (s *server) openapi(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(openAPI) // fails only when the reader is gone
	return nil
}

func (s *server) connect(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, s.deps.Connect())
}

// snapshot sends a state feed as a whole. It can be resumed by range, and its
// ETag is the sum of its bytes.
func (s *server) snapshot(w http.ResponseWriter, r *http.Request) error {
	body, sum, epoch, offset, err := s.deps.Snapshot(r.Context(), r.PathValue("feed"))
	if err != nil {
		return err
	}
	if c, ok := body.(io.Closer); ok {
		defer c.Close()
	}
	h := w.Header()
	h.Set("Content-Type", "application/zstd")
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", `"`+sum+`"`)
	h.Set("Counterpart-Epoch", strconv.FormatUint(epoch, 10))
	h.Set("Counterpart-Offset", strconv.FormatUint(offset, 10))
	h.Set("Counterpart-SHA256", sum)
	http.ServeContent(&patientWriter{w, s.patience(w)}, r, "", time.Time{}, body)
	return nil
}

// backup sends a copy of the database. It cannot be resumed, because the next
// copy would be of another moment; whoever gets fewer bytes than were announced
// has none.
func (s *server) backup(w http.ResponseWriter, r *http.Request) error {
	body, err := s.deps.Backup(r.Context())
	if err != nil {
		return err
	}
	defer body.Close()
	size, err := body.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = body.Seek(0, io.SeekStart)
	}
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Length", strconv.FormatInt(size, 10))
	h.Set("Cache-Control", "no-store")
	_, err = io.Copy(&patientWriter{w, s.patience(w)}, body)
	return err
}

func (s *server) metrics(w http.ResponseWriter, r *http.Request) error {
	s.gather.ServeHTTP(w, r)
	return nil
}

// healthz says that the process is alive.
func (s *server) healthz(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// readyz says that the hub can do its job.
func (s *server) readyz(w http.ResponseWriter, r *http.Request) error {
	if s.deps.Ready != nil {
		if err := s.deps.Ready(r.Context()); err != nil {
			return &protocol.Error{
				Code:    protocol.NotProvisioned,
				Message: "The hub cannot do its job now. Stores sell on, and nothing is lost. Look at its log.",
				Err:     err,
			}
		}
	}
	return writeJSON(w, http.StatusOK, map[string]string{"status": "ready"})
}
