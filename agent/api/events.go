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

// events is GET /v1/events: what the agent logs, and the orders that others
// change, as server-sent events. Each carries the position behind it, so that a
// reader that comes back misses nothing. Without a position it starts with what
// happens from now on.
func (s *server) events(w http.ResponseWriter, r *http.Request) error {
	status := s.statusNow(r.Context())
	after, orders, err := position(r, status.Stream)
	if err != nil {
		return err
	}
	// Read before the answer begins, because it may refuse the position.
	changed, err := s.deps.OrdersAfter(r.Context(), orders)
	if err != nil {
		return err
	}
	stream, err := web.OpenStream(w)
	if err != nil {
		return nil
	}
	follower := &follower{server: s, stream: stream, inc: status.Stream.Inc, after: after, orders: orders, waiting: &changed}
	if orders == "" {
		follower.orders = changed.At
	}
	if err := follower.run(r.Context()); err != nil && !gone(r.Context(), err) {
		// The answer has begun, so it can only end; the reader comes back.
		s.log.WarnContext(r.Context(), "event stream ended", "after", follower.after, "error", err)
	}
	return nil
}

// ordersMark stands in an id between the place in the agent's own stream and
// the place among the orders that others change.
const ordersMark = "~"

// position is where a reader goes on. Its text is ours alone: the stream and
// the number of the last event that the reader got, and how far it is told of
// orders; empty is the present. After a fork the log is another stream, which
// holds again what may not have reached the hub; a reader then gets all of it,
// since documents can be told apart by their event_id and a missed one cannot be
// told at all.
func position(r *http.Request, own Stream) (after protocol.Seq, orders string, err error) {
	text := r.Header.Get("Last-Event-ID")
	if text == "" {
		text = r.URL.Query().Get("last_event_id")
	}
	if text == "" {
		return own.LastSeq, "", nil
	}
	text, orders, _ = strings.Cut(text, ordersMark)
	inc, number, found := strings.Cut(text, "-")
	if !found {
		inc, number = own.Inc, text
	}
	seq, err := strconv.ParseUint(number, 10, 64)
	if _, badInc := protocol.ParseInc(inc); err != nil || found && badInc != nil {
		return 0, "", protocol.OutOfRange("Last-Event-ID", clip(text), "not the id of an event of this stream")
	}
	if inc != own.Inc {
		return 0, orders, nil
	}
	return min(protocol.Seq(seq), own.LastSeq), orders, nil
}

// follower sends one reader what happens.
type follower struct {
	server *server
	stream *web.Stream
	inc    string
	after  protocol.Seq
	orders string
	// waiting are orders that were read and not yet sent.
	waiting *ChangedOrders
	status  []byte // the last status sent
}

// id is the position behind all that was sent.
func (f *follower) id() string {
	return f.inc + "-" + strconv.FormatUint(uint64(f.after), 10) + ordersMark + f.orders
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
		if err := f.sendOrders(ctx); err != nil {
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

// sendEvents sends what was logged since. Where an event has two documents,
// only the last carries a position, so that a reader never has half of it.
func (f *follower) sendEvents(ctx context.Context) error {
	for ctx.Err() == nil {
		events, err := f.server.deps.EventsAfter(ctx, f.after, eventsBatch)
		if err != nil {
			return err
		}
		for i, e := range events {
			m := web.Message{Name: e.Name, Data: e.Data}
			if i+1 == len(events) || events[i+1].Seq != e.Seq {
				f.after = e.Seq
				m.ID = f.id()
			}
			if e.Name == "" {
				continue
			}
			if err := f.stream.Send(m); err != nil {
				return err
			}
		}
		if len(events) < eventsBatch {
			return nil
		}
	}
	return nil
}

// sendOrders sends the orders that others changed since. Only the last of a
// step carries the position behind the step.
func (f *follower) sendOrders(ctx context.Context) error {
	for ctx.Err() == nil {
		step := f.waiting
		if step == nil {
			next, err := f.server.deps.OrdersAfter(ctx, f.orders)
			if err != nil {
				return err
			}
			step = &next
		}
		f.waiting = nil
		for i := range step.Orders {
			data, err := json.Marshal(&step.Orders[i])
			if err != nil {
				return err
			}
			m := web.Message{Name: "order", Data: data}
			if i+1 == len(step.Orders) {
				f.orders = step.At
			}
			m.ID = f.id()
			if err := f.stream.Send(m); err != nil {
				return err
			}
		}
		f.orders = step.At
		if !step.More {
			return nil
		}
	}
	return nil
}
