package hub

import (
	"cmp"
	"context"
	"reflect"
	"slices"
	"strconv"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/loyalty"
)

// SetProgramme takes down the programme that begins at a moment, in the place of
// the one that began then, and answers with it. What was earned before stays as
// it was, since each sale says what it earned.
func (h *Hub) SetProgramme(ctx context.Context, request loyalty.Document) (loyalty.Document, error) {
	row, err := request.Programme()
	if err != nil {
		return loyalty.Document{}, err
	}
	_, err = h.act(ctx, protocol.ChainStore, func(tx ledger.Tx) (*protocol.Event, error) {
		for i := range row.Campaigns {
			if store := row.Campaigns[i].Store; store != "" {
				if err := knownStore(tx, store); err != nil {
					return nil, err
				}
			}
		}
		stored, err := ledger.ReadProgrammes(tx)
		if err != nil {
			return nil, err
		}
		at := slices.IndexFunc(stored, func(p *protocol.Programme) bool { return p.ValidFrom == row.ValidFrom })
		if at >= 0 && reflect.DeepEqual(stored[at], row) {
			return nil, nil
		}
		if at < 0 && len(stored) >= datedMax {
			return nil, protocol.OutOfRange("valid_from", row.ValidFrom, "one more than the "+strconv.Itoa(datedMax)+" dated programmes that there may be")
		}
		return &protocol.Event{Kind: protocol.KindCatalog, Catalog: &protocol.Catalog{Programmes: []protocol.Programme{*row}}}, nil
	})
	if err != nil {
		return loyalty.Document{}, err
	}
	return loyalty.NewDocument(row), nil
}

// Programmes lists the dated programmes, the newest last. Dates are midnight UTC
// here: between stores there is no midnight of all.
func (h *Hub) Programmes(ctx context.Context, page Page) (List[loyalty.Document], error) {
	var rows []*protocol.Programme
	err := h.view(ctx, func(r ledger.Reader) (err error) {
		rows, err = ledger.ReadProgrammes(r)
		return err
	})
	if err != nil {
		return List[loyalty.Document]{}, err
	}
	order := func(a, b string) int {
		first, _ := momentOf(a, time.UTC)
		second, _ := momentOf(b, time.UTC)
		return cmp.Or(first.Compare(second), cmp.Compare(a, b))
	}
	if page.After != "" {
		rows = slices.DeleteFunc(rows, func(p *protocol.Programme) bool { return order(p.ValidFrom, page.After) <= 0 })
	}
	slices.SortFunc(rows, func(a, b *protocol.Programme) int { return order(a.ValidFrom, b.ValidFrom) })
	list := cut(page, rows, func(p **protocol.Programme) string { return (*p).ValidFrom })
	docs := List[loyalty.Document]{Items: make([]loyalty.Document, len(list.Items)), Next: list.Next}
	for i, p := range list.Items {
		docs.Items[i] = loyalty.NewDocument(p)
	}
	return docs, nil
}
