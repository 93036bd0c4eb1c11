package ledger

import (
	"cmp"
	"slices"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"

	"counterpart/protocol"
	"counterpart/protocol/pickup"
)

// PartOf is the part of an order that an event is about, or none.
func PartOf(ev *protocol.Event) protocol.PartID {
	switch {
	case ev.Order != nil:
		return ev.Order.PartID
	case ev.OrderChange != nil:
		return ev.OrderChange.PartID
	case ev.Fulfilment != nil:
		return ev.Fulfilment.PartID
	case ev.Sale != nil && ev.Sale.Type == protocol.SaleSale && !ev.Sale.Training:
		return ev.Sale.Part
	}
	return protocol.PartID{}
}

// part notes an event with the part that it is about.
func (f *fold) part(a *act, id protocol.PartID) error {
	part, err := change(f.set, partKey(f.origin.Store, id), pickup.DecodePart)
	if err != nil {
		return err
	}
	var receipt protocol.ReceiptNo
	if a.event.Sale != nil {
		receipt = a.event.Sale.ReceiptNo(f.origin.Agent)
	}
	before := part.Broken()
	part.Add(a.id, a.event, a.record.Body, receipt)
	broken := part.Broken()
	for _, kind := range pickup.BrokenKinds {
		if len(broken[kind])+len(before[kind]) > 0 {
			f.set.raise(f.origin.Store, kind, id.String(), broken[kind])
		}
	}
	if a.event.Order == nil {
		return nil
	}
	order, err := change(f.set, orderKey(id.Order), decodePlaces)
	if err == nil {
		order.add(PartPlace{Store: f.origin.Store, Part: id.Part})
	}
	return err
}

// PartExceptions are the ids of the exceptions that a part shows now.
func PartExceptions(id protocol.PartID, part *pickup.Part) (ids []string) {
	broken := part.Broken()
	for _, kind := range pickup.BrokenKinds {
		if len(broken[kind]) > 0 {
			e := Exception{Kind: kind, Subject: id.String()}
			ids = append(ids, e.ID())
		}
	}
	return ids
}

// PartPlace is where a part of an order is.
type PartPlace struct {
	Part  uint32
	Store protocol.StoreID
}

// partPlaces are the parts of one order, by number.
type partPlaces []PartPlace

func (p *partPlaces) add(at PartPlace) {
	compare := func(a, b PartPlace) int { return cmp.Or(cmp.Compare(a.Part, b.Part), cmp.Compare(a.Store, b.Store)) }
	if i, found := slices.BinarySearchFunc(*p, at, compare); !found {
		*p = slices.Insert(*p, i, at)
	}
}

// Encode writes the order's row.
func (p *partPlaces) Encode() []byte {
	var f fields
	for _, at := range *p {
		f.element(1, append(protowire.AppendVarint(nil, uint64(at.Part)), at.Store...))
	}
	return f
}

func decodePlaces(b []byte) (*partPlaces, error) {
	p := &partPlaces{}
	err := decodeFields("order", b, func(num protowire.Number, v value) error {
		if num != 1 {
			return nil
		}
		part, n := protowire.ConsumeVarint(v.data)
		if n < 0 {
			return protowire.ParseError(n)
		}
		p.add(PartPlace{Part: uint32(part), Store: protocol.StoreID(v.data[n:])})
		return nil
	})
	return p, err
}

// ReadOrder finds where the parts of an order are; none if it is not known.
func ReadOrder(r Reader, id protocol.OrderID) ([]PartPlace, error) {
	values, err := r.Load([]Key{orderKey(id)})
	if err != nil {
		return nil, err
	}
	places, err := decodePlaces(values[0])
	if err != nil {
		return nil, err
	}
	return *places, nil
}

// Orders calls fn for each order behind one, or from the first, in the order of
// their ids, until it returns false.
func Orders(r Reader, behind protocol.OrderID, fn func(protocol.OrderID) (bool, error)) error {
	prefix := "order" + sep
	from := prefix
	if behind != "" {
		from = orderKey(behind).ID + sep
	}
	return r.Scan(States, from, after(prefix), func(id string, _ []byte) (bool, error) {
		return fn(protocol.OrderID(id[len(prefix):]))
	})
}

// ReadPart reads one part of an order as a store has it. A part of which nothing
// is known has no order.
func ReadPart(r Reader, store protocol.StoreID, id protocol.PartID) (*pickup.Part, error) {
	values, err := r.Load([]Key{partKey(store, id)})
	if err != nil {
		return nil, err
	}
	return pickup.DecodePart(values[0])
}

// Parts calls fn for each part of a store's orders behind one, or from the
// first, in the order of their keys, until it returns false.
func Parts(r Reader, store protocol.StoreID, behind protocol.PartID, fn func(protocol.PartID, *pickup.Part) (bool, error)) error {
	prefix := "part" + sep + string(store) + sep
	from := prefix
	if behind.Part > 0 {
		from = partKey(store, behind).ID + sep
	}
	return r.Scan(States, from, after(prefix), func(id string, v []byte) (bool, error) {
		names, err := split(id, 3)
		if err != nil {
			return false, err
		}
		number, err := strconv.ParseUint(names[2], 10, 32)
		if err != nil {
			return false, err
		}
		part, err := pickup.DecodePart(v)
		if err != nil {
			return false, err
		}
		return fn(protocol.PartID{Order: protocol.OrderID(names[1]), Part: uint32(number)}, part)
	})
}
