package till

import (
	"context"
	"net/http"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/sale"
	"counterpart/protocol/stock"
)

// Move records a movement of stock and answers 201 with its document.
func (t *Till) Move(ctx context.Context, c protocol.Call, r stock.MovementRequest) (protocol.Answer, error) {
	return t.do(ctx, c, nil, func(a *act) (outcome, error) { return a.move(r) })
}

func (a *act) move(r stock.MovementRequest) (outcome, error) {
	if err := r.Validate(sale.ContainsCardNumber); err != nil {
		return outcome{}, err
	}
	lines, err := a.resolveForMovement(r.Lines)
	if err != nil {
		return outcome{}, err
	}
	var seen []protocol.StreamPos
	if r.Type == string(protocol.Count) {
		if err := a.readBooks(lines); err != nil {
			return outcome{}, err
		}
		if seen, err = a.seen(a.tx); err != nil {
			return outcome{}, err
		}
	}
	m, moves, err := stock.BuildMovement(a.origin().Store, r, lines, seen)
	if err != nil {
		return outcome{}, err
	}
	return a.logMovement(m, moves)
}

// logMovement logs a movement and answers with its document.
func (a *act) logMovement(m *protocol.Movement, moves []protocol.Move) (outcome, error) {
	ev := &protocol.Event{Kind: protocol.KindMovement, Moves: moves, Movement: m}
	if err := a.log(ev); err != nil {
		return outcome{}, err
	}
	doc, err := a.movementDocument(a.tx, logged{id: a.logged, clock: protocol.Clock{WallMs: a.now.UnixMilli()}, event: ev})
	if err != nil {
		return outcome{}, err
	}
	return outcome{http.StatusCreated, doc}, nil
}

func (a *act) resolveForMovement(lines []stock.MovementLine) ([]stock.Resolved, error) {
	v := resolver{r: a.tx, patterns: a.o.Patterns, nothing: "Nothing was recorded."}
	codes := make([]string, len(lines))
	for i, l := range lines {
		codes[i] = l.Code
	}
	all, err := v.resolve(codes)
	if err != nil {
		return nil, err
	}
	resolved := make([]stock.Resolved, len(all))
	for i := range all {
		f := &all[i]
		switch {
		case f.err != nil:
			return nil, f.err.With("line", i+1)
		case f.Item == nil:
			kept, err := keeps(a.tx, a.origin().Store, f.SKU)
			if err != nil {
				return nil, err
			}
			if !kept {
				return nil, v.errUnknown(codes[i]).With("line", i+1)
			}
		}
		resolved[i] = stock.Resolved{Item: itemRef(f), Multiplier: f.Multiplier}
		if f.QuantityFromCode != nil {
			resolved[i].Multiplier = *f.QuantityFromCode
		}
	}
	return resolved, nil
}

// keeps tells whether the book has a row for an item, be it at 0. One that the
// catalogue does not know, because it was sold as an open item, can still be
// counted and adjusted.
func keeps(r ledger.Reader, store protocol.StoreID, sku protocol.SKU) (bool, error) {
	if sku == "" {
		return false, nil
	}
	return ledger.HasLevel(r, store, sku)
}

// itemRef names an item as an event does.
func itemRef(f *found) protocol.ItemRef {
	ref := protocol.ItemRef{SKU: f.SKU}
	if f.Item == nil {
		ref.GTIN = f.GTIN
	} else if f.Item.Unit != protocol.Each {
		ref.Unit = f.Item.Unit
	}
	return ref
}

// readBooks reads what the book shows of the lines' items.
func (a *act) readBooks(lines []stock.Resolved) error {
	skus := make([]protocol.SKU, len(lines))
	for i := range lines {
		skus[i] = lines[i].Item.SKU
	}
	levels, err := ledger.ReadLevels(a.tx, a.origin().Store, skus)
	if err != nil {
		return err
	}
	for i := range lines {
		lines[i].Book = levels[i].Book()
	}
	return nil
}

// seen is how far this machine has folded every stream of the store's
// machines. Its own stream is among them: only so does a second count on the
// same machine clear what was marked for a recount. The hub's stream is not,
// because nothing in it changes what is in the shop.
func (t *Till) seen(r ledger.Reader) ([]protocol.StreamPos, error) {
	streams, err := ledger.Streams(r, t.origin().Store, "")
	if err != nil {
		return nil, err
	}
	var seen []protocol.StreamPos
	for _, s := range streams {
		if s.Origin.Agent != protocol.HubAgent && s.Seq > 0 {
			seen = append(seen, protocol.StreamPos{Inc: s.Origin.Inc, Seq: s.Seq})
		}
	}
	return seen, nil
}
