package sim

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"counterpart/cloud/hub"
	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// courier takes messages from the hub's outbox to an endpoint, as the sender of
// webhooks does: it writes down how far it is after it has delivered, so that what
// was on its way is delivered again after a crash. The endpoint is the auditor's.
type courier struct {
	w       *world
	rnd     *rand.Rand
	process *process // whose courier it is
	coming  bool     // it is about to look into the outbox
	cursor  uint64
	since   map[string]delivered // what this courier has delivered last of each key

	life    int                // how often the hub's database was replaced
	letters map[string]*letter // by message id
	acts    map[string]*act    // that the hub has committed, by the ids of their messages
	commits int
	folded  map[*act]int     // the hub's commit that folded an act
	words   map[shelf]string // the last word about stock
	mailed  bool             // the commit at hand puts messages down
}

// delivered is an event that was told of, and at which of the hub's commits it was
// folded.
type delivered struct {
	commit int
	id     protocol.EventID
}

// letter is a message as the endpoint has got it first.
type letter struct {
	kind, subject string
	body          []byte
	life          int
}

func (w *world) newCourier() *courier {
	if w.plan.Orders == 0 || !w.plan.Webhooks {
		return nil
	}
	return &courier{
		w: w, rnd: w.source("webhooks"), letters: map[string]*letter{}, acts: map[string]*act{}, folded: map[*act]int{},
		words: map[shelf]string{}, since: map[string]delivered{},
	}
}

// subscribe has the hub put messages down from now on.
func (c *courier) subscribe() error {
	if c == nil {
		return nil
	}
	return c.w.cloud.hub.SetWanted(c.w.ctx, hub.Wanted{Events: true, Stock: true})
}

// courierPause is the longest for which messages wait. Time in which they do cannot
// be skipped.
const courierPause = 300 * time.Millisecond

// noteCourier is where the courier writes down how far it is.
const noteCourier = "webhook-cursor\x00simulated"

// begin is a courier of a process that starts.
func (c *courier) begin() {
	if c == nil {
		return
	}
	c.process, c.coming, c.cursor = c.w.cloud.process, false, 0
	clear(c.since)
	if b := c.w.cloud.disk.row(ledger.Key{Table: ledger.Notes, ID: noteCourier}); len(b) == 8 {
		c.cursor = binary.BigEndian.Uint64(b)
	}
	c.come()
}

// come has the courier look into the outbox soon.
func (c *courier) come() {
	if c.coming || c.process == nil {
		return
	}
	c.coming = true
	process := c.process
	c.w.after(upTo(c.rnd, courierPause), func() {
		if c.process == process && c.w.cloud.hub != nil && process.usable() == nil {
			c.coming = false
			c.carry()
		}
	})
}

// carry delivers some messages, and writes down how far it is. The process may end
// in between, and the endpoint may be out of order.
func (c *courier) carry() {
	w := c.w
	limit := 1 + c.rnd.IntN(16)
	list, err := w.cloud.hub.Outbox(w.ctx, c.cursor, limit)
	if err != nil {
		w.fail("the outbox cannot be read: %v", err)
		return
	}
	if len(list) == 0 {
		return
	}
	for i := range list {
		if !w.quiet && c.rnd.IntN(32) == 0 {
			w.schedule(time.Second+upTo(c.rnd, time.Minute), func() { c.come() })
			list = list[:i]
			break
		}
		c.deliver(&list[i])
		c.cursor = list[i].Position
	}
	if !w.quiet && c.rnd.IntN(64) == 0 {
		w.cloud.crash(upTo(c.rnd, time.Minute))
		return
	}
	err = c.process.Update(w.ctx, func(tx ledger.Tx) error {
		return tx.Write([]ledger.Row{{Key: ledger.Key{Table: ledger.Notes, ID: noteCourier}, Value: binary.BigEndian.AppendUint64(nil, c.cursor)}})
	})
	if len(list) == limit || err != nil && c.process.usable() == nil {
		c.come()
	}
}

