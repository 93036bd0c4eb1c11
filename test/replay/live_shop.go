package main

import (
	"context"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"

	"counterpart/protocol"
	"counterpart/test/fleet"
	"counterpart/test/process"
)

const (
	// onlineOneIn lines are wanted online, the rest in the store.
	onlineOneIn = 3
	// orderLinesMax bounds how many lines are ordered at once.
	orderLinesMax = 50
	// A shelf is filled with a share of what will be asked of it, in percent.
	filledMin, filledMax = 60, 140
	// lostOneIn items have fewer pieces on the shelf than in the book.
	lostOneIn, lostMax = 30, 3
)

// A document is one visit: what its shopper buys in the store, and what is
// ordered online.
type document struct {
	id             string
	walkIn, online []goods
}

// goods are some pieces of an item, at its price in the catalogue.
type goods struct {
	sku    string
	pieces int64
	price  int64
}

// deal deals the first documents of a file out to its shops; 0 is all.
func deal(in *input, seed uint64, most int) [][]document {
	prices := map[string]int64{}
	for _, item := range in.items {
		prices[item.SKU] = item.Price
	}
	shops := make([][]document, len(in.shops))
	dealt := 0
	for _, b := range in.baskets {
		if b.kind != sold {
			continue
		}
		if most > 0 && dealt == most {
			break
		}
		d := document{id: b.id}
		for i, l := range b.lines {
			g := goods{l.sku, l.pieces, prices[l.sku]}
			switch {
			case g.price <= 0:
			case !wantedOnline(seed, b.id, i):
				d.walkIn = add(d.walkIn, g)
			case len(d.online) < orderLinesMax:
				d.online = add(d.online, g)
			}
		}
		shops[b.shop] = append(shops[b.shop], d)
		dealt++
	}
	return shops
}

func wantedOnline(seed uint64, basket string, line int) bool {
	hash := fnv.New64a()
	fmt.Fprint(hash, seed, " ", basket, " ", line)
	return hash.Sum64()%onlineOneIn == 0
}

// add adds goods to a list that has one entry for each item.
func add(list []goods, g goods) []goods {
	if i := slices.IndexFunc(list, func(other goods) bool { return other.sku == g.sku }); i >= 0 {
		list[i].pieces += g.pieces
		return list
	}
	return append(list, g)
}

// A shop is a store as it really is: what is on its shelf and what is staged.
// Whoever takes goods tells the agent before anybody else takes some, so the book
// may be wrong only by what is noted as unseen.
type shop struct {
	machine   *fleet.Machine
	documents []document

	mu     sync.Mutex
	random *rand.Rand
	shelf  map[string]int64 // pieces, without what is staged
	// unseen is how many pieces more the book has than the shop.
	unseen   map[string]int64
	staged   map[partID][]goods
	receipts map[string]bool
	units    map[string]int64 // sold, over the till
	money    map[string]int64
	acts     int
	tally    shopTally
	faults   []string
}

// shopTally counts what happened in a store.
type shopTally struct {
	sales, missed, warned               int
	handed, short, overlooked, rejected int
	putBack, undone, tooLate            int
	shortfallPieces                     int64
}

// partID names the part of an order.
type partID struct {
	order string
	n     int
}

func newShop(m *fleet.Machine, random *rand.Rand) *shop {
	return &shop{
		machine: m, random: random, shelf: map[string]int64{}, unseen: map[string]int64{}, staged: map[partID][]goods{},
		receipts: map[string]bool{}, units: map[string]int64{}, money: map[string]int64{},
	}
}

// receive fills the shelf.
func (s *shop) receive(ctx context.Context) error {
	wanted := map[string]int64{}
	for _, d := range s.documents {
		for _, g := range slices.Concat(d.walkIn, d.online) {
			wanted[g.sku] += g.pieces
		}
	}
	var m process.Movement
	deliver := func() error {
		s.acts++
		m.Type = "receipt"
		r, err := process.JSON(http.MethodPost, "/v1/stock/movements", fmt.Sprint("live-delivery-", s.acts), m)
		if err == nil {
			_, err = s.machine.Persist(ctx, r)
		}
		m = process.Movement{}
		return err
	}
	for _, sku := range slices.Sorted(maps.Keys(wanted)) {
		pieces := (wanted[sku]*(filledMin+s.random.Int64N(filledMax-filledMin)) + 99) / 100
		m.Lines = append(m.Lines, process.MovementLine{Code: sku, Quantity: protocol.Quantity(pieces) * piece})
		s.shelf[sku] = pieces
		if s.random.IntN(lostOneIn) == 0 {
			s.unseen[sku] = min(pieces, 1+s.random.Int64N(lostMax))
			s.shelf[sku] -= s.unseen[sku]
		}
		if len(m.Lines) == linesMax {
			if err := deliver(); err != nil {
				return err
			}
		}
	}
	if len(m.Lines) == 0 {
		return nil
	}
	return deliver()
}

// sell sells at the till what the shelf has of a visit.
func (s *shop) sell(ctx context.Context, d document) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var sale process.Sale
	var taken []goods
	total := int64(0)
	for _, g := range d.walkIn {
		if s.shelf[g.sku] < g.pieces {
			s.tally.missed++
			g.pieces = s.shelf[g.sku]
		}
		if g.pieces > 0 {
			taken = append(taken, g)
			sale.Lines = append(sale.Lines, process.Line{Code: g.sku, Quantity: protocol.Quantity(g.pieces) * piece})
			total += g.pieces * g.price
		}
	}
	if len(taken) == 0 {
		return nil
	}
	sale.Tenders = []process.Tender{{Type: "card", Amount: total}}
	var answer struct {
		process.SaleDocument
		Warnings []struct {
			Code string `json:"code"`
		} `json:"warnings"`
	}
	if err := ask(ctx, s.machine.Client, "/v1/sales", "live-sale-"+d.id, sale, &answer); err != nil {
		return fmt.Errorf("document %s: %w", d.id, err)
	}
	for _, w := range answer.Warnings {
		if w.Code == "promised_online" {
			s.tally.warned++
			break
		}
	}
	if answer.Total != total {
		s.fault("document %s comes to %d, not to %d", d.id, answer.Total, total)
	}
	for _, g := range taken {
		s.shelf[g.sku] -= g.pieces
	}
	s.tally.sales++
	s.sold(answer.ReceiptNo, taken)
	return nil
}

// sold notes what went over the till. The shop is locked.
func (s *shop) sold(receipt string, taken []goods) {
	if receipt == "" || s.receipts[receipt] {
		s.fault("receipt %q was given twice or is none", receipt)
	}
	s.receipts[receipt] = true
	for _, g := range taken {
		s.units[g.sku] += g.pieces
		s.money[g.sku] += g.pieces * g.price
	}
}

// fault notes what may not happen. The shop is locked.
func (s *shop) fault(format string, args ...any) {
	s.faults = append(s.faults, s.machine.Store()+": "+fmt.Sprintf(format, args...))
}
