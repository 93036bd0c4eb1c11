package agent

import (
	"context"
	"log/slog"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/ledger/bolt"
)

// databaseBytesMax is what the database may grow to. It is a limit against a
// fault of our own; the disk is watched besides.
const databaseBytesMax = 16 << 30

// openDatabase opens the agent's database. After a stop that was not in order
// it is checked first, and one that is mostly free pages is compacted.
func openDatabase(ctx context.Context, cfg Config, log *slog.Logger) (*bolt.DB, error) {
	if err := bolt.MakeFolder(cfg.Data); err != nil {
		return nil, err
	}
	o := bolt.Options{
		Kind: "agent", Owner: cfg.Store + "/" + cfg.Agent, SizeMax: databaseBytesMax, Log: log,
		Room: func(dir string) int64 { return diskRoom(dir).free },
	}
	if len(cfg.Checker) > 0 {
		o.CheckUnclean = bolt.CheckApart(ctx, cfg.Checker[0], cfg.Checker[1:]...)
	}
	return bolt.Open(DatabasePath(cfg.Data), o)
}

// openKeys opens the ring of people's keys beside the database. A machine with
// a full disk sells without it. A ring that another machine has written is
// locked, and begun anew by the first key that comes down.
func openKeys(ctx context.Context, cfg Config, log *slog.Logger) (*bolt.Keys, error) {
	o := bolt.KeysOptions{Dir: cfg.Data, MachineID: machine(), Log: log}
	if len(cfg.Checker) > 0 {
		o.CheckUnclean = bolt.CheckApart(ctx, cfg.Checker[0], cfg.Checker[1:]...)
	}
	keys, err := bolt.OpenKeys(ctx, o)
	switch {
	case protocol.CodeOf(err) == protocol.DiskFull:
		log.Error("the disk is full; there is no file for the keys of personal fields until there is room and the agent is started again", "error", err)
		return nil, nil
	case err != nil:
		return nil, err
	case keys.Locked():
		log.Warn("the keys of personal fields were written on another machine, or keys.salt was lost; they stay locked until the hub sends them again")
	}
	return keys, nil
}

// startFull begins where there is no room to count the start: reading, status
// and sending go on, and the start is counted by the first change that is
// written. A database that has no identity yet, or that has to be forked, can
// do nothing without room; cause is why it was not started.
func (a *Agent) startFull(ctx context.Context, cause error) (*ledger.Identity, error) {
	var id *ledger.Identity
	err := a.db.View(ctx, func(r ledger.Reader) (err error) {
		if id, err = ledger.ReadIdentity(r); err != nil {
			return err
		}
		if id == nil {
			return cause
		}
		why, err := readWitness(a.cfg.Data).contradicts(r, a.originOf(id.Inc))
		if err == nil && why != "" {
			err = cause
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	id.Boot++
	boot := id.Boot
	late := func(tx ledger.Tx) error {
		now, err := ledger.ReadIdentity(tx)
		if err != nil || now == nil || now.Boot >= boot {
			return err
		}
		_, err = ledger.StartIdentity(tx, now.Inc, "")
		return err
	}
	a.disk.late.Store(&late)
	a.log.Error("the disk is full; nothing can be sold until there is room", "error", cause)
	return id, nil
}
