package sim

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"counterpart/agent/uplink"
	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// audit holds the end of a run, after the quiet, to the books: every act that
// was confirmed is at the hub once, in its place; hub and machines hold what
// the books say, and the same as each other.
func (w *world) audit() {
	if w.cloud.hub == nil {
		w.fail("the hub is down (I20)")
		return
	}
	w.view(w.cloud.disk, func(r ledger.Reader) error {
		held, err := w.auditEvents(r)
		if err != nil {
			return err
		}
		counted, err := w.auditGaps(r, held)
		if err != nil {
			return err
		}
		if err := w.auditLevels(r, counted); err != nil {
			return err
		}
		if err := w.auditReceipts(r, held); err != nil {
			return err
		}
		return errors.Join(w.auditLoads(r, held), w.auditPromises(r, held), w.courier.audit(r, held), w.club.auditMembers(r, held))
	})
	for _, m := range w.agents {
		w.auditMachine(m)
		if !w.gaveUp(m) {
			w.auditSums(m.disk, m.origin.Store)
		}
		w.auditSums(w.cloud.disk, m.origin.Store)
	}
	if w.plan.Verify && w.err == nil {
		w.view(w.cloud.disk, func(r ledger.Reader) error {
			rep, err := ledger.Verify(r)
			if err == nil && !rep.OK() {
				err = fmt.Errorf("a replay gives %d other rows, such as %s (I8)", rep.Different, rep.Differences[0])
			}
			return err
		})
	}
}

// auditSums compares levels with the sums that are kept of each agent's moves
// (I9).
func (w *world) auditSums(d *disk, store protocol.StoreID) {
	w.view(d, func(r ledger.Reader) error {
		sums, err := ledger.AuditSums(r, store)
		if err == nil && sums.Known && len(sums.Buckets) > 0 {
			err = fmt.Errorf("the levels of %s are not the sums of the moves (I9)", store)
		}
		return err
	})
}

func (w *world) view(d *disk, fn func(ledger.Reader) error) {
	if err := d.db.View(w.ctx, fn); err != nil {
		w.fail("%s: %v", d.name, err)
	}
}

// auditEvents compares the hub's events with the acts in the books (I1 to I5),
// and returns the acts that the hub holds.
func (w *world) auditEvents(r ledger.Reader) (map[*act]bool, error) {
	held := make(map[*act]bool, len(w.books.order))
	for inc, o := range w.books.origins {
		if o.Agent == protocol.HubAgent && (w.shop == nil && w.club == nil || o.Store == protocol.ChainStore) {
			continue
		}
		err := ledger.ScanEvents(r, inc, 1, func(seq protocol.Seq, h protocol.Hash, rec protocol.Record) (bool, error) {
			bytes := rec.AppendTo(nil)
			at := protocol.EventID{Inc: inc, Seq: seq}
			id, print := at, fingerprint(bytes)
			if w.forked {
				if again, ok := w.unwrap(bytes); ok {
					id, print = again.id, again.print
				}
			}
			a := w.books.find(id, print)
			switch {
			case a == nil && o.Agent == protocol.HubAgent:
				return true, nil // It is about no order.
			case a == nil:
				return false, fmt.Errorf("event %d of %s %x at the hub is none that anybody wrote (I4)", seq, o.Agent, inc[:4])
			case a.id == at && a.hash != h && !w.forked && o.Agent != protocol.HubAgent:
				return false, fmt.Errorf("event %d of %s at the hub follows on others than it did (I4, I5)", seq, o.Agent)
			}
			held[a] = true
			if a.dead {
				w.books.dead[at.String()] = true
			}
			return true, nil
		})
		if err != nil {
			return nil, err
		}
	}
	for _, a := range w.books.order {
		if !held[a] && !a.lost && !a.given {
			return nil, fmt.Errorf("event %d of %s %x is not at the hub (I2)", a.id.Seq, w.books.origins[a.id.Inc].Agent, a.id.Inc[:4])
		}
	}
	return held, nil
}

// shelf is one item in one store.
type shelf struct {
	store protocol.StoreID
	sku   protocol.SKU
}

