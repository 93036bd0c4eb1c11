// Command counterpart-agent runs an in-store agent, as a service or by hand,
// and looks after its data.
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

	_ "time/tzdata" // store machines may have no time zones installed

	"counterpart/agent/service"
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

// commands is the command line. Every flag of run may also stand in the
// environment as COUNTERPART_AGENT_NAME and in the file that --config names;
// a flag goes before the environment and the environment before the file.
type commands struct {
	Run       runCommand     `cmd:"" help:"Run the agent until it is stopped."`
	Status    statusCommand  `cmd:"" help:"Show the status of a running agent."`
	Doctor    doctorCommand  `cmd:"" help:"Say in words what works now and what does not, and why."`
	Verify    verifyCommand  `cmd:"" help:"Check the database: every chain of events, and the state they give."`
	Backup    backupCommand  `cmd:"" help:"Copy the database of a stopped agent to a file."`
	Restore   restoreCommand `cmd:"" help:"Put a backup in the place of the database of a stopped agent."`
	Replace   replaceCommand `cmd:"" help:"Prepare an empty folder for a machine that stands in for a lost one, under its name."`
	Install   installCommand `cmd:"" help:"Install the agent as a service of this machine."`
	Uninstall serviceCommand `cmd:"" help:"Remove the service; the data stays."`
	Start     serviceCommand `cmd:"" help:"Start the service."`
	Stop      serviceCommand `cmd:"" help:"Stop the service."`
	Check     checkCommand   `cmd:"" name:"check-database" hidden:"" help:"Read every page of a database that nobody has open."`
	Version   versionCommand `cmd:"" help:"Show the version."`
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is main without the process around it.
func run(args []string, stdout, stderr io.Writer) int {
	var c commands
	exit := -1
	parser, err := newParser(&c, stdout, stderr, func(code int) { exit = code })
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitFailed
	}
	parsed, err := parser.Parse(args)
	if exit >= 0 {
		return exit
	}
	if err != nil {
		fmt.Fprintln(stderr, "counterpart-agent:", err)
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal kills
	level := slog.LevelInfo
	if c.Run.Debug {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
	parsed.BindTo(ctx, (*context.Context)(nil))
	parsed.BindTo(stdout, (*io.Writer)(nil))
	err = parsed.Run(log, service.Name(parsed.Command()))
	if err != nil {
		fmt.Fprintln(stderr, "counterpart-agent:", message(err))
	}
	return exitCode(err)
}

func newParser(c *commands, stdout, stderr io.Writer, exit func(int)) (*kong.Kong, error) {
	return kong.New(c, kong.Name("counterpart-agent"), kong.Description("Keeps a store selling while the cloud is away."),
		kong.Writers(stdout, stderr), kong.Exit(exit), kong.DefaultEnvars("COUNTERPART_AGENT"), listenVars())
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
		errors.Is(err, bolt.ErrUnwritable), errors.Is(err, bolt.ErrFull):
		return exitRefused
	}
	return exitFailed
}

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run(out io.Writer) error {
	_, err := fmt.Fprintf(out, "counterpart-agent %s protocol %d\n", version, protocol.Version)
	return err
}
