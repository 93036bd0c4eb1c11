package hub

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/sale"
)

// OfferRequest gives members an offer, each one of their own that can be redeemed
// once.
type OfferRequest struct {
	Members   []protocol.MemberID    `json:"members"`
	Name      string                 `json:"name"`
	Kind      protocol.PromotionKind `json:"kind"` // percent or amount_off
	SKUs      []protocol.SKU         `json:"skus"`
	Category  string                 `json:"category"`
	Rate      protocol.RatePPM       `json:"rate_ppm"`
	Amount    protocol.Money         `json:"amount_minor"`
	Currency  string                 `json:"currency"` // empty: the chain's
	Minimum   protocol.Money         `json:"minimum_minor"`
	ValidFrom string                 `json:"valid_from"`
	ValidTo   string                 `json:"valid_to"`
	Reason    string                 `json:"reason"`
	Staff     protocol.StaffID       `json:"staff"`
}

// Limits of a request for offers.
const (
	offerMembersMax = 1000
	offerGoodsMax   = 1000
	offerNameBytes  = 64
	categoryBytes   = 512
)

// offerZone stands in an offer for the zone of a promotion: it holds in all.
const offerZone protocol.ZoneID = "offer"

func (q *OfferRequest) check() error {
	switch {
	case len(q.Members) == 0 || len(q.Members) > offerMembersMax:
		return protocol.OutOfRange("members", strconv.Itoa(len(q.Members)), "not a list of 1 to "+strconv.Itoa(offerMembersMax)+" members")
	case strings.TrimSpace(q.Name) == "" || !protocol.ValidText(q.Name, offerNameBytes):
		return protocol.OutOfRange("name", "", "missing, or not text of at most "+strconv.Itoa(offerNameBytes)+" bytes without control characters")
	case len(q.SKUs) > offerGoodsMax || slices.ContainsFunc(q.SKUs, func(sku protocol.SKU) bool { return !protocol.ValidSKU(string(sku)) }):
		return protocol.OutOfRange("skus", "", "not a list of at most "+strconv.Itoa(offerGoodsMax)+" SKUs")
	case !protocol.ValidText(q.Category, categoryBytes) || q.Category != "" && len(q.SKUs) > 0:
		return protocol.OutOfRange("category", "", "not a category, or given together with skus")
	case q.Currency != "" && protocol.NewCreditAccount(q.Currency, "m").Account() != protocol.CreditAccount:
		return protocol.OutOfRange("currency", "", "not three capital letters")
	case q.Minimum < 0 || q.Minimum > protocol.MoneyMax || q.Minimum > 0 && q.Kind != protocol.AmountOff:
		return protocol.OutOfRange("minimum_minor", "", "out of range, or given for a kind other than amount_off")
	}
	for _, f := range []struct{ field, moment string }{{"valid_from", q.ValidFrom}, {"valid_to", q.ValidTo}} {
		if _, ok := momentOf(f.moment, time.UTC); f.moment != "" && !ok {
			return protocol.OutOfRange(f.field, "", "not a date as in 2026-11-21, nor a time as in 2026-11-21T10:02:11+00:00")
		}
	}
	if err := q.checkKind(); err != nil {
		return err
	}
	if err := sale.RefuseCardNumbers(q.Name); err != nil {
		return err
	}
	return checkReason(q.Reason, q.Staff)
}

func (q *OfferRequest) checkKind() error {
	switch q.Kind {
	case protocol.PercentOff:
		if q.Rate < 1 || q.Rate > 1_000_000 || q.Amount != 0 {
			return protocol.OutOfRange("rate_ppm", "", "not 1 to 1,000,000, or given together with amount_minor")
		}
	case protocol.AmountOff:
		if q.Amount < 1 || q.Amount > protocol.MoneyMax || q.Rate != 0 {
			return protocol.OutOfRange("amount_minor", "", "not above 0, or given together with rate_ppm")
		}
		if len(q.SKUs) > 0 || q.Category != "" {
			return protocol.OutOfRange("kind", string(q.Kind), "one that takes off the whole receipt, and names no goods")
		}
	default:
		return protocol.OutOfRange("kind", "", "not one of percent and amount_off")
	}
	return nil
}