// auditLevels compares the hub's levels with the sums of the acts (I3).
func (w *world) auditLevels(r ledger.Reader, held map[*act]bool) error {
	sums := newBook()
	for a := range held {
		sums.add(a)
	}
	for at, want := range sums.levels {
		level, err := ledger.ReadLevel(r, at.store, at.sku)
		if err != nil {
			return err
		}
		for s := range protocol.StateCount {
			if got := level.Quantity(s); got != want[s] {
				return fmt.Errorf("%s in %s: %s is %d, the acts give %d (I3)", at.sku, at.store, s, got, want[s])
			}
		}
		if doubtful := sums.doubtful(at); level.RecountSuggested() != doubtful {
			return fmt.Errorf("%s in %s: recount suggested is %v, the acts say %v (I8)", at.sku, at.store, !doubtful, doubtful)
		}
	}
	return nil
}

// auditReceipts holds receipt numbers to I13, and the exceptions and dead
// letters at the hub to what the acts break together.
func (w *world) auditReceipts(r ledger.Reader, held map[*act]bool) error {
	for no, list := range w.books.receipts {
		aware := slices.DeleteFunc(slices.Clone(list), func(a *act) bool { return a.unaware || a.lost })
		if len(aware) > 1 {
			return fmt.Errorf("receipt %s was printed %d times (I13)", no, len(list))
		}
	}
	want, doubt := w.exceptions(held)
	list, err := ledger.Exceptions(r)
	if err != nil {
		return err
	}
	got := map[string]bool{}
	for _, e := range list {
		if len(e.Events) > 0 && e.Kind != ledger.ExceptionGap {
			got[e.Kind+" "+e.Subject] = true
		}
	}
	for name := range doubt {
		delete(want, name)
		delete(got, name)
	}
	if diff := differ(want, got); diff != "" && !w.twice(held) {
		return fmt.Errorf("exception %s (I8)", diff)
	}
	dead, err := ledger.DeadLetters(r)
	if err != nil {
		return err
	}
	clear(got)
	for id := range dead {
		got[id] = true
	}
	if diff := differ(w.books.dead, got); diff != "" {
		return fmt.Errorf("dead letter %s (I18)", diff)
	}
	return nil
}

// twice tells whether an event id has two contents, as only copies can make it.
// What they break together is then not predicted here.
func (w *world) twice(held map[*act]bool) bool {
	for _, list := range w.books.acts {
		n := 0
		for _, a := range list {
			if held[a] {
				n++
			}
		}
		if n > 1 {
			return true
		}
	}
	return false
}

// differ names something that is in one set only.
func differ(want, got map[string]bool) string {
	for name := range want {
		if !got[name] {
			return name + " is missing"
		}
	}
	for name := range got {
		if !want[name] {
			return name + " is too much"
		}
	}
	return ""
}

// exceptions are what the acts break together, and which of them cannot be
// told.
func (w *world) exceptions(held map[*act]bool) (found, doubt map[string]bool) {
	found, doubt = w.orderExceptions(held)
	externals := map[string]int{}
	reversals := map[protocol.ReceiptNo][]*act{}
	for a := range held {
		if a.external != "" {
			externals[a.external]++
		}
		if a.original != nil {
			reversals[a.original.receipt] = append(reversals[a.original.receipt], a)
		}
	}
	for no, list := range w.books.receipts {
		claims := slices.DeleteFunc(slices.Clone(list), func(a *act) bool { return !held[a] })
		if len(claims) == 0 {
			continue
		}
		if len(claims) > 1 {
			found[ledger.ExceptionReceiptTwice+" "+string(no)] = true
		}
		// Of several that bear a number the first id stands.
		stands := slices.MinFunc(claims, func(a, b *act) int {
			return cmp.Or(bytes.Compare(a.id.Inc[:], b.id.Inc[:]), cmp.Compare(a.id.Seq, b.id.Seq))
		})
		for _, kind := range reversed(stands, reversals[no]) {
			found[kind+" "+string(no)] = true
		}
	}
	w.club.memberExceptions(held, found)
	for id, n := range externals {
		if n > 1 {
			found[ledger.ExceptionExternalTwice+" pos "+id] = true
		}
	}
	return found, doubt
}

