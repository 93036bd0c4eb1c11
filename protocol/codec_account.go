package protocol

import "counterpart/protocol/wire"

func checkAccount(c *check, id MemberID) {
	c.id("account", string(id))
	if id.Account() == PointsAccount {
		c.failf("account %q is a member's points", clip(string(id)))
	}
}

func checkAccountEntries(c *check, s *Sale) {
	c.count("accounts", len(s.Accounts), AccountEntriesMax)
	for _, e := range s.Accounts {
		checkAccount(c, e.Account)
		c.amount("amount", int64(e.Amount))
		if uint64(e.Line) > uint64(len(s.Lines)) {
			c.failf("an account names line %d of %d", e.Line, len(s.Lines))
		}
	}
}

func appendAccountEntries(b []byte, c *check, list []AccountEntry) []byte {
	for i := range list {
		var at int
		b, at = openField(b, saleAccounts)
		b = appendText(b, c, 1, list[i].Account)
		b = appendSint(b, 2, list[i].Amount)
		b = appendUint(b, 3, uint64(list[i].Line))
		b = closeField(b, at)
	}
	return b
}

func readAccountEntry(c *check, r *fieldReader, list []AccountEntry) []AccountEntry {
	if !r.isMessage() {
		return list
	}
	var e AccountEntry
	for r := r.part().fields(); r.next(c); {
		switch r.num {
		case 1:
			text(&r, c, &e.Account)
		case 2:
			sint64(&r, &e.Amount)
		case 3:
			r.uint32(&e.Line)
		}
	}
	c.count("accounts", len(list)+1, AccountEntriesMax)
	return append(list, e)
}

func checkAccountChange(c *check, a *AccountChange) {
	checkAccount(c, a.Account)
	c.word("change", string(a.Change), true)
	c.amount("amount", int64(a.Amount))
	c.text("reason", a.Reason)
	c.idOrNone("staff", string(a.Staff))
	if a.Terms != nil {
		checkAccountTerms(c, a.Terms)
	}
}

func checkAccountTerms(c *check, t *AccountTerms) {
	if t.Version == 0 {
		c.failf("the terms of an account have no version")
	}
	c.idOrNone("home store", string(t.Home))
	c.text("end", t.To)
	if t.Offer != nil {
		checkPromotion(c, t.Offer)
	}
}

func encodeAccountTerms(t *AccountTerms) *wire.AccountTerms {
	w := &wire.AccountTerms{Version: t.Version, HomeStore: string(t.Home), ValidTo: t.To, Withdrawn: t.Withdrawn}
	if t.Offer != nil {
		w.Offer = encodePromotion(t.Offer)
	}
	return w
}

func decodeAccountTerms(c *check, w *wire.AccountTerms) AccountTerms {
	t := AccountTerms{Version: w.Version, Home: StoreID(w.HomeStore), To: w.ValidTo, Withdrawn: w.Withdrawn}
	if w.Offer != nil {
		offer := decodePromotion(c, w.Offer)
		t.Offer = &offer
	}
	return t
}

func encodeAccountChange(a *AccountChange) *wire.AccountChange {
	w := &wire.AccountChange{Account: string(a.Account), Change: string(a.Change), Amount: int64(a.Amount), Reason: a.Reason, Staff: string(a.Staff)}
	if a.Terms != nil {
		w.Terms = encodeAccountTerms(a.Terms)
	}
	return w
}

func decodeAccountChange(c *check, w *wire.AccountChange) *AccountChange {
	a := &AccountChange{Account: MemberID(w.Account), Change: AccountReason(w.Change), Amount: Points(w.Amount), Reason: w.Reason, Staff: StaffID(w.Staff)}
	if w.Terms != nil {
		terms := decodeAccountTerms(c, w.Terms)
		a.Terms = &terms
	}
	return a
}

// EncodeAccountTerms writes the terms of an account as a row keeps them.
func EncodeAccountTerms(t *AccountTerms) ([]byte, error) {
	return encodeRow("terms", t, checkAccountTerms, encodeAccountTerms)
}

// DecodeAccountTerms reads what EncodeAccountTerms wrote.
func DecodeAccountTerms(value []byte) (*AccountTerms, error) {
	return decodeRow("terms", value, &wire.AccountTerms{}, decodeAccountTerms, checkAccountTerms)
}
