package hub

import (
	"sync"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/stock"
)

// silence is the longest that any machine of a store has been silent: from the
// moment at which the hub had all that the machine told of, counted while the
// store was open. A dark machine does not hide behind one that is heard, and one
// that is still draining a backlog is silent. It is unlimited where a machine was
// never heard. Clocks can only make it longer: one that went ahead makes the
// stretch longer, one that falls behind makes it unlimited.
func (c *connections) silence(store *protocol.StoreRecord, streams []ledger.StreamInfo, t storeTimes) time.Duration {
	now := c.now
	if now.Before(c.clock.high) {
		if c.clock.high.Sub(now) > clockSlack {
			return stock.SilenceUnlimited
		}
		now = c.clock.high
	}
	machines := c.machines(store.ID, streams)
	if len(machines) == 0 {
		return stock.SilenceUnlimited
	}
	since := now
	for _, id := range machines {
		p := c.agents[id]
		if p.CaughtUpAt.IsZero() || p.era != c.clock.era {
			return stock.SilenceUnlimited
		}
		if p.CaughtUpAt.Before(since) {
			since = p.CaughtUpAt
		}
	}
	return t.hours.Open(since, now, t.place)
}

// storeTimes is how a store's clock and week are to be read.
type storeTimes struct {
	place *time.Location
	hours stock.Hours
}

// timetables remembers what was read of time zones and opening hours, which
// takes long compared with everything that needs it.
type timetables struct {
	mu     sync.Mutex
	places map[string]*time.Location
	hours  map[string]stock.Hours
}

// timetablesMax bounds what is remembered of each.
const timetablesMax = 10_000

// timesOf reads the time zone and the opening hours of a store. A zone that is
// not known here is UTC, and hours that cannot be read are those of a store that
// is always open; imports take in neither.
func (h *Hub) timesOf(store *protocol.StoreRecord) storeTimes {
	t := &h.times
	t.mu.Lock()
	defer t.mu.Unlock()
	place, ok := t.places[store.Timezone]
	if !ok {
		var err error
		if place, err = time.LoadLocation(store.Timezone); err != nil {
			place = time.UTC
		}
		if t.places == nil || len(t.places) >= timetablesMax {
			t.places = map[string]*time.Location{}
		}
		t.places[store.Timezone] = place
	}
	hours, ok := t.hours[store.OpeningHours]
	if !ok {
		hours, _ = stock.ParseHours(store.OpeningHours)
		if t.hours == nil || len(t.hours) >= timetablesMax {
			t.hours = map[string]stock.Hours{}
		}
		t.hours[store.OpeningHours] = hours
	}
	return storeTimes{place: place, hours: hours}
}
