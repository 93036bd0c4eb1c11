package hub

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/pickup"
)

// logged logs an event at the player's machine and is the batch that carries it
// up.
func (p *player) logged(ev *protocol.Event) Inbound {
	p.c.t.Helper()
	err := p.log.Update(p.c.t.Context(), func(tx ledger.Tx) error {
		res, err := ledger.Log(tx, p.origin, protocol.Clock{WallMs: 1_763_719_200_000}, ev)
		p.hello.LastSeq, p.hello.LastHash = res.Stream.Seq, res.Stream.Hash
		return err
	})
	if err != nil {
		p.c.t.Fatal(err)
	}
	return p.batch(p.hello.LastSeq, 1)
}

// goods come in, or go where qty is below zero.
func goods(sku protocol.SKU, qty protocol.Quantity) *protocol.Event {
	return &protocol.Event{
		Kind:     protocol.KindMovement,
		Movement: &protocol.Movement{Type: protocol.Receipt, Lines: []protocol.MovementLine{{Item: protocol.ItemRef{SKU: sku}, Quantity: qty, State: protocol.OnHand}}},
		Moves:    []protocol.Move{{SKU: sku, State: protocol.OnHand, Delta: qty}},
	}
}

// act is what staff do to a part of an order.
func act(part protocol.PartID, a protocol.Act, qty ...protocol.Quantity) *protocol.Event {
	f := &protocol.Fulfilment{PartID: part, Act: a, Staff: "s7", Reason: "Ayla did not want it"}
	for i, q := range qty {
		f.Lines = append(f.Lines, protocol.PartLine{Line: uint32(i + 1), Quantity: q})
	}
	return &protocol.Event{Kind: protocol.KindFulfilment, Fulfilment: f}
}

