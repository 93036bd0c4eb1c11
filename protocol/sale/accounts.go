package sale

import (
	"slices"

	"counterpart/protocol"
)

// NoAccount says why an account cannot be spent, in the member why of a refusal with
// the code account_unavailable.
type NoAccount string

// The reasons that lie in the request. Those that lie in what the machine holds are
// the till's.
const (
	AccountOfNobody   NoAccount = "no_member"
	AccountGiftByGift NoAccount = "gift_card_by_gift_card"
)

// RefuseAccount refuses to take something of an account: what happened, and what to
// do next.
func RefuseAccount(why NoAccount, what, next string) *protocol.Error {
	return protocol.Refuse(protocol.AccountUnavailable, what+" Nothing was recorded. "+next).With("why", string(why))
}

// giftCode checks the code of a gift card, which never is the number of a payment
// card. Errors do not repeat it.
func (c *checker) giftCode(field, code string) {
	if code == "" {
		return
	}
	c.noCard(field, ContainsCardNumber(code))
	if !protocol.ValidGiftCode(code) {
		c.outOfRange(field, "", "not 8 to 32 capital letters and digits")
	}
	if c.external {
		c.outOfRange(field, "", "given with external (a gift card is sold and spent at the store's own till alone)")
	}
}

// accountOf checks which account a payment is taken of, or a refund is put on.
func (c *checker) accountOf(t *Tender) {
	c.giftCode("code", t.Code)
	switch {
	case t.Code != "" && t.Type != string(protocol.GiftCard):
		c.outOfRange("code", "", "given with a payment that is no gift_card")
	case t.Credit && t.Type != string(protocol.OnAccount):
		c.outOfRange("credit", "", "given with a payment that is not on_account")
	case t.Credit && c.external:
		c.outOfRange("credit", "", "given with external (store credit is spent at the store's own till alone)")
	}
}

func (c *checker) offers(offers []string) {
	c.count("offers", len(offers), 0, couponsMax)
	for i, id := range offers {
		if protocol.MemberID(id).Account() != protocol.OfferAccount || !protocol.ValidID(id) || slices.Contains(offers[:i], id) {
			c.outOfRange("offers", "", "a list with what is not the id of an offer, or with one offer twice")
		}
	}
	if len(offers) > 0 && c.external {
		c.outOfRange("offers", "", "given with external (an offer is redeemed at the store's own till alone)")
	}
}

// giftLine makes of a line one that puts money on a gift card. The money is owed to
// whoever bears the card: it is no turnover, so no tax is on it, nothing is taken off
// and nothing is earned.
func (b *builder) giftLine(s *protocol.Sale, n int, in *Line, r *Resolved, line *protocol.SaleLine) error {
	switch {
	case line.Quantity != unitQuantity:
		return b.outOfRange(n, "qty", in.Qty.String(), "not 1 (each gift card is a line of its own)")
	case len(line.Discounts) > 0:
		return b.outOfRange(n, "discounts", "", "given for a gift card, which costs what is put on it")
	case line.Amount <= 0:
		return b.outOfRange(n, "amount_minor", money(line.Amount), "not above 0, for a gift card")
	}
	line.TaxCode = ""
	if r.Item == nil {
		line.Unstocked = true
	}
	b.enter(s, protocol.GiftCode(in.GiftCard).Account(s.Currency), protocol.Points(line.Amount), n)
	return nil
}

// enter notes what a receipt does to an account. Practice does nothing.
func (b *builder) enter(s *protocol.Sale, account protocol.MemberID, amount protocol.Points, line int) {
	if s.Training || amount == 0 {
		return
	}
	if i := slices.IndexFunc(s.Accounts, func(e protocol.AccountEntry) bool { return e.Account == account && e.Line == uint32(line) }); i >= 0 {
		s.Accounts[i].Amount += amount
		return
	}
	s.Accounts = append(s.Accounts, protocol.AccountEntry{Account: account, Amount: amount, Line: uint32(line)})
}

