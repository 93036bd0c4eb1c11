package protocol

import (
	"errors"
	"fmt"

	"counterpart/protocol/wire"
)

// MessageBytesMax bounds a message: the largest record in a frame of its own,
// and whatever surrounds it.
const MessageBytesMax = 3 << 19 // 1.5 MiB

// messageListMax bounds the feeds, capabilities, rows and buckets of a message.
const messageListMax = 65_536

// ErrUnknownMessage is returned by DecodeMessage for a message of a type that
// this version does not know. A receiver ignores it.
var ErrUnknownMessage = errors.New("message of an unknown type")

// EncodeMessage writes the payload of an MQTT message.
func EncodeMessage(m Message) ([]byte, error) {
	var c check
	checkMessage(&c, m)
	if c.err != nil {
		return nil, fmt.Errorf("encode %T: %w", m, c.err)
	}
	payload, err := marshal(encodeEnvelope(m))
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", m, err)
	}
	if len(payload) > MessageBytesMax {
		return nil, fmt.Errorf("encode %T: %d bytes are too large", m, len(payload))
	}
	return payload, nil
}

// DecodeMessage reads the payload of an MQTT message. It is total: whatever the
// bytes, it returns a message of the right shape or an error, in memory bounded
// by their length. Nothing in it is true before its session was compared.
func DecodeMessage(payload []byte) (Message, error) {
	if len(payload) > MessageBytesMax {
		return nil, fmt.Errorf("decode message: %d bytes are too large", len(payload))
	}
	var w wire.Envelope
	if err := unmarshal(payload, &w); err != nil {
		return nil, fmt.Errorf("decode message: %w", err)
	}
	var c check
	m := decodeEnvelope(&c, &w)
	if m == nil {
		return nil, ErrUnknownMessage
	}
	if c.err == nil {
		checkMessage(&c, m)
	}
	if c.err != nil {
		return nil, fmt.Errorf("decode %T: %w", m, c.err)
	}
	return m, nil
}

func encodeEnvelope(m Message) *wire.Envelope {
	switch m := m.(type) {
	case *Hello:
		return &wire.Envelope{Body: &wire.Envelope_Hello{Hello: encodeHello(m)}}
	case *Welcome:
		return &wire.Envelope{Body: &wire.Envelope_Welcome{Welcome: encodeWelcome(m)}}
	case *Batch:
		return &wire.Envelope{Body: &wire.Envelope_Batch{Batch: encodeBatch(m)}}
	case *Ack:
		return &wire.Envelope{Body: &wire.Envelope_Ack{Ack: encodeAck(m)}}
	case *Nack:
		return &wire.Envelope{Body: &wire.Envelope_Nack{Nack: encodeNack(m)}}
	case *Beat:
		return &wire.Envelope{Body: &wire.Envelope_Beat{Beat: encodeBeat(m)}}
	case *Fence:
		return &wire.Envelope{Body: &wire.Envelope_Fence{Fence: encodeFence(m)}}
	case *Fork:
		return &wire.Envelope{Body: &wire.Envelope_Fork{Fork: encodeFork(m)}}
	case *Delta:
		return &wire.Envelope{Body: &wire.Envelope_Delta{Delta: encodeDelta(m)}}
	case *Dack:
		return &wire.Envelope{Body: &wire.Envelope_Dack{Dack: encodeDack(m)}}
	case *Cmd:
		return &wire.Envelope{Body: &wire.Envelope_Cmd{Cmd: encodeCmd(m)}}
	case *Digest:
		return &wire.Envelope{Body: &wire.Envelope_Digest{Digest: encodeDigest(m)}}
	case *Diff:
		return &wire.Envelope{Body: &wire.Envelope_Diff{Diff: encodeDiff(m)}}
	case *Checkpoint:
		return &wire.Envelope{Body: &wire.Envelope_Checkpoint{Checkpoint: encodeCheckpoint(m)}}
	}
	panic(fmt.Sprintf("message %T has no encoding", m)) // checkMessage refuses what is none of ours
}

