package till

import (
	"slices"
	"strconv"
	"strings"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/pickup"
	"counterpart/protocol/sale"
)

// againstOrder makes of a return against an order what the store can know of it.
// Goods that were paid at a till here come back on that receipt. Of an order that
// was paid online and handed over here the lines say items and prices, and no
// more comes back than was handed over. Of an order that another store keeps
// nothing is known, so its lines need codes; whether too much came back is found
// where both are known.
func (a *act) againstOrder(r *sale.ReturnRequest) error {
	parts, err := a.ownParts(protocol.OrderID(r.OrderID))
	if err != nil {
		return err
	}
	if len(parts) == 0 {
		return codesOnly(r)
	}
	if s, _ := lineOf(parts, r.Lines[0].Line); s != nil && s.Receipt != "" {
		return a.onReceipt(r, s)
	}
	back, err := ledger.ReadReturns(a.tx, protocol.OrderID(r.OrderID))
	if err != nil {
		return err
	}
	for i := range r.Lines {
		if err := a.priceOfOrder(&r.Lines[i], parts, back, r.Lines[:i]); err != nil {
			return atReturnLine(err, i+1)
		}
	}
	return nil
}

// ownParts are the parts of an order that this store keeps.
func (a *act) ownParts(id protocol.OrderID) (parts []pickup.State, err error) {
	places, err := ledger.ReadOrder(a.tx, id)
	if err != nil {
		return nil, err
	}
	for _, at := range places {
		if at.Store != a.origin().Store {
			continue
		}
		part, err := ledger.ReadPart(a.tx, at.Store, protocol.PartID{Order: id, Part: at.Part})
		if err != nil {
			return nil, err
		}
		if s := part.State(); s.Order != nil {
			parts = append(parts, s)
		}
	}
	return parts, nil
}

// lineOf finds the part and the line in it that an order's line is; of several
// parts one that was handed over.
func lineOf(parts []pickup.State, number uint32) (s *pickup.State, line int) {
	for i := range parts {
		for n := range parts[i].Order.Lines {
			if parts[i].Order.Lines[n].Number == number && (s == nil || parts[i].HandedOf(n) > 0) {
				s, line = &parts[i], n
			}
		}
	}
	return s, line
}

// atReturnLine names the line of the request, unless the error names one.
func atReturnLine(err error, line int) error {
	e := protocol.AsError(err)
	if _, ok := e.Members["line"]; !ok {
		e = e.With("line", line)
	}
	return e
}

func codesOnly(r *sale.ReturnRequest) error {
	for i := range r.Lines {
		if r.Lines[i].Code == "" {
			return protocol.Refuse(protocol.ReceiptUnknown, "This store does not keep order "+r.OrderID+", so it cannot know what its lines are. Nothing was returned. Scan the goods, and send each line with its code.").
				With("line", i+1).With("order_id", r.OrderID)
		}
	}
	return nil
}

// onReceipt turns lines of an order into those of the receipt by which it was
// paid and handed over.
func (a *act) onReceipt(r *sale.ReturnRequest, state *pickup.State) error {
	o, err := a.readOriginal(state.Receipt)
	if err != nil {
		return err
	}
	if o == nil {
		return errNoReceipt(state.Receipt, "Nothing was returned. ")
	}
	for i := range r.Lines {
		line := &r.Lines[i]
		_, handed, _, err := a.handedAs([]pickup.State{*state}, line)
		if err != nil {
			return atReturnLine(err, i+1)
		}
		at := slices.IndexFunc(o.Sale.Lines, func(l protocol.SaleLine) bool { return l.OriginalLine == handed.Line && l.Item.SKU == handed.Item })
		if at < 0 {
			return errOrderLine(line.Line).With("line", i+1)
		}
		line.Line, line.Code = uint32(at+1), ""
	}
	r.ReceiptNo, r.OrderID = string(state.Receipt), ""
	return nil
}

