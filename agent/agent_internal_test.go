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
func held(t *testing.T, a *Agent) (first protocol.Seq, n int) { return heldOf(t, a, a.origin().Inc) }

func heldOf(t *testing.T, a *Agent, inc protocol.Inc) (first protocol.Seq, n int) {
	t.Helper()
	err := a.db.View(context.Background(), func(r ledger.Reader) error {
		return ledger.ScanEvents(r, inc, 1, func(seq protocol.Seq, _ protocol.Hash, _ protocol.Record) (bool, error) {
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
		if _, err := a.trim(ctx, a.origin().Inc, step.safe, step.at.Add(-keepFor(stageOK))); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if first, n := held(t, a); first != step.first || n != int(11-step.first) {
			t.Errorf("%s: events from %d on are held, %d of them; want from %d on", step.name, first, n, step.first)
		}
	}
}

// TestI7_TrimsOthersOnlyWhereSafe: the events of the store's other streams are
// deleted as the own are, where the hub holds the same ones safely and this
// machine has done its part of what follows from them.
func TestI7_TrimsOthersOnlyWhereSafe(t *testing.T) {
	a, ctx, now := open(t), context.Background(), time.Now()
	sibling := protocol.Origin{Store: "s1", Agent: "a2", Inc: protocol.Inc{2}}
	hub := protocol.Origin{Store: "s1", Agent: protocol.HubAgent, Inc: protocol.Inc{3}}
	update := func(fn func(ledger.Tx) error) {
		t.Helper()
		if err := a.db.Update(ctx, fn); err != nil {
			t.Fatal(err)
		}
	}
	log := func(o protocol.Origin, ev *protocol.Event) {
		t.Helper()
		update(func(tx ledger.Tx) error {
			_, err := ledger.Log(tx, o, protocol.Clock{WallMs: now.UnixMilli()}, ev)
			return err
		})
	}
	for range 6 {
		log(sibling, &protocol.Event{Kind: "test", Moves: []protocol.Move{{SKU: "PEN", Delta: 1000}}})
		log(hub, &protocol.Event{Kind: protocol.KindStockLoad, StockLoad: &protocol.StockLoad{ID: "l", Total: 1, Rows: []protocol.StockRow{{SKU: "PEN", OnHand: 5}}}})
	}
	head := func(o protocol.Origin, seq protocol.Seq) (h protocol.StreamHead) {
		t.Helper()
		h.Agent, h.Inc, h.Seq = o.Agent, o.Inc, seq
		err := a.db.View(ctx, func(r ledger.Reader) (err error) {
			h.Hash, _, err = ledger.HashAt(r, protocol.EventID{Inc: o.Inc, Seq: seq})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	old, young := now.Add(15*24*time.Hour), now.Add(13*24*time.Hour)
	foreign := head(sibling, 6)
	foreign.Hash[0]++
	trim := func(name string, h protocol.StreamHead, at time.Time, o protocol.Origin, want protocol.Seq) {
		t.Helper()
		if _, err := a.trimOthers(ctx, []protocol.StreamHead{h}, at.Add(-keepFor(stageOK))); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got, _ := heldOf(t, a, o.Inc); got != want {
			t.Errorf("%s: the stream begins with %d, want %d", name, got, want)
		}
	}
	trim("its counts are not looked at", head(sibling, 6), old, sibling, 1)
	if err := a.till.SeeCounts(ctx); err != nil {
		t.Fatal(err)
	}
	trim("safe but young", head(sibling, 6), young, sibling, 1)
	trim("the hub holds other events", foreign, old, sibling, 1)
	trim("the hub holds more than is here", protocol.StreamHead{Agent: "a2", Inc: sibling.Inc, Seq: 7}, old, sibling, 1)
	trim("four are safe", head(sibling, 4), old, sibling, 3)
	trim("all are safe", head(sibling, 6), old, sibling, 5)
	trim("a stock load is not applied", head(hub, 6), old, hub, 1)
	log(sibling, &protocol.Event{Kind: protocol.KindMovement, Movement: &protocol.Movement{Type: protocol.Count, Load: "l", LoadRows: 1}})
	trim("the stock load is applied", head(hub, 6), old, hub, 5)
	err := a.db.View(ctx, func(r ledger.Reader) error {
		rep, err := ledger.Verify(r)
		if err == nil && !rep.OK() {
			t.Errorf("verify: %v", rep.Differences)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
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
