package hub

import (
	"sync"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// storesKnown remembers how rows of stores decode. A record follows from the
// bytes of its row alone, so what is remembered is never out of date; a search
// near a place goes through the rows of all stores, and decoding took most of it.
type storesKnown struct {
	mu   sync.RWMutex
	rows map[string]*protocol.StoreRecord
}

// storesKnownMax bounds what is remembered: beyond it, it is begun anew.
const storesKnownMax = 10_000

// decode decodes a row. The record is shared and must not be changed.
func (k *storesKnown) decode(row []byte) (*protocol.StoreRecord, error) {
	k.mu.RLock()
	s := k.rows[string(row)]
	k.mu.RUnlock()
	if s != nil {
		return s, nil
	}
	s, err := protocol.DecodeStoreRecord(row)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.rows == nil || len(k.rows) >= storesKnownMax {
		k.rows = map[string]*protocol.StoreRecord{}
	}
	k.rows[string(row)] = s
	return s, nil
}

// everyStoreShare is from what part of the chain on the streams of many stores
// are read in one go: a step from row to row takes about a fourth of the way to
// the first row of a store.
const everyStoreShare = 4

// streamsOf reads the streams of stores, nil if they are better read one by one.
func (h *Hub) streamsOf(r ledger.Reader, stores int) (map[protocol.StoreID][]ledger.StreamInfo, error) {
	h.mu.Lock()
	known := len(h.members)
	h.mu.Unlock()
	if stores < 2 || stores*everyStoreShare < known {
		return nil, nil
	}
	all, err := ledger.AllStreams(r)
	if err != nil {
		return nil, err
	}
	byStore := make(map[protocol.StoreID][]ledger.StreamInfo, known)
	for first := 0; first < len(all); {
		store, next := all[first].Origin.Store, first+1
		for next < len(all) && all[next].Origin.Store == store {
			next++
		}
		byStore[store] = all[first:next:next]
		first = next
	}
	return byStore, nil
}
