package main

import (
	"context"
	"errors"
	"fmt"

	"counterpart/test/fleet"
)

// faultsShown bounds how many disagreements an error names.
const faultsShown = 20

// agree holds the tills for a moment, waits until the hub has everything, and
// compares. when says at what moment it had.
func (c *chain) agree(ctx context.Context, when func() string) error {
	for _, s := range c.shops {
		for _, t := range s.tills {
			t.busy.Lock()
			defer t.busy.Unlock()
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, agreePatience, fmt.Errorf("hub and stores do not agree after %s", agreePatience))
	defer cancel()
	if err := c.fleet.Converge(ctx); err != nil {
		return err
	}
	then := when()
	receipts, total, faults := 0, int64(0), []string(nil)
	for _, s := range c.shops {
		found, err := c.compare(ctx, s)
		if err != nil {
			return err
		}
		faults = append(faults, found...)
		n, sum := s.book.sums()
		receipts, total = receipts+n, total+sum
	}
	if len(faults) > 0 {
		var all []error
		for _, fault := range faults[:min(len(faults), faultsShown)] {
			all = append(all, errors.New(fault))
		}
		return fmt.Errorf("hub and stores disagree in %d places: %w", len(faults), errors.Join(all...))
	}
	c.board.say("Hub and stores agree to the unit and the penny%s: %d receipts over %s, and the stock of %d items in %d stores.",
		then, receipts, money(total), len(c.items), len(c.shops))
	return nil
}

// compare holds what the hub knows of a shop against the shop's own book.
func (c *chain) compare(ctx context.Context, s *shop) ([]string, error) {
	books, err := fleet.ReadBooks(ctx, c.fleet.Hub, s.ID, nil)
	if err != nil {
		return nil, err
	}
	faults := books.Faults
	receipts, total := s.book.sums()
	if got := books.Documents["sale"] + books.Documents["return"]; got != receipts || books.Total != total {
		faults = append(faults, fmt.Sprintf("%s: the hub has %d receipts over %s, the tills made %d over %s", s.ID, got, money(books.Total), receipts, money(total)))
	}
	levels, err := c.fleet.Hub.Stock(ctx, s.ID)
	if err != nil {
		return nil, err
	}
	for sku, want := range s.book.onHand {
		if got, known := levels[sku]; !known || got.OnHand != want {
			faults = append(faults, fmt.Sprintf("%s: the hub has %s of %s on hand, expected %s", s.ID, got.OnHand, sku, want))
		}
	}
	for sku, level := range levels {
		if _, known := s.book.onHand[sku]; !known {
			faults = append(faults, fmt.Sprintf("%s: the hub has %s of %s on hand, which nobody knows", s.ID, level.OnHand, sku))
		}
	}
	return faults, nil
}

// money writes an amount of minor units.
func money(minor int64) string {
	sign := ""
	if minor < 0 {
		sign, minor = "-", -minor
	}
	return fmt.Sprintf("%s%d.%02d %s", sign, minor/100, minor%100, currency)
}
