package sim

import (
	"math/rand/v2"
	"time"

	"counterpart/protocol"
)

// broker is the lossy wire between machines and hub.
type broker struct {
	w        *world
	rnd      *rand.Rand
	wipes    int
	retained map[protocol.AgentID][]byte // statuses
}

// lateMax is about the time in which a connection is made anew, so that what was
// sent over the last one may arrive in the middle of the next session.
const lateMax = 200 * time.Millisecond

// parcel is a payload on its way.
type parcel struct {
	topic   string
	payload []byte
	message protocol.Message // as it was sent up; nil: unknown
}

func (b *broker) chance(p float64) bool { return p > 0 && !b.w.quiet && b.rnd.Float64() < p }

func (b *broker) latency() time.Duration {
	d := time.Millisecond + time.Duration(b.rnd.Int64N(int64(20*time.Millisecond)))
	if b.chance(b.w.plan.Line.Reorder) {
		d += time.Duration(b.rnd.Int64N(int64(2 * time.Second)))
	}
	return d
}

// carry hands a parcel to deliver as often as the line wants, never or late
// included. free is when the line has room again, which keeps its order.
func (b *broker) carry(p parcel, free *time.Duration, deliver func(parcel)) {
	l := b.w.plan.Line
	n := 1
	if b.chance(l.Drop) {
		n = 0
	} else if b.chance(l.Duplicate) {
		n = 2
	}
	for range n {
		at := b.w.now + b.latency()
		if b.chance(l.Late) {
			at += upTo(b.rnd, lateMax)
		} else if !b.chance(l.Reorder) {
			at = max(at, *free)
			*free = at
		}
		b.w.after(at-b.w.now, func() { deliver(p) })
	}
	if b.chance(l.Replay) {
		b.w.latent(time.Duration(b.rnd.Int64N(int64(2*time.Hour))), func() { deliver(p) })
	}
	if b.chance(l.Garbage) {
		junk := parcel{topic: p.topic, payload: make([]byte, b.rnd.IntN(60))}
		for i := range junk.payload {
			junk.payload[i] = byte(b.rnd.Uint32())
		}
		b.w.after(b.latency(), func() { deliver(junk) })
	}
}

// up carries what a machine sends.
func (b *broker) up(m *machine, p parcel) {
	if m.connection == 0 || m.blockedUp {
		return
	}
	if batch, ok := p.message.(*protocol.Batch); ok && b.chance(b.w.plan.Line.Damage) {
		p = b.damaged(*batch, p.topic)
	}
	connection, wipes := m.connection, b.wipes
	b.carry(p, &m.upFree, func(p parcel) {
		if b.arrives(m.connection == connection, wipes) {
			b.w.cloud.arrive(p)
		}
	})
}

// arrives tells whether a parcel is still there: if its connection is, or if
// the broker had it already when the connection ended.
func (b *broker) arrives(connected bool, wipes int) bool {
	return wipes == b.wipes && (connected || b.chance(b.w.plan.Line.Ghost))
}

// damaged changes a byte of a batch's frame.
func (b *broker) damaged(batch protocol.Batch, topic string) parcel {
	batch.Frame = append([]byte(nil), batch.Frame...)
	batch.Frame[b.rnd.IntN(len(batch.Frame))] ^= 1 << b.rnd.IntN(8)
	payload, err := protocol.EncodeMessage(&batch)
	if err != nil {
		b.w.fail("encode: %v", err)
	}
	return parcel{topic: topic, payload: payload, message: &batch}
}

// down carries what the hub sends to every machine that listens.
func (b *broker) down(topic string, payload []byte) {
	for _, m := range b.w.agents {
		if m.connection == 0 || !m.subscribed[topic] || m.blockedDown {
			continue
		}
		connection, wipes := m.connection, b.wipes
		b.carry(parcel{topic: topic, payload: payload}, &m.downFree, func(p parcel) {
			if m.connection != 0 && m.subscribed[topic] && b.arrives(m.connection == connection, wipes) {
				m.received(p)
			}
		})
	}
}

// status keeps a machine's retained status and tells it to the hub.
func (b *broker) status(m *machine, online bool, boot uint64, delay time.Duration) {
	payload := protocol.EncodeStatus(protocol.Status{Online: online, BootID: boot})
	b.w.latent(delay, func() {
		b.retained[m.origin.Agent] = payload
		b.w.cloud.arrive(parcel{topic: protocol.TopicStatus(m.origin.Store, m.origin.Agent), payload: payload})
	})
}

// greet gives a hub that has just subscribed what is retained.
func (b *broker) greet() {
	for _, m := range b.w.agents {
		if payload := b.retained[m.origin.Agent]; payload != nil {
			b.w.cloud.arrive(parcel{topic: protocol.TopicStatus(m.origin.Store, m.origin.Agent), payload: payload})
		}
	}
}

// wipe makes the broker forget all that it had, connections included.
func (b *broker) wipe() {
	b.w.tell("broker forgets everything")
	b.wipes++
	clear(b.retained)
	b.herd()
}

// herd cuts all connections at once.
func (b *broker) herd() {
	for _, m := range b.w.agents {
		m.drop()
	}
}
