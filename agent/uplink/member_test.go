package uplink_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"counterpart/agent/uplink"
	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// fakeKeys is a ring that notes what it was told, and what was stored then.
type fakeKeys struct {
	news   []uplink.KeyNews
	lookup chan protocol.LookupKey
	held   map[protocol.MemberID]protocol.SubjectKey
	err    error
}

func (k *fakeKeys) Keep(_ context.Context, n uplink.KeyNews) error {
	if k.err == nil {
		k.news = append(k.news, n)
	}
	return k.err
}

func (k *fakeKeys) KeepLookup(_ context.Context, key protocol.LookupKey) error {
	k.lookup <- key
	return nil
}

func (k *fakeKeys) Of(_ context.Context, members []protocol.MemberID) (list []protocol.MemberKey, err error) {
	for _, m := range members {
		if key, ok := k.held[m]; ok {
			list = append(list, protocol.MemberKey{Member: m, Key: key})
		}
	}
	return list, k.err
}

func withKeys(t *testing.T, h *snapshotHub, d ledger.Driver, dir string, keys uplink.Keys) *uplink.Uplink {
	t.Helper()
	u, err := uplink.NewUplink(t.Context(), uplink.Options{
		Origin: engineOrigin, HubURL: h.URL, Dir: dir, Driver: d, Clock: func() uplink.Instant { return uplink.Instant{Wall: time.Now()} },
		Applied: func(*protocol.Delta) {}, Changed: func() {}, Keys: keys, Log: discard,
	})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

var memberFeed = protocol.MemberFeed(engineOrigin.Store)

// memberRow is a row of the store's member feed. Who is erased, or gone, has no key.
func memberRow(t *testing.T, offset uint64, id protocol.MemberID, status protocol.MemberStatus, key protocol.SubjectKey) protocol.FeedRow {
	t.Helper()
	row := protocol.FeedRow{Offset: offset, Key: "member/" + string(id), SubjectKey: key}
	if status == "" {
		return row
	}
	var err error
	if row.Value, err = protocol.EncodeMemberRow(&protocol.MemberRow{Member: protocol.Member{ID: id, Version: 1, Status: status}}); err != nil {
		t.Fatal(err)
	}
	return row
}

func memberRows(t *testing.T) []protocol.FeedRow {
	return []protocol.FeedRow{
		memberRow(t, 1, "m-1", protocol.MemberActive, protocol.SubjectKey{1}), memberRow(t, 2, "m-2", protocol.MemberErased, protocol.SubjectKey{2}),
		memberRow(t, 3, "m-3", "", protocol.SubjectKey{}), memberRow(t, 4, "m-4", protocol.MemberActive, protocol.SubjectKey{}),
	}
}

func (k *fakeKeys) expect(t *testing.T) {
	t.Helper()
	if len(k.news) != 1 {
		t.Fatalf("the ring was told %d times", len(k.news))
	}
	n := k.news[0]
	if len(n.Put) != 1 || n.Put["m-1"] != (protocol.SubjectKey{1}) || !slices.Equal(n.Erased, []string{"m-2"}) || !slices.Equal(n.Gone, []string{"m-3"}) {
		t.Errorf("the ring was told %v", n)
	}
}

func held(t *testing.T, d ledger.Driver, id protocol.MemberID) (found bool) {
	t.Helper()
	err := d.View(t.Context(), func(r ledger.Reader) error {
		h, err := ledger.ReadHeldMember(r, ledger.MemberAt{Store: engineOrigin.Store, Member: id})
		found = h != nil
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// work hands one job to an uplink and takes its answer.
func work(t *testing.T, u *uplink.Uplink, job any) uplink.Applied {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	jobs, answers := u.Work(ctx)
	jobs <- job
	in, ok := (<-answers).(uplink.Applied)
	if !ok {
		t.Fatal("the job is answered with something else")
	}
	return in
}

// TestKeysAreKeptBeforeRows: where the ring fails the row is not stored either, so
// that it comes again with its key; the key is in no row of the database.
func TestKeysAreKeptBeforeRows(t *testing.T) {
	d, keys := ledger.NewMemory(), &fakeKeys{err: errors.New("no room")}
	u := withKeys(t, newSnapshotHub(t), d, t.TempDir(), keys)
	delta := &protocol.Delta{Feed: memberFeed, Epoch: 1, Upto: 4, Rows: memberRows(t)}
	if in := work(t, u, uplink.Apply{Delta: delta, Head: 4}); in.Err == nil || held(t, d, "m-1") {
		t.Errorf("without a key the row is stored: %v", in.Err)
	}
	keys.err = nil
	if in := work(t, u, uplink.Apply{Delta: delta, Head: 4}); in.Err != nil || !held(t, d, "m-1") || held(t, d, "m-3") {
		t.Errorf("with a key: %v", in.Err)
	}
	keys.expect(t)
}

// TestKeysOfARowThatIsSetAside: a row that cannot be read is kept as it came, but
// for its key.
func TestKeysOfARowThatIsSetAside(t *testing.T) {
	d, key := ledger.NewMemory(), protocol.SubjectKey{0xC0, 0xFF, 0xEE}
	bad := protocol.FeedRow{Offset: 1, Key: "member/m-1", Value: []byte{0xff, 0xff}, SubjectKey: key}
	u := withKeys(t, newSnapshotHub(t), d, t.TempDir(), &fakeKeys{})
	if in := work(t, u, uplink.Apply{Delta: &protocol.Delta{Feed: memberFeed, Epoch: 1, Upto: 1, Rows: []protocol.FeedRow{bad}}, Head: 1}); in.Err != nil {
		t.Fatal(in.Err)
	}
	asides := 0
	err := d.View(t.Context(), func(r ledger.Reader) error {
		return r.Scan(ledger.Notes, "", "", func(id string, v []byte) (bool, error) {
			if strings.HasPrefix(id, "aside") {
				asides++
			}
			if strings.Contains(string(v), string(key[:3])) {
				t.Errorf("the note %q holds the key", id)
			}
			return true, nil
		})
	})
	if err != nil || asides != 1 {
		t.Errorf("%d pieces are set aside, %v", asides, err)
	}
}

// TestSnapshotWithKeysDoesNotStay: the ring is told of what a snapshot says, and the
// file goes when it is loaded, when it cannot be, and at a start.
func TestSnapshotWithKeysDoesNotStay(t *testing.T) {
	h, d, dir := newSnapshotHub(t), ledger.NewMemory(), t.TempDir()
	h.put(snapshotOf(t, memberFeed, 1, memberRows(t)))
	keys := &fakeKeys{err: errors.New("no room")}
	u := withKeys(t, h, d, dir, keys)
	job := uplink.Fetch{Tried: uplink.Tried{First: true}, Feed: memberFeed}
	if in := u.FetchSnapshot(t.Context(), job); in.Err == nil {
		t.Error("a snapshot is loaded whose keys cannot be kept")
	}
	if left := files(t, dir); len(left) > 0 {
		t.Errorf("after a failure %v are left", left)
	}
	keys.err = nil
	if in := u.FetchSnapshot(t.Context(), job); in.Err != nil || !held(t, d, "m-1") || held(t, d, "m-3") {
		t.Errorf("loaded: %v", in.Err)
	}
	keys.expect(t)
	if left := files(t, dir); len(left) > 0 {
		t.Errorf("after the load %v are left", left)
	}
	for _, extension := range []string{".part", ".json"} {
		if err := os.WriteFile(u.SnapshotPath(memberFeed)+extension, []byte(`{"feed":"member/s1"}`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	again, err := os.OpenFile(u.SnapshotPath(memberFeed)+".part", os.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if err := u.CleanSnapshots(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := files(t, filepath.Clean(dir)); len(left) > 0 {
		t.Errorf("a start leaves %v", left)
	}
	b := make([]byte, 8)
	if _, err := again.Read(b); err != nil || !slices.Equal(b, make([]byte, 8)) {
		t.Errorf("what was removed still reads %q, %v", b, err)
	}
}

// TestLookupKeyIsKept takes the key that a Welcome brings.
func TestLookupKeyIsKept(t *testing.T) {
	r := newEngineRig(t, 0, nil)
	r.dial()
	m := r.welcome(0)
	m.LookupKey = protocol.LookupKey{7}
	r.take()
	r.hears(m)
	out := asked[uplink.Lookup](r.take())
	if len(out) != 1 || out[0].Key != m.LookupKey {
		t.Fatalf("the engine asks for %v", out)
	}
	keys := &fakeKeys{lookup: make(chan protocol.LookupKey, 1)}
	u := withKeys(t, newSnapshotHub(t), ledger.NewMemory(), t.TempDir(), keys)
	jobs, _ := u.Work(t.Context())
	jobs <- out[0]
	if got := <-keys.lookup; got != m.LookupKey {
		t.Error("another key was kept")
	}
}

// TestKeysGoUpBesideTheirEvents: each batch asks for the keys of its events, also
// one that is sent again.
func TestKeysGoUpBesideTheirEvents(t *testing.T) {
	askedFor := 0
	r := newEngineRig(t, 2, func(c *uplink.Config) {
		c.Keys = func(records []protocol.Record) ([]protocol.MemberKey, error) {
			askedFor += len(records)
			return []protocol.MemberKey{{Member: "m-1", Key: protocol.SubjectKey{1}}}, nil
		}
	})
	r.openEmpty(8, 0)
	for _, b := range sent[*protocol.Batch](r.take()) {
		if len(b.Keys) != 1 || b.Keys[0].Member != "m-1" {
			t.Errorf("a batch has the keys %v", b.Keys)
		}
	}
	r.hears(&protocol.Nack{Session: engineSession, Inc: engineOrigin.Inc, Want: 1, Reason: protocol.NackGap})
	again := sent[*protocol.Batch](r.take())
	if len(again) != 2 || len(again[0].Keys) != 1 || askedFor != 4 {
		t.Errorf("sent again are %d batches, and keys were asked for %d times", len(again), askedFor)
	}
}

// TestFeedThatTheHubDoesNotKnow: an older hub has no word on a feed in its Welcome,
// and is not asked for it, since each asking would end the session.
func TestFeedThatTheHubDoesNotKnow(t *testing.T) {
	r := newEngineRig(t, 0, nil, ledger.Cursor{FeedPos: protocol.FeedPos{Feed: memberFeed}})
	r.open(1)
	r.answerBeats()
	r.take()
	r.pass(30 * time.Second)
	if list := sent[*protocol.Dack](r.take()); len(list) > 0 {
		t.Errorf("the hub is asked %d times", len(list))
	}
	if link := r.engine.Link(); link.State != uplink.Online {
		t.Errorf("the link is %+v", link)
	}
}
