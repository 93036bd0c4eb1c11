package hub

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/sale"
)

// GiftCardRequest issues a gift card without a receipt.
type GiftCardRequest struct {
	Code    *string          `json:"code"`  // null: the hub makes one
	Store   protocol.StoreID `json:"store"` // whose machines hold it, and whose currency it is in
	Amount  protocol.Money   `json:"amount_minor"`
	ValidTo *string          `json:"valid_to"` // null: for ever
	Reason  string           `json:"reason"`
	Staff   protocol.StaffID `json:"staff"`
}

// issued is what is kept of an answer: who repeats a call is told the code again.
type issued struct {
	Account protocol.MemberID `json:"account"`
	Code    string            `json:"code"`
}

func (q *GiftCardRequest) check() error {
	switch {
	case q.Amount < 0 || q.Amount > protocol.MoneyMax:
		return protocol.OutOfRange("amount_minor", strconv.FormatInt(int64(q.Amount), 10), "not 0 to "+strconv.FormatInt(int64(protocol.MoneyMax), 10))
	case !protocol.ValidID(string(q.Store)):
		return protocol.OutOfRange("store", "", "missing, or not the id of a store")
	}
	if err := checkReason(q.Reason, q.Staff); err != nil {
		return err
	}
	if q.ValidTo != nil {
		if _, err := time.Parse(time.RFC3339, *q.ValidTo); err != nil {
			return protocol.OutOfRange("valid_to", "", "not a time as in 2026-11-21T10:02:11+00:00")
		}
	}
	if q.Code != nil {
		return checkGiftCode(*q.Code)
	}
	return nil
}

// checkGiftCode refuses what is no code of a gift card, without repeating it.
func checkGiftCode(code string) error {
	if err := sale.RefuseCardNumbers(code); err != nil {
		return err
	}
	if !protocol.ValidGiftCode(code) {
		return protocol.OutOfRange("code", "", "not 8 to 32 capital letters and digits")
	}
	return nil
}

// IssueGiftCard issues a gift card, with an amount or with none, and answers 201 with
// it and its code.
func (h *Hub) IssueGiftCard(ctx context.Context, c protocol.Call, q GiftCardRequest) (protocol.Answer, error) {
	if err := q.check(); err != nil {
		return protocol.Answer{}, err
	}
	answer, err := h.once(ctx, c, func(keep func(ledger.Tx, protocol.Answer) error) (answer protocol.Answer, err error) {
		code := protocol.NewGiftCode(h.random)
		if q.Code != nil {
			code = protocol.GiftCode(*q.Code)
		}
		store, err := h.storeOf(ctx, q.Store)
		if err != nil {
			return answer, err
		}
		id := code.Account(store.Currency)
		_, err = h.actAfter(ctx, q.Store, func(tx ledger.Tx, _ protocol.Origin) ([]*protocol.Event, error) {
			p, err := h.readPurse(tx, id)
			if err == nil && p.sums.Events > 0 {
				err = protocol.Refuse(protocol.Conflict, "A gift card with this code was sold or issued before. Nothing was recorded. Put the amount on that card, or take another code.").With("account", string(id))
			}
			terms := &protocol.AccountTerms{Version: 1, Home: q.Store}
			if q.ValidTo != nil {
				terms.To = *q.ValidTo
			}
			ev := &protocol.Event{Kind: protocol.KindAccountChange, AccountChange: &protocol.AccountChange{
				Account: id, Change: protocol.AccountIssued, Amount: protocol.Points(q.Amount), Reason: q.Reason, Staff: q.Staff, Terms: terms,
			}}
			return []*protocol.Event{ev}, err
		}, func(tx ledger.Tx, _ []*protocol.Event) (err error) {
			if answer, err = answerJSON(http.StatusCreated, issued{id, string(code)}); err != nil {
				return err
			}
			return keep(tx, answer)
		})
		return answer, err
	})
	if err != nil {
		return answer, err
	}
	var kept issued
	if err := json.Unmarshal(answer.Body, &kept); err != nil {
		return answer, err
	}
	if err := h.lendTo(ctx, kept.Account); err != nil {
		return answer, err
	}
	doc, err := h.Account(ctx, kept.Account)
	if err != nil {
		return answer, err
	}
	doc.Code = &kept.Code
	return answerJSON(answer.Status, doc)
}

// storeOf is the record of a store that must be there.
func (h *Hub) storeOf(ctx context.Context, id protocol.StoreID) (store *protocol.StoreRecord, err error) {
	err = h.view(ctx, func(r ledger.Reader) (err error) {
		store, err = ledger.ReadStore(r, id)
		return err
	})
	if err == nil && store == nil {
		err = protocol.Refuse(protocol.UnknownStore, "There is no store "+string(id)+". Nothing was recorded. Check its id.")
	}
	return store, err
}

// giftAccount is the account of a gift card in a currency, by its code or by the
// account's id, which shows no code.
func giftAccount(name, currency string) (protocol.MemberID, error) {
	if id := protocol.MemberID(name); id.Account() == protocol.GiftAccount {
		return id, nil
	}
	if !protocol.ValidGiftCode(name) {
		return "", errNoAccount()
	}
	return protocol.GiftCode(name).Account(currency), nil
}

// GiftCard shows a gift card, in the chain's currency where none is named.
func (h *Hub) GiftCard(ctx context.Context, name, currency string) (AccountDocument, error) {
	id, err := giftAccount(name, cmp.Or(currency, h.currency))
	if err != nil {
		return AccountDocument{}, err
	}
	return h.Account(ctx, id)
}

// AdjustGiftCard puts money on a gift card or takes some of it, with a reason.
func (h *Hub) AdjustGiftCard(ctx context.Context, c protocol.Call, name, currency string, q AmountRequest) (protocol.Answer, error) {
	id, err := giftAccount(name, cmp.Or(currency, h.currency))
	if err == nil {
		err = q.check()
	}
	if err != nil {
		return protocol.Answer{}, err
	}
	return h.adjust(ctx, c, id, q, func(_ ledger.Reader, p *purse) (protocol.StoreID, error) {
		if p.home == "" {
			return "", errNoAccount()
		}
		return p.home, nil
	})
}
