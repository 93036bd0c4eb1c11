package sale

import (
	"counterpart/protocol"
)

// moveList sums up moves by item and state, in the order in which they first
// came up. The order is part of the event's bytes, so it must not depend on a
// map.
type moveList struct {
	list []protocol.Move
	at   map[moveKey]int
}

type moveKey struct {
	sku   protocol.SKU
	state protocol.State
}

func (m *moveList) add(sku protocol.SKU, state protocol.State, delta protocol.Quantity) {
	key := moveKey{sku, state}
	if m.at == nil {
		m.at = map[moveKey]int{}
	}
	i, ok := m.at[key]
	if !ok {
		i = len(m.list)
		m.at[key] = i
		m.list = append(m.list, protocol.Move{SKU: sku, State: state})
	}
	m.list[i].Delta += delta
}

// result leaves out what came to nothing.
func (m *moveList) result() []protocol.Move {
	var out []protocol.Move
	for _, move := range m.list {
		if move.Delta != 0 {
			out = append(out, move)
		}
	}
	return out
}

// move takes a line's quantity off the stock; a negative one comes back, and
// is then also part of the state that it went to.
func (b *builder) move(s *protocol.Sale, line protocol.SaleLine, to protocol.State) {
	if s.Training || line.Unstocked {
		return
	}
	b.moves.add(line.Item.SKU, protocol.OnHand, -line.Quantity)
	if to != protocol.OnHand {
		b.moves.add(line.Item.SKU, to, -line.Quantity)
	}
}

// taxOf is the tax in, or on, a sum, half away from zero.
func taxOf(sum protocol.Money, rate protocol.RatePPM, inclusive bool) (protocol.Money, bool) {
	const whole = 1_000_000
	if inclusive {
		return protocol.MulDiv(int64(sum), int64(rate), whole+int64(rate))
	}
	return protocol.MulDiv(int64(sum), int64(rate), whole)
}

func errTax() *protocol.Error {
	return protocol.OutOfRange("total_minor", "", "beyond 1,000,000,000,000 minor units with its tax")
}

// taxRow is one row of tax. Net is what the goods are worth without it.
func taxRow(code string, rate protocol.RatePPM, sum, tax protocol.Money, inclusive bool) protocol.TaxAmount {
	net := sum
	if inclusive {
		net -= tax
	}
	return protocol.TaxAmount{Code: code, Rate: rate, Net: net, Tax: tax}
}

// taxes computes the tax of each code once, on the sum of its lines, in the
// order in which the codes first come up. A code without a rate has no row.
func (b *builder) taxes(lines []protocol.SaleLine, inclusive bool) ([]protocol.TaxAmount, error) {
	var codes []string
	sums := map[string]protocol.Money{}
	for _, line := range lines {
		if line.TaxCode == "" {
			continue
		}
		if _, ok := sums[line.TaxCode]; !ok {
			codes = append(codes, line.TaxCode)
		}
		sums[line.TaxCode] += line.Amount
	}
	var rows []protocol.TaxAmount
	for _, code := range codes {
		if b.t.Rate == nil {
			break
		}
		rate, ok := b.t.Rate(code)
		if !ok || rate < 0 {
			continue
		}
		tax, ok := taxOf(sums[code], rate, inclusive)
		if !ok {
			return nil, errTax()
		}
		rows = append(rows, taxRow(code, rate, sums[code], tax, inclusive))
	}
	return rows, nil
}

// due is what lines and taxes come to, before rounding.
func due(s *protocol.Sale) protocol.Money {
	var sum protocol.Money
	for _, line := range s.Lines {
		sum += line.Amount
	}
	if !s.PricesIncludeTax {
		for _, tax := range s.Taxes {
			sum += tax.Tax
		}
	}
	return sum
}

// sign is +1 for a sale and -1 for what reverses one: requests give amounts
// above zero for both.
func (b *builder) sign() protocol.Money {
	if b.selling {
		return 1
	}
	return -1
}

// settle finds rounding, total and change from the lines, taxes and tenders.
func (b *builder) settle(s *protocol.Sale, tenders []Tender) error {
	for _, t := range tenders {
		s.Tenders = append(s.Tenders, protocol.Tender{
			Type: protocol.TenderType(t.Type), Amount: b.sign() * *t.AmountMinor, Ref: t.Ref,
		})
	}
	if sum := due(s); b.external == nil && (sum > protocol.MoneyMax || sum < -protocol.MoneyMax) {
		return errTax()
	}
	if b.external != nil {
		return b.settleExternal(s)
	}
	return b.settleNative(s)
}

