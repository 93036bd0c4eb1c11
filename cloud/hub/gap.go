package hub

import (
	"context"
	"slices"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// checkpointing are the parts of a checkpoint that have come so far.
type checkpointing struct {
	seq   protocol.Seq
	parts map[uint32]*protocol.Gap
}

// gapPatience is how long a stream must have stood still before its gap is
// closed. Siblings may hold what is missing; they carry it as soon as they are
// back, and afterwards it could not be taken any more.
const gapPatience = 2 * time.Minute

// standing is since when a stream that has a gap has ended at a number.
type standing struct {
	at    protocol.Seq
	since time.Duration
	seen  bool
}

// waited tells whether nobody carries the stream any more, as far as one can
// tell.
func (w *standing) waited(at protocol.Seq, now time.Duration) bool {
	if !w.seen || w.at != at {
		*w = standing{at: at, since: now, seen: true}
	}
	return now-w.since >= gapPatience
}

// lacks tells whether the agent of a Hello has forgotten events that the hub
// does not have, and whether they are given up.
func (h *Hub) lacks(ctx context.Context, m *protocol.Hello, here ledger.Stream) (given bool, err error) {
	if m.BaseSeq <= here.Seq+1 {
		return false, nil
	}
	err = h.view(ctx, func(r ledger.Reader) error {
		given, err = GapsAccepted(r)
		return err
	})
	h.log.Error("an agent has forgotten events that this database lacks; it was restored from too old a copy",
		"agent", m.Agent, "from", here.Seq+1, "to", m.BaseSeq-1, "accepted", given)
	return given, err
}

// checkpoint closes a gap, where an operator has accepted that, once all parts
// are here. What the hub writes about it is an event of its own.
func (h *Hub) checkpoint(ctx context.Context, t protocol.Topic, m *protocol.Checkpoint) error {
	h.mu.Lock()
	s, err := h.alive(t, m.Session)
	h.mu.Unlock()
	if err != nil || m.Inc != s.origin.Inc {
		h.rebuff(t, m.Session)
		return nil
	}
	ev, err := protocol.DecodeEvent(m.State)
	if err != nil || ev.Gap == nil || ev.Gap.Inc != m.Inc || ev.Gap.To != m.Seq || ev.Gap.Part != m.Part {
		h.log.Warn("checkpoint cannot be read", "agent", t.Agent, "error", err)
		return nil
	}
	if s.checkpoint.seq != m.Seq || s.checkpoint.parts == nil {
		s.checkpoint = checkpointing{seq: m.Seq, parts: map[uint32]*protocol.Gap{}}
	}
	s.checkpoint.parts[m.Part] = ev.Gap
	if len(s.checkpoint.parts) < int(ev.Gap.Parts) {
		return nil
	}
	var sums []protocol.Move
	for part := range ev.Gap.Parts {
		if p := s.checkpoint.parts[part+1]; p != nil {
			sums = append(sums, p.Moves...)
		}
	}
	s.checkpoint = checkpointing{}
	return h.closeGap(ctx, s, m, sums)
}

// closeGap logs what the lost events had added to the levels and lets the stream
// go on behind them.
func (h *Hub) closeGap(ctx context.Context, s *session, m *protocol.Checkpoint, sums []protocol.Move) error {
	here, err := h.streamOf(s.origin)
	switch {
	case err != nil:
		return err
	case here.Seq >= m.Seq:
		// There is no gap any more, and the word of that did not arrive.
		h.post(s.down, h.standsAt(s, here))
		return nil
	case !s.standing.waited(here.Seq, h.mono()):
		return nil
	}
	_, err = h.actAll(ctx, s.origin.Store, func(tx ledger.Tx, _ protocol.Origin) ([]*protocol.Event, error) {
		accepted, err := GapsAccepted(tx)
		if err != nil || !accepted {
			return nil, err
		}
		here, err := ledger.ReadStream(tx, s.origin)
		if err != nil || here.Seq >= m.Seq {
			return nil, err
		}
		missing, err := ledger.Missing(tx, s.origin, sums)
		if err != nil {
			return nil, err
		}
		var events []*protocol.Event
		chunks := slices.Collect(slices.Chunk(missing, protocol.MovesMax))
		if len(chunks) == 0 {
			chunks = [][]protocol.Move{nil}
		}
		for i, moves := range chunks {
			events = append(events, &protocol.Event{Kind: protocol.KindGap, Gap: &protocol.Gap{
				Agent: s.origin.Agent, Inc: m.Inc, From: here.Seq + 1, To: m.Seq, Hash: m.Hash, Part: uint32(i + 1), Parts: uint32(len(chunks)), Moves: moves,
			}})
		}
		return events, nil
	})
	if err != nil {
		return err
	}
	return h.tellCursor(s.origin)
}

// tellCursor acknowledges to the writer of a stream, if it is in session, what
// came by other ways than its own.
func (h *Hub) tellCursor(o protocol.Origin) error {
	here, err := h.streamOf(o)
	if err != nil {
		return err
	}
	h.safety.note(o, here.Seq) // Closing a gap moves the cursor without an event.
	h.mu.Lock()
	s := h.sessionOf(o.Agent, o.Inc)
	if s == nil || here.Seq <= s.cursor {
		h.mu.Unlock()
		return nil
	}
	s.cursor, s.nackedWant = here.Seq, 0
	s.lastSeq = max(s.lastSeq, s.cursor)
	h.noteCaughtUp(s, s.seenAt)
	h.mu.Unlock()
	h.post(s.down, h.standsAt(s, here))
	return nil
}

// standsAt acknowledges to the writer of a stream how far the hub has it.
func (h *Hub) standsAt(s *session, here ledger.Stream) *protocol.Ack {
	inc := s.origin.Inc
	return &protocol.Ack{Session: s.id, Inc: inc, Seq: here.Seq, Hash: here.Hash, Safe: h.safety.safe(inc, here.Seq), Credit: windowBatches}
}
