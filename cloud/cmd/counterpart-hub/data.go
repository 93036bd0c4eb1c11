package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"counterpart/cloud"
	"counterpart/protocol/ledger"
	"counterpart/protocol/ledger/bolt"
)

// dataFlag names the folder of a hub that is not running.
type dataFlag struct {
	Data   string `help:"Folder of the hub's database (default: the one that --config names)." placeholder:"DIR"`
	Config string `help:"The hub's configuration file." placeholder:"FILE"`
}

func (f dataFlag) open(log *slog.Logger) (*bolt.DB, error) {
	folder := f.Data
	if folder == "" && f.Config != "" {
		var cfg cloud.Config
		if err := readConfig(f.Config, &cfg); err != nil {
			return nil, errors.Join(errUsage, err)
		}
		folder = cfg.Data
	}
	if folder == "" {
		return nil, errors.Join(errUsage, errors.New("say where the hub keeps its data: --data DIR, COUNTERPART_HUB_DATA, or a --config FILE that names it"))
	}
	path := cloud.DatabasePath(folder)
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("there is no hub's database in %s: %w", folder, err)
	}
	return bolt.Open(path, bolt.Options{Kind: "hub", Log: log})
}

type verifyCommand struct{ dataFlag }

// Run checks the file's pages, every chain of events, and the state.
func (c *verifyCommand) Run(ctx context.Context, out io.Writer, log *slog.Logger) (err error) {
	db, err := c.open(log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.Check(ctx); err != nil {
		return err
	}
	var rep *ledger.Report
	if err := db.View(ctx, func(r ledger.Reader) (err error) {
		rep, err = ledger.Verify(r)
		return err
	}); err != nil {
		return err
	}
	fmt.Fprintf(out, "streams %d, events %d, rows %d, differences %d\n", rep.Streams, rep.Events, rep.Rows, rep.Different)
	for _, d := range rep.Differences {
		fmt.Fprintln(out, "difference:", d)
	}
	if !rep.OK() {
		return fmt.Errorf("the database differs from its own events in %d places. Nothing was changed. Keep a copy of the folder and call support", rep.Different)
	}
	return nil
}

type backupCommand struct {
	dataFlag
	File string `arg:"" help:"The file to write."`
}

// Run copies the database.
func (c *backupCommand) Run(ctx context.Context, out io.Writer, log *slog.Logger) (err error) {
	db, err := c.open(log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.Backup(ctx, c.File); err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, "written", c.File)
	return err
}
