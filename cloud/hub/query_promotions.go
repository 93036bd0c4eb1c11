package hub

import (
	"cmp"
	"context"
	"strings"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// PromotionDocument is a promotion, with the columns of an import. What its kind
// does not have is null.
type PromotionDocument struct {
	Zone         protocol.ZoneID        `json:"zone"`
	ID           protocol.PromotionID   `json:"id"`
	Name         string                 `json:"name"`
	Kind         protocol.PromotionKind `json:"kind"`
	ValidFrom    string                 `json:"valid_from"`
	ValidTo      *string                `json:"valid_to"`
	Hours        *string                `json:"hours"`
	Coupon       *string                `json:"coupon"`
	MembersOnly  bool                   `json:"members_only"`
	Limit        *uint32                `json:"limit"`
	SKUs         []protocol.SKU         `json:"skus"`
	Category     *string                `json:"category"`
	N            *uint32                `json:"n"`
	PriceMinor   *protocol.Money        `json:"price_minor"`
	Currency     *string                `json:"currency"`
	RatePPM      *protocol.RatePPM      `json:"rate_ppm"`
	Free         *uint32                `json:"free"`
	AmountMinor  *protocol.Money        `json:"amount_minor"`
	MinimumMinor *protocol.Money        `json:"minimum_minor"`
}

// Promotions lists the promotions of all zones, in the order of zones and ids.
func (h *Hub) Promotions(ctx context.Context, page Page) (List[PromotionDocument], error) {
	var docs []PromotionDocument
	zone, id, _ := strings.Cut(page.After, "/")
	err := h.view(ctx, func(r ledger.Reader) error {
		docs = nil
		return ledger.ScanPromotions(r, func(p *protocol.Promotion) (bool, error) {
			if cmp.Or(cmp.Compare(string(p.Zone), zone), cmp.Compare(string(p.ID), id)) > 0 {
				docs = append(docs, promotionDocument(p))
			}
			return len(docs) <= page.Limit, nil
		})
	})
	return cut(page, docs, func(d *PromotionDocument) string { return string(d.Zone) + "/" + string(d.ID) }), err
}

func promotionDocument(p *protocol.Promotion) PromotionDocument {
	d := PromotionDocument{
		Zone: p.Zone, ID: p.ID, Name: p.Name, Kind: p.Kind, ValidFrom: shownMoment(p.From), ValidTo: orNull(shownMoment(p.To)), Hours: orNull(p.Hours),
		Coupon: orNull(p.Coupon), MembersOnly: p.MembersOnly, SKUs: append([]protocol.SKU{}, p.SKUs...), Category: orNull(p.Category), Currency: orNull(p.Currency),
	}
	if p.Limit > 0 {
		d.Limit = &p.Limit
	}
	switch p.Kind {
	case protocol.NForPrice:
		d.N, d.PriceMinor = &p.N, &p.Price
	case protocol.CheapestFree:
		d.N, d.Free = &p.N, &p.Free
	case protocol.PercentOff:
		d.RatePPM = &p.Rate
	case protocol.AmountOff:
		d.AmountMinor, d.MinimumMinor = &p.Amount, &p.Minimum
	}
	return d
}

// shownMoment is a date, or a time with a numeric offset, as documents have it.
// Rows have UTC as Z.
func shownMoment(moment string) string {
	if utc, ok := strings.CutSuffix(moment, "Z"); ok {
		return utc + "+00:00"
	}
	return moment
}
