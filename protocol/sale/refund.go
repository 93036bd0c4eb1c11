package sale

import (
	"fmt"
	"strconv"

	"counterpart/protocol"
	"counterpart/protocol/loyalty"
)

// Original is a receipt that goods are returned from, or that is voided, with
// what the store has seen happen to it.
type Original struct {
	Sale      *protocol.Sale
	ReceiptNo protocol.ReceiptNo
	Returned  []protocol.Quantity // of each line, above zero; missing ones are 0
	Voided    bool
	// PointsBack is what refunds have given back as points, in money, above zero.
	PointsBack protocol.Money
}

// returned is what came back of a line, from 0.
func (o *Original) returned(i int) protocol.Quantity {
	if i < len(o.Returned) {
		return o.Returned[i]
	}
	return 0
}

// BuildReturn computes a return and the moves of stock that it makes. original
// is the receipt that r names, or nil where r names none; a receipt that nobody
// knows is refused. lines holds what the caller found out about each line's
// code and may be nil where no line has one.
//
// Quantities and amounts are given above zero and recorded below. A line of a
// receipt is refunded in proportion to what was paid for it, and taxed at the
// rates of that receipt. Both are rounded on the running sum, so that any split
// of a return comes to exactly what the whole would. Without a receipt lines
// are priced as in a sale. The tenders must pay the refund exactly, with its
// cash part rounded to the smallest coin; there is no change.
//
// A return with External has happened: over-returns, voided or unknown receipts
// and other differences become warnings. An amount_minor of such a line stands;
// a negative quantity there is what the shopper took along in exchange; a line
// that is not known and names no code has the SKU unknown and moves no stock. A
// return from a training receipt is itself training and moves no stock.
func BuildReturn(t Terms, r ReturnRequest, original *Original, lines []Resolved) (*protocol.Sale, []protocol.Move, error) {
	if err := r.Validate(); err != nil {
		return nil, nil, err
	}
	b := &refund{builder: builder{t: t, external: r.External}, r: r, resolved: lines}
	if err := b.open(original); err != nil {
		return nil, nil, err
	}
	s := b.receipt(protocol.SaleReturn, r.Staff)
	s.Reason, s.Original = r.Reason, protocol.ReceiptNo(r.ReceiptNo)
	if b.original != nil {
		s.Member, s.Training = b.original.Sale.Member, b.original.Sale.Training
		s.PricesIncludeTax = b.original.Sale.PricesIncludeTax
		s.ReturnedOrder, s.Programme = b.original.Sale.Part.Order, b.original.Sale.Programme
	}
	for i, in := range r.Lines {
		line, err := b.line(i+1, in)
		if err != nil {
			return nil, nil, err
		}
		s.Lines = append(s.Lines, line)
		s.PointsEarned += line.Points
		b.move(s, line, line.To)
	}
	if err := b.returnTaxes(s); err != nil {
		return nil, nil, err
	}
	if err := b.settleReturn(s); err != nil {
		return nil, nil, err
	}
	if err := b.pointsBack(s); err != nil {
		return nil, nil, err
	}
	if err := b.payFrom(s, r.Tenders, protocol.MemberID(first(string(s.Member), r.MemberID))); err != nil {
		return nil, nil, err
	}
	moves, err := b.finish(s)
	if err != nil {
		return nil, nil, err
	}
	return s, moves, nil
}

// settleReturn pays the refund. What an order was paid with online goes back the
// same way, which is the shop's to do: where no payments are given, the receipt
// says so with one that names the order.
func (b *refund) settleReturn(s *protocol.Sale) error {
	if b.r.OrderID == "" {
		return b.settle(s, b.r.Tenders)
	}
	s.ReturnedOrder = protocol.OrderID(b.r.OrderID)
	for i := range s.Lines {
		s.Lines[i].OriginalLine = b.r.Lines[i].Line
	}
	if len(b.r.Tenders) > 0 || b.external != nil {
		return b.settle(s, b.r.Tenders)
	}
	if err := b.settle(s, []Tender{}); err != nil && protocol.CodeOf(err) != protocol.TenderShort {
		return err
	}
	s.Total = due(s)
	s.Tenders = untold(s.Total)
	for i := range s.Tenders {
		s.Tenders[i].Ref = b.r.OrderID
	}
	return nil
}

