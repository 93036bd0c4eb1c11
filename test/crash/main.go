// Crash records what a real agent writes to its disk while it works, and checks
// what a power cut at any moment of it could have left behind.
//
// A power cut may lose whatever was not synced, in any order, and tear a write
// at 512 bytes. So between two syncs each selection of the writes that are not
// yet durable is a state that a disk may be in: a prefix, a reordering, or a
// torn one. Of each state the program makes a real file, opens it as an agent
// does, and wants it to hold exactly what the agent had before the change that
// was under way or what it had after it, with every event in it whose number
// anybody had been told. It exits with status 1 on any other state.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"counterpart/test/process"
)

const (
	// workerEnv tells the program that it is a worker, and workerFailed is the
	// exit status of one that cannot go on but was not ended by a state.
	workerEnv    = "COUNTERPART_CRASH_WORKER"
	workerFailed = 3
	// showEvery is how often progress is printed.
	showEvery = 5 * time.Second
	// recordingScale is how much is sold in a recording.
	recordingScale = 80
)

// options are the flags.
type options struct {
	states, workers       int
	seed                  uint64
	quiet                 bool
	recording, saveTo     string
	verifyOneIn, programs int
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(command(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// command runs the program, or a worker, and returns its exit status.
func command(ctx context.Context, args []string, in io.Reader, out, complaints io.Writer) int {
	if os.Getenv(workerEnv) != "" {
		if err := work(ctx, in, out); err != nil {
			fmt.Fprintln(complaints, err)
			return workerFailed
		}
		return 0
	}
	o, err := parse(args, complaints)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(complaints, "crash:", err)
		return 2
	}
	if err := run(ctx, o, out); err != nil {
		fmt.Fprintln(complaints, "crash:", err)
		return 1
	}
	return 0
}

func parse(args []string, complaints io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("crash", flag.ContinueOnError)
	flags.SetOutput(complaints)
	flags.IntVar(&o.states, "states", 250_000, "how many states are checked, at least")
	flags.IntVar(&o.workers, "workers", runtime.GOMAXPROCS(0), "how many processes check states at the same time")
	flags.Uint64Var(&o.seed, "seed", 1, "decides which reorderings and torn writes are tried")
	flags.BoolVar(&o.quiet, "quiet", false, "show no progress")
	flags.StringVar(&o.recording, "recording", "", "check this file, which -save wrote, instead of recording anew")
	flags.StringVar(&o.saveTo, "save", "", "keep the recording in this file")
	flags.IntVar(&o.verifyOneIn, "verify", 200, "how many states there are to one whose log is replayed and which is written to")
	flags.IntVar(&o.programs, "program", 2_500, "how many states there are to one that the agent's own program checks")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unexpected %q", flags.Arg(0))
	case o.states < 1 || o.workers < 1 || o.verifyOneIn < 1 || o.programs < 1:
		return o, errors.New("-states, -workers, -verify and -program have to be at least 1")
	}
	return o, nil
}

// run records, checks and prints.
func run(ctx context.Context, o options, out io.Writer) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	self, err := os.Executable()
	if err != nil {
		return err
	}
	host, err := process.Open(ctx, process.Options{Crashed: func(err error) { cancel(err) }})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, host.Close()) }()
	rec, err := obtain(ctx, host, o)
	if err != nil {
		return err
	}
	p := &plan{
		recording: rec, states: o.states, seed: o.seed, workers: o.workers, program: host.Agent(),
		verifyOneIn: o.verifyOneIn, programOneIn: o.programs, self: []string{self},
	}
	if shown := time.Now(); !o.quiet {
		p.shown = func(done int) {
			if time.Since(shown) > showEvery {
				shown = time.Now()
				fmt.Fprintf(out, "%d of %d states\n", done, o.states)
			}
		}
	}
	r, err := p.run(ctx)
	if err != nil {
		return err
	}
	r.table(out, rec, o.seed)
	fmt.Fprintln(out, powerCuts())
	for _, report := range r.Reports[:min(len(r.Reports), 20)] {
		fmt.Fprintln(out, "bad:", report)
	}
	switch {
	case r.Bad > 0:
		return fmt.Errorf("%d of %d states are bad", r.Bad, r.total())
	case r.total() < o.states:
		return fmt.Errorf("the recording has only %d of %d states", r.total(), o.states)
	}
	return nil
}

// obtain records, or reads what was recorded before.
func obtain(ctx context.Context, host *process.Host, o options) (*recording, error) {
	if o.recording != "" {
		return loadRecording(o.recording)
	}
	rec, err := record(ctx, host, recordingScale)
	if err == nil && o.saveTo != "" {
		err = rec.save(o.saveTo)
	}
	return rec, err
}
