package stock

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"counterpart/protocol"
)

// Transfer is what one store knows of goods on their way between it and another:
// a set of events. What it comes to follows from the set alone, so that folding
// streams in any order gives the same.
type Transfer struct {
	entries []transferEntry // by class, event, content
}

// transferEntry is what is kept of an event that names the transfer.
type transferEntry struct {
	class     transferClass
	id        protocol.EventID
	row       []byte           // all of it but the class
	partner   protocol.StoreID // where goods went, or came from
	reference string
	lines     []transferLine
}

// transferLine is what an event says of one item: how much was sent or came, and
// what it adds to incoming.
type transferLine struct {
	sku                protocol.SKU
	quantity, incoming protocol.Quantity
}

// transferClass is what an entry is, and its field in the row.
type transferClass protowire.Number

const (
	left      transferClass = 1 // goods left this store
	announced transferClass = 2 // the hub says that goods are on their way here
	received  transferClass = 3
	corrected transferClass = 4 // of the hub; it only moves incoming
)

func compareTransfers(a, b transferEntry) int {
	return cmp.Or(cmp.Compare(a.class, b.class), bytes.Compare(a.id.Inc[:], b.id.Inc[:]), cmp.Compare(a.id.Seq, b.id.Seq), bytes.Compare(a.row, b.row))
}

// TransferID is the transfer that an event is about, empty for none. Goods that
// leave without one name it by their own event.
func TransferID(id protocol.EventID, ev *protocol.Event) string {
	name := ""
	switch m := ev.Movement; {
	case ev.Transfer != nil:
		name = ev.Transfer.ID
	case m != nil && m.Type == protocol.TransferOut && m.ToStore != "":
		if name = m.TransferID; name == "" {
			name = id.String()
		}
	case m != nil && m.Type == protocol.TransferIn:
		name = m.TransferID
	}
	if !protocol.ValidText(name, transferBytesMax) {
		return "" // It cannot be part of a key.
	}
	return name
}

// transferBytesMax bounds the name of a transfer.
const transferBytesMax = 512

// Add notes an event that TransferID finds to be about the transfer. One that is
// there already changes nothing.
func (t *Transfer) Add(id protocol.EventID, ev *protocol.Event) {
	e := transferEntry{id: id}
	quantities, incoming := map[protocol.SKU]protocol.Quantity{}, map[protocol.SKU]protocol.Quantity{}
	if m := ev.Movement; m != nil {
		e.class, e.partner, e.reference = received, "", m.Reference
		if m.Type == protocol.TransferOut {
			e.class, e.partner = left, m.ToStore
		}
		for i := range m.Lines {
			quantities[m.Lines[i].Item.SKU] += m.Lines[i].Quantity
		}
	} else {
		e.class, e.partner, e.reference = corrected, ev.Transfer.From, ev.Transfer.Reference
		if ev.Transfer.Change == protocol.TransferSent {
			e.class = announced
		}
		for i := range ev.Transfer.Lines {
			quantities[ev.Transfer.Lines[i].Item.SKU] += ev.Transfer.Lines[i].Quantity
		}
	}
	for _, m := range ev.Moves {
		if m.State == protocol.Incoming {
			incoming[m.SKU] += m.Delta
		}
	}
	both := maps.Clone(quantities)
	maps.Copy(both, incoming)
	for _, sku := range slices.Sorted(maps.Keys(both)) {
		e.lines = append(e.lines, transferLine{sku, quantities[sku], incoming[sku]})
	}
	e.row = e.encode()
	if i, found := slices.BinarySearchFunc(t.entries, e, compareTransfers); !found {
		t.entries = slices.Insert(t.entries, i, e)
	}
}

// TransferState is what a transfer comes to at one store.
type TransferState struct {
	// To are the stores that goods left this one for, with what left.
	To map[protocol.StoreID]map[protocol.SKU]protocol.Quantity
	// From are the stores that goods are on their way from, with what they sent.
	From      map[protocol.StoreID]map[protocol.SKU]protocol.Quantity
	Reference string
	Lines     []TransferLine // by SKU
	// Sent is the event by which the goods left, or were announced, if any.
	Sent  protocol.EventID
	Known bool // goods were announced
	Came  bool // something was received, be it nothing of an item
}

