package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"counterpart/protocol"
	"counterpart/test/process"
	"counterpart/test/proxy"
)

// A shopLine is an agent's way to the hub, which can be cut. It counts what
// goes through and sees what the hub acknowledges: an acknowledgement is sent
// after the commit of events, fold and cursor, so its time on the wire is when
// they were durable, and to watch it costs the programs nothing.
type shopLine struct {
	http, mqtt *proxy.Proxy

	mu      sync.Mutex
	acks    []ack
	changed chan struct{} // closed at an acknowledgement, and then replaced
}

// An ack is how far the hub was and when.
type ack struct {
	seq protocol.Seq
	at  time.Time
}

func newShopLine(host *process.Host, hub process.Ready) (*shopLine, error) {
	l := &shopLine{changed: make(chan struct{})}
	for to, target := range map[**proxy.Proxy]string{&l.http: hub.HTTP, &l.mqtt: hub.MQTT} {
		p, err := proxy.Listen(target)
		if err != nil {
			return nil, err
		}
		host.Own(p)
		*to = p
	}
	l.mqtt.Tap(func() io.Writer { return &packets{see: l.see} })
	return l, nil
}

// set changes the state of both halves.
func (l *shopLine) set(mode proxy.Mode) error {
	return errors.Join(l.http.Set(mode), l.mqtt.Set(mode))
}

// bytes is what went through, both ways, everything counted.
func (l *shopLine) bytes() int64 {
	sum := int64(0)
	for _, p := range []*proxy.Proxy{l.http, l.mqtt} {
		up, down := p.Bytes()
		sum += up + down
	}
	return sum
}

// see takes one MQTT message that came down.
func (l *shopLine) see(topic string, payload []byte) {
	if !strings.HasSuffix(topic, "/"+string(protocol.LeafDown)) {
		return
	}
	m, err := protocol.DecodeMessage(payload)
	if err != nil {
		return
	}
	a, ok := m.(*protocol.Ack)
	if !ok {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acks = append(l.acks, ack{seq: a.Seq, at: time.Now()})
	close(l.changed)
	l.changed = make(chan struct{})
}

// awaitAck waits until the hub has acknowledged an event and returns when that
// was.
func (l *shopLine) awaitAck(ctx context.Context, seq protocol.Seq) (time.Time, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, settlePatience, fmt.Errorf("event %d is not acknowledged after %s", seq, settlePatience))
	defer cancel()
	for {
		l.mu.Lock()
		changed := l.changed
		for _, a := range l.acks {
			if a.seq >= seq {
				l.mu.Unlock()
				return a.at, nil
			}
		}
		l.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return time.Time{}, context.Cause(ctx)
		}
	}
}

// packets reads MQTT 3.1.1 packets from a stream and shows the messages that
// were published with QoS 0.
type packets struct {
	rest []byte
	see  func(topic string, payload []byte)
}

// publishQoS0 is the first byte of such a packet, less the flag for retained
// messages.
const publishQoS0 = 0x30

// Write implements io.Writer; it never fails.
func (p *packets) Write(chunk []byte) (int, error) {
	p.rest = append(p.rest, chunk...)
	for {
		size, n := binary.Uvarint(p.rest[min(1, len(p.rest)):])
		if n <= 0 || len(p.rest) < 1+n+int(size) {
			return len(chunk), nil
		}
		kind, body := p.rest[0], p.rest[1+n:1+n+int(size)]
		if kind&^1 == publishQoS0 && len(body) >= 2 {
			if t := int(binary.BigEndian.Uint16(body)); len(body) >= 2+t {
				p.see(string(body[2:2+t]), body[2+t:])
			}
		}
		p.rest = append(p.rest[:0], p.rest[1+n+int(size):]...)
	}
}
