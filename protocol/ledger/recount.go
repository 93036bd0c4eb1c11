package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"counterpart/protocol"
	"counterpart/protocol/stock"
)

// ErrLogNotWhole is returned where a store's events are no longer all in the
// log, so that nothing can be counted again.
var ErrLogNotWhole = errors.New("the log does not hold every event of the store")

// Recounted says what Recount had to set right. It is empty where the rows were
// what the events give.
type Recounted struct {
	Agents []protocol.AgentID // their sums were others
	Begun  []protocol.AgentID // their sums were not known
	SKUs   []protocol.SKU     // their levels were others
}

// recountStep is how many events of a stream are read from one state.
const recountStep = 2000

// recountTries is how often a recount catches up with a store that goes on
// selling before it gives up until the next time.
const recountTries = 100

// Recount folds the moves of a store's whole log once more, beside the rows
// that are stored, and replaces the sums of its agents and the levels of some
// buckets where they are not what the log gives. It reads in small steps and
// writes one transaction for each bucket; nobody waits for it meanwhile.
func Recount(ctx context.Context, d Driver, store protocol.StoreID, buckets []int) (Recounted, error) {
	rc := &recount{store: store, at: map[protocol.Origin]protocol.Seq{}, again: map[protocol.EventID][]protocol.Hash{}, sums: map[protocol.AgentID]*protocol.Sums{}, levels: map[protocol.SKU]*stock.Level{}}
	for _, b := range buckets {
		rc.buckets[b] = true
	}
	var suspects [protocol.SumBuckets][]protocol.SKU
	err := rc.settled(ctx, d.View, func(r Reader) (err error) {
		suspects, err = rc.suspects(r)
		return err
	}, d)
	if err != nil {
		return Recounted{}, err
	}
	var found Recounted
	update := func(ctx context.Context, fn func(Reader) error) error {
		return d.Update(ctx, func(tx Tx) error { return fn(tx) })
	}
	for _, skus := range suspects {
		var wrong []protocol.SKU
		if len(skus) == 0 {
			continue
		}
		err := rc.settled(ctx, update, func(r Reader) (err error) {
			wrong, err = rc.repairLevels(r.(Tx), skus)
			return err
		}, d)
		if err != nil {
			return found, err
		}
		found.SKUs = append(found.SKUs, wrong...)
	}
	err = rc.settled(ctx, update, func(r Reader) (err error) {
		found.Agents, found.Begun, err = rc.repairSums(r.(Tx))
		return err
	}, d)
	return found, err
}

// recount is what a store's events up to some numbers give.
type recount struct {
	store   protocol.StoreID
	buckets [protocol.SumBuckets]bool // whose levels are counted
	at      map[protocol.Origin]protocol.Seq
	again   map[protocol.EventID][]protocol.Hash // bodies that counted as reissues
	sums    map[protocol.AgentID]*protocol.Sums
	levels  map[protocol.SKU]*stock.Level
}

// settled runs fn on a state whose events are exactly those that were counted.
func (rc *recount) settled(ctx context.Context, run func(context.Context, func(Reader) error) error, fn func(Reader) error, d Driver) error {
	for range recountTries {
		for more := true; more; {
			err := d.View(ctx, func(r Reader) (err error) {
				more, err = rc.step(r)
				return err
			})
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return err
			}
		}
		done := false
		err := run(ctx, func(r Reader) error {
			var err error
			if done, err = rc.current(r); err != nil || !done {
				return err
			}
			return fn(r)
		})
		if err != nil || done {
			return err
		}
	}
	return fmt.Errorf("store %s changes faster than it can be counted again", rc.store)
}

func (rc *recount) current(r Reader) (bool, error) {
	streams, err := Streams(r, rc.store, "")
	for _, s := range streams {
		if rc.at[s.Origin] != s.Seq {
			return false, err
		}
	}
	return err == nil, err
}

// step counts some events of each stream and tells whether there are more.
func (rc *recount) step(r Reader) (more bool, err error) {
	streams, err := Streams(r, rc.store, "")
	if err != nil {
		return false, err
	}
	aside, err := eventsAside(r)
	if err != nil {
		return false, err
	}
	for _, s := range streams {
		from := rc.at[s.Origin]
		if from > s.Seq {
			return false, ErrLogNotWhole // A fork cuts it back just now.
		}
		if from == s.Seq {
			continue
		}
		next, upto := from+1, min(s.Seq, from+recountStep)
		err := ScanEvents(r, s.Origin.Inc, next, func(seq protocol.Seq, _ protocol.Hash, rec protocol.Record) (bool, error) {
			if seq != next {
				return false, ErrLogNotWhole
			}
			if err := rc.event(r, s.Origin, seq, rec, aside); err != nil {
				return false, err
			}
			next++
			return next <= upto, nil
		})
		if err == nil && next <= upto {
			err = ErrLogNotWhole
		}
		if err != nil {
			return false, err
		}
		rc.at[s.Origin] = upto
		more = more || upto < s.Seq
	}
	return more, nil
}

