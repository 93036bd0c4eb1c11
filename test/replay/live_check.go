package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"counterpart/protocol"
	"counterpart/test/fleet"
)

// A finding is what holding hub and agents against the shelves came to.
type finding struct {
	comparison
	exceptions map[string]int // open, by kind
	whole      int            // orders of which everything was collected
	part       int            // of which a part was
	none       int
	refunds    int // asked for
}

// expectedExceptions may be open after a run: a store sold what was promised, or
// a shopper was quicker than the cancellation.
var expectedExceptions = map[string]bool{"order_breached": true, "order_handed_over_after_cancel": true}

// check compares orders, stock and sales.
func (l *live) check(ctx context.Context) (*finding, error) {
	f := &finding{exceptions: map[string]int{}}
	for _, s := range l.shops {
		for _, fault := range s.faults {
			f.differ("%s", fault)
		}
		if err := s.check(ctx, l.fleet, f); err != nil {
			return f, err
		}
	}
	for _, o := range l.town.all() {
		var doc orderDocument
		if err := l.fleet.Hub.Get(ctx, "/v1/orders/"+o.id, &doc); err != nil {
			return f, err
		}
		f.order(o, &doc, l.hook.told(o.id, "order.refund_requested"))
	}
	placed, err := list[orderDocument](ctx, l.fleet.Hub.Client, "/v1/orders?limit=500")
	if err != nil {
		return f, err
	}
	if len(placed) != len(l.town.all()) {
		f.differ("the hub has %d orders, shoppers were promised %d", len(placed), len(l.town.all()))
	}
	open, err := list[struct{ Kind, Store, Detail string }](ctx, l.fleet.Hub.Client, "/v1/exceptions?state=open&limit=200")
	if err != nil {
		return f, err
	}
	for _, e := range open {
		if f.exceptions[e.Kind]++; !expectedExceptions[e.Kind] {
			f.differ("%s: exception %s: %s", e.Store, e.Kind, e.Detail)
		}
	}
	quarantined, err := l.fleet.Quarantined(ctx)
	for _, found := range quarantined {
		f.differ("%s", found)
	}
	return f, err
}

// order checks that an order has ended in one way, and that the hub knows what was
// handed over.
func (f *finding) order(o *order, doc *orderDocument, refunds int) {
	handed, picked := o.collected(), int64(0)
	for _, l := range doc.Lines {
		picked += int64(l.Picked / piece)
		if l.Picked != protocol.Quantity(o.handed[l.SKU])*piece {
			f.differ("order %s: the hub has %s of %q collected, the shopper %d", o.id, l.Picked, l.SKU, o.handed[l.SKU])
		}
	}
	if picked != handed {
		f.differ("order %s: the hub has %d pieces collected, the shopper %d", o.id, picked, handed)
	}
	canceled := doc.HubState == "canceled" || doc.HubState == "refunded"
	switch {
	case handed == 0 && !canceled:
		f.differ("order %s: nothing was collected, and it is %s and %s", o.id, doc.HubState, doc.storeState())
	case handed == 0:
		f.none++
	case o.missing():
		f.part++
	default:
		f.whole++
	}
	f.refunds += refunds
	switch {
	case (refunds > 0) != (o.paid && o.missing()):
		f.differ("order %s: %d refunds were asked for; it was paid: %v, something is missing: %v", o.id, refunds, o.paid, o.missing())
	case o.paid && handed == 0 && doc.HubState != "refunded":
		f.differ("order %s: it was paid and not collected, and it is %s", o.id, doc.HubState)
	}
}

// check compares a store's stock and sales.
func (s *shop) check(ctx context.Context, chain *fleet.Fleet, f *finding) error {
	id := s.machine.Store()
	levels, err := chain.Hub.Stock(ctx, id)
	if err != nil {
		return err
	}
	for _, sku := range keys(s.shelf, levels) {
		want := protocol.Quantity(s.shelf[sku]+s.unseen[sku]) * piece
		here, err := s.machine.Level(ctx, sku)
		if err != nil {
			return err
		}
		f.file.stock += want
		f.hub.stock += levels[sku].OnHand
		if there := levels[sku]; there.OnHand != want || here.OnHand != want {
			f.differ("%s: %q: %s on hand at the hub and %s at the agent, expected %s", id, sku, there.OnHand, here.OnHand, want)
		} else if there.Committed != 0 || there.Staged != 0 || here.Committed != 0 || here.Staged != 0 {
			f.differ("%s: %q: %s committed and %s staged at the hub, %s and %s at the agent, and nothing is open",
				id, sku, there.Committed, there.Staged, here.Committed, here.Staged)
		}
	}
	if len(s.staged) > 0 {
		f.differ("%s: %d orders are still staged", id, len(s.staged))
	}
	books, err := fleet.ReadBooks(ctx, chain.Hub, id, nil)
	if err != nil {
		return err
	}
	for _, fault := range books.Faults {
		f.differ("%s: %s", id, fault)
	}
	f.number(id, "sales", len(s.receipts), books.Documents["sale"])
	f.number(id, "returns and voids", 0, books.Documents["return"]+books.Documents["void"])
	money := int64(0)
	for _, sku := range keys(s.units, books.Units) {
		if want, got := protocol.Quantity(s.units[sku])*piece, books.Units[sku]; want != got {
			f.differ("%s: %s of %q sold, expected %s", id, got, sku, want)
		}
		if want, got := s.money[sku], books.Money[sku]; want != got {
			f.differ("%s: %d for %q, expected %d", id, got, sku, want)
		}
		money += s.money[sku]
		f.file.pieces += protocol.Quantity(s.units[sku]) * piece
		f.hub.pieces += books.Units[sku]
	}
	if books.Total != money {
		f.differ("%s: the documents come to %d, expected %d", id, books.Total, money)
	}
	f.file.sales, f.hub.sales = f.file.sales+int64(len(s.receipts)), f.hub.sales+int64(books.Documents["sale"])
	f.file.money, f.hub.money = f.file.money+money, f.hub.money+books.Total
	return nil
}

