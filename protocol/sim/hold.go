package sim

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/pickup"
	"counterpart/protocol/stock"
)

// carts are the carts of the online shop's shoppers, for which the hub is asked
// to hold goods, and the auditor's own account of what is held.
type carts struct {
	w      *world
	rnd    *rand.Rand
	filled int
	asked  *cart // whose hold is being asked for at this moment
	// orders are the holds that orders name, by the orders' keys.
	orders map[string]orderByHold
	// released are holds that the shop gave up, answered or not.
	released map[string]bool
	open     map[string]*held // what the hub holds, also when nobody was told
	taken    []heldRow        // of the commit at hand
}

// cart is what a shopper means to order.
type cart struct {
	key     string
	request pickup.HoldRequest
	id      string // of its hold, once that is answered
	tries   int
}

// orderByHold is what an order's request names.
type orderByHold struct {
	hold  string
	store protocol.StoreID
}

// held is a hold as the auditor keeps it. It ends by the running time that the
// auditor counts, whatever the hub wrote down.
type held struct {
	store  protocol.StoreID
	goods  map[protocol.SKU]protocol.Quantity
	endsMs int64
}

// heldRow is a hold's row in a commit; nil goods: it is deleted.
type heldRow struct {
	id   string
	hold *held
}

func (w *world) newCarts() *carts {
	if w.plan.Orders == 0 || w.plan.Holds == 0 {
		return nil
	}
	return &carts{w: w, rnd: w.source("carts"), orders: map[string]orderByHold{}, released: map[string]bool{}, open: map[string]*held{}}
}

// plan puts the carts of the run into the calendar.
func (c *carts) plan() {
	if c == nil {
		return
	}
	for range c.w.plan.Holds {
		c.w.schedule(10*time.Minute+upTo(c.rnd, time.Duration(c.w.plan.Hours-3)*time.Hour), c.want)
	}
}

// want brings goods to a store, whose shelves may be sold out by then, and then a
// shopper who wants them.
func (c *carts) want() {
	c.filled++
	ttl := []int64{1, 30, 600, 3600, 86_400}[c.rnd.IntN(5)]
	k := &cart{key: fmt.Sprint("hold-", c.filled), request: pickup.HoldRequest{Store: "s1", TTLS: &ttl}}
	if c.rnd.IntN(3) == 0 {
		k.request.Store = "s2"
	}
	var list []protocol.SKU
	for range 1 + c.rnd.IntN(2) {
		sku := protocol.SKU(fmt.Sprintf("SKU%d", c.rnd.IntN(skus)))
		list = append(list, sku)
		sold := c.w.cloud.book.levels[shelf{k.request.Store, sku}]
		missing := max(0, sold[protocol.Committed]+sold[protocol.Staged]-sold[protocol.OnHand]) + stock.SafetyStockDefault
		c.w.shop.deliver(k.request.Store, sku, missing+protocol.Quantity(2+c.rnd.IntN(20))*1000)
	}
	c.w.schedule(time.Minute+upTo(c.rnd, 10*time.Minute), func() {
		for _, sku := range list {
			k.request.Lines = append(k.request.Lines, c.line(k.request.Store, sku))
		}
		c.hold(k)
	})
}

// line asks for a little, for all that there is, or for more.
func (c *carts) line(store protocol.StoreID, sku protocol.SKU) pickup.PlaceLine {
	q := protocol.Quantity(1+c.rnd.IntN(3)) * 1000
	if all := c.w.promisable(shelf{store, sku}, ""); all > 0 && c.rnd.IntN(2) == 0 {
		q = all + protocol.Quantity(c.rnd.IntN(2))*1000
	}
	return pickup.PlaceLine{Code: string(sku), Qty: &q}
}

