package till

import (
	"cmp"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/pickup"
)

// substitutes finds the items that lines of a request name by a code, and puts
// them into the lines of the part that they became. What is put back was picked
// before, so that only a pick asks whether it may be picked.
func (a *act) substitutes(state *pickup.State, ask *pickup.Ask, named []pickup.RequestLine) error {
	codes := make([]string, len(named))
	for i := range named {
		codes[i] = named[i].Code
	}
	v := resolver{r: a.tx, patterns: a.o.Patterns, nothing: "Nothing was recorded."}
	all, err := v.resolve(codes)
	if err != nil {
		return err
	}
	for i := range all {
		if codes[i] == "" {
			continue
		}
		f, line := &all[i], named[i].Line
		switch {
		case f.err != nil:
			return f.err.With("line", line)
		case f.Item == nil:
			return v.errUnknown(codes[i]).With("line", line)
		case f.ask || f.AmountFromCode != nil || f.QuantityFromCode != nil:
			return protocol.OutOfRange("code", codes[i], "a weight or price label (enter the item's own code, and the quantity)").With("line", line)
		}
		ask.Lines[i].Item = f.Item.SKU
		if ask.Act == protocol.Pick && ask.Lines[i].Line > 0 {
			if err := a.replaceable(&state.Order.Lines[ask.Lines[i].Line-1], f.Item); err != nil {
				return err.With("line", line).With("value", codes[i])
			}
		}
	}
	return nil
}

// replaceable refuses an item that cannot stand in the place of what was ordered:
// the shopper pays the ordered quantity of it, so that both need the same unit.
func (a *act) replaceable(ordered *protocol.OrderLine, item *protocol.Item) *protocol.Error {
	unit := ordered.Item.Unit
	own, err := ledger.ReadItem(a.tx, ordered.Item.SKU)
	if err != nil {
		return protocol.AsError(err)
	}
	if own != nil {
		unit = own.Unit
	}
	nothing := " Nothing was recorded. Pick something else, or pick less."
	switch {
	case cmp.Or(item.Unit, protocol.Each) != cmp.Or(unit, protocol.Each):
		return protocol.Refuse(protocol.Conflict, item.Name+" is sold by another unit than what was ordered."+nothing)
	case item.Blocked:
		return protocol.Refuse(protocol.Conflict, item.Name+" is blocked from sale."+nothing)
	case !item.Stocked:
		return protocol.Refuse(protocol.Conflict, item.Name+" is not kept in stock."+nothing)
	}
	return nil
}

// comesTo are the amounts of what is handed over of a due order: what was ordered
// costs, whatever stands in its place. The items of one line come to the line
// together, to the penny.
func comesTo(order *protocol.Order, lines []protocol.PartLine) []protocol.Money {
	all, before := make([]protocol.Quantity, len(order.Lines)), make([]protocol.Quantity, len(order.Lines))
	for _, l := range lines {
		all[l.Line-1] += l.Quantity
	}
	upto := func(i int, q protocol.Quantity) protocol.Money {
		if line := &order.Lines[i]; q == all[i] && q == line.Quantity {
			return line.Amount
		}
		amount, _ := q.Times(order.Lines[i].UnitPrice)
		return amount
	}
	amounts := make([]protocol.Money, len(lines))
	for k, l := range lines {
		i := int(l.Line) - 1
		amounts[k] = upto(i, before[i]+l.Quantity) - upto(i, before[i])
		before[i] += l.Quantity
	}
	return amounts
}
