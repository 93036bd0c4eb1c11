package cloud_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"counterpart/cloud"
	"counterpart/cloud/hub"
	"counterpart/cloud/secondcopy"
	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/ledger/bolt"
)

var quiet = slog.New(slog.DiscardHandler)

// lab is a hub's folder, a backup of some hours ago and a second copy.
type lab struct {
	t                  *testing.T
	data, backup, copy string
	id                 hub.Identity
}

var till = protocol.Origin{Store: "s1", Agent: "a1", Inc: protocol.Inc{7}}

// newLab makes a hub that had 3 events when it was backed up, synced 5 and has
// 6. The last sale is of kind last.
func newLab(t *testing.T, random byte, last protocol.Kind) *lab {
	t.Helper()
	dir := t.TempDir()
	l := &lab{t: t, data: filepath.Join(dir, "data"), backup: filepath.Join(dir, "backup"), copy: filepath.Join(dir, "copy")}
	l.must(os.Mkdir(l.data, 0o700))
	db := l.open(cloud.DatabasePath(l.data))
	h, err := hub.New(t.Context(), hub.Options{
		Driver: db, Currency: "GBP", Now: time.Now, Mono: func() time.Duration { return 0 }, Log: quiet,
		Random: func(b []byte) { copy(b, bytes.Repeat([]byte{random}, len(b))) }, Send: func(string, []byte, bool) {},
	})
	l.must(err)
	l.id = h.Identity()
	second, err := secondcopy.Open(t.Context(), secondcopy.Options{
		Path: l.copy, ID: secondcopy.ID(l.id), Driver: db, Epoch: h.Epoch, Log: quiet, Synced: func(context.Context, []protocol.StreamPos) {},
	})
	l.must(err)
	for n, kind := range []protocol.Kind{"x.a", "x.a", "x.a", "x.a", last, "x.a"} {
		if n == 3 {
			l.must(db.Backup(t.Context(), l.backup))
		}
		if n == 5 {
			l.must(second.Close(t.Context()))
		}
		l.must(db.Update(t.Context(), func(tx ledger.Tx) error {
			res, err := ledger.Log(tx, till, protocol.Clock{}, &protocol.Event{Kind: kind})
			second.Committed(till, res.Stream.Seq)
			return err
		}))
	}
	l.must(db.Close())
	return l
}

func (l *lab) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) open(path string) *bolt.DB {
	l.t.Helper()
	db, err := bolt.Open(path, bolt.Options{Kind: "hub", NoWait: true})
	l.must(err)
	return db
}

// holds is how many events of the till a database has.
func (l *lab) holds(path string) (n protocol.Seq) {
	l.t.Helper()
	db := l.open(path)
	l.must(db.View(l.t.Context(), func(r ledger.Reader) error {
		s, err := ledger.ReadStream(r, till)
		n = s.Seq
		return err
	}))
	l.must(db.Close())
	return n
}

func (l *lab) spoil(path string, at int64) {
	l.t.Helper()
	b, err := os.ReadFile(path)
	l.must(err)
	if at < 0 {
		at += int64(len(b))
	}
	b[at] ^= 0x40
	l.must(os.WriteFile(path, b, 0o600))
}

// spoilPages changes the type of every page.
func (l *lab) spoilPages(path string) {
	l.t.Helper()
	info, err := os.Stat(path)
	l.must(err)
	for at := int64(2 * 4096); at < info.Size(); at += 4096 {
		l.spoil(path, at+8)
	}
}

// spoilText changes a letter of every place where a text stands.
func (l *lab) spoilText(path, text string) {
	l.t.Helper()
	b, err := os.ReadFile(path)
	l.must(err)
	l.must(os.WriteFile(path, bytes.ReplaceAll(b, []byte(text), []byte(text[:len(text)-1]+"z")), 0o600))
}

// firstRecord is where the first record's payload is in the middle of a copy.
const firstRecord = 36 + 8 + 20

