package hub

import (
	"context"
	"errors"
	"strings"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// withKeys puts the keys of members beside the rows of their feed, and those of
// orders beside their events, on the way to a store that holds them. They stand in the key ring alone, so that no copy of the
// database has them; who was erased has none.
func (h *Hub) withKeys(ctx context.Context, d *protocol.Delta) error {
	f, err := protocol.ParseFeed(d.Feed)
	if err != nil || h.keys == nil {
		return err
	}
	if len(d.Events) > 0 {
		return h.withOrderKeys(ctx, d, f.Store)
	}
	if f.Kind != protocol.FeedOfMembers || len(d.Rows) == 0 {
		return nil
	}
	ids := make([]string, 0, len(d.Rows))
	for i := range d.Rows {
		if len(d.Rows[i].Value) > 0 {
			ids = append(ids, memberOfKey(d.Rows[i].Key))
		}
	}
	keys, err := h.keys.Keys(ctx, ids)
	if errors.Is(err, ledger.ErrLocked) {
		return nil
	}
	if err != nil {
		return err
	}
	for i := range d.Rows {
		if row := &d.Rows[i]; len(row.Value) > 0 {
			row.SubjectKey = keys[memberOfKey(row.Key)]
		}
	}
	return nil
}

func memberOfKey(key string) string { return strings.TrimPrefix(key, "member/") }

// keyForLookups is the chain's key for a Welcome, zero where this hub keeps no
// members.
func (h *Hub) keyForLookups(ctx context.Context) (key protocol.LookupKey) {
	if h.keys == nil {
		return key
	}
	key, err := h.lookupKey(ctx)
	if err != nil {
		h.log.Error("the key for look-ups is not given to an agent", "error", err)
		return protocol.LookupKey{}
	}
	return key
}

// keepKeys stores the keys that came beside batches, before their events are
// folded, so that no event is acknowledged whose key could still be lost. A batch
// may bring keys of those alone whom its own events enrol. Who has another key
// keeps it.
func (h *Hub) keepKeys(ctx context.Context, ready []*incoming) error {
	if h.keys == nil {
		return nil
	}
	for _, in := range ready {
		if len(in.batch.Keys) == 0 {
			continue
		}
		enrolled := map[protocol.MemberID]bool{}
		for _, r := range in.records {
			if m := protocol.EnrolledBy(r.Body); m != "" {
				enrolled[m] = true
			}
		}
		for _, k := range in.batch.Keys {
			if !enrolled[k.Member] || k.Key.IsZero() {
				h.log.Warn("a key came without the event that enrols its member", "agent", in.origin.Agent, "member", k.Member)
				continue
			}
			err := h.keys.Put(ctx, map[string]protocol.SubjectKey{string(k.Member): k.Key})
			if errors.Is(err, ledger.ErrOtherKey) {
				h.log.Error("another key came for a member who has one; it was not taken", "agent", in.origin.Agent, "member", k.Member)
				continue
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}
