package bolt

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"

	bbolt "go.etcd.io/bbolt"

	"counterpart/protocol"
)

// Backup writes the state that was committed last to path, while the store goes
// on. The copy is complete, on the disk and read through once before it gets
// its name; a file that had this name is replaced. While it runs, pages that
// writers free are not used again, so the store may grow.
func (db *DB) Backup(ctx context.Context, path string) error {
	if err := db.enter(ctx); err != nil {
		return err
	}
	defer db.calls.Done()
	if same, err := db.isOwnFile(path); err != nil {
		return err
	} else if same {
		return protocol.Refuse(protocol.Conflict, "The backup would replace the data file itself. Nothing was changed. Choose another name.")
	}
	db.backups.Lock()
	defer db.backups.Unlock()
	if err := removeLeftovers(path); err != nil {
		return backupFailed(path, err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+newSuffix+"*")
	if err != nil {
		return backupFailed(path, err)
	}
	defer func() { _ = os.Remove(f.Name()) }()
	err = db.handle.bolt.View(func(tx *bbolt.Tx) error {
		if ok, err := db.settled.await(ctx, tx.ID(), db.failed); !ok {
			return cmp.Or(err, db.failure)
		}
		_, err := tx.WriteTo(&patient{ctx: ctx, f: f})
		return err
	})
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = inspect(f.Name(), f, true, db.log)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return backupFailed(path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return backupFailed(path, err)
	}
	return syncDir(filepath.Dir(path))
}

func (db *DB) isOwnFile(path string) (bool, error) {
	info, err := os.Stat(path)
	if err != nil {
		return false, nil
	}
	own, err := db.handle.file.Stat()
	if err != nil {
		return false, backupFailed(path, err)
	}
	return os.SameFile(info, own), nil
}

func backupFailed(path string, cause error) error {
	if e := ctxError(cause); e != nil {
		return e
	}
	code := protocol.Internal
	if isDiskFull(cause) {
		code = protocol.DiskFull
	}
	return &protocol.Error{
		Code:    code,
		Message: "The backup " + path + " was not made. The store itself is safe, and so is an older backup of this name. Make room or correct the path, then try again.",
		Err:     cause,
	}
}

func ctxError(err error) error {
	for _, e := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, e) {
			return err
		}
	}
	return nil
}

// patient is a file that stops taking bytes when ctx ends.
type patient struct {
	ctx context.Context
	f   *os.File
}

func (p *patient) Write(b []byte) (int, error) {
	if err := p.ctx.Err(); err != nil {
		return 0, err
	}
	return p.f.Write(b)
}
