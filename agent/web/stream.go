package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// writeTime is how long a reader of a stream may take to accept a message
// before it counts as gone.
const writeTime = 30 * time.Second

// A Stream answers one request with server-sent events. The page and the API
// both write with it. It is used by one goroutine at a time.
type Stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

// Message is one server-sent event. Without an ID the reader's position stays
// where it is.
type Message struct {
	ID   string
	Name string
	Data []byte
}

// OpenStream sends the head of the answer. The deadlines that the server has
// set for ordinary requests are lifted: reading, because a read that fails
// would end the request, and writing, which each message sets anew.
func OpenStream(w http.ResponseWriter) (*Stream, error) {
	s := &Stream{w: w, control: http.NewResponseController(w)}
	// Errors here mean that the connection knows no deadlines, so none is set.
	_ = s.control.SetReadDeadline(time.Time{})
	h := w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	// The deadline of the last message would otherwise stay with the
	// connection's next request.
	h.Set("Connection", "close")
	s.extend()
	w.WriteHeader(http.StatusOK)
	return s, s.flush()
}

// Send writes one message and hands it to the network.
func (s *Stream) Send(m Message) error {
	var b bytes.Buffer
	if m.ID != "" {
		fmt.Fprintf(&b, "id: %s\n", oneLine(m.ID))
	}
	if m.Name != "" {
		fmt.Fprintf(&b, "event: %s\n", oneLine(m.Name))
	}
	data := bytes.ReplaceAll(m.Data, []byte("\r\n"), []byte("\n"))
	data = bytes.ReplaceAll(data, []byte("\r"), []byte("\n"))
	for line := range bytes.SplitSeq(data, []byte("\n")) {
		b.WriteString("data: ")
		b.Write(line)
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	return s.write(b.Bytes())
}

// Beat writes a comment, so that a connection that is dead shows itself and
// one that is alive is not taken for idle on the way.
func (s *Stream) Beat() error { return s.write([]byte(": alive\n\n")) }

func (s *Stream) write(b []byte) error {
	s.extend()
	if _, err := s.w.Write(b); err != nil {
		return err
	}
	return s.flush()
}

// extend gives the next write its time.
func (s *Stream) extend() { _ = s.control.SetWriteDeadline(time.Now().Add(writeTime)) }

func (s *Stream) flush() error { return s.control.Flush() }

// oneLine keeps a field on its line; what would end the line is left out.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\r' || r == 0 {
			return -1
		}
		return r
	}, s)
}

// contentTag is an entity tag that is as different as the bytes are.
func contentTag(data []byte) string {
	sum := sha256.Sum256(data)
	return `"` + hex.EncodeToString(sum[:12]) + `"`
}