// payFrom notes what payments take of accounts, and refunds put on them. The receipt
// shows the end of a gift card's code alone. member is whose store credit it is.
func (b *builder) payFrom(s *protocol.Sale, tenders []Tender, member protocol.MemberID) error {
	bought := slices.ContainsFunc(s.Accounts, func(e protocol.AccountEntry) bool { return e.Line > 0 })
	for i := range tenders {
		t := &tenders[i]
		amount := -protocol.Points(b.sign() * *t.AmountMinor)
		switch {
		case bought && t.Type == string(protocol.GiftCard):
			return RefuseAccount(AccountGiftByGift, "A gift card cannot be paid with a gift card.", "Take another payment for it.")
		case t.Code != "":
			code := protocol.GiftCode(t.Code)
			s.Tenders[i].Ref = first(t.Ref, code.Masked())
			b.enter(s, code.Account(s.Currency), amount, 0)
		case t.Credit && member == "":
			return RefuseAccount(AccountOfNobody, "No member was named whose store credit it is.", "Scan the member's card first.")
		case t.Credit:
			b.enter(s, protocol.NewCreditAccount(s.Currency, member), amount, 0)
		}
	}
	if len(s.Accounts) > protocol.AccountEntriesMax {
		return b.outOfRange(0, "tenders", "", "more gift cards than one receipt can hold")
	}
	return nil
}

// redeemOffers notes which of the offers that were presented took something off.
func (b *builder) redeemOffers(s *protocol.Sale, r *Request) {
	for _, id := range r.Offers {
		used := slices.ContainsFunc(s.Lines, func(l protocol.SaleLine) bool {
			return slices.ContainsFunc(l.Discounts, func(d protocol.Discount) bool { return d.Type == DiscountPromotion && d.ID == id })
		})
		if used {
			b.enter(s, protocol.MemberID(id), -1, 0)
		} else {
			b.warn(WarnOfferUnused, 0, "An offer that was presented "+couponWords[InForce]+". Nothing is taken off for it, and it can be used later.")
		}
	}
}

// WarnOfferUnused says that an offer took nothing off, and was not used up.
const WarnOfferUnused = "offer_unused"

// loaded refuses to take back a line that put money on a gift card: the money is on
// the card, and may be spent.
func (b *refund) loaded(n int) error {
	if slices.ContainsFunc(b.original.Sale.Accounts, func(e protocol.AccountEntry) bool { return e.Line == uint32(n) }) {
		return b.refuse(protocol.Conflict, n, "This line put money on a gift card, which cannot come back as goods do.",
			"Void the whole receipt on its business day, or ask head office to take the amount off the card.")
	}
	return nil
}

// accountsBack turns round what a receipt did to accounts.
func accountsBack(list []protocol.AccountEntry) (back []protocol.AccountEntry) {
	for _, e := range list {
		e.Amount = -e.Amount
		back = append(back, e)
	}
	return back
}

// OfferGave is what an offer took off a sale, and what the goods from which it did so
// came to before promotions.
func OfferGave(s *protocol.Sale, offer protocol.MemberID) (off, of protocol.Money) {
	for i := range s.Lines {
		line, here, all := &s.Lines[i], protocol.Money(0), protocol.Money(0)
		for _, d := range line.Discounts {
			if d.Type != DiscountPromotion {
				continue
			}
			if all += d.Amount; d.ID == string(offer) {
				here += d.Amount
			}
		}
		if here != 0 {
			off, of = off+here, of+line.Amount+all
		}
	}
	return off, of
}

// OfferExceeded tells whether that is more than the offer gives. The till rounds once
// what all promotions of a receipt come to, so a minor unit more may be the rounding
// of another's. What this version does not know how to reckon is not judged.
func OfferExceeded(p *protocol.Promotion, off, of protocol.Money) bool {
	switch p.Kind {
	case protocol.PercentOff:
		most, ok := protocol.MulDiv(int64(of), int64(p.Rate), millionth)
		return ok && off > protocol.Money(most)+1
	case protocol.AmountOff:
		return off > p.Amount
	}
	return false
}
