// Package skew_test runs programs of different releases together, as a chain
// does while it is being updated: agents of the previous release at this hub,
// agents of this release at the previous hub, and both while the other side is
// updated under them. Nothing may be lost or doubled (I21).
package skew_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"counterpart/protocol"
	"counterpart/test/fleet"
	"counterpart/test/process"
	"counterpart/test/proxy"
	"counterpart/test/retail"
)

const (
	seed  = 21
	store = "s1"
	items = 30
	// stocked is how many pieces of each item there are in the beginning.
	stocked = 500
	piece   = protocol.Quantity(1000)
	// patience bounds how long both sides may take to agree.
	patience  = 3 * time.Minute
	lookEvery = 50 * time.Millisecond
)

// A shop is a store with two agents and what its tills were told.
type shop struct {
	t     *testing.T
	rack  *rack
	chain *fleet.Fleet
	goods []retail.Item
	sales int
	sold  map[string]process.SaleDocument // by key
	left  map[string]protocol.Quantity
}

// open starts a chain of one store with what lies on the rack, and fills its
// shelves.
func open(t *testing.T, r *rack) *shop {
	t.Helper()
	goods, err := retail.Items(seed, items)
	if err != nil {
		t.Fatal(err)
	}
	stores := retail.Stores(seed, 1)
	stores[0].PrimaryAgent = "a1"
	s := &shop{t: t, rack: r, goods: goods, sold: map[string]process.SaleDocument{}, left: map[string]protocol.Quantity{}}
	s.chain, err = fleet.Start(t.Context(), r.host, fleet.Options{
		Stores: stores, Taxes: retail.Taxes(), Agents: []fleet.Seat{{Agent: "a1", Store: store}, {Agent: "a2", Store: store}},
	}, func(ctx context.Context, hub *process.Hub) error {
		_, err := process.Load(ctx, hub, "items", goods)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	type row struct {
		Code   string            `json:"code"`
		OnHand protocol.Quantity `json:"on_hand"`
	}
	var rows []row
	for _, item := range goods {
		rows = append(rows, row{item.GTIN, stocked * piece})
		s.left[item.SKU] = stocked * piece
	}
	if _, err := process.Load(t.Context(), s.chain.Hub, "stock?store="+store, rows); err != nil {
		t.Fatal(err)
	}
	s.await("the stock load is applied", func(ctx context.Context) (string, error) {
		levels, err := s.chain.Hub.Stock(ctx, store)
		if err == nil && len(levels) < items {
			return fmt.Sprintf("%d of %d items are counted", len(levels), items), nil
		}
		return "", err
	})
	return s
}

// await waits for something that has to become true.
func (s *shop) await(what string, ask func(context.Context) (string, error)) {
	s.t.Helper()
	ctx, cancel := context.WithTimeoutCause(s.t.Context(), patience, errors.New("it does not happen that "+what))
	defer cancel()
	if err := process.Await(ctx, lookEvery, ask); err != nil {
		s.t.Fatal(err)
	}
}

func (s *shop) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// sell sells n baskets at a machine. The answer has to have the prices that the
// shop knows to be in force.
func (s *shop) sell(m *fleet.Machine, n int) {
	s.t.Helper()
	shopper := retail.NewShopper(seed, uint64(s.sales), s.goods)
	for range n {
		s.sales++
		key := "sale-" + strconv.Itoa(s.sales)
		basket := shopper.Basket()
		sale := process.Sale{Tenders: []process.Tender{{Type: "card", Amount: retail.Total(basket), Ref: key}}}
		for _, line := range basket {
			sale.Lines = append(sale.Lines, process.Line{Code: line.Item.GTIN, Quantity: protocol.Quantity(line.Pieces) * piece})
			s.left[line.Item.SKU] -= protocol.Quantity(line.Pieces) * piece
		}
		request, err := process.JSON(http.MethodPost, "/v1/sales", key, sale)
		s.must(err)
		answer, err := m.Persist(s.t.Context(), request)
		s.must(err)
		var doc process.SaleDocument
		s.must(answer.Into(&doc))
		if doc.Total != retail.Total(basket) {
			s.t.Fatalf("%s sold for %d what costs %d", m.ID(), doc.Total, retail.Total(basket))
		}
		s.sold[key] = doc
	}
}

// reprice changes all prices and waits until both machines sell at them.
func (s *shop) reprice() {
	s.t.Helper()
	for i := range s.goods {
		s.goods[i].Price += 10
	}
	_, err := process.Load(s.t.Context(), s.chain.Hub, "items", s.goods)
	s.must(err)
	s.await("the prices arrive", func(ctx context.Context) (string, error) {
		for _, m := range s.chain.Machines {
			if holdup, err := s.priced(ctx, m); err != nil || holdup != "" {
				return holdup, err
			}
		}
		return "", nil
	})
}

// priced tells whether a machine has the shop's prices.
func (s *shop) priced(ctx context.Context, m *fleet.Machine) (holdup string, err error) {
	var page struct {
		Items []struct {
			SKU   string `json:"sku"`
			Price int64  `json:"price_minor"`
		} `json:"items"`
	}
	if err := m.Get(ctx, "/v1/items?limit=500", &page); err != nil {
		return "", err
	}
	prices := map[string]int64{}
	for _, item := range page.Items {
		prices[item.SKU] = item.Price
	}
	for _, item := range s.goods {
		if prices[item.SKU] != item.Price {
			return fmt.Sprintf("%s sells %s for %d instead of %d", m.ID(), item.SKU, prices[item.SKU], item.Price), nil
		}
	}
	return "", nil
}

// offline sells at a machine without its line, with a kill in between.
func (s *shop) offline(m *fleet.Machine) {
	s.t.Helper()
	s.must(m.SetLine(proxy.Cut))
	s.sell(m, 10)
	s.must(m.Crash(s.t.Context()))
	s.sell(m, 10)
}

// update stops a machine, puts this release's agent in its place and starts it
// on the data of before.
func (s *shop) update(m *fleet.Machine) {
	s.t.Helper()
	s.must(m.Agent.Stop())
	s.rack.install(s.rack.now, s.rack.host.Agent())
	s.must(m.Restart(s.t.Context()))
}

// agree waits until everybody has everything, and compares it with what the
// tills were told: each sale once, with its number, and the stock that is left.
func (s *shop) agree() {
	s.t.Helper()
	s.await("everything arrives", func(ctx context.Context) (string, error) { return "", s.chain.Converge(ctx) })
	s.await("feeds arrive", func(ctx context.Context) (string, error) { return "", s.chain.CatchUp(ctx) })
	at := map[string]int{}
	books, err := fleet.ReadBooks(s.t.Context(), s.chain.Hub, store, func(doc *process.SaleDocument) {
		if len(doc.Tenders) != 1 {
			s.t.Errorf("the hub has a sale %s that nobody made", doc.EventID)
			return
		}
		key := doc.Tenders[0].Ref
		at[key]++
		if told := s.sold[key]; doc.EventID != told.EventID || doc.ReceiptNo != told.ReceiptNo || doc.Total != told.Total {
			s.t.Errorf("%s was confirmed as %s, %s over %d and is at the hub as %s, %s over %d", key,
				told.EventID, told.ReceiptNo, told.Total, doc.EventID, doc.ReceiptNo, doc.Total)
		}
	})
	s.must(err)
	for _, fault := range books.Faults {
		s.t.Error(fault)
	}
	for key := range s.sold {
		if at[key] != 1 {
			s.t.Errorf("%s is at the hub %d times", key, at[key])
		}
	}
	quarantined, err := s.chain.Quarantined(s.t.Context())
	s.must(err)
	for _, fault := range quarantined {
		s.t.Error(fault)
	}
	s.levels()
}

// levels compares the stock that hub and agents know with what is left.
func (s *shop) levels() {
	s.t.Helper()
	levels, err := s.chain.Hub.Stock(s.t.Context(), store)
	s.must(err)
	for _, item := range s.goods {
		want := s.left[item.SKU]
		if got := levels[item.SKU].OnHand; got != want {
			s.t.Errorf("the hub has %s of %s, %s are left", got, item.SKU, want)
		}
		for _, m := range s.chain.Machines {
			level, err := m.Level(s.t.Context(), item.GTIN)
			s.must(err)
			if level.OnHand != want {
				s.t.Errorf("%s has %s of %s, %s are left", m.ID(), level.OnHand, item.SKU, want)
			}
		}
	}
}

// close stops everything and has the agents' data verified.
func (s *shop) close() {
	s.t.Helper()
	s.must(s.chain.Stop())
	for _, m := range s.chain.Machines {
		s.must(m.Verify(s.t.Context()))
	}
}

// TestI21_OlderAgentsAtThisHub lets agents of the previous release work at this
// hub, and updates one after the other while their store trades.
func TestI21_OlderAgentsAtThisHub(t *testing.T) {
	r := newRack(t)
	r.install(r.old, r.host.Agent())
	s := open(t, r)
	first, second := s.chain.Machines[0], s.chain.Machines[1]
	s.sell(first, 10)
	s.sell(second, 10)
	s.reprice()
	s.offline(first)
	s.sell(second, 5)
	s.must(s.chain.Hub.Crash(t.Context()))
	s.must(first.SetLine(proxy.Pass))
	s.agree()

	s.offline(second)
	s.update(second)
	s.sell(second, 5)
	s.sell(first, 5)
	s.must(second.SetLine(proxy.Pass))
	s.reprice()
	s.agree()

	s.update(first)
	s.sell(first, 5)
	s.agree()
	s.close()
}

// TestI21_ThisAgentAtTheOlderHub updates an agent before the hub. The agent may
// be refused by the older hub, but then it has to say so and sell on; when the
// hub is updated too, everything arrives.
func TestI21_ThisAgentAtTheOlderHub(t *testing.T) {
	r := newRack(t)
	r.install(r.old, r.host.Agent())
	r.install(r.old, r.host.Hub())
	s := open(t, r)
	first, second := s.chain.Machines[0], s.chain.Machines[1]
	s.sell(first, 10)
	s.sell(second, 5)
	s.update(first)
	s.sell(first, 10)
	s.offline(first)
	s.must(first.SetLine(proxy.Pass))
	refused := ""
	s.await("the updated agent is heard or says why not", func(ctx context.Context) (string, error) {
		status, err := first.Status(ctx)
		switch {
		case err != nil:
			return "", err
		case status.Link.State == "online" && status.Stream.Pending == 0:
			return "", nil
		case status.Link.Cause != nil && *status.Link.Cause == "version":
			refused = *status.Link.Cause
			return "", nil
		}
		return fmt.Sprintf("it is %s with %d events to send", status.Link.State, status.Stream.Pending), nil
	})
	t.Logf("at the older hub the agent is refused: %q", refused)
	s.sell(first, 5)
	s.sell(second, 5)

	s.must(s.chain.Hub.Stop())
	r.install(r.now, r.host.Hub())
	s.must(s.chain.Hub.Restart(t.Context()))
	s.reprice()
	s.sell(first, 5)
	s.sell(second, 5)
	s.agree()

	s.update(second)
	s.sell(second, 5)
	s.agree()
	s.close()
}
