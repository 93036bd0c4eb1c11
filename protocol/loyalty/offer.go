package loyalty

import "counterpart/protocol"

// OfferDocument is what an offer takes off, once.
type OfferDocument struct {
	Name      string                 `json:"name"`
	Kind      protocol.PromotionKind `json:"kind"`
	SKUs      []protocol.SKU         `json:"skus"`
	Category  *string                `json:"category"`
	Rate      protocol.RatePPM       `json:"rate_ppm"`
	Amount    protocol.Money         `json:"amount_minor"`
	Currency  *string                `json:"currency"`
	Minimum   protocol.Money         `json:"minimum_minor"`
	ValidFrom *string                `json:"valid_from"`
	ValidTo   *string                `json:"valid_to"`
}

// NewOfferDocument shows the terms of an offer; nil where an account is none.
func NewOfferDocument(t *protocol.AccountTerms) *OfferDocument {
	if t == nil || t.Offer == nil {
		return nil
	}
	p := t.Offer
	return &OfferDocument{
		Name: p.Name, Kind: p.Kind, SKUs: append([]protocol.SKU{}, p.SKUs...), Category: orNull(p.Category), Rate: p.Rate, Amount: p.Amount,
		Currency: orNull(p.Currency), Minimum: p.Minimum, ValidFrom: orNull(shown(p.From)), ValidTo: orNull(shown(p.To)),
	}
}