// reversed names the rules that voids and returns of a receipt break.
func reversed(receipt *act, reversals []*act) (kinds []string) {
	voids, returns, back := 0, 0, map[int]protocol.Quantity{}
	for _, a := range reversals {
		if a.void {
			voids++
			continue
		}
		returns++
		for i, q := range a.lines {
			back[i] += q
		}
	}
	if voids > 1 {
		kinds = append(kinds, ledger.ExceptionVoidTwice)
	}
	if voids > 0 && returns > 0 {
		kinds = append(kinds, ledger.ExceptionVoidAndReturn)
	}
	for i, q := range back {
		// Of a return itself nothing can come back.
		if q > 0 && (i >= len(receipt.lines) || receipt.original != nil || q > receipt.lines[i]) {
			return append(kinds, ledger.ExceptionOverReturn)
		}
	}
	return kinds
}

// auditLoads demands that every row of a stock load was counted, and none
// twice.
func (w *world) auditLoads(r ledger.Reader, held map[*act]bool) error {
	loads, err := ledger.Loads(r, "")
	if err != nil || w.forked {
		return err
	}
	for _, l := range loads {
		var counts []*act
		for a := range held {
			if a.load == l.ID {
				counts = append(counts, a)
			}
		}
		slices.SortFunc(counts, func(a, b *act) int { return int(a.loadFrom - b.loadFrom) })
		next := int64(0)
		for _, a := range counts {
			if a.loadFrom != next {
				return fmt.Errorf("stock load %s: rows from %d were counted where %d was next (I3)", l.ID, a.loadFrom, next)
			}
			next = a.loadUpTo
		}
		if next != l.Total || l.Applied != l.Total {
			return fmt.Errorf("stock load %s: %d of %d rows are counted (I20)", l.ID, next, l.Total)
		}
	}
	return nil
}

// auditMachine compares a machine with the hub (I8, I10, I11, I20).
func (w *world) auditMachine(m *machine) {
	if w.err != nil {
		return
	}
	if !m.up || m.engine == nil {
		w.fail("%s is down (I20)", m.disk.name)
		return
	}
	if s := m.engine.Link(); s.State != uplink.Online {
		w.fail("%s is %s, %s (I20)", m.disk.name, s.State, s.Cause)
	}
	if acked := m.engine.Marks().Acked; acked != m.disk.watch.heads[m.origin.Inc].seq {
		w.fail("%s knows %d of its events as acknowledged (I20)", m.disk.name, acked)
	}
	if !w.cloud.atHead(m.engine.Feeds()) {
		w.fail("%s does not follow its feeds to their ends: %+v (I10, I20)", m.disk.name, m.engine.Feeds())
	}
	if w.gaveUp(m) {
		return
	}
	w.view(m.disk, func(r ledger.Reader) error {
		here, err := references(r, m.origin.Store)
		if err != nil {
			return err
		}
		return w.cloud.disk.db.View(w.ctx, func(r ledger.Reader) error {
			there, err := references(r, m.origin.Store)
			if err == nil && here != there {
				err = errors.New("its reference data differs from the hub's (I11)")
			}
			return err
		})
	})
	for _, table := range mirrored(m.origin.Store) {
		here, there := rows(w, m.disk, table), rows(w, w.cloud.disk, table)
		for _, id := range slices.Sorted(maps.Keys(there)) {
			v := there[id]
			if table == "receipt\x00" && here[id] == nil && !w.receiptOf(id, m.origin.Store) || w.sealed(m, id) || w.gone(id) {
				continue
			}
			if !bytes.Equal(here[id], v) {
				w.fail("%s: row %q is %x, at the hub %x (I8, I10)", m.disk.name, id, here[id], v)
				return
			}
		}
		if len(here) > len(there) && w.plan.Disaster.Gap == 0 {
			w.fail("%s holds %d rows of %q, the hub %d (I8, I10)", m.disk.name, len(here), table, len(there))
			return
		}
	}
}

// gaveUp tells whether the machine has set something of a feed aside. That is
// what it has to do when its process ended three times in one step (I18), also
// where it was the power each time. Then it no longer has all that the hub has.
func (w *world) gaveUp(m *machine) bool {
	yes := w.setAside(m)
	if yes {
		w.counts.Aside++
	}
	return yes
}

