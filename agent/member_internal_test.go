package agent

import (
	"os"
	"path/filepath"
	"testing"

	"counterpart/agent/api"
	"counterpart/agent/uplink"
	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// TestRingFollowsTheMemberFeed stores, replaces and deletes keys as the hub says.
func TestRingFollowsTheMemberFeed(t *testing.T) {
	a := start(t, t.TempDir())
	ctx := t.Context()
	one, two := protocol.SubjectKey{1}, protocol.SubjectKey{2}
	keep := func(n uplink.KeyNews) {
		t.Helper()
		if err := a.keys.Keep(ctx, n); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(when string, id protocol.MemberID, want protocol.SubjectKey) {
		t.Helper()
		if got, ok, err := a.keys.key(ctx, id); err != nil || got != want || ok == want.IsZero() {
			t.Errorf("%s the key of %s is here: %v, %v", when, id, ok, err)
		}
	}
	keep(uplink.KeyNews{Put: map[string]protocol.SubjectKey{"m-1": one, "m-2": one}})
	keep(uplink.KeyNews{Put: map[string]protocol.SubjectKey{"m-1": two, "m-3": one}})
	expect("after another came", "m-1", two)
	expect("beside another", "m-3", one)
	keep(uplink.KeyNews{Erased: []string{"m-1"}, Gone: []string{"m-2"}})
	keep(uplink.KeyNews{Put: map[string]protocol.SubjectKey{"m-1": two, "m-2": two}})
	expect("once erased", "m-1", protocol.SubjectKey{})
	expect("who was only gone and came back", "m-2", two)
	if list, err := a.keys.Of(ctx, []protocol.MemberID{"m-1", "m-3", "m-2", "m-3"}); err != nil || len(list) != 2 || list[0].Member != "m-2" || list[1].Member != "m-3" {
		t.Errorf("beside events go %v, %v", list, err)
	}
	for _, key := range []protocol.LookupKey{{5}, {5}, {6}} {
		if err := a.keys.KeepLookup(ctx, key); err != nil {
			t.Fatal(err)
		}
		if got, ok, err := a.keys.lookup(ctx); got != key || !ok || err != nil {
			t.Errorf("the key for look-ups is here: %v, %v", ok, err)
		}
	}
}

// TestWithoutARingTheMemberFeedWaits: no row is stored whose key has no place, and
// nobody is enrolled.
func TestWithoutARingTheMemberFeedWaits(t *testing.T) {
	k := &memberKeys{}
	for _, n := range []uplink.KeyNews{{Put: map[string]protocol.SubjectKey{"m-1": {1}}}, {Erased: []string{"m-1"}}, {Gone: []string{"m-1"}}} {
		if err := k.Keep(t.Context(), n); protocol.CodeOf(err) != protocol.DiskFull {
			t.Errorf("without a ring %v is answered %v", n, err)
		}
	}
	if _, ok, err := k.key(t.Context(), "m-1"); ok || err != nil {
		t.Errorf("a key without a ring: %v", err)
	}
}

// TestNewRingAsksForAllKeys: a machine whose ring is lost begins the member feed
// anew, and one whose ring knows the chain goes on where it was.
func TestNewRingAsksForAllKeys(t *testing.T) {
	dir := t.TempDir()
	feed := protocol.MemberFeed("s1")
	offset := func(a *Agent) (at uint64) {
		t.Helper()
		err := a.db.View(t.Context(), func(r ledger.Reader) error {
			c, err := ledger.ReadCursor(r, feed)
			at = c.Offset
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	a := start(t, dir)
	if err := a.keys.KeepLookup(t.Context(), protocol.LookupKey{5}); err != nil {
		t.Fatal(err)
	}
	err := a.db.Update(t.Context(), func(tx ledger.Tx) error {
		return ledger.WriteCursor(tx, ledger.Cursor{FeedPos: protocol.FeedPos{Feed: feed, Epoch: 1, Offset: 9}, Tail: true})
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		forget bool
		want   uint64
	}{{false, 9}, {true, 0}} {
		if err := a.db.Close(); err != nil {
			t.Fatal(err)
		}
		if step.forget {
			for _, name := range []string{"keys.db", "keys.salt"} {
				if err := os.Remove(filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
			}
		}
		a = start(t, dir)
		if got := offset(a); got != step.want {
			t.Errorf("the feed is at %d, want %d", got, step.want)
		}
	}
}

// TestCannotKnow says so where the hub was never reached, without the number that
// was asked for.
func TestCannotKnow(t *testing.T) {
	a := start(t, t.TempDir())
	_, byID := a.member(t.Context(), "m-1")
	_, byPhone := a.members(t.Context(), api.MemberQuery{Phone: "+994501234567"})
	_, byCard := a.members(t.Context(), api.MemberQuery{Card: "C1"})
	for _, err := range []error{byID, byPhone, byCard} {
		if protocol.CodeOf(err) != protocol.CannotKnow {
			t.Errorf("answered %v", err)
		}
	}
	if _, err := a.members(t.Context(), api.MemberQuery{Phone: "123"}); protocol.CodeOf(err) != protocol.OutOfRangeCode {
		t.Errorf("a number that is none is answered %v", err)
	}
}
