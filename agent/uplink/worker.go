package uplink

import (
	"context"
	"encoding/binary"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

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
				in = u.fetch(ctx, job.Feed)
			case Reset:
				in = MoveCursor(ctx, u.o.Driver, ledger.Cursor{FeedPos: protocol.FeedPos{Feed: job.Feed, Epoch: job.Epoch}})
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

func (u *Uplink) saveMarks(ctx context.Context, m saveMarks) error {
	b := binary.BigEndian.AppendUint64(nil, uint64(m.ack))
	b = binary.BigEndian.AppendUint64(b, uint64(m.safe))
	return u.o.Driver.Update(ctx, func(tx ledger.Tx) error { return ledger.SetNote(tx, b, marksNote) })
}

func (u *Uplink) apply(ctx context.Context, a Apply) Applied {
	in := ApplyDelta(ctx, u.o.Driver, a)
	if in.Err == nil {
		in.Err = u.committed(ctx, a.Delta)
	}
	return in
}

// ApplyDelta carries out an Apply.
func ApplyDelta(ctx context.Context, d ledger.Driver, a Apply) Applied {
	in := Applied{Feed: a.Delta.Feed}
	in.Err = d.Update(ctx, func(tx ledger.Tx) error {
		if a.Own != nil {
			c, err := ledger.ReadCursor(tx, a.Own.Feed)
			if err != nil {
				return err
			}
			if c.Offset < a.Own.Offset {
				c.FeedPos = *a.Own
				if err := ledger.WriteCursor(tx, c); err != nil {
					return err
				}
			}
		}
		var err error
		in.Cursor, err = ledger.ApplyDelta(tx, a.Delta, a.Head)
		return err
	})
	return in
}

// committed tells others of a Delta, and the engine of feeds that a new store
// record names.
func (u *Uplink) committed(ctx context.Context, d *protocol.Delta) error {
	if len(d.Rows) > 0 && d.Feed == protocol.StoreFeed(u.o.Origin.Store) {
		var list []ledger.Cursor
		err := u.o.Driver.View(ctx, func(r ledger.Reader) (err error) {
			list, err = Followed(r, u.o.Origin.Store)
			return err
		})
		if err != nil {
			return err
		}
		u.report(ctx, Follow{list})
	}
	u.o.Applied(d)
	return nil
}

// MoveCursor carries out a Reset, and ends a Fetch: the cursor goes where it is
// told, and a tail that was reached once stays reached.
func MoveCursor(ctx context.Context, d ledger.Driver, c ledger.Cursor) Applied {
	in := Applied{Feed: c.Feed}
	in.Err = d.Update(ctx, func(tx ledger.Tx) error {
		old, err := ledger.ReadCursor(tx, c.Feed)
		if err != nil {
			return err
		}
		c.Tail = old.Tail
		in.Cursor = c
		return ledger.WriteCursor(tx, c)
	})
	return in
}