func decodeEnvelope(c *check, w *wire.Envelope) Message {
	switch body := w.Body.(type) {
	case *wire.Envelope_Hello:
		return decodeHello(c, body.Hello)
	case *wire.Envelope_Welcome:
		return decodeWelcome(c, body.Welcome)
	case *wire.Envelope_Batch:
		return decodeBatch(c, body.Batch)
	case *wire.Envelope_Ack:
		return decodeAck(c, body.Ack)
	case *wire.Envelope_Nack:
		return decodeNack(c, body.Nack)
	case *wire.Envelope_Beat:
		return decodeBeat(c, body.Beat)
	case *wire.Envelope_Fence:
		return decodeFence(c, body.Fence)
	case *wire.Envelope_Fork:
		return decodeFork(c, body.Fork)
	case *wire.Envelope_Delta:
		return decodeDelta(c, body.Delta)
	case *wire.Envelope_Dack:
		return decodeDack(c, body.Dack)
	case *wire.Envelope_Cmd:
		return decodeCmd(c, body.Cmd)
	case *wire.Envelope_Digest:
		return decodeDigest(c, body.Digest)
	case *wire.Envelope_Diff:
		return decodeDiff(c, body.Diff)
	case *wire.Envelope_Checkpoint:
		return decodeCheckpoint(c, body.Checkpoint)
	}
	return nil
}

// checkMessage checks the shape of a message, whichever way it goes. Whether it
// fits the session and the stream is for the receiver to judge.
func checkMessage(c *check, m Message) {
	switch m := m.(type) {
	case *Hello:
		c.id("store", string(m.Store))
		c.id("agent", string(m.Agent))
		c.text("build", m.Build)
		c.text("disk state", m.DiskState)
		c.count("capabilities", len(m.Capabilities), messageListMax)
		c.feeds(m.Feeds)
		c.text("fork cause", m.ForkCause)
		c.count("streams", len(m.Streams), messageListMax)
		for i := range m.Streams {
			c.id("agent", string(m.Streams[i].Agent))
		}
	case *Welcome:
		c.count("feeds", len(m.Feeds), messageListMax)
		for i := range m.Feeds {
			c.feed(m.Feeds[i].Feed)
		}
		c.count("wants", len(m.Wants), messageListMax)
	case *Batch:
		c.frame(m.Frame, m.Count)
		c.count("keys", len(m.Keys), messageListMax)
		for i := range m.Keys {
			c.id("member", string(m.Keys[i].Member))
		}
	case *Ack:
		if m.Own != nil {
			c.feed(m.Own.Feed)
		}
	case *Nack:
		c.text("reason", m.Reason)
	case *Beat:
		c.text("disk state", m.Disk)
		c.feeds(m.Feeds)
	case *Fence:
		c.word("reason", string(m.Reason), false)
		c.text("message", m.Message)
	case *Fork:
		c.text("cause", m.Cause)
	case *Delta:
		checkDelta(c, m)
	case *Dack:
		c.feed(m.Feed)
	case *Cmd:
		c.text("command", m.ID)
		c.word("command", m.Kind, false)
	case *Digest:
		c.word("digest", m.Kind, false)
	case *Diff:
		c.word("digest", m.Kind, false)
		c.count("buckets", len(m.Buckets), messageListMax)
	case *Checkpoint:
	default:
		c.failf("it is not a message")
	}
}

func checkDelta(c *check, m *Delta) {
	c.feed(m.Feed)
	c.count("rows", len(m.Rows), messageListMax)
	for i := range m.Rows {
		c.text("key", m.Rows[i].Key)
	}
	c.count("streams", len(m.Events), messageListMax)
	for i := range m.Events {
		e := &m.Events[i]
		c.idOrNone("store", string(e.Origin.Store))
		c.id("agent", string(e.Origin.Agent))
		c.frame(e.Frame, e.Count)
	}
	c.count("keys", len(m.Keys), messageListMax)
	for i := range m.Keys {
		c.id("subject", m.Keys[i].Subject)
	}
}

// feed checks the shape of a feed's name only: a feed of a kind that a later
// version knows is not an error but a feed to ignore.
func (c *check) feed(feed FeedID) {
	if len(feed) == 0 || len(feed) > 128 || !ValidText(string(feed), 128) {
		c.failf("feed %q is not a feed", clip(string(feed)))
	}
}

func (c *check) feeds(feeds []FeedPos) {
	c.count("feeds", len(feeds), messageListMax)
	for i := range feeds {
		c.feed(feeds[i].Feed)
	}
}

func (c *check) frame(frame []byte, count uint32) {
	if count == 0 || count > FrameEventsMax || len(frame) == 0 {
		c.failf("a frame of %d bytes and %d events is out of range", len(frame), count)
	}
}

// sent leaves an identifier that was never set out of a message.
func sent[A ~[16]byte | ~[32]byte](a A, bytes []byte) []byte {
	var zero A
	if a == zero {
		return nil
	}
	return bytes
}
