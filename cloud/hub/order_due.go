package hub

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/pickup"
)

// The deadlines of a part, in running time from when it was placed.
const (
	acceptWithin = 30 * time.Minute
	pickSoon     = 90 * time.Minute
	pickWithin   = 2 * time.Hour
	// heldFor is how long goods wait for a shopper who named no time.
	heldFor = 7 * 24 * time.Hour
	// fetchSoon is how long before the end shoppers are reminded; half of the time
	// where there is less than twice of it.
	fetchSoon = 24 * time.Hour
)

const (
	// noteDeadline rows are the next deadlines of parts, in the order of their time;
	// noteOpen rows are the parts that have deadlines, with when they were placed and
	// when they end.
	noteDeadline = "deadline"
	noteOpen     = "open"
	// dueAtOnce bounds how many deadlines one Tick looks at.
	dueAtOnce = 256
)

// expiry is the running time at which an order expires. The calendar is looked at
// here and never again (I17).
func (h *Hub) expiry(o *protocol.Order) time.Duration {
	if o.PickupByMs == 0 {
		return h.running() + heldFor
	}
	return h.running() + max(0, time.UnixMilli(o.PickupByMs).Sub(h.now()))
}

// arm sets the deadlines of a part, in the transaction that places it.
func (h *Hub) arm(tx ledger.Tx, store protocol.StoreID, o *protocol.Order, fetchBy time.Duration) error {
	now := h.running()
	if fetchBy == 0 {
		fetchBy = h.expiry(o)
	}
	b := binary.BigEndian.AppendUint64(nil, uint64(now.Milliseconds()))
	b = binary.BigEndian.AppendUint64(b, uint64(fetchBy.Milliseconds()))
	if err := ledger.SetNote(tx, b, noteOpen, string(store), string(o.Order), fmt.Sprint(o.Part)); err != nil {
		return err
	}
	return deadlinesOf(now, fetchBy)[0].set(tx, store, o.PartID)
}

// deadlinesOf are the deadlines of a part in the order in which they pass. Only
// the next one has a row.
func deadlinesOf(placedAt, fetchBy time.Duration) []deadline {
	list := []deadline{
		{at: placedAt + acceptWithin, what: pickup.AcceptBy},
		{at: placedAt + pickSoon, what: pickup.PickSoon},
		{at: placedAt + pickWithin, what: pickup.PickBy},
		{at: fetchBy - min(fetchSoon, (fetchBy-placedAt)/2), what: pickup.FetchSoon},
		{at: fetchBy, what: pickup.FetchBy},
	}
	slices.SortStableFunc(list, func(a, b deadline) int { return cmp.Compare(a.at, b.at) })
	return list
}

func (d deadline) set(tx ledger.Tx, store protocol.StoreID, part protocol.PartID) error {
	d.store, d.part = store, part
	return ledger.SetNote(tx, []byte{1}, d.name()...)
}

// next writes down the deadline that follows one that has passed; a part that is
// over has none.
func (h *Hub) next(tx ledger.Tx, passed deadline) error {
	b, err := ledger.Note(tx, noteOpen, string(passed.store), string(passed.part.Order), fmt.Sprint(passed.part.Part))
	if err != nil {
		return err
	}
	placedAt, fetchBy, ok := decodeOpen(b)
	if !ok {
		return nil
	}
	list := deadlinesOf(placedAt, fetchBy)
	i := slices.IndexFunc(list, func(d deadline) bool { return d.what == passed.what })
	if i < 0 || i+1 == len(list) {
		return nil
	}
	return list[i+1].set(tx, passed.store, passed.part)
}

// openPart is a part that has deadlines.
type openPart struct {
	id                protocol.PartID
	placedAt, fetchBy time.Duration // running time
}

func decodeOpen(b []byte) (placedAt, fetchBy time.Duration, ok bool) {
	if len(b) < 16 {
		return 0, 0, false
	}
	ms := func(b []byte) time.Duration { return time.Duration(binary.BigEndian.Uint64(b)) * time.Millisecond }
	return ms(b), ms(b[8:]), true
}

// fetchBy is when a part expires, zero where that is not known any more.
func (h *Hub) fetchBy(r ledger.Reader, store protocol.StoreID, id protocol.PartID) (time.Duration, error) {
	b, err := ledger.Note(r, noteOpen, string(store), string(id.Order), fmt.Sprint(id.Part))
	_, at, _ := decodeOpen(b)
	return at, err
}

// wind sets the deadlines of a part that has none, as after a restore, and takes
// the name of one that is over from the list of those that are open.
func (h *Hub) wind(ctx context.Context, store protocol.StoreID, id protocol.PartID) error {
	name := []string{noteOpen, string(store), string(id.Order), fmt.Sprint(id.Part)}
	var s pickup.State
	var known bool
	read := func(r ledger.Reader) (err error) {
		if s, err = readState(r, store, id); err != nil {
			return err
		}
		b, err := ledger.Note(r, name...)
		known = len(b) > 0
		return err
	}
	if err := h.view(ctx, read); err != nil || s.Order == nil || known != s.Over() {
		return err
	}
	return h.driver.Update(ctx, func(tx ledger.Tx) error {
		if err := read(tx); err != nil || known != s.Over() {
			return err
		}
		if s.Over() {
			return ledger.SetNote(tx, nil, name...)
		}
		return h.arm(tx, store, s.Order, 0)
	})
}

