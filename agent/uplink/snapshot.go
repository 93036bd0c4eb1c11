package uplink

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"

	"github.com/klauspost/compress/zstd"
)

const (
	snapshotMemoryMax = 64 << 20
	// loadRowsMax and sweepRowsMax bound one transaction, because a sale that
	// comes in the middle of it waits for its end.
	loadRowsMax  = 100
	sweepRowsMax = 500
)

// Snapshot is a state feed as a whole, or what an event feed has made of its
// store, as the hub's headers describe it.
type Snapshot struct {
	protocol.FeedPos        // the cursor that it gives
	Sum              string // SHA-256 of the body, in hex
}

// fetch brings a feed's snapshot and makes it the live state of the feed. What
// was fetched and loaded stays where a try ended, and the next goes on there.
func (u *Uplink) fetch(ctx context.Context, job Fetch) Applied {
	fail := func(err error) Applied {
		return Applied{Feed: job.Feed, Err: fmt.Errorf("snapshot of %s: %w", job.Feed, err)}
	}
	snap, body, err := u.download(ctx, job.Feed)
	if err != nil {
		if holdsKeys(u.snapshotPath(job.Feed)) {
			err = errors.Join(err, u.removeSnapshot(job.Feed))
		}
		return fail(err)
	}
	load := func() Applied {
		return loadSnapshot(ctx, u.o.Driver, snap, body, job.Tried, func(part *protocol.Delta) error { return u.keepKeys(ctx, part) })
	}
	if job.Feed == protocol.PeerFeed(u.o.Origin.Store) {
		load = func() Applied { return LoadStanding(ctx, u.o.Driver, u.o.Origin, snap, body) }
	}
	in := load()
	if err := body.Close(); err != nil || in.Err != nil {
		if poisonous(in.Err) && job.Feed == protocol.PeerFeed(u.o.Origin.Store) {
			// The events are the way now; this body would fail again.
			err = errors.Join(err, u.dropSnapshot(ctx, job.Feed))
		}
		if holdsKeys(u.snapshotPath(job.Feed)) {
			err = errors.Join(err, u.removeSnapshot(job.Feed))
		}
		return fail(errors.Join(in.Err, err))
	}
	u.wakeSweep()
	if err := u.removeSnapshot(job.Feed); err != nil {
		u.o.Log.Warn("snapshot not removed", "feed", job.Feed, "error", err)
	}
	if job.Feed == protocol.StoreFeed(u.o.Origin.Store) {
		if err := u.follow(ctx); err != nil {
			return fail(err)
		}
	}
	u.o.Applied(&protocol.Delta{Feed: job.Feed, Epoch: snap.Epoch, Upto: snap.Offset})
	return in
}

// LoadSnapshot loads a snapshot beside the live rows of its feed, in small
// transactions, and makes it live in one. Parts that an earlier try loaded are
// passed over. What was live before is left to Sweep.
func LoadSnapshot(ctx context.Context, d ledger.Driver, snap Snapshot, body io.Reader, tried Tried) Applied {
	return loadSnapshot(ctx, d, snap, body, tried, func(*protocol.Delta) error { return nil })
}

// LoadMembers is LoadSnapshot for a member feed, which brings keys.
func LoadMembers(ctx context.Context, d ledger.Driver, keys Keys, store protocol.StoreID, snap Snapshot, body io.Reader, tried Tried) Applied {
	return loadSnapshot(ctx, d, snap, body, tried, func(part *protocol.Delta) error { return KeepKeys(ctx, keys, store, part) })
}

// loadSnapshot is LoadSnapshot, and calls before ahead of each part, also of those
// that are loaded already.
func loadSnapshot(ctx context.Context, d ledger.Driver, snap Snapshot, body io.Reader, tried Tried, before func(*protocol.Delta) error) Applied {
	in := Applied{Feed: snap.Feed}
	var shadow ledger.Shadow
	in.Err = d.Update(ctx, func(tx ledger.Tx) (err error) {
		shadow, err = ledger.BeginShadow(tx, snap.FeedPos, snap.Sum)
		return err
	})
	if in.Err != nil {
		return in
	}
	in.Err = eachDelta(body, snap.Feed, func(part *protocol.Delta) error {
		if err := before(part); err != nil {
			return err
		}
		for _, piece := range chunks(part) {
			if piece.Upto <= shadow.Upto {
				continue
			}
			s := loadStep(d, piece, tried)
			err := blame(s.run(ctx))
			in.Aside += s.aside
			if err != nil {
				return err
			}
			tried = Tried{}
		}
		return nil
	})
	if in.Err != nil {
		return in
	}
	in.Err = d.Update(ctx, func(tx ledger.Tx) (err error) {
		in.Cursor, err = ledger.SwapShadow(tx, snap.FeedPos)
		return err
	})
	return in
}

