package hub

import (
	"encoding/json"
	"fmt"
	"math"
	"testing"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/pickup"
	"counterpart/protocol/stock"
)

// shop is a core whose stores sell pens, of which the first has some.
func shop(t *testing.T, pens protocol.Quantity) (*core, *player) {
	t.Helper()
	c := newCore(t)
	mustTakeIn(t, c.Hub, ItemsTable, "sku,name,category,price_minor\nPEN,Pen,stationery,250\nINK,Ink,stationery,900\n")
	p := c.player("s1", "a1", 1)
	p.greet()
	receive(t, c.Hub, stream("s1", protocol.HubAgent, 99), "PEN", pens)
	return c, p
}

// promised is what may be promised of an item in the first store, which every way of
// asking has to agree on.
func (c *core) promised(sku string) protocol.Quantity {
	c.t.Helper()
	doc, err := c.Availability(c.t.Context(), AvailabilityQuery{Code: sku, Store: "s1"})
	if err != nil {
		c.t.Fatal(err)
	}
	q := doc.Results[0].Promisable
	err = c.Stock(c.t.Context(), "s1", func(row any) error {
		if l := row.(LevelDocument); string(l.SKU) == sku && l.Promisable != q {
			c.t.Errorf("of %s availability says %v, the stock listing %v", sku, q, l.Promisable)
		}
		return nil
	})
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.try("", "s1", sku, q+1000); protocol.CodeOf(err) != protocol.Short {
		c.t.Errorf("one more than %v of %s is answered %v", q, sku, err)
	}
	return q
}

// beat is a sign of life that tells how far a machine is.
func (p *player) beat(last protocol.Seq) {
	p.c.receive(payload(p.c.t, p.up(), &protocol.Beat{Session: p.session, LastSeq: last}))
}

func placing(store protocol.StoreID, sku string, q protocol.Quantity) pickup.PlaceRequest {
	return pickup.PlaceRequest{Store: store, Method: protocol.InStore, Payment: pickup.PlacePayment{Status: "due"}, Lines: []pickup.PlaceLine{{Code: sku, Qty: &q}}}
}

// try orders, by a hold where one is named.
func (c *core) try(hold string, store protocol.StoreID, sku string, q protocol.Quantity) error {
	r := placing(store, sku, q)
	r.Hold = hold
	_, err := c.PlaceOrder(c.t.Context(), protocol.Call{Route: "POST /v1/orders"}, r)
	return err
}

func (c *core) set(row string) error {
	var r stock.PolicyRequest
	if err := protocol.DecodeJSON([]byte(row), &r); err != nil {
		c.t.Fatal(err)
	}
	_, err := c.SetPolicy(c.t.Context(), r)
	return err
}

func (c *core) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// TestMostSpecificPolicyWins adds rows from the one that names least to the one
// that names most, and takes them away again.
func TestMostSpecificPolicyWins(t *testing.T) {
	c, _ := shop(t, 100_000)
	rows := []struct {
		about string
		left  protocol.Quantity
	}{
		{``, 90_000},
		{`"store":"s1",`, 89_000},
		{`"category":"stationery",`, 88_000},
		{`"store":"s1","category":"stationery",`, 87_000},
		{`"code":"PEN",`, 86_000},
		{`"store":"s1","code":"PEN",`, 85_000},
	}
	if got := c.promised("PEN"); got != 99_000 {
		t.Errorf("without a policy %v", got)
	}
	for i, row := range rows {
		c.must(c.set(fmt.Sprintf(`{%s"safety_stock":%d}`, row.about, 10+i)))
		if got := c.promised("PEN"); got != row.left {
			t.Errorf("after {%s} %v, want %v", row.about, got, row.left)
		}
	}
	// What a row leaves out is left to the next one.
	c.must(c.set(`{"store":"s1","category":"stationery","online":false}`))
	if got := c.promised("PEN"); got != 0 {
		t.Errorf("of a category that is not sold online %v", got)
	}
	c.must(c.set(`{"store":"s1","code":"PEN","online":true}`))
	if got := c.promised("PEN"); got != 86_000 {
		t.Errorf("of an item that is sold although its category is not %v", got)
	}
	if doc, err := c.Availability(t.Context(), AvailabilityQuery{Code: "PEN", Store: "s2"}); err != nil || doc.Results[0].Promisable != 0 {
		t.Errorf("in another store: %+v %v", doc, err)
	}
	for i := len(rows) - 1; i >= 0; i-- {
		c.must(c.set(`{` + rows[i].about + `"online":null}`))
	}
	if got := c.promised("PEN"); got != 99_000 {
		t.Errorf("without any row again %v", got)
	}
	if list, err := c.Policies(t.Context(), Page{Limit: 10}); err != nil || len(list.Items) != 0 {
		t.Errorf("rows that were taken away are listed: %+v, %v", list, err)
	}
}

