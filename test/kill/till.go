package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
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
	// thinkMax bounds the pause of a till between two sales.
	thinkMax = 15 * time.Millisecond
	// piece is one piece as a quantity.
	piece protocol.Quantity = 1000
)

// A confirmation is a sale that the agent has answered.
type confirmation struct {
	request process.Request
	answer  process.Answer // the first one
	basket  []retail.Line
}

// A till sells one basket after the other.
type till struct {
	name    string
	machine *fleet.Machine
	shopper *retail.Shopper
	random  *rand.Rand

	mu        sync.Mutex
	confirmed []confirmation
}

// sell sells until stop is closed, and finishes the sale that it is at.
func (t *till) sell(ctx context.Context, stop <-chan struct{}) error {
	for n := 1; ; n++ {
		if err := t.sellOne(ctx, n); err != nil {
			return err
		}
		select {
		case <-stop:
			return nil
		default:
		}
		if err := process.Pause(ctx, time.Duration(t.random.Int64N(int64(thinkMax)))); err != nil {
			return err
		}
	}
}

// sellOne sells a basket and repeats the request until it is answered.
func (t *till) sellOne(ctx context.Context, n int) error {
	basket := t.shopper.Basket()
	key := "till" + t.name + "-sale" + strconv.Itoa(n)
	sale := process.Sale{Till: t.name, Tenders: []process.Tender{{Type: "card", Amount: retail.Total(basket), Ref: key}}}
	for _, line := range basket {
		sale.Lines = append(sale.Lines, process.Line{Code: line.Item.GTIN, Quantity: protocol.Quantity(line.Pieces) * piece})
	}
	request, err := process.JSON(http.MethodPost, "/v1/sales", key, sale)
	if err != nil {
		return err
	}
	answer, err := t.machine.Persist(ctx, request)
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.confirmed = append(t.confirmed, confirmation{request, answer, basket})
	return nil
}

// count is how many sales were confirmed.
func (t *till) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.confirmed)
}

// all are the confirmed sales.
func (t *till) all() []confirmation {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.confirmed[:len(t.confirmed):len(t.confirmed)]
}

// repeat sends a confirmed sale again and wants the first answer.
func (t *till) repeat(ctx context.Context, c confirmation) error {
	again, err := t.machine.Persist(ctx, c.request)
	if err != nil {
		return fmt.Errorf("%s, sent again: %w", c.request.Key, err)
	}
	if again.Status != c.answer.Status || !bytes.Equal(again.Body, c.answer.Body) {
		return fmt.Errorf("%s, sent again, was answered %d %s, and first %d %s", c.request.Key, again.Status, again.Body, c.answer.Status, c.answer.Body)
	}
	return nil
}

// misuse sends a confirmed sale's key with another sale, which has to be refused.
func (t *till) misuse(ctx context.Context, c confirmation) error {
	other := c.request
	other.Body = []byte(`{"lines":[{"code":"` + c.basket[0].Item.GTIN + `","qty":99}],"tenders":[{"type":"cash","amount_minor":9900000}]}`)
	answer, err := t.machine.Persist(ctx, other)
	if err == nil {
		return fmt.Errorf("%s with another sale was answered %d %s", c.request.Key, answer.Status, answer.Body)
	}
	var refusal *process.Refusal
	if errors.As(err, &refusal) && refusal.Status == http.StatusUnprocessableEntity && refusal.Problem().Code == "idempotency_mismatch" {
		return nil
	}
	return fmt.Errorf("%s with another sale: %w", c.request.Key, err)
}
