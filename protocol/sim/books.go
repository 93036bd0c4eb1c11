package sim

import (
	"counterpart/protocol"
)

// books are the auditor's: what staff was told, in plain maps and with sums of
// its own.
type books struct {
	origins map[protocol.Inc]protocol.Origin
	acts    map[protocol.EventID]*act
	order   []*act
	// receipts are the numbers that were printed, with the acts that bear them.
	receipts map[protocol.ReceiptNo][]*act
	byStore  map[protocol.StoreID][]*act // sales, for what refers to them
	// told are the acts that were confirmed, refused those that met a full
	// disk, doubted those whose process ended before it answered.
	told, refused, doubted int
}

func newBooks() books {
	return books{
		origins: map[protocol.Inc]protocol.Origin{}, acts: map[protocol.EventID]*act{},
		receipts: map[protocol.ReceiptNo][]*act{}, byStore: map[protocol.StoreID][]*act{},
	}
}

// act is something that staff did, as the auditor keeps it.
type act struct {
	id    protocol.EventID // once it is logged
	print uint64           // of its record's bytes
	hash  protocol.Hash    // of the stream, after it
	store protocol.StoreID
	kind  protocol.Kind
	moves []protocol.Move
	dead  bool // nobody can read it

	receipt  protocol.ReceiptNo
	original *act
	void     bool
	lines    []protocol.Quantity // of a sale, by line; of a return, by the original's line
	items    []protocol.SKU
	external string

	counted  []protocol.SKU
	seen     []protocol.StreamPos // of a count
	seenSKUs []protocol.SKU       // of a count_seen
	load     string
	loadFrom int64
	loadUpTo int64
}

// enter writes down an act that is on its machine's disk for good.
func (b *books) enter(a *act) {
	b.acts[a.id] = a
	b.order = append(b.order, a)
	if a.receipt != "" {
		b.receipts[a.receipt] = append(b.receipts[a.receipt], a)
		if a.original == nil {
			b.byStore[a.store] = append(b.byStore[a.store], a)
		}
	}
}
