package api

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"counterpart/protocol"
)

// reader follows an event stream as a client does.
type reader struct {
	t      *testing.T
	lines  *bufio.Reader
	cancel context.CancelFunc
}

// message is one server-sent event; a comment stands in comment.
type message struct{ id, name, data, comment string }

// follow opens the stream of a server with header fields as name, value.
func follow(t *testing.T, url string, fields ...string) *reader {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if kind := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || !strings.HasPrefix(kind, "text/event-stream") {
		t.Fatalf("answered %d as %q", resp.StatusCode, kind)
	}
	return &reader{t: t, lines: bufio.NewReader(resp.Body), cancel: cancel}
}

// next reads one message.
func (r *reader) next() message {
	r.t.Helper()
	var m message
	for {
		line, err := r.lines.ReadString('\n')
		if err != nil {
			r.t.Fatalf("stream: %v", err)
		}
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			return m
		}
		name, value, _ := strings.Cut(line, ": ")
		switch name {
		case "id":
			m.id = value
		case "event":
			m.name = value
		case "data":
			m.data += value
		case "":
			m.comment = value
		}
	}
}

// want reads one message and compares its name and data.
func (r *reader) want(name, data string) message {
	r.t.Helper()
	m := r.next()
	if m.name != name || data != "" && m.data != data {
		r.t.Fatalf("got %+v, want %s %s", m, name, data)
	}
	if (m.id == "") != (name == "status") {
		r.t.Fatalf("id %q on a %s event", m.id, name)
	}
	return m
}

// wantEvent reads up to the next event of the log and compares it. What
// happened also changed the status, which may be told before or after it.
func (r *reader) wantEvent(name, data string) message {
	r.t.Helper()
	for {
		m := r.next()
		if m.name == "status" || m.comment != "" {
			continue
		}
		if m.name != name || m.data != data || m.id == "" {
			r.t.Fatalf("got %+v, want %s %s", m, name, data)
		}
		return m
	}
}

func serveEvents(t *testing.T, s *shop) string {
	t.Helper()
	server := httptest.NewServer(New(s.deps()))
	t.Cleanup(server.Close)
	return server.URL + "/v1/events"
}

func TestEventsStartWithStatusAndNow(t *testing.T) {
	s := newShop()
	r := follow(t, serveEvents(t, s))
	first := r.want("status", "")
	var status Status
	if err := json.Unmarshal([]byte(first.data), &status); err != nil || status.Agent != "a1" {
		t.Fatalf("%v: %s", err, first.data)
	}
	s.happen("return", `{"n":3}`)
	// What changed with the event is told as well, in no particular order.
	got := map[string]message{}
	for range 2 {
		m := r.next()
		got[m.name] = m
	}
	if got["return"].data != `{"n":3}` || !strings.Contains(got["status"].data, `"last_seq":3`) {
		t.Fatalf("%+v", got)
	}
}

func TestEventsResume(t *testing.T) {
	s := newShop()
	url := serveEvents(t, s)
	r := follow(t, url, "Last-Event-ID", "0")
	r.want("status", "")
	first := r.want("sale", `{"n":1}`)
	second := r.want("movement", `{"n":2}`)
	if first.id == second.id {
		t.Fatalf("two events with id %q", first.id)
	}
	r.cancel()

	for _, again := range []*reader{follow(t, url, "Last-Event-ID", first.id), follow(t, url+"?last_event_id="+first.id)} {
		again.want("status", "")
		again.want("movement", `{"n":2}`)
	}
	// At the end of the stream nothing is repeated, even where the reader says
	// that it is further than the log.
	for _, id := range []string{second.id, s.status.Stream.Inc + "-99"} {
		r := follow(t, url, "Last-Event-ID", id)
		r.want("status", "")
		s.happen("void", `{"n":3}`)
		r.wantEvent("void", `{"n":3}`)
	}
	// After a fork the present stream is read from its start.
	r = follow(t, url, "Last-Event-ID", strings.Repeat("00", 16)+"-7")
	r.want("status", "")
	if m := r.want("sale", `{"n":1}`); m.id != first.id {
		t.Errorf("the same event has ids %q and %q", first.id, m.id)
	}
}

func TestEventsRefusePositionsThatAreNotOurs(t *testing.T) {
	h := New(newShop().deps())
	for _, id := range []string{"x", "-", "-1", strings.Repeat("9f", 16) + "-x", "99999999999999999999", "1.5", "1~x"} {
		r := newRequest(http.MethodGet, "/v1/events", nil)
		r.Header.Set("Last-Event-ID", id)
		if p := wantProblem(t, do(t, h, r), 422, "out_of_range"); p["field"] != "Last-Event-ID" {
			t.Errorf("%q: %v", id, p)
		}
	}
}