// joinMax bounds how many events are folded on top of a loaded state in one
// transaction, for which a sale may have to wait.
const joinMax = 100

// errEndsProcess is returned for a state that ended the process while it was
// being loaded, again and again.
var errEndsProcess = errors.New("the process ended each time while it was being loaded")

// LoadStanding loads the state of a store beside the live one, folds on top of
// it what only this machine has, and makes it live in one transaction. A part of
// it that cannot be read spoils the whole: a state with a row missing would be
// wrong for good.
func LoadStanding(ctx context.Context, d ledger.Driver, o protocol.Origin, snap Snapshot, body io.Reader) (in Applied) {
	in.Feed = snap.Feed
	in.Err = beginStanding(ctx, d, snap)
	if in.Err != nil {
		return in
	}
	update := func(fn func(ledger.Tx) error) {
		if in.Err == nil {
			in.Err = d.Update(ctx, func(tx ledger.Tx) error { return caught(func() error { return fn(tx) }) })
		}
	}
	in.Err = eachDelta(body, snap.Feed, func(part *protocol.Delta) error {
		for _, piece := range chunks(part) {
			update(func(tx ledger.Tx) error { return ledger.LoadStanding(tx, o.Store, piece) })
		}
		return in.Err
	})
	for more := true; more && in.Err == nil; {
		update(func(tx ledger.Tx) (err error) {
			more, err = ledger.JoinStanding(tx, o, joinMax)
			return err
		})
	}
	for done := false; !done && in.Err == nil; {
		update(func(tx ledger.Tx) (err error) {
			if in.Cursor, done, err = ledger.SwapStanding(tx, o, snap.FeedPos, joinMax); err == nil && !done {
				_, err = ledger.JoinStanding(tx, o, joinMax)
			}
			return err
		})
	}
	// A failure is no reason not to try again; only the end of the process is.
	if err := d.Update(context.WithoutCancel(ctx), func(tx ledger.Tx) error {
		return ledger.WriteAttempt(tx, snap.Feed, ledger.Attempt{})
	}); in.Err == nil {
		in.Err = err
	}
	return in
}

// beginStanding notes that a state is about to be loaded, and refuses one that
// has ended the process too often.
func beginStanding(ctx context.Context, d ledger.Driver, snap Snapshot) error {
	tries := uint64(0)
	err := d.Update(ctx, func(tx ledger.Tx) error {
		a, err := ledger.ReadAttempt(tx, snap.Feed)
		if err != nil {
			return err
		}
		if !a.Shadow || a.Epoch != snap.Epoch || a.After != snap.Offset {
			a = ledger.Attempt{Shadow: true, Epoch: snap.Epoch, After: snap.Offset}
		}
		if tries = a.Tries; tries >= triesMax {
			return ledger.DropShadow(tx, snap.Feed)
		}
		a.Tries++
		if err := ledger.WriteAttempt(tx, snap.Feed, a); err != nil {
			return err
		}
		_, err = ledger.BeginShadow(tx, snap.FeedPos, snap.Sum)
		return err
	})
	if err == nil && tries >= triesMax {
		err = errEndsProcess
	}
	return err
}

func loadStep(d ledger.Driver, piece *protocol.Delta, tried Tried) *step {
	return &step{
		Tried: tried, driver: d, delta: piece, shadow: true,
		place: func(r ledger.Reader) (uint64, error) {
			s, err := ledger.ReadShadow(r, piece.Feed)
			return s.Upto, err
		},
		apply:    ledger.LoadShadow,
		setAside: ledger.SetAsideShadow,
	}
}

