package bolt

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"counterpart/protocol/ledger"
)

// The files of a key ring.
const (
	keysFile = "keys.db"
	// saltFile holds the random part of the wrap key.
	saltFile = "keys.salt"
	// saltBytes is its length; a shorter file is none.
	saltBytes = 32
)

// KeysOptions say where a key ring is kept, and whose it is.
type KeysOptions struct {
	// Dir is the folder of the two files.
	Dir string
	// MachineID is what the machine is known by, so that a copy of the folder
	// stays locked on another one. Where it is empty the ring opens wherever both
	// files are.
	MachineID string
	// CheckUnclean is that of Options.
	CheckUnclean func(path string) error
	// Log is that of Options.
	Log *slog.Logger
}

// Keys is a key ring in its two files.
type Keys struct {
	*ledger.KeyRing
	db *DB
}

// OpenKeys opens the key ring of a folder, and makes what is missing of its
// files. A ring whose salt is missing, or another one, is locked.
func OpenKeys(ctx context.Context, o KeysOptions) (*Keys, error) {
	db, err := Open(filepath.Join(o.Dir, keysFile), Options{Kind: "keys", CheckUnclean: o.CheckUnclean, Log: o.Log})
	if err != nil {
		return nil, err
	}
	// The database is locked, so no other process makes a salt meanwhile.
	salt, err := readSalt(filepath.Join(o.Dir, saltFile))
	var ring *ledger.KeyRing
	if err == nil {
		ring, err = ledger.OpenKeyRing(ctx, db, ledger.MachineWrapKey([]byte(o.MachineID), salt), random)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &Keys{ring, db}, nil
}

// Failed is that of DB.
func (k *Keys) Failed() <-chan struct{} { return k.db.Failed() }

// Close waits for running calls and releases the files.
func (k *Keys) Close() error { return k.db.Close() }

func random(b []byte) {
	if _, err := rand.Read(b); err != nil {
		panic(err) // crypto/rand does not fail on supported systems
	}
}

// readSalt reads the salt, and makes it where there is none. It has its name
// when it is complete and on the disk.
func readSalt(path string) ([]byte, error) {
	salt, err := os.ReadFile(path)
	if err == nil && len(salt) >= saltBytes {
		return salt, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, unopened(path, err)
	}
	salt = make([]byte, saltBytes)
	random(salt)
	if err := writeSalt(path, salt); err != nil {
		return nil, unopened(path, err)
	}
	return salt, nil
}

func writeSalt(path string, salt []byte) error {
	if err := removeLeftovers(path); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+newSuffix+"*") // of mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.Write(salt)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}