func errOrderLine(line uint32) *protocol.Error {
	return protocol.OutOfRange("line", strconv.FormatUint(uint64(line), 10), "not a line of the order that was handed over")
}

// handedAs finds which item of an order's line comes back: the one that its code
// names, or without a code the only one that was handed over. before is how much
// was handed over for the line as the items in front of it.
func (a *act) handedAs(parts []pickup.State, line *sale.ReturnLine) (s *pickup.State, l protocol.PartLine, before protocol.Quantity, err error) {
	s, at := lineOf(parts, line.Line)
	if s == nil || line.Qty == nil {
		return nil, l, 0, errOrderLine(line.Line)
	}
	handed := s.HandedFor(at)
	if len(handed) == 0 {
		handed = []protocol.PartLine{{Line: uint32(at + 1), Item: s.Order.Lines[at].Item.SKU}}
	}
	names := []string{}
	for _, h := range handed {
		names = append(names, string(h.Item))
	}
	if line.Code == "" {
		if len(handed) > 1 {
			return nil, l, 0, protocol.OutOfRange("code", "", "missing, and needed, since line "+strconv.FormatUint(uint64(line.Line), 10)+" was handed over as "+strings.Join(names, " and "))
		}
		return s, handed[0], 0, nil
	}
	found, err := resolver{r: a.tx, patterns: a.o.Patterns, nothing: "Nothing was returned."}.resolve([]string{line.Code})
	if err != nil {
		return nil, l, 0, err
	}
	for _, h := range handed {
		if found[0].err == nil && found[0].SKU == h.Item {
			return s, h, before, nil
		}
		before += h.Quantity
	}
	return nil, l, 0, protocol.OutOfRange("code", line.Code, "not what was handed over for line "+strconv.FormatUint(uint64(line.Line), 10)+", which is "+strings.Join(names, " and "))
}

// priceOfOrder fills in what the order says of a line, and refuses more than was
// handed over and did not come back, with the lines of the return before it. What
// was handed over in the place of a line comes back at the line's price.
func (a *act) priceOfOrder(line *sale.ReturnLine, parts []pickup.State, back *pickup.Returns, before []sale.ReturnLine) error {
	state, handed, first, err := a.handedAs(parts, line)
	if err != nil {
		return err
	}
	ordered, sku := &state.Order.Lines[handed.Line-1], handed.Item
	ofItem, here := -back.Of(sku), protocol.Quantity(0)
	for p := range parts {
		ofItem += parts[p].HandedAs(sku)
	}
	for i := range before {
		if before[i].Code != string(sku) {
			continue
		}
		ofItem -= *before[i].Qty
		if before[i].Line == line.Line {
			here += *before[i].Qty
		}
	}
	remaining := max(min(ofItem, handed.Quantity-here), 0)
	if q := *line.Qty; q > remaining {
		return protocol.Refuse(protocol.OverReturn, "Only "+remaining.String()+" of line "+strconv.FormatUint(uint64(line.Line), 10)+" of the order can still come back, not "+q.String()+
			". Nothing was returned. Return at most "+remaining.String()+", or check the order.").With("line", line.Line).With("remaining", remaining)
	}
	line.Code, line.UnitPriceMinor = string(sku), &ordered.UnitPrice
	if line.AmountMinor == nil {
		// Rounded on the running sum, so that any split comes to the whole.
		done := min(first+max(handed.Quantity-remaining, 0), ordered.Quantity)
		amount := cameTo(ordered, done+*line.Qty) - cameTo(ordered, done)
		line.AmountMinor = &amount
	}
	return nil
}

// cameTo is what some of a line of an order came to.
func cameTo(l *protocol.OrderLine, q protocol.Quantity) protocol.Money {
	amount, _ := protocol.MulDiv(int64(l.Amount), int64(min(q, l.Quantity)), int64(l.Quantity))
	return protocol.Money(amount)
}
