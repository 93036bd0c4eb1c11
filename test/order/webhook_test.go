package order_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

const privateFlag = "--webhooks-allow-private"

// listener is a shop's program that is told what happens.
type listener struct {
	*httptest.Server
	secret []byte

	mu     sync.Mutex
	tries  map[string]int
	ids    map[string]string   // by subject and type, of what was taken
	told   map[string][]string // types by subject, in the order in which they were taken first
	faults []string
}

// listen starts one. It fails each message for which fails says so.
func (c *chain) listen(fails func(kind string, try int) bool, events ...string) *listener {
	c.t.Helper()
	l := &listener{tries: map[string]int{}, ids: map[string]string{}, told: map[string][]string{}}
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		l.mu.Lock()
		defer l.mu.Unlock()
		if err == nil {
			err = l.take(r.Header, body, fails, w)
		}
		if err != nil {
			l.faults = append(l.faults, err.Error())
		}
	}))
	c.t.Cleanup(l.Close)
	var made struct{ Secret string }
	l.mu.Lock()
	defer l.mu.Unlock()
	c.send(c.hub.Client, "/v1/webhooks", map[string]any{"url": l.URL + "/hook", "events": events}, &made)
	var err error
	l.secret, err = base64.StdEncoding.DecodeString(strings.TrimPrefix(made.Secret, "whsec_"))
	c.must(err)
	return l
}

// take checks a message and notes it, or fails it; l.mu is held.
func (l *listener) take(h http.Header, body []byte, fails func(string, int) bool, w http.ResponseWriter) error {
	id := h.Get("webhook-id")
	mac := hmac.New(sha256.New, l.secret)
	fmt.Fprintf(mac, "%s.%s.%s", id, h.Get("webhook-timestamp"), body)
	if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); h.Get("webhook-signature") != want {
		return fmt.Errorf("%s is signed %s, want %s", id, h.Get("webhook-signature"), want)
	}
	var m struct{ ID, Type, Subject string }
	if err := json.Unmarshal(body, &m); err != nil || m.ID != id {
		return fmt.Errorf("message %s: %s, %w", id, body, err)
	}
	l.tries[id]++
	if fails(m.Type, l.tries[id]) {
		w.WriteHeader(http.StatusServiceUnavailable)
		return nil
	}
	name := m.Subject + " " + m.Type
	if first := l.ids[name]; first == "" {
		l.ids[name] = id
		l.told[m.Subject] = append(l.told[m.Subject], m.Type)
	} else if first != id {
		return fmt.Errorf("%s came as %s and as %s", name, first, id)
	}
	return nil
}

func (l *listener) taken() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.ids)
}

// TestWebhooksOutliveTheHub lets orders be collected while the hub is down, and
// kills it while it tells of them, some at the second try only. Each event is
// told, always under one id, and each order in its order; the stock agrees.
func TestWebhooksOutliveTheHub(t *testing.T) {
	c := open(t, privateFlag)
	l := c.listen(func(kind string, try int) bool { return kind == "order.picked" && try == 1 }, "order.*")
	orders := make([]order, 5)
	for i := range orders {
		orders[i] = c.place("paid", line{c.items[i].GTIN, 1})
		c.has(orders[i].ID)
	}
	c.must(c.hub.Kill())
	for _, o := range orders {
		c.act(o.ID, "accept", map[string]any{"staff": "s7"})
		c.act(o.ID, "pick", map[string]any{"staff": "s7", "lines": []map[string]any{{"line": 1, "qty": 1}}})
		c.act(o.ID, "ready", map[string]any{"staff": "s7"})
		c.act(o.ID, "hand-over", map[string]any{"staff": "s7", "pickup_code": o.Token})
	}
	c.must(c.hub.Restart(t.Context()))
	for _, told := range []int{len(orders) + 1, 2*len(orders) + 1} {
		c.await("messages arrive", func(context.Context) (string, error) {
			if n := l.taken(); n < told {
				return fmt.Sprint(n, " of ", told), nil
			}
			return "", nil
		})
		c.must(c.hub.Crash(t.Context()))
	}
	life := []string{"order.placed", "order.accepted", "order.picked", "order.ready", "order.picked_up"}
	c.await("everything is told", func(context.Context) (string, error) {
		if n := l.taken(); n < len(orders)*len(life) {
			return fmt.Sprint(n, " of ", len(orders)*len(life)), nil
		}
		return "", nil
	})
	c.settle()
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, o := range orders {
		if got := l.told[o.ID]; !slices.Equal(got, life) {
			t.Errorf("order %d was told as %v", i, got)
		}
		if got, want := c.level(c.items[i].SKU), [3]int64{9, 0, 0}; got != want {
			t.Errorf("item %d: %v on hand, committed and staged, want %v", i, got, want)
		}
	}
	for _, fault := range l.faults {
		t.Error(fault)
	}
	c.must(errors.Join(c.agent.Stop(), c.hub.Stop(), c.agent.Verify(t.Context())))
}

// TestWebhooksStayOutside asks a hub for webhooks to its own machine and network.
func TestWebhooksStayOutside(t *testing.T) {
	c := open(t)
	for _, url := range []string{"http://127.0.0.1:1/", "https://localhost/hook", "https://10.0.0.1/", "https://[::1]/", "https://169.254.169.254/latest/", "https://[::ffff:127.0.0.1]/"} {
		c.refused(c.try(c.hub.Client, "/v1/webhooks", map[string]any{"url": url, "events": []string{"*"}}, nil), "out_of_range")
	}
	var list struct{ Items []any }
	c.must(c.hub.Get(t.Context(), "/v1/webhooks", &list))
	if len(list.Items) > 0 {
		t.Errorf("webhooks: %v", list.Items)
	}
}
