package hub

import (
	"context"
	"fmt"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// triesMax is how often a batch may fail in the fold before its bad events are
// set aside, so that they hold up what follows no longer (I18).
const triesMax = 3

// failing is a batch that could not be folded.
type failing struct {
	first protocol.Seq
	tries int
}

// givesUp counts a failure and tells whether it was the last that is allowed.
func (h *Hub) givesUp(in *incoming) bool {
	f := h.failing[in.origin.Inc]
	if f.first != in.batch.FirstSeq {
		f = failing{first: in.batch.FirstSeq}
	}
	f.tries++
	h.failing[in.origin.Inc] = f
	return f.tries >= triesMax
}

// quarantine takes a batch in event by event. What cannot be folded is stored
// verbatim as a dead letter; it is acknowledged, and a later version may fold
// it.
func (h *Hub) quarantine(ctx context.Context, in *incoming) error {
	delete(h.failing, in.origin.Inc)
	hash := in.batch.PrevHash
	total := incoming{}
	for i, r := range in.records {
		one := *in
		one.batch = &protocol.Batch{Inc: in.batch.Inc, FirstSeq: in.batch.FirstSeq + protocol.Seq(i), PrevHash: hash, Count: 1}
		one.records = []protocol.Record{r}
		hash = hash.Next(r)
		err := h.driver.Update(ctx, func(tx ledger.Tx) error {
			_, _, err := foldAll(tx, []*incoming{&one})
			return err
		})
		if err != nil {
			reason := err.Error()
			h.log.Error("an event is set aside", "agent", in.origin.Agent, "seq", one.batch.FirstSeq, "error", err)
			err = h.driver.Update(ctx, func(tx ledger.Tx) error { return one.setAside(tx, reason) })
		}
		if err != nil {
			return fmt.Errorf("event %d: %w", one.batch.FirstSeq, err)
		}
		applied, parts, members, sales := total.res.Applied+one.res.Applied, append(total.parts, one.parts...), append(total.res.Members, one.res.Members...), append(total.bought, one.bought...)
		total = one
		total.res.Applied, total.parts, total.res.Members, total.bought = applied, parts, members, sales
		if one.err != nil {
			break
		}
	}
	in.err, in.res, in.parts, in.bought, in.offset = total.err, total.res, total.parts, total.bought, total.offset
	return h.takeAfterwards(ctx, in)
}

// setAside stores one event without folding it and puts it on the store's feed
// like any other.
func (in *incoming) setAside(tx ledger.Tx, reason string) (err error) {
	in.err, in.res, in.parts, in.bought, in.offset = nil, ledger.Result{}, nil, nil, 0
	if in.res, err = ledger.SetEventsAside(tx, ledger.Batch{Origin: in.origin, First: in.batch.FirstSeq, Prev: in.batch.PrevHash, Records: in.records}, reason); err != nil {
		return err
	}
	in.offset, err = ledger.AppendPeer(tx, in.origin, in.batch.FirstSeq, len(in.records))
	return err
}
