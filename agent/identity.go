package agent

import (
	"context"
	"crypto/rand"

	"counterpart/agent/uplink"
	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

func randomInc() (inc protocol.Inc, err error) {
	_, err = rand.Read(inc[:])
	return inc, err
}

// start counts this start of the process, and forks where the witness says that
// the database is not the one that this machine last wrote.
func (a *Agent) start(ctx context.Context) (*ledger.Identity, error) {
	fresh, err := randomInc()
	if err != nil {
		return nil, err
	}
	other, err := randomInc()
	if err != nil {
		return nil, err
	}
	w := readWitness(a.cfg.Data)
	var id *ledger.Identity
	err = selling{a.db, a.disk}.Update(ctx, func(tx ledger.Tx) error {
		if id, err = ledger.StartIdentity(tx, fresh, ""); err != nil {
			return err
		}
		o := a.originOf(id.Inc)
		why, err := w.contradicts(tx, o)
		if err != nil || why == "" {
			return err
		}
		a.log.Warn("this database is not the one that this machine last wrote; its log goes on in a new stream", "why", why)
		id, err = forkAt(tx, o, other, ledger.CauseWitness)
		return err
	})
	return id, err
}

func (a *Agent) originOf(inc protocol.Inc) protocol.Origin {
	return protocol.Origin{Store: protocol.StoreID(a.cfg.Store), Agent: protocol.AgentID(a.cfg.Agent), Inc: inc}
}

// forkAt begins a new stream after what the hub is known to have safely.
func forkAt(tx ledger.Tx, o protocol.Origin, fresh protocol.Inc, cause ledger.ForkCause) (*ledger.Identity, error) {
	marks, err := uplink.ReadMarks(tx, o.Inc)
	if err != nil {
		return nil, err
	}
	return ledger.Fork(tx, o, marks.Safe, fresh, cause)
}
