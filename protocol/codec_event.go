package protocol

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"counterpart/protocol/wire"
)

// utcOffsetMinMax bounds a store's offset from UTC, either side.
const utcOffsetMinMax = 24 * 60

// itemsMax bounds the items of an event: each of its moves and rows may name
// another.
const itemsMax = MovesMax + RowsMax

// reissueBytes is room that every event but a reissue leaves, so that its
// record fits into a reissue within EventBytesMax.
const reissueBytes = 256

// ErrEventTooLarge is returned for an event whose record would exceed
// EventBytesMax.
var ErrEventTooLarge = errors.New("the event is too large")

// The fields of the message Event and of those inside it.
const (
	eventKind        protowire.Number = 1
	eventKindText    protowire.Number = 2
	eventBoot        protowire.Number = 3
	eventUTCOffset   protowire.Number = 4
	eventMoveItems   protowire.Number = 5
	eventMoveStates  protowire.Number = 6
	eventMoveDeltas  protowire.Number = 7
	eventItemUnits   protowire.Number = 8
	eventUnitTexts   protowire.Number = 9
	eventItemGTINs   protowire.Number = 10
	eventItemNames   protowire.Number = 11
	eventItemSKUs    protowire.Number = 12
	eventIdempotency protowire.Number = 13
	eventSale        protowire.Number = 16
	eventMovement    protowire.Number = 17
	eventCountSeen   protowire.Number = 18
	eventStockLoad   protowire.Number = 19
	eventCatalog     protowire.Number = 20
	eventReissue     protowire.Number = 21
	eventGap         protowire.Number = 22
	eventDigest      protowire.Number = 23
	eventOrder       protowire.Number = 24
	eventOrderChange protowire.Number = 25
	eventFulfilment  protowire.Number = 26

	eventNone            protowire.Number = 27 // no body of this version
	eventExceptionChange protowire.Number = 28
	eventTransfer        protowire.Number = 29
	eventLease           protowire.Number = 30
	eventPointsChange    protowire.Number = 31
	eventMember          protowire.Number = 32
	eventCart            protowire.Number = 33
	eventContact         protowire.Number = 34
	eventAccountChange   protowire.Number = 35
	eventBodyLast                         = eventAccountChange
)

// EncodeEvent writes the body of a record: the same bytes for the same event. It
// refuses what DecodeEvent would refuse, so that nothing is ever logged that a
// reader takes as malformed.
func EncodeEvent(e *Event) ([]byte, error) {
	var c check
	if checkEvent(&c, e); c.err != nil {
		return nil, fmt.Errorf("encode %s event: %w", e.Kind, c.err)
	}
	w := eventWriters.Get().(*eventWriter)
	defer w.release()
	w.b = w.append(w.b[:0], &c, e)
	if c.err != nil {
		return nil, fmt.Errorf("encode %s event: %w", e.Kind, c.err)
	}
	limit := EventBytesMax - RecordHeaderBytes
	if e.Reissue == nil {
		limit -= reissueBytes
	}
	if len(w.b) > limit {
		return nil, fmt.Errorf("encode %s event: %d bytes: %w", e.Kind, len(w.b), ErrEventTooLarge)
	}
	return bytes.Clone(w.b), nil
}

// eventWriter is the memory in which an event is put together.
type eventWriter struct {
	b     []byte
	items itemTable
	sale  salePlan
	moves []int32 // by move: its item's index, less the move's own
}

var eventWriters = sync.Pool{New: func() any { return new(eventWriter) }}

// release keeps the memory for the next event, unless it is much.
func (w *eventWriter) release() {
	if cap(w.b) <= boundFromBytes {
		w.items.reset()
		eventWriters.Put(w)
	}
}

// append writes an event that was checked.
func (w *eventWriter) append(b []byte, c *check, e *Event) []byte {
	var body proto.Message
	if e.Sale != nil {
		w.sale.make(c, e.Sale, &w.items)
	} else {
		body = encodeBody(c, e, &w.items)
	}
	w.moves = w.moves[:0]
	for i := range e.Moves {
		w.moves = append(w.moves, int32(w.items.sku(c, i, e.Moves[i].SKU)-i))
	}
	b = appendWord(b, c, eventKind, kindWords, e.Kind)
	b = appendUint(b, eventBoot, uint64(e.Boot))
	b = appendSint(b, eventUTCOffset, e.UTCOffsetMin)
	b = appendMoves(b, e.Moves, w.moves)
	b = w.items.appendTo(b, c)
	if i := e.Idempotency; i != nil {
		b = appendIdempotency(b, c, i)
	}
	if e.Sale != nil {
		var at int
		b, at = openField(b, eventSale)
		return closeField(appendSale(b, c, e.Sale, &w.sale), at)
	}
	if body == nil {
		return b
	}
	inner, err := marshal(body)
	if err != nil {
		c.failf("%w", err)
	}
	return protowire.AppendBytes(protowire.AppendTag(b, bodyField(e.Kind), protowire.BytesType), inner)
}

