package till

import (
	"maps"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// Position is how far somebody has looked at each stream of the store. None is
// the place of somebody who has seen nothing.
type Position map[protocol.Inc]protocol.Seq

// touchedStep is how many events one look goes through, so that none reads for
// long in one transaction.
const touchedStep = 5000

// touched are the parts of orders that events of the store's streams name.
type touched struct {
	parts []protocol.PartID // in the order of their first mention
	noted map[protocol.PartID]bool
	at    Position // how far the look went
	more  bool     // it has to go on from there
	// all says that events in between are not here, because they were trimmed or
	// came as a state: any part may have changed.
	all bool
}

// touchedAfter looks at the events of the store's other streams behind a
// position. What this machine logs itself it knows without looking.
func (t *Till) touchedAfter(r ledger.Reader, after Position) (touched, error) {
	streams, err := ledger.Streams(r, t.origin().Store, "")
	if err != nil {
		return touched{}, err
	}
	found := touched{at: Position{}, all: after == nil}
	maps.Copy(found.at, after)
	left := protocol.Seq(touchedStep)
	for _, s := range streams {
		inc, from := s.Origin.Inc, found.at[s.Origin.Inc]
		if inc == t.origin().Inc || from >= s.Seq || found.all {
			continue
		}
		upTo := min(s.Seq, from+left)
		left -= upTo - from
		found.more = found.more || upTo < s.Seq
		whole, err := found.look(r, inc, from, upTo)
		if err != nil {
			return touched{}, err
		}
		found.all, found.at[inc] = !whole, upTo
	}
	if !found.all {
		return found, nil
	}
	for _, s := range streams {
		found.at[s.Origin.Inc] = s.Seq
	}
	found.more = false
	return found, nil
}

// look notes the parts that the events of one stream name, and tells whether
// all of the events are here.
func (f *touched) look(r ledger.Reader, inc protocol.Inc, from, upTo protocol.Seq) (whole bool, err error) {
	next := from + 1
	err = ledger.ScanEvents(r, inc, next, func(at protocol.Seq, _ protocol.Hash, rec protocol.Record) (bool, error) {
		if at > upTo || at != next {
			return false, nil
		}
		next++
		e, err := decodeLogged(protocol.EventID{Inc: inc, Seq: at}, rec)
		if err != nil {
			return true, nil // dead at the fold as well
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
