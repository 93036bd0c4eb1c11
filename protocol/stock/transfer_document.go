package stock

import (
	"maps"
	"slices"

	"counterpart/protocol"
)

// TransferDocument is a row of GET /v1/transfers: goods on their way between two
// stores, as one of them, or the hub, knows it.
type TransferDocument struct {
	ID         string                 `json:"id"`
	FromStore  *string                `json:"from_store"`
	ToStore    *string                `json:"to_store"`
	State      string                 `json:"state"`
	Reference  *string                `json:"reference"`
	SentAt     *string                `json:"sent_at"`
	Lines      []TransferDocumentLine `json:"lines"`
	Exceptions []string               `json:"exceptions"`
}

// TransferDocumentLine is one item of a transfer, in the item's unit. Incoming is
// what of it is still expected.
type TransferDocumentLine struct {
	SKU      protocol.SKU      `json:"sku"`
	GTIN     *string           `json:"gtin"`
	Name     *string           `json:"name"`
	Sent     protocol.Quantity `json:"sent_qty"`
	Received protocol.Quantity `json:"received_qty"`
	Incoming protocol.Quantity `json:"incoming_qty"`
}

// TransferMeta is what a transfer's document says beside its state.
type TransferMeta struct {
	ID         string
	Store      protocol.StoreID // whose knowledge it is
	Resolved   bool             // a person resolved what it breaks
	SentAt     string           // RFC 3339; empty: not known
	Exceptions []string
	// Item finds what the catalogue knows of a SKU, nil for nothing.
	Item func(protocol.SKU) *protocol.Item
}

// NewTransferDocument shows a transfer. What left a store is shown as sent, since
// only the other one knows what came.
func NewTransferDocument(meta TransferMeta, s *TransferState) TransferDocument {
	d := TransferDocument{
		ID: meta.ID, State: s.Name(meta.Resolved), Reference: orNull(s.Reference), SentAt: orNull(meta.SentAt),
		Lines: []TransferDocumentLine{}, Exceptions: append([]string{}, meta.Exceptions...),
	}
	lines := s.Lines
	if d.State == TransferSentOff {
		d.FromStore, d.ToStore = orNull(string(meta.Store)), firstStore(s.To)
		lines = nil
		for _, l := range s.Lines {
			for _, sent := range s.To {
				l.Sent += sent[l.SKU]
			}
			lines = append(lines, l)
		}
	} else {
		d.FromStore, d.ToStore = firstStore(s.From), orNull(string(meta.Store))
	}
	for _, l := range lines {
		line := TransferDocumentLine{SKU: l.SKU, Sent: l.Sent, Received: l.Received}
		if d.State == TransferOpen {
			line.Incoming = max(l.Sent-l.Received, 0)
		}
		if item := meta.Item(l.SKU); item != nil {
			line.GTIN, line.Name = orNull(item.GTIN), orNull(item.Name)
		}
		d.Lines = append(d.Lines, line)
	}
	return d
}

// firstStore is the store that a transfer goes to or comes from; nobody but a
// mistaken till names two.
func firstStore(by map[protocol.StoreID]map[protocol.SKU]protocol.Quantity) *string {
	for _, store := range slices.Sorted(maps.Keys(by)) {
		return orNull(string(store))
	}
	return nil
}
