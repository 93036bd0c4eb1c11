package till

import (
	"cmp"
	"maps"
	"slices"
	"sync"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/pickup"
)

// stateOpen asks for the orders that are not over, whatever their state is.
const stateOpen = "open"

// openParts are the parts of orders that are not over, so that the list of what
// there is to do costs what there is to do, and not all that ever was done. It
// is in memory, and follows the store's streams when it is asked.
type openParts struct {
	mu  sync.Mutex
	at  progress // nil: nothing was looked at
	ids map[protocol.PartID]bool
}

// follow brings the list up to date and returns it, sorted.
func (o *openParts) follow(t *Till, r ledger.Reader) ([]protocol.PartID, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		found, err := t.touchedAfter(r, o.at, true)
		if err != nil {
			return nil, err
		}
		if found.all {
			err = o.lookAtAll(t, r)
		} else {
			err = o.look(t, r, found.parts)
		}
		if err != nil {
			return nil, err
		}
		if o.at = found.at; !found.more {
			break
		}
	}
	compare := func(a, b protocol.PartID) int {
		return cmp.Or(cmp.Compare(a.Order, b.Order), cmp.Compare(a.Part, b.Part))
	}
	return slices.SortedFunc(maps.Keys(o.ids), compare), nil
}

func (o *openParts) lookAtAll(t *Till, r ledger.Reader) error {
	o.ids = map[protocol.PartID]bool{}
	return ledger.Parts(r, t.origin().Store, protocol.PartID{}, func(id protocol.PartID, part *pickup.Part) (bool, error) {
		o.note(id, part)
		return true, nil
	})
}

func (o *openParts) look(t *Till, r ledger.Reader, ids []protocol.PartID) error {
	for _, id := range ids {
		part, err := ledger.ReadPart(r, t.origin().Store, id)
		if err != nil {
			return err
		}
		o.note(id, part)
	}
	return nil
}

func (o *openParts) note(id protocol.PartID, part *pickup.Part) {
	if s := part.State(); s.Waits() {
		o.ids[id] = true
	} else {
		delete(o.ids, id)
	}
}

// openOrders shows the parts that are not over behind one, at most limit. next
// is where the following page starts.
func (d *desk) openOrders(r ledger.Reader, behind protocol.PartID, limit int) (docs []pickup.Document, next *string, err error) {
	ids, err := d.open.follow(d.Till, r)
	if err != nil {
		return nil, nil, err
	}
	docs = []pickup.Document{}
	last := behind
	for _, id := range ids {
		if cmp.Or(cmp.Compare(id.Order, behind.Order), cmp.Compare(id.Part, behind.Part)) <= 0 {
			continue
		}
		if len(docs) == limit {
			text := last.String()
			return docs, &text, nil
		}
		part, err := ledger.ReadPart(r, d.Till.origin().Store, id)
		if err != nil {
			return nil, nil, err
		}
		s := part.State()
		if s.Order == nil {
			continue // Not yet known in the state at hand.
		}
		doc, err := d.partDocument(r, &s, d.now)
		if err != nil {
			return nil, nil, err
		}
		docs, last = append(docs, doc), id
	}
	return docs, nil, nil
}
