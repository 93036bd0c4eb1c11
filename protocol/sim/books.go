package sim

import (
	"counterpart/protocol"
)

// books are the auditor's: what staff was told, in plain maps and with sums of
// its own.
type books struct {
	origins map[protocol.Inc]protocol.Origin
	// acts are those of each event id: one, unless a disk was copied unnoticed.
	acts  map[protocol.EventID][]*act
	order []*act
	// receipts are the numbers that were printed, with the acts that bear them.
	receipts map[protocol.ReceiptNo][]*act
	byStore  map[protocol.StoreID][]*act // sales, for what refers to them
	// reversals are what brings something of a receipt back.
	reversals map[protocol.ReceiptNo][]*act
	parts     map[protocol.PartID][]*act // what was done about orders
	dead      map[string]bool            // where the hub holds events that nobody can read
	// told are the acts that were confirmed, refused those that met a full
	// disk, doubted those whose process ended before it answered.
	told, refused, doubted int
}

func newBooks() books {
	return books{
		origins: map[protocol.Inc]protocol.Origin{}, acts: map[protocol.EventID][]*act{}, dead: map[string]bool{},
		receipts: map[protocol.ReceiptNo][]*act{}, reversals: map[protocol.ReceiptNo][]*act{}, byStore: map[protocol.StoreID][]*act{}, parts: map[protocol.PartID][]*act{},
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
	// unaware says that the machine was a copy and could not know it: another
	// may have used the same numbers.
	unaware bool
	// lost says that every disk which held it has died or was rolled back.
	lost bool
	// given says that the hub has given it up as part of a gap.
	given bool

	receipt  protocol.ReceiptNo
	series   string
	number   uint64
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

	part     protocol.PartID
	did      string // about the part
	by       protocol.StaffID
	from     string              // the state of the part as its machine knew it, empty where that is in doubt
	took     []protocol.PartLine // of an act or a change, by line of the part
	reason   string              // of a change by the hub
	amount   protocol.Money      // of a refund that is asked for
	instead  uint32              // the part that stands in
	seenPart []*act              // what the machine held by then of what staff did about the part

	credit *credit // what it does to a member; nil: it names none
}

// enter writes down an act that is on its machine's disk for good.
func (b *books) enter(a *act) {
	b.acts[a.id] = append(b.acts[a.id], a)
	b.order = append(b.order, a)
	if a.part.Part > 0 {
		b.parts[a.part] = append(b.parts[a.part], a)
	}
	if a.original != nil {
		b.reversals[a.original.receipt] = append(b.reversals[a.original.receipt], a)
	}
	if a.receipt != "" {
		b.receipts[a.receipt] = append(b.receipts[a.receipt], a)
		if a.original == nil {
			b.byStore[a.store] = append(b.byStore[a.store], a)
		}
	}
}

// find is the act of an id whose record has a fingerprint.
func (b *books) find(id protocol.EventID, print uint64) *act {
	for _, a := range b.acts[id] {
		if a.print == print {
			return a
		}
	}
	return nil
}
