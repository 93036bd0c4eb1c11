package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"counterpart/protocol"
	"counterpart/test/process"
	"counterpart/test/retail"
)

const (
	items = 24
	// tills is how many of them work at the same time, so that commits hold
	// several sales now and then.
	tills = 3
	// patience bounds how long anything that is waited for may take.
	patience = 3 * time.Minute
	// recordingSeed decides what is sold.
	recordingSeed = 11
	// piece is one piece as a quantity.
	piece protocol.Quantity = 1000
)

// A day is the till's part of a recording.
type day struct {
	r      *recorder
	goods  []retail.Item
	random *rand.Rand
	keys   int
}

// open starts the hub, the traced agent, and a sibling.
func (r *recorder) open(ctx context.Context) (err error) {
	if r.hub, err = r.host.StartHub(ctx, "hub", ""); err != nil {
		return err
	}
	stores := retail.Stores(recordingSeed, 1)
	stores[0].PrimaryAgent = agent
	if _, err := process.Load(ctx, r.hub, "stores", stores); err != nil {
		return err
	}
	if _, err := process.Load(ctx, r.hub, "taxes", retail.Taxes()); err != nil {
		return err
	}
	goods, err := retail.Items(recordingSeed, items)
	if err != nil {
		return err
	}
	if _, err := process.Load(ctx, r.hub, "items", goods); err != nil {
		return err
	}
	hub, mqtt := "http://"+r.hub.Ready().HTTP, "mqtt://"+r.hub.Ready().MQTT
	if r.agent, err = r.host.StartAgent(ctx, process.AgentOptions{Agent: agent, Store: store, Hub: hub, MQTT: mqtt, Wrap: r.wrap()}); err != nil {
		return err
	}
	r.sibling, err = r.host.StartAgent(ctx, process.AgentOptions{Agent: sibling, Store: store, Hub: hub, MQTT: mqtt})
	if err != nil {
		return err
	}
	return errors.Join(ready(ctx, r.agent), ready(ctx, r.sibling))
}

// ready waits until an agent can sell.
func ready(ctx context.Context, a *process.Agent) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New(a.ID()+" cannot sell"))
	defer cancel()
	return process.Await(ctx, lookEvery, func(ctx context.Context) (string, error) { return "", a.Selling(ctx) })
}

// live lets the shop trade: online and with a sibling, without the hub, through
// a kill, and over two clean stops. Scale is how much is sold.
func (r *recorder) live(ctx context.Context, scale int) error {
	goods, err := retail.Items(recordingSeed, items)
	if err != nil {
		return err
	}
	d := &day{r: r, goods: goods, random: rand.New(rand.NewPCG(recordingSeed, 1))}
	for _, step := range []func() error{
		func() error { return d.trade(ctx, "online", scale, scale/2) },
		func() error { return d.changes(ctx) },
		func() error { return d.priced(ctx) },
		func() error { return d.converge(ctx) },
		func() error { return r.hub.Kill() },
		func() error { return d.killed(ctx, scale/2) },
		func() error { return d.trade(ctx, "offline", scale/2, 0) },
		func() error { return r.end(ctx, false) },
		func() error { return r.agent.Restart(ctx) },
		func() error { return r.hub.Restart(ctx) },
		func() error { return d.trade(ctx, "back", scale/4, scale/4) },
		func() error { return d.converge(ctx) },
		func() error { return r.end(ctx, false) },
		func() error { return r.sibling.Stop() },
		func() error { return r.hub.Stop() },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// trade lets the tills and the sibling sell at the same time.
func (d *day) trade(ctx context.Context, name string, sales, siblings int) error {
	group, groupCtx := errgroup.WithContext(ctx)
	confirmed := make([][]confirmation, tills)
	for i := range tills {
		t := d.till(d.r.agent, name, i)
		group.Go(func() (err error) {
			confirmed[i], err = t.work(groupCtx, sales/tills, nil)
			return err
		})
	}
	t := d.till(d.r.sibling, name+"-sibling", 0)
	group.Go(func() error {
		_, err := t.work(groupCtx, siblings, nil)
		return err
	})
	err := group.Wait()
	d.r.confirmed = append(d.r.confirmed, slices.Concat(confirmed...)...)
	return err
}

// killed kills the agent while its tills sell, and starts it again.
func (d *day) killed(ctx context.Context, sales int) error {
	group, groupCtx := errgroup.WithContext(ctx)
	confirmed := make([][]confirmation, tills)
	var done atomic.Int64
	for i := range tills {
		t := d.till(d.r.agent, "killed", i)
		group.Go(func() (err error) {
			confirmed[i], err = t.work(groupCtx, sales/tills, &done)
			return err
		})
	}
	group.Go(func() error {
		if err := process.Await(groupCtx, time.Millisecond, func(context.Context) (string, error) {
			if done.Load() < int64(sales/3) {
				return "the tills have sold little", nil
			}
			return "", nil
		}); err != nil {
			return err
		}
		if err := d.r.end(groupCtx, true); err != nil {
			return err
		}
		return d.r.agent.Restart(groupCtx)
	})
	err := group.Wait()
	d.r.confirmed = append(d.r.confirmed, slices.Concat(confirmed...)...)
	return err
}

// changes lets prices and a stock load come down.
func (d *day) changes(ctx context.Context) error {
	for i := range d.goods {
		d.goods[i].Price += 100
	}
	if _, err := process.Load(ctx, d.r.hub, "items", d.goods); err != nil {
		return err
	}
	type row struct {
		Code   string            `json:"code"`
		OnHand protocol.Quantity `json:"on_hand"`
	}
	var rows []row
	for _, item := range d.goods[:items/2] {
		rows = append(rows, row{item.SKU, 50 * piece})
	}
	_, err := process.Load(ctx, d.r.hub, "stock?store="+store, rows)
	return err
}

// priced waits until both agents sell at the new prices: a till that asks for
// another amount than the agent is refused.
func (d *day) priced(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("the new prices do not arrive"))
	defer cancel()
	return process.Await(ctx, lookEvery, func(ctx context.Context) (string, error) {
		for _, a := range []*process.Agent{d.r.agent, d.r.sibling} {
			var page struct {
				Items []struct {
					SKU   string `json:"sku"`
					Price int64  `json:"price_minor"`
				} `json:"items"`
			}
			if err := a.Get(ctx, "/v1/items?limit=500", &page); err != nil {
				return "", err
			}
			for _, item := range page.Items {
				if i := slices.IndexFunc(d.goods, func(g retail.Item) bool { return g.SKU == item.SKU }); i < 0 || d.goods[i].Price != item.Price {
					return fmt.Sprintf("%s sells %s for %d", a.ID(), item.SKU, item.Price), nil
				}
			}
		}
		return "", nil
	})
}

// converge waits until the agent has sent and received everything.
func (d *day) converge(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("agent and hub do not agree"))
	defer cancel()
	return process.Await(ctx, lookEvery, func(ctx context.Context) (string, error) {
		status, err := d.r.agent.Status(ctx)
		if err != nil {
			return "", err
		}
		if status.Link.State != "online" || status.Stream.Pending != 0 {
			return fmt.Sprintf("it is %s with %d events to send", status.Link.State, status.Stream.Pending), nil
		}
		for _, feed := range status.Feeds {
			if feed.State != "tail" || feed.Behind != 0 {
				return "feed " + feed.Feed + " is " + feed.State, nil
			}
		}
		return "", nil
	})
}

