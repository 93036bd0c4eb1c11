package uplink

import (
	"context"
	"fmt"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// workers is how many feeds can be worked on at once. An agent follows four, so
// that none waits for another's snapshot, however slow it is (I18).
const workersMax = 8

// worker does what takes time on the way down, so that the way up never waits
// for it. There is at most one job of each feed at a time. A feed that fails is
// reported to the engine, which asks again.
func (u *Uplink) worker(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case job := <-u.work:
			var in Applied
			switch job := job.(type) {
			case Apply:
				in = u.apply(ctx, job)
			case Fetch:
				in = u.fetch(ctx, job)
			case Reset:
				in = ResetFeed(ctx, u.o.Driver, job)
			case Lookup:
				u.keepLookup(ctx, job.Key)
				continue
			}
			u.report(ctx, in)
		}
	}
}

// keepMarks writes down how far the hub is, now and then. Losing the last of
// them costs nothing: the next Welcome says it again.
func (u *Uplink) keepMarks(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-u.marks:
			if err := u.saveMarks(ctx, m); err != nil && ctx.Err() == nil {
				u.o.Log.Warn("marks not written down", "error", err)
			}
		}
	}
}

func (u *Uplink) report(ctx context.Context, in any) {
	select {
	case u.inputs <- in:
	case <-ctx.Done():
	}
}

func (u *Uplink) saveMarks(ctx context.Context, m Marks) error {
	return u.o.Driver.Update(ctx, func(tx ledger.Tx) error { return WriteMarks(tx, u.o.Origin.Inc, m) })
}

func (u *Uplink) apply(ctx context.Context, a Apply) Applied {
	if err := u.keepKeys(ctx, a.Delta); err != nil {
		return Applied{Feed: a.Delta.Feed, Err: fmt.Errorf("keys of members: %w", err)}
	}
	in := ApplyDelta(ctx, u.o.Driver, a)
	if in.Err == nil {
		in.Err = u.committed(ctx, a.Delta)
	}
	if in.Err == nil && a.First {
		// The feed goes on without its snapshot.
		in.Err = u.dropSnapshot(ctx, a.Delta.Feed)
	}
	return in
}

// ApplyDelta carries out an Apply.
func ApplyDelta(ctx context.Context, d ledger.Driver, a Apply) Applied {
	in := Applied{Feed: a.Delta.Feed}
	s := step{
		Tried: a.Tried, driver: d, delta: a.Delta,
		place: func(r ledger.Reader) (uint64, error) {
			c, err := ledger.ReadCursor(r, a.Delta.Feed)
			return c.Offset, err
		},
		apply: func(tx ledger.Tx, piece *protocol.Delta) (err error) {
			if err := writeOwn(tx, a.Own); err != nil {
				return err
			}
			in.Cursor, err = ledger.ApplyDelta(tx, piece, a.Head)
			return err
		},
		setAside: func(tx ledger.Tx, piece *protocol.Delta, reason string) (err error) {
			in.Cursor, err = ledger.SetAside(tx, piece, a.Head, reason)
			return err
		},
	}
	in.Err = blame(s.run(ctx))
	in.Aside = s.aside
	return in
}

// writeOwn stores a cursor that was moved over the agent's own events.
func writeOwn(tx ledger.Tx, own *protocol.FeedPos) error {
	if own == nil {
		return nil
	}
	c, err := ledger.ReadCursor(tx, own.Feed)
	if err != nil || c.Offset >= own.Offset {
		return err
	}
	c.FeedPos = *own
	return ledger.WriteCursor(tx, c)
}

// committed tells others of a Delta, and the engine of feeds that a new store
// record names.
func (u *Uplink) committed(ctx context.Context, d *protocol.Delta) error {
	if len(d.Rows) > 0 && d.Feed == protocol.StoreFeed(u.o.Origin.Store) {
		if err := u.follow(ctx); err != nil {
			return err
		}
	}
	u.o.Applied(d)
	return nil
}

// follow tells the engine which feeds the store record names.
func (u *Uplink) follow(ctx context.Context) error {
	var list []ledger.Cursor
	err := u.o.Driver.View(ctx, func(r ledger.Reader) (err error) {
		list, err = Followed(r, u.o.Origin.Store)
		return err
	})
	if err == nil {
		u.report(ctx, Follow{list})
	}
	return err
}

// ResetFeed carries out a Reset: the cursor goes where it is told, and a tail
// that was reached once stays reached.
func ResetFeed(ctx context.Context, d ledger.Driver, r Reset) Applied {
	in := Applied{Feed: r.Feed}
	in.Err = d.Update(ctx, func(tx ledger.Tx) (err error) {
		in.Cursor, err = ledger.ResetFeed(tx, protocol.FeedPos{Feed: r.Feed, Epoch: r.Epoch, Offset: r.Offset})
		return err
	})
	return in
}