// TransferLine is what a transfer comes to for one item: what was sent, what
// came, and what of it stands in the level's incoming.
type TransferLine struct {
	SKU                      protocol.SKU
	Sent, Received, Incoming protocol.Quantity
}

// State works out what the transfer comes to.
func (t *Transfer) State() TransferState {
	s := TransferState{To: map[protocol.StoreID]map[protocol.SKU]protocol.Quantity{}, From: map[protocol.StoreID]map[protocol.SKU]protocol.Quantity{}}
	lines := map[protocol.SKU]*TransferLine{}
	for i := range t.entries {
		e := &t.entries[i]
		if s.Reference == "" {
			s.Reference = e.reference
		}
		switch e.class {
		case left:
			note(s.To, e)
		case announced:
			s.Known = true
			note(s.From, e)
		case received:
			s.Came = true
		}
		if s.Sent.IsZero() && e.class <= announced {
			s.Sent = e.id
		}
		for _, l := range e.lines {
			line := lines[l.sku]
			if line == nil {
				line = &TransferLine{SKU: l.sku}
				lines[l.sku] = line
			}
			line.Incoming += l.incoming
			switch e.class {
			case announced:
				line.Sent += l.quantity
			case received:
				line.Received += l.quantity
			}
		}
	}
	for _, sku := range slices.Sorted(maps.Keys(lines)) {
		s.Lines = append(s.Lines, *lines[sku])
	}
	return s
}

func note(by map[protocol.StoreID]map[protocol.SKU]protocol.Quantity, e *transferEntry) {
	if by[e.partner] == nil {
		by[e.partner] = map[protocol.SKU]protocol.Quantity{}
	}
	for _, l := range e.lines {
		by[e.partner][l.sku] += l.quantity
	}
}

// The rules that the events of a transfer can break together.
const (
	TransferDiffers = "transfer_differs" // what came is not what was sent
	TransferUnknown = "transfer_unknown" // goods came that nobody is known to have sent
)

// TransferBroken are the kinds that Broken knows.
var TransferBroken = []string{TransferDiffers, TransferUnknown}

// Broken names the rules that are broken, with the events that break them.
func (t *Transfer) Broken() map[string][]protocol.EventID {
	s := t.State()
	kind := s.broken()
	if kind == "" {
		return nil
	}
	var ids []protocol.EventID
	for i := range t.entries {
		if class := t.entries[i].class; class == announced || class == received {
			ids = append(ids, t.entries[i].id)
		}
	}
	return map[string][]protocol.EventID{kind: ids}
}

func (s *TransferState) broken() string {
	switch {
	case s.Came && !s.Known:
		return TransferUnknown
	case s.Came && slices.ContainsFunc(s.Lines, func(l TransferLine) bool { return l.Sent != l.Received }):
		return TransferDiffers
	}
	return ""
}

// The states of a transfer.
const (
	TransferSentOff  = "sent"     // goods left; how they arrive the other store knows
	TransferOpen     = "open"     // goods are on their way, or a person has to look
	TransferReceived = "received" // what was sent has come
	TransferClosed   = "closed"   // a person closed it though it differs
)

// TransferStates are all of them.
var TransferStates = []string{TransferSentOff, TransferOpen, TransferReceived, TransferClosed}

// Name is the transfer's state. resolved says that a person resolved what it
// breaks.
func (s *TransferState) Name(resolved bool) string {
	switch {
	case !s.Known && !s.Came:
		return TransferSentOff
	case s.broken() != "" && resolved:
		return TransferClosed
	case s.broken() != "" || !s.Came:
		return TransferOpen
	}
	return TransferReceived
}