// TestPolicyIsListedInPages also shows that a row survives a restart.
func TestPolicyIsListedInPages(t *testing.T) {
	c, _ := shop(t, 0)
	for _, row := range []string{
		`{"store":"s2","code":"PEN","safety_stock":2.5}`, `{"overpromise_target_ppm":5000}`, `{"category":"toys/games","online":false}`, `{"code":"PEN","safety_stock":0}`,
	} {
		c.must(c.set(row))
	}
	writes := c.disk.updates.Load()
	c.must(c.set(`{"code":"PEN","safety_stock":0}`))
	if head := func() (n uint64) {
		c.must(c.view(t.Context(), func(r ledger.Reader) (err error) { n, err = ledger.FeedHead(r, protocol.FeedCatalog); return err }))
		return n
	}(); head != 5 || c.disk.updates.Load() != writes+1 {
		t.Errorf("the same row again: the feed leads to %d after two items and three rows of all stores", head)
	}
	var got []string
	for page := (Page{Limit: 3}); ; {
		list, err := c.Policies(t.Context(), page)
		c.must(err)
		for _, row := range list.Items {
			b, err := json.Marshal(row)
			c.must(err)
			got = append(got, string(b))
		}
		if list.Next == nil {
			break
		}
		page.After = *list.Next
	}
	want := []string{
		`{"store":null,"category":null,"sku":null,"gtin":null,"safety_stock":null,"online":null,"overpromise_target_ppm":5000}`,
		`{"store":null,"category":"toys/games","sku":null,"gtin":null,"safety_stock":null,"online":false,"overpromise_target_ppm":null}`,
		`{"store":null,"category":null,"sku":"PEN","gtin":null,"safety_stock":0,"online":null,"overpromise_target_ppm":null}`,
		`{"store":"s2","category":null,"sku":"PEN","gtin":null,"safety_stock":2.5,"online":null,"overpromise_target_ppm":null}`,
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the policy is\n%v\nwant\n%v", got, want)
	}
	*c.policies.Load() = nil
	c.must(c.loadPolicies(t.Context()))
	if n := len(*c.policies.Load()); n != 4 {
		t.Errorf("after a restart there are %d rows", n)
	}
}

func TestPolicyThatIsRefused(t *testing.T) {
	c, _ := shop(t, 0)
	for row, code := range map[string]protocol.Code{
		`{"store":"s9","safety_stock":1}`:                      protocol.UnknownStore,
		`{"store":"no such","safety_stock":1}`:                 protocol.UnknownStore,
		`{"code":"PENCIL","safety_stock":1}`:                   protocol.UnknownCode,
		`{"code":"PEN","category":"toys","safety_stock":1}`:    protocol.OutOfRangeCode,
		`{"category":"a\u0007b","safety_stock":1}`:             protocol.OutOfRangeCode,
		`{"safety_stock":-1}`:                                  protocol.OutOfRangeCode,
		`{"overpromise_target_ppm":0}`:                         protocol.OutOfRangeCode,
		`{"overpromise_target_ppm":1000001}`:                   protocol.OutOfRangeCode,
		fmt.Sprintf(`{"category":"%0600d","online":false}`, 1): protocol.OutOfRangeCode,
	} {
		if err := c.set(row); protocol.CodeOf(err) != code {
			t.Errorf("%s is answered %v", row, err)
		}
	}
}