// report prints the tables, and fails if anything differs.
func (l *live) report(f *finding) error {
	var all shopTally
	for _, s := range l.shops {
		all.add(s.tally)
	}
	t, told := l.town.tally, l.hook.words
	retries := l.fleet.Hub.Retries()
	for _, s := range l.shops {
		retries += s.machine.Retries()
	}
	text := tabwriter.NewWriter(l.out, 0, 0, 3, ' ', tabwriter.AlignRight)
	row := func(name string, n int64) { fmt.Fprintf(text, "%s\t%s\t\n", name, grouped(n)) }
	row("orders placed", int64(t.placed))
	row("to a store that the hub chose", int64(t.sourced))
	row("refused, too little promisable", int64(t.short))
	row("ordered again, what there was", int64(t.again))
	row("pieces asked for", t.piecesAsked)
	row("pieces promised", t.piecesPromised)
	row("collected whole", int64(f.whole))
	row("collected in part", int64(f.part))
	row("not collected", int64(f.none))
	row("parts handed over", int64(all.handed))
	row("picks that were short", int64(all.short))
	row("of them overlooked on the shelf", int64(all.overlooked))
	row("pieces promised and not found", all.shortfallPieces)
	row("rejected by a store", int64(all.rejected))
	row("canceled by the shopper", int64(t.canceled))
	row("canceled too late", int64(t.cancelTooLate))
	row("put back after a pick", int64(all.putBack))
	row("picks undone", int64(all.undone))
	row("acts that the hub was quicker than", int64(all.tooLate))
	row("breached, a store sold promised goods", int64(told["order.breached"]))
	row("withdrawn from a store", int64(told["order.withdrawn"]))
	row("rerouted to another store", int64(told["order.rerouted"]))
	row("no store could keep it", int64(told["order.unplaced"]))
	row("refunds asked for", int64(f.refunds))
	for _, kind := range slices.Sorted(maps.Keys(f.exceptions)) {
		row("exceptions "+kind, int64(f.exceptions[kind]))
	}
	row("sales at the tills", int64(all.sales))
	row("of them warned of promises", int64(all.warned))
	row("lines that walk-in shoppers missed", int64(all.missed))
	row("requests sent again", retries)
	if err := text.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(l.out, "units sold %s of %s, on hand %s of %s, money %s of %s; %d kill -9, %d of them of the hub, %d cut lines; %s in all\n",
		quantity(f.hub.pieces), quantity(f.file.pieces), quantity(f.hub.stock), quantity(f.file.stock), decimal(f.hub.money), decimal(f.file.money),
		l.chaos.kills.Load(), l.chaos.hubKills.Load(), l.chaos.cuts.Load(), l.took.Round(time.Millisecond))
	for _, difference := range f.shown {
		fmt.Fprintln(l.out, "differs:", difference)
	}
	if f.differences > 0 {
		return fmt.Errorf("%w in %d places", errShelves, f.differences)
	}
	fmt.Fprint(l.out, "Hub, agents and shelves agree for every order, store and SKU.\n\n")
	return nil
}

// add adds up what happened in the stores.
func (t *shopTally) add(o shopTally) {
	t.sales, t.missed, t.warned = t.sales+o.sales, t.missed+o.missed, t.warned+o.warned
	t.handed, t.short, t.overlooked = t.handed+o.handed, t.short+o.short, t.overlooked+o.overlooked
	t.rejected, t.putBack, t.undone = t.rejected+o.rejected, t.putBack+o.putBack, t.undone+o.undone
	t.tooLate, t.shortfallPieces = t.tooLate+o.tooLate, t.shortfallPieces+o.shortfallPieces
}

// showLive prints a line of progress now and then.
func (l *live) showLive(ctx context.Context) {
	if l.quiet {
		return
	}
	start := time.Now()
	ticker := time.NewTicker(lineEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			fmt.Fprintf(l.out, "%3.0f %%  %s of %s documents in %s, %d kills, %d cuts\n", 100*l.progress(), grouped(l.done.Load()), grouped(l.total),
				time.Since(start).Round(time.Second), l.chaos.kills.Load(), l.chaos.cuts.Load())
		case <-ctx.Done():
			return
		}
	}
}
