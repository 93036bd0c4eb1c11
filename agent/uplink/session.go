package uplink

import (
	"errors"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

func (e *Engine) welcome(m *protocol.Welcome) {
	if e.phase != phaseHello || m.Nonce != e.nonce {
		return
	}
	if refusal := e.compare(m); refusal != nil {
		e.refused(refusal)
		return
	}
	e.phase, e.session, e.epoch, e.refusals, e.othersSafe = phaseOpen, m.Session, m.Epoch, 0, nil
	if m.Epoch != e.ackedEpoch {
		e.ackedEpoch, e.ackedHigh = m.Epoch, 0
	}
	e.ackedHigh = max(e.ackedHigh, m.CursorSeq)
	e.wanted(m.Wants)
	e.heard, e.beatSent, e.beatAt = max(e.now.Mono, 1), 0, e.now.Mono+beatEvery
	e.offsetMs = e.now.Wall.UnixMilli() - m.HubTimeMs
	e.up.open(m, e.now.Mono)
	e.setLink(Online, "", "")
	if m.LookupKey != (protocol.LookupKey{}) {
		e.emit(Lookup{m.LookupKey})
	}
	if err := e.checkGap(m); err != nil {
		e.cfg.Log.Error("log cannot be read", "error", err)
	}
	e.verdicts(m.Feeds)
}

// compareRetry is how long the engine waits when its log and the hub's do not
// fit together; a person has to look.
const compareRetry = 60 * time.Second

// compare holds the hub's cursor against the own log. What does not fit is
// never sent: it would be another history under known numbers.
func (e *Engine) compare(m *protocol.Welcome) *protocol.Fence {
	refusal := func(reason protocol.Code, message string) *protocol.Fence {
		return &protocol.Fence{
			Reason: reason, RetryAfterMs: uint32(compareRetry.Milliseconds()), Message: message, Fork: reason == protocol.DuplicateIdentity,
		}
	}
	last, hash, err := e.cfg.Outbox.Head()
	if err == nil && m.CursorSeq < last {
		_, hash, err = e.cfg.Outbox.Read(e.cfg.Origin, m.CursorSeq+1)
	}
	switch {
	case errors.Is(err, ledger.ErrTrimmed):
		return nil // The way up is blocked, and nothing else.
	case err != nil:
		e.cfg.Log.Error("log cannot be read", "error", err)
		return refusal(protocol.Internal, "This machine's log cannot be read.")
	case m.CursorSeq > last, m.CursorHash != hash:
		return refusal(protocol.DuplicateIdentity, "The hub holds other events of this machine than it does itself. Selling goes on. It was restored from an old copy, or two machines share one name.")
	}
	return nil
}

func (e *Engine) fence(m *protocol.Fence) {
	switch {
	case m.Session != (protocol.Session{}) && e.phase == phaseOpen && m.Session == e.session && m.Reason == protocol.Conflict:
		// The hub was started anew or took us for gone.
		e.hellos = 0
		e.hello()
	case m.Session != (protocol.Session{}) && e.phase == phaseOpen && m.Session == e.session,
		m.Nonce != 0 && e.phase == phaseHello && m.Nonce == e.nonce:
		e.refused(m)
	}
}

// refused waits before the next Hello; the connection stays.
func (e *Engine) refused(m *protocol.Fence) {
	e.carry = nil
	e.up.forget()
	if m.Fork {
		e.cfg.Log.Warn("the hub holds other events of this stream; a new one is begun", "message", m.Message)
		e.phase = phaseForked
		e.setLink(Connecting, "", m.Message)
		e.emit(Fork{Cause: ledger.CauseHub})
		return
	}
	e.phase = phaseWaiting
	e.beatSent = 0
	least := time.Duration(m.RetryAfterMs) * time.Millisecond
	wait := least/2 + time.Duration(e.cfg.Rand.Int64N(int64(max(least/2, time.Millisecond))))
	if m.Action == protocol.FenceStop {
		wait = 365 * 24 * time.Hour
	}
	e.helloAt = e.now.Mono + wait
	switch m.Reason {
	case protocol.UnknownStore:
		e.setLink(Unprovisioned, string(m.Reason), m.Message)
	case protocol.VersionRefused:
		e.setLink(Offline, "version", m.Message)
	case protocol.Internal:
		e.setLink(Offline, string(CauseHubError), m.Message)
	default:
		e.setLink(Fenced, string(m.Reason), m.Message)
	}
	e.cfg.Log.Warn("hub refuses this agent", "reason", m.Reason, "message", m.Message)
}