// openParts are the parts of a store that have deadlines.
func openParts(r ledger.Reader, store protocol.StoreID) (list []openPart, err error) {
	err = ledger.ScanNotes(r, []string{noteOpen, string(store)}, func(names []string, b []byte) (bool, error) {
		p := openPart{}
		p.placedAt, p.fetchBy, _ = decodeOpen(b)
		p.id, err = pickup.ParsePartID(strings.Join(names, "/"))
		list = append(list, p)
		return true, err
	})
	return list, err
}

// deadline is one of a part.
type deadline struct {
	at    time.Duration // running time
	store protocol.StoreID
	part  protocol.PartID
	what  string
}

func (d deadline) name() []string {
	return []string{noteDeadline, fmt.Sprintf("%016x", d.at.Milliseconds()), string(d.store), string(d.part.Order), fmt.Sprint(d.part.Part), d.what}
}

// due finds the deadlines that have passed, the earliest first.
func (h *Hub) due(r ledger.Reader) (list []deadline, err error) {
	now := fmt.Sprintf("%016x", h.running().Milliseconds())
	err = ledger.ScanNotes(r, []string{noteDeadline}, func(names []string, _ []byte) (bool, error) {
		if len(names) != 5 {
			return false, fmt.Errorf("deadline %q", names)
		}
		if names[0] > now || len(list) == dueAtOnce {
			return false, nil
		}
		var ms int64
		if _, err := fmt.Sscanf(names[0], "%x", &ms); err != nil {
			return false, err
		}
		part, err := pickup.ParsePartID(names[2] + "/" + names[3])
		list = append(list, deadline{time.Duration(ms) * time.Millisecond, protocol.StoreID(names[1]), part, names[4]})
		return true, err
	})
	return list, err
}

// passDeadlines does what follows from the deadlines that have passed, and from
// those that follow them and have passed as well.
func (h *Hub) passDeadlines(ctx context.Context) error {
	for passed := 0; passed < dueAtOnce; {
		var list []deadline
		err := h.view(ctx, func(r ledger.Reader) (err error) {
			list, err = h.due(r)
			return err
		})
		if err != nil || len(list) == 0 {
			return err
		}
		for _, d := range list {
			if err := h.pass(ctx, d); err != nil {
				return err
			}
		}
		passed += len(list)
	}
	return nil
}

func (h *Hub) pass(ctx context.Context, d deadline) error {
	_, err := h.actAfter(ctx, d.store, func(tx ledger.Tx, _ protocol.Origin) (events []*protocol.Event, err error) {
		s, err := readState(tx, d.store, d.part)
		for _, c := range s.Passed(d.what) {
			events = append(events, orderChange(&s, c))
		}
		return events, err
	}, func(tx ledger.Tx, _ []*protocol.Event) error {
		return errors.Join(ledger.SetNote(tx, nil, d.name()...), h.next(tx, d))
	})
	if err != nil {
		return err
	}
	return h.settle(ctx, d.store, []protocol.PartID{d.part})
}

// compensate looks after the orders of an item that its store has sold to
// somebody else: the unpaid first, then the youngest.
func (h *Hub) compensate(ctx context.Context, at ledger.ItemAt) error {
	var touched []protocol.PartID
	var events []*protocol.Event
	find := func(r ledger.Reader) error {
		touched, events = nil, nil
		level, err := ledger.ReadLevel(r, at.Store, at.SKU)
		if err != nil || level.Short() == 0 {
			return err
		}
		states, short, err := openOf(r, at, level.Short())
		for i := range states {
			changes, covered := states[i].Breach(at.SKU, short)
			if len(changes) == 0 || short <= 0 {
				continue
			}
			short -= covered
			touched = append(touched, changes[0].PartID)
			for _, c := range changes {
				events = append(events, orderChange(&states[i], c))
			}
		}
		return err
	}
	if err := h.view(ctx, find); err != nil || len(events) == 0 {
		return err
	}
	_, err := h.actAll(ctx, at.Store, func(tx ledger.Tx, _ protocol.Origin) ([]*protocol.Event, error) {
		err := find(tx)
		return events, err
	})
	if err != nil {
		return err
	}
	return h.settle(ctx, at.Store, touched)
}

// openOf are the open parts that are promised an item, in the order in which they
// have to give way, and what is short beyond those that gave way before.
func openOf(r ledger.Reader, at ledger.ItemAt, short protocol.Quantity) ([]pickup.State, protocol.Quantity, error) {
	open, err := openParts(r, at.Store)
	if err != nil {
		return nil, 0, err
	}
	slices.SortStableFunc(open, func(a, b openPart) int { return int(b.placedAt - a.placedAt) })
	var paid, unpaid []pickup.State
	for _, p := range open {
		s, err := readState(r, at.Store, p.id)
		if err != nil {
			return nil, 0, err
		}
		if s.Order == nil {
			continue
		}
		for i := range s.Order.Lines {
			if s.Order.Lines[i].Item.SKU == at.SKU {
				short -= min(s.Breached[i], s.Committed[i])
			}
		}
		if s.Paid {
			paid = append(paid, s)
		} else {
			unpaid = append(unpaid, s)
		}
	}
	return append(unpaid, paid...), short, nil
}
