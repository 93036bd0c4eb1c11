package cloud

import (
	"context"

	"counterpart/cloud/api"
	"counterpart/cloud/hub"
	"counterpart/protocol"
)

// accounts adds what is about gift cards, store credit and offers.
func (c *Cloud) accounts(d api.Deps) api.Deps {
	h := c.hub
	amount := func(q api.AmountRequest) hub.AmountRequest {
		return hub.AmountRequest{Amount: q.Amount, Reason: q.Reason, Staff: q.Staff}
	}
	d.IssueGiftCard = func(ctx context.Context, call protocol.Call, q api.GiftCardRequest) (protocol.Answer, error) {
		return h.IssueGiftCard(ctx, call, hub.GiftCardRequest(q))
	}
	d.GiftCard = func(ctx context.Context, code, currency string) (any, error) { return h.GiftCard(ctx, code, currency) }
	d.AdjustGiftCard = func(ctx context.Context, call protocol.Call, code string, q api.AmountRequest) (protocol.Answer, error) {
		return h.AdjustGiftCard(ctx, call, code, q.Currency, amount(q))
	}
	d.AdjustCredit = func(ctx context.Context, call protocol.Call, id protocol.MemberID, q api.AmountRequest) (protocol.Answer, error) {
		return h.AdjustCredit(ctx, call, id, hub.CreditAmountRequest{AmountRequest: amount(q), Currency: q.Currency})
	}
	d.MemberAccounts = func(ctx context.Context, id protocol.MemberID) (any, error) { return h.MemberAccounts(ctx, id) }
	d.IssueOffers = func(ctx context.Context, call protocol.Call, q api.OfferRequest) (protocol.Answer, error) {
		return h.IssueOffers(ctx, call, hub.OfferRequest(q))
	}
	d.WithdrawOffer = func(ctx context.Context, call protocol.Call, id protocol.MemberID, q api.CreditRequest) (protocol.Answer, error) {
		return h.WithdrawOffer(ctx, call, id, hub.CreditRequest(q))
	}
	return d
}