// Owed is what the hub has to add to the store's incoming, by SKU: so that it
// never falls below zero for goods that were announced, and nothing is left of a
// transfer that is closed. What was added no longer is owed.
func (s *TransferState) Owed(resolved bool) []TransferLine {
	if !s.Known && !resolved {
		return nil // The announcement may still come, and sets it right.
	}
	var owed []TransferLine
	closed := s.broken() != "" && resolved
	for _, l := range s.Lines {
		want := max(l.Sent-l.Received, 0)
		if closed {
			want = 0
		}
		if want != l.Incoming {
			owed = append(owed, TransferLine{SKU: l.SKU, Incoming: want - l.Incoming})
		}
	}
	return owed
}

// Encode writes the transfer's row; the same set always gives the same bytes.
func (t *Transfer) Encode() []byte {
	var b []byte
	for i := range t.entries {
		b = protowire.AppendBytes(protowire.AppendTag(b, protowire.Number(t.entries[i].class), protowire.BytesType), t.entries[i].row)
	}
	return b
}

func (e *transferEntry) encode() []byte {
	b := append([]byte(nil), e.id.Inc[:]...)
	b = protowire.AppendVarint(b, uint64(e.id.Seq))
	b = protowire.AppendString(b, string(e.partner))
	b = protowire.AppendString(b, e.reference)
	for _, l := range e.lines {
		b = protowire.AppendString(b, string(l.sku))
		b = protowire.AppendVarint(b, protowire.EncodeZigZag(int64(l.quantity)))
		b = protowire.AppendVarint(b, protowire.EncodeZigZag(int64(l.incoming)))
	}
	return b
}

// DecodeTransfer reads what Encode wrote. No bytes are a transfer of which
// nothing is known; fields of later versions are skipped.
func DecodeTransfer(b []byte) (*Transfer, error) {
	t := &Transfer{}
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return nil, fmt.Errorf("transfer: %w", protowire.ParseError(n))
		}
		b = b[n:]
		if typ != protowire.BytesType || num < protowire.Number(left) || num > protowire.Number(corrected) {
			if n = protowire.ConsumeFieldValue(num, typ, b); n < 0 {
				return nil, fmt.Errorf("transfer: %w", protowire.ParseError(n))
			}
			b = b[n:]
			continue
		}
		v, n := protowire.ConsumeBytes(b)
		if n < 0 {
			return nil, fmt.Errorf("transfer: %w", protowire.ParseError(n))
		}
		b = b[n:]
		e, err := decodeTransferEntry(transferClass(num), v)
		if err != nil {
			return nil, fmt.Errorf("transfer: %w", err)
		}
		t.entries = append(t.entries, e)
	}
	slices.SortFunc(t.entries, compareTransfers)
	return t, nil
}

func decodeTransferEntry(class transferClass, v []byte) (transferEntry, error) {
	e := transferEntry{class: class, row: bytes.Clone(v)}
	if len(v) < len(e.id.Inc) {
		return e, fmt.Errorf("entry of %d bytes", len(v))
	}
	r := transferReader{b: v[copy(e.id.Inc[:], v):]}
	e.id.Seq = protocol.Seq(r.varint())
	e.partner, e.reference = protocol.StoreID(r.text()), r.text()
	for r.err == nil && len(r.b) > 0 {
		e.lines = append(e.lines, transferLine{
			sku:      protocol.SKU(r.text()),
			quantity: protocol.Quantity(protowire.DecodeZigZag(r.varint())), incoming: protocol.Quantity(protowire.DecodeZigZag(r.varint())),
		})
	}
	return e, r.err
}

// transferReader reads an entry and keeps the first error.
type transferReader struct {
	b   []byte
	err error
}

func (r *transferReader) take(n int) {
	if n < 0 {
		r.err, r.b = protowire.ParseError(n), nil
		return
	}
	r.b = r.b[n:]
}

func (r *transferReader) varint() uint64 {
	v, n := protowire.ConsumeVarint(r.b)
	r.take(n)
	return v
}

func (r *transferReader) text() string {
	v, n := protowire.ConsumeBytes(r.b)
	text := string(v)
	r.take(n)
	return text
}
