// Chain runs a small chain of shops on this machine: a hub, and three stores
// with four agents, as real processes. It fills them with made-up items and
// stock, lets scripted tills sell, and after a while cuts one store's line to
// the hub for a minute. The terminal shows where the pages are and how the
// stores do. When the line is back, it compares what the hub knows with what
// the tills did, to the unit and the penny. It runs until Ctrl-C.
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
	"time"
)

// options are the flags.
type options struct {
	items            int
	seed             uint64
	sellEvery        time.Duration
	cutAfter, cutFor time.Duration
	duration         time.Duration
	race, keep       bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // A second Ctrl-C does not wait for anybody.
	os.Exit(command(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// command runs the program and returns its exit status.
func command(ctx context.Context, args []string, out, complaints io.Writer) int {
	o, err := parse(args, complaints)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(complaints, "chain:", err)
		return 2
	}
	if err := run(ctx, o, newBoard(out)); err != nil {
		fmt.Fprintln(complaints, "chain:", err)
		return 1
	}
	return 0
}

func parse(args []string, complaints io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("chain", flag.ContinueOnError)
	flags.SetOutput(complaints)
	flags.IntVar(&o.items, "items", 20_000, "how many items the chain sells")
	flags.Uint64Var(&o.seed, "seed", 1, "decides items, baskets and prices")
	flags.DurationVar(&o.sellEvery, "sell-every", 300*time.Millisecond, "the time between two sales of a till, more or less")
	flags.DurationVar(&o.cutAfter, "cut-after", 20*time.Second, "when one store's line is cut")
	flags.DurationVar(&o.cutFor, "cut-for", time.Minute, "for how long the line is cut")
	flags.DurationVar(&o.duration, "duration", 0, "how long to run once the line is back; 0 runs until Ctrl-C")
	flags.BoolVar(&o.race, "race", false, "build the programs with the race detector")
	flags.BoolVar(&o.keep, "keep", false, "leave data and logs behind")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unexpected %q", flags.Arg(0))
	case o.items < itemsMin:
		return o, fmt.Errorf("-items has to be at least %d", itemsMin)
	case o.sellEvery <= 0 || o.cutAfter < 0 || o.cutFor < 0 || o.duration < 0:
		return o, errors.New("a time has to be above 0")
	}
	return o, nil
}
