package hub

import (
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/stock"
)

// promiser says what online may promise, as far as one view or transaction shows
// it. It is the only place that does: orders and holds ask it in the transaction
// that takes the goods, so that what is promised never exceeds the allotment of
// that moment (I12); queries and sourcing ask it in a view.
type promiser struct {
	h        *Hub
	r        ledger.Reader
	policies policyTable
	// hold is one whose goods are spoken for by whoever asks, empty for none.
	hold string
	// streams are those of every store, nil if they are read store by store.
	streams map[protocol.StoreID][]ledger.StreamInfo
	last    storeLook
}

// storeLook is what is known of how a store is connected.
type storeLook struct {
	connections
	store   protocol.StoreID
	streams []ledger.StreamInfo
	silence time.Duration
}

func (h *Hub) promises(r ledger.Reader) *promiser {
	return &promiser{h: h, r: r, policies: *h.policies.Load()}
}

// of is what online may still promise of an item in a store, never below 0: the
// allotment less what it has promised and what is held for carts. Of an item that
// is blocked from sale it is nothing. item is nil where the catalogue does not
// know it.
func (p *promiser) of(store *protocol.StoreRecord, sku protocol.SKU, item *protocol.Item) (protocol.Quantity, error) {
	level, err := ledger.ReadLevel(p.r, store.ID, sku)
	if err != nil {
		return 0, err
	}
	return p.ofLevel(store, sku, item, level)
}

// ofLevel is of where the level is read already.
func (p *promiser) ofLevel(store *protocol.StoreRecord, sku protocol.SKU, item *protocol.Item, level *stock.Level) (protocol.Quantity, error) {
	if item != nil && item.Blocked {
		return 0, nil
	}
	policy := p.policies.of(store.ID, sku, item)
	left := policy.Promisable(level, 0)
	if left <= 0 {
		return 0, nil
	}
	buffer, err := p.buffer(store, sku, item, policy)
	if err != nil {
		return 0, err
	}
	held, err := p.h.held(p.r, store.ID, sku, p.hold)
	return max(0, policy.Promisable(level, buffer)-held), err
}

// promisable is what online may still promise of an item in a store.
func (h *Hub) promisable(r ledger.Reader, store *protocol.StoreRecord, item *protocol.Item) (protocol.Quantity, error) {
	return h.promises(r).of(store, item.SKU, item)
}

// shown is what a level by itself lets online promise while its store is heard and
// no cart holds anything. It changes with nothing but the level, so messages that
// tell of a change follow it.
func (h *Hub) shown(store protocol.StoreID, sku protocol.SKU, item *protocol.Item, level *stock.Level) protocol.Quantity {
	if item != nil && item.Blocked {
		return 0
	}
	return h.policies.Load().of(store, sku, item).Promisable(level, 0)
}

// buffer is what has to be held back of an item because the store may have sold
// it since it was heard.
func (p *promiser) buffer(store *protocol.StoreRecord, sku protocol.SKU, item *protocol.Item, policy stock.Policy) (protocol.Quantity, error) {
	look, err := p.look(store)
	if err != nil || look.silence < time.Second {
		return 0, err
	}
	category := ""
	if item != nil {
		category = item.Category
	}
	values, err := p.r.Load([]ledger.Key{
		noteOf(noteDemand, string(store.ID), string(sku)), noteOf(notePool, string(store.ID), category), noteOf(noteDemandClock, string(store.ID)),
	})
	if err != nil || values[0] == nil {
		return 0, err
	}
	_, sold, err := decodeDemand(values[0])
	if err != nil {
		return 0, err
	}
	pool, err := stock.DecodePool(values[1])
	if err != nil {
		return 0, err
	}
	silences := p.h.demand.seenSilences()
	return stock.Buffer(stock.Unseen{
		Item: &sold, Pool: pool, Silences: &silences,
		Now: openingTime(values[2], p.h.running(), p.h.timesOf(store).hours), Silence: look.silence,
	}, policy.Target), nil
}

// look finds out how a store is connected, at the moment of the first one that
// was asked for. Who asks goes from store to store, so the last one is remembered.
func (p *promiser) look(store *protocol.StoreRecord) (*storeLook, error) {
	if p.last.store == store.ID && store.ID != "" {
		return &p.last, nil
	}
	streams := p.streams[store.ID]
	if p.streams == nil {
		var err error
		if streams, err = ledger.MachineStreams(p.r, store.ID); err != nil {
			return nil, err
		}
	}
	if p.last.now.IsZero() {
		p.last.connections = p.h.noConnections()
	}
	p.h.turnTo(&p.last.connections, store.ID)
	p.last.store, p.last.streams = store.ID, streams
	p.last.silence = p.last.connections.silence(store, streams, p.h.timesOf(store))
	return &p.last, nil
}
