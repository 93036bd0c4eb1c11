package hub

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// stockMessage is the data of stock.low and stock.availability_changed.
type stockMessage struct {
	Store        protocol.StoreID  `json:"store"`
	SKU          protocol.SKU      `json:"sku"`
	GTIN         *string           `json:"gtin"`
	Unit         protocol.Unit     `json:"unit"`
	Availability string            `json:"availability"`
	Previous     string            `json:"previous"`
	Promisable   protocol.Quantity `json:"promisable"`
	AsOf         string            `json:"as_of"`
}

// markStock notes the levels whose word for the shop a transaction changed, with
// the word of before, in that transaction. So a crash before the announcement
// only delays it. A level that is noted already keeps the earlier word.
func (b *outbox) markStock(tx ledger.Tx, w *ledger.Watched) error {
	moved, items, err := movedLevels(tx, w)
	if err != nil {
		return err
	}
	for i, l := range moved {
		before := availabilityWord(b.shown(l.Store, l.SKU, items[i], l.Before))
		if before == availabilityWord(b.shown(l.Store, l.SKU, items[i], l.After)) {
			continue
		}
		name := []string{noteOutboxStock, string(l.Store), string(l.SKU)}
		noted, err := ledger.Note(tx, name...)
		if err != nil {
			return err
		}
		if noted != nil {
			continue
		}
		if err := ledger.SetNote(tx, []byte(before), name...); err != nil {
			return err
		}
	}
	return nil
}

// movedLevels are the levels of which a transaction changed what online may keep,
// each with its item.
func movedLevels(r ledger.Reader, w *ledger.Watched) (moved []ledger.LevelWritten, items []*protocol.Item, err error) {
	levels, err := w.Levels()
	if err != nil {
		return nil, nil, err
	}
	skus := make([]protocol.SKU, 0, len(levels))
	moved = levels[:0]
	for _, l := range levels {
		if l.Before.Promisable(0) != l.After.Promisable(0) || l.Before.RecountSuggested() != l.After.RecountSuggested() {
			moved, skus = append(moved, l), append(skus, l.SKU)
		}
	}
	if len(moved) == 0 {
		return nil, nil, nil
	}
	items, err = ledger.ReadItems(r, skus)
	return moved, items, err
}

// announceStock tells of the levels that are noted and still have another word
// than before, and forgets the notes. A level that came back is not told of.
func (h *Hub) announceStock(ctx context.Context) error {
	type note struct {
		id     string
		before string
	}
	var notes []note
	err := h.view(ctx, func(r ledger.Reader) error {
		notes = nil
		return r.Scan(ledger.Notes, noteOutboxStock+"\x00", noteOutboxStock+"\x01", func(id string, v []byte) (bool, error) {
			notes = append(notes, note{id, string(v)})
			return len(notes) < outboxRows, nil
		})
	})
	if err != nil || len(notes) == 0 {
		return err
	}
	wanted := h.outbox.wanted.Load()&wantedStock != 0
	posted := 0
	err = h.outbox.Driver.Update(ctx, func(tx ledger.Tx) error {
		var list []Outgoing
		heads := map[protocol.StoreID]string{}
		for _, n := range notes {
			if err := tx.Write([]ledger.Row{{Key: ledger.Key{Table: ledger.Notes, ID: n.id}}}); err != nil {
				return err
			}
			if !wanted {
				continue
			}
			store, sku := outboxStockName(n.id)
			more, err := h.stockMessages(tx, store, sku, n.before, heads)
			if err != nil {
				return err
			}
			list = append(list, more...)
		}
		posted = len(list)
		return h.outbox.post(tx, list)
	})
	if err == nil && posted > 0 {
		h.outbox.wake()
	}
	return err
}

// stockMessages are the messages about one level. Their ids follow from the
// events that the store's levels come from.
func (h *Hub) stockMessages(r ledger.Reader, store protocol.StoreID, sku protocol.SKU, before string, heads map[protocol.StoreID]string) (list []Outgoing, err error) {
	level, err := ledger.ReadLevel(r, store, sku)
	if err != nil {
		return nil, err
	}
	item, err := ledger.ReadItem(r, sku)
	if err != nil {
		return nil, err
	}
	data := stockMessage{Store: store, SKU: sku, Unit: protocol.Each, Previous: before, Promisable: h.shown(store, sku, item, level), AsOf: h.now().UTC().Format(protocol.TimeLayout)}
	if data.Availability = availabilityWord(data.Promisable); data.Availability == before {
		return nil, nil
	}
	if item != nil {
		data.GTIN, data.Unit = orNull(item.GTIN), item.Unit
	}
	if heads[store] == "" {
		if heads[store], err = streamHeads(r, store); err != nil {
			return nil, err
		}
	}
	kinds := []string{typeAvailabilityChanged}
	if before == availabilityWord(fewAtMost+1) {
		kinds = append(kinds, typeStockLow)
	}
	for _, kind := range kinds {
		sum := sha256.Sum256([]byte(strings.Join([]string{kind, string(store), string(sku), data.Availability, heads[store]}, "\x00")))
		m, err := outgoing(messageIDPrefix+hex.EncodeToString(sum[:16]), kind, string(store)+"/"+string(sku), h.now(), data)
		if err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	return list, nil
}

// streamHeads says how far each stream of a store is.
func streamHeads(r ledger.Reader, store protocol.StoreID) (string, error) {
	streams, err := ledger.Streams(r, store, "")
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, s := range streams {
		fmt.Fprintf(&b, "%s-%d ", s.Origin.Inc, s.Seq)
	}
	return b.String(), nil
}
