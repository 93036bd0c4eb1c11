package main

import (
	"context"
	"time"

	"counterpart/test/process"
)

// countShare bounds the share of the time in which receipts at the hub are
// counted: after a count, this many times as long passes before the next.
const countShare = 20

// row asks the agents of a shop how they do. The shop shows the worst of them.
func (s *shop) row(ctx context.Context) row {
	r := row{store: s.ID + " " + s.Name, state: "online"}
	r.receipts, _ = s.book.sums()
	for _, t := range s.tills {
		status, err := t.machine.Status(ctx)
		if err != nil {
			r.state = "no answer"
			continue
		}
		if status.Link.State != "online" {
			r.state = status.Link.State
			if cause := status.Link.Cause; cause != nil {
				r.state += " (" + *cause + ")"
			}
		}
		r.pending += status.Stream.Pending
		if oldest := status.Stream.OldestPendingAt; oldest != nil && status.Stream.Pending > 0 {
			if at, err := time.Parse(time.RFC3339, *oldest); err == nil {
				r.lag = max(r.lag, time.Since(at))
			}
		}
	}
	return r
}

// A counter counts the receipts that the hub has of each shop. The hub tells
// them one by one, so the longer it takes the less often it is asked.
type counter struct {
	chain  *chain
	counts []int
	next   []time.Time
}

func newCounter(c *chain) *counter {
	return &counter{chain: c, counts: make([]int, len(c.shops)), next: make([]time.Time, len(c.shops))}
}

// at is how many receipts the hub has of the i-th shop, as of its last count.
func (c *counter) at(ctx context.Context, i int) int {
	start := time.Now()
	if start.Before(c.next[i]) {
		return c.counts[i]
	}
	n := 0
	err := c.chain.fleet.Hub.Sales(ctx, c.chain.shops[i].ID, func(*process.SaleDocument) error {
		n++
		return nil
	})
	if err == nil {
		c.counts[i] = n
	}
	c.next[i] = time.Now().Add(countShare * time.Since(start))
	return c.counts[i]
}