// refund computes one return.
type refund struct {
	builder
	r        ReturnRequest
	resolved []Resolved
	original *Original // nil without a usable one
	// returned is what has come back of each line of the original, with the
	// lines of this return that were already computed.
	returned []protocol.Quantity
}

// open checks that goods may come back on the receipt that was named.
func (b *refund) open(original *Original) error {
	if b.r.ReceiptNo == "" {
		return nil
	}
	no := b.r.ReceiptNo
	if original == nil || original.Sale == nil || original.Sale.Type != protocol.SaleSale {
		what, code := "Receipt "+no+" is not known in this store.", protocol.ReceiptUnknown
		if original != nil && original.Sale != nil {
			what, code = "Receipt "+no+" is not a sale.", protocol.Conflict
		}
		if b.external != nil {
			b.warn(WarnReceiptUnknown, 0, what+" The return was recorded without it.")
			return nil
		}
		return b.refuse(code, 0, what, "Check the number, or take the goods back without a receipt.").With("receipt_no", no)
	}
	if original.Voided {
		if b.external == nil {
			return b.refuse(protocol.AlreadyVoided, 0, "Receipt "+no+" was voided, so nothing is left to return.",
				"Check that it is the right receipt.").With("receipt_no", no)
		}
		b.warn(WarnAlreadyVoided, 0, "Receipt "+no+" was voided before. The return was recorded all the same.")
	}
	if original.Sale.Currency != b.t.Currency && b.external == nil {
		return b.refuse(protocol.Conflict, 0, "Receipt "+no+" is in "+original.Sale.Currency+" and this store now takes "+b.t.Currency+".",
			"Take the goods back without a receipt, at today's price.").With("receipt_no", no)
	}
	b.original = original
	for i := range original.Sale.Lines {
		b.returned = append(b.returned, original.returned(i))
	}
	return nil
}

// line computes one line of a return, with everything below zero.
func (b *refund) line(n int, in ReturnLine) (protocol.SaleLine, error) {
	to, _ := destination(in.To)
	var out protocol.SaleLine
	var err error
	switch known := b.original != nil && uint64(in.Line) <= uint64(len(b.returned)); {
	case in.Line != 0 && known:
		out, err = b.originalLine(n, in)
	case in.Code != "":
		out, err = b.codeLine(n, in)
	case b.external != nil:
		out, err = b.unknownLine(n, in)
	default:
		return out, b.outOfRange(n, "line", strconv.FormatUint(uint64(in.Line), 10), "not a line of receipt "+b.r.ReceiptNo)
	}
	out.To = to
	return out, err
}

// unknownSKU names the item of a line of which nobody knows the item.
const unknownSKU protocol.SKU = "unknown"

// unknownLine is a line of a receipt that is not here, without a code: its
// amount counts, and nothing moves, since nobody can tell what came back.
func (b *refund) unknownLine(n int, in ReturnLine) (protocol.SaleLine, error) {
	b.warn(WarnReceiptUnknown, n, "Line "+strconv.FormatUint(uint64(in.Line), 10)+" of receipt "+b.r.ReceiptNo+
		" is not known in this store, and no code was given. The return was recorded without an item, and no stock was changed.")
	line, err := b.pricedLine(n, in.asSold(), Resolved{SKU: unknownSKU})
	line.Code, line.Unstocked = "", true
	return negated(line), err
}

// codeLine is a line that a code names: priced as a sale, then turned round.
func (b *refund) codeLine(n int, in ReturnLine) (protocol.SaleLine, error) {
	if len(b.resolved) != len(b.r.Lines) {
		return protocol.SaleLine{}, fmt.Errorf("return of %d lines with %d resolved", len(b.r.Lines), len(b.resolved))
	}
	line, err := b.saleLine(n, in.asSold(), b.resolved[n-1])
	if err != nil {
		return line, err
	}
	return negated(line), nil
}