func appendMoves(b []byte, moves []Move, items []int32) []byte {
	n := len(moves)
	if n == 0 {
		return b
	}
	b = appendColumn(b, eventMoveItems, n, func(i int) uint64 { return protowire.EncodeZigZag(int64(items[i])) })
	b = appendColumn(b, eventMoveStates, n, func(i int) uint64 { return uint64(moves[i].State) })
	b, at := openField(b, eventMoveDeltas)
	for i := range moves {
		b = protowire.AppendVarint(b, protowire.EncodeZigZag(int64(moves[i].Delta)))
	}
	return closeField(b, at)
}

func appendIdempotency(b []byte, c *check, i *Idempotency) []byte {
	b, at := openField(b, eventIdempotency)
	b = appendText(b, c, 1, i.Route)
	b = appendText(b, c, 2, i.Key)
	if i.Body != 0 {
		b = protowire.AppendFixed64(protowire.AppendTag(b, 3, protowire.Fixed64Type), i.Body)
	}
	return closeField(b, at)
}

// bodyField is the field of a known kind's body, or 0. Fields are in the order
// of the kinds' numbers; kinds that came later have no number.
func bodyField(kind Kind) protowire.Number {
	if n, _ := kindWords.number(kind); n > 0 {
		return eventSale + protowire.Number(n) - 1
	}
	switch kind {
	case KindGap:
		return eventGap
	case KindDigest:
		return eventDigest
	case KindOrder:
		return eventOrder
	case KindOrderChange:
		return eventOrderChange
	case KindFulfilment:
		return eventFulfilment
	case KindExceptionChange:
		return eventExceptionChange
	case KindTransfer:
		return eventTransfer
	case KindLease:
		return eventLease
	case KindPointsChange:
		return eventPointsChange
	case KindMember:
		return eventMember
	case KindCart:
		return eventCart
	case KindContact:
		return eventContact
	case KindAccountChange:
		return eventAccountChange
	}
	return 0
}

// eventFields are those parts of an event that can be understood only together,
// as they stand on the wire.
type eventFields struct {
	kind        int32
	kindText    string
	idempotency part
	bodies      [eventBodyLast - eventSale + 1]part

	moveItems, moveStates, moveDeltas varints

	units                   varints
	unitTexts, gtins, names []string
}

// DecodeEvent reads the body of a record. It is total: whatever the bytes, it
// returns a valid event or an error, in memory bounded by their length. A kind
// that is not known here comes back with its moves and no body.
func DecodeEvent(body []byte) (*Event, error) {
	if len(body) > EventBytesMax-RecordHeaderBytes {
		return nil, fmt.Errorf("decode event: %d bytes are too large", len(body))
	}
	if len(body) > boundFromBytes {
		if _, err := countMessages(body, (&wire.Event{}).ProtoReflect().Descriptor(), messagesMax); err != nil {
			return nil, fmt.Errorf("decode event: %w", err)
		}
	}
	var c check
	e := &Event{}
	decodeEvent(&c, body, e)
	if c.err == nil {
		checkEvent(&c, e)
	}
	if c.err != nil {
		return nil, fmt.Errorf("decode %s event: %w", clip(string(e.Kind)), c.err)
	}
	return e, nil
}

func decodeEvent(c *check, body []byte, e *Event) {
	var skuRoom [scanMax]string
	var w eventFields
	skus := skuRoom[:0]
	for r := (part{b: body, s: string(body)}).fields(); r.next(c); {
		if r.num == eventItemSKUs {
			skus = r.texts(c, "items", skus, itemsMax)
		} else {
			w.read(c, &r, e)
		}
	}
	e.Kind = kindWords.word(c, "kind", w.kind, w.kindText)
	if w.idempotency.there {
		e.Idempotency = decodeIdempotency(c, w.idempotency)
	}
	var itemRoom [scanMax]ItemRef
	items := w.items(c, skus, itemRoom[:0])
	if c.err != nil {
		return
	}
	e.Moves = w.moves(c, items)
	w.body(c, body, e, items)
}

