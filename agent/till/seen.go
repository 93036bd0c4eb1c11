package till

import (
	"context"
	"encoding/binary"
	"errors"
	"maps"
	"slices"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// Notes of what was looked at. Under the first, by stream, is the number up to
// which its counts were looked at; under the second, by the count's event, is
// that a count_seen was logged for it.
const (
	noteSeenUpTo = "counts_seen"
	noteSeen     = "count_seen"
)

// seenStep is how many events of a stream one step looks at.
const seenStep = 2000

// SeeCounts looks at the counts of the store's other machines that were folded
// since it was last called. Where this machine had logged movements of counted
// items that the counter had not seen, it logs one count_seen that names them,
// once for each count. It is called after events of others were folded.
func (t *Till) SeeCounts(ctx context.Context) error {
	t.seeing.Lock()
	defer t.seeing.Unlock()
	var streams []ledger.StreamInfo
	err := t.o.Driver.View(ctx, func(r ledger.Reader) (err error) {
		streams, err = ledger.Streams(r, t.origin().Store, "")
		return err
	})
	if err != nil {
		return err
	}
	for _, s := range streams {
		if s.Origin.Agent == protocol.HubAgent || s.Origin.Inc == t.origin().Inc {
			continue
		}
		for more := true; more; {
			if more, err = t.seeStream(ctx, s.Origin.Inc, s.Seq); err != nil {
				return err
			}
		}
	}
	return nil
}

// siblingCount is a count of another machine, with what this one had done that
// the counter had not seen.
type siblingCount struct {
	at       protocol.Seq // where it is logged
	id       protocol.EventID
	movement *protocol.Movement
	skus     map[protocol.SKU]bool // affected
}

// seeStream takes one step through a stream up to its number last. It tells
// whether there is more to look at.
func (t *Till) seeStream(ctx context.Context, inc protocol.Inc, last protocol.Seq) (more bool, err error) {
	var from, upTo, own protocol.Seq
	var counts []siblingCount
	err = t.o.Driver.View(ctx, func(r ledger.Reader) error {
		if from, err = readSeenUpTo(r, inc); err != nil || from >= last {
			return err
		}
		if counts, upTo, err = countsBetween(r, inc, from, last); err != nil {
			return err
		}
		stream, err := ledger.ReadStream(r, t.origin())
		if err != nil {
			return err
		}
		own = stream.Seq
		return t.affected(r, counts, 0, own)
	})
	if err != nil || from >= last {
		return false, err
	}
	now, mono, as, appended := t.o.Now(), t.o.Mono(), t.present.Load(), false
	err = t.o.Driver.Update(ctx, func(tx ledger.Tx) error {
		appended = false
		if err := as.check(tx); err != nil {
			return err
		}
		if at, err := readSeenUpTo(tx, inc); err != nil || at >= upTo {
			return err
		}
		shop, err := t.readShop(tx)
		if err != nil {
			return err
		}
		a := &act{desk: desk{Till: t, as: as, r: tx, now: now, shop: shop}, tx: tx, mono: mono}
		if appended, err = a.logSeen(counts, own); err != nil {
			return err
		}
		return ledger.SetNote(tx, binary.BigEndian.AppendUint64(nil, uint64(upTo)), noteSeenUpTo, inc.String())
	})
	if errors.Is(err, errForked) {
		return false, t.Refresh(ctx)
	}
	if err != nil {
		return false, err
	}
	if appended {
		t.o.Appended()
	}
	return upTo < last, nil
}

// Looked is up to where the counts in a stream of another machine were looked
// at. What lies beyond must stay in the log.
func Looked(r ledger.Reader, inc protocol.Inc) (protocol.Seq, error) { return readSeenUpTo(r, inc) }

// errSeenNote is returned for a note that this package did not write.
var errSeenNote = errors.New("the note of seen counts is cut off")

func readSeenUpTo(r ledger.Reader, inc protocol.Inc) (protocol.Seq, error) {
	b, err := ledger.Note(r, noteSeenUpTo, inc.String())
	switch {
	case err != nil || b == nil:
		return 0, err
	case len(b) != 8:
		return 0, errSeenNote
	}
	return protocol.Seq(binary.BigEndian.Uint64(b)), nil
}

// countsBetween finds the counts among a step's worth of events above from,
// and how far it looked. Events that are not here any more are stepped over.
func countsBetween(r ledger.Reader, inc protocol.Inc, from, last protocol.Seq) ([]siblingCount, protocol.Seq, error) {
	var counts []siblingCount
	upTo, looked := last, 0
	err := ledger.ScanEvents(r, inc, from+1, func(at protocol.Seq, _ protocol.Hash, rec protocol.Record) (bool, error) {
		if at > last {
			return false, nil
		}
		if looked++; looked > seenStep {
			upTo = at - 1
			return false, nil
		}
		e, err := decodeLogged(protocol.EventID{Inc: inc, Seq: at}, rec)
		if err != nil {
			return true, nil // dead at the fold as well, and no count
		}
		if m := e.event.Movement; m != nil && m.Type == protocol.Count {
			counts = append(counts, siblingCount{at: at, id: e.id, movement: m, skus: map[protocol.SKU]bool{}})
		}
		return true, nil
	})
	return counts, upTo, err
}

// affected marks the counted items that this machine's events above after, up
// to last, moved without the counter having seen it.
func (t *Till) affected(r ledger.Reader, counts []siblingCount, after, last protocol.Seq) error {
	if len(counts) == 0 {
		return nil
	}
	first := last + 1
	for i := range counts {
		first = min(first, max(after, counts[i].sawUpTo(t.origin().Inc))+1)
	}
	if first > last {
		return nil
	}
	counted := map[protocol.SKU][]int{}
	for i := range counts {
		for _, l := range counts[i].movement.Lines {
			counted[l.Item.SKU] = append(counted[l.Item.SKU], i)
		}
	}
	return ledger.ScanEvents(r, t.origin().Inc, first, func(at protocol.Seq, _ protocol.Hash, rec protocol.Record) (bool, error) {
		if at > last {
			return false, nil
		}
		e, err := decodeLogged(protocol.EventID{Inc: t.origin().Inc, Seq: at}, rec)
		if err != nil {
			return false, err
		}
		for _, m := range e.event.Moves {
			if m.State != protocol.OnHand && m.State != protocol.Staged {
				continue
			}
			for _, i := range counted[m.SKU] {
				if at > counts[i].sawUpTo(t.origin().Inc) {
					counts[i].skus[m.SKU] = true
				}
			}
		}
		return true, nil
	})
}

// sawUpTo is how far the counter had folded a stream.
func (c *siblingCount) sawUpTo(inc protocol.Inc) protocol.Seq {
	for _, p := range c.movement.Seen {
		if p.Inc == inc {
			return p.Seq
		}
	}
	return 0
}

// logSeen logs a count_seen for each count that missed something. What was
// logged since the look at own is added first.
func (a *act) logSeen(counts []siblingCount, own protocol.Seq) (appended bool, err error) {
	stream, err := ledger.ReadStream(a.tx, a.origin())
	if err != nil {
		return false, err
	}
	// The driver may run this again, so what was found before stays as it is.
	counts = slices.Clone(counts)
	for i := range counts {
		counts[i].skus = maps.Clone(counts[i].skus)
	}
	if err := a.affected(a.tx, counts, own, stream.Seq); err != nil {
		return false, err
	}
	for _, c := range counts {
		if len(c.skus) == 0 {
			continue
		}
		// A count that was logged again after a fork stands in two streams.
		before, err := ledger.Note(a.tx, noteSeen, c.id.String())
		if err != nil {
			return false, err
		}
		if before != nil {
			continue
		}
		seen := &protocol.CountSeen{Count: c.id}
		for _, l := range c.movement.Lines {
			if c.skus[l.Item.SKU] {
				seen.SKUs = append(seen.SKUs, l.Item.SKU)
				delete(c.skus, l.Item.SKU)
			}
		}
		if err := a.log(&protocol.Event{Kind: protocol.KindCountSeen, CountSeen: seen}); err != nil {
			return false, err
		}
		if err := ledger.SetNote(a.tx, []byte{1}, noteSeen, c.id.String()); err != nil {
			return false, err
		}
		appended = true
	}
	return appended, nil
}
