package agent

import (
	"context"
	"errors"

	"counterpart/agent/uplink"
	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/ledger/bolt"
)

// memberKeys are the keys of members that this machine holds. The ring is nil where
// there was no room for its file.
type memberKeys struct{ ring *bolt.Keys }

// usable refuses what needs the ring.
func (k *memberKeys) usable() error {
	if k.ring == nil {
		return protocol.Refuse(protocol.DiskFull, "There is no room for the keys of personal fields on this machine. Nothing was recorded. Make room, start the agent again, and enrol the member then.")
	}
	return nil
}

func (k *memberKeys) keys() uplink.Ring { return uplink.Ring{KeyRing: k.ring.KeyRing} }

// Keep is that of uplink.Keys. Without a ring the member feed waits, so that no row
// stands without its key, and nobody's key outlives them.
func (k *memberKeys) Keep(ctx context.Context, news uplink.KeyNews) error {
	if err := k.usable(); err != nil {
		return err
	}
	return k.keys().Keep(ctx, news)
}

// KeepLookup is that of uplink.Keys.
func (k *memberKeys) KeepLookup(ctx context.Context, key protocol.LookupKey) error {
	if err := k.usable(); err != nil {
		return err
	}
	return k.keys().KeepLookup(ctx, key)
}

// Of is that of uplink.Keys. Without a ring events go up without keys: they must not
// wait for room on the disk.
func (k *memberKeys) Of(ctx context.Context, members []protocol.MemberID) ([]protocol.MemberKey, error) {
	if k.ring == nil {
		return nil, nil
	}
	return k.keys().Of(ctx, members)
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

// subjectKey is the key under which an order is sealed; ok is false where it is not
// here or cannot be read: the goods are handed over all the same.
func (a *Agent) subjectKey(subject string) (key protocol.SubjectKey, ok bool) {
	key, ok, err := a.keys.key(context.Background(), protocol.MemberID(subject))
	if err != nil {
		a.log.Error("the key of an order cannot be read", "subject", subject, "error", err)
		return key, false
	}
	return key, ok
}

// lookup is the chain's key for look-ups; ok is false where it is not here.
func (k *memberKeys) lookup(ctx context.Context) (key protocol.LookupKey, ok bool, err error) {
	if k.ring == nil {
		return key, false, nil
	}
	return k.keys().Lookup(ctx)
}

// membersAnew has the keys of members come again where this machine has none.
func (a *Agent) membersAnew(ctx context.Context) error {
	if a.keys.ring == nil {
		return nil
	}
	err := uplink.MembersAnew(ctx, a.db, a.keys.keys(), protocol.StoreID(a.cfg.Store))
	if protocol.CodeOf(err) == protocol.DiskFull {
		a.log.Error("the disk is full; the keys of members come again when there is room and the agent is started again", "error", err)
		return nil
	}
	return err
}
