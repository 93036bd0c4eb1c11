package webhooks

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

// TestRestart ends the sender while a message waits and others are new.
func TestRestart(t *testing.T) {
	h := newHub(t)
	to := newShop(t, func(id string, n int) int {
		if id == "msg_1" && n == 1 {
			return http.StatusServiceUnavailable
		}
		return http.StatusOK
	})
	s, stop := h.run()
	h.add(s, to.URL, "*")
	h.post("order.placed", "o-1")
	to.want(t, "msg_1 503")
	h.post("order.paid", "o-1")
	h.until(s, "two wait", func(d Document) bool { return d.Waiting == 2 && h.attempts(d.ID, 1) == 1 })
	stop()
	h.post("order.placed", "o-3")
	h.run()
	to.want(t, "msg_3 200")
	h.skip(7 * time.Second)
	for _, want := range []string{"msg_1 200", "msg_2 200"} {
		if got := to.next(t); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// TestOnItsWay ends the sender while one message is on its way and a later one
// is done. The first comes again.
func TestOnItsWay(t *testing.T) {
	h := newHub(t)
	release := make(chan struct{})
	asked := make(chan struct{}, 1)
	to := newShop(t, func(id string, n int) int {
		if id == "msg_1" && n == 1 {
			asked <- struct{}{}
			<-release
			return http.StatusTeapot // nobody listens any more
		}
		return http.StatusOK
	})
	s, stop := h.run()
	h.add(s, to.URL, "*")
	h.post("order.placed", "o-1")
	<-asked
	for n := range 10 { // more than are sent at a time, so that some were written down
		h.post("order.placed", fmt.Sprint("o-2", n))
		to.want(t, fmt.Sprintf("msg_%d 200", n+2))
	}
	stop()
	close(release)
	h.run()
	for to.next(t) != "msg_1 200" {
	}
}

// TestOnItsWayWithOthersBehind ends the sender while a message is on its way and
// the next one of its order is written down as waiting for it: they come again
// in their order, each once.
func TestOnItsWayWithOthersBehind(t *testing.T) {
	h := newHub(t)
	release := make(chan struct{})
	asked := make(chan struct{}, 1)
	to := newShop(t, func(id string, n int) int {
		if id == "msg_1" && n == 1 {
			asked <- struct{}{}
			<-release
			return http.StatusTeapot // nobody listens any more
		}
		return http.StatusOK
	})
	s, stop := h.run()
	h.add(s, to.URL, "*")
	h.post("order.placed", "o-1")
	<-asked
	h.post("order.paid", "o-1")
	h.until(s, "the second waits", func(d Document) bool { return h.rows(d.ID)[2] != nil })
	stop()
	close(release)
	h.run()
	for _, want := range []string{"msg_1 200", "msg_2 200", "msg_3 200"} {
		got := to.next(t)
		if got == "msg_1 418" {
			got = to.next(t)
		}
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if want == "msg_2 200" {
			h.post("order.placed", "o-2") // comes next unless something comes twice
		}
	}
}
