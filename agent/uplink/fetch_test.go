package uplink_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"counterpart/agent/uplink"
	"counterpart/protocol"
	"counterpart/protocol/ledger"

	"github.com/klauspost/compress/zstd"
)

// rowsOf makes catalogue rows, one of which bears a given name.
func rowsOf(t testing.TB, n int, name protocol.SKU) []protocol.FeedRow {
	rows := make([]protocol.FeedRow, n)
	for i := range rows {
		sku := protocol.SKU(fmt.Sprintf("SKU-%06d", i))
		if i == n/2 && name != "" {
			sku = name
		}
		rows[i] = item(t, uint64(2*i+1), sku)
	}
	return rows
}

// snapshotOf is a snapshot as the hub builds it.
func snapshotOf(t testing.TB, feed protocol.FeedID, epoch uint64, rows []protocol.FeedRow) (uplink.Snapshot, string) {
	t.Helper()
	var body bytes.Buffer
	z, err := zstd.NewWriter(&body)
	if err != nil {
		t.Fatal(err)
	}
	after := uint64(0)
	for len(rows) > 0 {
		part := rows[:min(len(rows), 200)]
		rows = rows[len(part):]
		d := &protocol.Delta{Feed: feed, Epoch: epoch, After: after, Upto: part[len(part)-1].Offset, Rows: part}
		b, err := protocol.EncodeMessage(d)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := z.Write(append(binary.AppendUvarint(nil, uint64(len(b))), b...)); err != nil {
			t.Fatal(err)
		}
		after = d.Upto
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(body.Bytes())
	return uplink.Snapshot{FeedPos: protocol.FeedPos{Feed: feed, Epoch: epoch, Offset: after}, Sum: hex.EncodeToString(sum[:])}, body.String()
}

// snapshotHub serves snapshots over a line that may break.
type snapshotHub struct {
	*httptest.Server
	mu     sync.Mutex
	snaps  map[protocol.FeedID]uplink.Snapshot
	bodies map[protocol.FeedID]string
	cut    int      // an answer ends after so many bytes; 0: it does not
	whole  bool     // ranges are ignored
	ranges []string // of each request
	sent   int      // bytes of bodies
	second func()   // runs at the second request, which is not answered
	hold   chan struct{}
	held   chan struct{}
}

func newSnapshotHub(t *testing.T) *snapshotHub {
	h := &snapshotHub{snaps: map[protocol.FeedID]uplink.Snapshot{}, bodies: map[protocol.FeedID]string{}, held: make(chan struct{}, 8)}
	h.Server = httptest.NewServer(http.HandlerFunc(h.serve))
	t.Cleanup(h.Close)
	return h
}

func (h *snapshotHub) put(snap uplink.Snapshot, body string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.snaps[snap.Feed], h.bodies[snap.Feed] = snap, body
}

func (h *snapshotHub) serve(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	feed := protocol.FeedID(strings.TrimPrefix(r.URL.Path, "/v1/snapshots/"))
	snap, body, cut, hold := h.snaps[feed], h.bodies[feed], h.cut, h.hold
	h.ranges = append(h.ranges, r.Header.Get("Range"))
	second := h.second
	if h.whole {
		r.Header.Del("Range")
	}
	if len(h.ranges) < 2 {
		second = nil
	}
	h.mu.Unlock()
	if second != nil {
		second()
		panic(http.ErrAbortHandler)
	}
	if snap.Sum == "" {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if feed == protocol.FeedCatalog && hold != nil {
		h.held <- struct{}{}
		<-hold
	}
	w.Header().Set("ETag", `"`+snap.Sum+`"`)
	w.Header().Set("Counterpart-Epoch", strconv.FormatUint(snap.Epoch, 10))
	w.Header().Set("Counterpart-Offset", strconv.FormatUint(snap.Offset, 10))
	w.Header().Set("Counterpart-SHA256", snap.Sum)
	http.ServeContent(&shortWriter{w, h, cut}, r, "", time.Time{}, strings.NewReader(body))
}

// shortWriter breaks the connection after some bytes.
type shortWriter struct {
	http.ResponseWriter
	h    *snapshotHub
	left int
}

func (w *shortWriter) Write(b []byte) (int, error) {
	if w.left > 0 && len(b) >= w.left {
		b = b[:w.left]
		n, _ := w.ResponseWriter.Write(b)
		w.h.count(n)
		panic(http.ErrAbortHandler)
	}
	n, err := w.ResponseWriter.Write(b)
	w.h.count(n)
	return n, err
}

func (h *snapshotHub) count(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sent += n
}

func (h *snapshotHub) set(fn func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	fn()
}

// process is an uplink over a database and a data folder.
func process(t *testing.T, h *snapshotHub, d ledger.Driver, dir string) *uplink.Uplink {
	t.Helper()
	u, err := uplink.NewUplink(t.Context(), uplink.Options{
		Origin: engineOrigin, HubURL: h.URL, Dir: dir, Driver: d, Clock: func() uplink.Instant { return uplink.Instant{Wall: time.Now()} },
		Applied: func(*protocol.Delta) {}, Changed: func() {}, Log: discard,
	})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func fetchCatalog(t *testing.T, u *uplink.Uplink) uplink.Applied {
	return u.FetchSnapshot(t.Context(), uplink.Fetch{Tried: uplink.Tried{First: true}, Feed: protocol.FeedCatalog})
}

// files lists what is kept of snapshots.
func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "snapshots"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestBrokenFetchGoesOnWhereItWas: on a line that breaks again and again each
// byte comes once.
func TestBrokenFetchGoesOnWhereItWas(t *testing.T) {
	h, d, dir := newSnapshotHub(t), ledger.NewMemory(), t.TempDir()
	snap, body := snapshotOf(t, protocol.FeedCatalog, 7, rowsOf(t, 2000, ""))
	h.put(snap, body)
	h.set(func() { h.cut = len(body)/4 + 1 })
	in := fetchCatalog(t, process(t, h, d, dir))
	if in.Err != nil || in.Cursor.FeedPos != snap.FeedPos {
		t.Fatalf("fetched as %+v", in)
	}
	if n := strings.Count(items(t, d), " "); n != 2000 {
		t.Errorf("%d items are live", n)
	}
	if len(h.ranges) != 4 || h.ranges[0] != "" || h.ranges[1] != fmt.Sprintf("bytes=%d-", len(body)/4+1) || h.sent != len(body) {
		t.Errorf("asked for %q; %d bytes were sent of %d", h.ranges, h.sent, len(body))
	}
	if left := files(t, dir); len(left) > 0 {
		t.Errorf("left are %q", left)
	}
}

// TestFetchWithoutRangesEnds: behind something that knows no ranges, on a line
// that breaks, a fetch fails in the end instead of beginning anew for ever.
func TestFetchWithoutRangesEnds(t *testing.T) {
	h, d := newSnapshotHub(t), ledger.NewMemory()
	snap, body := snapshotOf(t, protocol.FeedCatalog, 7, rowsOf(t, 2000, ""))
	h.put(snap, body)
	h.set(func() { h.cut, h.whole = len(body)/2, true })
	if in := fetchCatalog(t, process(t, h, d, t.TempDir())); in.Err == nil {
		t.Error("half a snapshot was taken")
	}
	if n := len(h.ranges); n > 10 {
		t.Errorf("it was asked for %d times", n)
	}
}

// TestFetchGoesOnAfterARestart: also when the body is whole and loading it was
// interrupted.
func TestFetchGoesOnAfterARestart(t *testing.T) {
	for _, whole := range []bool{false, true} {
		t.Run(fmt.Sprint("whole=", whole), func(t *testing.T) {
			h, dir := newSnapshotHub(t), t.TempDir()
			d := &faulty{Driver: ledger.NewMemory(), name: "BAD", how: "crash"}
			snap, body := snapshotOf(t, protocol.FeedCatalog, 7, rowsOf(t, 1000, "BAD"))
			h.put(snap, body)
			if !whole {
				h.set(func() { h.cut = len(body) / 2 })
				ctx, stop := context.WithCancel(t.Context())
				h.set(func() { h.second = stop })
				if in := process(t, h, d, dir).FetchSnapshot(ctx, uplink.Fetch{Feed: protocol.FeedCatalog}); in.Err == nil {
					t.Fatal("the broken fetch succeeded")
				}
			} else if in := fetchCatalog(t, process(t, h, d, dir)); in.Err == nil {
				t.Fatal("the process did not end")
			}
			d.stopped, d.how = false, ""
			h.set(func() { h.cut, h.ranges, h.second = 0, nil, nil })
			second := process(t, h, d, dir)
			if err := second.CleanSnapshots(t.Context()); err != nil {
				t.Fatal(err)
			}
			before := d.updates
			if in := fetchCatalog(t, second); in.Err != nil {
				t.Fatal(in.Err)
			}
			if len(h.ranges) != 1 || !strings.HasPrefix(h.ranges[0], "bytes=") || h.sent < len(body) || h.sent > len(body)+100 {
				t.Errorf("asked for %q; %d bytes were sent of %d", h.ranges, h.sent, len(body))
			}
			if n := strings.Count(items(t, d), " "); n != 1000 {
				t.Errorf("%d items are live", n)
			}
			if n := d.updates - before; whole && n > 250 {
				t.Errorf("loading went on with %d transactions", n)
			}
			if left := files(t, dir); len(left) > 0 {
				t.Errorf("left are %q", left)
			}
		})
	}
}

// TestSnapshotThatChangedIsFetchedAnew: parts of two bodies are never joined.
func TestSnapshotThatChangedIsFetchedAnew(t *testing.T) {
	h, d, dir := newSnapshotHub(t), ledger.NewMemory(), t.TempDir()
	snap, body := snapshotOf(t, protocol.FeedCatalog, 7, rowsOf(t, 1000, ""))
	h.put(snap, body)
	u := process(t, h, d, dir)
	path := u.SnapshotPath(protocol.FeedCatalog)
	head := fmt.Sprintf(`{"feed":"catalog","etag":"\"%s\"","epoch":6,"offset":1,"sha256":"%s"}`, strings.Repeat("0", 64), strings.Repeat("0", 64))
	for name, text := range map[string]string{path + ".json": head, path + ".part": body[:500]} {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if in := fetchCatalog(t, u); in.Err != nil || in.Cursor.FeedPos != snap.FeedPos {
		t.Errorf("fetched as %+v", in)
	}
}

// TestDamagedSnapshotIsNotRead: not one row of a body whose sum is wrong is
// applied, and the next try fetches it anew.
func TestDamagedSnapshotIsNotRead(t *testing.T) {
	h, d, dir := newSnapshotHub(t), ledger.NewMemory(), t.TempDir()
	snap, body := snapshotOf(t, protocol.FeedCatalog, 7, rowsOf(t, 1000, ""))
	damaged := []byte(body)
	damaged[len(damaged)-1] ^= 1
	h.put(snap, string(damaged))
	u := process(t, h, d, dir)
	if in := fetchCatalog(t, u); in.Err == nil {
		t.Fatal("a damaged snapshot was taken")
	}
	err := d.View(t.Context(), func(r ledger.Reader) error {
		s, err := ledger.ReadShadow(r, protocol.FeedCatalog)
		if s.Sum != "" || items(t, d) != "" {
			t.Errorf("loaded %+v", s)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	h.put(snap, body)
	if in := fetchCatalog(t, u); in.Err != nil {
		t.Errorf("then it failed: %v", in.Err)
	}
}

// TestStaleSnapshotsAreRemoved: at a start nothing stays that nobody will use.
func TestStaleSnapshotsAreRemoved(t *testing.T) {
	h, d, dir := newSnapshotHub(t), ledger.NewMemory(), t.TempDir()
	snap, body := snapshotOf(t, protocol.FeedCatalog, 7, rowsOf(t, 300, ""))
	h.put(snap, body)
	u := process(t, h, d, dir)
	if in := fetchCatalog(t, u); in.Err != nil {
		t.Fatal(in.Err)
	}
	keep := func(feed protocol.FeedID, epoch, offset int) {
		path := u.SnapshotPath(feed)
		head := fmt.Sprintf(`{"feed":"%s","etag":"\"x\"","epoch":%d,"offset":%d,"sha256":"x"}`, feed, epoch, offset)
		for name, text := range map[string]string{path + ".json": head, path + ".part": "x"} {
			if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	keep(protocol.FeedCatalog, 7, int(snap.Offset)) // applied
	keep("price/elsewhere", 7, 5)                   // not followed
	keep(protocol.StoreFeed(engineOrigin.Store), 7, 5)
	err := d.Update(t.Context(), func(tx ledger.Tx) error {
		_, err := ledger.BeginShadow(tx, protocol.FeedPos{Feed: protocol.FeedCatalog, Epoch: 8, Offset: 1}, "whose file is gone")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := u.CleanSnapshots(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := filepath.Base(u.SnapshotPath(protocol.StoreFeed(engineOrigin.Store)))
	if left := files(t, dir); len(left) != 2 || left[0] != want+".json" || left[1] != want+".part" {
		t.Errorf("left are %q", left)
	}
	err = d.View(t.Context(), func(r ledger.Reader) error {
		s, err := ledger.ReadShadow(r, protocol.FeedCatalog)
		if s.Sum != "" {
			t.Errorf("still loading %+v", s)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestI18_SlowSnapshotHoldsUpNoOtherFeed: while the catalogue does not come,
// every other feed goes on.
func TestI18_SlowSnapshotHoldsUpNoOtherFeed(t *testing.T) {
	h, d := newSnapshotHub(t), ledger.NewMemory()
	snap, body := snapshotOf(t, protocol.FeedCatalog, 7, rowsOf(t, 10, ""))
	h.put(snap, body)
	hold := make(chan struct{})
	h.set(func() { h.hold = hold })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	jobs, answers := process(t, h, d, t.TempDir()).Work(ctx)
	jobs <- uplink.Fetch{Feed: protocol.FeedCatalog}
	<-h.held
	for _, job := range []any{
		uplink.Apply{Delta: siblingDelta(t, 0, 1, "PEN"), Head: 1},
		uplink.Reset{Feed: "peer/s2", Epoch: 1},
		uplink.Fetch{Feed: "price/nobody"},
	} {
		jobs <- job
		if in := (<-answers).(uplink.Applied); in.Feed == protocol.FeedCatalog {
			t.Fatalf("the snapshot came first: %+v", in)
		}
	}
	close(hold)
	if in := (<-answers).(uplink.Applied); in.Feed != protocol.FeedCatalog || in.Err != nil {
		t.Errorf("then came %+v", in)
	}
}
