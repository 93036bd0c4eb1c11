package hub

import (
	"cmp"
	"context"
	"reflect"
	"slices"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/stock"
)

// policyTable holds every row of the policy. It is read from the ledger as a
// whole, at a start and after each change, and never changes itself.
type policyTable map[policyAbout]*protocol.PolicyRow

// policyAbout is what a row of the policy is about; its members that are empty
// leave nothing out.
type policyAbout struct {
	store    protocol.StoreID
	category string
	sku      protocol.SKU
}

// of is the policy for an item in a store. item is nil where the catalogue does
// not know it.
func (t policyTable) of(store protocol.StoreID, sku protocol.SKU, item *protocol.Item) stock.Policy {
	if len(t) == 0 {
		return stock.NewPolicy(nil)
	}
	rows := [6]*protocol.PolicyRow{
		t[policyAbout{store: store, sku: sku}], t[policyAbout{sku: sku}], nil, nil, t[policyAbout{store: store}], t[policyAbout{}],
	}
	if item != nil && item.Category != "" {
		rows[2], rows[3] = t[policyAbout{store: store, category: item.Category}], t[policyAbout{category: item.Category}]
	}
	return stock.NewPolicy(rows[:])
}

// loadPolicies reads the policy anew. Whoever changed it calls this before
// anybody is told, so that what is promised afterwards follows the change.
func (h *Hub) loadPolicies(ctx context.Context) error {
	h.policing.Lock()
	defer h.policing.Unlock()
	table := policyTable{}
	err := h.view(ctx, func(r ledger.Reader) error {
		clear(table)
		return ledger.ScanPolicies(r, func(p *protocol.PolicyRow) (bool, error) {
			table[policyAbout{p.Store, p.Category, p.SKU}] = p
			return true, nil
		})
	})
	if err == nil {
		h.policies.Store(&table)
	}
	return err
}

// PolicyDocument is a row of the policy. What is null is left to the row that
// names less.
type PolicyDocument struct {
	Store             *string            `json:"store"`
	Category          *string            `json:"category"`
	SKU               *string            `json:"sku"`
	GTIN              *string            `json:"gtin"`
	SafetyStock       *protocol.Quantity `json:"safety_stock"`
	Online            *bool              `json:"online"`
	OverpromiseTarget *protocol.RatePPM  `json:"overpromise_target_ppm"`
}

func policyDocument(p *protocol.PolicyRow, item *protocol.Item) PolicyDocument {
	d := PolicyDocument{
		Store: orNull(p.Store), Category: orNull(p.Category), SKU: orNull(p.SKU),
		SafetyStock: p.SafetyStock, Online: p.Online, OverpromiseTarget: p.OverpromiseTarget,
	}
	if item != nil {
		d.GTIN = orNull(item.GTIN)
	}
	return d
}

// SetPolicy replaces a row of the policy and answers with it. A row that says
// nothing is taken away.
func (h *Hub) SetPolicy(ctx context.Context, request stock.PolicyRequest) (doc PolicyDocument, err error) {
	if err := request.Validate(); err != nil {
		return doc, err
	}
	_, err = h.act(ctx, protocol.ChainStore, func(tx ledger.Tx) (*protocol.Event, error) {
		row := protocol.PolicyRow{
			Store: request.Store, Category: request.Category,
			SafetyStock: request.SafetyStock, Online: request.Online, OverpromiseTarget: request.OverpromiseTarget,
		}
		if row.Store != "" {
			if err := knownStore(tx, row.Store); err != nil {
				return nil, err
			}
		}
		var item *protocol.Item
		if request.Code != "" {
			if item, err = namedByCode(tx, request.Code); err != nil {
				return nil, err
			}
			row.SKU = item.SKU
		}
		doc = policyDocument(&row, item)
		before, err := ledger.ReadPolicyRow(tx, &row)
		if err != nil || reflect.DeepEqual(before, &row) || before == nil && row.Gone() {
			return nil, err
		}
		return &protocol.Event{Kind: protocol.KindCatalog, Catalog: &protocol.Catalog{Policies: []protocol.PolicyRow{row}}}, nil
	})
	if err != nil {
		return PolicyDocument{}, err
	}
	return doc, h.loadPolicies(ctx)
}

// Policies lists the rows of the policy: those of all stores first, then store by
// store, and of each the row of all items, those of categories and those of items.
func (h *Hub) Policies(ctx context.Context, p Page) (List[PolicyDocument], error) {
	type place struct {
		key string
		row *protocol.PolicyRow
	}
	var rows []place
	for about, row := range *h.policies.Load() {
		key := string(about.store) + "/"
		switch {
		case about.sku != "":
			key += "item/" + string(about.sku)
		case about.category != "":
			key += "category/" + about.category
		}
		if p.After == "" || key > p.After {
			rows = append(rows, place{key, row})
		}
	}
	slices.SortFunc(rows, func(a, b place) int { return cmp.Compare(a.key, b.key) })
	list := cut(p, rows, func(at *place) string { return at.key })
	docs := List[PolicyDocument]{Items: make([]PolicyDocument, len(list.Items)), Next: list.Next}
	skus := make([]protocol.SKU, len(list.Items))
	for i := range list.Items {
		skus[i] = list.Items[i].row.SKU
	}
	err := h.view(ctx, func(r ledger.Reader) error {
		items, err := ledger.ReadItems(r, skus)
		for i := range items {
			docs.Items[i] = policyDocument(list.Items[i].row, items[i])
		}
		return err
	})
	return docs, err
}