// TestSilence shows that the longest silence of any machine counts, in opening
// time, that it survives a restart, and that a machine that was never heard is
// silent without end.
func TestSilence(t *testing.T) {
	c := newCore(t)
	mustTakeIn(t, c.Hub, StoresTable, "id,name,timezone,opening_hours\ns1,High Street,Europe/London,Mo-Sa 08:00-20:00\n")
	if got := c.silenceOf("s1"); got != stock.SilenceUnlimited {
		t.Errorf("before anybody was heard %v", got)
	}
	a1, a2 := c.player("s1", "a1", 1), c.player("s1", "a2", 2)
	a1.greet()
	a2.greet()
	a2.beat(0)
	for _, at := range []struct {
		time, silence time.Duration
	}{
		{40 * time.Second, 40 * time.Second},
		{3 * time.Hour, 3 * time.Hour},
		{10 * time.Hour, 10 * time.Hour}, // it closes at 20:00, ten hours later
		{30 * time.Hour, 10 * time.Hour},
		{47 * time.Hour, 11 * time.Hour}, // Monday morning
	} {
		c.time = at.time
		a1.beat(0) // one machine that is heard hides no other
		if got := c.silenceOf("s1"); got != at.silence {
			t.Errorf("after %v the store has been silent for %v, want %v", at.time, got, at.silence)
		}
	}
	a2.beat(7) // a backlog that is yet to come
	if got := c.silenceOf("s1"); got != 11*time.Hour {
		t.Errorf("with a backlog %v", got)
	}
	c.time += seenSaveEvery
	a1.beat(0)
	c.restart()
	if got := c.silenceOf("s1"); got != 11*time.Hour+seenSaveEvery {
		t.Errorf("after a restart %v", got)
	}
	a2.hello.LastSeq = 0
	a2.greet()
	c.time += time.Minute
	a1.greet()
	if got := c.silenceOf("s1"); got != time.Minute {
		t.Errorf("a minute after both were heard %v", got)
	}
	c.player("s1", "a3", 3).sellHere(t)
	if got := c.silenceOf("s1"); got != stock.SilenceUnlimited {
		t.Errorf("with a machine of which only a carried sale is known %v", got)
	}
}

// sellHere logs a sale at the hub as if another machine had carried it there.
func (p *player) sellHere(t *testing.T) {
	t.Helper()
	logAs(t, p.c.Hub, p.origin, receiptOf(protocol.SaleSale, 1, "2026-11-21", 1000, ""))
}

func (c *core) silenceOf(store protocol.StoreID) (d time.Duration) {
	c.t.Helper()
	c.must(c.view(c.t.Context(), func(r ledger.Reader) error {
		record, err := ledger.ReadStore(r, store)
		if err != nil {
			return err
		}
		look, err := c.promises(r).look(record)
		if err == nil {
			d = look.silence
		}
		return err
	}))
	return d
}

// restart opens the hub anew over what is written down.
func (c *core) restart() {
	c.t.Helper()
	o := Options{Driver: c.disk, Currency: "GBP", Log: c.log, Now: c.now, Mono: c.mono, Random: c.random, Send: c.send}
	h, err := New(c.t.Context(), o)
	c.must(err)
	c.Hub = h
}

// sellSteadily has the first store sell a pen every ten minutes for a day, with
// the hub hearing of each, and ends with the hub having written that down.
func sellSteadily(c *core, p *player) {
	c.t.Helper()
	for range 24 * 6 {
		c.time += 10 * time.Minute
		c.receive(p.sell("PEN"))
		p.beat(p.hello.LastSeq)
		c.must(c.Tick(c.t.Context()))
	}
}

// TestSilentStorePromisesLess shows that what may be promised shrinks with the
// silence of a store that sells the item, not of one that does not, and is whole
// again once the store is heard.
func TestSilentStorePromisesLess(t *testing.T) {
	c, p := shop(t, 20_000_000)
	receive(t, c.Hub, stream("s1", protocol.HubAgent, 98), "INK", 100_000)
	sellSteadily(c, p)
	book := 20_000_000 - protocol.Quantity(p.hello.LastSeq)*1000 - 1000
	if got := c.promised("PEN"); got != book {
		t.Errorf("just heard: %v of %v", got, book)
	}
	before := book
	for _, silent := range []time.Duration{time.Hour, 5 * time.Hour, 24 * time.Hour, 72 * time.Hour} {
		start := c.time
		c.time += silent
		got := c.promised("PEN")
		sold := protocol.Quantity(silent/(10*time.Minute)) * 1000
		if got >= before || got > book-sold {
			t.Errorf("after %v: %v, before %v; %v were probably sold", silent, got, before, sold)
		}
		if ink := c.promised("INK"); ink != 99_000 {
			t.Errorf("of an item that nobody bought %v", ink)
		}
		before = got
		c.time = start
	}
	c.restart()
	c.time += time.Hour
	if got := c.promised("PEN"); got >= book {
		t.Errorf("an hour after a restart %v of %v", got, book)
	}
	p.greet()
	if got := c.promised("PEN"); got != book {
		t.Errorf("heard again: %v of %v", got, book)
	}
	c.must(c.set(`{"overpromise_target_ppm":1000000}`))
	c.time += time.Hour
	if got := c.promised("PEN"); got != book {
		t.Errorf("with a target that allows everything %v of %v", got, book)
	}
}

