package agent

import (
	"context"
	"errors"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/ledger/bolt"
)

// database is the agent's file with the rows of its store as they are live: all
// access to rows goes through it.
type database struct {
	*bolt.DB
	rows ledger.Driver
	keys *bolt.Keys // nil: there was no room for the file
}

func newDatabase(db *bolt.DB) *database { return &database{DB: db, rows: ledger.Standing(db)} }

// Close waits for running calls and releases the files.
func (d *database) Close() error {
	if d.keys == nil {
		return d.DB.Close()
	}
	return errors.Join(d.keys.Close(), d.DB.Close())
}

// keysFailed is closed when the disk refused a commit of keys.
func (d *database) keysFailed() <-chan struct{} {
	if d.keys == nil {
		return nil
	}
	return d.keys.Failed()
}

// Update is that of ledger.Driver.
func (d *database) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	return d.rows.Update(ctx, fn)
}

// View is that of ledger.Driver.
func (d *database) View(ctx context.Context, fn func(ledger.Reader) error) error {
	return d.rows.View(ctx, fn)
}

// selling is the database as the tills use it: a change for which there is no
// room takes the reserve. What is refused then was not recorded, and is refused
// in so many words (I19).
type selling struct {
	*database
	disk *disk
}

// Update is that of ledger.Driver.
func (s selling) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	late := s.disk.late.Load()
	if late != nil {
		now := fn
		fn = func(tx ledger.Tx) error {
			if err := (*late)(tx); err != nil {
				return err
			}
			return now(tx)
		}
	}
	err := s.database.Update(ctx, fn)
	if protocol.CodeOf(err) == protocol.DiskFull {
		s.disk.noRoom(true)
		if err = s.database.Update(ctx, fn); protocol.CodeOf(err) == protocol.DiskFull {
			s.disk.noSale(true)
		}
	}
	if err == nil && late != nil {
		s.disk.late.CompareAndSwap(late, nil)
	}
	if err == nil && s.disk.stage() == stageFull {
		s.disk.noSale(false)
	}
	return err
}

// following is the database as the way down uses it, which leaves the reserve
// to the tills.
type following struct {
	*database
	disk *disk
}

// Update is that of ledger.Driver.
func (f following) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	err := f.database.Update(ctx, fn)
	if protocol.CodeOf(err) == protocol.DiskFull {
		f.disk.noRoom(false)
	}
	return err
}
