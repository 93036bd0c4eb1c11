package agent

import (
	"context"
	"errors"
	"time"

	"counterpart/agent/uplink"
	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// stream is the log that this machine writes at present, and the link that
// carries it. A fork replaces both; the tills do not wait for it.
type stream struct {
	origin protocol.Origin
	uplink *uplink.Uplink
}

func (a *Agent) origin() protocol.Origin { return a.present.Load().origin }

func (a *Agent) uplink() *uplink.Uplink { return a.present.Load().uplink }

// openStream makes the link of the present stream; nothing is dialed yet.
func (a *Agent) openStream(ctx context.Context, id *ledger.Identity) error {
	o := a.originOf(id.Inc)
	link, err := uplink.NewUplink(ctx, uplink.Options{
		Origin: o, Parent: id.Parent, Cause: id.Cause, Build: a.build, BootID: a.boot, HubURL: a.cfg.Hub, Dir: a.cfg.Data, MQTTURL: a.cfg.MQTT, Driver: following{a.db, a.disk},
		Clock: a.clock, Applied: a.applied, Changed: a.changes.Notify, Keys: a.keys, Log: a.log,
	})
	if err == nil {
		a.present.Store(&stream{origin: o, uplink: link})
	}
	return err
}

// forksApart is how long one stream is kept at least before the hub's word
// begins another, so that a hub in trouble cannot make a machine fork without
// end.
const forksApart = 10 * time.Second

// keepLinked keeps the link of the present stream and, where the hub holds
// other events of it, begins a new one.
func (a *Agent) keepLinked(ctx context.Context) error {
	for {
		if err := a.finishFork(ctx); err != nil {
			return err
		}
		began := time.Now()
		err := a.uplink().Run(ctx)
		var fork *uplink.ForkError
		if !errors.As(err, &fork) {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(forksApart - time.Since(began)):
		}
		if err := a.fork(ctx, fork.Cause); err != nil {
			return err
		}
	}
}

// fork begins a new stream while the tills go on.
func (a *Agent) fork(ctx context.Context, cause ledger.ForkCause) error {
	fresh, err := randomInc()
	if err != nil {
		return err
	}
	var id *ledger.Identity
	err = a.db.Update(ctx, func(tx ledger.Tx) error {
		id, err = forkAt(tx, a.origin(), fresh, cause)
		return err
	})
	if err != nil {
		return err
	}
	if err := a.till.Refresh(ctx); err != nil {
		return err
	}
	return a.openStream(ctx, id)
}

// finishFork logs again what a fork has sealed. Until it is done nothing comes
// down, and the tills go on.
func (a *Agent) finishFork(ctx context.Context) error {
	for done := false; !done; {
		now := a.clock()
		clock := protocol.Clock{WallMs: now.Wall.UnixMilli(), MonoMs: now.Mono.Milliseconds()}
		err := a.db.Update(ctx, func(tx ledger.Tx) (err error) {
			done, err = ledger.ContinueFork(tx, a.origin(), clock)
			return err
		})
		switch {
		case ctx.Err() != nil:
			return nil
		case protocol.CodeOf(err) == protocol.DiskFull:
			a.log.Error("the disk is full; the fork goes on when there is room")
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(upkeepEvery):
			}
		case err != nil:
			return err
		}
	}
	return nil
}