// event counts one event as the fold does.
func (rc *recount) event(r Reader, o protocol.Origin, seq protocol.Seq, rec protocol.Record, aside map[string]string) error {
	f := fold{origin: o}
	a := f.decode(protocol.EventID{Inc: o.Inc, Seq: seq}, rec, nil)
	if _, ok := aside[a.at.String()]; ok || a.event == nil {
		return nil
	}
	if counted, err := rc.counted(r, o, &a); err != nil || counted {
		return err
	}
	sums := rc.sums[o.Agent]
	if sums == nil {
		sums = &protocol.Sums{}
		rc.sums[o.Agent] = sums
	}
	for _, m := range a.event.Moves {
		hashSKU(m.SKU).addTo(sums, m.State, m.Delta)
		rc.touch(m.SKU, func(l *stock.Level) { l.Add(m.State, m.Delta) })
	}
	if m := a.event.Movement; m != nil && m.Type == protocol.Count {
		for i := range m.Lines {
			rc.touch(m.Lines[i].Item.SKU, func(l *stock.Level) { l.ClearSeen(m.Seen) })
		}
	}
	for _, sku := range doubted(a.event) {
		rc.touch(sku, func(l *stock.Level) { l.MarkUnseen(protocol.StreamPos{Inc: a.id.Inc, Seq: a.id.Seq}) })
	}
	return nil
}

// touch changes a level that is counted.
func (rc *recount) touch(sku protocol.SKU, change func(*stock.Level)) {
	if !rc.buckets[hashSKU(sku).bucket()] {
		return
	}
	l := rc.levels[sku]
	if l == nil {
		l = &stock.Level{}
		rc.levels[protocol.SKU(strings.Clone(string(sku)))] = l
	}
	change(l)
}

// counted tells whether the event's body was counted before under its id, and
// notes one that was logged again.
func (rc *recount) counted(r Reader, o protocol.Origin, a *act) (bool, error) {
	seen := rc.again[a.id]
	if !a.reissue && len(seen) == 0 {
		return false, nil
	}
	sum := protocol.Hash(sha256.Sum256(a.record.AppendTo(nil)))
	if slices.Contains(seen, sum) {
		return true, nil
	}
	if !a.reissue {
		return false, nil
	}
	if o.Inc = a.id.Inc; rc.at[o] >= a.id.Seq {
		original, ok, err := ReadRecord(r, a.id)
		if err != nil || ok && protocol.Hash(sha256.Sum256(original.AppendTo(nil))) == sum {
			return true, err
		}
	}
	rc.again[a.id] = append(seen, sum)
	return false, nil
}

// suspects are the items whose stored levels are others, by bucket.
func (rc *recount) suspects(r Reader) (list [protocol.SumBuckets][]protocol.SKU, err error) {
	stored := map[protocol.SKU]bool{}
	add := func(sku protocol.SKU, row []byte) {
		bucket := hashSKU(sku).bucket()
		if l := rc.levels[sku]; rc.buckets[bucket] && (l == nil || row == nil || !bytes.Equal(l.Encode(), row)) {
			list[bucket] = append(list[bucket], sku)
		}
	}
	prefix := levelKey(rc.store, "").ID
	err = r.Scan(States, prefix, after(prefix), func(id string, v []byte) (bool, error) {
		sku := protocol.SKU(strings.Clone(id[len(prefix):]))
		if rc.buckets[hashSKU(sku).bucket()] {
			stored[sku] = true
			add(sku, v)
		}
		return true, nil
	})
	for sku := range rc.levels {
		if !stored[sku] {
			add(sku, nil)
		}
	}
	for i := range list {
		slices.Sort(list[i])
	}
	return list, err
}

// repairLevels replaces the levels that are not what the events give.
func (rc *recount) repairLevels(tx Tx, skus []protocol.SKU) ([]protocol.SKU, error) {
	keys := make([]Key, len(skus))
	for i, sku := range skus {
		keys[i] = levelKey(rc.store, sku)
	}
	values, err := tx.Load(keys)
	if err != nil {
		return nil, err
	}
	var rows []Row
	var wrong []protocol.SKU
	for i, sku := range skus {
		row := Row{Key: keys[i]}
		if l := rc.levels[sku]; l != nil {
			row.Value = l.Encode()
		}
		if (row.Value == nil) != (values[i] == nil) || !bytes.Equal(row.Value, values[i]) {
			rows, wrong = append(rows, row), append(wrong, sku)
		}
	}
	if len(rows) == 0 {
		return nil, nil
	}
	return wrong, tx.Write(rows)
}

// repairSums replaces the sums that are not what the events give, and begins
// those that were not known.
func (rc *recount) repairSums(tx Tx) (wrong, begun []protocol.AgentID, err error) {
	streams, err := Streams(tx, rc.store, "")
	if err != nil {
		return nil, nil, err
	}
	var rows []Row
	var last protocol.AgentID
	for _, s := range streams {
		if s.Seq == 0 || s.Origin.Agent == last {
			continue
		}
		last = s.Origin.Agent
		want := sumRow{known: true}
		if sums := rc.sums[last]; sums != nil {
			want.sums = *sums
		}
		stored, err := readSums(tx, rc.store, last)
		switch {
		case err != nil:
			return nil, nil, err
		case !stored.known:
			begun = append(begun, last)
		case stored.sums != want.sums:
			wrong = append(wrong, last)
		default:
			continue
		}
		rows = append(rows, Row{Key: sumKey(rc.store, last), Value: want.Encode()})
	}
	if len(rows) == 0 {
		return nil, nil, nil
	}
	return wrong, begun, tx.Write(rows)
}
