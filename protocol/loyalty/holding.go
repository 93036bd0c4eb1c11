package loyalty

import "counterpart/protocol"

// AccountDocument is a member's store credit, or an offer, as a store shows it.
type AccountDocument struct {
	ID       protocol.MemberID    `json:"id"`
	Type     protocol.AccountKind `json:"type"`
	Currency *string              `json:"currency"`
	// Balance is that over all stores; null while head office cannot be asked.
	Balance       *protocol.Points `json:"balance"`
	SpendableHere protocol.Points  `json:"spendable_here"` // without asking anybody
	Offer         *OfferDocument   `json:"offer"`
}

// GiftCardDocument is a gift card in a store's currency, as the store shows it.
type GiftCardDocument struct {
	ID            protocol.MemberID `json:"id"`
	Currency      string            `json:"currency"`
	Balance       *protocol.Points  `json:"balance"` // as of AccountDocument
	SpendableHere protocol.Points   `json:"spendable_here"`
	AsOf          string            `json:"as_of"`
}

// NewAccountDocument shows an account as far as a store knows it.
func NewAccountDocument(id protocol.MemberID, spendable protocol.Points, terms *protocol.AccountTerms) AccountDocument {
	return AccountDocument{ID: id, Type: id.Account(), Currency: orNull(id.Currency()), SpendableHere: spendable, Offer: NewOfferDocument(terms)}
}
