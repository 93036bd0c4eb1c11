package hub

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/stock"
)

// What walks in and buys is counted per store and item, so that of a store that
// is silent no more is promised than it will probably still have. It is an
// estimate and nothing else depends on it: what was sold is gathered in memory
// when it is committed and written down now and then, and a crash may lose that.

const (
	noteDemand      = "demand"       // by store and item
	notePool        = "demand-pool"  // by store and category
	noteDemandClock = "demand-clock" // by store
	noteSilences    = "silences"
	// demandSaveEvery is how often what was sold is written down.
	demandSaveEvery = 30 * time.Second
	// demandItemsMax bounds the items of one transaction that writes it down.
	demandItemsMax = 1000
	// silencesWaitingMax bounds the silences whose opening time is yet to be
	// looked up; more than that end only when the hub itself was away.
	silencesWaitingMax = 10_000
	// silenceShort is what counts as it is, without a look at opening hours.
	silenceShort = time.Minute
)

// soldLine is what one line of a walk-in sale sold. Nothing means that the store
// has the item since then.
type soldLine struct {
	sku      protocol.SKU
	quantity protocol.Quantity
}

// demand gathers what was sold since it was last written down.
type demand struct {
	mu       sync.Mutex
	sold     map[protocol.StoreID]map[soldLine]int
	silences stock.Silences
	waiting  []endedSilence
	changed  bool // silences is not yet written down
	saved    time.Duration
}

// endedSilence is a stretch in which a machine was not heard.
type endedSilence struct {
	store    protocol.StoreID
	from, to time.Time
}

// walkIns are the lines of events that sold something to whoever walked in, and
// the goods that came to be sold. What
// settles an order was promised before, and what is practised is no sale. A return
// takes nothing back: the goods were wanted.
func walkIns(events []*protocol.Event) (lines []soldLine) {
	for _, ev := range events {
		if ev != nil && ev.Movement != nil && (ev.Movement.Type == protocol.Receipt || ev.Movement.Type == protocol.TransferIn) {
			for i := range ev.Movement.Lines {
				lines = append(lines, soldLine{sku: ev.Movement.Lines[i].Item.SKU})
			}
		}
		if ev == nil || ev.Sale == nil {
			continue
		}
		s := ev.Sale
		if s.Type != protocol.SaleSale || s.Training || s.Part.Part > 0 {
			continue
		}
		for i := range s.Lines {
			if l := &s.Lines[i]; l.Quantity > 0 && !l.Unstocked {
				lines = append(lines, soldLine{l.Item.SKU, l.Quantity})
			}
		}
	}
	return lines
}

// add counts lines that a store sold.
func (d *demand) add(store protocol.StoreID, lines []soldLine) {
	if len(lines) == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sold == nil {
		d.sold = map[protocol.StoreID]map[soldLine]int{}
	}
	counts := d.sold[store]
	if counts == nil {
		counts = map[soldLine]int{}
		d.sold[store] = counts
	}
	for _, l := range lines {
		counts[l]++
	}
}

