package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"counterpart/test/process"
)

// showEvery is how often progress is printed.
const showEvery = 5 * time.Second

// run runs all rounds, in batches that each begin with a new chain, so that
// verifying the data stays quick.
func run(ctx context.Context, o options, out io.Writer) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	host, err := process.Open(ctx, process.Options{Race: o.race, Keep: o.keep, Crashed: func(err error) { cancel(err) }})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, host.Finish(out)) }()
	var done tally
	start, shown := time.Now(), time.Now()
	show := func() {
		if !o.quiet && time.Since(shown) > showEvery {
			shown = time.Now()
			fmt.Fprintf(out, "round %d of %d, %s\n", done.rounds, o.rounds, time.Since(start).Round(time.Second))
		}
	}
	for n := 1; done.rounds < o.rounds; n++ {
		b, err := newBatch(ctx, host, o, n, &done)
		if err != nil {
			return err
		}
		if err := b.run(ctx, min(o.batch, o.rounds-done.rounds), show); err != nil {
			return fmt.Errorf("seed %d, round %d, chain %d: %w", o.seed, done.rounds+1, n, err)
		}
	}
	took := time.Since(start)
	fmt.Fprintf(out, "%d rounds in %s (%s each): %d kill -9 of the agent, %d of the hub, %d sales confirmed, %d sent again, %d verifications\n",
		done.rounds, took.Round(time.Second), (took / time.Duration(done.rounds)).Round(time.Millisecond),
		done.agentKills, done.hubKills, done.sales, done.repeats, done.verifies)
	fmt.Fprintln(out, "Every confirmed sale is at the hub exactly once, and no receipt number is missing or doubled.")
	return nil
}
