package till

import (
	"sync"
	"sync/atomic"
	"time"

	"counterpart/protocol"
)

// How many wrong codes or phone numbers an order takes, and within how long, in
// running time. Digits of a phone number are few, and whoever guesses stands at
// the desk.
const (
	guessesMax    = 5
	guessesWithin = 15 * time.Minute
	guessedMax    = 10_000 // orders that are remembered before old ones are dropped
)

// guesses are the tries to collect orders that were not right. They are forgotten
// at a restart, which whoever guesses cannot bring about.
type guesses struct {
	wrong atomic.Uint64
	mu    sync.Mutex
	tries map[protocol.OrderID][]int64 // when each was made, running milliseconds
}

// begin takes note of a try, which counts as wrong until end says otherwise, so
// that many at once are no more than many in a row. It refuses one too many.
func (g *guesses) begin(id protocol.OrderID, nowMs int64) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.tries == nil {
		g.tries = map[protocol.OrderID][]int64{}
	}
	if len(g.tries) > guessedMax {
		for other := range g.tries {
			g.forget(other, nowMs)
		}
	}
	g.forget(id, nowMs)
	list := g.tries[id]
	if len(list) >= guessesMax {
		waitS := (list[0]+guessesWithin.Milliseconds()-nowMs)/1000 + 1
		return protocol.Refuse(protocol.SlowDown, "Too many wrong codes were tried for this order. Nothing was handed over. Look at the shopper's message or call head office, and try again later.").
			With("retry_after_s", waitS)
	}
	g.tries[id] = append(list, nowMs)
	return nil
}

// forget drops tries of long ago; g.mu is held.
func (g *guesses) forget(id protocol.OrderID, nowMs int64) {
	list := g.tries[id]
	for len(list) > 0 && nowMs-list[0] >= guessesWithin.Milliseconds() {
		list = list[1:]
	}
	if g.tries[id] = list; len(list) == 0 {
		delete(g.tries, id)
	}
}

// end says what came of the last try: a right one forgets all before it, and one
// that failed for another reason was none.
func (g *guesses) end(id protocol.OrderID, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	list := g.tries[id]
	switch {
	case protocol.CodeOf(err) == protocol.Forbidden:
		g.wrong.Add(1)
		return
	case err != nil && len(list) > 1:
		g.tries[id] = list[:len(list)-1]
		return
	}
	delete(g.tries, id)
}

// WrongCodes counts the tries to collect an order with a wrong code or phone
// number since the start.
func (t *Till) WrongCodes() uint64 { return t.guesses.wrong.Load() }
