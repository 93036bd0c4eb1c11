// Package order_test takes orders through their lives with real programs: a hub
// that promises, agents that pick and hand over while the hub is away.
package order_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"counterpart/test/fleet"
	"counterpart/test/process"
	"counterpart/test/retail"
)

const (
	patience = 2 * time.Minute
	askEvery = 50 * time.Millisecond
	seed     = 7
)

var host *process.Host

func TestMain(m *testing.M) { os.Exit(withHost(m.Run)) }

func withHost(run func() int) int {
	var err error
	if host, err = process.Open(context.Background(), process.Options{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	status := run()
	if found := host.Complaints(); len(found) > 0 {
		err = fmt.Errorf("the programs complain: %s", strings.Join(found, "\n"))
	}
	if err = errors.Join(err, host.Close()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return status
}

// A chain is a hub with one store and its agent, and some items of which there
// are ten each.
type chain struct {
	t     *testing.T
	hub   *process.Hub
	agent *process.Agent
	items []retail.Item
	keys  int
}

// order is the part of an order's document that is looked at here.
type order struct {
	ID         string `json:"id"`
	Store      string `json:"store"`
	HubState   string `json:"hub_state"`
	StoreState string `json:"store_state"`
	Firm       bool   `json:"firm"`
	ReceiptNo  string `json:"receipt_no"`
	TotalMinor int64  `json:"total_minor"`
	PickupCode string `json:"pickup_code"`
	Token      string `json:"pickup_token"`
	Lines      []struct {
		SKU       string  `json:"sku"`
		Qty       float64 `json:"qty"`
		PickedQty float64 `json:"picked_qty"`
	} `json:"lines"`
	Payment struct {
		Status string `json:"status"`
	} `json:"payment"`
	Exceptions []string `json:"exceptions"`
}

type line struct {
	Code string  `json:"code"`
	Qty  float64 `json:"qty"`
}

func open(t *testing.T, flags ...string) *chain {
	t.Helper()
	c := &chain{t: t}
	name := strings.ToLower(t.Name())
	t.Cleanup(func() {
		if c.agent != nil {
			c.must(c.agent.Kill())
		}
		if c.hub != nil {
			c.must(c.hub.Kill())
		}
	})
	var err error
	c.items, err = retail.Items(seed, 5)
	c.must(err)
	stores := retail.Stores(seed, 1)
	stores[0].PrimaryAgent = name
	c.hub, err = host.StartHub(t.Context(), "hub-"+name, "", flags...)
	c.must(err)
	_, err = process.Load(t.Context(), c.hub, "stores", stores)
	c.must(err)
	_, err = process.Load(t.Context(), c.hub, "items", c.items)
	c.must(err)
	c.agent, err = host.StartAgent(t.Context(), process.AgentOptions{Agent: name, Store: stores[0].ID, Hub: c.hub.URL(""), MQTT: "mqtt://" + c.hub.Ready().MQTT})
	c.must(err)
	c.await("the agent can sell", func(ctx context.Context) (string, error) { return "", c.agent.Selling(ctx) })
	var lines []map[string]any
	for _, item := range c.items {
		lines = append(lines, map[string]any{"code": item.GTIN, "qty": 10})
	}
	c.send(c.agent.Client, "/v1/stock/movements", map[string]any{"type": "receipt", "lines": lines}, nil)
	c.settle()
	return c
}

func (c *chain) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *chain) await(what string, ask func(context.Context) (string, error)) {
	c.t.Helper()
	ctx, cancel := context.WithTimeoutCause(c.t.Context(), patience, errors.New("waited "+patience.String()+" until "+what))
	defer cancel()
	if err := process.Await(ctx, askEvery, ask); err != nil {
		c.t.Fatalf("%v\n%s", err, c.agent.Tail())
	}
}

// try sends a request with a key of its own.
func (c *chain) try(to *process.Client, path string, body, into any) error {
	c.t.Helper()
	c.keys++
	r, err := process.JSON(http.MethodPost, path, fmt.Sprint("key-", c.keys), body)
	c.must(err)
	answer, err := to.Persist(c.t.Context(), r)
	if err != nil || into == nil {
		return err
	}
	return answer.Into(into)
}

func (c *chain) send(to *process.Client, path string, body, into any) {
	c.t.Helper()
	c.must(c.try(to, path, body, into))
}

// refused wants a code, and returns what else the refusal says.
func (c *chain) refused(err error, code string) process.Problem {
	c.t.Helper()
	var refusal *process.Refusal
	if !errors.As(err, &refusal) || refusal.Problem().Code != code {
		c.t.Fatalf("got %v, want %s", err, code)
	}
	return refusal.Problem()
}

// place orders items by their index.
func (c *chain) place(payment string, lines ...line) order {
	c.t.Helper()
	var o order
	c.send(c.hub.Client, "/v1/orders", c.request(payment, lines), &o)
	return o
}

func (c *chain) request(payment string, lines []line) map[string]any {
	return map[string]any{
		"store": c.agent.Store(), "method": "in_store", "payment": map[string]any{"status": payment}, "lines": lines,
		"shopper": map[string]any{"name": "Ayla", "phone": "+994501234567"},
	}
}

func (c *chain) act(id, action string, body map[string]any) order {
	c.t.Helper()
	var o order
	c.send(c.agent.Client, "/v1/orders/"+id+"/"+action, body, &o)
	return o
}

// has waits until the agent has an order.
func (c *chain) has(id string) {
	c.t.Helper()
	c.await("the agent has the order", func(ctx context.Context) (string, error) {
		var o order
		err := c.agent.Get(ctx, "/v1/orders/"+id, &o)
		var refusal *process.Refusal
		if errors.As(err, &refusal) && refusal.Status == http.StatusNotFound {
			return "not yet", nil
		}
		return "", err
	})
}

// settle waits until hub and agent hold the same, and compares their stock.
func (c *chain) settle() {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	f := fleet.Fleet{Hub: c.hub, Machines: []*fleet.Machine{{Agent: c.agent}}}
	if err := errors.Join(f.Converge(ctx), f.CatchUp(ctx)); err != nil {
		c.t.Fatalf("%v\n%s", err, c.agent.Tail())
	}
}

// level is what both sides show of an item, in units: on hand, committed and
// staged. They have to agree.
func (c *chain) level(sku string) (units [3]int64) {
	c.t.Helper()
	c.await("hub and agent agree on "+sku, func(ctx context.Context) (string, error) {
		here, err := c.agent.Level(ctx, sku)
		if err != nil {
			return "", err
		}
		levels, err := c.hub.Stock(ctx, c.agent.Store())
		if err != nil {
			return "", err
		}
		if there := levels[sku]; there != here {
			return fmt.Sprintf("the agent has %+v and the hub %+v", here, there), nil
		}
		units = [3]int64{int64(here.OnHand) / 1000, int64(here.Committed) / 1000, int64(here.Staged) / 1000}
		return "", nil
	})
	return units
}

// TestOrderOfADarkStore takes a paid order, and one that is due, through their
// lives while the hub is down: accept, pick, ready, hand-over with the code and a
// receipt. Afterwards both sides agree to the unit.
func TestOrderOfADarkStore(t *testing.T) {
	c := open(t)
	paid, due := c.place("paid", line{c.items[0].GTIN, 2}), c.place("due", line{c.items[1].GTIN, 3}, line{c.items[2].GTIN, 1})
	if paid.HubState != "paid" || due.HubState != "placed" || paid.PickupCode == "" || paid.Firm {
		t.Errorf("placed: %+v, %+v", paid, due)
	}
	c.has(paid.ID)
	c.has(due.ID)
	c.must(c.hub.Kill())
	for _, o := range []order{paid, due} {
		c.act(o.ID, "accept", map[string]any{"staff": "s7"})
		var picked []map[string]any
		for i, l := range o.Lines {
			picked = append(picked, map[string]any{"line": i + 1, "qty": l.Qty})
		}
		if got := c.act(o.ID, "pick", map[string]any{"staff": "s7", "lines": picked}); got.StoreState != "picked" || !got.Firm {
			t.Errorf("picked: %+v", got)
		}
		c.act(o.ID, "ready", map[string]any{"staff": "s7", "shelf": "B4"})
		c.refused(c.try(c.agent.Client, "/v1/orders/"+o.ID+"/hand-over", map[string]any{"staff": "s7", "pickup_code": "0000-0000"}, nil), "forbidden")
	}
	c.refused(c.try(c.agent.Client, "/v1/orders/"+paid.ID+"/hand-over", map[string]any{"staff": "s7", "pickup_code": due.Token}, nil), "forbidden")
	c.act(paid.ID, "hand-over", map[string]any{"staff": "s7", "pickup_code": paid.Token})
	c.refused(c.try(c.agent.Client, "/v1/orders/"+due.ID+"/hand-over", map[string]any{"staff": "s7", "pickup_code": strings.ToLower(due.PickupCode)}, nil), "tender_short")
	done := c.act(due.ID, "hand-over", map[string]any{
		"staff": "s7", "check": map[string]any{"phone_digits": "4567"}, "tenders": []map[string]any{{"type": "card", "amount_minor": due.TotalMinor, "ref": "t1"}},
	})
	if done.StoreState != "picked_up" || done.ReceiptNo == "" || done.Payment.Status != "paid" {
		t.Errorf("handed over: %+v", done)
	}
	c.refused(c.try(c.agent.Client, "/v1/orders/"+paid.ID+"/hand-over", map[string]any{"staff": "s7", "pickup_code": paid.PickupCode}, nil), "conflict")
	c.must(c.hub.Restart(t.Context()))
	c.settle()
	for i, want := range [][3]int64{{8, 0, 0}, {7, 0, 0}, {9, 0, 0}} {
		if got := c.level(c.items[i].SKU); got != want {
			t.Errorf("item %d: %v on hand, committed and staged, want %v", i, got, want)
		}
	}
	var at order
	c.must(c.hub.Get(t.Context(), "/v1/orders/"+due.ID, &at))
	if at.StoreState != "picked_up" || at.ReceiptNo != done.ReceiptNo || len(at.Exceptions) > 0 {
		t.Errorf("at the hub: %+v", at)
	}
	c.must(errors.Join(c.agent.Stop(), c.hub.Stop(), c.agent.Verify(t.Context())))
}

// TestCanceledShortAndRejected ends orders in the other ways: what was promised
// is promised no more, and the refund waits for the goods. Where nothing was
// picked the store answers a cancellation by itself.
func TestCanceledShortAndRejected(t *testing.T) {
	c := open(t)
	canceled, short, rejected := c.place("paid", line{c.items[0].GTIN, 4}), c.place("due", line{c.items[1].GTIN, 4}), c.place("due", line{c.items[2].GTIN, 4})
	untouched := c.place("paid", line{c.items[3].GTIN, 4})
	for _, o := range []order{canceled, short, rejected, untouched} {
		c.has(o.ID)
	}
	c.act(canceled.ID, "pick", map[string]any{"staff": "s7", "lines": []map[string]any{{"line": 1, "qty": 4}}})
	c.refused(c.try(c.agent.Client, "/v1/orders/"+canceled.ID+"/put-back", map[string]any{"staff": "s7"}, nil), "conflict")
	c.refused(c.try(c.hub.Client, "/v1/orders/"+canceled.ID+"/refund", map[string]any{"reference": "r1"}, nil), "conflict")
	for _, o := range []order{canceled, untouched} {
		c.send(c.hub.Client, "/v1/orders/"+o.ID+"/cancel", map[string]any{"reason": "changed my mind"}, nil)
	}
	c.await("the agent knows of the cancellation", func(ctx context.Context) (string, error) {
		var o order
		err := c.agent.Get(ctx, "/v1/orders/"+canceled.ID, &o)
		if err == nil && o.HubState != "cancel_requested" {
			return "it is " + o.HubState, nil
		}
		return "", err
	})
	c.refused(c.try(c.agent.Client, "/v1/orders/"+canceled.ID+"/hand-over", map[string]any{"staff": "s7", "pickup_code": canceled.PickupCode}, nil), "conflict")
	c.act(canceled.ID, "put-back", map[string]any{"staff": "s7"})
	c.act(short.ID, "pick", map[string]any{"staff": "s7", "lines": []map[string]any{{"line": 1, "qty": 1}}})
	c.refused(c.try(c.agent.Client, "/v1/orders/"+rejected.ID+"/reject", map[string]any{"staff": "s7"}, nil), "out_of_range")
	c.act(rejected.ID, "reject", map[string]any{"staff": "s7", "reason": "broken"})
	for _, id := range []string{canceled.ID, untouched.ID} {
		c.await("the hub has closed the cancellation", func(ctx context.Context) (string, error) {
			var o order
			err := c.hub.Get(ctx, "/v1/orders/"+id, &o)
			if err == nil && o.HubState != "canceled" {
				return "it is " + o.HubState, nil
			}
			return "", err
		})
	}
	c.send(c.hub.Client, "/v1/orders/"+canceled.ID+"/refund", map[string]any{"reference": "r1"}, nil)
	c.settle()
	for i, want := range [][3]int64{{10, 0, 0}, {1, 0, 1}, {10, 0, 0}, {10, 0, 0}} {
		if got := c.level(c.items[i].SKU); got != want {
			t.Errorf("item %d: %v on hand, committed and staged, want %v", i, got, want)
		}
	}
	c.must(errors.Join(c.agent.Stop(), c.hub.Stop(), c.agent.Verify(t.Context())))
}

// TestI12_ShoppersRace has many shoppers order one item at once. Exactly what may
// be promised is, also over the death of the hub, and a repeated order is the
// first one.
func TestI12_ShoppersRace(t *testing.T) {
	c := open(t)
	const shoppers, promisable = 60, 9 // one of ten is kept back
	var mu sync.Mutex
	answers, refusals := map[string]string{}, 0
	var all sync.WaitGroup
	for i := range shoppers {
		all.Go(func() {
			key := fmt.Sprint("shopper-", i)
			r, err := process.JSON(http.MethodPost, "/v1/orders", key, c.request("due", []line{{c.items[0].GTIN, 1}}))
			if err != nil {
				t.Error(err)
				return
			}
			answer, err := c.hub.Persist(t.Context(), r)
			mu.Lock()
			defer mu.Unlock()
			var refusal *process.Refusal
			switch {
			case err == nil:
				answers[key] = string(answer.Body)
				if len(answers) == promisable/2 {
					all.Go(func() { c.must(c.hub.Crash(t.Context())) })
				}
			case errors.As(err, &refusal) && refusal.Problem().Code == "short":
				refusals++
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	if len(answers) != promisable || refusals != shoppers-promisable {
		t.Errorf("%d orders were accepted and %d refused", len(answers), refusals)
	}
	for key, first := range answers {
		r, err := process.JSON(http.MethodPost, "/v1/orders", key, c.request("due", []line{{c.items[0].GTIN, 1}}))
		c.must(err)
		if again, err := c.hub.Persist(t.Context(), r); err != nil || string(again.Body) != first {
			t.Errorf("%s again: %s %v, first %s", key, again.Body, err, first)
		}
	}
	c.settle()
	if got, want := c.level(c.items[0].SKU), [3]int64{10, promisable, 0}; got != want {
		t.Errorf("%v on hand, committed and staged, want %v", got, want)
	}
	c.must(errors.Join(c.agent.Stop(), c.hub.Stop(), c.agent.Verify(t.Context())))
}
