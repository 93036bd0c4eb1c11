package uplink

import (
	"time"

	"counterpart/protocol"
)

// upload is the way up: go-back-N over the agent's own log. Nothing of it is
// stored, because the hub's Welcome says where to go on.
type upload struct {
	acked, safe protocol.Seq
	sent        protocol.Seq // the last event handed to the wire
	flight      []protocol.Seq
	window      int
	progressAt  time.Duration
	ackWait     time.Duration // without progress, then everything is sent again
	startAt     time.Duration
	retryAt     time.Duration // after the log could not be read
	// refusals counts frames that the hub could not read since anything was
	// acknowledged, and most bounds the events of a frame then.
	refusals int
	most     int
}

// refusalsMax is how often a frame may be refused before smaller ones are made,
// down to single events, so that a bad one delays no other.
const refusalsMax = 3

// ackWaitMax bounds the wait for an acknowledgement.
const ackWaitMax = 80 * time.Second

// readRetry is how long the engine waits after its log could not be read.
const readRetry = 10 * time.Second

// forget drops what is on the way; it is read and sent again.
func (u *upload) forget() {
	u.sent, u.flight, u.window = u.acked, nil, 0
}

func (u *upload) open(m *protocol.Welcome, now time.Duration) {
	u.acked, u.sent, u.flight = m.CursorSeq, m.CursorSeq, nil
	// The Welcome stands above what an earlier hub had said.
	u.safe = min(m.Safe, m.CursorSeq)
	u.ackWait = ackTimeout
	u.window = int(max(1, min(m.Window, 64)))
	u.progressAt = now
	u.startAt = now + time.Duration(m.StartAfterMs)*time.Millisecond
}

func (u *upload) goBack(want protocol.Seq) {
	if want == 0 || want-1 < u.acked || want-1 > u.sent {
		return
	}
	u.sent, u.flight = want-1, nil
}

// unread counts a frame that the hub could not read.
func (u *upload) unread() {
	if u.refusals++; u.refusals%refusalsMax == 0 {
		if u.most == 0 {
			u.most = protocol.FrameEventsMax
		}
		u.most = max(1, u.most/4)
	}
}

// ack takes a cumulative acknowledgement.
func (e *Engine) ack(m *protocol.Ack) {
	u := &e.up
	if e.gap.open && !e.gapClosed(m) {
		return
	}
	if m.Seq < u.acked || m.Seq > max(u.sent, u.acked) {
		return
	}
	fresh := m.Seq - u.acked
	e.ackedHigh = max(e.ackedHigh, m.Seq)
	u.acked, u.safe = m.Seq, max(u.safe, min(m.Safe, m.Seq))
	if fresh > 0 {
		u.progressAt, u.ackWait = e.now.Mono, ackTimeout
		u.refusals, u.most = 0, 0
	}
	for len(u.flight) > 0 && u.flight[0] <= m.Seq {
		u.flight = u.flight[1:]
	}
	u.window = int(max(1, min(m.Credit, 64)))
	if m.Own != nil {
		e.ownEvents(m.Own)
	}
}

// pump sends as much as the window allows. An idle agent sends a new event at
// once; there is no batching timer.
func (e *Engine) pump() {
	u := &e.up
	if e.phase != phaseOpen || e.now.Mono < u.startAt || e.now.Mono < u.retryAt {
		return
	}
	if e.gap.open {
		if err := e.checkpoint(); err != nil {
			e.cfg.Log.Error("checkpoint not made", "error", err)
		}
		return
	}
	if len(u.flight) > 0 && e.now.Mono-u.progressAt >= u.ackWait {
		// On a slow line the window may still be on its way: each wait is
		// twice the last until something is acknowledged.
		u.sent, u.flight, u.progressAt = u.acked, nil, e.now.Mono
		u.ackWait = min(2*u.ackWait, ackWaitMax)
	}
	last, _, err := e.cfg.Outbox.Head()
	if err != nil {
		e.cfg.Log.Error("log cannot be read", "error", err)
		return
	}
	for u.sent < last && len(u.flight) < u.window {
		if err := e.sendBatch(); err != nil {
			// The hub wants what is no longer here, or the disk fails. Selling
			// goes on; the next try is later.
			e.cfg.Log.Error("batch cannot be made", "first", u.sent+1, "error", err)
			u.retryAt = e.now.Mono + readRetry
			return
		}
	}
}

func (e *Engine) sendBatch() error {
	u := &e.up
	records, prev, err := e.cfg.Outbox.Read(e.cfg.Origin, u.sent+1)
	if err != nil || len(records) == 0 {
		return err
	}
	if u.most > 0 {
		records = records[:min(len(records), u.most)]
	}
	frame, n, err := protocol.CutFrame(records)
	if err != nil {
		return err
	}
	keys, err := e.keysBeside(records[:n])
	if err != nil {
		return err
	}
	if len(u.flight) == 0 {
		u.progressAt = e.now.Mono
	}
	e.emit(Send{&protocol.Batch{
		Session: e.session, Inc: e.cfg.Origin.Inc, FirstSeq: u.sent + 1, PrevHash: prev,
		Count: uint32(n), Checksum: protocol.FrameChecksum(frame), Frame: frame,
		Keys: keys,
	}})
	u.sent += protocol.Seq(n)
	u.flight = append(u.flight, u.sent)
	return nil
}

func (e *Engine) keysBeside(records []protocol.Record) ([]protocol.MemberKey, error) {
	if e.cfg.Keys == nil {
		return nil, nil
	}
	return e.cfg.Keys(records)
}
