package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/ledger/bolt"
)

// stopFirst is what to do where the database is in use.
const stopFirst = "Stop the agent first, if it runs."

// Restore puts a backup in the place of the agent's database and begins a new
// stream in it, so that no number is ever used twice. The database that was
// there is kept aside under the name that is returned. The agent must not run.
func Restore(ctx context.Context, dir, backup string, log *slog.Logger) (aside string, err error) {
	path := DatabasePath(dir)
	staged := path + ".restoring"
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	if err := holdClosed(path, log); err != nil {
		return "", err
	}
	if err := copyFile(backup, staged); err != nil {
		return "", fmt.Errorf("the backup cannot be read: %w. Nothing was changed", err)
	}
	defer os.Remove(staged)
	if err := forkFile(ctx, staged, ledger.CauseRestore, log); err != nil {
		return "", fmt.Errorf("%w. Nothing was changed", err)
	}
	if aside, err = setAside(path); err != nil {
		return "", err
	}
	if err := os.Remove(filepath.Join(dir, witnessFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return aside, err
	}
	return aside, os.Rename(staged, path)
}

// Replace makes the database of a machine that stands in for one that is lost,
// under the same name. What the lost machine had sent comes back from the hub.
func Replace(ctx context.Context, dir string, log *slog.Logger) error {
	path := DatabasePath(dir)
	if _, err := os.Stat(path); err == nil {
		return fmt.Errorf("%s holds a database already. Nothing was changed. To go on with a copy of it use restore; to replace a lost machine name an empty folder", dir)
	}
	fresh, err := randomInc()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	db, err := bolt.Open(path, bolt.Options{Kind: "agent", Log: log})
	if err != nil {
		return err
	}
	err = db.Update(ctx, func(tx ledger.Tx) error {
		_, err := ledger.StartIdentity(tx, fresh, ledger.CauseReplace)
		return err
	})
	return errors.Join(err, db.Close())
}

// holdClosed makes sure that no agent has the database open.
func holdClosed(path string, log *slog.Logger) error {
	if _, err := os.Stat(path); err != nil {
		return nil // There is none, so nobody has it open.
	}
	db, err := bolt.Open(path, bolt.Options{Kind: "agent", Log: log})
	if errors.Is(err, bolt.ErrLocked) {
		return fmt.Errorf("%w. %s", err, stopFirst)
	}
	if err != nil {
		return nil // A damaged database may be replaced.
	}
	return db.Close()
}

// forkFile begins a new stream in a database that nobody runs on.
func forkFile(ctx context.Context, path string, cause ledger.ForkCause, log *slog.Logger) (err error) {
	fresh, err := randomInc()
	if err != nil {
		return err
	}
	db, err := bolt.Open(path, bolt.Options{Kind: "agent", Verify: true, Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	rows := ledger.Standing(db)
	var o protocol.Origin
	err = rows.Update(ctx, func(tx ledger.Tx) error {
		if o, err = ownOrigin(tx); err != nil {
			return err
		}
		id, err := forkAt(tx, o, fresh, cause)
		if err == nil {
			o.Inc = id.Inc
		}
		return err
	})
	for done := false; err == nil && !done; {
		err = rows.Update(ctx, func(tx ledger.Tx) (err error) {
			done, err = ledger.ContinueFork(tx, o, protocol.Clock{WallMs: time.Now().UnixMilli()})
			return err
		})
	}
	return err
}

// ownOrigin finds whose database it is. Without an own event there is nothing
// that would have to know.
func ownOrigin(r ledger.Reader) (protocol.Origin, error) {
	inc, err := ledger.Writer(r)
	if err != nil {
		return protocol.Origin{}, err
	}
	if inc.IsZero() {
		id, err := ledger.ReadIdentity(r)
		if err != nil || id == nil {
			return protocol.Origin{}, errors.Join(err, errors.New("no agent has ever run on this database"))
		}
		inc = id.Inc
	}
	streams, err := ledger.AllStreams(r)
	for _, s := range streams {
		if s.Origin.Inc == inc {
			return s.Origin, err
		}
	}
	return protocol.Origin{Inc: inc}, err
}

func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.Sync()
}

// setAside renames a file to a name that is free and returns that; empty where
// there is no file.
func setAside(path string) (string, error) {
	for n := 1; ; n++ {
		aside := path + ".before-restore-" + strconv.Itoa(n)
		if _, err := os.Stat(aside); err == nil {
			continue
		}
		err := os.Rename(path, aside)
		if errors.Is(err, os.ErrNotExist) {
			return "", nil
		}
		return aside, err
	}
}
