// Kill ends a selling agent and its hub with SIGKILL, over and over, at random
// moments, and checks each time that nothing was lost and nothing was doubled.
//
// Several tills post sales at the same time, each with an Idempotency-Key that
// it repeats until it is answered. After every kill of an agent its data is
// verified on disk before it starts again; afterwards keys that were answered
// before are sent again and have to get the very same bytes. In the end every
// sale that was confirmed is at the hub exactly once, and no receipt number is
// missing or doubled. It exits with status 1 on any fault.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// options are the flags.
type options struct {
	rounds, batch, tills int
	seed                 uint64
	quiet, race, keep    bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(command(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// command runs the program and returns its exit status.
func command(ctx context.Context, args []string, out, complaints io.Writer) int {
	o, err := parse(args, complaints)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(complaints, "kill:", err)
		return 2
	}
	if err := run(ctx, o, out); err != nil {
		fmt.Fprintln(complaints, "kill:", err)
		return 1
	}
	return 0
}

func parse(args []string, complaints io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("kill", flag.ContinueOnError)
	flags.SetOutput(complaints)
	flags.IntVar(&o.rounds, "rounds", 1_000, "how many times something is killed")
	flags.IntVar(&o.batch, "batch", 50, "after how many rounds everything is compared and a new chain begins")
	flags.IntVar(&o.tills, "tills", 4, "how many tills sell at the same time")
	flags.Uint64Var(&o.seed, "seed", 1, "decides what is killed and when")
	flags.BoolVar(&o.quiet, "quiet", false, "show no progress")
	flags.BoolVar(&o.race, "race", false, "build the programs with the race detector")
	flags.BoolVar(&o.keep, "keep", false, "leave data and logs behind")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unexpected %q", flags.Arg(0))
	case o.rounds < 1 || o.batch < 1 || o.tills < 1:
		return o, errors.New("-rounds, -batch and -tills have to be at least 1")
	}
	return o, nil
}
