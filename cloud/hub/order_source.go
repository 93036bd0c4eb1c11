package hub

import (
	"errors"
	"slices"
	"strings"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/pickup"
)

// want is a line of an order for which a store is to be found. line is priced
// once the store is known.
type want struct {
	item *protocol.Item
	line *protocol.OrderLine
}

// parcel is what one store is to keep of an order.
type parcel struct {
	store *protocol.StoreRecord
	wants []want
	hold  string // of the store, whose goods the parcel may take
}

// parcels finds the stores that an order asks for, by its rule. Where none can
// keep it, it is the parcel of the store that is named, or of the nearest, whose
// refusal says what is short.
func (h *Hub) parcels(r ledger.Reader, request *pickup.PlaceRequest) ([]parcel, error) {
	wants, err := wanted(r, request.Lines)
	if err != nil {
		return nil, err
	}
	if request.Near == nil {
		if err := knownStore(r, request.Store); err != nil {
			return nil, err
		}
		store, err := ledger.ReadStore(r, request.Store)
		if err != nil {
			return nil, err
		}
		p, err := h.priced(r, store, wants)
		if err != nil {
			return nil, err
		}
		p.hold = request.Hold
		_, err = h.orderLines(r, &p, request.Partial)
		return []parcel{p}, err
	}
	near, err := h.places(r, AvailabilityQuery{Lat: request.Near.Lat, Lon: request.Near.Lon, RadiusKm: orderRadiusKm, Limit: nearMax})
	if err != nil {
		return nil, err
	}
	if len(near) == 0 {
		return nil, protocol.Refuse(protocol.UnknownStore, "There is no store within 50 km of that place. Nothing was ordered. Name a store.")
	}
	found, left, err := h.source(r, request.Sourcing, near, wants)
	if err != nil || len(left) == 0 {
		return found, err
	}
	p, err := h.priced(r, &near[0].store, wants)
	if err != nil {
		return nil, err
	}
	_, err = h.orderLines(r, &p, request.Partial)
	return []parcel{p}, err
}

// wanted finds out what the lines of a request mean.
func wanted(r ledger.Reader, lines []pickup.PlaceLine) ([]want, error) {
	wants := make([]want, len(lines))
	for i, l := range lines {
		item, err := namedByCode(r, l.Code)
		if err != nil {
			return nil, atOrderLine(err, i+1)
		}
		o, _, err := owner(r, l.Code)
		if err != nil {
			return nil, atOrderLine(err, i+1)
		}
		line := &protocol.OrderLine{Number: uint32(i + 1), Item: protocol.ItemRef{SKU: item.SKU}, Quantity: *l.Qty * o.Multiplier / 1000}
		if item.Unit != protocol.Each {
			line.Item.Unit = item.Unit
		}
		if line.Quantity <= 0 || line.Quantity > pickup.QuantityMax {
			return nil, atOrderLine(protocol.OutOfRange("qty", l.Qty.String(), "more than an order can hold"), i+1)
		}
		wants[i] = want{item: item, line: line}
	}
	return wants, nil
}

func atOrderLine(err error, line int) error {
	var e *protocol.Error
	if errors.As(err, &e) {
		return e.With("line", line)
	}
	return err
}

// priced is a parcel with a store's prices.
func (h *Hub) priced(r ledger.Reader, store *protocol.StoreRecord, wants []want) (parcel, error) {
	p := parcel{store: store, wants: slices.Clone(wants)}
	for i, w := range wants {
		prices, err := ledger.ReadPrices(r, zoneOf(store), []protocol.SKU{w.item.SKU})
		if err != nil {
			return p, err
		}
		number := int(w.line.Number)
		price := h.priceAt(store, w.item, prices[0], h.now())
		if price == nil {
			return p, atOrderLine(protocol.Refuse(protocol.PriceMissing, w.item.Name+" has no price in this store. Nothing was ordered. Import a price first.").With("value", string(w.item.SKU)), number)
		}
		line := *w.line
		line.UnitPrice = *price
		var ok bool
		if line.Amount, ok = line.Quantity.Times(line.UnitPrice); !ok {
			return p, atOrderLine(protocol.OutOfRange("qty", line.Quantity.String(), "more than an order can hold"), number)
		}
		p.wants[i].line = &line
	}
	return p, nil
}

// keepable is by line how much of a parcel its store may promise now, at most
// what is wanted. Lines of one item share what there is.
func (h *Hub) keepable(r ledger.Reader, p *parcel) ([]protocol.Quantity, error) {
	promises := h.promises(r)
	promises.hold = p.hold
	left := map[protocol.SKU]protocol.Quantity{}
	have := make([]protocol.Quantity, len(p.wants))
	for i, w := range p.wants {
		sku := w.item.SKU
		if _, ok := left[sku]; !ok {
			var err error
			if left[sku], err = promises.of(p.store, sku, w.item); err != nil {
				return nil, err
			}
		}
		have[i] = max(0, min(left[sku], w.line.Quantity))
		left[sku] -= have[i]
	}
	return have, nil
}

// The stores that are looked through near a place.
const (
	nearMax       = 200
	orderRadiusKm = 50
)

