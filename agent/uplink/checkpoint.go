package uplink

import (
	"fmt"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// gap is a part of the own log that is neither at the hub nor here any more: the
// hub was restored from an older copy. Until the hub has it from a sibling, or
// was told to give it up, nothing of the own log goes up. Everything else goes
// on.
type gap struct {
	open    bool
	trimmed ledger.Trimmed
	given   bool // the hub asks for a checkpoint
	tellAt  time.Duration
}

// checkpointEvery is how often a checkpoint is sent until it is acknowledged.
const checkpointEvery = 30 * time.Second

const gapMessage = "The hub was restored from an old copy and lacks records that this machine had deleted as safe. Selling goes on. Those who run the hub restore a newer copy, or accept the gap."

// checkGap looks whether the hub wants what is no longer here.
func (e *Engine) checkGap(m *protocol.Welcome) error {
	e.gap = gap{}
	trimmed, err := e.cfg.Outbox.Trimmed()
	if err != nil || trimmed.Seq <= m.CursorSeq {
		return err
	}
	e.gap = gap{open: true, trimmed: trimmed, given: m.Checkpoint, tellAt: e.now.Mono}
	e.setLink(Offline, string(CauseHubError), gapMessage)
	e.cfg.Log.Error("the hub lacks events that are no longer here", "hub", m.CursorSeq, "trimmed", trimmed.Seq)
	return nil
}

// checkpoint tells the hub, where it asked, what the lost events had added.
func (e *Engine) checkpoint() error {
	if !e.gap.open || !e.gap.given || e.now.Mono < e.gap.tellAt {
		return nil
	}
	e.gap.tellAt = e.now.Mono + checkpointEvery
	sums, err := e.cfg.Outbox.Sums()
	if err != nil {
		return err
	}
	parts := uint32(max(1, (len(sums)+protocol.MovesMax-1)/protocol.MovesMax))
	for part := uint32(1); part <= parts; part++ {
		some := sums[:min(len(sums), protocol.MovesMax)]
		sums = sums[len(some):]
		state, err := protocol.EncodeEvent(&protocol.Event{Kind: protocol.KindGap, Gap: &protocol.Gap{
			Agent: e.cfg.Origin.Agent, Inc: e.cfg.Origin.Inc, From: 1, To: e.gap.trimmed.Seq, Hash: e.gap.trimmed.Hash, Part: part, Parts: parts, Moves: some,
		}})
		if err != nil {
			return fmt.Errorf("checkpoint: %w", err)
		}
		e.emit(Send{&protocol.Checkpoint{
			Session: e.session, Inc: e.cfg.Origin.Inc, Seq: e.gap.trimmed.Seq, Hash: e.gap.trimmed.Hash, State: state, Part: part, Parts: parts,
		}})
	}
	return nil
}

// gapClosed takes an acknowledgement from behind the gap, of which the own log
// knows that it is of this history, and goes on from there.
func (e *Engine) gapClosed(m *protocol.Ack) bool {
	if m.Seq < e.gap.trimmed.Seq {
		return false
	}
	last, hash, err := e.cfg.Outbox.Head()
	switch {
	case err != nil || m.Seq > last:
		return false
	case m.Seq == e.gap.trimmed.Seq:
		hash = e.gap.trimmed.Hash
	case m.Seq < last:
		if _, hash, err = e.cfg.Outbox.Read(e.cfg.Origin, m.Seq+1); err != nil {
			return false
		}
	}
	if hash != m.Hash {
		return false
	}
	e.gap = gap{}
	e.up.acked, e.up.sent, e.up.flight, e.up.progressAt = m.Seq, m.Seq, nil, e.now.Mono
	e.setLink(Online, "", "")
	return true
}
