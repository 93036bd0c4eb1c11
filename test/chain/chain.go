package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"golang.org/x/sync/errgroup"

	"counterpart/protocol"
	"counterpart/test/fleet"
	"counterpart/test/process"
	"counterpart/test/proxy"
	"counterpart/test/retail"
)

const (
	currency = "GBP"
	// itemsMin is how few items still make different baskets.
	itemsMin = 50
	// cutStore is the store whose line is cut.
	cutStore = 1
	// agreePatience bounds how long hub and stores may take to agree.
	agreePatience = 5 * time.Minute
	// stockPatience bounds how long the opening stock may take.
	stockPatience = 5 * time.Minute
	// askEvery is how often something is asked that is awaited.
	askEvery = 200 * time.Millisecond
)

// seats are the agents: the first store has two.
var seats = []fleet.Seat{{Agent: "a1", Store: "s1"}, {Agent: "a2", Store: "s1"}, {Agent: "b1", Store: "s2"}, {Agent: "c1", Store: "s3"}}

// A chain is everything that runs.
type chain struct {
	options
	board *board
	fleet *fleet.Fleet
	items []retail.Item
	shops []*shop
}

// A shop is a store with its tills and a book of what they did.
type shop struct {
	retail.Store
	tills []*till
	book  *book
}

// run starts everything, lets it run, and stops it in order.
func run(ctx context.Context, o options, board *board) (err error) {
	running, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	board.say("Building the programs …")
	host, err := process.Open(running, process.Options{Race: o.race, Keep: o.keep, Crashed: func(err error) { cancel(err) }})
	if err != nil {
		return err
	}
	defer func() {
		if o.keep {
			board.say("Data and logs are in %s.", host.Dir())
		}
		err = errors.Join(err, host.Close())
	}()
	c := &chain{options: o, board: board}
	if err = c.open(running, host); err == nil {
		err = c.trade(running)
	}
	if ctx.Err() != nil {
		err = nil // Whoever pressed Ctrl-C wants no complaint about it.
	}
	board.say("Stopping …")
	return errors.Join(err, c.close())
}

// open starts hub and agents and fills them.
func (c *chain) open(ctx context.Context, host *process.Host) error {
	var err error
	if c.items, err = retail.Items(c.seed, c.options.items); err != nil {
		return err
	}
	stores := retail.Stores(c.seed, 3)
	for i := range stores {
		for _, seat := range seats {
			if seat.Store == stores[i].ID && stores[i].PrimaryAgent == "" {
				stores[i].PrimaryAgent = seat.Agent
			}
		}
	}
	c.board.say("Starting a hub and %d agents in %d stores with %d items …", len(seats), len(stores), len(c.items))
	c.fleet, err = fleet.Start(ctx, host, fleet.Options{Currency: currency, Stores: stores, Taxes: retail.Taxes(), Agents: seats},
		func(ctx context.Context, hub *process.Hub) error {
			_, err := process.Load(ctx, hub, "items", c.items)
			return err
		})
	if err != nil {
		return err
	}
	for _, store := range stores {
		c.shops = append(c.shops, &shop{Store: store, book: newBook()})
	}
	c.board.say("Counting the opening stock of %d items in each store …", len(c.items))
	if err := c.stock(ctx); err != nil {
		return fmt.Errorf("opening stock: %w", err)
	}
	for i, m := range c.fleet.Machines {
		s := c.shopOf(m)
		s.tills = append(s.tills, newTill(m, s.book, retail.NewShopper(c.seed, uint64(i), c.items)))
	}
	c.board.open(c)
	return nil
}

func (c *chain) shopOf(m *fleet.Machine) *shop {
	for _, s := range c.shops {
		if s.ID == m.Store() {
			return s
		}
	}
	return nil
}

// opening is the opening stock of the i-th item.
func opening(i int) protocol.Quantity { return protocol.Quantity(20+i*7%80) * piece }

// stock loads the opening stock of all stores, and waits until their agents
// have counted it and the hub knows.
func (c *chain) stock(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, stockPatience, fmt.Errorf("not counted after %s", stockPatience))
	defer cancel()
	type row struct {
		Code   string            `json:"code"`
		OnHand protocol.Quantity `json:"on_hand"`
	}
	rows := make([]row, len(c.items))
	for i, item := range c.items {
		rows[i] = row{item.SKU, opening(i)}
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, s := range c.shops {
		group.Go(func() error {
			report, err := process.Load(ctx, c.fleet.Hub, "stock?store="+url.QueryEscape(s.ID), rows)
			if err != nil {
				return err
			}
			if report.LoadID == nil {
				return errors.New("the load has no load_id")
			}
			for i, item := range c.items {
				s.book.onHand[item.SKU] = opening(i)
			}
			return c.awaitLoad(ctx, *report.LoadID)
		})
	}
	return group.Wait()
}

func (c *chain) awaitLoad(ctx context.Context, id string) error {
	return process.Await(ctx, askEvery, func(ctx context.Context) (string, error) {
		var load struct {
			State   string `json:"state"`
			Applied int    `json:"applied"`
		}
		if err := c.fleet.Hub.Get(ctx, "/v1/loads/"+url.PathEscape(id), &load); err != nil {
			return "", err
		}
		if load.State != "applied" {
			return fmt.Sprintf("load %s is %s with %d rows applied", id, load.State, load.Applied), nil
		}
		return "", nil
	})
}

// trade lets the tills sell until it is over.
func (c *chain) trade(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	stop := make(chan struct{})
	for _, s := range c.shops {
		for _, t := range s.tills {
			group.Go(func() error { return t.run(ctx, c.sellEvery, stop) })
		}
	}
	group.Go(func() error { return c.board.follow(ctx, c, stop) })
	group.Go(func() error {
		defer close(stop)
		return c.story(ctx)
	})
	return group.Wait()
}

// story is what happens to the chain: a cut line, and what comes after.
func (c *chain) story(ctx context.Context) error {
	if err := process.Pause(ctx, c.cutAfter); err != nil {
		return err
	}
	cut := c.shops[cutStore]
	if err := c.line(cut, proxy.Cut); err != nil {
		return err
	}
	c.board.say("The line of %s is cut for %s. Its tills sell on.", cut.Name, c.cutFor)
	if err := process.Pause(ctx, c.cutFor); err != nil {
		return err
	}
	if err := c.line(cut, proxy.Pass); err != nil {
		return err
	}
	back := time.Now()
	c.board.say("The line of %s is back.", cut.Name)
	if err := c.agree(ctx, func() string {
		return fmt.Sprintf(", %s after the line was back", time.Since(back).Round(100*time.Millisecond))
	}); err != nil {
		return err
	}
	if c.duration == 0 {
		c.board.say("The tills sell on. Ctrl-C ends it.")
		<-ctx.Done()
		return context.Cause(ctx)
	}
	if err := process.Pause(ctx, c.duration); err != nil {
		return err
	}
	return c.agree(ctx, func() string { return " in the end" })
}

// line changes the line of all machines of a shop.
func (c *chain) line(s *shop, mode proxy.Mode) error {
	var all []error
	for _, m := range c.fleet.In(s.ID) {
		all = append(all, m.SetLine(mode))
	}
	return errors.Join(all...)
}

func (c *chain) close() error {
	if c.fleet == nil {
		return nil
	}
	return c.fleet.Stop()
}