// source finds among stores, the nearest first, those that can keep all lines: one
// of them by the rule, or by the rule of fewest parcels as few as it finds. left is
// what they cannot keep; where the rule wants one store it is all or nothing.
func (h *Hub) source(r ledger.Reader, rule string, near []place, wants []want) (found []parcel, left []want, err error) {
	shelves := make([]shelf, 0, len(near))
	for i := range near {
		p, err := h.priced(r, &near[i].store, wants)
		if protocol.CodeOf(err) == protocol.PriceMissing || p.store.Currency != near[0].store.Currency {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		have, err := h.keepable(r, &p)
		if err != nil {
			return nil, nil, err
		}
		s := shelf{parcel: p, have: have}
		if s.keepsAll() && rule != pickup.SourcingMostStock {
			return []parcel{p}, nil, nil
		}
		shelves = append(shelves, s)
	}
	switch rule {
	case pickup.SourcingMostStock:
		most := protocol.Quantity(-1)
		for i := range shelves {
			if !shelves[i].keepsAll() {
				continue
			}
			spare, err := h.spare(r, &shelves[i])
			if err != nil {
				return nil, nil, err
			}
			if spare > most {
				most, found = spare, []parcel{shelves[i].parcel}
			}
		}
	case pickup.SourcingFewestParcels:
		found, left = split(shelves, wants)
		return found, left, nil
	}
	if found == nil {
		left = wants
	}
	return found, left, nil
}

// shelf is what a store can keep of the lines of an order.
type shelf struct {
	parcel
	have []protocol.Quantity
}

func (s *shelf) keepsAll() bool {
	for i, w := range s.wants {
		if s.have[i] < w.line.Quantity {
			return false
		}
	}
	return true
}

// spare is how much a store could still promise of the scarcest item after
// keeping all lines.
func (h *Hub) spare(r ledger.Reader, s *shelf) (protocol.Quantity, error) {
	least, wanted := pickup.QuantityMax, map[protocol.SKU]protocol.Quantity{}
	for _, w := range s.wants {
		wanted[w.item.SKU] += w.line.Quantity
		have, err := h.promisable(r, s.store, w.item)
		if err != nil {
			return 0, err
		}
		least = min(least, have-wanted[w.item.SKU])
	}
	return least, nil
}

// split divides lines over stores: again and again to the store that keeps the
// most of the lines that are left, the nearest of several. This is the greedy rule
// for set cover, whose result is at most ln n times the fewest (Chvátal 1979).
func split(shelves []shelf, wants []want) (found []parcel, left []want) {
	open := map[uint32]bool{}
	for _, w := range wants {
		open[w.line.Number] = true
	}
	for len(open) > 0 {
		best, most := -1, 0
		for i := range shelves {
			n := 0
			for j, w := range shelves[i].wants {
				if open[w.line.Number] && shelves[i].have[j] == w.line.Quantity {
					n++
				}
			}
			if n > most {
				best, most = i, n
			}
		}
		if best < 0 {
			break
		}
		p := parcel{store: shelves[best].store}
		for j, w := range shelves[best].wants {
			if open[w.line.Number] && shelves[best].have[j] == w.line.Quantity {
				p.wants = append(p.wants, w)
				delete(open, w.line.Number)
			}
		}
		found = append(found, p)
	}
	for _, w := range wants {
		if open[w.line.Number] {
			left = append(left, w)
		}
	}
	return found, left
}

// shortLine is a line of which a store may not promise enough.
type shortLine struct {
	Line       int               `json:"line"`
	Promisable protocol.Quantity `json:"promisable"`
	Nearest    []nearStore       `json:"nearest"`

	item *protocol.Item
}

// nearStore is another store that has some.
type nearStore struct {
	Store      protocol.StoreID  `json:"store"`
	DistanceKm *float64          `json:"distance_km"`
	Promisable protocol.Quantity `json:"promisable"`
}

// nearestMax is how many other stores a refusal names.
const nearestMax = 3

// errShort says what is short and where else there is some.
func (h *Hub) errShort(r ledger.Reader, short []shortLine, store *protocol.StoreRecord) error {
	var names []string
	for i := range short {
		s := &short[i]
		s.Promisable, s.Nearest = max(0, s.Promisable), []nearStore{}
		if !slices.Contains(names, s.item.Name) {
			names = append(names, s.item.Name)
		}
		if store.Lat == nil || store.Lon == nil {
			continue
		}
		near, err := h.places(r, AvailabilityQuery{Lat: *store.Lat, Lon: *store.Lon, RadiusKm: orderRadiusKm, Limit: nearMax})
		if err != nil {
			return err
		}
		for j := range near {
			p := &near[j]
			if p.store.ID == store.ID || len(s.Nearest) == nearestMax {
				continue
			}
			have, err := h.promisable(r, &p.store, s.item)
			if err != nil {
				return err
			}
			if have > 0 {
				s.Nearest = append(s.Nearest, nearStore{Store: p.store.ID, DistanceKm: p.distance, Promisable: have})
			}
		}
	}
	return protocol.Refuse(protocol.Short, store.Name+" may not promise enough of "+strings.Join(names, ", ")+
		". Nothing was ordered. Order less, or from one of the stores that are named.").With("short", short)
}
