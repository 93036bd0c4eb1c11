// Package cart keeps the carts of members: what is in one is worked out from the
// set of the operations on it, so that whoever folds them in whatever order has
// the same cart. Operations follow each other in the order of their events' ids.
package cart

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"

	"counterpart/protocol"
)

const (
	// LinesMax bounds what a cart holds.
	LinesMax = 200
	// QuantityMax bounds what a line holds.
	QuantityMax = protocol.QuantityMax
	// opsKept is how many of the newest operations are remembered by name, so that
	// each counts once.
	opsKept = 500
	// linesTidied and additionsTidied are from where on a cart is to be tidied.
	linesTidied     = 2 * LinesMax
	additionsTidied = 32
)

// mark is the place of what an event says among all operations of a cart. Two
// bodies under one id, which a copied machine may write, are told apart by their
// sums.
type mark struct {
	id  protocol.EventID
	sum uint64
}

func (m mark) compare(other mark) int {
	return cmp.Or(bytes.Compare(m.id.Inc[:], other.id.Inc[:]), cmp.Compare(m.id.Seq, other.id.Seq), cmp.Compare(m.sum, other.sum))
}

func (m mark) before(other mark) bool { return m.compare(other) < 0 }

// Cart is what a member means to buy. It is made of maxima and of sets that are
// cut at maxima, so that folding operations in any order gives the same. The zero
// Cart is empty.
type Cart struct {
	whole mark // the last operation that said all there is
	lines []*line
	ops   []op // the newest, by mark
}

// line is what was said of one item since the last operation that said all.
type line struct {
	sku     protocol.SKU
	set     mark // the last operation that said what the line holds
	qty     protocol.Quantity
	addedMs int64
	noted   mark
	note    []byte
	more    []addition // after set, by mark
}

type addition struct {
	mark
	op      uint64 // the sum of the operation's name
	qty     protocol.Quantity
	addedMs int64
}

// op is an operation that counts once.
type op struct {
	mark
	name    uint64
	request uint64
}

// Add takes in an operation, which is counted once by the caller. wallMs is what
// its record's clock showed.
func (c *Cart) Add(id protocol.EventID, wallMs int64, o *protocol.Cart) {
	m := mark{id, sumOf(o)}
	name := nameSum(o.OpID)
	if name != 0 {
		c.remember(op{m, name, o.Request})
	}
	if o.Whole && c.whole.before(m) {
		c.whole = m
		c.lines = slices.DeleteFunc(c.lines, func(l *line) bool { return l.cut(m) })
	}
	if m.before(c.whole) {
		return
	}
	for i := range o.Lines {
		l := &o.Lines[i]
		added := l.AddedMs
		if added == 0 {
			added = wallMs
		}
		c.line(l.SKU).apply(m, name, l, added)
	}
	c.lines = slices.DeleteFunc(c.lines, func(l *line) bool { return l.empty() })
}

// sumOf tells two operations under one id apart.
func sumOf(o *protocol.Cart) uint64 {
	body, err := protocol.EncodeEvent(&protocol.Event{Kind: protocol.KindCart, Cart: o})
	if err != nil {
		return 0 // No event that was read is one that cannot be written.
	}
	sum := sha256.Sum256(body)
	return binary.BigEndian.Uint64(sum[:])
}

// nameSum stands for the name of an operation, 0 for none.
func nameSum(name string) uint64 {
	if name == "" {
		return 0
	}
	sum := sha256.Sum256([]byte(name))
	return max(1, binary.BigEndian.Uint64(sum[:]))
}

func (c *Cart) remember(o op) {
	i, _ := slices.BinarySearchFunc(c.ops, o.mark, func(o op, m mark) int { return o.compare(m) })
	c.ops = slices.Insert(c.ops, i, o)
	if len(c.ops) > opsKept {
		c.ops = slices.Delete(c.ops, 0, len(c.ops)-opsKept)
	}
}

// line is the line of an item, made where there is none.
func (c *Cart) line(sku protocol.SKU) *line {
	i, found := slices.BinarySearchFunc(c.lines, sku, func(l *line, sku protocol.SKU) int { return strings.Compare(string(l.sku), string(sku)) })
	if !found {
		c.lines = slices.Insert(c.lines, i, &line{sku: sku})
	}
	return c.lines[i]
}

