package uplink

import (
	"time"

	"counterpart/protocol"
)

// carried is a stream of another machine of the store, or of the hub, of which
// the hub lacks events that this machine holds: it was restored from an older
// copy, or the machine that wrote them is lost. They go up verbatim, one stream
// after the other, behind the own log.
type carried struct {
	origin     protocol.Origin
	acked      protocol.Seq
	last       protocol.Seq // as it was offered
	sent       protocol.Seq
	flight     []protocol.Seq
	progressAt time.Duration
	wait       time.Duration
}

// carryWindow is how many batches of a carried stream may be unacknowledged.
const carryWindow = 4

func (c *carried) retryAt() time.Duration { return c.progressAt + c.wait }

// wanted takes what the hub asks to be carried. What this machine no longer
// holds is not sent.
func (e *Engine) wanted(list []protocol.StreamPos) {
	e.carry = nil
	if len(list) == 0 {
		return
	}
	others, err := e.cfg.Outbox.Others()
	if err != nil {
		e.cfg.Log.Error("streams of others cannot be read", "error", err)
		return
	}
	for _, want := range list {
		for _, h := range others {
			if h.Inc == want.Inc && want.Seq > 0 && want.Seq <= h.Seq {
				e.carry = append(e.carry, &carried{
					origin: protocol.Origin{Store: e.cfg.Origin.Store, Agent: h.Agent, Inc: h.Inc},
					acked:  want.Seq - 1, sent: want.Seq - 1, last: h.Seq, progressAt: e.now.Mono, wait: ackTimeout,
				})
			}
		}
	}
}

// pumpCarried sends as much of the first carried stream as its window allows.
func (e *Engine) pumpCarried() {
	for e.phase == phaseOpen && len(e.carry) > 0 {
		c := e.carry[0]
		if len(c.flight) > 0 && e.now.Mono >= c.retryAt() {
			c.sent, c.flight, c.progressAt = c.acked, nil, e.now.Mono
			c.wait = min(2*c.wait, ackWaitMax)
		}
		if c.acked >= c.last {
			e.carry = e.carry[1:]
			continue
		}
		for c.sent < c.last && len(c.flight) < carryWindow {
			if err := e.sendCarried(c); err != nil {
				e.cfg.Log.Warn("a stream is not carried further", "agent", c.origin.Agent, "inc", c.origin.Inc, "next", c.sent+1, "error", err)
				e.carry = e.carry[1:]
				break
			}
		}
		if len(e.carry) > 0 && e.carry[0] == c {
			return
		}
	}
}

func (e *Engine) sendCarried(c *carried) error {
	records, prev, err := e.cfg.Outbox.Read(c.origin, c.sent+1)
	if err != nil {
		return err
	}
	frame, n, err := protocol.CutFrame(records)
	if err != nil {
		return err
	}
	keys, err := e.keysBeside(records[:n])
	if err != nil {
		return err
	}
	if len(c.flight) == 0 {
		c.progressAt = e.now.Mono
	}
	e.emit(Send{&protocol.Batch{
		Session: e.session, Inc: c.origin.Inc, FirstSeq: c.sent + 1, PrevHash: prev,
		Count: uint32(n), Checksum: protocol.FrameChecksum(frame), Frame: frame,
		Keys: keys,
	}})
	c.sent += protocol.Seq(n)
	c.flight = append(c.flight, c.sent)
	return nil
}

func (e *Engine) carriedAck(m *protocol.Ack) {
	if len(e.carry) == 0 || e.carry[0].origin.Inc != m.Inc || m.Seq < e.carry[0].acked {
		return
	}
	c := e.carry[0]
	if m.Seq > c.acked {
		c.progressAt, c.wait = e.now.Mono, ackTimeout
	}
	// The hub may have more than was sent: another machine carries it too.
	c.acked, c.sent = m.Seq, max(c.sent, m.Seq)
	for len(c.flight) > 0 && c.flight[0] <= m.Seq {
		c.flight = c.flight[1:]
	}
}

// carriedNack goes back over a gap, and gives up on a stream of which the hub
// holds other events.
func (e *Engine) carriedNack(m *protocol.Nack) {
	switch {
	case len(e.carry) == 0 || e.carry[0].origin.Inc != m.Inc:
	case m.Reason == protocol.NackGap && m.Want > 0:
		c := e.carry[0]
		c.acked, c.sent, c.flight = m.Want-1, m.Want-1, nil
	case m.Reason == protocol.NackChain:
		e.carry = e.carry[1:]
	}
}
