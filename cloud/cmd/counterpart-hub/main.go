// Command counterpart-hub runs a chain's hub and loads its data.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	_ "time/tzdata" // servers may have no time zones installed

	"counterpart/cloud"
	"counterpart/protocol"
	"counterpart/protocol/ledger/bolt"

	"github.com/alecthomas/kong"
)

// version is set by the linker.
var version = "1.0.0"

// Exit codes, which scripts may rely on.
const (
	exitDone    = 0
	exitFailed  = 1
	exitUsage   = 2
	exitRefused = 3 // did not start: bad data, locked, wrong version, no room, read-only
)

// commands is the command line. Every flag of serve may also stand in the
// environment as COUNTERPART_HUB_NAME and in the file that --config names; a
// flag goes before the environment and the environment before the file.
type commands struct {
	Serve   serveCommand   `cmd:"" help:"Run the hub until it is stopped."`
	Import  importCommand  `cmd:"" help:"Load a CSV or NDJSON file into a running hub."`
	Verify  verifyCommand  `cmd:"" help:"Check the database of a stopped hub: every chain of events, and the state they give."`
	Backup  backupCommand  `cmd:"" help:"Copy the hub's database to a file."`
	Restore restoreCommand `cmd:"" help:"Bring the database of a stopped hub back from a backup and its second copy."`
	Check   checkCommand   `cmd:"" name:"check-database" hidden:"" help:"Read every page of a database that nobody has open."`
	Version versionCommand `cmd:"" help:"Show the version."`
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is main without the process around it.
func run(args []string, stdout, stderr io.Writer) int {
	var c commands
	exit := -1
	d := cloud.Defaults()
	parser, err := kong.New(&c, kong.Name("counterpart-hub"), kong.Description("Receives what stores do and keeps online and in-store shopping consistent."),
		kong.Writers(stdout, stderr), kong.Exit(func(code int) { exit = code }), kong.DefaultEnvars("COUNTERPART_HUB"),
		kong.Vars{"listen": d.Listen, "mqtt": d.MQTT, "currency": d.Currency})
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitFailed
	}
	parsed, err := parser.Parse(args)
	if exit >= 0 {
		return exit
	}
	if err != nil {
		fmt.Fprintln(stderr, "counterpart-hub:", err)
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal kills
	level := slog.LevelInfo
	if c.Serve.Debug {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
	parsed.BindTo(ctx, (*context.Context)(nil))
	parsed.BindTo(stdout, (*io.Writer)(nil))
	err = parsed.Run(log)
	if err != nil {
		fmt.Fprintln(stderr, "counterpart-hub:", message(err))
	}
	return exitCode(err)
}

// message is what a person reads; causes stand in the log.
func message(err error) string {
	var e *protocol.Error
	if errors.As(err, &e) {
		return e.Message
	}
	return err.Error()
}

// errUsage marks what was wrong with the command line or configuration.
var errUsage = errors.New("usage")

func exitCode(err error) int {
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errUsage):
		return exitUsage
	case errors.Is(err, bolt.ErrLocked), errors.Is(err, bolt.ErrCorrupt), errors.Is(err, bolt.ErrForeign), errors.Is(err, bolt.ErrNewer),
		errors.Is(err, bolt.ErrUnwritable), errors.Is(err, bolt.ErrFull), errors.Is(err, cloud.ErrRefused):
		return exitRefused
	}
	return exitFailed
}

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run(out io.Writer) error {
	_, err := fmt.Fprintf(out, "counterpart-hub %s protocol %d\n", version, protocol.Version)
	return err
}
