package uplink

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// Keys keep the keys of members, which travel beside rows and events and lie apart
// from the database.
type Keys interface {
	// Keep stores keys that came down, and deletes those of who was erased, for
	// good, and of who is no longer held here. It has to be done before the rows
	// beside which they came are stored.
	Keep(ctx context.Context, news KeyNews) error
	// KeepLookup stores the chain's key under which members are looked up.
	KeepLookup(ctx context.Context, key protocol.LookupKey) error
	// Of finds the keys of members; those that are not here are left out.
	Of(ctx context.Context, members []protocol.MemberID) ([]protocol.MemberKey, error)
}

// KeyNews is what part of a member feed says of keys.
type KeyNews struct {
	Put    map[string]protocol.SubjectKey
	Erased []string
	Gone   []string
}

func (n *KeyNews) empty() bool { return len(n.Put)+len(n.Erased)+len(n.Gone) == 0 }

// Ring is the keys of members in a key ring.
type Ring struct{ *ledger.KeyRing }

// LookupSecret is the name in a ring of the chain's key for look-ups.
const LookupSecret = "lookup"

// Keep is that of Keys.
func (k Ring) Keep(ctx context.Context, news KeyNews) error {
	if len(news.Erased) > 0 {
		if err := k.Erase(ctx, news.Erased); err != nil {
			return err
		}
	}
	if len(news.Gone) > 0 {
		if err := k.Forget(ctx, news.Gone); err != nil {
			return err
		}
	}
	if len(news.Put) == 0 {
		return nil
	}
	err := k.Put(ctx, news.Put)
	if !errors.Is(err, ledger.ErrOtherKey) {
		return err
	}
	// The hub's word stands: it may have lost a key and sealed anew.
	for id, key := range news.Put {
		one := map[string]protocol.SubjectKey{id: key}
		err := k.Put(ctx, one)
		if errors.Is(err, ledger.ErrOtherKey) {
			err = errors.Join(k.Forget(ctx, []string{id}), k.Put(ctx, one))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// KeepLookup is that of Keys.
func (k Ring) KeepLookup(ctx context.Context, key protocol.LookupKey) error {
	if have, ok, err := k.Lookup(ctx); err == nil && ok && have == key {
		return nil
	}
	return k.SetSecret(ctx, LookupSecret, key[:])
}

// Of is that of Keys.
func (k Ring) Of(ctx context.Context, members []protocol.MemberID) ([]protocol.MemberKey, error) {
	ids := make([]string, len(members))
	for i, m := range members {
		ids[i] = string(m)
	}
	found, err := k.Keys(ctx, ids)
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

// Lookup is the chain's key for look-ups; ok is false where it is not here.
func (k Ring) Lookup(ctx context.Context) (key protocol.LookupKey, ok bool, err error) {
	b, ok, err := k.Secret(ctx, LookupSecret)
	if errors.Is(err, ledger.ErrLocked) {
		return key, false, nil
	}
	return key, ok && copy(key[:], b) == len(key), err
}

// MembersAnew begins the member feed of a store from its start where the ring holds
// nothing of the chain: it is new, or was written on another machine. The rows are
// here, and without that their keys would never come again.
func MembersAnew(ctx context.Context, d ledger.Driver, keys Ring, store protocol.StoreID) error {
	if _, ok, err := keys.Lookup(ctx); err != nil || ok {
		return err
	}
	feed, begun := protocol.MemberFeed(store), false
	err := d.View(ctx, func(r ledger.Reader) error {
		c, err := ledger.ReadCursor(r, feed)
		begun = c.Offset > 0
		return err
	})
	if err != nil || !begun {
		return err
	}
	return d.Update(ctx, func(tx ledger.Tx) error {
		_, err := ledger.ResetFeed(tx, protocol.FeedPos{Feed: feed})
		return err
	})
}

const memberRowPrefix = "member/"

// keysOf reads what part of a feed says of keys. A row that cannot be read says
// nothing: it is set aside.
func keysOf(d *protocol.Delta) (n KeyNews) {
	for i := range d.Rows {
		row := &d.Rows[i]
		id, ok := strings.CutPrefix(row.Key, memberRowPrefix)
		if !ok || !protocol.ValidID(id) {
			continue
		}
		if len(row.Value) == 0 {
			n.Gone = append(n.Gone, id)
			continue
		}
		m, err := protocol.DecodeMemberRow(row.Value)
		switch {
		case err != nil:
		case m.Member.Status == protocol.MemberErased:
			n.Erased = append(n.Erased, id)
		case !row.SubjectKey.IsZero():
			if n.Put == nil {
				n.Put = map[string]protocol.SubjectKey{}
			}
			n.Put[id] = row.SubjectKey
		}
	}
	return n
}

// orderKeysOf are the keys that came beside orders.
func orderKeysOf(d *protocol.Delta) (n KeyNews) {
	for _, k := range d.Keys {
		if k.Key.IsZero() {
			continue
		}
		if n.Put == nil {
			n.Put = map[string]protocol.SubjectKey{}
		}
		n.Put[k.Subject] = k.Key
	}
	return n
}

// keepKeys does with keys what part of a feed says. Orders do not wait for room for
// their keys, as members do: the goods are to be picked, whosever they are.
func (u *Uplink) keepKeys(ctx context.Context, d *protocol.Delta) error {
	if u.o.Keys == nil {
		return nil
	}
	err := KeepKeys(ctx, u.o.Keys, u.o.Origin.Store, d)
	if protocol.CodeOf(err) == protocol.DiskFull && d.Feed == protocol.PeerFeed(u.o.Origin.Store) {
		u.o.Log.Warn("there is no room for the keys of orders; whom they are for stays closed on this machine", "orders", len(d.Keys), "error", err)
		return nil
	}
	return err
}

// KeepKeys does with keys what a part of a store's member feed says, and keeps those
// of the orders in a part of its event feed; of other feeds there is nothing to do.
func KeepKeys(ctx context.Context, keys Keys, store protocol.StoreID, d *protocol.Delta) error {
	var news KeyNews
	switch d.Feed {
	case protocol.MemberFeed(store):
		news = keysOf(d)
	case protocol.PeerFeed(store):
		news = orderKeysOf(d)
	}
	if news.empty() {
		return nil
	}
	return keys.Keep(ctx, news)
}

// keysBeside are the keys of members whom events enrol, to go up with them.
// A ring that is locked has none; what else fails is tried again, since a batch that
// went without them would never be sent again.
func (u *Uplink) keysBeside(records []protocol.Record) ([]protocol.MemberKey, error) {
	if u.o.Keys == nil {
		return nil, nil
	}
	return KeysBeside(context.Background(), u.o.Keys, records, u.o.Log)
}

// KeysBeside are the keys that go up beside records.
func KeysBeside(ctx context.Context, keys Keys, records []protocol.Record, log *slog.Logger) ([]protocol.MemberKey, error) {
	var enrolled []protocol.MemberID
	for i := range records {
		if id := protocol.EnrolledBy(records[i].Body); id != "" {
			enrolled = append(enrolled, id)
		}
	}
	if len(enrolled) == 0 {
		return nil, nil
	}
	found, err := keys.Of(ctx, enrolled)
	if errors.Is(err, ledger.ErrLocked) {
		log.Error("keys of members are not sent to the hub; their personal fields stay closed there", "members", len(enrolled), "error", err)
		return nil, nil
	}
	return found, err
}

// keepLookup stores the key that a Welcome brought. Where it cannot be stored the
// next Welcome brings it again.
func (u *Uplink) keepLookup(ctx context.Context, key protocol.LookupKey) {
	if u.o.Keys == nil {
		return
	}
	if err := u.o.Keys.KeepLookup(ctx, key); err != nil && ctx.Err() == nil {
		u.o.Log.Warn("the key for look-ups is not kept", "error", err)
	}
}

// holdsKeys tells whether the files of a snapshot hold keys of members.
func holdsKeys(path string) bool {
	return strings.HasPrefix(filepath.Base(path), string(protocol.FeedOfMembers)+".")
}

// overwrite writes zeros over a file before it is removed, so that the keys in it
// are not left to whoever reads the disk. What the disk itself keeps of old content
// nobody can reach from here.
func overwrite(path string) (err error) {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	zeros := make([]byte, 64<<10)
	for left := info.Size(); left > 0; left -= int64(len(zeros)) {
		if _, err := f.Write(zeros[:min(left, int64(len(zeros)))]); err != nil {
			return err
		}
	}
	return f.Sync()
}
