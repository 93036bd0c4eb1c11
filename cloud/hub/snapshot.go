package hub

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"sync"

	"counterpart/protocol"
	"counterpart/protocol/ledger"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/singleflight"
)

// Snapshot is a state feed as a whole: one zstd stream of Deltas, each preceded
// by its size as a varint, that together lead from offset 0 to Offset.
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
)

// snapshotCache keeps the newest snapshot of each feed. Each feed is built by
// itself, so that a large one keeps no other waiting.
type snapshotCache struct {
	building singleflight.Group // by feed
	mu       sync.Mutex
	list     []*Snapshot
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
	f, err := protocol.ParseFeed(feed)
	if err != nil || feed == protocol.PeerFeed(f.Store) {
		return nil, protocol.Refuse(protocol.NotFound, "There is no such snapshot. State feeds are catalog, price/{zone} and store/{id}.")
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
	snap := h.snapshots.find(feed)
	err := h.view(ctx, func(r ledger.Reader) error {
		head, err := ledger.FeedHead(r, feed)
		if err != nil {
			return err
		}
		if snap != nil && snap.Epoch == h.Epoch() && snap.Offset <= head && head-snap.Offset <= min(snapshotAge, snap.Offset/16) {
			return nil
		}
		snap, err = buildSnapshot(r, feed, h.Epoch(), head)
		return err
	})
	if err == nil && snap.Offset > 0 {
		h.snapshots.keep(snap)
	}
	return snap, err
}

func (c *snapshotCache) keep(snap *Snapshot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept := c.list[:0]
	for _, s := range c.list {
		if s.Feed != snap.Feed {
			kept = append(kept, s)
		}
	}
	c.list = append(kept, snap)
	if len(c.list) > snapshotsMax {
		c.list = c.list[1:]
	}
}

func buildSnapshot(r ledger.Reader, feed protocol.FeedID, epoch, head uint64) (*Snapshot, error) {
	var body bytes.Buffer
	z, err := zstd.NewWriter(&body, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	for after := uint64(0); after < head; {
		d, err := ledger.ReadDelta(r, feed, epoch, after)
		if err != nil {
			return nil, err
		}
		b, err := protocol.EncodeMessage(d)
		if err != nil {
			return nil, err
		}
		if _, err := z.Write(append(binary.AppendUvarint(nil, uint64(len(b))), b...)); err != nil {
			return nil, err
		}
		after = d.Upto
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body.Bytes())
	return &Snapshot{Feed: feed, Epoch: epoch, Offset: head, SHA256: hex.EncodeToString(sum[:]), Body: body.Bytes()}, nil
}