// ended counts a stretch in which a machine of a store was not heard.
func (d *demand) ended(store protocol.StoreID, from, to time.Time) {
	length := to.Sub(from)
	if length < time.Second {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if length <= silenceShort {
		d.silences.Add(length)
		d.changed = true
	} else if len(d.waiting) < silencesWaitingMax {
		d.waiting = append(d.waiting, endedSilence{store, from, to})
	}
}

func (d *demand) seenSilences() stock.Silences {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.silences
}

// countSold counts what a commit sold. What a machine sold before the hub first
// knew all of it is left out: nobody knows how long that took to sell.
func (h *Hub) countSold(in *incoming) {
	if len(in.sold) == 0 {
		return
	}
	h.mu.Lock()
	row := h.agents[in.session.origin.Agent]
	known := !in.session.caughtUpAt.IsZero() || row != nil && row.CaughtMs > 0
	h.mu.Unlock()
	if known {
		h.demand.add(in.origin.Store, in.sold)
	}
}

func (h *Hub) loadDemand(ctx context.Context) error {
	h.demand.saved = h.running()
	return h.view(ctx, func(r ledger.Reader) error {
		b, err := ledger.Note(r, noteSilences)
		if err != nil {
			return err
		}
		s, err := stock.DecodeSilences(b)
		if err == nil {
			h.demand.silences = *s
		}
		return err
	})
}

// saveDemand writes down what was sold and which silences ended, now and then.
// Only Tick calls it.
func (h *Hub) saveDemand(ctx context.Context) error {
	d := &h.demand
	if h.running()-d.saved < demandSaveEvery {
		return nil
	}
	d.saved = h.running()
	d.mu.Lock()
	sold := d.sold
	d.sold = nil
	d.mu.Unlock()
	err := h.saveSilences(ctx)
	for _, store := range slices.Sorted(maps.Keys(sold)) {
		lines := slices.SortedFunc(maps.Keys(sold[store]), func(a, b soldLine) int {
			return strings.Compare(string(a.sku), string(b.sku))
		})
		for len(lines) > 0 && err == nil {
			n := min(len(lines), demandItemsMax)
			for n < len(lines) && lines[n].sku == lines[n-1].sku {
				n++
			}
			part := lines[:n]
			if err = h.saveSold(ctx, store, part, sold[store]); err == nil {
				lines = lines[n:]
			}
		}
		if err != nil {
			h.putBack(store, lines, sold[store])
		}
	}
	return err
}

// putBack counts again what was not written down.
func (h *Hub) putBack(store protocol.StoreID, lines []soldLine, counts map[soldLine]int) {
	for _, l := range lines {
		h.demand.add(store, slices.Repeat([]soldLine{l}, counts[l]))
	}
}

// saveSold adds lines of one store, those of an item beside each other, to what
// is known of their items and of the categories of these.
func (h *Hub) saveSold(ctx context.Context, store protocol.StoreID, lines []soldLine, counts map[soldLine]int) error {
	return h.driver.Update(ctx, func(tx ledger.Tx) error {
		record, err := ledger.ReadStore(tx, store)
		if err != nil || record == nil {
			return err
		}
		known, err := h.readDemand(tx, record, linesOf(lines))
		if err != nil {
			return err
		}
		for i := 0; i < len(lines); {
			at := known.items[lines[i].sku]
			var fresh stock.Demand
			for ; i < len(lines) && lines[i].sku == at.sku; i++ {
				if lines[i].quantity == 0 {
					fresh.Begin(known.now)
					continue
				}
				for range counts[lines[i]] {
					fresh.Add(known.now, lines[i].quantity)
				}
			}
			if at.category != at.pooled {
				// It joins another category with all that it ever sold. What the
				// other one counted of it fades away there.
				at.demand.Merge(&fresh)
				fresh, at.demand = at.demand, stock.Demand{}
			}
			known.pools[at.category].Merge(&at.demand, &fresh)
		}
		return known.write(tx, store)
	})
}

func linesOf(lines []soldLine) []protocol.SKU {
	skus := make([]protocol.SKU, len(lines))
	for i := range lines {
		skus[i] = lines[i].sku
	}
	return slices.Compact(skus)
}

// knownDemand is what is written down of some items of a store.
type knownDemand struct {
	now   time.Duration // on the store's clock of opening time
	run   time.Duration // the hub's running time then
	items map[protocol.SKU]*itemDemand
	pools map[string]*stock.Pool
}

type itemDemand struct {
	sku      protocol.SKU
	demand   stock.Demand
	category string // of the item now
	pooled   string // in which its sales were counted
}

func noteOf(parts ...string) ledger.Key {
	return ledger.Key{Table: ledger.Notes, ID: strings.Join(parts, "\x00")}
}

// readDemand reads what is written down of items of a store.
func (h *Hub) readDemand(r ledger.Reader, store *protocol.StoreRecord, skus []protocol.SKU) (*knownDemand, error) {
	items, err := ledger.ReadItems(r, skus)
	if err != nil {
		return nil, err
	}
	keys := make([]ledger.Key, 0, len(skus)+1)
	for _, sku := range skus {
		keys = append(keys, noteOf(noteDemand, string(store.ID), string(sku)))
	}
	values, err := r.Load(append(keys, noteOf(noteDemandClock, string(store.ID))))
	if err != nil {
		return nil, err
	}
	k := &knownDemand{run: h.running(), items: map[protocol.SKU]*itemDemand{}, pools: map[string]*stock.Pool{}}
	k.now = openingTime(values[len(skus)], k.run, h.timesOf(store).hours)
	for i, sku := range skus {
		at := &itemDemand{sku: sku}
		if items[i] != nil {
			at.category = items[i].Category
		}
		if at.pooled, at.demand, err = decodeDemand(values[i]); err != nil {
			return nil, fmt.Errorf("demand of %s in %s: %w", sku, store.ID, err)
		}
		if values[i] == nil {
			at.pooled = at.category
		}
		k.items[sku], k.pools[at.category] = at, nil
	}
	for category := range k.pools {
		b, err := ledger.Note(r, notePool, string(store.ID), category)
		if err != nil {
			return nil, err
		}
		if k.pools[category], err = stock.DecodePool(b); err != nil {
			return nil, fmt.Errorf("demand of a category in %s: %w", store.ID, err)
		}
	}
	return k, nil
}

func (k *knownDemand) write(tx ledger.Tx, store protocol.StoreID) error {
	clock := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(k.run)), uint64(k.now))
	rows := []ledger.Row{{Key: noteOf(noteDemandClock, string(store)), Value: clock}}
	for sku, at := range k.items {
		value := append(binary.AppendUvarint(nil, uint64(len(at.category))), at.category...)
		rows = append(rows, ledger.Row{Key: noteOf(noteDemand, string(store), string(sku)), Value: append(value, at.demand.Encode()...)})
	}
	for category, pool := range k.pools {
		rows = append(rows, ledger.Row{Key: noteOf(notePool, string(store), category), Value: pool.Encode()})
	}
	slices.SortFunc(rows, func(a, b ledger.Row) int { return strings.Compare(a.Key.ID, b.Key.ID) })
	return tx.Write(rows)
}

