package hub

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"sync"

	"counterpart/protocol"
	"counterpart/protocol/ledger"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/singleflight"
)

// Snapshot is a state feed as a whole, or the state that a store's event feed
// has made: one zstd stream of Deltas, each preceded by its size as a varint.
// Those of a state feed lead from offset 0 to Offset; those of an event feed
// count rows, which are the state at Offset.
type Snapshot struct {
	Feed   protocol.FeedID
	Epoch  uint64
	Offset uint64
	SHA256 string // of Body, in hex
	Body   []byte
}

const (
	// snapshotsMax bounds how many snapshots are kept; the oldest goes first.
	snapshotsMax = 16
	// snapshotAge is how many changes a snapshot may be behind its feed before
	// another is built. The agent gets them from the feed. A fetch that is
	// resumed so mostly finds the body that it began with, however busy the
	// catalogue is.
	snapshotAge = resyncBehind / 2
	// snapshotWindow is how much of a snapshot an agent has to keep in memory
	// while it unpacks it.
	snapshotWindow = 1 << 20
	// standingsMax bounds how many of the kept snapshots are of event feeds:
	// they are large, and few agents ask for one.
	standingsMax = 2
	// standingAge is how many events such a snapshot may be behind its feed. To
	// build it the hub reads every event of the store.
	standingAge = 10_000
	// Limits of one part of it.
	standingRowsMax  = 500
	standingBytesMax = 96 << 10
)

// snapshotCache keeps the newest snapshot of each feed. Each feed is built by
// itself, so that a large one keeps no other waiting.
type snapshotCache struct {
	building singleflight.Group // by feed
	mu       sync.Mutex
	list     []*Snapshot
	erasures uint64 // how often somebody was erased
}

// forgetMembers drops what holds members' keys, because one of them is erased. One
// that is being built is not kept.
func (c *snapshotCache) forgetMembers() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.erasures++
	c.list = slices.DeleteFunc(c.list, func(s *Snapshot) bool { return memberFeed(s.Feed) })
}

func (c *snapshotCache) erased() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.erasures
}

func memberFeed(feed protocol.FeedID) bool {
	f, err := protocol.ParseFeed(feed)
	return err == nil && f.Kind == protocol.FeedOfMembers
}

// find returns the kept snapshot of a feed, nil for none.
func (c *snapshotCache) find(feed protocol.FeedID) *Snapshot {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.list {
		if s.Feed == feed {
			return s
		}
	}
	return nil
}

// Snapshot returns a state of a feed that is new enough to go on from. It is
// built once, however many agents ask.
func (h *Hub) Snapshot(ctx context.Context, feed protocol.FeedID) (*Snapshot, error) {
	if _, err := protocol.ParseFeed(feed); err != nil {
		return nil, protocol.Refuse(protocol.NotFound, "There is no such snapshot. Feeds are catalog, price/{zone}, store/{id}, peer/{id} and member/{id}.")
	}
	snap, err, _ := h.snapshots.building.Do(string(feed), func() (any, error) {
		// Whoever asks at the same time waits for this one, so it must not end
		// with the request that began it.
		return h.snapshot(context.WithoutCancel(ctx), feed)
	})
	if err != nil {
		return nil, err
	}
	return snap.(*Snapshot), nil
}

func (h *Hub) snapshot(ctx context.Context, feed protocol.FeedID) (*Snapshot, error) {
	snap, erased := h.snapshots.find(feed), h.snapshots.erased()
	build, age := h.buildSnapshot, uint64(snapshotAge)
	if eventFeed(feed) {
		build, age = buildStanding, standingAge
	}
	err := h.view(ctx, func(r ledger.Reader) error {
		head, err := ledger.FeedHead(r, feed)
		if err != nil {
			return err
		}
		if snap != nil && snap.Epoch == h.Epoch() && snap.Offset <= head && head-snap.Offset <= min(age, snap.Offset/16) {
			return nil
		}
		snap, err = build(r, feed, h.Epoch(), head)
		return err
	})
	if err == nil && snap.Offset > 0 {
		h.snapshots.keep(snap, erased)
	}
	return snap, err
}

