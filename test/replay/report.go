package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"counterpart/protocol"
)

const (
	// redrawEvery is how often the line of progress is drawn on a terminal, and
	// lineEvery how often one is printed anywhere else.
	redrawEvery = 250 * time.Millisecond
	lineEvery   = 5 * time.Second
)

// showProgress shows how far the run is until everything is fed.
func (p *pass) showProgress(ctx context.Context, r *result, fed <-chan struct{}) {
	if p.quiet {
		return
	}
	every, end := lineEvery, "\n"
	terminal := p.out == os.Stdout && isTerminal(os.Stdout)
	if terminal {
		every, end = redrawEvery, "\x1b[K\r"
	}
	start := time.Now()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			fmt.Fprintf(p.out, "%3.0f %%  %s of %s documents in %s, %d kills, %d cuts, %d refused%s", 100*r.feeder.progress(),
				grouped(r.feeder.done.Load()), grouped(r.feeder.total), time.Since(start).Round(time.Second),
				r.chaos.kills.Load(), r.chaos.cuts.Load(), r.feeder.refusedSoFar(), end)
		case <-fed:
			if terminal {
				fmt.Fprint(p.out, "\x1b[K")
			}
			return
		case <-ctx.Done():
			return
		}
	}
}

func (f *feeder) refusedSoFar() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.refused
}

func isTerminal(file *os.File) bool {
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// report prints the table, and fails if anything differs.
func (p *pass) report(in *input, r *result) error {
	file, hub := r.comparison.file, r.comparison.hub
	text := tabwriter.NewWriter(p.out, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(text, "\tin the file\tat the hub\tdifference\t")
	row := func(name string, want, got int64) {
		fmt.Fprintf(text, "%s\t%s\t%s\t%s\t\n", name, grouped(want), grouped(got), grouped(got-want))
	}
	row("baskets sold", file.sales, hub.sales)
	row("brought back", file.returns, hub.returns)
	row("adjustments", file.adjustments, hub.adjustments)
	row("lines", file.lines, hub.lines)
	units := func(name string, want, got protocol.Quantity) {
		fmt.Fprintf(text, "%s\t%s\t%s\t%s\t\n", name, quantity(want), quantity(got), quantity(got-want))
	}
	units("units sold", file.pieces, hub.pieces)
	units("units on hand", file.stock, hub.stock)
	fmt.Fprintf(text, "money, %s\t%s\t%s\t%s\t\n", in.currency, decimal(file.money), decimal(hub.money), decimal(hub.money-file.money))
	row("members", file.members, hub.members)
	row("points", file.points, hub.points)
	if err := text.Flush(); err != nil {
		return err
	}
	p.say("%d kill -9, %d of them of the hub, and %d cut lines; fed in %s, all processes and lines back after %s, converged %s later, agents caught up in another %s",
		r.chaos.kills.Load(), r.chaos.hubKills.Load(), r.chaos.cuts.Load(), r.fed.Round(time.Millisecond),
		max(r.fed, r.disturbed).Round(time.Millisecond), r.converged.Round(time.Millisecond), r.caughtUp.Round(time.Millisecond))
	for _, reason := range slices.Sorted(maps.Keys(r.skipped)) {
		p.say("not fed: %s %s", grouped(int64(r.skipped[reason])), reason)
	}
	for _, refusal := range r.feeder.refusals {
		p.say("refused: %s", refusal)
	}
	for _, difference := range r.comparison.shown {
		p.say("differs: %s", difference)
	}
	if n := r.comparison.differences + r.feeder.refused; n > 0 {
		return fmt.Errorf("%w in %d places", errDiffers, n)
	}
	p.say("The hub and the file agree for every store and SKU, in units and money, and for every member in points.")
	p.say("")
	return nil
}

// grouped writes a number with commas.
func grouped(n int64) string {
	text := strconv.FormatInt(max(n, -n), 10)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	if n < 0 {
		return "-" + text
	}
	return text
}

// quantity writes a quantity with commas.
func quantity(q protocol.Quantity) string {
	sign := ""
	if q < 0 {
		sign, q = "-", -q
	}
	_, fraction, _ := strings.Cut(q.String(), ".")
	if fraction != "" {
		fraction = "." + fraction
	}
	return sign + grouped(int64(q/piece)) + fraction
}

// decimal writes an amount of minor units with two decimals, as all currencies
// of the files have.
func decimal(minor int64) string {
	sign := ""
	if minor < 0 {
		sign, minor = "-", -minor
	}
	return fmt.Sprintf("%s%s.%02d", sign, grouped(minor/100), minor%100)
}
