package hub

import (
	"context"
	"maps"
	"slices"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/stock"
)

// transferLinesMax bounds the lines of one event about a transfer, so that it
// stays far below the largest event; what is left over is owed and follows.
const transferLinesMax = 1_000

// settleTransfer logs what the hub owes stores because of what was folded of a
// transfer: that goods are on their way, and what sets incoming right. As with
// orders it is owed until it is logged, and follows from the state alone, so it
// may be asked at any time and is never logged twice.
func (h *Hub) settleTransfer(ctx context.Context, at ledger.TransferAt) error {
	here, err := h.transferAt(ctx, at)
	if err != nil {
		return err
	}
	for _, to := range slices.Sorted(maps.Keys(here.To)) {
		if err := h.announceTransfer(ctx, at, to); err != nil {
			return err
		}
	}
	for _, from := range slices.Sorted(maps.Keys(here.From)) {
		if err := h.announceTransfer(ctx, ledger.TransferAt{Store: from, ID: at.ID}, at.Store); err != nil {
			return err
		}
	}
	return h.correctTransfer(ctx, at)
}

func (h *Hub) transferAt(ctx context.Context, at ledger.TransferAt) (s stock.TransferState, err error) {
	err = h.view(ctx, func(r ledger.Reader) error {
		t, _, err := ledger.ReadTransfer(r, at)
		if err == nil {
			s = t.State()
		}
		return err
	})
	return s, err
}

// announceTransfer tells a store what left another for it and it was not told.
func (h *Hub) announceTransfer(ctx context.Context, from ledger.TransferAt, to protocol.StoreID) error {
	build := func(r ledger.Reader) (*protocol.Event, error) {
		left, _, err := ledger.ReadTransfer(r, from)
		if err != nil {
			return nil, err
		}
		there, _, err := ledger.ReadTransfer(r, ledger.TransferAt{Store: to, ID: from.ID})
		if err != nil {
			return nil, err
		}
		sent := left.State()
		owed := less(sent.To[to], there.State().From[from.Store])
		return transferEvent(from, protocol.TransferSent, sent.Reference, owed), nil
	}
	return h.logTransfers(ctx, to, build)
}

// correctTransfer sets incoming right where more came than was sent, and takes
// out the rest of a transfer that a person closed.
func (h *Hub) correctTransfer(ctx context.Context, at ledger.TransferAt) error {
	return h.logTransfers(ctx, at.Store, func(r ledger.Reader) (*protocol.Event, error) {
		t, resolved, err := ledger.ReadTransfer(r, at)
		if err != nil {
			return nil, err
		}
		s, owed := t.State(), map[protocol.SKU]protocol.Quantity{}
		for _, l := range s.Owed(resolved) {
			owed[l.SKU] = l.Incoming
		}
		from := ledger.TransferAt{Store: at.Store, ID: at.ID}
		for _, store := range slices.Sorted(maps.Keys(s.From)) {
			from.Store = store
		}
		return transferEvent(from, protocol.TransferCorrected, s.Reference, owed), nil
	})
}

// logTransfers logs what build finds to be owed until nothing is.
func (h *Hub) logTransfers(ctx context.Context, store protocol.StoreID, build func(ledger.Reader) (*protocol.Event, error)) error {
	for {
		var ev *protocol.Event
		err := h.view(ctx, func(r ledger.Reader) error {
			record, err := ledger.ReadStore(r, store)
			if err != nil {
				return err
			}
			if ev, err = build(r); err == nil && ev != nil && record == nil {
				h.log.Error("goods were sent to a store that the hub does not know; it is told when it was imported and the hub started anew", "store", store, "transfer", ev.Transfer.ID)
				ev = nil
			}
			return err
		})
		if err != nil || ev == nil {
			return err
		}
		if _, err := h.act(ctx, store, func(tx ledger.Tx) (*protocol.Event, error) { return build(tx) }); err != nil {
			return err
		}
	}
}

// less is what one list has beyond another.
func less(a, b map[protocol.SKU]protocol.Quantity) map[protocol.SKU]protocol.Quantity {
	rest := maps.Clone(a)
	if rest == nil {
		rest = map[protocol.SKU]protocol.Quantity{}
	}
	for sku, q := range b {
		rest[sku] -= q
	}
	maps.DeleteFunc(rest, func(_ protocol.SKU, q protocol.Quantity) bool { return q == 0 })
	return rest
}

// transferEvent moves incoming; nil where there is nothing to move.
func transferEvent(from ledger.TransferAt, change protocol.TransferChange, reference string, owed map[protocol.SKU]protocol.Quantity) *protocol.Event {
	if len(owed) == 0 {
		return nil
	}
	t := &protocol.Transfer{ID: from.ID, From: from.Store, Change: change, Reference: reference}
	ev := &protocol.Event{Kind: protocol.KindTransfer, Transfer: t}
	skus := slices.Sorted(maps.Keys(owed))
	for _, sku := range skus[:min(len(skus), transferLinesMax)] {
		q := min(max(owed[sku], -protocol.AmountMax), protocol.AmountMax)
		t.Lines = append(t.Lines, protocol.TransferLine{Item: protocol.ItemRef{SKU: sku}, Quantity: q})
		ev.Moves = append(ev.Moves, protocol.Move{SKU: sku, State: protocol.Incoming, Delta: q})
	}
	return ev
}

// settleTransfers settles the transfers that committed batches concerned. While
// there is no room what is owed waits for the next start, or the next event.
func (h *Hub) settleTransfers(ctx context.Context, ready []*incoming) error {
	var touched []ledger.TransferAt
	for _, in := range ready {
		for _, at := range in.transfers {
			if !slices.Contains(touched, at) {
				touched = append(touched, at)
			}
		}
	}
	for _, at := range touched {
		if err := h.settleTransfer(ctx, at); protocol.CodeOf(err) == protocol.DiskFull {
			h.log.Error("the hub's disk is full; a store is not yet told of goods on their way", "transfer", at.ID, "error", err)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// Transfers lists goods on their way between stores, of one state or of any.
func (h *Hub) Transfers(ctx context.Context, state string, p Page) (list List[stock.TransferDocument], err error) {
	err = h.view(ctx, func(r ledger.Reader) error {
		list.Items, list.Next, err = ledger.TransferPage(r, "", state, p.After, p.Limit)
		return err
	})
	return list, err
}

// settleAllTransfers is settleTransfer for every one, at a start.
func (h *Hub) settleAllTransfers(ctx context.Context) error {
	var all []ledger.TransferAt
	err := h.view(ctx, func(r ledger.Reader) error {
		all = all[:0]
		return ledger.Transfers(r, "", ledger.TransferAt{}, func(at ledger.TransferAt, _ *stock.Transfer) (bool, error) {
			all = append(all, at)
			return true, nil
		})
	})
	for _, at := range all {
		if err == nil {
			err = h.settleTransfer(ctx, at)
		}
	}
	return err
}