// envelope is a message as an endpoint reads it.
type envelope struct {
	ID      string `json:"id"`
	Type    string `json:"type"`
	Subject string `json:"subject"`
	Data    struct {
		ID           string           `json:"id"` // of an exception
		EventID      string           `json:"event_id"`
		Order        protocol.OrderID `json:"order"`
		Fulfilment   uint32           `json:"fulfilment"`
		Store        protocol.StoreID `json:"store"`
		Method       protocol.Method  `json:"method"`
		Instead      *uint32          `json:"instead"`
		Reason       *string          `json:"reason"`
		RefundMinor  *protocol.Money  `json:"refund_minor"`
		SKU          protocol.SKU     `json:"sku"`
		Availability string           `json:"availability"`
		Previous     string           `json:"previous"`
		Lines        []struct {
			Changed protocol.Quantity `json:"changed_qty"`
		} `json:"lines"`
	} `json:"data"`
}

// deliver is the endpoint: it holds a message to what the hub has committed, and to
// the one of the same id that came before.
func (c *courier) deliver(m *hub.Outgoing) {
	w := c.w
	w.trace.mark('w', 255, w.now, fingerprint([]byte(m.Type)))
	w.trace.bytes(m.Body)
	l := c.letters[m.ID]
	if l != nil && bytes.Equal(l.body, m.Body) {
		c.inOrder(m.ID, m.Key)
		return
	}
	var e envelope
	if err := json.Unmarshal(m.Body, &e); err != nil || e.ID != m.ID || e.Type != m.Type || e.Subject != m.Key {
		w.fail("message %s %s about %s says %s: %v", m.ID, m.Type, m.Key, m.Body, err)
		return
	}
	w.tell("webhook %s %s about %s", m.ID, m.Type, m.Key)
	if l != nil {
		c.compare(l, m, &e)
	} else {
		w.counts.Told++
		c.letters[m.ID] = &letter{m.Type, m.Key, slices.Clone(m.Body), c.life}
	}
	switch {
	case strings.HasPrefix(m.Type, "order."):
		c.ofOrder(m, &e)
	case m.Type == "exception.opened":
		if m.ID != "msg_"+e.Data.ID {
			w.fail("exception %s is told under id %s", e.Data.ID, m.ID)
		}
	case l == nil && m.Type == "stock.availability_changed":
		at := shelf{e.Data.Store, e.Data.SKU}
		before, known := c.words[at]
		if !known && c.life == 0 {
			before = wordOf(0)
		}
		if before != "" && before != e.Data.Previous || e.Data.Previous == e.Data.Availability {
			w.fail("%s at %s was told to be %q, and then to go from %s to %s", at.sku, at.store, before, e.Data.Previous, e.Data.Availability)
		}
		c.words[at] = e.Data.Availability
	}
}

// wordOf is what an endpoint is told of a quantity.
func wordOf(q protocol.Quantity) string {
	switch {
	case q <= 0:
		return "out_of_stock"
	case q <= 2000:
		return "limited_availability"
	}
	return "in_stock"
}

// compare holds a message to another one of the same id, which is the same unless
// the hub had lost what it knew: then it may know less or more of the order, and
// what the event itself says is the same.
func (c *courier) compare(l *letter, m *hub.Outgoing, e *envelope) {
	if a := c.acts[m.ID]; a != nil && len(c.w.books.acts[a.id]) > 1 {
		return // A copy has used the same number.
	}
	var first envelope
	if err := json.Unmarshal(l.body, &first); err != nil || l.life == c.life || first.essence() != e.essence() {
		c.w.fail("message %s says %s, and said %s", m.ID, m.Body, l.body)
	}
}

