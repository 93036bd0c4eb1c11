package agent

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

func config(dir string) Config {
	return Config{Data: dir, Hub: "http://127.0.0.1:1", Store: "s1", Agent: "a1", Listen: "127.0.0.1:0", InsecureDev: true}
}

func open(t *testing.T) *Agent {
	t.Helper()
	a, err := New(context.Background(), config(t.TempDir()), "test", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.db.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

// held counts the agent's own events that are still there, and names the first.
func held(t *testing.T, a *Agent) (first protocol.Seq, n int) {
	t.Helper()
	err := a.db.View(context.Background(), func(r ledger.Reader) error {
		return ledger.ScanEvents(r, a.origin().Inc, 1, func(seq protocol.Seq, _ protocol.Hash, _ protocol.Record) (bool, error) {
			if n == 0 {
				first = seq
			}
			n++
			return true, nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return first, n
}

// TestI7_TrimsOnlyBelowSafe logs ten old events and demands that trimming never
// takes one that is not below safe, nor a young one.
func TestI7_TrimsOnlyBelowSafe(t *testing.T) {
	a, ctx, now := open(t), context.Background(), time.Now()
	for range 10 {
		err := a.db.Update(ctx, func(tx ledger.Tx) error {
			ev := &protocol.Event{Kind: "test", Moves: []protocol.Move{{SKU: "PEN", Delta: 1000}}}
			_, err := ledger.Log(tx, a.origin(), protocol.Clock{WallMs: now.UnixMilli()}, ev)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		name  string
		safe  protocol.Seq
		at    time.Time
		first protocol.Seq
	}{
		{"nothing is safe", 0, now.Add(40 * 24 * time.Hour), 1},
		{"safe but young", 10, now.Add(13 * 24 * time.Hour), 1},
		{"four are safe", 4, now.Add(15 * 24 * time.Hour), 3},
		{"all are safe", 10, now.Add(15 * 24 * time.Hour), 9},
	} {
		if _, err := a.trim(ctx, step.safe, step.at.Add(-keepFor(stageOK))); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if first, n := held(t, a); first != step.first || n != int(11-step.first) {
			t.Errorf("%s: events from %d on are held, %d of them; want from %d on", step.name, first, n, step.first)
		}
	}
}

// TestIdentityIsKept demands that a restart goes on with the same stream and
// counts the start.
func TestIdentityIsKept(t *testing.T) {
	dir := t.TempDir()
	var last protocol.Origin
	for boot := range 3 {
		a, err := New(context.Background(), config(dir), "test", slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if boot > 0 && a.origin() != last {
			t.Errorf("start %d writes %v, the first wrote %v", boot, a.origin(), last)
		}
		last = a.origin()
		if err := a.db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"no data":              func(c *Config) { c.Data = "" },
		"bad store":            func(c *Config) { c.Store = "a store" },
		"bad agent":            func(c *Config) { c.Agent = "../x" },
		"the hub's name":       func(c *Config) { c.Agent = "hub" },
		"an inbox":             func(c *Config) { c.Inbox = "in" },
		"no hub":               func(c *Config) { c.Hub = "" },
		"a hub beyond":         func(c *Config) { c.Hub = "http://example.org" },
		"a broker beyond":      func(c *Config) { c.MQTT = "mqtt://example.org:1883" },
		"listening to all":     func(c *Config) { c.Listen = "0.0.0.0:7070" },
		"no leave for clear":   func(c *Config) { c.InsecureDev = false },
		"a layout that is not": func(c *Config) { c.WeighedCode = []string{"?"} },
	} {
		c := config(t.TempDir())
		change(&c)
		if _, err := c.Check(); protocol.CodeOf(err) != protocol.OutOfRangeCode {
			t.Errorf("%s: answered with %v", name, err)
		}
	}
	c := config(t.TempDir())
	if _, err := c.Check(); err != nil {
		t.Error(err)
	}
}
