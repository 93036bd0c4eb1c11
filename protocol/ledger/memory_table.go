package ledger

import "slices"

// memoryBlockRows is how many rows a block has at most: few enough for a row to be
// put between others, many enough for blocks to be few.
const memoryBlockRows = 128

// memoryRow is a row of a table.
type memoryRow struct {
	id    string
	value []byte
}

// memoryTable is a table of Memory: rows in the order of their ids, in blocks
// none of which is empty.
type memoryTable struct {
	blocks [][]memoryRow
	room   []memoryRow // for the first block
}

// seek finds the block and the place in it where id is or belongs.
func (t *memoryTable) seek(id string) (block, at int) {
	low, high := 0, len(t.blocks)
	for low < high {
		if middle := (low + high) / 2; t.blocks[middle][0].id <= id {
			low = middle + 1
		} else {
			high = middle
		}
	}
	if low == 0 {
		return 0, 0
	}
	rows := t.blocks[low-1]
	first, last := 0, len(rows)
	for first < last {
		if middle := (first + last) / 2; rows[middle].id < id {
			first = middle + 1
		} else {
			last = middle
		}
	}
	return low - 1, first
}

// is tells whether the row of an id is at a place.
func (t *memoryTable) is(block, at int, id string) bool {
	return block < len(t.blocks) && at < len(t.blocks[block]) && t.blocks[block][at].id == id
}

// find is the row of an id, nil where there is none.
func (t *memoryTable) find(id string) *memoryRow {
	if block, at := t.seek(id); t.is(block, at, id) {
		return &t.blocks[block][at]
	}
	return nil
}

func (t *memoryTable) put(row memoryRow) {
	block, at := t.seek(row.id)
	switch {
	case t.is(block, at, row.id):
		t.blocks[block][at].value = row.value
		return
	case len(t.blocks) == 0:
		t.blocks, t.room = append(t.blocks, append(t.room, row)), nil
		return
	}
	rows := slices.Insert(t.blocks[block], at, row)
	if len(rows) > memoryBlockRows {
		half := len(rows) / 2
		t.blocks = slices.Insert(t.blocks, block+1, slices.Clone(rows[half:]))
		clear(rows[half:])
		rows = rows[:half]
	}
	t.blocks[block] = rows
}

func (t *memoryTable) remove(id string) {
	block, at := t.seek(id)
	if !t.is(block, at, id) {
		return
	}
	t.blocks[block] = slices.Delete(t.blocks[block], at, at+1)
	if len(t.blocks[block]) == 0 {
		t.blocks = slices.Delete(t.blocks, block, block+1)
	}
}

// empty takes all rows out, and keeps the memory of a few.
func (t *memoryTable) empty() {
	if len(t.blocks) == 0 {
		return
	}
	t.room = t.blocks[0]
	clear(t.room)
	t.room = t.room[:0]
	clear(t.blocks)
	t.blocks = t.blocks[:0]
}

func (t *memoryTable) copy() memoryTable {
	c := memoryTable{blocks: make([][]memoryRow, len(t.blocks))}
	for i := range t.blocks {
		c.blocks[i] = slices.Clone(t.blocks[i])
	}
	return c
}

// cursor begins at the first row from an id on.
func (t *memoryTable) cursor(from string) memoryCursor {
	if len(t.blocks) == 0 {
		return memoryCursor{}
	}
	block, at := t.seek(from)
	c := memoryCursor{rows: t.blocks[block][at:], blocks: t.blocks[block+1:]}
	c.settle()
	return c
}

// memoryCursor walks over the rows of a table.
type memoryCursor struct {
	rows   []memoryRow   // of a block, still to come; empty at the end alone
	blocks [][]memoryRow // behind it
}

func (c *memoryCursor) settle() {
	if len(c.rows) == 0 && len(c.blocks) > 0 {
		c.rows, c.blocks = c.blocks[0], c.blocks[1:]
	}
}

// row is the row at which the cursor stands, nil at the end.
func (c *memoryCursor) row() *memoryRow {
	if len(c.rows) == 0 {
		return nil
	}
	return &c.rows[0]
}

// next is the row at which the cursor stands, unless another one comes before it.
func (c *memoryCursor) next(other *memoryRow) *memoryRow {
	row := c.row()
	if row != nil && other != nil && other.id < row.id {
		return nil
	}
	return row
}

// pass goes on behind the row of an id, if the cursor stands there.
func (c *memoryCursor) pass(id string) {
	if row := c.row(); row != nil && row.id == id {
		c.rows = c.rows[1:]
		c.settle()
	}
}