// essence is what a message says by itself, whatever else the hub knows.
func (e envelope) essence() string {
	e.Data.Previous = ""
	b, err := json.Marshal(e)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// ofOrder holds a message about an order to what was done.
func (c *courier) ofOrder(m *hub.Outgoing, e *envelope) {
	a := c.acts[m.ID]
	switch {
	case m.ID != "msg_"+e.Data.EventID || a == nil:
		c.w.fail("message %s tells of event %s, which the hub has not committed", m.ID, e.Data.EventID)
	case len(c.w.books.acts[a.id]) > 1:
	case a.part != protocol.PartID{Order: e.Data.Order, Part: e.Data.Fulfilment} || string(e.Data.Order) != m.Key || e.Data.Store != a.store:
		c.w.fail("message %s about %s of order %s tells of order %s part %d at %s", m.ID, a.did, a.part, e.Data.Order, e.Data.Fulfilment, e.Data.Store)
	default:
		c.inOrder(m.ID, m.Key)
	}
}

// inOrder demands that the messages of an order come as the hub has come to know
// of what they tell.
func (c *courier) inOrder(id, key string) {
	a := c.acts[id]
	if a == nil || len(c.w.books.acts[a.id]) > 1 {
		return
	}
	at := c.folded[a]
	for _, b := range c.w.books.parts[a.part] {
		if b.did == didOrder {
			at = max(at, c.folded[b]) // Nothing is told of an order that is not known.
		}
	}
	last := c.since[key]
	if at < last.commit || at == last.commit && a.id.Inc == last.id.Inc && a.id.Seq < last.id.Seq {
		c.w.fail("message %s about order %s comes behind one of what happened later", id, key)
	}
	c.since[key] = delivered{at, a.id}
}

// noteOutboxPrefix begins the keys of the outbox's messages.
const noteOutboxPrefix = "outbox\x00"

// inspect looks for messages in what the hub is about to commit.
func (c *courier) inspect(rows []ledger.Row) {
	if c != nil {
		c.mailed = slices.ContainsFunc(rows, func(r ledger.Row) bool {
			return r.Key.Table == ledger.Notes && r.Value != nil && strings.HasPrefix(r.Key.ID, noteOutboxPrefix)
		})
	}
}

// commit notes what the hub has come to know.
func (c *courier) commit(arrived []*act) {
	if c == nil {
		return
	}
	c.commits++
	for _, a := range arrived {
		if a.part.Part > 0 && !c.w.cloud.book.counted[a] {
			c.folded[a] = c.commits
			c.acts["msg_"+a.id.String()] = a
		}
	}
	if c.mailed {
		c.come()
	}
}

// restored says that the hub has another database.
func (c *courier) restored() {
	if c != nil {
		c.life++
		clear(c.words)
	}
}

// audit demands that everything of interest was told.
func (c *courier) audit(r ledger.Reader, held map[*act]bool) error {
	if c == nil {
		return nil
	}
	for _, p := range c.w.shop.promises {
		list := slices.DeleteFunc(slices.Clone(c.w.books.parts[p.PartID]), func(a *act) bool { return !held[a] })
		if !slices.ContainsFunc(list, func(a *act) bool { return a.did == didOrder }) {
			continue
		}
		for _, a := range list {
			if c.letters["msg_"+a.id.String()] == nil {
				return fmt.Errorf("nobody was told of %s of order %s, %s", a.did, a.part, a.id)
			}
		}
	}
	list, err := ledger.Exceptions(r)
	if err != nil {
		return err
	}
	for i := range list {
		if e := &list[i]; len(e.Events) > 0 && c.letters["msg_"+e.ID()] == nil {
			return fmt.Errorf("nobody was told of exception %s %s", e.Kind, e.Subject)
		}
	}
	for at := range c.w.cloud.book.levels {
		was, known := c.words[at]
		if !known && c.life == 0 {
			was = wordOf(0)
		}
		if now := wordOf(c.w.cloud.book.promisable(at)); was != "" && was != now {
			return fmt.Errorf("%s at %s is %s in the end, and was told to be %s", at.sku, at.store, now, was)
		}
	}
	return nil
}