func (l *line) apply(m mark, name uint64, o *protocol.CartLine, addedMs int64) {
	switch {
	case o.Set && !m.before(l.set):
		l.set, l.qty, l.addedMs = m, o.Quantity, addedMs
		l.more = slices.DeleteFunc(l.more, func(a addition) bool { return a.before(m) })
	case !o.Set && o.Quantity != 0 && l.set.before(m):
		i, _ := slices.BinarySearchFunc(l.more, m, func(a addition, m mark) int { return cmp.Or(a.compare(m), -1) })
		l.more = slices.Insert(l.more, i, addition{m, name, o.Quantity, addedMs})
	}
	if o.Noted && !m.before(l.noted) {
		l.noted, l.note = m, o.Note
	}
}

// cut forgets what was said before m, and tells whether nothing is left.
func (l *line) cut(m mark) bool {
	if l.set.before(m) {
		l.set, l.qty, l.addedMs = mark{}, 0, 0
	}
	if l.noted.before(m) {
		l.noted, l.note = mark{}, nil
	}
	l.more = slices.DeleteFunc(l.more, func(a addition) bool { return a.before(m) })
	return l.empty()
}

func (l *line) empty() bool { return l.set == mark{} && l.noted == mark{} && len(l.more) == 0 }

// Line is one item of a cart.
type Line struct {
	SKU      protocol.SKU
	Quantity protocol.Quantity
	Note     []byte // sealed
	AddedMs  int64
}

// Lines are what the cart holds, the oldest first.
func (c *Cart) Lines() []Line {
	var list []Line
	for _, l := range c.lines {
		if now := c.now(l); now.Quantity > 0 {
			list = append(list, now)
		}
	}
	slices.SortStableFunc(list, func(a, b Line) int { return cmp.Compare(a.AddedMs, b.AddedMs) })
	return list
}

// Quantity is what the cart holds of an item.
func (c *Cart) Quantity(sku protocol.SKU) protocol.Quantity {
	for _, l := range c.lines {
		if l.sku == sku {
			return c.now(l).Quantity
		}
	}
	return 0
}

// now works out what a line holds. An addition counts unless an earlier operation
// bears its name.
func (c *Cart) now(l *line) Line {
	now := Line{SKU: l.sku, Quantity: l.qty, Note: l.note, AddedMs: l.addedMs}
	for _, a := range l.more {
		if c.repeated(a) {
			continue
		}
		if a.qty > 0 && (now.Quantity <= 0 || a.addedMs < now.AddedMs) {
			now.AddedMs = a.addedMs
		}
		now.Quantity += a.qty
	}
	now.Quantity = min(max(0, now.Quantity), QuantityMax)
	return now
}

func (c *Cart) repeated(a addition) bool {
	return a.op != 0 && slices.ContainsFunc(c.ops, func(o op) bool { return o.name == a.op && o.before(a.mark) && o.id != a.id })
}

// Known tells whether an operation of that name was taken in, and whether it was
// for the same.
func (c *Cart) Known(name string, request uint64) (known, same bool) {
	sum := nameSum(name)
	for _, o := range c.ops {
		if o.name == sum {
			return true, o.request == request
		}
	}
	return false, false
}

// Tidied is the operation that says all that the cart holds, so that what led to
// it may be forgotten; nil while that is little.
func (c *Cart) Tidied(id protocol.MemberID) *protocol.Cart {
	if len(c.lines) <= linesTidied && !slices.ContainsFunc(c.lines, func(l *line) bool { return len(l.more) > additionsTidied }) {
		return nil
	}
	o := &protocol.Cart{Member: id, Op: protocol.CartTidy, Whole: true}
	for _, l := range c.Lines() {
		o.Lines = append(o.Lines, protocol.CartLine{SKU: l.SKU, Quantity: l.Quantity, Set: true, Noted: len(l.Note) > 0, Note: l.Note, AddedMs: l.AddedMs})
	}
	return o
}

// Empty tells whether no operation was ever taken in.
func (c *Cart) Empty() bool { return len(c.ops) == 0 && len(c.lines) == 0 && c.whole == mark{} }