// hold asks the hub to hold what is in a cart until it answers.
func (c *carts) hold(k *cart) {
	w := c.w
	again := func(d time.Duration) {
		if !w.quiet {
			w.schedule(d, func() { c.hold(k) })
		}
	}
	if w.cloud.hub == nil || w.cloud.process.usable() != nil {
		again(10 * time.Minute)
		return
	}
	body, err := json.Marshal(&k.request)
	if err != nil {
		w.fail("request of a hold: %v", err)
	}
	k.tries++
	w.trace.mark('h', 255, w.now, uint64(c.filled))
	c.asked = k
	answer, err := w.cloud.hub.Hold(w.ctx, protocol.Call{Route: "POST /v1/holds", Key: k.key, Body: body}, k.request)
	c.asked = nil
	switch code := protocol.CodeOf(err); {
	case err == nil:
		c.answered(k, answer.Body)
	case w.cloud.process.usable() != nil, code == protocol.DiskFull:
		again(time.Minute)
	case code == protocol.Short:
		w.counts.HoldsRefused++
		w.tell("hold refused: %v", err)
		c.refusedFairly("a hold", k.request.Store, k.request.Lines, "", false)
	default:
		w.fail("a hold is not taken: %v", err)
	}
}

// answered notes what the shop is told, and plans what becomes of the cart.
func (c *carts) answered(k *cart, body []byte) {
	w := c.w
	var d pickup.HoldDocument
	if err := json.Unmarshal(body, &d); err != nil || d.ID == "" {
		w.fail("a hold is answered with %s: %v", body, err)
		return
	}
	switch {
	case k.id == "" && k.tries == 1 && c.open[d.ID] == nil:
		w.fail("hold %s is answered, and was not committed (I1)", d.ID)
	case k.id != "" && k.id != d.ID:
		w.fail("request %s is answered with hold %s, then with %s (I3)", k.key, k.id, d.ID)
	case k.id != "":
		return
	}
	k.id = d.ID
	w.counts.Holds++
	w.tell("hold %s at %s for %d s: %s", k.id, k.request.Store, *k.request.TTLS, describe(k.request.Lines))
	if c.rnd.IntN(6) == 0 {
		c.hold(k) // The answer was lost on its way.
	}
	c.decide(k)
}

func describe(lines []pickup.PlaceLine) string {
	var b strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&b, "%s of %s ", l.Qty, l.Code)
	}
	return b.String()
}

// decide plans what a shopper makes of a cart whose goods are held.
func (c *carts) decide(k *cart) {
	w := c.w
	ttl := time.Duration(*k.request.TTLS) * time.Second
	soon := func(fn func()) { w.schedule(w.shop.someTime()/16, fn) }
	switch c.rnd.IntN(8) {
	case 0, 1:
		soon(func() { c.order(k, true) })
	case 2:
		soon(func() { c.order(k, true); c.order(k, true) })
		soon(func() { c.order(k, true) })
	case 3:
		soon(func() { c.release(k); c.release(k) })
		soon(func() { c.order(k, true) })
	case 4, 5:
		soon(func() { c.lapse(ttl - time.Millisecond); c.tickMaybe(); c.order(k, c.rnd.IntN(3) > 0) })
		soon(func() { c.lapse(time.Millisecond); c.order(k, c.rnd.IntN(2) == 0) })
	case 6:
		soon(func() { c.lapse(ttl); c.order(k, c.rnd.IntN(3) == 0) })
	case 7:
		// Forgotten: its goods are somebody else's when its time is over.
		soon(func() { c.order(k, false) })
	}
}

// lapse lets time pass for the hub, which does not look at what is due.
func (c *carts) lapse(d time.Duration) {
	if !c.w.quiet {
		c.w.tell("%v pass for the hub, unnoticed", d)
		c.w.cloud.lapsed += d
	}
}

func (c *carts) tickMaybe() {
	if c.rnd.IntN(2) == 0 {
		c.w.cloud.tick()
	}
}

