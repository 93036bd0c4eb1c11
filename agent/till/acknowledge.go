package till

import (
	"context"
	"errors"
	"slices"
	"sync"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/pickup"
)

// No look reads for long in one transaction, and no answer keeps a sale waiting
// for long.
const (
	partsStep       = 500
	acknowledgeStep = 50
)

// acknowledging is how far this machine, as the store's primary, has answered
// the hub. It is in memory: a start looks at every part.
type acknowledging struct {
	mu sync.Mutex
	at progress // nil: everything has to be looked at
}

// SettleOrders answers cancellations and expiries of which nothing is staged, if
// this machine is the store's primary: a put-back without lines, by which the
// hub knows that the store gives up the part. Which parts those are depends on
// what is folded alone, so however often this is called or interrupted there is
// one answer. It is called after something came down, and at a start.
func (t *Till) SettleOrders(ctx context.Context) error {
	t.answering.mu.Lock()
	defer t.answering.mu.Unlock()
	for {
		var primary bool
		var found touched
		err := t.o.Driver.View(ctx, func(r ledger.Reader) (err error) {
			if primary, err = t.primary(r); err == nil && primary {
				found, err = t.touchedAfter(r, t.answering.at, false)
			}
			return err
		})
		if err != nil {
			return err
		}
		if !primary {
			return nil // It looks from there on when it becomes the primary.
		}
		if found.all {
			err = t.acknowledgeAll(ctx)
		} else {
			err = t.acknowledge(ctx, found.parts)
		}
		if err != nil {
			return err
		}
		t.answering.at = found.at
		if !found.more {
			return nil
		}
	}
}

// primary tells whether this machine is the one that acts for the store.
func (t *Till) primary(r ledger.Reader) (bool, error) {
	record, err := ledger.ReadStore(r, t.origin().Store)
	return err == nil && record != nil && record.Primary == t.origin().Agent, err
}

// acknowledgeAll goes through all parts that the store keeps.
func (t *Till) acknowledgeAll(ctx context.Context) error {
	var behind protocol.PartID
	for more := true; more; {
		var due []protocol.PartID
		err := t.o.Driver.View(ctx, func(r ledger.Reader) error {
			seen := 0
			more = false
			return ledger.Parts(r, t.origin().Store, behind, func(id protocol.PartID, part *pickup.Part) (bool, error) {
				if seen == partsStep {
					more = true
					return false, nil
				}
				seen++
				behind = id
				if state := part.State(); state.Acknowledges() {
					due = append(due, id)
				}
				return true, nil
			})
		})
		if err != nil {
			return err
		}
		if err := t.acknowledge(ctx, due); err != nil {
			return err
		}
	}
	return nil
}

// acknowledge answers for those of the parts that need it.
func (t *Till) acknowledge(ctx context.Context, parts []protocol.PartID) error {
	for step := range slices.Chunk(parts, acknowledgeStep) {
		err := t.acknowledgeOnce(ctx, step)
		for errors.Is(err, errForked) {
			if err = t.Refresh(ctx); err == nil {
				err = t.acknowledgeOnce(ctx, step)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *Till) acknowledgeOnce(ctx context.Context, parts []protocol.PartID) error {
	now, mono, as, appended := t.o.Now(), t.o.Mono(), t.present.Load(), false
	err := t.o.Driver.Update(ctx, func(tx ledger.Tx) error {
		appended = false
		if err := as.check(tx); err != nil {
			return err
		}
		if primary, err := t.primary(tx); err != nil || !primary {
			return err
		}
		shop, err := t.readShop(tx)
		if err != nil {
			return err
		}
		for _, id := range parts {
			part, err := ledger.ReadPart(tx, as.origin.Store, id)
			if err != nil {
				return err
			}
			state := part.State()
			if !state.Acknowledges() {
				continue
			}
			f, moves, err := state.Plan(pickup.Acknowledge, nil)
			if err != nil {
				return err
			}
			a := &act{desk: desk{Till: t, as: as, r: tx, now: now, shop: shop}, tx: tx, mono: mono}
			if err := a.log(&protocol.Event{Kind: protocol.KindFulfilment, Moves: moves, Fulfilment: f}); err != nil {
				return err
			}
			appended = true
		}
		return nil
	})
	if err == nil && appended {
		t.o.Appended()
	}
	return err
}
