package agent

import (
	"context"
	"net/url"
	"slices"

	"counterpart/protocol"
	"counterpart/protocol/loyalty"
	"counterpart/protocol/sale"
)

// toldAccount is what the hub says of an account.
type toldAccount struct {
	ID      protocol.MemberID      `json:"id"`
	Balance protocol.Points        `json:"balance"`
	Offer   *loyalty.OfferDocument `json:"offer"`
}

// giftCard shows what may be spent of a gift card here and, where the hub can be
// asked, what is on it. The hub is asked by the account, so that the code stays here.
func (a *Agent) giftCard(ctx context.Context, code string) (loyalty.GiftCardDocument, error) {
	if !protocol.ValidGiftCode(code) || sale.ContainsCardNumber(code) {
		return loyalty.GiftCardDocument{}, errNoGiftCard()
	}
	doc, err := a.till.GiftCardHere(ctx, protocol.GiftCode(code))
	if err != nil {
		return doc, err
	}
	doc.AsOf = utc(a.toldAt())
	var told toldAccount
	switch err := a.askHub(ctx, "/v1/gift-cards/"+string(doc.ID), url.Values{}, &told); protocol.CodeOf(err) {
	case "":
		doc.Balance = &told.Balance
	case protocol.NotFound:
		if doc.SpendableHere == 0 {
			return doc, errNoGiftCard()
		}
	case protocol.CannotKnow:
	default:
		return doc, err
	}
	return doc, nil
}

func errNoGiftCard() error {
	return protocol.Refuse(protocol.NotFound, "There is no gift card with this code. Check what was typed; a card that was sold in a store that is offline is known when it is back.")
}

// accounts shows the store credit and the offers of a member: as the hub says, with
// what may be spent here, or those alone of which this store knows.
func (a *Agent) accounts(ctx context.Context, id protocol.MemberID) ([]loyalty.AccountDocument, error) {
	list, err := a.till.AccountsHere(ctx, id)
	if err != nil {
		return nil, err
	}
	var told struct{ Items []toldAccount }
	err = a.askHub(ctx, "/v1/members/"+string(id)+"/accounts", nil, &told)
	if code := protocol.CodeOf(err); len(list) > 0 && (code == protocol.CannotKnow || code == protocol.NotFound) {
		return list, nil
	}
	if err != nil {
		return nil, err
	}
	for _, one := range told.Items {
		i := slices.IndexFunc(list, func(d loyalty.AccountDocument) bool { return d.ID == one.ID })
		if i < 0 {
			i, list = len(list), append(list, loyalty.NewAccountDocument(one.ID, 0, nil))
		}
		list[i].Balance, list[i].Offer = &one.Balance, one.Offer
	}
	return list, nil
}
