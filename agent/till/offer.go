package till

import (
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/sale"
)

// Why an offer cannot be redeemed here, beside what keeps any account from being
// spent.
const (
	offerOfAnother sale.NoAccount = "other_member"
	offerWithdrawn sale.NoAccount = "withdrawn"
	offerNotYet    sale.NoAccount = "not_yet"
	offerOver      sale.NoAccount = "over"
)

// offers are the offers that a sale redeems, as promotions at a time. Their terms are
// where their leases are, so one that is not known here is asked for.
func (d *desk) offers(r *sale.Request, at time.Time) (list []sale.Promotion, err error) {
	for _, name := range r.Offers {
		id := protocol.MemberID(name)
		if err := d.mayPresent(protocol.MemberID(r.MemberID), id); err != nil {
			return nil, err
		}
		terms, err := ledger.ReadTermsAt(d.r, ledger.MemberAt{Store: d.origin().Store, Member: id})
		if err != nil {
			return nil, err
		}
		if terms == nil || terms.Offer == nil {
			return nil, d.refuseAccount(id, 1, 0)
		}
		if terms.Withdrawn {
			return nil, d.refuseOffer(offerWithdrawn, id, "This offer was withdrawn by head office.")
		}
		dated := d.shop.datePromotions([]*protocol.Promotion{terms.Offer})
		if len(dated) == 0 {
			return nil, d.refuseOffer(accountUnknown, id, "This machine cannot read when the offer is valid.")
		}
		p := sale.Promotion{Promotion: terms.Offer, Validity: dated[0].at(at, d.shop.loc)}
		switch p.Validity {
		case sale.InForce:
		case sale.NotYet:
			return nil, d.refuseOffer(offerNotYet, id, "This offer is not valid yet.")
		default:
			return nil, d.refuseOffer(offerOver, id, "This offer is no longer valid.")
		}
		list = append(list, p)
	}
	return list, nil
}

// mayPresent refuses an offer that is another member's.
func (d *desk) mayPresent(member, offer protocol.MemberID) error {
	if member == "" {
		return d.refuseOffer(sale.AccountOfNobody, offer, "No member was named whose offer it is.")
	}
	mine, err := d.holdings().Of(member)
	if err != nil {
		return err
	}
	theirs, err := d.holdings().Of(offer.Of())
	if err == nil && mine.IDs[0] != theirs.IDs[0] {
		err = d.refuseOffer(offerOfAnother, offer, "This offer is another member's.")
	}
	return err
}

func (d *desk) refuseOffer(why sale.NoAccount, id protocol.MemberID, what string) error {
	return sale.RefuseAccount(why, what, "Leave the offer out, or take the next one.").With("account", string(id)).With("spendable_here", 0)
}

// promoted adds to the terms of a sale what may be taken off.
func (d *desk) promoted(terms *sale.Terms, r *sale.Request, at time.Time) error {
	offers, err := d.offers(r, at)
	terms.Promotions = append(d.shop.promotionsAt(at), offers...)
	return err
}
