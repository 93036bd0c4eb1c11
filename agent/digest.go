package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// compareEvery is how often this machine compares its levels with its sums, and
// lets the hub compare those (I9), in running time.
const compareEvery = time.Hour

// compare does so beside selling: it reads one committed state, and what it
// writes are short transactions.
func (a *Agent) compare(ctx context.Context) error {
	due := time.NewTicker(compareEvery)
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-due.C:
		}
		if a.disk.stage() >= stageLow {
			continue // What is written here can wait; sales need the room.
		}
		if err := errors.Join(a.audit(ctx), a.till.LogDigest(ctx)); err != nil && ctx.Err() == nil {
			a.log.Error("quantities not compared", "error", err)
		}
	}
}

// digestAlert is a difference that a person is told of, for good.
type digestAlert struct {
	SinceMs  int64          `json:"since_ms"`
	Repaired bool           `json:"repaired"`
	Buckets  []int          `json:"buckets"`
	SKUs     []protocol.SKU `json:"skus,omitempty"`
	// Times is how often something new was found, so that a resolution says
	// which of it a person has seen.
	Times uint64 `json:"times,omitempty"`
}

const (
	noteDigestAlert = "digest-alert"
	digestSKUsMax   = 100 // that an alert names
	// exceptionDigestDiffers says that quantities were not what the events give.
	exceptionDigestDiffers = "digest_differs"
)

// audit compares the levels with the sums of the store's machines. What differs
// is set right from the log where that is whole; sums that are not known begin
// with it.
func (a *Agent) audit(ctx context.Context) error {
	store := a.origin().Store
	var audit ledger.SumsAudit
	err := a.db.View(ctx, func(r ledger.Reader) (err error) {
		audit, err = ledger.AuditSums(r, store)
		return err
	})
	if err != nil || audit.Known && len(audit.Buckets) == 0 {
		return err
	}
	found, err := ledger.Recount(ctx, a.db, store, audit.Buckets)
	trimmed := errors.Is(err, ledger.ErrLogNotWhole)
	if err != nil && !trimmed {
		return err
	}
	if !audit.Known {
		return nil // They begin now, or never, and nothing was compared.
	}
	a.log.Error("levels are not the sums of the moves", "parts", audit.Buckets, "repaired", !trimmed, "items", len(found.SKUs), "machines", found.Agents)
	return a.alert(ctx, digestAlert{Repaired: !trimmed, Buckets: audit.Buckets, SKUs: found.SKUs})
}

// alert remembers a difference together with those before.
func (a *Agent) alert(ctx context.Context, alert digestAlert) error {
	defer a.changes.Notify()
	return a.db.Update(ctx, func(tx ledger.Tx) error {
		next := alert
		next.SinceMs, next.Times = a.now().UnixMilli(), 1
		old, err := readDigestAlert(tx)
		if err != nil {
			return err
		}
		if old != nil {
			next.SinceMs, next.Times = old.SinceMs, max(old.Times, 1)
			if alert.Repaired || old.Repaired || slices.ContainsFunc(alert.Buckets, func(b int) bool { return !slices.Contains(old.Buckets, b) }) {
				next.Times++
			}
			next.Buckets, next.SKUs = append(old.Buckets, next.Buckets...), append(old.SKUs, next.SKUs...)
		}
		next.Buckets = slices.Compact(slices.Sorted(slices.Values(next.Buckets)))
		next.SKUs = slices.Compact(slices.Sorted(slices.Values(next.SKUs)))
		next.SKUs = next.SKUs[:min(len(next.SKUs), digestSKUsMax)]
		b, err := json.Marshal(next)
		if err != nil {
			return err
		}
		return ledger.SetNote(tx, b, noteDigestAlert)
	})
}

func readDigestAlert(r ledger.Reader) (*digestAlert, error) {
	b, err := ledger.Note(r, noteDigestAlert)
	if err != nil || b == nil {
		return nil, err
	}
	alert := &digestAlert{}
	if err := json.Unmarshal(b, alert); err != nil {
		return nil, fmt.Errorf("note of a difference: %w", err)
	}
	return alert, nil
}

// work shows a difference as work for a person.
func (d *digestAlert) work(o protocol.Origin) ledger.WorkItem {
	x := ledger.WorkItem{
		ID: exceptionDigestDiffers, Kind: exceptionDigestDiffers, Store: o.Store, Subject: "machine " + string(o.Agent), Refs: []string{string(o.Agent)},
		Times: max(d.Times, 1), OpenedMs: d.SinceMs,
	}
	for _, sku := range d.SKUs {
		x.Refs = append(x.Refs, string(sku))
	}
	if d.Repaired {
		x.Detail = "Quantities of some items in this machine's database were not what was recorded. They were set right from the log. Nothing that was sold is lost. Check the machine's disk and memory."
		return x
	}
	x.Detail = fmt.Sprintf("Quantities of some items in this machine's database are not what was recorded (parts %v of %d), and its log no longer holds everything that could set them right. Sales go on, and nothing that was sold is lost. "+
		"When everything has reached the hub, stop the machine, and restore a backup from before, or prepare a new folder with the command replace. Check the machine's disk and memory.", d.Buckets, protocol.SumBuckets)
	return x
}
