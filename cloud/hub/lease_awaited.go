package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// exceptionAgentAwaited says that nothing is lent to anybody because the database was
// put back, and a machine has not told since what it holds.
const exceptionAgentAwaited = "agent_awaited"

// awaitedShownAfter is for how long machines are waited for before a person is to look:
// those that are only late have come by then.
const awaitedShownAfter = time.Hour

// awaitedWork shows machines that are waited for as work for a person.
func (h *Hub) awaitedWork() []ledger.WorkItem {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := &h.leasing
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.awaited) == 0 || h.mono()-l.awaitedSince < awaitedShownAfter {
		return nil
	}
	items := make([]ledger.WorkItem, 0, len(l.awaited))
	for id := range l.awaited {
		item := ledger.WorkItem{
			ID: fmt.Sprintf("%s-%s-%d", exceptionAgentAwaited, id, h.Epoch()), Kind: exceptionAgentAwaited, Subject: string(id), Refs: []string{string(id)}, Times: 1, OpenedMs: l.awaitedFromMs,
			Detail: fmt.Sprintf("The hub's database was put back to an older copy, and machine %s has not been online since. It may hold points, gift cards or credit that the hub has forgotten to have lent, so nothing is lent to any store until it has told; what stores hold they go on spending. "+
				"Bring it online. If it is gone for good, resolve this: what it sold and never sent is lost then, and if it comes back after all, something may be spent twice.", id),
		}
		if row := h.agents[id]; row != nil {
			item.Store = row.Store
			item.Detail = item.Detail[:len(item.Detail)-1] + fmt.Sprintf(". It was last heard at %s.", timeOf(row.SeenMs))
		}
		items = append(items, item)
	}
	return items
}

// giveUpOn notes, in the transaction in which a person says that a machine is gone,
// that it is not waited for any more.
func (h *Hub) giveUpOn(tx ledger.Tx, id protocol.AgentID) error {
	h.mu.Lock()
	row := h.agents[id]
	if row == nil {
		h.mu.Unlock()
		return nil
	}
	gone := *row
	h.mu.Unlock()
	gone.Told = h.Epoch()
	b, err := json.Marshal(gone)
	if err != nil {
		return err
	}
	return ledger.SetNote(tx, b, "agent", string(id))
}

// gaveUpOn is called when that has committed.
func (h *Hub) gaveUpOn(ctx context.Context, id protocol.AgentID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if row := h.agents[id]; row != nil {
		row.Told = h.Epoch()
	}
	h.log.WarnContext(ctx, "a machine is given up, and what it may hold is lent again", "agent", id)
	h.waitsNoMore(id)
}

// waitsNoMore drops a machine of those that are waited for. When none is left all
// members are looked at; h.mu is held.
func (h *Hub) waitsNoMore(id protocol.AgentID) {
	l := &h.leasing
	l.mu.Lock()
	defer l.mu.Unlock()
	before := len(l.awaited)
	delete(l.awaited, id)
	if before > 0 && len(l.awaited) == 0 {
		l.sweep.asked = true
	}
}
