// Replay feeds recorded trade through real processes and holds the hub to it.
//
// It starts a hub and one agent for each store of a file, makes members of the
// file's customers, enters every basket through the agents' HTTP interface, and meanwhile cuts lines and kills agents
// and hub with SIGKILL at random moments. When all agree again, it compares
// what the hub says was sold and is on hand, for each store and SKU, in units
// and money, and what points each member has, with totals that an independent pass
// adds up from the file. It exits with status 1 on any difference.
//
// With -orders it plays a wholesaler's file as trade in stores and online orders
// from the same shelves. Real processes come first: people buy in the stores,
// shoppers order through the hub and change their minds, clerks pick what is
// there, and lines are cut and processes killed. In the end every order has ended,
// and hub and agents hold what the shelves hold. Then it plays the trade as a
// model, without any process, once for each of several rules that say what an
// online shop may be promised while a store is silent, and compares what the rules
// come to.
//
// It reads the two formats of the real data that the project is tested with: a
// grocery chain's baskets and a wholesaler's invoices. Without a file it makes
// one up.
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
	"syscall"
	_ "time/tzdata" // The files' times are local to a zone that the machine may not know.
)

// options are the flags.
type options struct {
	data             string
	stores           int
	seed             uint64
	kills, cuts      int
	native, external bool
	generate         bool
	baskets          int
	quiet            bool
	race, keep       bool
	orders           bool
	rules, live      bool
	documents        int
	seeds            int
}

// files are the names under which a folder holds the two formats.
var files = []string{"grocery_transactions.csv.gz", "transactions.csv.gz"}

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
		fmt.Fprintln(complaints, "replay:", err)
		return 2
	}
	if err := replay(ctx, o, out); err != nil {
		fmt.Fprintln(complaints, "replay:", err)
		return 1
	}
	return 0
}

func parse(args []string, complaints io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("replay", flag.ContinueOnError)
	flags.SetOutput(complaints)
	flags.StringVar(&o.data, "data", "", "the `file` to replay, or a folder that holds both; none for made-up input")
	flags.IntVar(&o.stores, "stores", 40, "how many stores: the busiest of a grocery chain, or how many an invoice may go to")
	flags.Uint64Var(&o.seed, "seed", 1, "decides what is killed and cut and when, and made-up input")
	flags.IntVar(&o.kills, "kills", 200, "how many times a process is killed")
	flags.IntVar(&o.cuts, "cuts", 200, "how many times a line is cut")
	flags.BoolVar(&o.native, "native", false, "only the grocery file's second pass, as sales of our own tills")
	flags.BoolVar(&o.external, "external", false, "only the first pass, as sales of another system")
	flags.BoolVar(&o.generate, "generate", false, "make up a small grocery file and replay it")
	flags.IntVar(&o.baskets, "baskets", 600, "how many baskets to make up")
	flags.BoolVar(&o.quiet, "quiet", false, "show no progress")
	flags.BoolVar(&o.race, "race", false, "build the programs with the race detector")
	flags.BoolVar(&o.keep, "keep", false, "leave data and logs behind")
	flags.BoolVar(&o.orders, "orders", false, "play online orders instead: through real processes, then rules for what may be promised, in a model of the file's trade")
	flags.BoolVar(&o.rules, "rules", false, "of -orders only the comparison of rules")
	flags.BoolVar(&o.live, "live", false, "of -orders only the real processes")
	flags.IntVar(&o.documents, "documents", liveDocuments, "how many documents of the file are played through real processes with -orders; 0 for all")
	flags.IntVar(&o.seeds, "seeds", 10, "how many times the comparison is played")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	o.forOrders(flags)
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unexpected %q", flags.Arg(0))
	case o.generate && o.data != "":
		return o, errors.New("-generate and -data exclude each other")
	case o.native && o.external:
		return o, errors.New("-native and -external exclude each other")
	case o.rules && o.live:
		return o, errors.New("-rules and -live exclude each other")
	case o.documents < 0:
		return o, errors.New("-documents has to be at least 0")
	case o.seeds < 1:
		return o, errors.New("-seeds has to be at least 1")
	case o.stores < 1 || o.baskets < 1 || o.kills < 0 || o.cuts < 0:
		return o, errors.New("-stores and -baskets have to be at least 1, -kills and -cuts at least 0")
	}
	return o, nil
}

// forOrders puts the smaller defaults of -orders in the place of those that no
// flag has changed.
func (o *options) forOrders(flags *flag.FlagSet) {
	if !o.orders {
		return
	}
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for name, value := range map[string]struct {
		of *int
		to int
	}{"stores": {&o.stores, liveStores}, "kills": {&o.kills, liveKills}, "cuts": {&o.cuts, liveCuts}} {
		if !given[name] {
			*value.of = value.to
		}
	}
}

// replay replays each file in each way that applies to it.
func replay(ctx context.Context, o options, out io.Writer) error {
	if o.data == "" {
		return replayMadeUp(ctx, o, out)
	}
	paths := []string{o.data}
	info, err := os.Stat(o.data)
	if err != nil {
		return err
	}
	if info.IsDir() {
		paths = nil
		for _, name := range files {
			paths = append(paths, filepath.Join(o.data, name))
		}
	}
	var misses []error
	for _, path := range paths {
		var err error
		if o.orders {
			err = ordersOf(ctx, o, path, true, out)
			misses = append(misses, err)
		} else {
			err = replayFile(ctx, o, path, out)
		}
		if err != nil && (!o.orders || ctx.Err() != nil) {
			return fmt.Errorf("%s: %w", filepath.Base(path), err)
		}
	}
	return errors.Join(misses...)
}

// replayMadeUp makes up a file, replays it and removes it.
func replayMadeUp(ctx context.Context, o options, out io.Writer) error {
	dir, err := os.MkdirTemp("", "counterpart-replay-")
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "made-up.csv")
	if o.orders {
		err = generateInvoices(path, o.seed)
		if err == nil {
			fmt.Fprint(out, "made-up invoices, too few to judge by (-data compares the rules on a file)\n")
			err = ordersOf(ctx, o, path, false, out)
		}
		return errors.Join(err, os.RemoveAll(dir))
	}
	err = generate(path, o.seed, o.stores, o.baskets)
	if err == nil {
		fmt.Fprintf(out, "made-up input: %d baskets (-data replays a file)\n", o.baskets)
		err = replayFile(ctx, o, path, out)
	}
	return errors.Join(err, os.RemoveAll(dir))
}

// ordersOf plays online orders over one file: through real processes if it is a
// wholesaler's, and in the model. The second is done also where the first fails.
func ordersOf(ctx context.Context, o options, path string, judged bool, out io.Writer) error {
	var err error
	if !o.rules {
		err = runLive(ctx, o, path, out)
	}
	if !o.live && ctx.Err() == nil {
		err = errors.Join(err, studyFile(ctx, o, path, judged, out))
	}
	return err
}

// replayFile replays one file as sales of another system, and, if our own tills
// could have made its baskets, as theirs.
func replayFile(ctx context.Context, o options, path string, out io.Writer) error {
	in, err := readInput(path, o.stores)
	if err != nil {
		return err
	}
	ways := []bool{false, true}
	switch {
	case o.native && in.format != "grocery":
		return errors.New("only a grocery file can be replayed as sales of our own tills")
	case o.native:
		ways = ways[1:]
	case o.external || in.format != "grocery":
		ways = ways[:1]
	}
	for _, native := range ways {
		p := pass{options: o, path: path, native: native, out: out}
		if err := p.run(ctx); err != nil {
			return err
		}
	}
	return nil
}