func (w *eventFields) read(c *check, r *fieldReader, e *Event) {
	switch r.num {
	case eventKind:
		r.enum(&w.kind)
	case eventKindText:
		text(r, c, &w.kindText)
	case eventBoot:
		r.uint32(&e.Boot)
	case eventUTCOffset:
		r.sint32(&e.UTCOffsetMin)
	case eventMoveItems:
		w.moveItems.add(c, r, "move_items", MovesMax)
	case eventMoveStates:
		w.moveStates.add(c, r, "move_states", MovesMax)
	case eventMoveDeltas:
		w.moveDeltas.add(c, r, "move_deltas", MovesMax)
	case eventItemUnits:
		w.units.add(c, r, "item_units", itemsMax)
	case eventUnitTexts:
		w.unitTexts = r.texts(c, "item_unit_texts", w.unitTexts, itemsMax)
	case eventItemGTINs:
		w.gtins = r.texts(c, "item_gtins", w.gtins, itemsMax)
	case eventItemNames:
		w.names = r.texts(c, "item_names", w.names, itemsMax)
	case eventIdempotency:
		r.message(c, &w.idempotency)
	default:
		if r.num >= eventSale && r.num <= eventBodyLast && r.num != eventNone {
			r.message(c, &w.bodies[r.num-eventSale])
		}
	}
}

func decodeIdempotency(c *check, p part) *Idempotency {
	i := &Idempotency{}
	for r := p.fields(); r.next(c); {
		switch r.num {
		case 1:
			text(&r, c, &i.Route)
		case 2:
			text(&r, c, &i.Key)
		case 3:
			r.fixed64(&i.Body)
		}
	}
	return i
}

// items puts the columns of the items together. A few fit into room.
func (w *eventFields) items(c *check, skus []string, room []ItemRef) []ItemRef {
	n := len(skus)
	c.column("item_units", w.units.n, n)
	c.column("item_unit_texts", len(w.unitTexts), n)
	c.column("item_gtins", len(w.gtins), n)
	c.column("item_names", len(w.names), n)
	if c.err != nil {
		return nil
	}
	refs := room
	for i := range n {
		refs = append(refs, ItemRef{
			SKU:  SKU(skus[i]),
			Unit: unitWords.word(c, "unit", int32(w.units.next()), entry(w.unitTexts, i)),
			GTIN: entry(w.gtins, i),
			Name: entry(w.names, i),
		})
		checkItemRef(c, &refs[i])
	}
	return refs
}

func (w *eventFields) moves(c *check, items []ItemRef) []Move {
	n := w.moveDeltas.n
	c.column("move_items", w.moveItems.n, n)
	c.column("move_states", w.moveStates.n, n)
	if c.err != nil {
		return nil
	}
	moves := list[Move](n)
	for i := range moves {
		moves[i] = Move{
			SKU:   item(c, items, i, unzigzag32(w.moveItems.next())).SKU,
			State: w.moveStates.state(c, "move_states"),
			Delta: Quantity(protowire.DecodeZigZag(w.moveDeltas.next())),
		}
	}
	return moves
}

// body reads the body of a known kind. Of a kind that is not known here the
// bodies are not used, but a malformed one makes the event malformed.
func (w *eventFields) body(c *check, body []byte, e *Event, items []ItemRef) {
	own := bodyField(e.Kind)
	for i := range w.bodies {
		field := eventSale + protowire.Number(i)
		if !w.bodies[i].there {
			continue
		}
		switch {
		case c.err != nil:
			return
		case own == 0:
			if err := unmarshal(body, &wire.Event{}); err != nil {
				c.failf("%w", err)
			}
			return
		case field != own:
			c.failf("an event of kind %s has another body", e.Kind)
		case field == eventSale:
			e.Sale = decodeSale(c, w.bodies[i], items)
		default:
			decodeBody(c, field, w.bodies[i].b, e, items)
		}
	}
}