// keep keeps a snapshot that was built when so many members were erased.
func (c *snapshotCache) keep(snap *Snapshot, erased uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if memberFeed(snap.Feed) && c.erasures != erased {
		return
	}
	c.list = append(slices.DeleteFunc(c.list, func(s *Snapshot) bool { return s.Feed == snap.Feed }), snap)
	if len(c.list) > snapshotsMax {
		c.list = c.list[1:]
	}
	standings := 0
	for i := len(c.list) - 1; i >= 0; i-- {
		if !eventFeed(c.list[i].Feed) {
			continue
		}
		if standings++; standings > standingsMax {
			c.list = slices.Delete(c.list, i, i+1)
		}
	}
}

func eventFeed(feed protocol.FeedID) bool {
	f, err := protocol.ParseFeed(feed)
	return err == nil && f.Store != "" && feed == protocol.PeerFeed(f.Store)
}

func (h *Hub) buildSnapshot(r ledger.Reader, feed protocol.FeedID, epoch, head uint64) (*Snapshot, error) {
	w, err := newSnapshotWriter()
	if err != nil {
		return nil, err
	}
	for after := uint64(0); after < head; {
		d, err := ledger.ReadDelta(r, feed, epoch, after)
		if err == nil {
			err = h.withKeys(context.Background(), d)
		}
		if err != nil {
			return nil, err
		}
		if err := w.put(d); err != nil {
			return nil, err
		}
		after = d.Upto
	}
	return w.finish(feed, epoch, head)
}

// buildStanding packs the state of a store, which stands at the head of its
// event feed.
func buildStanding(r ledger.Reader, feed protocol.FeedID, epoch, head uint64) (*Snapshot, error) {
	f, err := protocol.ParseFeed(feed)
	if err != nil {
		return nil, err
	}
	w, err := newSnapshotWriter()
	if err != nil || head == 0 {
		return &Snapshot{Feed: feed, Epoch: epoch, SHA256: hex.EncodeToString(sha256.New().Sum(nil))}, err
	}
	// The first row tells how many there are, so they are counted before.
	total := uint64(0)
	if err := ledger.ScanStanding(r, f.Store, func(ledger.StandingRow) error { total++; return nil }); err != nil {
		return nil, err
	}
	part, size := &protocol.Delta{Feed: feed, Epoch: epoch}, 0
	flush := func() error {
		err := w.put(part)
		part, size = &protocol.Delta{Feed: feed, Epoch: epoch, After: part.Upto, Upto: part.Upto}, 0
		return err
	}
	add := func(row ledger.StandingRow) error {
		if n := len(row.Name) + len(row.Value); len(part.Rows) == standingRowsMax || size > 0 && size+n > standingBytesMax {
			if err := flush(); err != nil {
				return err
			}
		}
		part.Upto++
		part.Rows = append(part.Rows, protocol.FeedRow{Offset: part.Upto, Key: row.Name, Value: bytes.Clone(row.Value)})
		size += len(row.Name) + len(row.Value)
		return nil
	}
	err = add(ledger.StandingHead(total))
	if err == nil {
		err = ledger.ScanStanding(r, f.Store, add)
	}
	if err == nil {
		err = flush()
	}
	if err != nil {
		return nil, err
	}
	return w.finish(feed, epoch, head)
}

// snapshotWriter packs the parts of a snapshot.
type snapshotWriter struct {
	body bytes.Buffer
	z    *zstd.Encoder
}

// snapshotEncoders are those at rest: a new one takes a megabyte and more.
var snapshotEncoders sync.Pool

func newSnapshotWriter() (*snapshotWriter, error) {
	w := &snapshotWriter{}
	if z, ok := snapshotEncoders.Get().(*zstd.Encoder); ok {
		w.z = z
		z.Reset(&w.body)
		return w, nil
	}
	var err error
	w.z, err = zstd.NewWriter(&w.body, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(snapshotWindow))
	return w, err
}

func (w *snapshotWriter) put(d *protocol.Delta) error {
	b, err := protocol.EncodeMessage(d)
	if err == nil {
		_, err = w.z.Write(append(binary.AppendUvarint(nil, uint64(len(b))), b...))
	}
	return err
}

func (w *snapshotWriter) finish(feed protocol.FeedID, epoch, offset uint64) (*Snapshot, error) {
	if err := w.z.Close(); err != nil {
		return nil, err
	}
	w.z.Reset(nil)
	snapshotEncoders.Put(w.z)
	sum := sha256.Sum256(w.body.Bytes())
	return &Snapshot{Feed: feed, Epoch: epoch, Offset: offset, SHA256: hex.EncodeToString(sum[:]), Body: w.body.Bytes()}, nil
}
