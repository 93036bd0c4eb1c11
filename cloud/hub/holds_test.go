package hub

import (
	"encoding/json"
	"testing"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/pickup"
)

// hold holds pens and is what the hold is called.
func (c *core) hold(key string, q protocol.Quantity, seconds int64) (string, error) {
	c.t.Helper()
	r := pickup.HoldRequest{Store: "s1", Lines: []pickup.PlaceLine{{Code: "PEN", Qty: &q}}, TTLS: &seconds}
	body, err := json.Marshal(r)
	c.must(err)
	answer, err := c.Hold(c.t.Context(), protocol.Call{Route: "POST /v1/holds", Key: key, Body: body}, r)
	if err != nil {
		return "", err
	}
	var doc pickup.HoldDocument
	c.must(json.Unmarshal(answer.Body, &doc))
	if answer.Status != 201 || doc.ExpiresInS != seconds {
		c.t.Errorf("holding was answered %d %+v", answer.Status, doc)
	}
	return doc.ID, nil
}

// notes counts the rows of holds.
func (c *core) holdRows() (n int) {
	c.t.Helper()
	c.must(c.view(c.t.Context(), func(r ledger.Reader) error {
		for _, name := range []string{noteHold, noteHeld} {
			err := r.Scan(ledger.Notes, name+"\x00", name+"\x01", func(string, []byte) (bool, error) { n++; return true, nil })
			if err != nil {
				return err
			}
		}
		return nil
	}))
	return n
}

// TestI12_HoldsCountAgainstThePromise: what carts hold is promised to nobody else,
// until it is released, ordered or over, also over a restart.
func TestI12_HoldsCountAgainstThePromise(t *testing.T) {
	c, _ := shop(t, 11_000)
	first, err := c.hold("k1", 4000, 60)
	c.must(err)
	if again, err := c.hold("k1", 4000, 60); err != nil || again != first {
		t.Errorf("the same key again holds %s, %v", again, err)
	}
	if _, err := c.hold("k1", 5000, 60); protocol.CodeOf(err) != protocol.IdempotencyMismatch {
		t.Errorf("the same key for another hold: %v", err)
	}
	second, err := c.hold("", 3000, 3600)
	c.must(err)
	if got := c.promised("PEN"); got != 3000 {
		t.Errorf("of 10 with 7 held %v", got)
	}
	if _, err := c.hold("", 4000, 60); protocol.CodeOf(err) != protocol.Short {
		t.Errorf("more than is left can be held: %v", err)
	}
	c.restart()
	if got := c.promised("PEN"); got != 3000 {
		t.Errorf("after a restart %v", got)
	}
	c.must(c.ReleaseHold(t.Context(), second))
	if err := c.ReleaseHold(t.Context(), second); protocol.CodeOf(err) != protocol.NotFound {
		t.Errorf("released twice: %v", err)
	}
	if got := c.promised("PEN"); got != 6000 {
		t.Errorf("after a release %v", got)
	}
	if err := c.try(first, "s1", "PEN", 11_000); protocol.CodeOf(err) != protocol.Short {
		t.Errorf("more than the hold and what is left: %v", err)
	}
	if err := c.try(first, "s2", "PEN", 1000); protocol.CodeOf(err) != protocol.Short && protocol.CodeOf(err) != protocol.Conflict {
		t.Errorf("ordered in another store: %v", err)
	}
	c.must(c.try(first, "s1", "PEN", 9000))
	if got := c.promised("PEN"); got != 1000 {
		t.Errorf("after 9 of 10 were ordered by the hold %v", got)
	}
	if err := c.try(first, "s1", "PEN", 1000); protocol.CodeOf(err) != protocol.Conflict {
		t.Errorf("a hold that became an order is used again: %v", err)
	}
	if n := c.holdRows(); n != 0 || len(c.holds.items) != 0 {
		t.Errorf("%d rows are left, and in memory %v", n, c.holds.items)
	}
}

// TestI17_HoldsEndByRunningTime: neither a clock that is wrong by years nor a hub
// that is down ends a hold, and one that has ended counts no longer, at once.
func TestI17_HoldsEndByRunningTime(t *testing.T) {
	c, _ := shop(t, 11_000)
	id, err := c.hold("", 4000, 60)
	c.must(err)
	var wrong time.Duration
	now := c.now
	c.Hub.now = func() time.Time { return now().Add(wrong) }
	c.time += 59 * time.Second
	for _, wrong = range []time.Duration{10 * 365 * 24 * time.Hour, -10 * 365 * 24 * time.Hour, 0} {
		c.must(c.Tick(t.Context()))
		if got := c.promised("PEN"); got != 6000 {
			t.Errorf("with a clock that is %v off: %v", wrong, got)
		}
	}
	c.time += time.Second
	if got := c.promised("PEN"); got != 10_000 {
		t.Errorf("after its time %v", got)
	}
	if err := c.try(id, "s1", "PEN", 1000); protocol.CodeOf(err) != protocol.Conflict {
		t.Errorf("an order by a hold that is over: %v", err)
	}
	if n := c.holdRows(); n != 2 {
		t.Errorf("%d rows before the next tick", n)
	}
	later, err := c.hold("", 1000, 3600)
	c.must(err)
	c.must(c.Tick(t.Context()))
	if n := c.holdRows(); n != 2 || !c.holds.some("s1", "PEN") {
		t.Errorf("%d rows after the tick, of the other hold", n)
	}
	c.must(c.ReleaseHold(t.Context(), later))
	// Many end at once.
	for range holdsEndedAtOnce/100 + 1 {
		_, err := c.hold("", 1000, 10)
		c.must(err)
	}
	c.time += 10 * time.Second
	c.must(c.Tick(t.Context()))
	if n := c.holdRows(); n != 0 || len(c.holds.items) != 0 {
		t.Errorf("%d rows are left, and in memory %v", n, c.holds.items)
	}
}

func TestHoldThatIsRefused(t *testing.T) {
	c, _ := shop(t, 10_000)
	one, none, second, day := protocol.Quantity(1000), protocol.Quantity(0), int64(1), int64(24*60*60+1)
	pen := []pickup.PlaceLine{{Code: "PEN", Qty: &one}}
	for name, at := range map[string]struct {
		r    pickup.HoldRequest
		code protocol.Code
	}{
		"no store":      {pickup.HoldRequest{Lines: pen, TTLS: &second}, protocol.OutOfRangeCode},
		"unknown store": {pickup.HoldRequest{Store: "s9", Lines: pen, TTLS: &second}, protocol.UnknownStore},
		"no lines":      {pickup.HoldRequest{Store: "s1", TTLS: &second}, protocol.OutOfRangeCode},
		"nothing":       {pickup.HoldRequest{Store: "s1", Lines: []pickup.PlaceLine{{Code: "PEN", Qty: &none}}, TTLS: &second}, protocol.OutOfRangeCode},
		"unknown item":  {pickup.HoldRequest{Store: "s1", Lines: []pickup.PlaceLine{{Code: "X", Qty: &one}}, TTLS: &second}, protocol.UnknownCode},
		"no time":       {pickup.HoldRequest{Store: "s1", Lines: pen}, protocol.OutOfRangeCode},
		"too long":      {pickup.HoldRequest{Store: "s1", Lines: pen, TTLS: &day}, protocol.OutOfRangeCode},
	} {
		if _, err := c.Hold(t.Context(), protocol.Call{}, at.r); protocol.CodeOf(err) != at.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := c.try("h-1", "s1", "PEN", 1000); protocol.CodeOf(err) != protocol.Conflict {
		t.Errorf("an order by a hold that never was: %v", err)
	}
}