// order orders what is in a cart: by its hold, as whoever took it does, or without
// it, as anybody else does.
func (c *carts) order(k *cart, byHold bool) {
	if c.w.quiet {
		return
	}
	r := &pickup.PlaceRequest{
		Store: k.request.Store, Method: protocol.InStore, Payment: pickup.PlacePayment{Status: []string{"paid", "due"}[c.rnd.IntN(2)]},
		Lines: slices.Clone(k.request.Lines), Partial: c.rnd.IntN(4) == 0,
	}
	switch c.rnd.IntN(4) {
	case 0:
		r.Lines = append(r.Lines, c.line(r.Store, protocol.SKU(fmt.Sprintf("SKU%d", c.rnd.IntN(skus)))))
	case 1:
		r.Lines = r.Lines[:1]
	}
	if byHold {
		r.Hold = k.id
		if c.rnd.IntN(8) == 0 {
			r.Store = map[protocol.StoreID]protocol.StoreID{"s1": "s2", "s2": "s1"}[r.Store]
		}
	}
	c.w.fetching.limit(r)
	c.w.shop.place(r, nil)
}

// release gives up what a hold keeps, and holds the answer to whether there was
// anything to give up.
func (c *carts) release(k *cart) {
	w := c.w
	if w.cloud.hub == nil || w.cloud.process.usable() != nil {
		return
	}
	open := c.isOpen(k.id)
	c.released[k.id] = true
	w.trace.mark('r', 255, w.now, uint64(c.filled))
	err := w.cloud.hub.ReleaseHold(w.ctx, k.id)
	w.tell("hold %s is released: %v", k.id, err)
	switch code := protocol.CodeOf(err); {
	case w.cloud.process.usable() != nil, code == protocol.DiskFull:
	case open && err != nil:
		w.fail("hold %s is open and is not released: %v", k.id, err)
	case !open && code != protocol.NotFound:
		w.fail("hold %s is over, and its release is answered with %v (I17)", k.id, err)
	case err == nil && c.open[k.id] != nil:
		w.fail("hold %s is released, and is kept (I1)", k.id)
	}
}

// isOpen tells whether the hub has to keep a hold's goods at this moment.
func (c *carts) isOpen(id string) bool {
	h := c.open[id]
	return h != nil && h.endsMs > c.w.cloud.running().Milliseconds()
}

// sum is how much of an item is held, but for one hold.
func (c *carts) sum(at shelf, but string) (q protocol.Quantity) {
	if c == nil {
		return 0
	}
	for id, h := range c.open {
		if h.store == at.store && id != but && c.isOpen(id) {
			q += h.goods[at.sku]
		}
	}
	return q
}

// promisable is the most that may be promised now of an item to whoever has a
// hold, empty for none (I12).
func (w *world) promisable(at shelf, hold string) protocol.Quantity {
	return max(0, w.cloud.book.promisable(at)-w.carts.sum(at, hold))
}

// asksFor notes which hold an order's request names.
func (c *carts) asksFor(key string, r *pickup.PlaceRequest) {
	if c != nil && r.Hold != "" {
		c.orders[key] = orderByHold{r.Hold, r.Store}
	}
}

// holdOf is the hold whose goods an order takes, empty for none. It has to be open
// and of the order's store.
func (c *carts) holdOf(p *promise) string {
	if c == nil || p.key == "" || p.insteadOf > 0 {
		return ""
	}
	by, ok := c.orders[p.key]
	switch {
	case !ok:
		return ""
	case !c.isOpen(by.hold) || slices.ContainsFunc(c.taken, func(r heldRow) bool { return r.id == by.hold }):
		c.w.fail("order %s is placed by hold %s, which is over (I12, I17)", p.PartID, by.hold)
	case c.open[by.hold].store != p.store:
		c.w.fail("order %s at %s is placed by hold %s of %s", p.PartID, p.store, by.hold, c.open[by.hold].store)
	}
	return by.hold
}

// overtaken tells whether an order is refused because the hold that it names is
// over, or another store's.
func (c *carts) overtaken(r *pickup.PlaceRequest, code protocol.Code) bool {
	return c != nil && r.Hold != "" && code == protocol.Conflict && (!c.isOpen(r.Hold) || c.open[r.Hold].store != r.Store)
}

