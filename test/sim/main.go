// Sim runs seeds of the simulator on all cores until one fails.
//
// A seed that fails is printed with its plan, as a line for testdata/seeds, and
// the exit status is 1. With -seed the story of one seed is told. A long run can
// be made in parts: each goes on with -from where the last one ended.
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
	seeds, from, cores uint64
	tell               int64
	mutants, on        bool
	mutant, root       string
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
		fmt.Fprintln(complaints, "sim:", err)
		return 2
	}
	switch {
	case o.tell >= 0:
		err = tell(uint64(o.tell), out)
	case o.mutants:
		err = mutants(ctx, o, out)
	default:
		err = seeds(ctx, o, out)
	}
	if err != nil {
		fmt.Fprintln(complaints, "sim:", err)
		return 1
	}
	return 0
}

func parse(args []string, complaints io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("sim", flag.ContinueOnError)
	flags.SetOutput(complaints)
	flags.Uint64Var(&o.seeds, "seeds", 20_000, "how many seeds are run, or tried for each mutant")
	flags.Uint64Var(&o.from, "from", 0, "the first seed")
	flags.BoolVar(&o.on, "on", false, "go on after a seed that fails, to find others")
	flags.Uint64Var(&o.cores, "cores", 0, "how many seeds run at the same time; 0 is one for each core")
	flags.Int64Var(&o.tell, "seed", -1, "run this seed alone and tell its story")
	flags.BoolVar(&o.mutants, "mutants", false, "run seeds against each mutant of the production code until one catches it")
	flags.StringVar(&o.mutant, "mutant", "", "with -mutants: only those whose name contains this")
	flags.StringVar(&o.root, "root", ".", "with -mutants: the root of the source tree")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unexpected %q", flags.Arg(0))
	case o.seeds < 1:
		return o, errors.New("-seeds has to be at least 1")
	}
	return o, nil
}
