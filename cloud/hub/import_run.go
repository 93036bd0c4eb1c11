package hub

import (
	"bytes"
	"context"
	"io"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// Limits of one event of an import. An event takes rows until either is
// reached; the largest single row is well below the rest of EventBytesMax.
const (
	chunkRowsMax  = 400
	chunkBytesMax = 512 << 10
)

// change is what one sound row asks for.
type change[P any] struct {
	row   Row
	patch P
}

// table is how the rows of one kind of reference data are taken in. parse looks
// at a row alone; merge puts changes onto what is there, in their order, and
// tells how many it took, at least one. merge may run again.
type table[P any] struct {
	parse func(*cells) P
	merge func(tx ledger.Tx, changes []change[P], report *Report) (*protocol.Catalog, int, error)
}

// importRows takes a file in, chunk by chunk, each chunk in one transaction with
// the rows it is merged onto. What was applied before an error stays; sending
// the file again is safe.
func importRows[P any](ctx context.Context, h *Hub, rows RowReader, t table[P]) (Report, error) {
	report := Report{Errors: []RowError{}}
	for {
		var chunk Report
		changes, err := nextChunk(rows, t.parse, &chunk)
		if err != nil && err != io.EOF {
			return report, err
		}
		for len(changes) > 0 {
			var part Report
			taken := 0
			_, actErr := h.act(ctx, protocol.ChainStore, func(tx ledger.Tx) (*protocol.Event, error) {
				part, taken = Report{}, 0
				catalog, n, err := t.merge(tx, changes, &part)
				if err != nil {
					return nil, err
				}
				taken = n
				if catalog.Rows() == 0 {
					return nil, nil
				}
				return &protocol.Event{Kind: protocol.KindCatalog, Catalog: catalog}, nil
			})
			if actErr != nil {
				return report, actErr
			}
			chunk.add(part)
			changes = changes[taken:]
		}
		report.addInOrder(chunk)
		if err == io.EOF {
			return report, nil
		}
	}
}

// chunkRefusedMax is how many rows of one chunk may be wrong by themselves. With
// all the others of the chunk they are no more than a report names, so that none
// is left out before they are put in order.
const chunkRefusedMax = reportErrorsMax - chunkRowsMax

// nextChunk reads rows up to a chunk's worth and reports those that are wrong
// by themselves.
func nextChunk[P any](rows RowReader, parse func(*cells) P, report *Report) ([]change[P], error) {
	var changes []change[P]
	for size := 0; len(changes) < chunkRowsMax && size < chunkBytesMax && len(report.Errors) < chunkRefusedMax; {
		row, err := rows.Next()
		if err != nil {
			return changes, err
		}
		if row.Problem != nil {
			report.reject(row.Number, row.Problem)
			continue
		}
		c := cells{row: &row}
		patch := parse(&c)
		if c.err != nil {
			report.reject(row.Number, c.err)
			continue
		}
		size += row.size
		changes = append(changes, change[P]{row: row, patch: patch})
	}
	return changes, nil
}

// drafts are the rows of one kind that a chunk touches: as they are stored, and
// as they become.
type drafts[K comparable, R any] struct {
	encode func(*R) ([]byte, error)
	rows   map[K]*draft[R]
	order  []K
	bytes  int // of all rows that changed, at their largest
}

type draft[R any] struct {
	row     R
	was, is []byte
}

func newDrafts[K comparable, R any](encode func(*R) ([]byte, error)) *drafts[K, R] {
	return &drafts[K, R]{encode: encode, rows: map[K]*draft[R]{}}
}

// stored adds a row as it is in the ledger; nil means that there is none.
func (d *drafts[K, R]) stored(key K, row *R) error {
	if _, ok := d.rows[key]; ok {
		return nil
	}
	d.order = append(d.order, key)
	d.rows[key] = &draft[R]{}
	if row == nil {
		return nil
	}
	b, err := d.encode(row)
	if err != nil {
		return err
	}
	d.rows[key] = &draft[R]{row: *row, was: b, is: b}
	return nil
}

// get is a row as the changes so far have made it.
func (d *drafts[K, R]) get(key K) (row R, ok bool) {
	if at := d.rows[key]; at != nil && at.is != nil {
		return at.row, true
	}
	return row, false
}

// put replaces a row and tells whether that changed it.
func (d *drafts[K, R]) put(key K, row R) (bool, error) {
	b, err := d.encode(&row)
	if err != nil {
		return false, err
	}
	at := d.rows[key]
	if bytes.Equal(at.is, b) {
		return false, nil
	}
	at.row, at.is = row, b
	d.bytes += len(b)
	return true, nil
}

// changed lists the rows that differ from what is stored, in the order in which
// the file first named them.
func (d *drafts[K, R]) changed() []R {
	var list []R
	for _, key := range d.order {
		if at := d.rows[key]; !bytes.Equal(at.was, at.is) {
			list = append(list, at.row)
		}
	}
	return list
}