// finish checks that every sum can be recorded (protocol.AmountMax): thousands
// of entries, each in its own limits, may add up to more.
func (b *builder) finish(s *protocol.Sale) ([]protocol.Move, error) {
	fits := func(n int64) bool { return n <= protocol.AmountMax && n >= -protocol.AmountMax }
	ok := fits(int64(s.Change))
	for _, tax := range s.Taxes {
		ok = ok && fits(int64(tax.Net))
	}
	if !ok {
		return nil, b.outOfRange(0, "tenders", "", "beyond 10,000,000,000,000 minor units, together with lines and total")
	}
	moves := b.moves.result()
	for _, move := range moves {
		if !fits(int64(move.Delta)) {
			return nil, b.outOfRange(0, "qty", "", "beyond 10,000,000,000 of one item's unit on all lines together")
		}
	}
	s.Warnings = b.warnings
	return moves, nil
}

// paid sums up tenders by whether they are cash.
func paid(tenders []protocol.Tender) (cash, other protocol.Money, hasCash bool) {
	for _, t := range tenders {
		if t.Type == protocol.Cash {
			cash, hasCash = cash+t.Amount, true
		} else {
			other += t.Amount
		}
	}
	return cash, other, hasCash
}

// cashRounding is what has to be added to the amount that is left to pay in
// cash so that coins can pay it, half away from zero.
func (t Terms) cashRounding(left protocol.Money) protocol.Money {
	if t.CashRounding <= 1 {
		return 0
	}
	steps, ok := protocol.MulDiv(int64(left), 1, int64(t.CashRounding))
	if !ok {
		return 0
	}
	return steps*t.CashRounding - left
}

// settleNative closes a receipt of ours: it is refused unless the tenders pay
// it. It reckons above zero, for a sale and a refund alike.
func (b *builder) settleNative(s *protocol.Sale) error {
	sign := b.sign()
	cash, other, hasCash := paid(s.Tenders)
	cash, other = sign*cash, sign*other
	total := sign * due(s)
	if other > total {
		return b.unpaid(protocol.OutOfRangeCode, total-other, "The payments other than cash come to more than the amount due, and only cash gives change.")
	}
	left := total - other
	if hasCash {
		s.Rounding = sign * b.t.cashRounding(left)
		left += sign * s.Rounding
	}
	switch {
	case cash < left:
		return b.unpaid(protocol.TenderShort, left-cash, "The payments are "+money(left-cash)+" (in the smallest unit of "+s.Currency+") less than the amount due.")
	case cash > left && !b.selling:
		return b.unpaid(protocol.OutOfRangeCode, left-cash, "The refund in cash is more than the "+money(left)+" (in the smallest unit of "+s.Currency+") that is due.")
	}
	s.Change = cash - left
	s.Total = sign*total + s.Rounding
	return nil
}

// unpaid refuses tenders; due_minor is what is still to be paid, below 0 where
// it is too much.
func (b *builder) unpaid(code protocol.Code, due protocol.Money, what string) error {
	e := b.refuse(code, 0, what, "Correct the payments and send it again.").With("due_minor", int64(due))
	if code == protocol.OutOfRangeCode {
		e = e.With("field", "tenders")
	}
	return e
}

// settleExternal closes a receipt of another POS: its total stands.
//
// A zone without tax in its prices still meets tills that send lines with tax,
// and a till that rounds cash does not say by how much; both readings are tried
// before a difference is reported. Change is what makes tenders less change the
// total, and is reported where it could not have been handed out.
func (b *builder) settleExternal(s *protocol.Sale) error {
	s.Total = *b.external.TotalMinor
	if !s.PricesIncludeTax && due(s) != s.Total && due(&protocol.Sale{Lines: s.Lines, PricesIncludeTax: true}) == s.Total {
		taxes, err := b.taxes(s.Lines, true)
		if err != nil {
			return err
		}
		s.PricesIncludeTax, s.Taxes = true, taxes
	}
	cash, other, hasCash := paid(s.Tenders)
	if diff := s.Total - due(s); diff != 0 {
		if hasCash && b.t.cashRounding(due(s)-other) == diff {
			s.Rounding = diff
		} else {
			b.warn(WarnTotalDiffers, 0, "The lines come to "+money(due(s))+", the total was given as "+money(s.Total)+". The given total was kept.")
		}
	}
	if len(s.Tenders) == 0 {
		s.Tenders = untold(s.Total)
		return nil
	}
	s.Change = cash + other - s.Total
	if s.Change < 0 || s.Change > max(cash, 0) || !b.selling && s.Change != 0 {
		b.warn(WarnTendersDiffer, 0, "The payments come to "+money(cash+other)+", the total is "+money(s.Total)+". Both were kept as given.")
	}
	return nil
}

// untold is the payment of a receipt whose POS does not say how it was paid:
// one that comes to the total, so that tenders less change are the total here
// as well.
func untold(total protocol.Money) []protocol.Tender {
	if total == 0 {
		return nil
	}
	return []protocol.Tender{{Type: protocol.OtherPay, Amount: total}}
}
