package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// Two comparisons find what a damaged disk, bad memory or a wrong fold made of
// the quantities (I9). Agents say once an hour what they make of their own
// events, and the hub compares in the transaction that folds it. And the levels
// of a store must be the sums of its agents' moves. Where either differs, the
// hub counts its log again: it sets its own rows right, or knows that the agent
// is the one that is wrong. A person is told of both.

// AuditEvery is how often Audit is due, in running time.
const AuditEvery = time.Hour

// digests is what became of the comparisons.
type digests struct {
	mu        sync.Mutex
	checkedMs int64 // when a digest last agreed, Unix milliseconds
	alerts    map[family]*digestAlert
	suspects  []suspect
	suspected chan struct{}
	// broken are stores whose log lacks events, so that nothing can be counted
	// again.
	broken map[protocol.StoreID]bool
}

// family is all streams of an agent of a store; without an agent it is the hub's
// own rows of the store.
type family struct {
	store protocol.StoreID
	agent protocol.AgentID
}

// suspect is an agent whose digest was another.
type suspect struct {
	family
	buckets []int
}

// What was found where two sides differed.
const (
	foundAgent    = "agent"    // the log gives what the hub holds
	foundRepaired = "repaired" // the hub's rows were others, and were replaced
	foundUnproven = "unproven" // the log lacks events
)

// digestAlert is a difference that a person is told of.
type digestAlert struct {
	SinceMs  int64          `json:"since_ms"`
	Found    string         `json:"found"`
	Buckets  []int          `json:"buckets,omitempty"`
	SKUs     []protocol.SKU `json:"skus,omitempty"`
	AgreedMs int64          `json:"agreed_ms,omitempty"` // the agent's digest agreed again
	// Times is how often something new was found, so that a resolution says
	// which of it a person has seen.
	Times uint64 `json:"times,omitempty"`
}

const (
	noteDigestAlert   = "digest-alert"
	noteDigestChecked = "digest-checked"
	digestSKUsMax     = 100 // that an alert names
)

// Suspected wakes whoever calls Inspect.
func (h *Hub) Suspected() <-chan struct{} { return h.digests.suspected }

// digested takes note of the digests of a batch that was committed.
func (h *Hub) digested(in *incoming) {
	d := &h.digests
	for _, compared := range in.res.Digests {
		f := family{in.origin.Store, in.origin.Agent}
		d.mu.Lock()
		alert := d.alerts[f]
		switch {
		case len(compared.Buckets) == 0:
			d.checkedMs = h.now().UnixMilli()
			if alert != nil {
				alert.AgreedMs = d.checkedMs
			}
		case alert == nil || alert.Found != foundAgent || alert.AgreedMs > 0 || !containsAll(alert.Buckets, compared.Buckets):
			d.suspects = append(d.suspects, suspect{f, compared.Buckets})
			select {
			case d.suspected <- struct{}{}:
			default:
			}
		}
		d.mu.Unlock()
	}
}

func containsAll(list, some []int) bool {
	return !slices.ContainsFunc(some, func(b int) bool { return !slices.Contains(list, b) })
}

// Inspect counts again what the digests made suspect.
func (h *Hub) Inspect(ctx context.Context) error {
	h.digests.mu.Lock()
	list := h.digests.suspects
	h.digests.suspects = nil
	h.digests.mu.Unlock()
	var errs error
	for _, s := range list {
		h.log.Error("an agent's digest differs from what the hub makes of the same events", "store", s.store, "agent", s.agent, "parts", s.buckets)
		found, err := h.recount(ctx, s.store, s.buckets)
		switch {
		case errors.Is(err, ledger.ErrLogNotWhole):
			err = h.alert(ctx, s.family, digestAlert{Found: foundUnproven, Buckets: s.buckets})
		case err != nil:
		case slices.Contains(found.Agents, s.agent):
			// recount has told of it.
		default:
			err = h.alert(ctx, s.family, digestAlert{Found: foundAgent, Buckets: s.buckets})
		}
		errs = errors.Join(errs, err)
	}
	return errs
}

