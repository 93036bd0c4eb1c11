// Bench measures Counterpart's programs beside the floors of the machine that
// it runs on, in turns in one run, because a machine has moods and only a ratio
// within one run means something.
//
// W1 is a durable sale at one till and at eight, in process and over HTTP. W2 is
// the backlog of a shop when its line is back, W3 many agents that send at once,
// W4 a sale on its way to another agent of the shop. S is the start of an agent
// with a large catalogue, and what it takes when it has nothing to do. Orders are
// the placement of orders of one hot item and the lookup of an item in many
// stores, at a hub whose stores are connected. Members are the look-up of a member
// at an agent that holds many, and sales to members. Link is
// the latency of a sale while the hub cannot be reached in each of the ways in
// which that happens, beside the latency online: it has to be the same.
//
// Floors are built of the libraries that Counterpart stands on and of nothing
// else (package floor); docs/BENCHMARKS.md tells how. The result is printed as a
// table, and written as text, as JSON and as a chart.
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
	"slices"
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
	workloads string
	backlog   int // sales of the drain
	outage    time.Duration
	// longOutage is one after which everything that grows with time has grown.
	longOutage   time.Duration
	agents       int // of the herd
	siblingSales int // of each round
	profiles     string
	lookups      int // of the availability of an item
	orders       int // over HTTP
	idle         time.Duration
	warmSales    int
	children     bool
	benchTime    string
	dir          string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(command(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// command runs the program and returns its exit status.
func command(ctx context.Context, args []string, out, complaints io.Writer) int {
	if len(args) > 0 && args[0] == workerArg {
		return work(ctx, args[1:], os.Stdin, out, complaints)
	}
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
	flags.StringVar(&o.workloads, "workloads", strings.Join(workloads, ","), "what to measure")
	flags.IntVar(&o.backlog, "backlog", 100_000, "how many sales wait while the line is down (W2)")
	flags.DurationVar(&o.outage, "outage", time.Second, "how long a short outage is (W2)")
	flags.DurationVar(&o.longOutage, "long-outage", 40*time.Second, "how long a long outage is (W2)")
	flags.IntVar(&o.agents, "agents", 1_000, "how many agents send at once (W3)")
	flags.IntVar(&o.siblingSales, "sibling-sales", 500, "how many sales of a round go to a sibling (W4)")
	flags.IntVar(&o.lookups, "lookups", 2_000, "how many lookups of an item's availability there are in a round (orders)")
	flags.IntVar(&o.orders, "orders", 2_000, "how many orders are placed over HTTP in a round (orders)")
	flags.StringVar(&o.profiles, "profile", "", "the `folder` for CPU profiles of the programs; none if empty")
	flags.BoolVar(&o.children, "children", true, "run the Go benchmarks of the packages too")
	flags.StringVar(&o.benchTime, "benchtime", "1000x", "how long each Go benchmark runs, or how often")
	flags.StringVar(&o.dir, "out", "", "the `folder` for bench.txt, bench.json and bench.svg; none if empty")
	flags.DurationVar(&o.idle, "idle", 10*time.Second, "how long an agent is watched that has nothing to do (S)")
	flags.IntVar(&o.warmSales, "warm-sales", 1_000, "how many sales are made before memory is looked at (S)")
	quick := flags.Bool("quick", false, "measure everything small: the figures mean nothing, but all of them come out")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if *quick {
		o.shrink()
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected %q", flags.Arg(0))
	}
	if o.rounds < 1 || o.items < 100 || o.catalogue < 100 || o.sales < 1 || o.starts < 1 || o.pace <= 0 {
		return o, errors.New("-items and -catalogue have to be at least 100, every other number at least 1")
	}
	for workload := range strings.SplitSeq(o.workloads, ",") {
		if !slices.Contains(workloads, workload) {
			return o, fmt.Errorf("there is no workload %q, only %s", workload, strings.Join(workloads, ", "))
		}
	}
	return o, nil
}

// shrink makes everything small.
func (o *options) shrink() {
	o.rounds, o.items, o.catalogue, o.sales, o.starts, o.children = 1, 300, 300, 20, 1, false
	o.backlog, o.outage, o.longOutage, o.agents, o.siblingSales = 600, time.Second/10, time.Second/5, 20, 8
	o.idle, o.warmSales = time.Second/5, 20
	o.lookups, o.orders = 40, 80
}

// workloads are what can be measured, in the order of the report.
var workloads = []string{"w1", "w2", "w3", "w4", "s", "orders", "members", "link"}

// measures tells whether a workload is wanted.
func (o options) measures(workload string) bool {
	return slices.Contains(strings.Split(o.workloads, ","), workload)
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
	host, err := openHost(ctx, o, cancel)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, host.Close()) }()
	if o.profiles != "" {
		if err := os.MkdirAll(o.profiles, 0o755); err != nil {
			return err
		}
	}
	var parts []part
	if o.children && slices.ContainsFunc(packages, func(p benchmarked) bool { return o.measures(p.workload) }) {
		parts = append(parts, &children{options: o, host: host})
	}
	if o.measures("w1") || o.measures("link") {
		parts = append(parts, &counter{options: o, host: host})
	}
	if o.measures("w2") {
		parts = append(parts, &drain{options: o, host: host})
	}
	if o.measures("w3") {
		parts = append(parts, &herd{options: o, host: host})
	}
	if o.measures("w4") {
		parts = append(parts, &sibling{options: o, host: host})
	}
	if o.measures("s") {
		parts = append(parts, &starts{options: o, host: host})
	}
	if o.measures("orders") {
		parts = append(parts, &promises{options: o, host: host})
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

// openHost builds the programs, with the profiler if profiles are wanted.
func openHost(ctx context.Context, o options, crashed func(error)) (*process.Host, error) {
	settings := process.Options{Crashed: crashed}
	if o.profiles == "" {
		return process.Open(ctx, settings)
	}
	dir, err := os.MkdirTemp("", "counterpart-profile-")
	if err != nil {
		return nil, err
	}
	if settings.BuildFlags, err = overlay(dir); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := os.Setenv(socketsVariable, dir); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	host, err := process.Open(ctx, settings)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	host.Own(folder(dir))
	return host, nil
}

// A folder is removed when it is closed.
type folder string

func (f folder) Close() error { return os.RemoveAll(string(f)) }

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
		os.WriteFile(filepath.Join(dir, "bench.svg"), r.chart(), 0o644),
		os.WriteFile(filepath.Join(dir, "bench.json"), json, 0o644),
		os.WriteFile(filepath.Join(dir, "bench.txt"), []byte(r.text()), 0o644))
}