func TestRestoreRefusesAndLeavesEverything(t *testing.T) {
	other := newLab(t, 2, "x.a")
	fork := newLab(t, 1, "x.other")
	for _, c := range []struct {
		name   string
		spoil  func(*lab, *cloud.Restore)
		is     error
		says   string
		locked bool
	}{
		{"nothing to restore", func(_ *lab, r *cloud.Restore) { r.Backup, r.SecondCopy = "", "" }, nil, "Say what to restore", false},
		{"no such backup", func(_ *lab, r *cloud.Restore) { r.Backup += "x" }, nil, "no such file", false},
		{"a backup that is a text", func(_ *lab, r *cloud.Restore) {
			t.Helper()
			if err := os.WriteFile(r.Backup, bytes.Repeat([]byte("not a database\n"), 4096), 0o600); err != nil {
				t.Fatal(err)
			}
		}, bolt.ErrForeign, "backup", false},
		{"a backup with damaged pages", func(l *lab, r *cloud.Restore) { l.spoilPages(r.Backup) }, bolt.ErrCorrupt, "backup", false},
		{"a backup with a damaged event", func(l *lab, r *cloud.Restore) { l.spoilText(r.Backup, "x.a") }, cloud.ErrRefused, "is not what was written", false},
		{"an older backup alone", func(_ *lab, r *cloud.Restore) { r.SecondCopy = "" }, cloud.ErrRefused, "3 events of 1 streams that agents may have taken for safe would be missing; 4 to 6 of s1 a1", false},
		{"a damaged copy", func(l *lab, r *cloud.Restore) { l.spoil(r.SecondCopy, firstRecord) }, cloud.ErrRefused, "cannot be read", false},
		{"no such copy", func(_ *lab, r *cloud.Restore) { r.SecondCopy += "x" }, nil, "second copy", false},
		{"a copy that is none", func(l *lab, r *cloud.Restore) { l.spoil(r.SecondCopy, 0) }, cloud.ErrRefused, "not a second copy", false},
		{"another hub's copy", func(_ *lab, r *cloud.Restore) { r.SecondCopy = other.copy }, cloud.ErrRefused, "different hubs", false},
		{"a copy of another history", func(_ *lab, r *cloud.Restore) { r.Backup = fork.data + "/hub.db" }, cloud.ErrRefused, "different events", false},
		{"a database in use", func(*lab, *cloud.Restore) {}, bolt.ErrLocked, "open", true},
		{"a database that is none", func(l *lab, _ *cloud.Restore) {
			l.must(os.WriteFile(cloud.DatabasePath(l.data), bytes.Repeat([]byte("not a database\n"), 4096), 0o600))
		}, bolt.ErrForeign, "not a data file", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t, 1, "x.a")
			r := cloud.Restore{Backup: l.backup, Data: l.data, SecondCopy: l.copy, Log: quiet}
			c.spoil(l, &r)
			if c.locked {
				db := l.open(cloud.DatabasePath(l.data))
				defer func() { l.must(db.Close()) }()
			}
			before, err := os.ReadFile(cloud.DatabasePath(l.data))
			l.must(err)
			_, err = r.Run(t.Context())
			if err == nil || c.is != nil && !errors.Is(err, c.is) || !strings.Contains(protocol.AsError(err).Message, c.says) {
				t.Errorf("restored with %v", err)
			}
			after, err := os.ReadFile(cloud.DatabasePath(l.data))
			l.must(err)
			if !bytes.Equal(before, after) {
				t.Error("the database was changed")
			}
			entries, err := os.ReadDir(l.data)
			l.must(err)
			for _, e := range entries {
				if name := e.Name(); name != "hub.db" && name != "hub.db.clean" {
					t.Errorf("%s is left behind", name)
				}
			}
		})
	}
}

