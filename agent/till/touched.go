package till

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/pickup"
)

// progress is how far somebody has looked at each of the store's other streams.
// None is the place of somebody who has seen nothing.
type progress map[streamMark]protocol.Seq

// streamMark stands for a stream in a position, which is written with every
// message of the event stream: a store may have dozens of streams over the years.
type streamMark [6]byte

func markOf(inc protocol.Inc) (m streamMark) {
	sum := sha256.Sum256(inc[:])
	copy(m[:], sum[:])
	return m
}

// progressMark begins the text of a position, so that it is never empty.
const progressMark = "o"

func (p progress) String() string {
	entries := []string{progressMark}
	for _, m := range slices.SortedFunc(maps.Keys(p), func(a, b streamMark) int { return slices.Compare(a[:], b[:]) }) {
		entries = append(entries, hex.EncodeToString(m[:])+"-"+strconv.FormatUint(uint64(p[m]), 36))
	}
	return strings.Join(entries, ".")
}

func parseProgress(text string) (progress, error) {
	entries := strings.Split(text, ".")
	p := progress{}
	for _, entry := range entries[1:] {
		name, number, _ := strings.Cut(entry, "-")
		mark, err := hex.DecodeString(name)
		seq, numberErr := strconv.ParseUint(number, 36, 64)
		if err != nil || numberErr != nil || len(mark) != len(streamMark{}) {
			return nil, errNoProgress
		}
		p[streamMark(mark)] = protocol.Seq(seq)
	}
	if entries[0] != progressMark {
		return nil, errNoProgress
	}
	return p, nil
}

var errNoProgress = protocol.OutOfRange("Last-Event-ID", "", "not the id of an event of this stream")

// touchedStep is how many events one look goes through, so that none reads for
// long in one transaction.
const touchedStep = 5000

// touched are the parts of orders that events of the store's streams name.
type touched struct {
	parts []protocol.PartID // in the order of their first mention
	noted map[protocol.PartID]bool
	at    progress // how far the look went
	more  bool     // it has to go on from there
	// all says that events in between are not here, because they were trimmed or
	// came as a state: any part may have changed.
	all bool
}

// touchedAfter looks at the events of the store's streams behind a position. own
// says that it looks at what this machine logs as well.
func (t *Till) touchedAfter(r ledger.Reader, after progress, own bool) (touched, error) {
	streams, err := ledger.Streams(r, t.origin().Store, "")
	if err != nil {
		return touched{}, err
	}
	found := touched{at: progress{}, all: after == nil}
	left := protocol.Seq(touchedStep)
	for _, s := range streams {
		inc, mark := s.Origin.Inc, markOf(s.Origin.Inc)
		if inc == t.origin().Inc && !own {
			continue
		}
		from := min(after[mark], s.Seq)
		found.at[mark] = from
		if from == s.Seq || found.all {
			continue
		}
		upTo := min(s.Seq, from+left)
		left -= upTo - from
		found.more = found.more || upTo < s.Seq
		whole, err := found.look(r, inc, from, upTo)
		if err != nil {
			return touched{}, err
		}
		found.all, found.at[mark] = !whole, upTo
	}
	if !found.all {
		return found, nil
	}
	for _, s := range streams {
		if s.Origin.Inc != t.origin().Inc || own {
			found.at[markOf(s.Origin.Inc)] = s.Seq
		}
	}
	found.more = false
	return found, nil
}

// look notes the parts that the events of one stream name, and tells whether
// all of the events are here.
func (f *touched) look(r ledger.Reader, inc protocol.Inc, from, upTo protocol.Seq) (whole bool, err error) {
	next := from + 1
	if from == upTo {
		return true, nil
	}
	err = ledger.ScanEvents(r, inc, next, func(at protocol.Seq, _ protocol.Hash, rec protocol.Record) (bool, error) {
		if at != next {
			return false, nil
		}
		next++
		e, err := decodeLogged(protocol.EventID{Inc: inc, Seq: at}, rec)
		if err != nil {
			return at < upTo, nil // dead at the fold as well
		}
		if id := ledger.PartOf(e.event); id.Part != 0 {
			f.note(id)
		}
		return at < upTo, nil
	})
	return next == upTo+1, err
}

func (f *touched) note(id protocol.PartID) {
	if f.noted[id] {
		return
	}
	if f.noted == nil {
		f.noted = map[protocol.PartID]bool{}
	}
	f.noted[id] = true
	f.parts = append(f.parts, id)
}

// ChangedOrders are orders that the hub or another machine of the store changed.
type ChangedOrders struct {
	Orders []pickup.Document
	At     string // the position behind them
	More   bool   // there are others behind it
}

// OrdersAfter shows the orders that the hub and the store's other machines
// changed behind a position, as they are now. An empty one is the present.
// Where what happened in between is not here any more, all orders are shown
// that are not over.
func (t *Till) OrdersAfter(ctx context.Context, after string) (c ChangedOrders, err error) {
	var from progress
	if after != "" {
		if from, err = parseProgress(after); err != nil {
			return c, err
		}
	}
	err = t.o.Driver.View(ctx, func(r ledger.Reader) error {
		found, err := t.touchedAfter(r, from, false)
		if err != nil {
			return err
		}
		c = ChangedOrders{Orders: []pickup.Document{}, At: found.at.String(), More: found.more}
		if after == "" || !found.all && len(found.parts) == 0 {
			return nil
		}
		shop, err := t.readShop(r)
		if err != nil {
			return err
		}
		d := desk{Till: t, r: r, now: t.o.Now(), shop: shop}
		if found.all {
			c.Orders, _, err = d.openOrders(r, protocol.PartID{}, math.MaxInt)
			return err
		}
		for _, id := range found.parts {
			doc, err := d.orderDocument(r, id.Order, d.now)
			if protocol.CodeOf(err) == protocol.NotFound {
				continue // What is known of it is not yet who ordered it.
			}
			if err != nil {
				return err
			}
			c.Orders = append(c.Orders, doc)
		}
		return nil
	})
	return c, err
}