// chunks cuts a part of a snapshot into steps of one transaction.
func chunks(part *protocol.Delta) []*protocol.Delta {
	var list []*protocol.Delta
	after := part.After
	rows := part.Rows
	for len(rows) > loadRowsMax {
		upto := rows[loadRowsMax-1].Offset
		list = append(list, &protocol.Delta{Feed: part.Feed, Epoch: part.Epoch, After: after, Upto: upto, Rows: rows[:loadRowsMax]})
		after, rows = upto, rows[loadRowsMax:]
	}
	return append(list, &protocol.Delta{Feed: part.Feed, Epoch: part.Epoch, After: after, Upto: part.Upto, Rows: rows})
}

// snapshotUnpackers keeps the windows of unpackers for the next of several feeds.
// An unpacker without concurrency holds nothing but memory, and is never closed.
var snapshotUnpackers sync.Pool

// eachDelta reads a snapshot: a zstd stream of Deltas, each preceded by its
// size as a varint.
func eachDelta(body io.Reader, feed protocol.FeedID, fn func(*protocol.Delta) error) error {
	z, ok := snapshotUnpackers.Get().(*zstd.Decoder)
	if !ok {
		var err error
		if z, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(snapshotMemoryMax)); err != nil {
			return err
		}
	}
	if err := z.Reset(body); err != nil {
		return err
	}
	defer func() {
		if z.Reset(nil) == nil {
			snapshotUnpackers.Put(z)
		}
	}()
	r := bufio.NewReader(z)
	for {
		size, err := binary.ReadUvarint(r)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if size > protocol.MessageBytesMax {
			return fmt.Errorf("a part of %d bytes is too large", size)
		}
		b := make([]byte, size)
		if _, err := io.ReadFull(r, b); err != nil {
			return err
		}
		m, err := protocol.DecodeMessage(b)
		if err != nil {
			return err
		}
		d, ok := m.(*protocol.Delta)
		if !ok || d.Feed != feed {
			return errors.New("it holds something else than the feed")
		}
		if err := fn(d); err != nil {
			return err
		}
	}
}

// dropSnapshot gives up what is left of a snapshot of a feed that goes on
// without it.
func (u *Uplink) dropSnapshot(ctx context.Context, feed protocol.FeedID) error {
	var shadow ledger.Shadow
	err := u.o.Driver.View(ctx, func(r ledger.Reader) (err error) {
		shadow, err = ledger.ReadShadow(r, feed)
		return err
	})
	if err == nil && shadow.Sum != "" {
		err = u.o.Driver.Update(ctx, func(tx ledger.Tx) error { return ledger.DropShadow(tx, feed) })
		u.wakeSweep()
	}
	return errors.Join(err, u.removeSnapshot(feed))
}

func (u *Uplink) wakeSweep() {
	select {
	case u.swept <- struct{}{}:
	default:
	}
}

// sweep deletes rows that nobody reads any more: those that an earlier process
// left, and those that a swap leaves. After each step it rests as long as the
// step took, so that sales find the disk free.
func (u *Uplink) sweep(ctx context.Context) {
	rest := time.NewTimer(0)
	defer rest.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-u.swept:
		case <-rest.C:
		}
		began := time.Now()
		more, err := SweepStep(ctx, u.o.Driver)
		switch {
		case err != nil && ctx.Err() == nil:
			u.o.Log.Warn("old rows not deleted", "error", err)
			rest.Reset(sweepRetry)
		case more:
			rest.Reset(time.Since(began))
		}
	}
}

// sweepRetry is how long the sweep waits after a failure.
const sweepRetry = time.Minute

// SweepStep deletes some of the rows that nobody reads any more, and tells
// whether there are more.
func SweepStep(ctx context.Context, d ledger.Driver) (more bool, err error) {
	err = d.View(ctx, func(r ledger.Reader) (err error) {
		more, err = ledger.Unswept(r)
		return err
	})
	if err != nil || !more {
		return false, err
	}
	err = d.Update(ctx, func(tx ledger.Tx) (err error) {
		more, err = ledger.Sweep(tx, sweepRowsMax)
		return err
	})
	return more, err
}
