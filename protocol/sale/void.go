package sale

import (
	"strconv"

	"counterpart/protocol"
)

// BuildVoid computes the void of a whole receipt: every quantity, amount, tax,
// tender and point of the original, and every move of it, with the opposite
// sign, so that the two together are nothing. moves are those of the original's
// event.
//
// Only a sale can be voided, once, at its till and on its business day, while
// nothing of it has come back: later than that the drawer and the day's report
// are closed, and a return says the truth. The void of a training receipt is
// training.
func BuildVoid(t Terms, original *Original, r VoidRequest, moves []protocol.Move) (*protocol.Sale, []protocol.Move, error) {
	if err := r.Validate(); err != nil {
		return nil, nil, err
	}
	if err := voidable(t, original); err != nil {
		return nil, nil, err
	}
	b := &builder{t: t}
	o := original.Sale
	s := b.receipt(protocol.SaleVoid, r.Staff)
	s.Original, s.Reason, s.Member, s.Training = original.ReceiptNo, r.Reason, o.Member, o.Training
	s.Currency, s.PricesIncludeTax = o.Currency, o.PricesIncludeTax
	for i, line := range o.Lines {
		line = negated(line)
		line.OriginalLine, line.To = uint32(i+1), protocol.OnHand
		s.Lines = append(s.Lines, line)
	}
	for _, tax := range o.Taxes {
		tax.Net, tax.Tax = -tax.Net, -tax.Tax
		s.Taxes = append(s.Taxes, tax)
	}
	for _, tender := range o.Tenders {
		tender.Amount = -tender.Amount
		s.Tenders = append(s.Tenders, tender)
	}
	s.Rounding, s.Total, s.Change = -o.Rounding, -o.Total, -o.Change
	s.PointsEarned, s.PointsRedeemed, s.Programme = -o.PointsEarned, -o.PointsRedeemed, o.Programme
	s.Accounts = accountsBack(o.Accounts)
	var back []protocol.Move
	for _, move := range moves {
		move.Delta = -move.Delta
		back = append(back, move)
	}
	return s, back, nil
}

// voidable refuses a void that is no longer, or never was, possible.
func voidable(t Terms, original *Original) error {
	if original == nil || original.Sale == nil {
		return protocol.Refuse(protocol.NotFound, "This receipt is not known in this store. Nothing was voided. Check the number.")
	}
	o, no := original.Sale, string(original.ReceiptNo)
	refuse := func(code protocol.Code, what, next string) error {
		return protocol.Refuse(code, "Receipt "+no+" "+what+". Nothing was voided. "+next).With("receipt_no", no)
	}
	if o.Type != protocol.SaleSale {
		return refuse(protocol.Conflict, "is a "+string(o.Type)+" and cannot be voided", "Sell the goods again if they left the shop.")
	}
	if original.Voided {
		return refuse(protocol.AlreadyVoided, "was voided before", "There is nothing more to do.")
	}
	for i := range original.Returned {
		if q := original.Returned[i]; q != 0 {
			return refuse(protocol.Conflict, "cannot be voided, because "+q.String()+" of line "+strconv.Itoa(i+1)+" came back already", "Return what is left of it.")
		}
	}
	if o.Till != t.Till {
		return refuse(protocol.Conflict, "was made at till "+string(o.Till)+" and can be voided only there", "Void it there, or return the goods.")
	}
	if o.BusinessDate != t.BusinessDate {
		return refuse(protocol.Conflict, "is of "+o.BusinessDate+" and can be voided only on that business day", "Return the goods.")
	}
	return nil
}