// originalLine is a line of the original, or a part of it.
func (b *refund) originalLine(n int, in ReturnLine) (protocol.SaleLine, error) {
	i := int(in.Line) - 1
	if err := b.loaded(i + 1); err != nil {
		return protocol.SaleLine{}, err
	}
	sold, before, q := b.original.Sale.Lines[i], b.returned[i], *in.Qty
	if q > sold.Quantity-before {
		remaining := max(sold.Quantity-before, 0)
		if b.external == nil {
			return protocol.SaleLine{}, b.refuse(protocol.OverReturn, int(in.Line),
				"Only "+remaining.String()+" of line "+strconv.Itoa(i+1)+" of receipt "+b.r.ReceiptNo+" can still come back, not "+q.String()+".",
				"Return at most "+remaining.String()+", or check the receipt.").With("remaining", remaining)
		}
		b.warn(WarnOverReturn, n, "Only "+remaining.String()+" of this line could still come back. The return was recorded as given.")
	}
	b.returned[i] += q
	part := func(m protocol.Money) (protocol.Money, bool) {
		after, ok := proportion(m, before+q, sold.Quantity)
		earlier, ok2 := proportion(m, before, sold.Quantity)
		return -(after - earlier), ok && ok2
	}
	out := sold
	out.Quantity, out.OriginalLine, out.Discounts = -q, in.Line, nil
	out.Points = -loyalty.Reversal(loyalty.Returned{Earned: sold.Points, Sold: sold.Quantity, Before: before, Now: q})
	amount, ok := part(sold.Amount)
	out.Amount = amount
	if in.AmountMinor != nil {
		out.Amount = -*in.AmountMinor
	}
	for _, d := range sold.Discounts {
		reduced, fits := part(d.Amount)
		d.Amount, ok = reduced, ok && fits
		out.Discounts = append(out.Discounts, d)
	}
	if !ok {
		return out, b.outOfRange(n, "qty", q.String(), "too much for the amount that was paid")
	}
	return out, nil
}

// negated is a line of the opposite direction. The unit price stays above zero.
func negated(line protocol.SaleLine) protocol.SaleLine {
	line.Quantity, line.Amount, line.Points = -line.Quantity, -line.Amount, -line.Points
	var discounts []protocol.Discount
	for _, d := range line.Discounts {
		d.Amount = -d.Amount
		discounts = append(discounts, d)
	}
	line.Discounts = discounts
	return line
}

// returnTaxes computes the tax of the lines that name a line of the original at
// its rates, and of the others at today's.
func (b *refund) returnTaxes(s *protocol.Sale) error {
	var own []protocol.SaleLine
	back := map[string]protocol.Money{} // per code, what goes back, below zero
	for _, line := range s.Lines {
		if line.OriginalLine == 0 {
			own = append(own, line)
		} else {
			back[line.TaxCode] += line.Amount
		}
	}
	if b.original != nil {
		for _, row := range b.original.Sale.Taxes {
			sum, ok := back[row.Code]
			if !ok {
				continue
			}
			tax, ok := b.taxBack(row, -sum)
			if !ok {
				return errTax()
			}
			s.Taxes = append(s.Taxes, taxRow(row.Code, row.Rate, sum, -tax, s.PricesIncludeTax))
		}
	}
	rows, err := b.taxes(own, s.PricesIncludeTax)
	s.Taxes = append(s.Taxes, rows...)
	return err
}

// taxBack is the tax of one code in what goes back now: the tax on all that has
// come back by now less the tax on what had come back before. At the end that
// is the tax of the receipt to the minor unit.
func (b *refund) taxBack(row protocol.TaxAmount, now protocol.Money) (protocol.Money, bool) {
	var all, before protocol.Money
	for i, line := range b.original.Sale.Lines {
		if line.TaxCode != row.Code {
			continue
		}
		all += line.Amount
		earlier, ok := proportion(line.Amount, b.original.returned(i), line.Quantity)
		if !ok {
			return 0, false
		}
		before += earlier
	}
	onSum := func(sum protocol.Money) (protocol.Money, bool) {
		if sum == all {
			return row.Tax, true
		}
		return taxOf(sum, row.Rate, b.original.Sale.PricesIncludeTax)
	}
	after, ok := onSum(before + now)
	earlier, ok2 := onSum(before)
	return after - earlier, ok && ok2
}