// terms are those of one offer of the request.
func (q *OfferRequest) terms(id protocol.MemberID, currency string) *protocol.AccountTerms {
	skus := slices.Clone(q.SKUs)
	slices.Sort(skus)
	p := &protocol.Promotion{
		ID: protocol.PromotionID(id), Zone: offerZone, Name: q.Name, From: q.ValidFrom, To: q.ValidTo, Coupon: string(id), MembersOnly: true,
		SKUs: slices.Compact(skus), Category: q.Category, Kind: q.Kind, Rate: q.Rate, Amount: q.Amount, Minimum: q.Minimum,
	}
	if q.Kind == protocol.AmountOff {
		p.Currency = cmp.Or(q.Currency, currency)
	}
	return &protocol.AccountTerms{Version: 1, To: q.ValidTo, Offer: p}
}

// IssueOffers gives members an offer, all of them or none, and answers 201 with the
// list.
func (h *Hub) IssueOffers(ctx context.Context, c protocol.Call, q OfferRequest) (protocol.Answer, error) {
	if err := q.check(); err != nil {
		return protocol.Answer{}, err
	}
	answer, err := h.once(ctx, c, func(keep func(ledger.Tx, protocol.Answer) error) (answer protocol.Answer, err error) {
		places, err := h.offerPlaces(ctx, q.Members)
		if err != nil {
			return answer, err
		}
		var ids []protocol.MemberID
		deeds := map[protocol.StoreID]*deed{}
		var stores []protocol.StoreID
		for _, at := range places {
			id := protocol.NewOfferAccount(at.Member, h.random)
			if !protocol.ValidID(string(id)) {
				return answer, protocol.OutOfRange("members", "", "a list with an id that is too long for an offer")
			}
			if deeds[at.Store] == nil {
				deeds[at.Store] = &deed{store: at.Store}
				stores = append(stores, at.Store)
			}
			ids = append(ids, id)
			deeds[at.Store].events = append(deeds[at.Store].events, &protocol.Event{Kind: protocol.KindAccountChange, AccountChange: &protocol.AccountChange{
				Account: id, Change: protocol.AccountIssued, Amount: 1, Reason: q.Reason, Staff: q.Staff, Terms: q.terms(id, h.currency),
			}})
		}
		slices.Sort(stores)
		_, err = h.actIn(ctx, stores, func(ledger.Tx, map[protocol.StoreID]protocol.Origin) (list []deed, err error) {
			for _, store := range stores {
				list = append(list, *deeds[store])
			}
			return list, nil
		}, func(tx ledger.Tx, _ []deed) (err error) {
			if answer, err = answerJSON(http.StatusCreated, ids); err != nil {
				return err
			}
			return keep(tx, answer)
		})
		return answer, err
	})
	if err != nil {
		return answer, err
	}
	var ids []protocol.MemberID
	if err := json.Unmarshal(answer.Body, &ids); err != nil {
		return answer, err
	}
	if err := h.lend(ctx, ids); err != nil {
		return answer, err
	}
	list := List[AccountDocument]{Items: []AccountDocument{}}
	for _, id := range ids {
		doc, err := h.Account(ctx, id)
		if err != nil {
			return answer, err
		}
		list.Items = append(list.Items, doc)
	}
	return answerJSON(answer.Status, list)
}

