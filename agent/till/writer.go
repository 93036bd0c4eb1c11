package till

import (
	"context"
	"errors"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// writer is the stream that this machine writes and its receipt series.
type writer struct {
	origin protocol.Origin
	series string
	// forked says that the agent wrote other streams before this one.
	forked bool
}

// errForked says that the machine writes another stream than the caller
// believed. The request is done again from its beginning, so that it lies
// wholly before or wholly after the fork.
var errForked = errors.New("this machine has begun a new stream")

// check compares with what the database says in the same transaction.
func (w *writer) check(tx ledger.Tx) error {
	inc, err := ledger.Writer(tx)
	if err == nil && !inc.IsZero() && inc != w.origin.Inc {
		err = errForked
	}
	return err
}

// Refresh reads which stream this machine writes, after a fork.
func (t *Till) Refresh(ctx context.Context) error {
	return t.o.Driver.View(ctx, func(r ledger.Reader) error {
		id, err := ledger.ReadIdentity(r)
		if err != nil || id == nil {
			return err
		}
		o := t.o.Origin
		o.Inc = id.Inc
		t.present.Store(&writer{origin: o, series: id.Series, forked: id.Cause != ""})
		return nil
	})
}

func (t *Till) origin() protocol.Origin { return t.present.Load().origin }

func (d *desk) origin() protocol.Origin { return d.as.origin }

func (d *desk) series() string { return d.as.series }