func (w *world) setAside(m *machine) (yes bool) {
	if w.plan.Machine.CommitCrash == 0 && w.plan.Machine.CrashEvery == 0 {
		return false
	}
	w.view(m.disk, func(r ledger.Reader) error {
		list, err := ledger.Asides(r)
		if err != nil {
			return err
		}
		dead, err := ledger.DeadLetters(r)
		yes = len(list) > 0
		for _, reason := range dead {
			yes = yes || strings.HasPrefix(reason, "set aside: ")
		}
		return err
	})
	return yes
}

// receiptOf tells whether a receipt's row is of a store.
func (w *world) receiptOf(id string, store protocol.StoreID) bool {
	for _, a := range w.books.receipts[protocol.ReceiptNo(strings.TrimPrefix(id, "receipt\x00"))] {
		if a.store == store {
			return true
		}
	}
	return false
}

// sealed tells whether a row is of an earlier stream of the machine itself,
// which ends sooner there: the rest is in the present one.
func (w *world) sealed(m *machine, id string) bool {
	o, ok := originOf(id)
	return ok && strings.HasPrefix(id, "stream\x00") && o.Agent == m.origin.Agent && o.Inc != m.origin.Inc
}

// mirrored are the beginnings of the rows that a machine has exactly as the hub
// has them.
func mirrored(store protocol.StoreID) []string {
	return []string{
		"level\x00" + string(store) + "\x00", "load\x00" + string(store) + "\x00", "stream\x00" + string(store) + "\x00",
		"part\x00" + string(store) + "\x00", "receipt\x00", "account\x00" + string(store) + "\x00", "lease\x00" + string(store) + "\x00",
		"member\x00" + string(store) + "\x00", "cart\x00" + string(store) + "\x00", "timeline\x00" + string(store) + "\x00",
	}
}

// references is a fingerprint of the reference data that a machine follows: its
// store's record, the items, and the prices of its zone (I11).
func references(r ledger.Reader, store protocol.StoreID) (h uint64, err error) {
	record, err := ledger.ReadStore(r, store)
	if err != nil || record == nil {
		return 0, err
	}
	add := func(b []byte, err error) error {
		h = mix(h, fingerprint(b))
		return err
	}
	if err := add(protocol.EncodeStoreRecord(record)); err != nil {
		return 0, err
	}
	var list []protocol.SKU
	err = ledger.ScanItems(r, "", func(it *protocol.Item) (bool, error) {
		list = append(list, it.SKU)
		return true, add(protocol.EncodeItem(it))
	})
	if err != nil {
		return 0, err
	}
	prices, err := ledger.ReadPrices(r, record.PriceZone, list)
	for _, p := range prices {
		if p != nil && err == nil {
			err = add(protocol.EncodePriceList(p))
		}
	}
	return h, err
}

func rows(w *world, d *disk, prefix string) map[string][]byte {
	found := map[string][]byte{}
	w.view(d, func(r ledger.Reader) error {
		return r.Scan(ledger.States, prefix, "", func(id string, v []byte) (bool, error) {
			if !strings.HasPrefix(id, prefix) {
				return false, nil
			}
			found[id] = v
			return true, nil
		})
	})
	return found
}

// stateprint is a fingerprint of what the hub holds in the end, without what
// wall clocks leave in it: the hub's streams after a restore are named after the
// time, and only a gap's exception names events of theirs.
func (w *world) stateprint() uint64 {
	h := uint64(0)
	for _, prefix := range []string{"exception\x00", "level\x00", "receipt\x00"} {
		w.view(w.cloud.disk, func(r ledger.Reader) error {
			return r.Scan(ledger.States, prefix, prefix[:len(prefix)-1]+"\x01", func(id string, v []byte) (bool, error) {
				if strings.HasPrefix(id, "exception\x00"+ledger.ExceptionGap) {
					return true, nil
				}
				if kind, ok := strings.CutPrefix(id, "exception\x00order_"); ok {
					// Orders are named after the hub's streams.
					kind, _, _ = strings.Cut(kind, "\x00")
					id, v = kind, nil
				}
				h = mix(mix(h, fingerprint([]byte(id))), fingerprint(v))
				return true, nil
			})
		})
	}
	return h
}
