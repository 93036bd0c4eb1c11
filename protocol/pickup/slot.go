package pickup

import (
	"cmp"
	"slices"

	"counterpart/protocol"
)

// A slot is a line of the order with an item that is set aside for it. The first
// slots are the lines with their own items; the others are the substitutes that
// any event of the part names, by line and SKU, so that they depend on the set of
// events and not on its order.
type slot struct {
	line int // from 0
	item protocol.SKU
}

// lines are the lines that an entry names.
func (e *entry) lines() []protocol.PartLine {
	switch e.class {
	case change:
		return e.event.OrderChange.Lines
	case act:
		return e.event.Fulfilment.Lines
	}
	return e.handed
}

// substitutes are the slots beyond the order's lines.
func (p *Part) substitutes(o *protocol.Order) (slots []slot) {
	for i := range p.entries {
		for _, l := range p.entries[i].lines() {
			line := int(l.Line) - 1
			if l.Item == "" || line < 0 || line >= len(o.Lines) || o.Lines[line].Item.SKU == l.Item {
				continue
			}
			at, found := slices.BinarySearchFunc(slots, slot{line, l.Item}, compareSlots)
			if !found {
				slots = slices.Insert(slots, at, slot{line, l.Item})
			}
		}
	}
	return slots
}

func compareSlots(a, b slot) int {
	return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.item, b.item))
}

// slot is the i-th slot.
func (s *State) slot(i int) slot {
	if n := len(s.Order.Lines); i >= n {
		return s.substitutes[i-n]
	}
	return slot{i, s.Order.Lines[i].Item.SKU}
}

// named is a quantity of the i-th slot as events name it.
func (s *State) named(i int, q protocol.Quantity) protocol.PartLine {
	l := protocol.PartLine{Line: uint32(s.slot(i).line + 1), Quantity: q}
	if i >= len(s.Order.Lines) {
		l.Item = s.slot(i).item
	}
	return l
}

// at is where a list by line or by slot has what an event of the part names, below
// zero for nowhere. A list by slot is the longer one; where it is not, no event
// names a substitute, and slots are lines.
func (s *State) at(list []protocol.Quantity, l protocol.PartLine) int {
	line, n := int(l.Line)-1, len(s.Order.Lines)
	switch {
	case line < 0 || line >= n:
		return -1
	case len(list) == n || !s.replaces(l):
		return line
	}
	i, found := slices.BinarySearchFunc(s.substitutes, slot{line, l.Item}, compareSlots)
	if !found {
		return -1
	}
	return n + i
}

// replaces tells whether l is of another item than its line is.
func (s *State) replaces(l protocol.PartLine) bool {
	return l.Item != "" && l.Item != s.Order.Lines[l.Line-1].Item.SKU
}

// SKU is the item that l, which names a line of the part, is of.
func (s *State) SKU(l protocol.PartLine) protocol.SKU {
	if l.Item != "" {
		return l.Item
	}
	return s.Order.Lines[l.Line-1].Item.SKU
}

// StagedOf is what is staged for a line, from 0, as its own item or in its place.
func (s *State) StagedOf(line int) protocol.Quantity { return s.ofLine(s.Staged, line) }

// HandedOf is what was handed over for a line, from 0, as its own item or in its
// place.
func (s *State) HandedOf(line int) protocol.Quantity { return s.ofLine(s.Handed, line) }

func (s *State) ofLine(list []protocol.Quantity, line int) protocol.Quantity {
	sum := list[line]
	for i, other := range s.substitutes {
		if other.line == line {
			sum += list[len(s.Order.Lines)+i]
		}
	}
	return sum
}

// HandedAs is what was handed over of an item, for whatever line.
func (s *State) HandedAs(sku protocol.SKU) (sum protocol.Quantity) {
	for i, q := range s.Handed {
		if s.slot(i).item == sku {
			sum += q
		}
	}
	return sum
}

// HandedFor names what was handed over for a line, from 0, by item: its own first.
func (s *State) HandedFor(line int) (lines []protocol.PartLine) {
	for i, q := range s.Handed {
		if s.slot(i).line == line && q > 0 {
			lines = append(lines, protocol.PartLine{Line: uint32(line + 1), Quantity: q, Item: s.slot(i).item})
		}
	}
	return lines
}

// Substitutes names what is staged or was handed over in the place of lines.
func (s *State) Substitutes() (lines []protocol.PartLine) {
	for i := len(s.Order.Lines); i < len(s.Staged); i++ {
		if q := s.Staged[i] + s.Handed[i]; q > 0 {
			lines = append(lines, s.named(i, q))
		}
	}
	return lines
}

// Items are what was ordered, and what was ever picked in its place.
func (s *State) Items() []protocol.SKU {
	items := make([]protocol.SKU, len(s.Staged))
	for i := range items {
		items[i] = s.slot(i).item
	}
	return items
}

// above names the quantities that are above zero.
func (s *State) above(list []protocol.Quantity) []protocol.PartLine {
	return s.those(list, func(q protocol.Quantity) bool { return q > 0 })
}

// below names the quantities that are below zero.
func (s *State) below(list []protocol.Quantity) []protocol.PartLine {
	return s.those(list, func(q protocol.Quantity) bool { return q < 0 })
}

func (s *State) those(list []protocol.Quantity, which func(protocol.Quantity) bool) (lines []protocol.PartLine) {
	for i, q := range list {
		if which(q) {
			lines = append(lines, s.named(i, q))
		}
	}
	return lines
}

// move takes quantities from one list to another; nil is nowhere.
func (s *State) move(lines []protocol.PartLine, from, to []protocol.Quantity) {
	for _, l := range lines {
		if i := s.at(from, l); from != nil && i >= 0 {
			from[i] -= l.Quantity
		}
		if i := s.at(to, l); to != nil && i >= 0 {
			to[i] += l.Quantity
		}
	}
}
