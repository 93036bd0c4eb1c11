package ledger

import (
	"cmp"
	"crypto/sha256"
	"fmt"

	"counterpart/protocol"
	"counterpart/protocol/stock"
)

// fold applies consecutive events of one stream to a working set.
type fold struct {
	set    *set
	origin protocol.Origin
	stream Key
	res    Result
	sums   *sumRow // of the writer's agent; nil while they are not known or not concerned
}

// act is one event as the fold applies it. For a reissue, id and event are
// those of the original.
type act struct {
	id       protocol.EventID // the id under which the effect counts
	at       protocol.EventID // the place where it is logged
	event    *protocol.Event  // nil: dead
	reissue  bool
	record   protocol.Record // as it was first logged
	dead     string          // why it is dead
	feedRows []feedRow
	// levels are the keys of the moves' levels, receipt that of the receipt.
	levels  []Key
	receipt Key
	settled bool // another round would find the same keys
}

// roundsMax is how many rounds of loading an event may need: keys from its own
// bytes, keys found in what those hold, and one more.
const roundsMax = 3

// run folds records that follow on the cursor. events are their decoded forms,
// or nil.
func (f *fold) run(first protocol.Seq, head protocol.Hash, b Batch, events []*protocol.Event) error {
	acts := make([]act, len(b.Records))
	for i, r := range b.Records {
		var ev *protocol.Event
		if events != nil {
			ev = events[i]
		}
		acts[i] = f.decode(protocol.EventID{Inc: f.origin.Inc, Seq: first + protocol.Seq(i)}, r, ev)
	}
	room := 0
	for i := range acts {
		if acts[i].event != nil {
			room += len(acts[i].event.Moves) + 2
		}
	}
	withSums := sumsNeeded(first, acts)
	for round := range roundsMax {
		keys := make([]Key, 0, room+1)
		room = 0
		if withSums && round == 0 {
			keys = append(keys, sumKey(f.origin.Store, f.origin.Agent))
		}
		for i := range acts {
			var err error
			if keys, err = f.keys(keys, &acts[i]); err != nil {
				return err
			}
		}
		more, err := f.set.loadMore(keys)
		if err != nil {
			return err
		}
		if !more {
			break
		}
	}
	if withSums {
		var err error
		if f.sums, err = f.openSums(f.origin.Agent, first); err != nil {
			return err
		}
	}
	f.res.Events = make([]*protocol.Event, len(acts))
	for i := range acts {
		if err := f.apply(&acts[i]); err != nil {
			return fmt.Errorf("event %s: %w", acts[i].at, err)
		}
		f.res.Events[i] = acts[i].event
	}
	head = f.set.putEvents(protocol.EventID{Inc: f.origin.Inc, Seq: first}, head, b)
	stream, err := change(f.set, f.stream, decodeStream)
	if err != nil {
		return err
	}
	stream.Seq, stream.Hash = first+protocol.Seq(len(acts))-1, head
	return nil
}

// decode reads a record. Only the event's own bytes and its stream's writer,
// who is bound into the hash, can make it dead.
func (f *fold) decode(at protocol.EventID, r protocol.Record, ev *protocol.Event) act {
	a := act{id: at, at: at, record: r}
	var err error
	if ev == nil {
		ev, err = protocol.DecodeEvent(r.Body)
	}
	if err == nil && ev.Reissue != nil {
		a.reissue, a.id, a.record = true, ev.Reissue.ID, ev.Reissue.Record
		ev, err = protocol.DecodeEvent(a.record.Body)
		switch {
		case err == nil && ev.Reissue != nil:
			err = fmt.Errorf("a reissue within a reissue")
		case a.id.Inc == f.origin.Inc:
			err = fmt.Errorf("a reissue of an event of its own stream")
		}
	}
	if err != nil {
		a.dead = err.Error()
		return a
	}
	if (ev.Catalog != nil || ev.StockLoad != nil || ev.Gap != nil || ev.Order != nil || ev.OrderChange != nil || ev.Transfer != nil) && f.origin.Agent != protocol.HubAgent {
		a.dead = fmt.Sprintf("kind %s is the hub's to write", ev.Kind)
		return a
	}
	if a.dead = cmp.Or(wrongHand(f.origin, a.id, ev), wrongMerge(ev.Member)); a.dead != "" {
		return a
	}
	if ev.Catalog != nil {
		if a.feedRows, err = catalogRows(ev.Catalog); err != nil {
			a.dead = err.Error()
			return a
		}
	}
	a.event = ev
	return a
}

