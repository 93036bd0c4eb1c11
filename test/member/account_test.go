package member_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"counterpart/test/process"
	"counterpart/test/proxy"
)

// receipt is what a till answers to a sale or a return.
type receipt struct {
	Receipt string `json:"receipt_no"`
	Total   int64  `json:"total_minor"`
	Tenders []struct {
		Type, Ref string
	}
}

// refusedAccount is what a till says that cannot take what it is asked for.
type refusedAccount struct {
	Code, Why     string
	SpendableHere *int64 `json:"spendable_here"`
}

// does sends a request to a store's machine, counted from 1.
func (s *shops) does(store int, path string, body map[string]any) (got receipt, refused *refusedAccount) {
	s.t.Helper()
	request, err := process.JSON(http.MethodPost, path, "", body)
	s.must(err)
	answer, err := s.fleet.Machines[store-1].Send(s.ctx, request)
	var refusal *process.Refusal
	if errors.As(err, &refusal) {
		refused = &refusedAccount{}
		s.must(json.Unmarshal(refusal.Body, refused))
		return got, refused
	}
	s.must(err)
	s.must(answer.Into(&got))
	return got, nil
}

// answers is does until the answer is no want of an answer in time: on a busy machine
// the hub may not say what it lends within the seconds that a till waits.
func (s *shops) answers(store int, path string, body map[string]any) (got receipt, refused *refusedAccount) {
	s.t.Helper()
	s.await(fmt.Sprintf("store %d has asked", store), func(context.Context) (string, error) {
		if got, refused = s.does(store, path, body); refused != nil && refused.Why == "no_lease" {
			return "it was not answered in time", nil
		}
		return "", nil
	})
	return got, refused
}

// takes is answers for what has to work.
func (s *shops) takes(store int, path string, body map[string]any) receipt {
	s.t.Helper()
	got, refused := s.answers(store, path, body)
	if refused != nil {
		s.t.Fatalf("store %d refuses %s with %+v", store, body, *refused)
	}
	return got
}

// refuses demands that something is not taken, and why.
func (s *shops) refuses(store int, body map[string]any, why string) {
	s.t.Helper()
	do := s.answers
	if why == "no_lease" {
		do = s.does
	}
	got, refused := do(store, "/v1/sales", body)
	if refused == nil || refused.Code != "account_unavailable" || refused.Why != why || refused.SpendableHere == nil || *refused.SpendableHere != 0 {
		s.t.Fatalf("store %d answers with receipt %q and %+v; want %s and nothing that may be spent here", store, got.Receipt, refused, why)
	}
}

// pens is a sale of pens at 10.00 each that is paid in one way.
func pens(n int, tender map[string]any, more map[string]any) map[string]any {
	body := map[string]any{"lines": []any{map[string]any{"code": "PEN", "qty": n}}, "tenders": []any{tender}}
	for name, value := range more {
		body[name] = value
	}
	return body
}

// lent waits until a store's machine may spend so much of an account.
func (s *shops) lent(store int, path string, fits func(json.RawMessage) bool) {
	s.t.Helper()
	s.await(fmt.Sprintf("store %d shows %s", store, path), func(ctx context.Context) (string, error) {
		var got json.RawMessage
		err := s.fleet.Machines[store-1].Get(ctx, path, &got)
		var refusal *process.Refusal
		if errors.As(err, &refusal) {
			return refusal.Error(), nil
		}
		if err == nil && !fits(got) {
			return string(got), nil
		}
		return "", err
	})
}

// online mends all lines, and waits until each store is in session again.
func (s *shops) online() {
	s.t.Helper()
	s.lines(proxy.Pass)
	for _, m := range s.fleet.Machines {
		s.await(m.ID()+" is online", func(ctx context.Context) (string, error) {
			status, err := m.Status(ctx)
			if status.Link.State != "online" {
				return status.Link.State, err
			}
			return "", err
		})
	}
}

const giftCode = "WINTER2026ABCD"

func (s *shops) cardHolds(store int, balance, here int64) {
	s.t.Helper()
	s.lent(store, "/v1/gift-cards/"+giftCode, func(b json.RawMessage) bool {
		var card struct {
			Balance *int64
			Here    int64 `json:"spendable_here"`
		}
		s.must(json.Unmarshal(b, &card))
		return card.Here == here && card.Balance != nil && *card.Balance == balance
	})
}