// checkEvent checks all of an event that its items' references do not.
func checkEvent(c *check, e *Event) {
	c.word("kind", string(e.Kind), true)
	if e.UTCOffsetMin < -utcOffsetMinMax || e.UTCOffsetMin > utcOffsetMinMax {
		c.failf("offset of %d minutes from UTC is out of range", e.UTCOffsetMin)
	}
	if e.Idempotency != nil {
		checkIdempotency(c, e.Idempotency)
	}
	c.count("moves", len(e.Moves), MovesMax)
	for i := range e.Moves {
		c.state(e.Moves[i].State)
		c.amount("delta", int64(e.Moves[i].Delta))
	}
	checkBodies(c, e)
	switch {
	case c.err != nil:
	case e.Sale != nil:
		checkSale(c, e.Sale)
	case e.Movement != nil:
		checkMovement(c, e.Movement)
	case e.CountSeen != nil:
		checkCountSeen(c, e.CountSeen)
	case e.StockLoad != nil:
		checkStockLoad(c, e.StockLoad)
	case e.Catalog != nil:
		checkCatalog(c, e.Catalog)
	case e.Reissue != nil:
		checkReissue(c, e)
	case e.Gap != nil:
		checkGap(c, e.Gap)
	case e.Digest != nil:
		checkDigest(c, e)
	case e.Order != nil:
		checkOrder(c, e.Order)
	case e.OrderChange != nil:
		checkOrderChange(c, e.OrderChange)
	case e.Fulfilment != nil:
		checkFulfilment(c, e.Fulfilment)
	case e.ExceptionChange != nil:
		checkExceptionChange(c, e.ExceptionChange)
	case e.Transfer != nil:
		checkTransfer(c, e.Transfer)
	case e.Lease != nil:
		checkLease(c, e.Lease)
	case e.PointsChange != nil:
		checkPointsChange(c, e.PointsChange)
	case e.Member != nil:
		checkMember(c, e.Member)
	case e.Cart != nil:
		checkCart(c, e.Cart)
	case e.Contact != nil:
		checkContact(c, e.Contact)
	case e.AccountChange != nil:
		checkAccountChange(c, e.AccountChange)
	}
}

func checkIdempotency(c *check, i *Idempotency) {
	c.text("route", i.Route)
	if len(i.Key) == 0 || len(i.Key) > 128 {
		c.failf("idempotency key of %d bytes is out of range", len(i.Key))
	}
	for k := range len(i.Key) {
		if i.Key[k] <= ' ' || i.Key[k] > '~' {
			c.failf("idempotency key %q is not visible ASCII", clip(i.Key))
			return
		}
	}
}

// read reads a message whose size is bounded by the event around it.
func (c *check) read(b []byte, m proto.Message) bool {
	if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(b, m); err != nil {
		c.failf("%w", err)
		return false
	}
	return true
}

// checkReissue checks the carrier only: the record inside is folded, or found
// malformed, as if it had arrived by itself.
func checkReissue(c *check, e *Event) {
	c.eventID("reissue", e.Reissue.ID)
	if len(e.Reissue.Record.Body) == 0 {
		c.failf("the reissued record is missing")
	}
	if len(e.Moves) != 0 {
		c.failf("a reissue has %d moves of its own", len(e.Moves))
	}
}

func encodeReissue(r *Reissue) *wire.Reissue {
	return &wire.Reissue{Id: encodeEventID(r.ID), WallMs: r.Record.WallMs, MonoMs: r.Record.MonoMs, Body: r.Record.Body}
}

func decodeReissue(c *check, w *wire.Reissue) *Reissue {
	return &Reissue{
		ID:     decodeEventID(c, w.Id),
		Record: Record{Clock: Clock{WallMs: w.WallMs, MonoMs: w.MonoMs}, Body: w.Body},
	}
}

func encodeEventID(id EventID) *wire.EventID {
	return &wire.EventID{Inc: id.Inc[:], Seq: uint64(id.Seq)}
}

func decodeEventID(c *check, w *wire.EventID) EventID {
	return EventID{Inc: Inc(fixed(c, "inc", w.GetInc(), len(Inc{}))), Seq: Seq(w.GetSeq())}
}

// fixed returns b, or zeros where there is nothing, if it has n bytes.
func fixed(c *check, what string, b []byte, n int) []byte {
	switch len(b) {
	case n:
		return b
	case 0:
	default:
		c.failf("%s %s of %d bytes is not %d bytes", what, hex.EncodeToString(b[:min(len(b), n)]), len(b), n)
	}
	return make([]byte, n)
}
