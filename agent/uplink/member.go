package uplink

import (
	"context"
	"errors"
	"os"
	"path/filepath"
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

// keepKeys does with keys what part of the member feed says.
func (u *Uplink) keepKeys(ctx context.Context, d *protocol.Delta) error {
	if u.o.Keys == nil || d.Feed != protocol.MemberFeed(u.o.Origin.Store) {
		return nil
	}
	news := keysOf(d)
	if news.empty() {
		return nil
	}
	return u.o.Keys.Keep(ctx, news)
}

// keysBeside are the keys of members whom events enrol, to go up with them.
// A ring that is locked has none; what else fails is tried again, since a batch that
// went without them would never be sent again.
func (u *Uplink) keysBeside(records []protocol.Record) ([]protocol.MemberKey, error) {
	var enrolled []protocol.MemberID
	for i := range records {
		if id := protocol.EnrolledBy(records[i].Body); id != "" {
			enrolled = append(enrolled, id)
		}
	}
	if len(enrolled) == 0 || u.o.Keys == nil {
		return nil, nil
	}
	keys, err := u.o.Keys.Of(context.Background(), enrolled)
	if errors.Is(err, ledger.ErrLocked) {
		u.o.Log.Error("keys of members are not sent to the hub; their personal fields stay closed there", "members", len(enrolled), "error", err)
		return nil, nil
	}
	return keys, err
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
