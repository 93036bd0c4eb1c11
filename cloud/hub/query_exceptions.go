package hub

import (
	"context"
	"slices"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// ExceptionDocument is a broken rule that a person resolves.
type ExceptionDocument struct {
	ID       string   `json:"id"`
	Kind     string   `json:"kind"`
	Store    *string  `json:"store"`
	Refs     []string `json:"refs"`
	OpenedAt *string  `json:"opened_at"`
	Assignee *string  `json:"assignee"`
	State    string   `json:"state"`
	Detail   string   `json:"detail"`
}

// exceptionOpen is the state of every exception: nothing resolves one yet.
const exceptionOpen = "open"

// Exceptions lists the broken rules in the order of their ids. An empty state
// means every state.
func (h *Hub) Exceptions(ctx context.Context, state string, p Page) (List[ExceptionDocument], error) {
	var rows []ExceptionDocument
	err := h.view(ctx, func(r ledger.Reader) error {
		all, err := ledger.Exceptions(r)
		if err != nil || state != "" && state != exceptionOpen {
			return err
		}
		ids := make(map[string]*ledger.Exception, len(all))
		order := make([]string, 0, len(all))
		twins := map[string]ExceptionDocument{}
		for i := range all {
			id := all[i].ID()
			ids[id] = &all[i]
			if id > p.After {
				order = append(order, id)
			}
		}
		for _, doc := range append(h.twinDocuments(), h.digestDocuments()...) {
			if doc.ID > p.After {
				twins[doc.ID] = doc
				order = append(order, doc.ID)
			}
		}
		slices.Sort(order)
		for _, id := range order[:min(len(order), p.Limit+1)] {
			if doc, ok := twins[id]; ok {
				rows = append(rows, doc)
				continue
			}
			doc, err := exceptionDocument(r, id, ids[id])
			if err != nil {
				return err
			}
			rows = append(rows, doc)
		}
		return nil
	})
	return cut(p, rows, func(e *ExceptionDocument) string { return e.ID }), err
}

// exceptionDocument shows an exception. It was opened by the last of its events,
// as far as their clocks can be believed.
func exceptionDocument(r ledger.Reader, id string, e *ledger.Exception) (ExceptionDocument, error) {
	doc := ExceptionDocument{ID: id, Kind: e.Kind, Store: orNull(e.Store), Refs: []string{e.Subject}, State: exceptionOpen, Detail: e.Detail()}
	var last int64
	for _, event := range e.Events {
		doc.Refs = append(doc.Refs, event.String())
		record, ok, err := ledger.ReadEvent(r, event)
		if err != nil {
			return doc, err
		}
		if ok {
			last = max(last, record.WallMs)
		}
	}
	if last > 0 {
		doc.OpenedAt = timeText(time.UnixMilli(last).UTC())
	}
	return doc, nil
}

// Ready tells whether the hub can read its database.
func (h *Hub) Ready(ctx context.Context) error {
	return h.view(ctx, func(r ledger.Reader) error {
		_, err := ledger.FeedHead(r, protocol.FeedCatalog)
		return err
	})
}