// Audit compares the levels of every store with the sums of its agents, one
// store after the other, and writes down what the comparisons of the last hour
// gave.
func (h *Hub) Audit(ctx context.Context) error {
	var stores []protocol.StoreID
	err := h.view(ctx, func(r ledger.Reader) error {
		stores = stores[:0]
		streams, err := ledger.AllStreams(r)
		for _, s := range streams {
			if n := len(stores); n == 0 || stores[n-1] != s.Origin.Store {
				stores = append(stores, s.Origin.Store)
			}
		}
		return err
	})
	for _, store := range stores {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		err = errors.Join(err, h.auditStore(ctx, store))
	}
	return errors.Join(err, h.saveDigests(ctx))
}

func (h *Hub) auditStore(ctx context.Context, store protocol.StoreID) error {
	var audit ledger.SumsAudit
	err := h.view(ctx, func(r ledger.Reader) (err error) {
		audit, err = ledger.AuditSums(r, store)
		return err
	})
	if err != nil || audit.Known && len(audit.Buckets) == 0 {
		return err
	}
	if audit.Known {
		h.log.Error("the levels of a store are not the sums of its moves", "store", store, "parts", audit.Buckets)
	}
	_, err = h.recount(ctx, store, audit.Buckets)
	if errors.Is(err, ledger.ErrLogNotWhole) {
		if err = nil; audit.Known {
			err = h.alert(ctx, family{store: store}, digestAlert{Found: foundUnproven, Buckets: audit.Buckets})
		}
	}
	return err
}

// recount counts a store's log again and tells of what it had to set right.
func (h *Hub) recount(ctx context.Context, store protocol.StoreID, buckets []int) (ledger.Recounted, error) {
	d := &h.digests
	d.mu.Lock()
	broken := d.broken[store]
	d.mu.Unlock()
	if broken {
		return ledger.Recounted{}, ledger.ErrLogNotWhole
	}
	found, err := ledger.Recount(ctx, h.driver, store, buckets)
	if errors.Is(err, ledger.ErrLogNotWhole) {
		d.mu.Lock()
		d.broken[store] = true
		d.mu.Unlock()
	}
	if len(found.Begun) > 0 {
		h.log.Info("sums of moves begun from the log", "store", store, "agents", found.Begun)
	}
	if len(found.SKUs) > 0 {
		h.log.Error("levels were not what the log gives; they were replaced", "store", store, "items", len(found.SKUs), "first", found.SKUs[0])
		err = errors.Join(err, h.alert(ctx, family{store: store}, digestAlert{Found: foundRepaired, Buckets: buckets, SKUs: found.SKUs}))
	}
	for _, agent := range found.Agents {
		h.log.Error("the sums of an agent were not what the log gives; they were replaced", "store", store, "agent", agent)
		err = errors.Join(err, h.alert(ctx, family{store, agent}, digestAlert{Found: foundRepaired, Buckets: buckets}))
	}
	return found, err
}

// alert remembers a difference for good, together with what was found of the
// same before.
func (h *Hub) alert(ctx context.Context, f family, a digestAlert) error {
	d := &h.digests
	d.mu.Lock()
	a.SinceMs = h.now().UnixMilli()
	a.Times = 1
	if old := d.alerts[f]; old != nil {
		a.Times = max(old.Times, 1)
		if a.Found == foundRepaired || a.Found != old.Found || old.AgreedMs > 0 || !containsAll(old.Buckets, a.Buckets) {
			a.Times++
		}
		a.SinceMs = old.SinceMs
		a.Buckets, a.SKUs = append(slices.Clone(old.Buckets), a.Buckets...), append(slices.Clone(old.SKUs), a.SKUs...)
	}
	slices.Sort(a.Buckets)
	slices.Sort(a.SKUs)
	a.Buckets, a.SKUs = slices.Compact(a.Buckets), slices.Compact(a.SKUs)
	a.SKUs = a.SKUs[:min(len(a.SKUs), digestSKUsMax)]
	d.alerts[f] = &a
	d.mu.Unlock()
	h.mu.Lock()
	h.notify()
	h.mu.Unlock()
	return h.saveDigests(ctx)
}

