package main

import (
	"bytes"
	"encoding/binary"
	"strings"

	"counterpart/protocol"
)

// The bytes of MQTT 3.1.1 that are looked at.
const (
	packetConnect = 0x10
	packetPublish = 0x30
	packetMask    = 0xf0
	qosMask       = 0x06
	// lengthBytesMax is how long the length of a packet is at most.
	lengthBytesMax = 4
	topicUp        = "/up"
)

// A wire is what the recorded process has written to one socket.
type wire struct {
	rest []byte // of a packet that is not complete
	inc  protocol.Inc
}

// send reads what goes to the hub. A hub that is told of an event keeps it, so
// what is told has to be on the disk like what is answered to a till: after a
// power cut the agent would use the number again, and the till would repeat a
// sale that the hub already has.
func (b *builder) send(socket string, data []byte, at int) {
	w := b.wires[socket]
	if w == nil {
		if len(data) == 0 || data[0] != packetConnect || !bytes.Contains(data[:min(len(data), 16)], []byte("MQTT")) {
			return
		}
		w = &wire{}
		b.wires[socket] = w
	}
	w.rest = append(w.rest, data...)
	for {
		packet, n := nextPacket(w.rest)
		if n == 0 {
			return
		}
		w.rest = w.rest[n:]
		for _, s := range w.told(packet) {
			s.At = at
			b.rec.Shown = append(b.rec.Shown, s)
			b.rec.Told.Sent++
		}
	}
}

// nextPacket splits the first packet off; n is 0 where it is not complete.
func nextPacket(data []byte) (packet []byte, n int) {
	if len(data) < 2 {
		return nil, 0
	}
	size, used := binary.Uvarint(data[1:min(len(data), 1+lengthBytesMax)])
	n = 1 + used + int(size)
	if used <= 0 || n > len(data) {
		return nil, 0
	}
	return data[:n], n
}

// told is what a packet tells the hub about the log.
func (w *wire) told(packet []byte) []shown {
	_, used := binary.Uvarint(packet[1:])
	body := packet[1+used:]
	if packet[0]&packetMask != packetPublish || len(body) < 2 {
		return nil
	}
	topicEnd := 2 + int(binary.BigEndian.Uint16(body))
	if topicEnd > len(body) || !strings.HasSuffix(string(body[2:topicEnd]), topicUp) {
		return nil
	}
	payload := body[topicEnd:]
	if packet[0]&qosMask != 0 && len(payload) >= 2 {
		payload = payload[2:] // The packet's identifier.
	}
	message, err := protocol.DecodeMessage(payload)
	if err != nil {
		return nil
	}
	var inc protocol.Inc
	var seq protocol.Seq
	switch m := message.(type) {
	case *protocol.Hello:
		w.inc = m.Inc
		inc, seq = m.Inc, m.LastSeq
	case *protocol.Beat:
		inc, seq = w.inc, m.LastSeq
	case *protocol.Batch:
		inc, seq = m.Inc, m.FirstSeq+protocol.Seq(m.Count)-1
	}
	if seq == 0 {
		return nil
	}
	return []shown{{Inc: inc.String(), Seq: uint64(seq)}}
}