// refusedFairly holds a refusal to what the hub knows: it may not refuse goods that
// it has and that nobody holds, or only a hold whose time is over (I17), or the one
// that the request names. Where policy leaves something to chance a buffer may
// stand in between.
func (c *carts) refusedFairly(what string, store protocol.StoreID, lines []pickup.PlaceLine, hold string, partial bool) {
	if c == nil || !c.w.cloud.generous || store == "" {
		return
	}
	left := map[protocol.SKU]protocol.Quantity{}
	all, some := true, false
	for _, l := range lines {
		sku := protocol.SKU(l.Code)
		if _, ok := left[sku]; !ok {
			left[sku] = c.w.promisable(shelf{store, sku}, hold)
		}
		some = some || left[sku] > 0
		left[sku] -= *l.Qty
		all = all && left[sku] >= 0
	}
	if all || partial && some {
		c.w.fail("%s at %s of %sby hold %q is refused, and there is enough (I12, I17)", what, store, describe(lines), hold)
	}
}

// noteHoldPrefix begins the keys of the rows of holds.
const noteHoldPrefix = "hold\x00"

// inspect holds the rows of holds that the hub is about to commit to what was
// asked for, and to the goods that it knows of.
func (c *carts) inspect(rows []ledger.Row) {
	if c == nil {
		return
	}
	c.taken = c.taken[:0]
	for _, r := range rows {
		if id, ok := strings.CutPrefix(r.Key.ID, noteHoldPrefix); ok && r.Key.Table == ledger.Notes {
			if r.Value == nil {
				c.ends(id)
				c.taken = append(c.taken, heldRow{id: id})
			} else if h := c.begins(id, r.Value); h != nil {
				c.taken = append(c.taken, heldRow{id, h})
			}
		}
	}
}

// begins judges a hold that the hub takes.
func (c *carts) begins(id string, row []byte) *held {
	w := c.w
	var written struct {
		Store protocol.StoreID `json:"store"`
		Goods []struct {
			SKU      protocol.SKU      `json:"sku"`
			Quantity protocol.Quantity `json:"quantity"`
		} `json:"goods"`
	}
	if err := json.Unmarshal(row, &written); err != nil || c.asked == nil {
		w.fail("the hub writes hold %s, which nobody asked for: %v", id, err)
		return nil
	}
	k := c.asked
	h := &held{store: k.request.Store, goods: map[protocol.SKU]protocol.Quantity{}, endsMs: w.cloud.running().Milliseconds() + *k.request.TTLS*1000}
	for _, l := range k.request.Lines {
		h.goods[protocol.SKU(l.Code)] += *l.Qty
	}
	goods := map[protocol.SKU]protocol.Quantity{}
	for _, g := range written.Goods {
		goods[g.SKU] += g.Quantity
	}
	if written.Store != h.store || !maps.Equal(goods, h.goods) {
		w.fail("hold %s keeps %v at %s, asked for were %v at %s", id, goods, written.Store, h.goods, h.store)
	}
	for sku, q := range h.goods {
		if have := w.promisable(shelf{h.store, sku}, ""); q > have {
			w.fail("hold %s keeps %d of %s at %s, of which the acknowledged events and other holds allow %d (I12)", id, q, sku, h.store, have)
		}
	}
	return h
}

// ends judges a hold that the hub forgets: an order took its goods, the shop gave
// it up, or its time is over.
func (c *carts) ends(id string) {
	w := c.w
	ordered := slices.ContainsFunc(w.cloud.disk.watch.arrived, func(a *act) bool {
		p := w.shop.byID[a.part]
		return a.did == didOrder && p != nil && p.insteadOf == 0 && c.orders[p.key].hold == id
	})
	if c.isOpen(id) && !ordered && !c.released[id] {
		w.fail("hold %s is forgotten at %v, before its time (I17)", id, w.cloud.running())
	}
}

// commit makes what inspect saw the state of things.
func (c *carts) commit() {
	if c == nil {
		return
	}
	for _, r := range c.taken {
		if r.hold == nil {
			delete(c.open, r.id)
		} else {
			c.open[r.id] = r.hold
		}
	}
	c.taken = c.taken[:0]
}

// copy is what is held, for a backup.
func (c *carts) copy() map[string]*held {
	if c == nil {
		return nil
	}
	return maps.Clone(c.open)
}

// restore brings back what was held.
func (c *carts) restore(from map[string]*held) {
	if c != nil {
		c.open = maps.Clone(from)
	}
}
