package hub

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/loyalty"
)

// stateActive and stateWithdrawn are how an account stands.
const (
	stateActive    = "active"
	stateWithdrawn = "withdrawn"
)

// errNoAccount says that an account is not known.
func errNoAccount() error {
	return protocol.Refuse(protocol.NotFound, "There is no such gift card, store credit or offer. Nothing was recorded. Check what was typed; what was sold in a store that is offline comes when it is back.")
}

// lot is how much of an account the stream of a store may hold.
type lot struct {
	step, least protocol.Points // what is less is not lent without asking
	home        protocol.Points // of what nobody asked for
	visit       protocol.Points // of what was asked for
}

// lotOf is what a store's streams may hold of an account, nil for nothing. Money is
// lent to stores alone that take its currency, so whoever holds a lease can spend it.
func (h *Hub) lotOf(id protocol.MemberID, store *protocol.StoreRecord) *lot {
	if id.Account() != protocol.PointsAccount {
		if store == nil || id.Currency() != "" && id.Currency() != store.Currency {
			return nil
		}
		return &lot{step: 1, least: 1, home: protocol.PointsMax, visit: protocol.PointsMax}
	}
	rules := h.rulesOf(store)
	if rules == nil {
		return nil
	}
	l := &lot{step: rules.Redeem.Points, least: rules.Redeem.Minimum, home: rules.HomeLeaseCap, visit: protocol.PointsMax}
	if rules.VisitLeaseCap != nil {
		l.visit = *rules.VisitLeaseCap
	}
	return l
}

// expired is what the hub has to log of an account whose terms are over. What stores
// hold of it, rest, is asked back first.
func (h *Hub) expired(p *purse) (deeds []deed, rest protocol.Points) {
	if p.terms == nil || p.terms.To == "" || p.balance <= 0 || h.awaitsAgents() {
		return nil, 0
	}
	end, ok := momentOf(p.terms.To, time.UTC)
	if !ok || h.now().Before(end) {
		return nil, 0
	}
	over := p.balance
	points := min(over, p.free())
	if points > 0 {
		deeds = append(deeds, deed{store: p.logsIn(), events: []*protocol.Event{{
			Kind: protocol.KindAccountChange, AccountChange: &protocol.AccountChange{Account: p.id, Change: protocol.AccountExpired, Amount: -points},
		}}})
		p.balance -= points
	}
	return deeds, over - points
}

// logsIn is the store in whose stream of the hub the account is changed.
func (p *purse) logsIn() protocol.StoreID {
	if p.home != "" {
		return p.home
	}
	return p.row
}

// AccountDocument is what there is of a gift card, store credit or an offer.
type AccountDocument struct {
	ID        protocol.MemberID    `json:"id"`
	Type      protocol.AccountKind `json:"type"`
	State     string               `json:"state"` // active or withdrawn
	Member    *protocol.MemberID   `json:"member_id"`
	Currency  *string              `json:"currency"`
	Balance   protocol.Points      `json:"balance"` // minor units, or uses
	Leased    protocol.Points      `json:"leased"`  // of the balance, held by stores
	HomeStore *protocol.StoreID    `json:"home_store"`
	ValidTo   *string              `json:"valid_to"`
	// Offer is what an offer takes off; null of all else.
	Offer  *loyalty.OfferDocument `json:"offer"`
	Stores []AccountSums          `json:"stores"`
	AsOf   string                 `json:"as_of"`
	// Code is said once, to whoever issued the gift card.
	Code *string `json:"code,omitempty"`
}

// AccountSums is what happened to an account in one store.
type AccountSums struct {
	Store    protocol.StoreID `json:"store"`
	Put      protocol.Points  `json:"put"`   // by receipts
	Taken    protocol.Points  `json:"taken"` // by receipts
	Adjusted protocol.Points  `json:"adjusted"`
	Expired  protocol.Points  `json:"expired"` // below zero
}

// accountDocument shows an account with all of the group.
func (h *Hub) accountDocument(r ledger.Reader, id protocol.MemberID) (doc AccountDocument, err error) {
	p, err := h.readPurse(r, id)
	if err == nil && p.sums.Events == 0 {
		err = errNoAccount()
	}
	if err != nil {
		return doc, err
	}
	doc = AccountDocument{
		ID: p.id, Type: p.id.Account(), State: stateActive, Balance: p.balance, Leased: p.leased, HomeStore: orNil(p.home), Currency: orNil(p.id.Currency()),
		Stores: []AccountSums{}, AsOf: timeOf(h.now().UnixMilli()),
	}
	if p.member != nil {
		doc.Member = &p.member.ID
	}
	if p.terms != nil {
		doc.ValidTo, doc.Offer = orNil(shownMoment(p.terms.To)), loyalty.NewOfferDocument(p.terms)
		if p.terms.Withdrawn {
			doc.State = stateWithdrawn
		}
	}
	for _, one := range p.group {
		accounts, err := ledger.ReadAccounts(r, one)
		if err != nil {
			return doc, err
		}
		for _, store := range sortedStores(accounts) {
			if a := accounts[store]; a.Events > 0 {
				doc.Stores = append(doc.Stores, AccountSums{Store: store, Put: a.Earned, Taken: a.Redeemed, Adjusted: a.Adjusted, Expired: a.Expired})
			}
		}
	}
	return doc, nil
}

