package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"counterpart/protocol"
	"counterpart/test/fleet"
	"counterpart/test/process"
	"counterpart/test/retail"
)

const (
	// piece is one piece as a quantity.
	piece protocol.Quantity = 1000
	// returnOneIn, receiptOneIn and brokenOneIn are how many things a till does
	// to one return, one delivery and one breakage.
	returnOneIn  = 20
	receiptOneIn = 30
	brokenOneIn  = 40
	// returnable is how many of its last receipts a till takes goods back on.
	returnable = 50
	// delivered is how many pieces a delivery brings.
	delivered = 12
)

// A book is what the tills of a shop did, by their own account.
type book struct {
	mu       sync.Mutex
	receipts int
	total    int64
	onHand   map[string]protocol.Quantity // by SKU
}

func newBook() *book { return &book{onHand: map[string]protocol.Quantity{}} }

// sums are how many receipts there are, and what they come to.
func (b *book) sums() (receipts int, total int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.receipts, b.total
}

// move adds to the stock of an item.
func (b *book) move(sku string, pieces int64) { b.onHand[sku] += protocol.Quantity(pieces) * piece }

// A till does what people do at a counter, over the agent's HTTP interface.
type till struct {
	machine *fleet.Machine
	book    *book
	shopper *retail.Shopper
	busy    sync.Mutex // held while it does something; whoever holds it pauses the till
	past    []purchase
	done    int
}

// A purchase is a sale that goods may come back from.
type purchase struct {
	receipt string
	basket  []retail.Line
}

func newTill(m *fleet.Machine, b *book, s *retail.Shopper) *till {
	return &till{machine: m, book: b, shopper: s}
}

// run does one thing after the other until stop is closed.
func (t *till) run(ctx context.Context, every time.Duration, stop <-chan struct{}) error {
	for {
		wait := time.NewTimer(every/2 + time.Duration(t.shopper.Below(int(every))))
		select {
		case <-wait.C:
		case <-stop:
			wait.Stop()
			return nil
		case <-ctx.Done():
			wait.Stop()
			return context.Cause(ctx)
		}
		if err := t.act(ctx); err != nil {
			return err
		}
	}
}

// act sells, takes something back, or moves stock.
func (t *till) act(ctx context.Context) error {
	t.busy.Lock()
	defer t.busy.Unlock()
	t.done++
	switch {
	case len(t.past) > 0 && t.shopper.Chance(returnOneIn):
		return t.takeBack(ctx)
	case t.shopper.Chance(receiptOneIn):
		return t.moveStock(ctx, "receipt", "", delivered)
	case t.shopper.Chance(brokenOneIn):
		return t.moveStock(ctx, "adjustment", "broken", -1)
	}
	return t.sell(ctx)
}

// post sends something until the agent has answered.
func (t *till) post(ctx context.Context, path string, body, into any) error {
	key := t.machine.ID() + "-" + strconv.Itoa(t.done)
	request, err := process.JSON(http.MethodPost, path, key, body)
	if err != nil {
		return err
	}
	answer, err := t.machine.Persist(ctx, request)
	if err != nil {
		return err
	}
	return answer.Into(into)
}

func (t *till) sell(ctx context.Context) error {
	basket := t.shopper.Basket()
	total := retail.Total(basket)
	sale := process.Sale{Staff: "s1", Tenders: []process.Tender{{Type: "card", Amount: total}}}
	for _, line := range basket {
		sale.Lines = append(sale.Lines, process.Line{Code: line.Item.GTIN, Quantity: protocol.Quantity(line.Pieces) * piece})
	}
	var doc process.SaleDocument
	if err := t.post(ctx, "/v1/sales", sale, &doc); err != nil {
		return err
	}
	if doc.Total != total {
		return fmt.Errorf("receipt %s comes to %d, not to %d", doc.ReceiptNo, doc.Total, total)
	}
	t.past = append(t.past, purchase{doc.ReceiptNo, basket})
	t.past = t.past[max(0, len(t.past)-returnable):]
	t.book.mu.Lock()
	defer t.book.mu.Unlock()
	t.book.receipts++
	t.book.total += total
	for _, line := range basket {
		t.book.move(line.Item.SKU, -line.Pieces)
	}
	return nil
}

// takeBack takes one piece back from an earlier receipt.
func (t *till) takeBack(ctx context.Context) error {
	i := t.shopper.Below(len(t.past))
	bought := t.past[i]
	t.past = append(t.past[:i:i], t.past[i+1:]...)
	line := t.shopper.Below(len(bought.basket))
	item := bought.basket[line].Item
	var doc process.SaleDocument
	if err := t.post(ctx, "/v1/returns", process.Return{
		ReceiptNo: &bought.receipt, Lines: []process.Line{{Line: line + 1, Quantity: piece, To: "on_hand"}},
		Tenders: []process.Tender{{Type: "card", Amount: item.Price}}, Reason: "unwanted",
	}, &doc); err != nil {
		return err
	}
	if doc.Total != -item.Price {
		return fmt.Errorf("receipt %s comes to %d, not to %d", doc.ReceiptNo, doc.Total, -item.Price)
	}
	t.book.mu.Lock()
	defer t.book.mu.Unlock()
	t.book.receipts++
	t.book.total -= item.Price
	t.book.move(item.SKU, 1)
	return nil
}

// moveStock books a delivery or a breakage of one item.
func (t *till) moveStock(ctx context.Context, kind, reason string, pieces int64) error {
	item := t.shopper.Basket()[0].Item
	var answer struct {
		EventID string `json:"event_id"`
	}
	if err := t.post(ctx, "/v1/stock/movements", process.Movement{
		Type: kind, Reason: reason, Reference: t.machine.ID() + "-" + strconv.Itoa(t.done),
		Lines: []process.MovementLine{{Code: item.GTIN, Quantity: protocol.Quantity(pieces) * piece}},
	}, &answer); err != nil {
		return err
	}
	t.book.mu.Lock()
	defer t.book.mu.Unlock()
	t.book.move(item.SKU, pieces)
	return nil
}
