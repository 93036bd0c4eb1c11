package hub

import (
	"testing"
	"time"

	"counterpart/protocol/ledger"
)

// TestI17_RunningTime shows that running time goes on over starts, stands still
// while the hub is down, and follows no clock.
func TestI17_RunningTime(t *testing.T) {
	driver := ledger.NewMemory()
	var mono time.Duration
	wall := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	open := func() *Hub {
		h, err := New(t.Context(), Options{
			Driver: driver, Now: func() time.Time { return wall }, Mono: func() time.Duration { return mono },
			Random: func(b []byte) { b[0]++ }, Send: func(string, []byte, bool) {},
		})
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	h := open()
	mono = 25 * time.Second
	if err := h.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	mono = 29 * time.Second
	if got := h.running(); got != 29*time.Second {
		t.Errorf("running %v, not 29s", got)
	}
	mono, wall = 3*time.Second, wall.AddDate(10, 0, 0)
	h = open()
	if got := h.running(); got != 25*time.Second {
		t.Errorf("after a crash running %v, not 25s", got)
	}
	mono, wall = 14*time.Second, wall.AddDate(-20, 0, 0)
	if got := h.running(); got != 36*time.Second {
		t.Errorf("running %v, not 36s", got)
	}
}