// keys adds the rows that the event touches, as far as they can be known from
// what is loaded.
func (f *fold) keys(keys []Key, a *act) ([]Key, error) {
	if a.event == nil || a.settled {
		return keys, nil
	}
	// All but these two follow from the event's own bytes.
	a.settled = !a.reissue && len(a.feedRows) == 0
	keys, err := f.reissueKeys(keys, a)
	if err != nil {
		return nil, err
	}
	ev, first := a.event, len(keys)
	for _, m := range ev.Moves {
		keys = append(keys, levelKey(f.origin.Store, m.SKU))
	}
	a.levels = keys[first:len(keys):len(keys)]
	if s := ev.Sale; s != nil {
		a.receipt = receiptKey(s.ReceiptNo(f.origin.Agent))
		keys = append(keys, a.receipt)
		if s.Original != "" {
			keys = append(keys, receiptKey(s.Original))
		}
		if s.External != nil {
			keys = append(keys, externalKey(s.External.Source, s.External.ID))
		}
	}
	if ev.Gap != nil {
		keys = f.gapKeys(keys, ev.Gap)
	}
	if c := ev.CountSeen; c != nil {
		for _, sku := range c.SKUs {
			keys = append(keys, levelKey(f.origin.Store, sku))
		}
	}
	if m := ev.Movement; m != nil {
		for _, l := range m.Lines {
			keys = append(keys, levelKey(f.origin.Store, l.Item.SKU))
		}
		if m.Load != "" {
			keys = append(keys, loadKey(f.origin.Store, m.Load))
		}
	}
	if l := ev.StockLoad; l != nil {
		keys = append(keys, loadKey(f.origin.Store, l.ID))
	}
	keys = f.pointsKeys(returnedKeys(keys, ev), a)
	if keys, err = f.memberKeys(keys, a); err != nil {
		return nil, err
	}
	keys = f.timelineKeys(keys, a)
	if c := ev.Cart; c != nil {
		keys = append(keys, cartKey(MemberAt{f.origin.Store, c.Member}))
	}
	if x := ev.ExceptionChange; x != nil {
		keys = append(keys, handledKey(x.Kind, x.Subject))
	} else if at, ok := f.transferOf(a); ok {
		keys = append(keys, transferKey(at))
	}
	if part := PartOf(ev); part.Part > 0 {
		keys = append(keys, partKey(f.origin.Store, part), orderKey(part.Order))
	}
	for _, row := range a.feedRows {
		keys = append(keys, feedHeadKey(row.feed))
		if keys, err = f.set.referenceKeys(keys, row); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

// reissueKeys adds what tells whether the event's effect already counted.
func (f *fold) reissueKeys(keys []Key, a *act) ([]Key, error) {
	if !a.reissue {
		own, err := get(f.set, f.stream, decodeStream)
		if err == nil && own.Reissued {
			keys = append(keys, reissueKey(a.id))
		}
		return keys, err
	}
	return append(keys, reissueKey(a.id), f.parentKey(a), deadKey(a.id)), nil
}

func (f *fold) parentKey(a *act) Key {
	return streamKey(protocol.Origin{Store: f.origin.Store, Agent: f.origin.Agent, Inc: a.id.Inc})
}

// counted tells whether the effect of the event was folded before, under
// whichever stream; if not, it notes that it is being folded now.
func (f *fold) counted(a *act) (bool, error) {
	if !a.reissue {
		own, err := get(f.set, f.stream, decodeStream)
		if err != nil || !own.Reissued {
			return false, err
		}
		seen, err := get(f.set, reissueKey(a.id), decodeBodies)
		if err != nil || len(seen.sums) == 0 {
			return false, err
		}
		return f.noteBody(a)
	}
	parent, err := change(f.set, f.parentKey(a), decodeStream)
	if err != nil {
		return false, err
	}
	parent.Reissued = true
	dead, err := get(f.set, deadKey(a.id), decodeBlob)
	if err != nil {
		return false, err
	}
	// A dead event counts for nothing and so has no body to differ from, whether
	// it came before this one or comes after it.
	if parent.Seq >= a.id.Seq && len(dead) == 0 {
		if err := f.set.flushFresh(); err != nil {
			return false, err
		}
		original, ok, err := ReadRecord(f.set.tx, a.id)
		if err != nil || !ok {
			// One that was trimmed was folded, and its bytes are no longer
			// here to differ from.
			return err == nil, err
		}
		seen, err := change(f.set, reissueKey(a.id), decodeBodies)
		if err != nil {
			return false, err
		}
		seen.add(sha256.Sum256(original.AppendTo(nil)))
	}
	return f.noteBody(a)
}

// noteBody adds the event's body to those folded under its id and raises an
// exception when there is more than one.
func (f *fold) noteBody(a *act) (bool, error) {
	seen, err := change(f.set, reissueKey(a.id), decodeBodies)
	if err != nil {
		return false, err
	}
	sum := protocol.Hash(sha256.Sum256(a.record.AppendTo(nil)))
	fresh := seen.add(sum)
	if a.reissue {
		seen.addPlace(place{sum, a.at})
	}
	if len(seen.sums) > 1 {
		f.set.raise(f.origin.Store, ExceptionEventTwice, a.id.String(), []protocol.EventID{a.id})
	}
	return !fresh, nil
}

func (f *fold) apply(a *act) error {
	if a.event == nil {
		f.res.Dead++
		f.set.put(deadKey(a.at), blob(a.dead))
		return nil
	}
	if err := f.raiseRegister(a); err != nil {
		return err
	}
	counted, err := f.counted(a)
	if err != nil || counted {
		return err
	}
	for i, m := range a.event.Moves {
		level, err := change(f.set, a.levels[i], stock.DecodeLevel)
		if err != nil {
			return err
		}
		level.Add(m.State, m.Delta)
		f.sums.add(m)
	}
	if err := f.doubt(a); err != nil {
		return err
	}
	if part := PartOf(a.event); part.Part > 0 {
		if err := f.part(a, part); err != nil {
			return err
		}
	}
	if err := f.transfer(a); err != nil {
		return err
	}
	if err := f.returned(a); err != nil {
		return err
	}
	if err := f.points(a); err != nil {
		return err
	}
	if err := f.timeline(a); err != nil {
		return err
	}
	switch ev := a.event; {
	case ev.Sale != nil:
		return f.sale(a, ev.Sale)
	case ev.Movement != nil:
		return f.movement(ev.Movement)
	case ev.StockLoad != nil:
		load, err := change(f.set, loadKey(f.origin.Store, ev.StockLoad.ID), decodeLoad)
		if err == nil {
			load.add(ev.StockLoad, a.id)
		}
		return err
	case ev.Gap != nil:
		return f.gap(a, ev.Gap)
	case ev.Digest != nil:
		return f.digest(a, ev.Digest)
	case ev.ExceptionChange != nil:
		return f.handle(a, ev.ExceptionChange)
	case ev.Catalog != nil:
		return f.catalog(a)
	case ev.Member != nil:
		return f.member(a)
	case ev.Cart != nil:
		return f.cart(a)
	}
	return nil
}

// raiseRegister notes the receipt number that the event used, with the stream
// that used it first. It does so before de-duplication, because a number is
// used by being in a log.
func (f *fold) raiseRegister(a *act) error {
	s := a.event.Sale
	if s == nil {
		return nil
	}
	key := f.stream
	if a.reissue {
		key = f.parentKey(a)
	}
	stream, err := change(f.set, key, decodeStream)
	if err == nil {
		stream.raise(s.Till, s.Series, s.Number)
	}
	return err
}

func (f *fold) sale(a *act, s *protocol.Sale) error {
	no := receiptOf(a.receipt)
	receipt, err := change(f.set, a.receipt, decodeReceipt)
	if err != nil {
		return err
	}
	receipt.claim(a.id, f.origin, s)
	f.sold(a, s)
	f.set.raiseReceipt(no, receipt)
	if s.Original != "" {
		original, err := change(f.set, receiptKey(s.Original), decodeReceipt)
		if err != nil {
			return err
		}
		original.reverse(a.id, s)
		f.set.raiseReceipt(s.Original, original)
	}
	if x := s.External; x != nil {
		ids, err := change(f.set, externalKey(x.Source, x.ID), decodeIDSet)
		if err != nil {
			return err
		}
		ids.add(a.id)
		if len(*ids) > 1 {
			f.set.raise(protocol.ChainStore, ExceptionExternalTwice, x.Source+" "+x.ID, *ids)
		}
		f.set.raiseExternal(f.origin.Store, a.id, s.Warnings)
	}
	return nil
}

func (f *fold) movement(m *protocol.Movement) error {
	if m.Type == protocol.Count {
		for _, l := range m.Lines {
			level, err := change(f.set, levelKey(f.origin.Store, l.Item.SKU), stock.DecodeLevel)
			if err != nil {
				return err
			}
			level.ClearSeen(m.Seen)
		}
	}
	if m.Load == "" {
		return nil
	}
	load, err := change(f.set, loadKey(f.origin.Store, m.Load), decodeLoad)
	if err == nil {
		load.Applied = max(load.Applied, m.LoadRows)
	}
	return err
}

// doubted are the items whose book an event found wrong: what a count had missed,
// and what a clerk who picks an order took out of the book.
func doubted(ev *protocol.Event) (skus []protocol.SKU) {
	if ev.CountSeen != nil {
		return ev.CountSeen.SKUs
	}
	if ev.Fulfilment == nil || ev.Fulfilment.Act != protocol.Pick {
		return nil
	}
	for _, m := range ev.Moves {
		if m.State == protocol.OnHand && m.Delta < 0 {
			skus = append(skus, m.SKU)
		}
	}
	return skus
}

func (f *fold) doubt(a *act) error {
	for _, sku := range doubted(a.event) {
		level, err := change(f.set, levelKey(f.origin.Store, sku), stock.DecodeLevel)
		if err != nil {
			return err
		}
		level.MarkUnseen(protocol.StreamPos{Inc: a.id.Inc, Seq: a.id.Seq})
	}
	return nil
}

// catalog replaces reference rows and puts them on their feeds. A row that
// stays the same keeps its place.
func (f *fold) catalog(a *act) error {
	for _, row := range a.feedRows {
		ref, err := get(f.set, row.key, decodeReference)
		if err != nil {
			return err
		}
		if ref.offset > 0 && string(ref.value) == string(row.value) {
			continue
		}
		head, err := change(f.set, feedHeadKey(row.feed), decodeFeedHead)
		if err != nil {
			return err
		}
		head.offset++
		if ref.offset > 0 {
			f.set.put(feedKey(row.feed, ref.offset), blob(nil))
		}
		f.set.put(feedKey(row.feed, head.offset), blob(row.name))
		if err := f.set.putReference(row, head.offset); err != nil {
			return err
		}
		f.res.Feeds[row.feed] = f.res.Feeds[row.feed].Join(Growth{Before: head.offset - 1, Head: head.offset})
	}
	return nil
}