// A till works at one agent.
type till struct {
	agent   *process.Agent
	name    string
	key     string
	goods   []retail.Item
	shopper *retail.Shopper
	random  *rand.Rand
}

func (d *day) till(a *process.Agent, part string, i int) *till {
	d.keys++
	goods := slices.Clone(d.goods)
	return &till{
		agent: a, name: strconv.Itoa(i + 1), key: part + "-" + strconv.Itoa(i) + "-", goods: goods,
		shopper: retail.NewShopper(recordingSeed, uint64(d.keys), goods), random: rand.New(rand.NewPCG(recordingSeed, uint64(100+d.keys))),
	}
}

// work does a number of things, most of them sales, and counts them in done.
func (t *till) work(ctx context.Context, count int, done *atomic.Int64) ([]confirmation, error) {
	var all []confirmation
	var last *process.SaleDocument
	for n := range count {
		request, err := t.next(n, last)
		if err != nil {
			return all, err
		}
		answer, err := t.agent.Persist(ctx, request)
		if err != nil {
			return all, fmt.Errorf("%s: %w", request.Key, err)
		}
		var c confirmation
		doc := &process.SaleDocument{}
		if err := errors.Join(answer.Into(&c), answer.Into(doc)); err != nil {
			return all, err
		}
		if last = nil; doc.Type == "sale" {
			last = doc
		}
		all = append(all, c)
		if done != nil {
			done.Add(1)
		}
	}
	return all, nil
}

// next is what the till does next: now and then it takes the last sale back,
// voids it, counts or receives goods.
func (t *till) next(n int, last *process.SaleDocument) (process.Request, error) {
	key := t.key + strconv.Itoa(n)
	switch chance := t.random.IntN(10); {
	case chance == 0 && last != nil:
		line := last.Lines[0]
		back := process.Return{
			Till: t.name, ReceiptNo: &last.ReceiptNo, Lines: []process.Line{{Line: line.Line, Quantity: line.Quantity, To: "on_hand"}},
			Tenders: []process.Tender{{Type: "card", Amount: line.Amount}}, Reason: "unwanted",
		}
		return process.JSON(http.MethodPost, "/v1/returns", key, back)
	case chance == 1 && last != nil:
		return process.JSON(http.MethodPost, "/v1/sales/"+last.ReceiptNo+"/void", key, map[string]string{"reason": "mistake"})
	case chance == 2:
		return t.movement("count", key)
	case chance == 3:
		return t.movement("receipt", key)
	}
	basket := t.shopper.Basket()
	sale := process.Sale{Till: t.name, Tenders: []process.Tender{{Type: "card", Amount: retail.Total(basket), Ref: key}}}
	for _, line := range basket {
		sale.Lines = append(sale.Lines, process.Line{Code: line.Item.GTIN, Quantity: protocol.Quantity(line.Pieces) * piece})
	}
	return process.JSON(http.MethodPost, "/v1/sales", key, sale)
}

func (t *till) movement(kind, key string) (process.Request, error) {
	item := t.goods[t.random.IntN(len(t.goods))]
	return process.JSON(http.MethodPost, "/v1/stock/movements", key, process.Movement{
		Type: kind, Reference: key, Lines: []process.MovementLine{{Code: item.GTIN, Quantity: protocol.Quantity(1+t.random.IntN(30)) * piece}},
	})
}