// TestI14_GiftCardCutOff sells a gift card in one store and spends it there while the
// line is cut. Another store that is cut off refuses it, and says why; when it is back
// it asks for what is left and spends that.
func TestI14_GiftCardCutOff(t *testing.T) {
	s := openShops(t, 900)
	card := func(amount int) map[string]any {
		return map[string]any{"type": "gift_card", "amount_minor": amount, "code": giftCode}
	}
	load := map[string]any{
		"lines":   []any{map[string]any{"code": "GIFT", "qty": 1, "amount_minor": 5000, "gift_card": giftCode}},
		"tenders": []any{map[string]any{"type": "card", "amount_minor": 5000}},
	}
	s.takes(1, "/v1/sales", load)
	s.cardHolds(1, 5000, 5000)
	s.cutOff()
	sold := s.takes(1, "/v1/sales", pens(2, card(2000), nil))
	if len(sold.Tenders) != 1 || sold.Tenders[0].Ref != "****ABCD" {
		t.Fatalf("the receipt shows %+v", sold.Tenders)
	}
	s.refuses(2, pens(1, card(1000), nil), "no_lease")
	s.online()
	s.cardHolds(1, 3000, 3000)
	s.takes(2, "/v1/sales", pens(1, card(1000), nil))
	s.cardHolds(2, 2000, 2000)
	s.refuses(1, pens(3, card(3000), nil), "balance")
	if _, refused := s.answers(3, "/v1/sales", pens(1, map[string]any{"type": "gift_card", "amount_minor": 1000, "code": "NEVERSOLD123"}, nil)); refused == nil || refused.Why != "unknown" {
		t.Fatalf("a card that was never sold is answered with %+v", refused)
	}
}

// TestI14_CreditAndOfferCutOff refunds goods to a member's store credit and spends it
// while the line is cut, and redeems an offer there once; the second time it is refused.
func TestI14_CreditAndOfferCutOff(t *testing.T) {
	s := openShops(t, 900)
	var offers struct{ Items []struct{ ID string } }
	s.must(s.ask(http.MethodPost, "/v1/offers", "k-offer", map[string]any{
		"members": []any{s.member}, "name": "A fifth off", "kind": "percent", "rate_ppm": 200_000, "skus": []any{"PEN"}, "reason": "birthday", "staff": "s7",
	}, &offers))
	if len(offers.Items) != 1 {
		t.Fatalf("offers %+v", offers)
	}
	who := map[string]any{"member_id": s.member}
	bought := s.takes(1, "/v1/sales", pens(2, map[string]any{"type": "card", "amount_minor": 2000}, who))
	s.takes(1, "/v1/returns", map[string]any{
		"receipt_no": bought.Receipt, "lines": []any{map[string]any{"line": 1, "qty": 1}},
		"tenders": []any{map[string]any{"type": "on_account", "amount_minor": 1000, "credit": true}},
	})
	s.lent(1, "/v1/members/"+s.member+"/accounts", func(b json.RawMessage) bool {
		var list struct {
			Items []struct {
				Type string
				Here int64 `json:"spendable_here"`
			}
		}
		s.must(json.Unmarshal(b, &list))
		return len(list.Items) == 2 && list.Items[0].Type == "credit" && list.Items[0].Here == 1000 && list.Items[1].Type == "offer" && list.Items[1].Here == 1
	})
	s.cutOff()
	credit := func(amount int) map[string]any {
		return map[string]any{"type": "on_account", "amount_minor": amount, "credit": true}
	}
	redeem := map[string]any{"member_id": s.member, "offers": []any{offers.Items[0].ID}}
	s.refuses(2, pens(1, credit(1000), who), "no_lease")
	s.refuses(2, pens(1, map[string]any{"type": "card", "amount_minor": 800}, redeem), "no_lease")
	if sold := s.takes(1, "/v1/sales", pens(1, credit(800), redeem)); sold.Total != 800 {
		t.Fatalf("with the offer a pen costs %d", sold.Total)
	}
	s.refuses(1, pens(1, map[string]any{"type": "card", "amount_minor": 800}, redeem), "no_lease")
	s.online()
	s.await("the hub has heard of it", func(context.Context) (string, error) {
		var list struct {
			Items []struct{ Balance, Leased int64 }
		}
		err := s.ask(http.MethodGet, "/v1/members/"+s.member+"/accounts", "", nil, &list)
		if len(list.Items) != 2 || list.Items[0].Balance != 200 || list.Items[1].Balance != 0 {
			return fmt.Sprintf("%+v", list.Items), err
		}
		return "", err
	})
	s.takes(2, "/v1/sales", map[string]any{
		"lines":   []any{map[string]any{"code": "PEN", "qty": 1}},
		"tenders": []any{credit(200), map[string]any{"type": "card", "amount_minor": 800}}, "member_id": s.member,
	})
	s.refuses(2, pens(1, map[string]any{"type": "card", "amount_minor": 800}, redeem), "balance")
}