func TestRestore(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(*lab, *cloud.Restore)
		want  cloud.Restored
		holds protocol.Seq
	}{
		{"with its copy", func(*lab, *cloud.Restore) {}, cloud.Restored{Backup: 3, Replayed: 2, Events: 5, Streams: 1, Unsent: 1}, 5},
		{"from the copy alone", func(_ *lab, r *cloud.Restore) { r.Backup = "" }, cloud.Restored{Replayed: 5, Events: 5, Streams: 1, Unsent: 1}, 5},
		{"gaps accepted", func(_ *lab, r *cloud.Restore) { r.SecondCopy, r.AcceptGaps = "", true }, cloud.Restored{
			Backup: 3, Events: 3, Streams: 1, Unsent: 3, Missing: []cloud.Missing{{Origin: till, From: 4, To: 6}},
		}, 3},
		{"over nothing", func(l *lab, r *cloud.Restore) {
			l.must(os.Remove(cloud.DatabasePath(l.data)))
			r.SecondCopy = ""
		}, cloud.Restored{Backup: 3, Events: 3, Streams: 1}, 3},
		{"over a damaged one", func(l *lab, _ *cloud.Restore) { l.spoilPages(cloud.DatabasePath(l.data)) }, cloud.Restored{Backup: 3, Replayed: 2, Events: 5, Streams: 1}, 5},
		{"with the end of its copy torn", func(l *lab, r *cloud.Restore) {
			b, err := os.ReadFile(r.SecondCopy)
			l.must(err)
			l.must(os.WriteFile(r.SecondCopy, append(b, 0, 0, 1), 0o600))
		}, cloud.Restored{Backup: 3, Replayed: 2, Events: 5, Streams: 1, Unsent: 1, Torn: 3}, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t, 1, "x.a")
			r := cloud.Restore{Backup: l.backup, Data: l.data, SecondCopy: l.copy, Log: quiet}
			c.spoil(l, &r)
			before, beforeErr := os.ReadFile(cloud.DatabasePath(l.data))
			backup, err := os.ReadFile(l.backup)
			l.must(err)
			got, err := r.Run(t.Context())
			l.must(err)
			aside, epoch := got.Aside, got.Epoch
			got.Aside, got.Epoch = "", 0
			if len(got.Missing) != len(c.want.Missing) || len(got.Missing) > 0 && got.Missing[0] != c.want.Missing[0] {
				t.Errorf("missing are %v, want %v", got.Missing, c.want.Missing)
			}
			got.Missing, c.want.Missing = nil, nil
			if g, w := *got, c.want; g.Backup != w.Backup || g.Replayed != w.Replayed || g.Events != w.Events || g.Streams != w.Streams || g.Unsent != w.Unsent || g.Torn != w.Torn || g.Damaged != w.Damaged {
				t.Errorf("restored %+v, want %+v", g, w)
			}
			if beforeErr == nil {
				if kept, err := os.ReadFile(aside); err != nil || len(kept) != len(before) {
					t.Errorf("the database before was not kept: %v", err)
				}
			} else if aside != "" {
				t.Errorf("%s was kept, and there was nothing", aside)
			}
			if again, err := os.ReadFile(l.backup); err != nil || !bytes.Equal(again, backup) {
				t.Errorf("the backup was changed: %v", err)
			}
			if n := l.holds(cloud.DatabasePath(l.data)); n != c.holds {
				t.Errorf("the hub has %d events, want %d", n, c.holds)
			}
			db := l.open(cloud.DatabasePath(l.data))
			l.must(db.View(t.Context(), func(r ledger.Reader) error {
				id, now, err := hub.Life(r)
				if id != l.id || now != epoch || now < uint64(time.Now().Add(-time.Hour).Unix()) {
					t.Errorf("it is %x in epoch %d, want %x and %d", id, now, l.id, epoch)
				}
				return err
			}))
			l.must(db.Close())
		})
	}
}

// TestI4_RestoredEpochIsAboveAll: no clock is needed for the next life to have
// an epoch of its own. The database before knows one, or the second copy.
func TestI4_RestoredEpochIsAboveAll(t *testing.T) {
	const future = 1 << 35
	for name, prepare := range map[string]func(*lab){
		"the database before": func(l *lab) {
			db := l.open(cloud.DatabasePath(l.data))
			l.must(db.Update(t.Context(), func(tx ledger.Tx) error {
				return ledger.SetNote(tx, binary.BigEndian.AppendUint64(nil, future), "epoch")
			}))
			l.must(db.Close())
		},
		"the second copy": func(l *lab) {
			db := l.open(cloud.DatabasePath(l.data))
			c, err := secondcopy.Open(t.Context(), secondcopy.Options{
				Path: l.copy, ID: secondcopy.ID(l.id), Driver: db, Epoch: func() uint64 { return future }, Log: quiet,
				Synced: func(context.Context, []protocol.StreamPos) {},
			})
			l.must(err)
			l.must(errors.Join(c.Close(t.Context()), db.Close(), os.Remove(cloud.DatabasePath(l.data))))
		},
	} {
		l := newLab(t, 1, "x.a")
		prepare(l)
		done, err := cloud.Restore{Backup: l.backup, Data: l.data, SecondCopy: l.copy, Log: quiet}.Run(t.Context())
		l.must(err)
		if done.Epoch != future+1 {
			t.Errorf("%s knows of epoch %d, and the next one is %d", name, uint64(future), done.Epoch)
		}
	}
}