// saveDigests writes down what a restart must not forget.
func (h *Hub) saveDigests(ctx context.Context) error {
	d := &h.digests
	d.mu.Lock()
	checked, rows := d.checkedMs, map[family][]byte{}
	var err error
	for f, a := range d.alerts {
		if rows[f], err = json.Marshal(a); err != nil {
			break
		}
	}
	d.mu.Unlock()
	if err != nil || checked == 0 && len(rows) == 0 {
		return err
	}
	return h.driver.Update(ctx, func(tx ledger.Tx) error {
		for f, row := range rows {
			if err := ledger.SetNote(tx, row, noteDigestAlert, string(f.store), string(f.agent)); err != nil {
				return err
			}
		}
		return setCounter(tx, noteDigestChecked, uint64(checked))
	})
}

func (h *Hub) loadDigests(ctx context.Context) error {
	d := &h.digests
	d.alerts, d.broken, d.suspected = map[family]*digestAlert{}, map[protocol.StoreID]bool{}, make(chan struct{}, 1)
	prefix := noteDigestAlert + "\x00"
	return h.view(ctx, func(r ledger.Reader) error {
		checked, err := counter(r, noteDigestChecked)
		if err != nil {
			return err
		}
		d.checkedMs = int64(checked)
		return r.Scan(ledger.Notes, prefix, noteDigestAlert+"\x01", func(id string, v []byte) (bool, error) {
			store, agent, _ := strings.Cut(id[len(prefix):], "\x00")
			a := &digestAlert{}
			if err := json.Unmarshal(v, a); err != nil {
				return false, fmt.Errorf("row %q: %w", id, err)
			}
			d.alerts[family{protocol.StoreID(store), protocol.AgentID(agent)}] = a
			return true, nil
		})
	})
}

// digestsCheckedAt is when an agent's digest last agreed with the hub.
func (h *Hub) digestsCheckedAt() *string {
	h.digests.mu.Lock()
	defer h.digests.mu.Unlock()
	if h.digests.checkedMs == 0 {
		return nil
	}
	return timeText(time.UnixMilli(h.digests.checkedMs).UTC())
}

// exceptionDigestDiffers says that quantities were not what the events give.
const exceptionDigestDiffers = "digest_differs"

// digestWork shows the differences as work for a person.
func (h *Hub) digestWork() []ledger.WorkItem {
	h.digests.mu.Lock()
	defer h.digests.mu.Unlock()
	items := make([]ledger.WorkItem, 0, len(h.digests.alerts))
	for f, a := range h.digests.alerts {
		item := ledger.WorkItem{
			ID: exceptionDigestDiffers + "-" + string(f.store), Kind: exceptionDigestDiffers, Store: f.store, Subject: "hub " + string(f.store),
			Times: max(a.Times, 1), OpenedMs: a.SinceMs, Detail: a.detail(f),
		}
		if f.agent != "" {
			item.ID, item.Subject, item.Refs = item.ID+"-"+string(f.agent), item.Subject+" "+string(f.agent), append(item.Refs, string(f.agent))
		}
		for _, sku := range a.SKUs {
			item.Refs = append(item.Refs, string(sku))
		}
		items = append(items, item)
	}
	return items
}

func (a *digestAlert) detail(f family) string {
	parts := fmt.Sprintf("parts %v of %d", a.Buckets, protocol.SumBuckets)
	var text string
	switch {
	case a.Found == foundAgent:
		text = fmt.Sprintf("Machine %s of store %s makes other quantities of its own events than the hub (%s). The hub counted its log again, and its quantities are right. Every sale is recorded. Run verify on that machine; if it reports a difference, replace its database.", f.agent, f.store, parts)
	case a.Found == foundUnproven:
		text = fmt.Sprintf("Quantities of store %s differ from what was recorded (%s), and the hub's log lacks events, so that nobody can say which are right. Every sale that is here is recorded. Count the items of the store.", f.store, parts)
	case f.agent != "":
		text = fmt.Sprintf("What the hub remembers for comparing machine %s of store %s with it was damaged (%s), and was set right from the log. No quantity was wrong. Check the hub's disk and memory.", f.agent, f.store, parts)
	default:
		text = fmt.Sprintf("Quantities of store %s at the hub were not what its events give (%s). They were set right from the log; the items are named. Check the hub's disk and memory.", f.store, parts)
	}
	if a.AgreedMs > 0 {
		text += fmt.Sprintf(" The machine and the hub agree again since %s.", time.UnixMilli(a.AgreedMs).UTC().Format(time.RFC3339))
	}
	return text
}
