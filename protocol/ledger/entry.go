package ledger

import (
	"errors"
	"fmt"

	"counterpart/protocol"
	"counterpart/protocol/stock"
)

// Entry is one event on its way into this machine's log. What its writer asks
// beforehand, and what the fold then needs, is loaded once and decoded once. So
// nothing else may write the rows that it was asked for in the same
// transaction.
type Entry struct {
	set    *set
	origin protocol.Origin
	stream Key
}

// Begin opens a stream of this machine for one event. It loads what every event
// needs, and the levels of the items that the event is likely to move.
func Begin(tx Tx, o protocol.Origin, skus []protocol.SKU) (*Entry, error) {
	e := &Entry{set: newSet(tx), origin: o, stream: streamKey(o)}
	keys := make([]Key, 0, len(skus)+2)
	keys = append(keys, e.stream)
	if len(skus) > 0 {
		keys = append(keys, sumKey(o.Store, o.Agent))
	}
	for _, sku := range skus {
		keys = append(keys, levelKey(o.Store, sku))
	}
	return e, e.set.load(keys)
}

// Stream is the stream's cursor before the event. It must not be changed.
func (e *Entry) Stream() (*Stream, error) { return get(e.set, e.stream, decodeStream) }

// Level is what the store holds of an item before the event. It must not be
// changed.
func (e *Entry) Level(sku protocol.SKU) (*stock.Level, error) {
	key := levelKey(e.origin.Store, sku)
	if !e.set.has(key) {
		if err := e.set.load([]Key{key}); err != nil {
			return nil, err
		}
	}
	return get(e.set, key, stock.DecodeLevel)
}

// Log appends the event and folds it. The event is in the log when the
// transaction has committed, and not before. An Entry logs one event.
func (e *Entry) Log(clock protocol.Clock, ev *protocol.Event) (Result, error) {
	body, err := protocol.EncodeEvent(ev)
	switch {
	case errors.Is(err, protocol.ErrEventTooLarge):
		return Result{}, &protocol.Error{Code: protocol.TooLarge, Err: err, Message: "This is too large to be recorded as one event (more than 1 MiB). Nothing was recorded. Split it up and send the parts."}
	case err != nil:
		return Result{}, &protocol.Error{Code: protocol.OutOfRangeCode, Err: err, Message: "A value of this is beyond what can be recorded. Nothing was recorded. Look for an amount or a text that cannot be right."}
	}
	stream, err := e.Stream()
	if err != nil {
		return Result{}, err
	}
	head := stream.Hash
	if stream.Seq == 0 {
		head = e.origin.Genesis()
	}
	res, err := applyFresh(e.set, e.origin, stream.Seq+1, head, Batch{Records: []protocol.Record{{Clock: clock, Body: body}}}, []*protocol.Event{ev})
	if err != nil {
		return res, err
	}
	if err := e.set.flush(); err != nil {
		return Result{}, err
	}
	if res.Dead > 0 {
		return res, fmt.Errorf("own event of kind %s cannot be folded", ev.Kind)
	}
	return res, nil
}

// Log appends one event of this machine to its own stream and folds it.
func Log(tx Tx, o protocol.Origin, clock protocol.Clock, ev *protocol.Event) (Result, error) {
	e, err := Begin(tx, o, nil)
	if err != nil {
		return Result{}, err
	}
	return e.Log(clock, ev)
}