// TestOnlyWalkInsAreDemand: what settles an order, what is practised, what comes
// back and what was sold before the hub knew the store say nothing of how fast an
// item sells.
func TestOnlyWalkInsAreDemand(t *testing.T) {
	line := func(q protocol.Quantity) []protocol.SaleLine {
		return []protocol.SaleLine{{Item: protocol.ItemRef{SKU: "PEN"}, Quantity: q}}
	}
	service := line(1000)
	service[0].Unstocked = true
	got := walkIns([]*protocol.Event{
		nil,
		{Kind: protocol.KindMovement},
		{Movement: &protocol.Movement{Type: protocol.Receipt, Lines: []protocol.MovementLine{{Item: protocol.ItemRef{SKU: "INK"}, Quantity: 9000}}}},
		{Movement: &protocol.Movement{Type: protocol.Count, Lines: []protocol.MovementLine{{Item: protocol.ItemRef{SKU: "INK"}, Quantity: 9000}}}},
		{Sale: &protocol.Sale{Type: protocol.SaleSale, Lines: line(2000)}},
		{Sale: &protocol.Sale{Type: protocol.SaleSale, Lines: line(1000), Training: true}},
		{Sale: &protocol.Sale{Type: protocol.SaleSale, Lines: line(1000), Part: protocol.PartID{Order: "o", Part: 1}}},
		{Sale: &protocol.Sale{Type: protocol.SaleReturn, Lines: line(-1000)}},
		{Sale: &protocol.Sale{Type: protocol.SaleVoid, Lines: line(-1000)}},
		{Sale: &protocol.Sale{Type: protocol.SaleSale, Lines: service}},
	})
	if want := []soldLine{{"INK", 0}, {"PEN", 2000}}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("walk-ins are %v, want %v", got, want)
	}
	c, p := shop(t, 10_000)
	q := c.player("s2", "b1", 2)
	early := []Inbound{q.sell("PEN"), q.sell("PEN")}
	q.greet()
	early[0], early[1] = q.again(early[0]), q.again(early[1])
	c.receive(early...)
	c.receive(p.sell("PEN"))
	if n := len(c.demand.sold["s2"]); n != 0 || len(c.demand.sold["s1"]) != 1 {
		t.Errorf("counted: %v", c.demand.sold)
	}
	c.receive(q.sell("PEN"))
	if n := c.demand.sold["s2"][soldLine{"PEN", 1000}]; n != 1 {
		t.Errorf("of the second store %d sales are counted, want the one after it was known", n)
	}
}

// again is a batch in the player's session.
func (p *player) again(in Inbound) Inbound {
	p.c.t.Helper()
	m, err := protocol.DecodeMessage(in.Payload)
	p.c.must(err)
	b := m.(*protocol.Batch)
	b.Session = p.session
	return payload(p.c.t, p.up(), b)
}

// TestI17_ClocksOnlyShrinkPromises sets the clock wrong by ten years, and by an
// hour, at every point of a store's silence: no promise is ever larger than with
// a clock that is right.
func TestI17_ClocksOnlyShrinkPromises(t *testing.T) {
	const years = 10 * 365 * 24 * time.Hour
	right := map[string]protocol.Quantity{}
	for _, shift := range []time.Duration{0, years, -years, time.Hour, -time.Hour, 13 * time.Hour} {
		for _, from := range []int{0, 2, 4} {
			for _, until := range []int{3, 5, math.MaxInt} {
				c, p := shop(t, 1_000_000)
				var wrong time.Duration
				now := c.now
				c.Hub.now = func() time.Time { return now().Add(wrong) }
				sellSteadily(c, p)
				c.must(c.saveSeen(t.Context()))
				for i := range 7 {
					wrong = 0
					if i >= from && i < until {
						wrong = shift
					}
					ask := func(when string) {
						got := c.promised("PEN")
						if at := fmt.Sprint(i, when); shift == 0 {
							right[at] = got
						} else if got > right[at] {
							t.Errorf("shifted by %v in steps %d to %d: at %s %v is promised, with a right clock %v", shift, from, until, at, got, right[at])
						}
					}
					ask(" before a tick")
					if i%3 == 2 {
						c.restart()
					} else {
						c.must(c.Tick(t.Context()))
					}
					c.time += 25 * time.Minute
					ask(" after it")
				}
				// Once the clock is right and the store is heard, all is well again.
				wrong = 0
				c.must(c.Tick(t.Context()))
				p.greet()
				if got, want := c.promised("PEN"), 1_000_000-protocol.Quantity(p.hello.LastSeq)*1000-1000; got != want {
					t.Errorf("shifted by %v in steps %d to %d: afterwards %v of %v", shift, from, until, got, want)
				}
			}
		}
	}
}