// TestEventsLongerThanABatch reads more than is read at once, and passes over
// events that nobody is shown.
func TestEventsLongerThanABatch(t *testing.T) {
	s := newShop()
	s.events = nil
	for i := range protocol.Seq(3*eventsBatch + 1) {
		s.events = append(s.events, Event{Seq: i + 1, Name: map[bool]string{true: "sale"}[i%2 == 0], Data: []byte("{}")})
	}
	s.status.Stream.LastSeq = 3*eventsBatch + 1
	r := follow(t, serveEvents(t, s), "Last-Event-ID", "0")
	r.want("status", "")
	for i := 0; i < 3*eventsBatch+1; i += 2 {
		r.want("sale", "{}")
	}
	s.happen("day", "{}")
	r.wantEvent("day", "{}")
}

func TestStatusEventsOnlyWhenItChanges(t *testing.T) {
	s := newShop()
	r := follow(t, serveEvents(t, s))
	r.want("status", "")
	s.happen("", "")
	s.mu.Lock()
	s.status.Link.State, s.status.Link.Cause = "offline", pointer("dns")
	s.mu.Unlock()
	s.happen("", "")
	if m := r.want("status", ""); !strings.Contains(m.data, `"state":"offline","cause":"dns"`) {
		t.Errorf("%s", m.data)
	}
}

// TestEventsOfOrders tells of orders that others changed, from the present or
// from where a reader was, and gives two documents of one event one position.
func TestEventsOfOrders(t *testing.T) {
	s := newShop()
	s.changeOrder("o-0")
	url := serveEvents(t, s)
	r := follow(t, url)
	r.want("status", "")
	s.changeOrder("o-1")
	order := func(r *reader, want string) message {
		t.Helper()
		for {
			m := r.next()
			if m.name == "status" || m.comment != "" {
				continue
			}
			if m.name != "order" || m.id == "" || !strings.HasPrefix(m.data, `{"id":"`+want+`"`) {
				t.Fatalf("got %+v, want order %s", m, want)
			}
			return m
		}
	}
	first := order(r, "o-1")
	s.happen("movement", `{"n":3}`)
	between := r.wantEvent("movement", `{"n":3}`)
	s.changeOrder("o-2")
	s.changeOrder("o-3")
	order(r, "o-2")
	last := order(r, "o-3")
	r.cancel()

	r = follow(t, url, "Last-Event-ID", first.id)
	r.want("status", "")
	r.want("movement", `{"n":3}`)
	order(r, "o-2")
	order(r, "o-3")
	r = follow(t, url, "Last-Event-ID", between.id)
	r.want("status", "")
	order(r, "o-2")

	// A sale that hands over an order has two documents.
	s.mu.Lock()
	s.status.Stream.LastSeq++
	s.events = append(s.events, Event{Seq: 4, Name: "order", Data: []byte(`{"n":4}`)}, Event{Seq: 4, Name: "sale", Data: []byte(`{"n":4}`)})
	s.mu.Unlock()
	r = follow(t, url, "Last-Event-ID", last.id)
	r.want("status", "")
	if m := r.next(); m.name != "order" || m.id != "" {
		t.Errorf("the first of two documents is %+v", m)
	}
	if m := r.want("sale", `{"n":4}`); m.id == last.id {
		t.Errorf("both documents were sent, and the position is still %s", m.id)
	}
}

// TestEventsOutliveTheServersDeadlines: the time-outs for ordinary requests
// must not end a stream, and silence is filled with comments.
func TestEventsOutliveTheServersDeadlines(t *testing.T) {
	s := newShop()
	api := newServer(s.deps())
	api.heartbeat = 60 * time.Millisecond
	server := httptest.NewUnstartedServer(api.guard(api.tree(api.routes())))
	server.Config.ReadTimeout = 50 * time.Millisecond
	server.Config.WriteTimeout = 50 * time.Millisecond
	server.Start()
	t.Cleanup(server.Close)
	r := follow(t, server.URL+"/v1/events")
	r.want("status", "")
	for range 3 {
		if m := r.next(); m != (message{comment: "alive"}) {
			t.Fatalf("%+v", m)
		}
	}
	s.happen("sale", `{"n":3}`)
	r.wantEvent("sale", `{"n":3}`)
}

// TestEventsEndWithTheServer: the agent stops without waiting for readers.
func TestEventsEndWithTheServer(t *testing.T) {
	s := newShop()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	h := New(s.deps())
	go func() {
		defer close(ended)
		h.ServeHTTP(httptest.NewRecorder(), newRequest(http.MethodGet, "/v1/events", nil).WithContext(ctx))
	}()
	stop()
	<-ended
}

// TestEventsEndWhenTheLogCannotBeRead: the reader comes back by itself, and
// the cause is in the log.
func TestEventsEndWhenTheLogCannotBeRead(t *testing.T) {
	s := newShop()
	d := s.deps()
	d.EventsAfter = func(context.Context, protocol.Seq, int) ([]Event, error) { return nil, http.ErrBodyNotAllowed }
	w := get(t, New(d), "/v1/events")
	if w.Code != http.StatusOK || !strings.HasPrefix(w.Body.String(), "event: status\n") || !strings.Contains(s.log.String(), http.ErrBodyNotAllowed.Error()) {
		t.Errorf("%d %s, logged %s", w.Code, w.Body, &s.log)
	}
}
