package ledger

import (
	"fmt"
	"slices"
	"strings"

	"counterpart/protocol"
	"counterpart/protocol/stock"

	"google.golang.org/protobuf/encoding/protowire"
)

// Gap is a part of a stream that exists nowhere any more, and the hub's events
// that stand for it.
type Gap struct {
	Origin   protocol.Origin
	From, To protocol.Seq
	Hash     protocol.Hash // after To
	Events   []protocol.EventID
}

func gapKey(o protocol.Origin, from protocol.Seq) Key {
	return stateKey("gap", string(o.Store), string(o.Agent), o.Inc.String(), fmt.Sprintf("%020d", from))
}

// Encode writes the gap's row.
func (g *Gap) Encode() []byte {
	var f fields
	f.uint(1, uint64(g.From))
	f.uint(2, uint64(g.To))
	f.bytes(3, g.Hash[:])
	for _, id := range g.Events {
		f.element(4, encodeID(id))
	}
	return f
}

func decodeGap(b []byte) (*Gap, error) {
	g := &Gap{}
	err := decodeFields("gap", b, func(num protowire.Number, v value) error {
		switch num {
		case 1:
			g.From = protocol.Seq(v.num)
		case 2:
			g.To = protocol.Seq(v.num)
		case 3:
			copy(g.Hash[:], v.data)
		case 4:
			id, err := decodeID(v.data)
			g.Events = append(g.Events, id)
			return err
		}
		return nil
	})
	return g, err
}

// Gaps lists the gaps of a store's streams, or of all where store is empty, in
// the order of agent, inc and number.
func Gaps(r Reader, store protocol.StoreID) ([]Gap, error) {
	prefix := "gap" + sep
	if store != "" {
		prefix += string(store) + sep
	}
	var list []Gap
	err := r.Scan(States, prefix, after(prefix), func(id string, v []byte) (bool, error) {
		parts, err := split(id, 4)
		if err != nil {
			return false, err
		}
		g, err := decodeGap(v)
		if err != nil {
			return false, err
		}
		g.Origin = protocol.Origin{Store: protocol.StoreID(parts[0]), Agent: protocol.AgentID(parts[1])}
		if g.Origin.Inc, err = protocol.ParseInc(parts[2]); err != nil {
			return false, err
		}
		list = append(list, *g)
		return true, nil
	})
	return list, err
}

func (f *fold) gapOrigin(g *protocol.Gap) protocol.Origin {
	return protocol.Origin{Store: f.origin.Store, Agent: g.Agent, Inc: g.Inc}
}

func (f *fold) gapKeys(keys []Key, g *protocol.Gap) []Key {
	o := f.gapOrigin(g)
	keys = append(keys, streamKey(o), gapKey(o, g.From), sumKey(o.Store, o.Agent))
	for _, m := range g.Moves {
		keys = append(keys, levelKey(f.origin.Store, m.SKU))
	}
	return keys
}

// gap lets a stream go on behind events that are lost, and adds to the levels
// what they had added. Who has the events needs neither.
func (f *fold) gap(a *act, g *protocol.Gap) error {
	o := f.gapOrigin(g)
	stream, err := change(f.set, streamKey(o), decodeStream)
	if err != nil {
		return err
	}
	row, err := change(f.set, gapKey(o, g.From), decodeGap)
	if err != nil {
		return err
	}
	row.From, row.To, row.Hash = g.From, max(row.To, g.To), g.Hash
	if !slices.Contains(row.Events, a.id) {
		row.Events = append(row.Events, a.id)
		slices.SortFunc(row.Events, compareIDs)
	}
	f.set.raise(f.origin.Store, ExceptionGap, fmt.Sprintf("%s %s %d-%d", g.Agent, g.Inc, g.From, g.To), row.Events)
	if stream.Seq >= g.To || stream.Seq+1 != g.From {
		return nil
	}
	sums, err := f.openSums(g.Agent, g.From)
	if err != nil {
		return err
	}
	for _, m := range g.Moves {
		level, err := change(f.set, levelKey(f.origin.Store, m.SKU), stock.DecodeLevel)
		if err != nil {
			return err
		}
		level.Add(m.State, m.Delta)
		sums.add(m)
	}
	if g.Part == g.Parts {
		stream.Seq, stream.Hash = g.To, g.Hash
	}
	return nil
}

// Trimmed is what a machine remembers of events that it has deleted: where they
// ended, and what each item's levels had gained from them.
type Trimmed struct {
	Seq  protocol.Seq
	Hash protocol.Hash // after Seq
}

func trimmedKey(inc protocol.Inc) Key {
	return Key{Notes, "trimmed" + sep + inc.String()}
}

func trimmedSumKey(inc protocol.Inc, sku protocol.SKU) Key {
	return Key{Notes, "trimmed-sum" + sep + inc.String() + sep + string(sku)}
}

// ReadTrimmed reads up to where a stream was trimmed; zero where it was not.
func ReadTrimmed(r Reader, inc protocol.Inc) (t Trimmed, err error) {
	values, err := r.Load([]Key{trimmedKey(inc)})
	if err != nil || values[0] == nil {
		return t, err
	}
	s, err := decodeStream(values[0])
	if err == nil {
		t.Seq, t.Hash = s.Seq, s.Hash
	}
	return t, err
}

