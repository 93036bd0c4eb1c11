package api

import (
	"net/http"

	"counterpart/protocol"
)

// GiftCardRequest issues a gift card without a receipt.
type GiftCardRequest struct {
	Code    *string          `json:"code"`
	Store   protocol.StoreID `json:"store"`
	Amount  protocol.Money   `json:"amount_minor"`
	ValidTo *string          `json:"valid_to"`
	Reason  string           `json:"reason"`
	Staff   protocol.StaffID `json:"staff"`
}

// AmountRequest puts money on an account or takes some of it. Currency is empty for
// the chain's.
type AmountRequest struct {
	Amount   protocol.Money   `json:"amount_minor"`
	Currency string           `json:"currency"`
	Reason   string           `json:"reason"`
	Staff    protocol.StaffID `json:"staff"`
}

// giftRoute begins the routes by which calls about gift cards are remembered.
const giftRoute = "POST /v1/gift-cards"

func (s *server) issueGiftCard(w http.ResponseWriter, r *http.Request) error {
	var request GiftCardRequest
	call, err := readCall(r, giftRoute, &request)
	if err != nil {
		return err
	}
	answer, err := s.deps.IssueGiftCard(r.Context(), call, request)
	return writeAnswer(w, answer, err)
}

func (s *server) giftCard(w http.ResponseWriter, r *http.Request) error {
	doc, err := s.deps.GiftCard(r.Context(), r.PathValue("code"), parametersOf(r).values.Get("currency"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, doc)
}

// adjustGiftCard is remembered by the hash that names the card's account, so that no
// code is kept.
func (s *server) adjustGiftCard(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("code")
	if protocol.ValidGiftCode(name) {
		name = string(protocol.GiftCode(name).Account(noCurrency))
	}
	var request AmountRequest
	call, err := readCall(r, giftRoute+"/"+name+"/adjust", &request)
	if err != nil {
		return err
	}
	answer, err := s.deps.AdjustGiftCard(r.Context(), call, r.PathValue("code"), request)
	return writeAnswer(w, answer, err)
}

// noCurrency stands for that of the request, which is part of its body.
const noCurrency = "XXX"

func (s *server) adjustCredit(w http.ResponseWriter, r *http.Request) error {
	id, err := memberOf(r)
	if err != nil {
		return err
	}
	var request AmountRequest
	call, err := readCall(r, "POST /v1/members/"+string(id)+"/credit", &request)
	if err != nil {
		return err
	}
	answer, err := s.deps.AdjustCredit(r.Context(), call, id, request)
	return writeAnswer(w, answer, err)
}

func (s *server) memberAccounts(w http.ResponseWriter, r *http.Request) error {
	return s.aboutMember(w, r, func(id protocol.MemberID) (any, error) { return s.deps.MemberAccounts(r.Context(), id) })
}

// OfferRequest gives members an offer.
type OfferRequest struct {
	Members   []protocol.MemberID    `json:"members"`
	Name      string                 `json:"name"`
	Kind      protocol.PromotionKind `json:"kind"`
	SKUs      []protocol.SKU         `json:"skus"`
	Category  string                 `json:"category"`
	Rate      protocol.RatePPM       `json:"rate_ppm"`
	Amount    protocol.Money         `json:"amount_minor"`
	Currency  string                 `json:"currency"`
	Minimum   protocol.Money         `json:"minimum_minor"`
	ValidFrom string                 `json:"valid_from"`
	ValidTo   string                 `json:"valid_to"`
	Reason    string                 `json:"reason"`
	Staff     protocol.StaffID       `json:"staff"`
}

func (s *server) issueOffers(w http.ResponseWriter, r *http.Request) error {
	var request OfferRequest
	call, err := readCall(r, "POST /v1/offers", &request)
	if err != nil {
		return err
	}
	answer, err := s.deps.IssueOffers(r.Context(), call, request)
	return writeAnswer(w, answer, err)
}

func (s *server) withdrawOffer(w http.ResponseWriter, r *http.Request) error {
	id, err := memberOf(r)
	if err != nil {
		return err
	}
	var request CreditRequest
	call, err := readCall(r, "POST /v1/offers/"+string(id)+"/withdraw", &request)
	if err != nil {
		return err
	}
	answer, err := s.deps.WithdrawOffer(r.Context(), call, id, request)
	return writeAnswer(w, answer, err)
}
