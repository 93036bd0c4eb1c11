package protocol

import (
	"encoding/hex"
	"errors"
	"fmt"

	"counterpart/protocol/wire"
)

// utcOffsetMinMax bounds a store's offset from UTC, either side.
const utcOffsetMinMax = 24 * 60

// reissueBytes is room that every event but a reissue leaves, so that its
// record fits into a reissue within EventBytesMax.
const reissueBytes = 256

// ErrEventTooLarge is returned for an event whose record would exceed
// EventBytesMax.
var ErrEventTooLarge = errors.New("the event is too large")

// EncodeEvent writes the body of a record: the same bytes for the same event. It
// refuses what DecodeEvent would refuse, so that nothing is ever logged that a
// reader takes as malformed.
func EncodeEvent(e *Event) ([]byte, error) {
	var c check
	w, items := wire.Event{Boot: e.Boot, UtcOffsetMin: e.UTCOffsetMin}, itemTable{}
	checkEvent(&c, e)
	if c.err == nil {
		encodeBody(&c, e, &w, &items)
		encodeMoves(&c, e.Moves, &w, &items)
	}
	if c.err != nil {
		return nil, fmt.Errorf("encode %s event: %w", e.Kind, c.err)
	}
	items.encode(&w)
	kind, text := kindWords.number(e.Kind)
	w.Kind, w.KindText = wire.EventKind(kind), text
	if i := e.Idempotency; i != nil {
		w.Idempotency = &wire.Idempotency{Route: i.Route, Key: i.Key, Body: i.Body}
	}
	body, err := marshal(&w)
	if err != nil {
		return nil, fmt.Errorf("encode %s event: %w", e.Kind, err)
	}
	limit := EventBytesMax - RecordHeaderBytes
	if e.Reissue == nil {
		limit -= reissueBytes
	}
	if len(body) > limit {
		return nil, fmt.Errorf("encode %s event: %d bytes: %w", e.Kind, len(body), ErrEventTooLarge)
	}
	return body, nil
}

// DecodeEvent reads the body of a record. It is total: whatever the bytes, it
// returns a valid event or an error, in memory bounded by their length. A kind
// that is not known here comes back with its moves and no body.
func DecodeEvent(body []byte) (*Event, error) {
	if len(body) > EventBytesMax-RecordHeaderBytes {
		return nil, fmt.Errorf("decode event: %d bytes are too large", len(body))
	}
	var w wire.Event
	if err := unmarshal(body, &w); err != nil {
		return nil, fmt.Errorf("decode event: %w", err)
	}
	var c check
	e := &Event{
		Kind:         kindWords.word(&c, "kind", int32(w.Kind), w.KindText),
		Boot:         w.Boot,
		UTCOffsetMin: w.UtcOffsetMin,
	}
	if i := w.Idempotency; i != nil {
		e.Idempotency = &Idempotency{Route: i.Route, Key: i.Key, Body: i.Body}
	}
	items := decodeItems(&c, &w)
	if c.err == nil {
		e.Moves = decodeMoves(&c, &w, items)
		decodeBody(&c, &w, e, items)
	}
	if c.err == nil {
		checkEvent(&c, e)
	}
	if c.err != nil {
		return nil, fmt.Errorf("decode %s event: %w", clip(string(e.Kind)), c.err)
	}
	return e, nil
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
	}
}

// checkBodies checks that a known kind has its body and no event has another.
func checkBodies(c *check, e *Event) {
	for _, body := range [...]struct {
		kind Kind
		set  bool
	}{
		{KindSale, e.Sale != nil},
		{KindMovement, e.Movement != nil},
		{KindCountSeen, e.CountSeen != nil},
		{KindStockLoad, e.StockLoad != nil},
		{KindCatalog, e.Catalog != nil},
		{KindReissue, e.Reissue != nil},
	} {
		switch {
		case body.set && e.Kind != body.kind:
			c.failf("an event of kind %s has the body of a %s", e.Kind, body.kind)
		case !body.set && e.Kind == body.kind:
			c.failf("the body is missing")
		}
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

func encodeBody(c *check, e *Event, w *wire.Event, items *itemTable) {
	switch {
	case e.Sale != nil:
		w.Sale = encodeSale(c, e.Sale, items)
	case e.Movement != nil:
		w.Movement = encodeMovement(c, e.Movement, items)
	case e.CountSeen != nil:
		w.CountSeen = encodeCountSeen(e.CountSeen)
	case e.StockLoad != nil:
		w.StockLoad = encodeStockLoad(e.StockLoad)
	case e.Catalog != nil:
		w.Catalog = encodeCatalog(e.Catalog)
	case e.Reissue != nil:
		w.Reissue = encodeReissue(e.Reissue)
	}
}

// decodeBody reads every body that is there for a known kind, so that
// checkBodies sees one that does not belong.
func decodeBody(c *check, w *wire.Event, e *Event, items []ItemRef) {
	if n, _ := kindWords.number(e.Kind); n == 0 {
		return
	}
	if w.Sale != nil {
		e.Sale = decodeSale(c, w.Sale, items)
	}
	if w.Movement != nil {
		e.Movement = decodeMovement(c, w.Movement, items)
	}
	if w.CountSeen != nil {
		e.CountSeen = decodeCountSeen(c, w.CountSeen)
	}
	if w.StockLoad != nil {
		e.StockLoad = decodeStockLoad(c, w.StockLoad)
	}
	if w.Catalog != nil {
		e.Catalog = decodeCatalog(c, w.Catalog)
	}
	if w.Reissue != nil {
		e.Reissue = decodeReissue(c, w.Reissue)
	}
}

func encodeMoves(c *check, moves []Move, w *wire.Event, items *itemTable) {
	n := len(moves)
	w.MoveItems = column(n, func(i int) int32 { return int32(items.sku(c, i, moves[i].SKU) - i) })
	w.MoveStates = column(n, func(i int) wire.State { return wire.State(moves[i].State) })
	w.MoveDeltas = list[int64](n)
	for i := range moves {
		w.MoveDeltas[i] = int64(moves[i].Delta)
	}
}

func decodeMoves(c *check, w *wire.Event, items []ItemRef) []Move {
	n := len(w.MoveDeltas)
	c.count("moves", n, MovesMax)
	c.column("move_items", len(w.MoveItems), n)
	c.states("move_states", w.MoveStates, n)
	if c.err != nil {
		return nil
	}
	moves := list[Move](n)
	for i := range moves {
		moves[i] = Move{
			SKU:   item(c, items, i, entry(w.MoveItems, i)).SKU,
			State: State(entry(w.MoveStates, i)),
			Delta: Quantity(w.MoveDeltas[i]),
		}
	}
	return moves
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
