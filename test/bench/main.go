// Bench measures Counterpart's programs beside the floors of the machine that
// it runs on, in turns in one run, because a machine has moods and only a ratio
// within one run means something.
//
// W1 is a durable sale, in process (the benchmarks of agent/till beside bare
// bbolt in protocol/ledger/bolt) and over the agent's HTTP interface. S is the
// start of an agent with a large catalogue until it answers its first lookup.
// Link is the latency of a sale while the hub cannot be reached in each of the
// ways in which that happens, beside the latency online: it has to be the same.
//
// The result is printed as a table, and written as text and JSON.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"counterpart/test/process"
)

// options are the flags.
type options struct {
	rounds    int
	items     int // of the chain that sells
	catalogue int // of the agent that is started
	sales     int // of each measurement over HTTP
	pace      time.Duration
	starts    int // of each round
	parts     string
	children  bool
	benchTime time.Duration
	dir       string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(command(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// command runs the program and returns its exit status.
func command(ctx context.Context, args []string, out, complaints io.Writer) int {
	o, err := parse(args, complaints)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(complaints, "bench:", err)
		return 2
	}
	if err := run(ctx, o, out, complaints); err != nil {
		fmt.Fprintln(complaints, "bench:", err)
		return 1
	}
	return 0
}

func parse(args []string, complaints io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(complaints)
	flags.IntVar(&o.rounds, "rounds", 3, "how many rounds; everything is measured once in each")
	flags.IntVar(&o.items, "items", 50_000, "how many items the chain sells (W1, link)")
	flags.IntVar(&o.catalogue, "catalogue", 200_000, "how many items the agent knows that is started (S)")
	flags.IntVar(&o.sales, "sales", 300, "how many sales each condition of the line gets; W1 gets ten times as many")
	flags.DurationVar(&o.pace, "pace", 10*time.Millisecond, "the time between two sales while the line is measured")
	flags.IntVar(&o.starts, "starts", 5, "how many starts there are in a round")
	flags.StringVar(&o.parts, "parts", "w1,s,link", "what to measure")
	flags.BoolVar(&o.children, "children", true, "run the Go benchmarks of the packages too")
	flags.DurationVar(&o.benchTime, "benchtime", time.Second, "how long each Go benchmark runs")
	flags.StringVar(&o.dir, "out", ".run", "the `folder` for bench.txt and bench.json; none if empty")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected %q", flags.Arg(0))
	}
	if o.rounds < 1 || o.items < 100 || o.catalogue < 100 || o.sales < 1 || o.starts < 1 || o.pace <= 0 {
		return o, errors.New("-items and -catalogue have to be at least 100, every other number at least 1")
	}
	for part := range strings.SplitSeq(o.parts, ",") {
		if part != "w1" && part != "s" && part != "link" {
			return o, fmt.Errorf("there is no part %q, only w1, s and link", part)
		}
	}
	return o, nil
}

// measures tells whether a part is wanted.
func (o options) measures(part string) bool {
	for wanted := range strings.SplitSeq(o.parts, ",") {
		if wanted == part {
			return true
		}
	}
	return false
}

// A part measures one thing, once in each round.
type part interface {
	open(context.Context) error
	round(context.Context, *record) error
}

// run measures and reports.
func run(ctx context.Context, o options, out, progress io.Writer) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	host, err := process.Open(ctx, process.Options{Crashed: func(err error) { cancel(err) }})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, host.Close()) }()
	var parts []part
	if o.children && (o.measures("w1") || o.measures("s")) {
		parts = append(parts, &children{options: o, host: host})
	}
	if o.measures("w1") || o.measures("link") {
		parts = append(parts, &counter{options: o, host: host})
	}
	if o.measures("s") {
		parts = append(parts, &starts{options: o, host: host})
	}
	for _, p := range parts {
		if err := p.open(ctx); err != nil {
			return err
		}
	}
	r := &record{}
	for i := range o.rounds {
		fmt.Fprintf(progress, "round %d of %d\n", i+1, o.rounds)
		r.begin()
		for _, p := range parts {
			if err := p.round(ctx, r); err != nil {
				return err
			}
		}
	}
	report := newReport(o, r)
	if _, err := io.WriteString(out, report.text()); err != nil {
		return err
	}
	return report.write(o.dir)
}

// write writes the report into a folder below the project's root.
func (r *report) write(dir string) error {
	if dir == "" {
		return nil
	}
	if !filepath.IsAbs(dir) {
		root, err := process.Root()
		if err != nil {
			return err
		}
		dir = filepath.Join(root, dir)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	json, err := r.json()
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "bench.json"), json, 0o644),
		os.WriteFile(filepath.Join(dir, "bench.txt"), []byte(r.text()), 0o644))
}