func orNil[T comparable](v T) *T {
	var none T
	if v == none {
		return nil
	}
	return &v
}

// Account shows an account.
func (h *Hub) Account(ctx context.Context, id protocol.MemberID) (doc AccountDocument, err error) {
	err = h.view(ctx, func(r ledger.Reader) (err error) {
		doc, err = h.accountDocument(r, id)
		return err
	})
	return doc, err
}

// AmountRequest puts money on an account or takes some of it.
type AmountRequest struct {
	Amount protocol.Money   `json:"amount_minor"`
	Reason string           `json:"reason"`
	Staff  protocol.StaffID `json:"staff"`
}

func (q *AmountRequest) check() error {
	if q.Amount == 0 || q.Amount > protocol.MoneyMax || q.Amount < -protocol.MoneyMax {
		return protocol.OutOfRange("amount_minor", strconv.FormatInt(int64(q.Amount), 10), "0, or beyond "+strconv.FormatInt(int64(protocol.MoneyMax), 10)+" on either side")
	}
	return checkReason(q.Reason, q.Staff)
}

// adjust puts money on an account or takes some of it, and answers 201 with the
// account. What stores hold is not taken: it is asked back first, and the request is
// to be sent again. place says in which store's stream it is logged.
func (h *Hub) adjust(ctx context.Context, c protocol.Call, id protocol.MemberID, q AmountRequest, place func(ledger.Reader, *purse) (protocol.StoreID, error)) (protocol.Answer, error) {
	amount := protocol.Points(q.Amount)
	answer, err := h.once(ctx, c, func(keep func(ledger.Tx, protocol.Answer) error) (answer protocol.Answer, err error) {
		var store protocol.StoreID
		err = h.view(ctx, func(r ledger.Reader) error {
			p, err := h.readPurse(r, id)
			if err == nil {
				store, err = place(r, &p)
			}
			return err
		})
		if err != nil {
			return answer, err
		}
		_, err = h.actAfter(ctx, store, func(tx ledger.Tx, _ protocol.Origin) ([]*protocol.Event, error) {
			ev := &protocol.Event{Kind: protocol.KindAccountChange, AccountChange: &protocol.AccountChange{Account: id, Change: protocol.AccountAdjusted, Amount: amount, Reason: q.Reason, Staff: q.Staff}}
			return []*protocol.Event{ev}, h.mayAlter(tx, id, amount)
		}, func(tx ledger.Tx, _ []*protocol.Event) error {
			answer = protocol.Answer{Status: http.StatusCreated}
			return keep(tx, answer)
		})
		return answer, err
	})
	return h.adjusted(ctx, id, amount, answer, err, func() (any, error) { return h.Account(ctx, id) })
}

// mayAlter refuses to take more of an account than there is, or what stores may
// still spend (I14), and to put more on it than can be spent at once.
func (h *Hub) mayAlter(r ledger.Reader, id protocol.MemberID, amount protocol.Points) error {
	p, err := h.readPurse(r, id)
	if err != nil {
		return err
	}
	number := func(n protocol.Points) string { return strconv.FormatInt(int64(n), 10) }
	switch {
	case p.balance+amount > protocol.PointsMax:
		return protocol.OutOfRange("amount_minor", number(amount), "more than fits: an account holds at most "+number(protocol.PointsMax)).With("balance", int64(p.balance))
	case amount > 0:
		return nil
	case h.awaitsAgents():
		return protocol.Refuse(protocol.Conflict, "The database was put back to an older copy, and not every store has told yet what it holds. Nothing was recorded. Send it again when all machines have been online.")
	case p.balance+amount < 0:
		return protocol.OutOfRange("amount_minor", number(amount), "more than the "+number(max(0, p.balance))+" that is there").With("balance", int64(p.balance))
	case p.free()+amount < 0:
		return protocol.Refuse(protocol.Conflict, "Stores hold "+number(p.leased)+" of it, ready to be spent, so only "+number(p.free())+
			" can be taken now. Nothing was recorded. Those stores were asked to give it back: send it again in a few seconds. What a store that is offline holds comes back when it is online.").
			With("leased", int64(p.leased)).With("free", int64(p.free()))
	}
	return nil
}
