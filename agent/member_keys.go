package agent

import (
	"context"
	"errors"
	"slices"

	"counterpart/agent/uplink"
	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/ledger/bolt"
)

// memberKeys are the keys of members that this machine holds. The ring is nil where
// there was no room for its file.
type memberKeys struct{ ring *bolt.Keys }

// lookupSecret is the name in the ring of the chain's key for look-ups.
const lookupSecret = "lookup"

// usable refuses what needs the ring.
func (k *memberKeys) usable() error {
	if k.ring == nil {
		return protocol.Refuse(protocol.DiskFull, "There is no room for the keys of personal fields on this machine. Nothing was recorded. Make room, start the agent again, and enrol the member then.")
	}
	return nil
}

// Keep is that of uplink.Keys. Without a ring the member feed waits, so that no row
// stands without its key, and nobody's key outlives them.
func (k *memberKeys) Keep(ctx context.Context, news uplink.KeyNews) error {
	if err := k.usable(); err != nil {
		return err
	}
	if len(news.Erased) > 0 {
		if err := k.ring.Erase(ctx, news.Erased); err != nil {
			return err
		}
	}
	if len(news.Gone) > 0 {
		if err := k.ring.Forget(ctx, news.Gone); err != nil {
			return err
		}
	}
	if len(news.Put) == 0 {
		return nil
	}
	err := k.ring.Put(ctx, news.Put)
	if !errors.Is(err, ledger.ErrOtherKey) {
		return err
	}
	// The hub's word stands: it may have lost a key and sealed anew.
	for id, key := range news.Put {
		one := map[string]protocol.SubjectKey{id: key}
		err := k.ring.Put(ctx, one)
		if errors.Is(err, ledger.ErrOtherKey) {
			err = errors.Join(k.ring.Forget(ctx, []string{id}), k.ring.Put(ctx, one))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// KeepLookup is that of uplink.Keys.
func (k *memberKeys) KeepLookup(ctx context.Context, key protocol.LookupKey) error {
	if err := k.usable(); err != nil {
		return err
	}
	if have, ok, err := k.lookup(ctx); err == nil && ok && have == key {
		return nil
	}
	return k.ring.SetSecret(ctx, lookupSecret, key[:])
}

// Of is that of uplink.Keys. Without a ring events go up without keys: they must not
// wait for room on the disk.
func (k *memberKeys) Of(ctx context.Context, members []protocol.MemberID) ([]protocol.MemberKey, error) {
	if k.ring == nil {
		return nil, nil
	}
	ids := make([]string, len(members))
	for i, m := range members {
		ids[i] = string(m)
	}
	found, err := k.ring.Keys(ctx, ids)
	if err != nil {
		return nil, err
	}
	var list []protocol.MemberKey
	for _, m := range slices.Compact(slices.Sorted(slices.Values(members))) {
		if key, ok := found[string(m)]; ok {
			list = append(list, protocol.MemberKey{Member: m, Key: key})
		}
	}
	return list, nil
}

// key is the key of a member; ok is false where it is not here or cannot be read.
func (k *memberKeys) key(ctx context.Context, id protocol.MemberID) (key protocol.SubjectKey, ok bool, err error) {
	if k.ring == nil {
		return key, false, nil
	}
	key, ok, err = k.ring.Key(ctx, string(id))
	if errors.Is(err, ledger.ErrLocked) {
		return key, false, nil
	}
	return key, ok, err
}

// lookup is the chain's key for look-ups; ok is false where it is not here.
func (k *memberKeys) lookup(ctx context.Context) (key protocol.LookupKey, ok bool, err error) {
	if k.ring == nil {
		return key, false, nil
	}
	b, ok, err := k.ring.Secret(ctx, lookupSecret)
	if errors.Is(err, ledger.ErrLocked) {
		return key, false, nil
	}
	return key, ok && copy(key[:], b) == len(key), err
}

// membersAnew begins the member feed from its start where the ring holds nothing of
// the chain: it is new, or was written on another machine. The rows are here, and
// without that their keys would never come again.
func (a *Agent) membersAnew(ctx context.Context) error {
	if a.keys.ring == nil {
		return nil
	}
	if _, ok, err := a.keys.lookup(ctx); err != nil || ok {
		return err
	}
	feed, begun := protocol.MemberFeed(protocol.StoreID(a.cfg.Store)), false
	err := a.db.View(ctx, func(r ledger.Reader) error {
		c, err := ledger.ReadCursor(r, feed)
		begun = c.Offset > 0
		return err
	})
	if err != nil || !begun {
		return err
	}
	err = a.db.Update(ctx, func(tx ledger.Tx) error {
		_, err := ledger.ResetFeed(tx, protocol.FeedPos{Feed: feed})
		return err
	})
	if protocol.CodeOf(err) == protocol.DiskFull {
		a.log.Error("the disk is full; the keys of members come again when there is room and the agent is started again", "error", err)
		return nil
	}
	return err
}