var errDemandNote = errors.New("the note is cut off")

// decodeDemand reads the note of an item: the category in which its sales were
// counted, and they themselves.
func decodeDemand(b []byte) (category string, d stock.Demand, err error) {
	if b == nil {
		return "", d, nil
	}
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return "", d, errDemandNote
	}
	b = b[size:]
	sold, err := stock.DecodeDemand(b[n:])
	if err == nil {
		d = *sold
	}
	return string(b[:n]), d, err
}

// openingTime is a clock that runs while a store is open: the hub's running time,
// less the share of a week in which the store is closed. No wall clock moves it
// (I17), and over the weeks for which sales are remembered the share is exact
// enough. b says where the clock stood when it was last written down.
func openingTime(b []byte, run time.Duration, hours stock.Hours) time.Duration {
	var at, open time.Duration
	if len(b) == 16 {
		at, open = time.Duration(binary.BigEndian.Uint64(b)), time.Duration(binary.BigEndian.Uint64(b[8:]))
	}
	return open + time.Duration(float64(max(0, run-at))*hours.Share())
}

// saveSilences looks up how long silences lasted while stores were open, and
// writes down what is known of them.
func (h *Hub) saveSilences(ctx context.Context) error {
	d := &h.demand
	d.mu.Lock()
	waiting := d.waiting
	d.waiting = nil
	d.mu.Unlock()
	var lengths []time.Duration
	err := h.view(ctx, func(r ledger.Reader) error {
		lengths = nil
		r = ledger.Live(r)
		for _, s := range waiting {
			record, err := ledger.ReadStore(r, s.store)
			if err != nil {
				return err
			}
			if record != nil {
				t := h.timesOf(record)
				lengths = append(lengths, t.hours.Open(s.from, s.to, t.place))
			}
		}
		return nil
	})
	d.mu.Lock()
	for _, length := range lengths {
		d.silences.Add(length)
	}
	save := d.changed || len(lengths) > 0
	b := d.silences.Encode()
	d.changed = save && err != nil
	d.mu.Unlock()
	if err != nil || !save {
		return err
	}
	return h.driver.Update(ctx, func(tx ledger.Tx) error { return ledger.SetNote(tx, b, noteSilences) })
}