// TrimEvents deletes up to most events of a stream below seq, oldest first, and
// returns how many it deleted. The caller has made sure that they are safe. What
// they had added to the levels is remembered, for a hub that was restored from
// an older copy.
func TrimEvents(tx Tx, inc protocol.Inc, below protocol.Seq, most int) (int, error) {
	s := newSet(tx)
	n := 0
	last := Trimmed{}
	err := ScanEvents(tx, inc, 1, func(seq protocol.Seq, h protocol.Hash, rec protocol.Record) (bool, error) {
		if seq >= below || n >= most {
			return false, nil
		}
		n++
		last.Seq, last.Hash = seq, h
		s.put(eventKey(protocol.EventID{Inc: inc, Seq: seq}), blob(nil))
		ev, err := protocol.DecodeEvent(rec.Body)
		if err != nil {
			return true, nil // It was never folded.
		}
		for _, m := range ev.Moves {
			key := trimmedSumKey(inc, m.SKU)
			if err := s.load([]Key{key}); err != nil {
				return false, err
			}
			sum, err := change(s, key, stock.DecodeLevel)
			if err != nil {
				return false, err
			}
			sum.Add(m.State, m.Delta)
		}
		return true, nil
	})
	if err != nil || n == 0 {
		return 0, err
	}
	s.put(trimmedKey(inc), &Stream{Seq: last.Seq, Hash: last.Hash})
	// A hole before the first event that is left is part of what is gone.
	holes, err := holesOf(tx, inc)
	if err != nil {
		return 0, err
	}
	for _, h := range holes {
		if h.To <= last.Seq {
			s.put(holeKey(inc, h.From), blob(nil))
		}
	}
	return n, s.flush()
}

// TrimmedSums are what the trimmed events of a stream had added to the levels,
// in the order of SKU bytes. Events that were logged again after a fork are left
// out: whether they counted here cannot be known any more.
func TrimmedSums(r Reader, inc protocol.Inc) ([]protocol.Move, error) {
	var moves []protocol.Move
	prefix := trimmedSumKey(inc, "").ID
	err := r.Scan(Notes, prefix, after(prefix), func(id string, v []byte) (bool, error) {
		sum, err := stock.DecodeLevel(v)
		if err != nil {
			return false, err
		}
		moves = appendSums(moves, protocol.SKU(strings.TrimPrefix(id, prefix)), sum)
		return true, nil
	})
	return moves, err
}

func appendSums(moves []protocol.Move, sku protocol.SKU, sum *stock.Level) []protocol.Move {
	for state := range protocol.StateCount {
		if q := sum.Quantity(state); q != 0 {
			moves = append(moves, protocol.Move{SKU: sku, State: state, Delta: q})
		}
	}
	return moves
}

// Missing is what the lost events of a stream had added to the levels: sums are
// those of its events up to the end of the gap, and the rest is what is here.
func Missing(r Reader, o protocol.Origin, sums []protocol.Move) ([]protocol.Move, error) {
	left := map[protocol.SKU]*stock.Level{}
	var order []protocol.SKU
	add := func(m protocol.Move, sign protocol.Quantity) {
		level := left[m.SKU]
		if level == nil {
			level = &stock.Level{}
			left[m.SKU] = level
			order = append(order, m.SKU)
		}
		level.Add(m.State, sign*m.Delta)
	}
	for _, m := range sums {
		add(m, 1)
	}
	err := ScanEvents(r, o.Inc, 1, func(_ protocol.Seq, _ protocol.Hash, rec protocol.Record) (bool, error) {
		if ev, err := protocol.DecodeEvent(rec.Body); err == nil {
			for _, m := range ev.Moves {
				add(m, -1)
			}
		}
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	gaps, err := Gaps(r, o.Store)
	if err != nil {
		return nil, err
	}
	for _, g := range gaps {
		if g.Origin != o {
			continue
		}
		for _, id := range g.Events {
			rec, ok, err := ReadRecord(r, id)
			if err != nil || !ok {
				return nil, fmt.Errorf("event %s of a gap cannot be read: %w", id, err)
			}
			ev, err := protocol.DecodeEvent(rec.Body)
			if err != nil {
				return nil, err
			}
			for _, m := range ev.Gap.Moves {
				add(m, -1)
			}
		}
	}
	slices.Sort(order)
	var missing []protocol.Move
	for _, sku := range order {
		missing = appendSums(missing, sku, left[sku])
	}
	return missing, nil
}

// hashBefore is the hash that an event of a stream continues, as long as it is
// known: from the event before, from what was trimmed, or from the end of a gap.
func hashBefore(r Reader, o protocol.Origin, seq protocol.Seq) (protocol.Hash, error) {
	hash, ok, err := HashAt(r, protocol.EventID{Inc: o.Inc, Seq: seq - 1})
	if ok || err != nil {
		return hash, err
	}
	trimmed, err := ReadTrimmed(r, o.Inc)
	if err != nil || trimmed.Seq == seq-1 {
		return trimmed.Hash, err
	}
	holes, err := holesOf(r, o.Inc)
	if err != nil {
		return hash, err
	}
	for _, h := range holes {
		if h.To == seq-1 {
			return h.Hash, nil
		}
	}
	gaps, err := Gaps(r, o.Store)
	if err != nil {
		return hash, err
	}
	for _, g := range gaps {
		if g.Origin == o && g.To == seq-1 {
			return g.Hash, nil
		}
	}
	return hash, ErrTrimmed
}
