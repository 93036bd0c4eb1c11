package hub

import (
	"context"
	"slices"

	"counterpart/protocol"
	"counterpart/protocol/cart"
	"counterpart/protocol/ledger"
	"counterpart/protocol/loyalty"
	"counterpart/protocol/pickup"
	"counterpart/protocol/sale"
)

// MemberExport is all that is kept of one person, for who asks what that is: their
// profile and those of the members who were merged into it, and what happened in all
// stores and channels.
type MemberExport struct {
	Member   loyalty.MemberDocument   `json:"member"`
	Merged   []loyalty.MemberDocument `json:"merged"`
	HeldBy   []protocol.StoreID       `json:"held_by"` // stores that hold the profile as well
	Points   []StorePoints            `json:"points"`
	Leases   []LeaseDocument          `json:"leases"`
	Accounts []AccountDocument        `json:"accounts"` // store credit and offers
	Cart     *cart.Document           `json:"cart"`     // null of who is erased
	Timeline []loyalty.EntryDocument  `json:"timeline"` // newest first
	Sales    []sale.Document          `json:"sales"`    // newest first
	Orders   []pickup.Document        `json:"orders"`   // newest first, without code and token
	AsOf     string                   `json:"as_of"`
}

// StorePoints is what happened to a member's points in one store.
type StorePoints struct {
	Store    protocol.StoreID `json:"store"`
	Earned   protocol.Points  `json:"earned"`
	Redeemed protocol.Points  `json:"redeemed"`
	Adjusted protocol.Points  `json:"adjusted"`
	Expired  protocol.Points  `json:"expired"`
}

// ExportMember puts together all that is kept of a member. What comes in while it is
// put together may be in one part of it and not yet in another.
func (h *Hub) ExportMember(ctx context.Context, id protocol.MemberID) (doc MemberExport, err error) {
	doc = MemberExport{
		Merged: []loyalty.MemberDocument{}, HeldBy: []protocol.StoreID{}, Points: []StorePoints{}, Sales: []sale.Document{}, Orders: []pickup.Document{},
		Timeline: []loyalty.EntryDocument{}, AsOf: timeOf(h.now().UnixMilli()),
	}
	if doc.Member, err = h.Member(ctx, id); err != nil {
		return doc, err
	}
	leases, err := h.MemberLeases(ctx, id)
	if err != nil {
		return doc, err
	}
	doc.Leases = leases.Items
	accounts, err := h.MemberAccounts(ctx, id)
	if err != nil {
		return doc, err
	}
	doc.Accounts = accounts.Items
	switch found, err := h.Cart(ctx, id); {
	case err == nil:
		doc.Cart = &found
	case protocol.CodeOf(err) != protocol.Conflict:
		return doc, err
	}
	if err := h.exportRows(ctx, id, &doc); err != nil {
		return doc, err
	}
	for page := (Page{Limit: 1000}); ; {
		part, err := h.Timeline(ctx, id, page)
		if err != nil {
			return doc, err
		}
		doc.Timeline = append(doc.Timeline, part.Items...)
		if part.Next == nil {
			break
		}
		page.After = *part.Next
	}
	for i := range doc.Timeline {
		e := &doc.Timeline[i]
		if e.Amount == nil || e.Reference == nil {
			continue
		}
		err := h.exportEntry(ctx, e, &doc)
		if protocol.CodeOf(err) == protocol.NotFound {
			continue // Its stream was lost, and the entry is what is left of it.
		}
		if err != nil {
			return doc, err
		}
	}
	return doc, nil
}

// exportEntry adds the receipt or the order that an entry names. An order has an entry
// for each of its parts.
func (h *Hub) exportEntry(ctx context.Context, e *loyalty.EntryDocument, doc *MemberExport) error {
	if e.Kind != loyalty.KindOrder {
		receipt, err := h.Sale(ctx, protocol.ReceiptNo(*e.Reference))
		if err == nil {
			doc.Sales = append(doc.Sales, receipt)
		}
		return err
	}
	id := protocol.OrderID(*e.Reference)
	if slices.ContainsFunc(doc.Orders, func(o pickup.Document) bool { return o.ID == id }) {
		return nil
	}
	order, err := h.Order(ctx, id)
	if err == nil {
		order.PickupCode, order.PickupToken = nil, nil
		doc.Orders = append(doc.Orders, order)
	}
	return err
}

// exportRows adds what the rows of the group say.
func (h *Hub) exportRows(ctx context.Context, id protocol.MemberID, doc *MemberExport) error {
	var merged []*protocol.Member
	err := h.view(ctx, func(r ledger.Reader) error {
		p, err := h.readPurse(r, id)
		if err != nil {
			return err
		}
		merged, doc.Points = nil, doc.Points[:0]
		accounts := map[protocol.StoreID]*loyalty.Account{}
		for _, one := range p.group {
			if one != p.id {
				m, _, err := ledger.ReadMember(r, one)
				if err != nil {
					return err
				}
				merged = append(merged, m)
			}
			list, err := ledger.ReadAccounts(r, one)
			if err != nil {
				return err
			}
			for store, account := range list {
				if accounts[store] == nil {
					accounts[store] = &loyalty.Account{}
				}
				accounts[store].Add(account)
			}
		}
		for _, store := range sortedStores(accounts) {
			a := accounts[store]
			if a.Events != 0 {
				doc.Points = append(doc.Points, StorePoints{store, a.Earned, a.Redeemed, a.Adjusted, a.Expired})
			}
		}
		held, err := ledger.MemberHolders(r, p.id)
		doc.HeldBy = append(doc.HeldBy[:0], held...)
		return err
	})
	for _, m := range merged {
		if err != nil || m == nil {
			return err
		}
		var person *protocol.Personal
		person, err = h.unseal(ctx, m)
		doc.Merged = append(doc.Merged, loyalty.NewMemberDocument(m, person, loyalty.PointsDocument{AsOf: doc.AsOf}))
	}
	return err
}
