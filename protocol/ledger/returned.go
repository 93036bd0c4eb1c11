package ledger

import (
	"counterpart/protocol"
	"counterpart/protocol/pickup"
)

const kindReturned = "returned"

func returnedKey(id protocol.OrderID) Key { return stateKey(kindReturned, string(id)) }

// returnedKeys adds the rows that tell whether more of an order came back than
// was handed over.
func returnedKeys(keys []Key, ev *protocol.Event) []Key {
	if id := pickup.ReturnOf(ev.Sale); id != "" {
		return append(keys, returnedKey(id), orderKey(id))
	}
	if part := PartOf(ev); part.Part > 0 {
		return append(keys, returnedKey(part.Order))
	}
	return keys
}

// returned notes a return against an order, and looks whether too much of it came
// back: also when a part changes, since a return may be folded before what was
// handed over.
func (f *fold) returned(a *act) error {
	id := pickup.ReturnOf(a.event.Sale)
	if id != "" {
		row, err := change(f.set, returnedKey(id), pickup.DecodeReturns)
		if err != nil {
			return err
		}
		row.Add(a.id, a.event.Sale)
	} else if id = PartOf(a.event).Order; id == "" {
		return nil
	}
	row, err := get(f.set, returnedKey(id), pickup.DecodeReturns)
	if err != nil || len(row.Events()) == 0 {
		return err
	}
	places, err := get(f.set, orderKey(id), decodePlaces)
	if err != nil || len(*places) == 0 {
		return err
	}
	keys := make([]Key, len(*places))
	for i, at := range *places {
		keys[i] = partKey(at.Store, protocol.PartID{Order: id, Part: at.Part})
	}
	if err := f.set.load(keys); err != nil {
		return err
	}
	parts := make([]pickup.State, len(keys))
	for i, k := range keys {
		part, err := get(f.set, k, pickup.DecodePart)
		if err != nil {
			return err
		}
		parts[i] = part.State()
	}
	f.set.raise((*places)[0].Store, pickup.OverReturn, string(id), overReturned(row, parts))
	return nil
}

// overReturned are the returns of an order of which too much came back.
func overReturned(row *pickup.Returns, parts []pickup.State) []protocol.EventID {
	if !row.Over(parts) {
		return nil
	}
	return row.Events()
}

// ReadReturns reads what came back of an order.
func ReadReturns(r Reader, id protocol.OrderID) (*pickup.Returns, error) {
	values, err := r.Load([]Key{returnedKey(id)})
	if err != nil {
		return nil, err
	}
	return pickup.DecodeReturns(values[0])
}

// ReturnedOrders are all orders of which goods came back.
func ReturnedOrders(r Reader) (ids []protocol.OrderID, err error) {
	prefix := kindReturned + sep
	err = r.Scan(States, prefix, after(prefix), func(key string, _ []byte) (bool, error) {
		names, err := split(key, 1)
		if err == nil {
			ids = append(ids, protocol.OrderID(names[0]))
		}
		return err == nil, err
	})
	return ids, err
}

// returns takes what the store took back against orders, and what that breaks
// together with the store's own parts of them.
func (p *projection) returns() error {
	prefix := kindReturned + sep
	return p.r.Scan(States, prefix, after(prefix), func(key string, v []byte) (bool, error) {
		row, err := pickup.DecodeReturns(v)
		if err != nil {
			return false, err
		}
		if row.Keep(p.ours); len(row.Events()) == 0 {
			return true, nil
		}
		names, err := split(key, 1)
		if err == nil {
			err = p.emit(Key{States, key}, row)
		}
		if err != nil {
			return false, err
		}
		id := protocol.OrderID(names[0])
		places, err := ReadOrder(p.r, id)
		if err != nil {
			return false, err
		}
		var parts []pickup.State
		for _, at := range places {
			if at.Store != p.store {
				continue
			}
			part, err := ReadPart(p.r, at.Store, protocol.PartID{Order: id, Part: at.Part})
			if err != nil {
				return false, err
			}
			parts = append(parts, part.State())
		}
		return true, p.raise(p.store, pickup.OverReturn, string(id), overReturned(row, parts))
	})
}
