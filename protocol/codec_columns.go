package protocol

import "counterpart/protocol/wire"

// column builds a column of n entries, or none when all have their default.
func column[T comparable](n int, entry func(i int) T) []T {
	var zero T
	var col []T
	for i := range n {
		v := entry(i)
		if v == zero {
			continue
		}
		if col == nil {
			col = make([]T, n)
		}
		col[i] = v
	}
	return col
}

// entry reads a column that column built.
func entry[T any](col []T, i int) T {
	if len(col) == 0 {
		var zero T
		return zero
	}
	return col[i]
}

// list makes room for n entries; an empty list is nil, so that an event that
// was decoded equals the event that was encoded.
func list[T any](n int) []T {
	if n == 0 {
		return nil
	}
	return make([]T, n)
}

// states reads a column of states.
func (c *check) states(what string, col []wire.State, n int) {
	c.column(what, len(col), n)
	for _, s := range col {
		if s < 0 || s >= wire.State(StateCount) {
			c.failf("state %d in %s is not known", s, what)
			return
		}
	}
}

// itemTable holds each item of an event once; moves and lines refer to it by
// index. Up to scanMax items are found by looking through them.
type itemTable struct {
	refs  []ItemRef
	byRef map[ItemRef]int // nil up to scanMax
	bySKU map[SKU]int     // the first of each SKU; nil up to scanMax
}

const scanMax = 16

// ref returns the index of an item as line i names it, adding it if need be.
func (t *itemTable) ref(c *check, i int, item *ItemRef) int {
	if i < len(t.refs) && t.refs[i] == *item {
		return i
	}
	if t.byRef != nil {
		if at, ok := t.byRef[*item]; ok {
			return at
		}
		return t.add(c, item)
	}
	for at := range t.refs {
		if t.refs[at] == *item {
			return at
		}
	}
	return t.add(c, item)
}

// sku returns the index of any item with the SKU of move i, adding one if need be.
func (t *itemTable) sku(c *check, i int, sku SKU) int {
	if i < len(t.refs) && t.refs[i].SKU == sku {
		return i
	}
	if t.bySKU != nil {
		if at, ok := t.bySKU[sku]; ok {
			return at
		}
		return t.add(c, &ItemRef{SKU: sku})
	}
	for at := range t.refs {
		if t.refs[at].SKU == sku {
			return at
		}
	}
	return t.add(c, &ItemRef{SKU: sku})
}

func (t *itemTable) add(c *check, item *ItemRef) int {
	checkItemRef(c, item)
	t.refs = append(t.refs, *item)
	switch {
	case t.byRef != nil:
		t.note(len(t.refs) - 1)
	case len(t.refs) > scanMax:
		t.byRef, t.bySKU = make(map[ItemRef]int), make(map[SKU]int)
		for at := range t.refs {
			t.note(at)
		}
	}
	return len(t.refs) - 1
}

// reset empties the table and keeps its memory.
func (t *itemTable) reset() {
	clear(t.refs)
	*t = itemTable{refs: t.refs[:0]}
}

func (t *itemTable) note(at int) {
	item := t.refs[at]
	t.byRef[item] = at
	if _, ok := t.bySKU[item.SKU]; !ok {
		t.bySKU[item.SKU] = at
	}
}

func checkItemRef(c *check, item *ItemRef) {
	c.sku(item.SKU)
	c.word("unit", string(item.Unit), false)
	c.gtin(item.GTIN)
	c.text("name", item.Name)
}

// appendTo writes the table as the event's columns.
func (t *itemTable) appendTo(b []byte, c *check) []byte {
	n := len(t.refs)
	if n == 0 {
		return b
	}
	b = appendColumn(b, eventItemUnits, n, func(i int) uint64 {
		unit, _ := unitWords.number(t.refs[i].Unit)
		return uint64(unit)
	})
	b = appendTexts(b, c, eventUnitTexts, n, func(i int) string {
		_, text := unitWords.number(t.refs[i].Unit)
		return text
	})
	b = appendTexts(b, c, eventItemGTINs, n, func(i int) string { return t.refs[i].GTIN })
	b = appendTexts(b, c, eventItemNames, n, func(i int) string { return t.refs[i].Name })
	return appendTexts(b, c, eventItemSKUs, n, func(i int) string { return string(t.refs[i].SKU) })
}

// item finds the item of line i, given what its column says.
func item(c *check, refs []ItemRef, i int, difference int32) *ItemRef {
	at := int64(i) + int64(difference)
	if at < 0 || at >= int64(len(refs)) {
		c.failf("line %d refers to item %d of %d", i, at, len(refs))
		return &ItemRef{}
	}
	return &refs[at]
}
