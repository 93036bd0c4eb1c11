package webhooks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

const patience = time.Minute

// hubStub is an outbox in memory, with a running time that the test sets.
type hubStub struct {
	t      *testing.T
	driver ledger.Driver

	mu       sync.Mutex
	messages []Message
	grown    chan struct{}
	ahead    time.Duration // of the machine's own clock
	started  time.Time
	wants    Groups
}

func newHub(t *testing.T) *hubStub {
	return &hubStub{t: t, driver: ledger.NewMemory(), grown: make(chan struct{}), started: time.Now()}
}

func (h *hubStub) post(kind, key string) Message {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := len(h.messages) + 1
	m := Message{
		Position: uint64(n), ID: fmt.Sprint("msg_", n), Type: kind, Key: key, AtMs: time.Now().UnixMilli(),
		Body: json.RawMessage(fmt.Sprintf(`{"n":%d,"key":%q}`, n, key)),
	}
	h.messages = append(h.messages, m)
	h.wake()
	return m
}

// wake lets workers look again; h.mu is held.
func (h *hubStub) wake() {
	close(h.grown)
	h.grown = make(chan struct{})
}

// skip lets running time go by.
func (h *hubStub) skip(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ahead += d
	h.wake()
}

func (h *hubStub) options() Options {
	return Options{
		Driver: h.driver, Log: slog.New(slog.DiscardHandler), AllowPrivate: true, AllowHTTP: true,
		Messages: func(_ context.Context, behind uint64, limit int) ([]Message, error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			list := h.messages[min(int(behind), len(h.messages)):]
			return slices.Clone(list[:min(limit, len(list))]), nil
		},
		Before: func(_ context.Context, at time.Time) (uint64, error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			i := slices.IndexFunc(h.messages, func(m Message) bool { return m.AtMs >= at.UnixMilli() })
			return uint64(max(i, 0)), nil
		},
		Head: func(ledger.Reader) (uint64, error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			return uint64(len(h.messages)), nil
		},
		Grown: func() <-chan struct{} {
			h.mu.Lock()
			defer h.mu.Unlock()
			return h.grown
		},
		Want: func(_ context.Context, g Groups) error {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.wants = g
			return nil
		},
		Types: []string{"order.placed", "order.paid", "stock.low", "exception.opened"},
		Once: func(_ context.Context, _ protocol.Call, run func(func(ledger.Tx, protocol.Answer) error) (protocol.Answer, error)) (protocol.Answer, error) {
			return run(func(ledger.Tx, protocol.Answer) error { return nil })
		},
		Now: time.Now,
		Running: func() time.Duration {
			h.mu.Lock()
			defer h.mu.Unlock()
			return time.Since(h.started) + h.ahead
		},
		Random: func(b []byte) {
			for i := range b {
				b[i] = byte(time.Now().UnixNano() >> (i % 4))
			}
		},
	}
}