// told are the messages of the outbox, as "type id-suffix".
func told(t *testing.T, h *Hub) (types, ids []string) {
	t.Helper()
	list, err := h.Outbox(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range list {
		types, ids = append(types, m.Type), append(ids, m.ID)
		var ce cloudEvent
		if err := json.Unmarshal(m.Body, &ce); err != nil || ce.ID != m.ID || ce.Type != m.Type || ce.Subject != m.Key || ce.SpecVersion != "1.0" || ce.Source != messageSource {
			t.Errorf("message %+v, %v", m, err)
		}
		if text := string(m.Body); strings.Contains(text, "Ayla") || strings.Contains(text, "4501234567") {
			t.Errorf("a message names the shopper: %s", text)
		}
	}
	return types, ids
}

// shopCore is a hub with ten pens at s1, whose agent is in session.
func shopCore(t *testing.T, w Wanted) (*core, *player) {
	t.Helper()
	c := newCore(t)
	mustTakeIn(t, c.Hub, ItemsTable, "sku,name,price_minor\nPEN,Pen,250\n")
	p := c.player("s1", "a1", 1)
	p.greet()
	c.receive(p.logged(goods("PEN", 10_000)))
	if err := c.SetWanted(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	return c, p
}

func (c *core) order(qty protocol.Quantity) protocol.PartID {
	c.t.Helper()
	r := pickup.PlaceRequest{Store: "s1", Method: protocol.InStore, Lines: []pickup.PlaceLine{{Code: "PEN", Qty: &qty}}}
	r.Payment.Status, r.Payment.Reference = "paid", "pi_1"
	r.Shopper.Name, r.Shopper.Phone = "Ayla", "+994501234567"
	answer, err := c.PlaceOrder(c.t.Context(), protocol.Call{}, r)
	if err != nil {
		c.t.Fatal(err)
	}
	var doc struct{ ID protocol.OrderID }
	if err := json.Unmarshal(answer.Body, &doc); err != nil {
		c.t.Fatal(err)
	}
	return protocol.PartID{Order: doc.ID, Part: 1}
}

// TestOutboxTellsOfOrders takes an order through a life with a shortage. Each
// event that the shop may want is told once, with an id that names the event.
func TestOutboxTellsOfOrders(t *testing.T) {
	c, p := shopCore(t, Wanted{Events: true})
	part := c.order(4000)
	c.receive(p.logged(act(part, protocol.Accept)))
	pick := p.logged(act(part, protocol.Pick, 3000))
	c.receive(pick, pick)
	c.receive(p.logged(act(part, protocol.Ready)), p.logged(act(part, protocol.HandOver, 3000)))
	types, ids := told(t, c.Hub)
	want := []string{"order.placed", "order.accepted", "order.picked", "order.shortage", "order.ready", "order.picked_up", "order.refund_requested"}
	if !slices.Equal(types, want) {
		t.Errorf("told %v, want %v", types, want)
	}
	for i, n := range map[int]int{1: 2, 2: 3, 4: 4, 5: 5} {
		if want := fmt.Sprintf("msg_%s-%d", p.origin.Inc, n); ids[i] != want {
			t.Errorf("message %d has id %s, want %s", i, ids[i], want)
		}
	}
	list, _ := c.Outbox(t.Context(), 3, 1)
	var short struct{ Data orderMessage }
	if err := json.Unmarshal(list[0].Body, &short); err != nil || short.Data.Reason == nil || *short.Data.Reason != "shortage" || short.Data.Lines[0].ReleasedQty != 1000 ||
		short.Data.Lines[0].ChangedQty != 1000 || *short.Data.StoreState != "partially_picked" || short.Data.Payment != "paid" {
		t.Errorf("the shortage: %s, %v", list[0].Body, err)
	}
}

// TestOutboxNamesSubstitutes tells what was picked in the place of a line, and asks
// for no money back.
func TestOutboxNamesSubstitutes(t *testing.T) {
	c, p := shopCore(t, Wanted{Events: true})
	mustTakeIn(t, c.Hub, ItemsTable, "sku,gtin,name\nINK,4006381333931,Ink\n")
	part := c.order(2000)
	pick := act(part, protocol.Pick, 1000)
	pick.Fulfilment.Lines = append(pick.Fulfilment.Lines, protocol.PartLine{Line: 1, Quantity: 1000, Item: "INK"})
	c.receive(p.logged(pick), p.logged(act(part, protocol.Ready)))
	if types, _ := told(t, c.Hub); !slices.Equal(types, []string{"order.placed", "order.picked", "order.ready"}) {
		t.Errorf("told %v", types)
	}
	list, _ := c.Outbox(t.Context(), 1, 1)
	if want := `"picked_qty":2,"released_qty":0,"changed_qty":2,"amount_minor":500,"substitutes":[{"sku":"INK","gtin":"04006381333931","name":"Ink","qty":1}]`; !strings.Contains(string(list[0].Body), want) {
		t.Errorf("the message lacks %s: %s", want, list[0].Body)
	}
	doc, err := c.Order(t.Context(), part.Order)
	if err != nil || len(doc.Lines[0].Substitutes) != 1 || *doc.Lines[0].Substitutes[0].Name != "Ink" || doc.Lines[0].PickedQty != 2000 {
		t.Errorf("the order: %+v, %v", doc.Lines, err)
	}
}

// TestOutboxCostsNothing wants no message: nothing is written.
func TestOutboxCostsNothing(t *testing.T) {
	c, p := shopCore(t, Wanted{})
	part := c.order(4000)
	c.receive(p.logged(act(part, protocol.Accept)), p.logged(goods("PEN", -9_000)))
	c.time += time.Minute
	if err := c.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	err := c.disk.View(t.Context(), func(r ledger.Reader) error {
		return r.Scan(ledger.Notes, "outbox", "outboy", func(id string, _ []byte) (bool, error) {
			if id != noteOutboxWanted {
				t.Errorf("row %q", id)
			}
			return true, nil
		})
	})
	if err != nil {
		t.Error(err)
	}
}

// copyOf is a backup of a database.
func copyOf(t *testing.T, d ledger.Driver) *ledger.Memory {
	t.Helper()
	m := ledger.NewMemory()
	err := d.View(t.Context(), func(r ledger.Reader) error {
		return m.Update(t.Context(), func(tx ledger.Tx) error {
			var failed error
			for table := range ledger.TableCount {
				failed = errors.Join(failed, r.Scan(table, "", "", func(id string, v []byte) (bool, error) {
					return true, tx.Write([]ledger.Row{{Key: ledger.Key{Table: table, ID: id}, Value: bytes.Clone(v)}})
				}))
			}
			return failed
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// reopen opens the hub anew over a database.
func (c *core) reopen(d ledger.Driver) {
	c.t.Helper()
	var err error
	c.disk = &moodyDriver{Driver: d}
	c.Hub, err = New(c.t.Context(), Options{
		Driver: c.disk, Currency: "GBP", Log: c.log, Now: c.now, Mono: c.mono, Random: c.random, Send: c.send,
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

// TestOutboxOfARestoredHub takes the same events in again after a restore. They
// are told under the same ids.
func TestOutboxOfARestoredHub(t *testing.T) {
	c, p := shopCore(t, Wanted{Events: true})
	part := c.order(4000)
	backup := copyOf(t, c.disk)
	unknown := act(protocol.PartID{Order: "o-nobody", Part: 1}, protocol.Accept)
	events := []*protocol.Event{act(part, protocol.Accept), act(part, protocol.Reject), unknown, unknown}
	for _, ev := range events {
		c.receive(p.logged(ev))
	}
	_, before := told(t, c.Hub)
	for i, id := range before {
		if slices.Contains(before[:i], id) {
			t.Errorf("%s is told twice", id)
		}
	}
	c.reopen(backup)
	p.greet()
	c.receive(p.batch(2, 4))
	types, after := told(t, c.Hub)
	var fold []string // what the hub logs itself has ids of its own
	for i, id := range after {
		if strings.Contains(id, p.origin.Inc.String()) || strings.HasPrefix(id, "msg_x-") || types[i] == "order.placed" {
			fold = append(fold, id)
		}
	}
	if len(fold) != 4 || slices.ContainsFunc(fold, func(id string) bool { return !slices.Contains(before, id) }) {
		t.Errorf("told %v %v, before %v", types, fold, before)
	}
}

// TestOutboxTellsOfStock sells pens until few are left, and restarts the hub
// before it tells. A level that goes and comes back is not told of.
func TestOutboxTellsOfStock(t *testing.T) {
	c, p := shopCore(t, Wanted{Stock: true})
	tick := func(want ...string) {
		t.Helper()
		c.time += outboxEvery
		if err := c.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
		if types, _ := told(t, c.Hub); !slices.Equal(types, want) {
			t.Fatalf("told %v, want %v", types, want)
		}
	}
	c.receive(p.logged(goods("PEN", -9_000)))
	c.receive(p.logged(goods("PEN", 9_000)))
	tick()
	c.receive(p.logged(goods("PEN", -6_000)))
	tick()
	c.receive(p.logged(goods("PEN", -1_000)))
	c.reopen(c.disk.Driver)
	low := []string{typeAvailabilityChanged, typeStockLow}
	tick(low...)
	p.greet()
	c.receive(p.logged(goods("PEN", -3_000)))
	tick(append(low, typeAvailabilityChanged)...)
	c.receive(p.logged(goods("PEN", 9_000)))
	tick(append(low, typeAvailabilityChanged, typeAvailabilityChanged)...)
	list, _ := c.Outbox(t.Context(), 1, 1)
	var m struct{ Data stockMessage }
	if err := json.Unmarshal(list[0].Body, &m); err != nil || m.Data.Availability != "limited_availability" || m.Data.Previous != "in_stock" || m.Data.Promisable != 2000 || list[0].Key != "s1/PEN" {
		t.Errorf("stock.low is %s, %v", list[0].Body, err)
	}
}

// TestOutboxTellsOfMachines tells once of an exception that is no row of the
// fold.
func TestOutboxTellsOfMachines(t *testing.T) {
	c, p := shopCore(t, Wanted{Events: true})
	c.mu.Lock()
	c.addTwins(p.origin, stream("s1", "a1", 8).Inc, p.origin.Inc)
	c.mu.Unlock()
	for range 3 {
		c.time += outboxEvery
		if err := c.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if types, ids := told(t, c.Hub); !slices.Equal(types, []string{typeExceptionOpened}) || ids[0] != "msg_identity_twice-a1" {
		t.Errorf("told %v %v", types, ids)
	}
}

// TestOutboxForgets keeps messages for 30 days of running time, and finds those
// since a moment.
func TestOutboxForgets(t *testing.T) {
	c, p := shopCore(t, Wanted{Events: true})
	part := c.order(1000)
	c.receive(p.logged(act(part, protocol.Pick, 1000)), p.logged(act(part, protocol.HandOver, 1000)))
	c.time += outboxKeptFor
	c.order(1000)
	if err := c.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	if types, _ := told(t, c.Hub); len(types) != 4 {
		t.Errorf("after 30 days: %v", types)
	}
	for at, want := range map[time.Duration]uint64{-time.Hour: 0, time.Hour: 3, outboxKeptFor + time.Hour: 4} {
		if got, err := c.OutboxBefore(t.Context(), time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC).Add(at)); err != nil || got != want {
			t.Errorf("since %v: behind %d, want %d, %v", at, got, want, err)
		}
	}
	c.time += time.Minute
	if err := c.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	if types, _ := told(t, c.Hub); !slices.Equal(types, []string{"order.placed"}) {
		t.Errorf("after that: %v", types)
	}
}

// FuzzDecodeOutgoing reads a row of the outbox, whatever stands there.
func FuzzDecodeOutgoing(f *testing.F) {
	f.Add("outbox\x000000000000000001", []byte(`{"id":"msg_1","body":{}}`))
	f.Fuzz(func(t *testing.T, id string, v []byte) {
		m, err := decodeOutgoing(id, v)
		if err == nil && !strings.HasPrefix(id, noteOutbox) {
			t.Errorf("row %q is %+v", id, m)
		}
	})
}

// TestMessageTypesAreDescribed holds openapi.json to the list of types.
func TestMessageTypesAreDescribed(t *testing.T) {
	b, err := os.ReadFile("../api/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Components struct {
			Schemas map[string]struct {
				Properties map[string]struct{ Enum []string }
			}
		}
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Message", "DeadMessage"} {
		if got := doc.Components.Schemas[name].Properties["type"].Enum; !slices.Equal(got, MessageTypes()) {
			t.Errorf("%s lists %v, there are %v", name, got, MessageTypes())
		}
	}
}

// TestOutboxOfAReplayedCopy puts events of a second copy into a backup. What
// follows from them is told under the ids of before.
func TestOutboxOfAReplayedCopy(t *testing.T) {
	c, p := shopCore(t, Wanted{Events: true, Stock: true, Carts: true})
	part := c.order(4000)
	backup := copyOf(t, c.disk)
	c.receive(p.logged(act(part, protocol.Accept)), p.logged(goods("PEN", -6_000)))
	_, before := told(t, c.Hub)
	telling, err := Telling(t.Context(), backup, c.now)
	if err != nil {
		t.Fatal(err)
	}
	err = telling.Update(t.Context(), func(tx ledger.Tx) error {
		return p.log.View(t.Context(), func(r ledger.Reader) error {
			records, prev, err := ledger.Records(r, p.origin, 2, 2, 1<<20)
			if err != nil {
				return err
			}
			_, err = ledger.Apply(tx, ledger.Batch{Origin: p.origin, First: 2, Prev: prev, Records: records})
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	c.reopen(backup)
	if _, after := told(t, c.Hub); !slices.Equal(after, before) {
		t.Errorf("told %v, before %v", after, before)
	}
}
