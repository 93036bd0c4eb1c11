package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"counterpart/agent"
	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/ledger/bolt"
)

// dataFlag names the folder of an agent that is not running.
type dataFlag struct {
	Data string `help:"Folder of the agent's database." placeholder:"DIR" required:""`
}

func (f dataFlag) open(log *slog.Logger) (*bolt.DB, error) {
	path := agent.DatabasePath(f.Data)
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("there is no agent's database in %s: %w", f.Data, err)
	}
	return bolt.Open(path, bolt.Options{Kind: "agent", Log: log})
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
	if err := ledger.Standing(db).View(ctx, func(r ledger.Reader) (err error) {
		rep, err = ledger.Verify(r)
		return err
	}); err != nil {
		return err
	}
	fmt.Fprintf(out, "streams %d, events %d, rows %d, differences %d\n", rep.Streams, rep.Events, rep.Rows, rep.Different)
	if rep.Trimmed > 0 {
		fmt.Fprintf(out, "%d streams no longer hold their first events; their chains were checked, their state could not be replayed\n", rep.Trimmed)
	}
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

// checkCommand is run by this program itself, before it opens a database after
// a stop that was not in order: a damaged file can end the process that reads
// it.
type checkCommand struct {
	File string `arg:"" help:"The database."`
}

// Run reads every page. It says what it found, not what to do: its caller does.
func (c *checkCommand) Run(log *slog.Logger) error {
	err := bolt.CheckFile(c.File, log)
	var e *protocol.Error
	if errors.As(err, &e) && e.Err != nil {
		return e.Err
	}
	return err
}

// checker is the command line that checks a database, without the file.
func checker(log *slog.Logger) []string {
	program, err := os.Executable()
	if err != nil {
		log.Warn("the database is not checked after an unclean stop, because this program does not know where it is", "error", err)
		return nil
	}
	return []string{program, "check-database"}
}