// offerPlaces are those who stand for members, each once, with the stores in whose
// streams their offers are logged. An offer for somebody who cannot use it is
// refused, with all the others.
func (h *Hub) offerPlaces(ctx context.Context, members []protocol.MemberID) (list []ledger.MemberAt, err error) {
	err = h.view(ctx, func(r ledger.Reader) error {
		list = nil
		reps, err := representatives(r, members)
		if err != nil {
			return err
		}
		for _, rep := range reps {
			m, store, err := ledger.ReadMember(r, rep)
			switch {
			case err != nil:
				return err
			case m == nil:
				return protocol.Refuse(protocol.NotFound, "There is no member "+string(rep)+". No offer was given to anybody. Take that id out and send it again.").With("member", string(rep))
			case m.Status == protocol.MemberErased:
				return protocol.Refuse(protocol.Conflict, "Member "+string(rep)+" is erased and gets no offer. No offer was given to anybody. Take that id out and send it again.").With("member", string(rep))
			}
			list = append(list, ledger.MemberAt{Store: cmp.Or(m.HomeStore, store), Member: rep})
		}
		return nil
	})
	return list, err
}

// WithdrawOffer lends an offer to nobody any more. A store that holds it is asked to
// give it back; while it is offline it may still be redeemed there.
func (h *Hub) WithdrawOffer(ctx context.Context, c protocol.Call, id protocol.MemberID, q CreditRequest) (protocol.Answer, error) {
	if err := checkReason(q.Reason, q.Staff); err != nil {
		return protocol.Answer{}, err
	}
	if id.Account() != protocol.OfferAccount {
		return protocol.Answer{}, errNoAccount()
	}
	answer, err := h.once(ctx, c, func(keep func(ledger.Tx, protocol.Answer) error) (answer protocol.Answer, err error) {
		stores, err := h.accountStores(ctx, id)
		if err == nil && len(stores) == 0 {
			err = errNoAccount()
		}
		if err != nil {
			return answer, err
		}
		_, err = h.actIn(ctx, stores, func(tx ledger.Tx, _ map[protocol.StoreID]protocol.Origin) (list []deed, err error) {
			terms, err := ledger.ReadTerms(tx, id)
			if err != nil || terms == nil {
				return nil, cmp.Or(err, errNoAccount())
			}
			next := *terms
			next.Version, next.Withdrawn = next.Version+1, true
			// Each store that knows the offer is told, so that none offers it.
			for _, store := range stores {
				list = append(list, deed{store: store, events: []*protocol.Event{{Kind: protocol.KindAccountChange, AccountChange: &protocol.AccountChange{
					Account: id, Change: protocol.AccountTermed, Reason: q.Reason, Staff: q.Staff, Terms: &next,
				}}}})
			}
			return list, nil
		}, func(tx ledger.Tx, _ []deed) error {
			answer = protocol.Answer{Status: http.StatusCreated}
			return keep(tx, answer)
		})
		return answer, err
	})
	if err != nil {
		return answer, err
	}
	if err := h.lendTo(ctx, id); err != nil {
		return answer, err
	}
	doc, err := h.Account(ctx, id)
	if err != nil {
		return answer, err
	}
	return answerJSON(answer.Status, doc)
}

// accountStores are the stores that know of an account.
func (h *Hub) accountStores(ctx context.Context, id protocol.MemberID) (stores []protocol.StoreID, err error) {
	err = h.view(ctx, func(r ledger.Reader) (err error) {
		stores, err = ledger.MemberStores(r, id)
		return err
	})
	return stores, err
}

// granted adds what is lent to a stream. The terms of an offer go along to a store
// that has not got them, so that whoever holds an offer knows what it takes off.
func (h *Hub) granted(r ledger.Reader, deeds []deed, p *purse, to *holding, points protocol.Points) ([]deed, error) {
	d := leaseDeed(to.store, p.id, to.holder, protocol.LeaseGranted, points)
	if p.terms == nil || p.terms.Offer == nil {
		return append(deeds, d), nil
	}
	there, err := ledger.ReadTermsAt(r, ledger.MemberAt{Store: to.store, Member: p.id})
	if err == nil && (there == nil || there.Version < p.terms.Version) {
		told := &protocol.Event{Kind: protocol.KindAccountChange, AccountChange: &protocol.AccountChange{Account: p.id, Change: protocol.AccountTermed, Terms: p.terms}}
		d.events = append([]*protocol.Event{told}, d.events...)
	}
	return append(deeds, d), err
}
