package web

import (
	"bytes"
	"net/http"
	"time"
)

// writeTime is how long a reader may take to accept a message before it counts
// as gone.
const writeTime = 30 * time.Second

// settlePerRow slows a large table down: a chain of a thousand stores changes
// all the time, and nobody reads that fast.
const settlePerRow = 5 * time.Millisecond

// serveLive sends the page's moving part at once and whenever it looks
// different, as server-sent events. Ages move without any change, so it is
// rendered at each beat as well.
func (s *site) serveLive(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	h := w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("X-Accel-Buffering", "no")
	control := http.NewResponseController(w)
	// What is not a network connection has no deadlines, which is no error here.
	_ = control.SetReadDeadline(time.Time{})
	beat := time.NewTicker(s.beat)
	defer beat.Stop()
	var last []byte
	for {
		// Asked for before the state is read, so that no change falls between.
		changed := s.deps.Changed()
		view := s.fleet(ctx)
		part, err := s.render("fleet", view)
		if err != nil || ctx.Err() != nil {
			return
		}
		message := []byte(": alive\n\n")
		if !bytes.Equal(part, last) {
			last, message = part, event("fleet", part)
		}
		_ = control.SetWriteDeadline(time.Now().Add(writeTime))
		if _, err := w.Write(message); err != nil || control.Flush() != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
		case <-changed:
			settled := time.NewTimer(s.settle + time.Duration(len(view.Rows))*settlePerRow)
			select {
			case <-ctx.Done():
				settled.Stop()
				return
			case <-settled.C:
			}
		}
	}
}

// event writes one server-sent event.
func event(name string, data []byte) []byte {
	var b bytes.Buffer
	b.WriteString("event: " + name + "\n")
	for line := range bytes.SplitSeq(data, []byte("\n")) {
		b.WriteString("data: ")
		b.Write(bytes.TrimRight(line, "\r"))
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	return b.Bytes()
}
