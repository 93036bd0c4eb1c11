package agent

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"counterpart/agent/uplink"
	"counterpart/protocol"
)

// orderKeysEvery is how often open orders are looked at whose key is not here. Keys
// come beside the events, so that one is missing only after the ring was lost, where
// the state of the store was loaded, or where there was no room.
const orderKeysEvery = 5 * time.Second

// orderForgetEvery is how often keys are looked through for those of orders that are
// over.
const orderForgetEvery = 12 * time.Hour

// orderPrefix begins the ids of orders, which tells their keys from those of members.
const orderPrefix = "o-"

// orderKeysAtOnce bounds how many are asked for at a time.
const orderKeysAtOnce = 100

// unlockOrders fetches keys that are missing, and deletes those of orders that are
// over for long, as long as the process runs.
func (a *Agent) unlockOrders(ctx context.Context) error {
	hopeless := map[protocol.OrderID]bool{}
	again, forget := time.NewTicker(orderKeysEvery), time.NewTimer(orderKeysEvery)
	defer again.Stop()
	defer forget.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-forget.C:
			if err := a.forgetOrderKeys(ctx); err != nil && ctx.Err() == nil {
				a.log.Error("keys of orders that are over not deleted", "error", err)
			}
			forget.Reset(orderForgetEvery)
		case <-again.C:
			if err := a.askOrderKeys(ctx, hopeless); err != nil && ctx.Err() == nil {
				a.log.Error("keys of orders not fetched", "error", err)
			}
		}
	}
}

// askOrderKeys asks the hub for the keys of open orders that are not here. Those that
// it does not have either are not asked for again before the next start.
func (a *Agent) askOrderKeys(ctx context.Context, hopeless map[protocol.OrderID]bool) error {
	if a.keys.ring == nil || !a.online() {
		return nil
	}
	locked, err := a.till.Locked(ctx)
	if err != nil {
		return err
	}
	var ids []string
	for _, id := range locked {
		if !hopeless[id] && len(ids) < orderKeysAtOnce {
			ids = append(ids, string(id))
		}
	}
	if len(ids) == 0 {
		return nil
	}
	store := a.origin().Store
	status, body, err := a.uplink().Ask(ctx, "/v1/stores/"+url.PathEscape(string(store))+"/order-keys", url.Values{"orders": {strings.Join(ids, ",")}})
	if err != nil {
		return nil //nolint:nilerr // The line is down again; it is asked when it is up.
	}
	if status == http.StatusOK {
		err = a.keepOrderKeys(ctx, store, body)
	} else if status >= http.StatusInternalServerError {
		return fmt.Errorf("the hub answers a question for keys of orders with %d", status)
	}
	if err != nil {
		return err
	}
	for _, id := range ids {
		hopeless[protocol.OrderID(id)] = true
	}
	return nil
}

// keepOrderKeys keeps the keys that the hub answered with.
func (a *Agent) keepOrderKeys(ctx context.Context, store protocol.StoreID, body []byte) error {
	m, err := protocol.DecodeMessage(body)
	if err != nil {
		return err
	}
	d, ok := m.(*protocol.Delta)
	if !ok || len(d.Keys) == 0 {
		return nil
	}
	if err := uplink.KeepKeys(ctx, a.keys, store, d); err != nil {
		return err
	}
	a.changes.Notify()
	return nil
}

// forgetOrderKeys deletes the keys of orders that are over for long. In between the
// process may end; a note of a key that is gone is all that stays then.
func (a *Agent) forgetOrderKeys(ctx context.Context) error {
	if a.keys.ring == nil {
		return nil
	}
	last := ""
	for {
		subjects, err := a.keys.ring.Subjects(ctx, orderPrefix, last, orderKeysAtOnce)
		if err != nil || len(subjects) == 0 {
			return err
		}
		ids := make([]protocol.OrderID, len(subjects))
		for i, s := range subjects {
			ids[i] = protocol.OrderID(s)
		}
		old, err := a.till.Forgettable(ctx, ids)
		if err != nil {
			return err
		}
		if len(old) > 0 {
			gone := make([]string, len(old))
			for i, id := range old {
				gone[i] = string(id)
			}
			if err := a.keys.ring.Forget(ctx, gone); err != nil {
				return err
			}
			if err := a.till.Forgotten(ctx, old); err != nil {
				return err
			}
		}
		last = subjects[len(subjects)-1]
	}
}
