package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"counterpart/agent/web"
	"counterpart/protocol"
)

// eventsBatch is how many events are read at once.
const eventsBatch = 256

// events is GET /v1/events: what the agent logs, as server-sent events. Each
// carries the position behind it, so that a reader that comes back misses
// nothing. Without a position it starts with what happens from now on.
func (s *server) events(w http.ResponseWriter, r *http.Request) error {
	status := s.statusNow(r.Context())
	after, err := position(r, status.Stream)
	if err != nil {
		return err
	}
	stream, err := web.OpenStream(w)
	if err != nil {
		return nil
	}
	follower := &follower{server: s, stream: stream, inc: status.Stream.Inc, after: after}
	if err := follower.run(r.Context()); err != nil && !gone(r.Context(), err) {
		// The answer has begun, so it can only end; the reader comes back.
		s.log.WarnContext(r.Context(), "event stream ended", "after", follower.after, "error", err)
	}
	return nil
}

// position is where a reader goes on. Its text is ours alone: the stream and
// the number of the last event that the reader got. After a fork the log is
// another stream, which holds again what may not have reached the hub; a
// reader then gets all of it, since documents can be told apart by their
// event_id and a missed one cannot be told at all.
func position(r *http.Request, own Stream) (protocol.Seq, error) {
	text := r.Header.Get("Last-Event-ID")
	if text == "" {
		text = r.URL.Query().Get("last_event_id")
	}
	if text == "" {
		return own.LastSeq, nil
	}
	inc, number, found := strings.Cut(text, "-")
	if !found {
		inc, number = own.Inc, text
	}
	seq, err := strconv.ParseUint(number, 10, 64)
	if _, badInc := protocol.ParseInc(inc); err != nil || found && badInc != nil {
		return 0, protocol.OutOfRange("Last-Event-ID", clip(text), "not the id of an event of this stream")
	}
	if inc != own.Inc {
		return 0, nil
	}
	return min(protocol.Seq(seq), own.LastSeq), nil
}

// follower sends one reader what happens.
type follower struct {
	server *server
	stream *web.Stream
	inc    string
	after  protocol.Seq
	status []byte // the last status sent
}

// run sends until the reader goes or the agent stops.
func (f *follower) run(ctx context.Context) error {
	beat := time.NewTicker(f.server.heartbeat)
	defer beat.Stop()
	for {
		// Asked for before the state is read, so that no change falls between.
		changed := f.server.deps.Changed()
		if err := f.sendStatus(ctx); err != nil {
			return err
		}
		if err := f.sendEvents(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-beat.C:
			if err := f.stream.Beat(); err != nil {
				return err
			}
		}
	}
}

// sendStatus sends the status where it is another than the last.
func (f *follower) sendStatus(ctx context.Context) error {
	status, err := json.Marshal(f.server.statusNow(ctx))
	if err != nil || bytes.Equal(status, f.status) {
		return err
	}
	f.status = status
	return f.stream.Send(web.Message{Name: "status", Data: status})
}

// sendEvents sends what was logged since.
func (f *follower) sendEvents(ctx context.Context) error {
	for ctx.Err() == nil {
		events, err := f.server.deps.EventsAfter(ctx, f.after, eventsBatch)
		if err != nil {
			return err
		}
		for _, e := range events {
			if e.Name != "" {
				id := f.inc + "-" + strconv.FormatUint(uint64(e.Seq), 10)
				if err := f.stream.Send(web.Message{ID: id, Name: e.Name, Data: e.Data}); err != nil {
					return err
				}
			}
			f.after = e.Seq
		}
		if len(events) < eventsBatch {
			return nil
		}
	}
	return nil
}