// run opens a sender and lets it send until the test or stop ends it.
func (h *hubStub) run() (s *Sender, stop func()) {
	h.t.Helper()
	s, err := Open(h.t.Context(), h.options())
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(h.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Run(ctx) // it returns nil
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	h.t.Cleanup(stop)
	return s, stop
}

// shop is a program that is told. How it answers a message is the test's.
type shop struct {
	*httptest.Server
	got chan string // ids, as they are answered
}

func newShop(t *testing.T, answer func(id string, n int) int) *shop {
	s := &shop{got: make(chan string, 1000)}
	var mu sync.Mutex
	seen := map[string]int{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		id := r.Header.Get("webhook-id")
		mu.Lock()
		seen[id]++
		n := seen[id]
		mu.Unlock()
		status := answer(id, n)
		w.WriteHeader(status)
		s.got <- fmt.Sprint(id, " ", status)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *shop) next(t *testing.T) string {
	t.Helper()
	select {
	case id := <-s.got:
		return id
	case <-time.After(patience):
		t.Fatal("no message comes")
		return ""
	}
}

// want reads as many answers as are named, in any order.
func (s *shop) want(t *testing.T, answers ...string) {
	t.Helper()
	var got []string
	for range answers {
		got = append(got, s.next(t))
	}
	slices.Sort(got)
	slices.Sort(answers)
	if !slices.Equal(got, answers) {
		t.Fatalf("got %v, want %v", got, answers)
	}
}

func always(status int) func(string, int) int { return func(string, int) int { return status } }

func (h *hubStub) add(s *Sender, url string, events ...string) Document {
	h.t.Helper()
	answer, err := s.Add(h.t.Context(), protocol.Call{}, Request{URL: url, Events: events})
	if err != nil {
		h.t.Fatal(err)
	}
	var doc Document
	if err := json.Unmarshal(answer.Body, &doc); err != nil {
		h.t.Fatal(err)
	}
	return doc
}

// until waits for a condition that shows in the list of endpoints.
func (h *hubStub) until(s *Sender, what string, is func(Document) bool) {
	h.t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		list, err := s.List(h.t.Context(), Page{Limit: 100})
		if err != nil {
			h.t.Fatal(err)
		}
		if slices.ContainsFunc(list.Items, is) {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			h.t.Fatalf("waited for nothing: %s: %+v", what, list.Items)
		}
	}
}

// rows are the messages that are written down as not done.
func (h *hubStub) rows(endpoint string) (list map[uint64]*open) {
	h.t.Helper()
	err := h.driver.View(h.t.Context(), func(r ledger.Reader) (err error) {
		_, list, err = readProgress(r, endpoint)
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return list
}

// attempts is how often a message has failed, as it is written down.
func (h *hubStub) attempts(endpoint string, position uint64) int {
	if o := h.rows(endpoint)[position]; o != nil {
		return o.Attempts
	}
	return 0
}

// TestSignature computes the vector of the Standard Webhooks libraries.
func TestSignature(t *testing.T) {
	s, err := parseSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	const want = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	if got := s.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`)); got != want {
		t.Errorf("signed %s, want %s", got, want)
	}
	if text := fmt.Sprintf("%v %+v %#v %s", s, s, endpoint{Secret: s}, s); strings.Contains(text, "MfKQ") || strings.Contains(text, "0x31, 0xf2") {
		t.Errorf("a secret shows itself: %s", text)
	}
	for _, bad := range []string{"", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_AAAA", "whsec_!", "whsec_" + strings.Repeat("A", 88)} {
		if _, err := parseSecret(bad); protocol.CodeOf(err) != protocol.OutOfRangeCode || strings.Contains(err.Error(), "AAAA") {
			t.Errorf("secret %q: %v", bad, err)
		}
	}
}

// TestSent checks what an endpoint gets, and that it gets what it wants alone.
func TestSent(t *testing.T) {
	h := newHub(t)
	requests := make(chan *http.Request, 1)
	bodies := make(chan []byte, 1)
	to := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		requests <- r
		bodies <- b
	}))
	defer to.Close()
	s, _ := h.run()
	h.post("order.placed", "o-0") // before the endpoint is there
	doc := h.add(s, to.URL+"/hook?a=b", "order.*")
	h.post("stock.low", "s1/PEN")
	want := h.post("order.paid", "o-1")
	r, body := <-requests, <-bodies
	key, err := parseSecret(*doc.Secret)
	if err != nil {
		t.Fatal(err)
	}
	stamp, err := strconv.ParseInt(r.Header.Get("webhook-timestamp"), 10, 64)
	if err != nil || r.Header.Get("webhook-id") != want.ID || string(body) != string(want.Body) || r.Method != http.MethodPost || r.URL.String() != "/hook?a=b" ||
		r.Header.Get("content-type") != "application/cloudevents+json" || r.Header.Get("webhook-signature") != key.sign(want.ID, time.Unix(stamp, 0), body) {
		t.Errorf("sent %s %s %v %s", r.Method, r.URL, r.Header, body)
	}
	if h.wants != (Groups{Events: true}) {
		t.Errorf("wanted are %v", h.wants)
	}
	list, err := s.List(t.Context(), Page{Limit: 1})
	if err != nil || len(list.Items) != 1 || list.Items[0].Secret != nil {
		t.Errorf("listed: %+v %v", list, err)
	}
	if _, err := s.Drop(t.Context(), doc.ID); err != nil || h.wants != (Groups{}) {
		t.Errorf("dropped: %v, wanted are %v", err, h.wants)
	}
	if err := h.driver.View(t.Context(), func(r ledger.Reader) error {
		return r.Scan(ledger.Notes, "webhook", "webhooks", func(id string, _ []byte) (bool, error) { return true, errors.New(id + " is left") })
	}); err != nil {
		t.Error(err)
	}
}

// TestOrder has the first message of an order fail: the next one of that order
// waits for it, those of others do not.
func TestOrder(t *testing.T) {
	h := newHub(t)
	to := newShop(t, func(id string, n int) int {
		if id == "msg_1" && n == 1 {
			return http.StatusInternalServerError
		}
		return http.StatusOK
	})
	s, _ := h.run()
	h.add(s, to.URL, "*")
	h.post("order.placed", "o-1")
	if got := to.next(t); got != "msg_1 500" {
		t.Fatal(got)
	}
	h.post("order.paid", "o-1")
	h.post("order.placed", "o-2")
	h.post("order.paid", "o-2")
	for _, want := range []string{"msg_3 200", "msg_4 200"} {
		if got := to.next(t); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	h.until(s, "two messages wait", func(d Document) bool { return d.Waiting == 2 && h.attempts(d.ID, 1) == 1 })
	h.skip(7 * time.Second)
	for _, want := range []string{"msg_1 200", "msg_2 200"} {
		if got := to.next(t); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	h.until(s, "nothing waits", func(d Document) bool { return d.Waiting == 0 && d.LastError == nil })
}

// TestSlowEndpoint has one endpoint answer nothing: another gets everything.
func TestSlowEndpoint(t *testing.T) {
	h := newHub(t)
	release := make(chan struct{})
	slow := newShop(t, func(string, int) int {
		<-release
		return http.StatusOK
	})
	fast := newShop(t, always(http.StatusNoContent))
	s, _ := h.run()
	h.add(s, slow.URL, "*")
	h.add(s, fast.URL, "*")
	for i := range 50 {
		id := h.post("order.placed", fmt.Sprint("o-", i)).ID
		if got := fast.next(t); got != id+" 204" {
			t.Errorf("got %s", got)
		}
	}
	close(release)
	for range 50 {
		slow.next(t)
	}
}

// TestDeadLetter lets a message fail until its last attempt: it is listed, and
// what waited for it goes on. A replay sends both again under their ids.
func TestDeadLetter(t *testing.T) {
	h := newHub(t)
	to := newShop(t, func(id string, n int) int {
		if id == "msg_1" && n <= 10 {
			return http.StatusBadGateway
		}
		return http.StatusOK
	})
	s, _ := h.run()
	doc := h.add(s, to.URL, "*")
	from := time.Now().Add(-time.Minute)
	h.post("order.placed", "o-1")
	h.post("order.paid", "o-1")
	for i := range 10 {
		if got := to.next(t); got != "msg_1 502" {
			t.Fatalf("attempt %d: %s", i+1, got)
		}
		if i < 9 {
			h.until(s, "the attempt is noted", func(d Document) bool { return h.attempts(d.ID, 1) == i+1 })
			h.skip(29 * time.Hour)
		}
	}
	if got := to.next(t); got != "msg_2 200" {
		t.Fatal(got)
	}
	h.until(s, "nothing waits", func(d Document) bool { return d.Waiting == 0 })
	list, err := s.Dead(t.Context(), doc.ID, Page{Limit: 10})
	if err != nil || len(list.Items) != 1 || list.Items[0].ID != "msg_1" || list.Items[0].Attempts != 10 || list.Items[0].Error != "answered 502" {
		t.Fatalf("dead: %+v %v", list, err)
	}
	if _, err := s.Replay(t.Context(), protocol.Call{}, doc.ID, ReplayRequest{From: from.Format(time.RFC3339)}); err != nil {
		t.Fatal(err)
	}
	to.want(t, "msg_1 200", "msg_2 200")
	if list, err = s.Dead(t.Context(), doc.ID, Page{Limit: 10}); err != nil || len(list.Items) != 0 {
		t.Errorf("dead after the replay: %+v %v", list, err)
	}
}

// TestGone has an endpoint answer 410: it is sent nothing more, over a restart
// as well, until a replay wakes it.
func TestGone(t *testing.T) {
	h := newHub(t)
	to := newShop(t, func(_ string, n int) int {
		if n == 1 {
			return http.StatusGone
		}
		return http.StatusOK
	})
	other := newShop(t, always(http.StatusOK))
	s, stop := h.run()
	doc := h.add(s, to.URL, "*")
	h.post("order.placed", "o-1")
	to.want(t, "msg_1 410")
	h.until(s, "it is paused", func(d Document) bool { return d.State == paused })
	stop()
	s, _ = h.run()
	h.add(s, other.URL, "*")
	h.post("order.paid", "o-1")
	h.skip(48 * time.Hour)
	other.want(t, "msg_2 200")
	if len(to.got) > 0 {
		t.Error("a paused endpoint was sent something")
	}
	if _, err := s.Replay(t.Context(), protocol.Call{}, doc.ID, ReplayRequest{From: time.Now().Add(time.Hour).Format(time.RFC3339)}); err != nil {
		t.Fatal(err)
	}
	if got := []string{to.next(t), to.next(t)}; got[0] != "msg_1 200" || got[1] != "msg_2 410" {
		t.Errorf("after it woke: %v", got)
	}
}

// TestRetryAfter follows what an endpoint asks for, within bounds.
func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "x": 0, "-1": 0, "120": 2 * time.Minute, "Sat, 21 Nov 2026 10:01:00 GMT": time.Minute, "Sat, 21 Nov 2020 10:01:00 GMT": 0, "99999999999": 0,
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
	for i, base := range schedule {
		least, ok := wait(i+1, 0, 0)
		most, _ := wait(i+1, 0, 1)
		if !ok || least != base || most != base+base/jitterParts {
			t.Errorf("failure %d waits %v to %v", i+1, least, most)
		}
	}
	if d, _ := wait(1, time.Hour, 0); d != time.Hour {
		t.Errorf("asked for an hour, got %v", d)
	}
	if d, _ := wait(1, 1000*time.Hour, 0); d != retryAfterMax {
		t.Errorf("asked for weeks, got %v", d)
	}
	if _, ok := wait(len(schedule)+1, 0, 0); ok {
		t.Error("it never gives up")
	}
}

// TestRedirected sends a message where a redirection leads: nowhere.
func TestRedirected(t *testing.T) {
	h := newHub(t)
	other := newShop(t, always(http.StatusOK))
	to := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer to.Close()
	s, _ := h.run()
	h.add(s, to.URL, "*")
	h.post("order.placed", "o-1")
	h.until(s, "the redirection is a failure", func(d Document) bool { return d.LastError != nil && *d.LastError == "answered 307" })
	if len(other.got) > 0 {
		t.Error("a redirection was followed")
	}
}

// TestRefused asks for webhooks that nobody can mean.
func TestRefused(t *testing.T) {
	h := newHub(t)
	s, _ := h.run()
	for _, r := range []Request{
		{URL: "http://127.0.0.1/"},
		{URL: "http://127.0.0.1/", Events: []string{"order.plaiced"}},
		{URL: "http://127.0.0.1/", Events: []string{"ord*"}},
		{URL: "http://127.0.0.1/", Events: []string{"order.*", "order.*"}},
		{URL: "http://127.0.0.1/", Events: []string{""}},
		{URL: "http://127.0.0.1/", Events: []string{"*"}, Secret: "short"},
		{URL: "127.0.0.1", Events: []string{"*"}},
	} {
		if _, err := s.Add(t.Context(), protocol.Call{}, r); protocol.CodeOf(err) != protocol.OutOfRangeCode {
			t.Errorf("%+v: %v", r, err)
		}
	}
	if _, err := s.Drop(t.Context(), "wh_x"); protocol.CodeOf(err) != protocol.NotFound {
		t.Errorf("dropped nothing: %v", err)
	}
	doc := h.add(s, "http://127.0.0.1:1/", "order.placed", "stock.*")
	if _, err := s.Replay(t.Context(), protocol.Call{}, doc.ID, ReplayRequest{From: "yesterday"}); protocol.CodeOf(err) != protocol.OutOfRangeCode {
		t.Errorf("replay from yesterday: %v", err)
	}
}

// FuzzRows reads rows of the database, whatever stands there.
func FuzzRows(f *testing.F) {
	f.Add([]byte(`{"id":"wh_1","secret":"AAAA","events":["*"]}`))
	f.Add([]byte(`{"key":"o-1","attempts":-3}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, err := decodeEndpoint(b); err == nil && (len(e.Secret) == 0 || e.ID == "") {
			t.Error("an endpoint without a secret or id")
		}
		if o, err := decodeOpen(1, b); err == nil && (o.Attempts < 0 || o.Position != 1) {
			t.Errorf("open: %+v", o)
		}
		if d, err := decodeDead(1, b); err == nil && d.Position != 1 {
			t.Errorf("dead: %+v", d)
		}
		if s, err := parseSecret(string(b)); err == nil && s.text() != string(b) && len(s) < secretBytesMin {
			t.Error("a secret that is too short")
		}
		retryAfter(string(b), time.Unix(0, 0))
	})
}
