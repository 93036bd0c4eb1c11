package uplink

import (
	"context"
	"encoding/binary"
	"slices"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// NewOutbox reads what an agent holds from its database.
func NewOutbox(d ledger.Driver, o protocol.Origin) Outbox { return outbox{d, o} }

type outbox struct {
	driver ledger.Driver
	origin protocol.Origin
}

// readBytesMax is how much of the log is read at a time: about what compresses
// into one frame.
const readBytesMax = 512 << 10

func (o outbox) Head() (seq protocol.Seq, hash protocol.Hash, err error) {
	err = o.driver.View(context.Background(), func(r ledger.Reader) error {
		s, err := ledger.ReadStream(r, o.origin)
		seq, hash = s.Seq, ledger.StreamInfo{Origin: o.origin, Stream: s}.Head()
		return err
	})
	return seq, hash, err
}

func (o outbox) Trimmed() (t ledger.Trimmed, err error) {
	err = o.driver.View(context.Background(), func(r ledger.Reader) error {
		t, err = ledger.ReadTrimmed(r, o.origin.Inc)
		return err
	})
	return t, err
}

func (o outbox) Sums() (moves []protocol.Move, err error) {
	err = o.driver.View(context.Background(), func(r ledger.Reader) error {
		moves, err = ledger.TrimmedSums(r, o.origin.Inc)
		return err
	})
	return moves, err
}

// othersMax bounds the streams of others that a HELLO lists.
const othersMax = 256

// Others are the other streams of the store that the database holds. The hub
// begins one at each of its starts: those of which nothing is kept are left out,
// and of too many the first.
func (o outbox) Others() (heads []protocol.StreamHead, err error) {
	err = o.driver.View(context.Background(), func(r ledger.Reader) error {
		heads = nil
		streams, err := ledger.Streams(r, o.origin.Store, "")
		for _, s := range streams {
			if s.Origin.Inc == o.origin.Inc || s.Seq == 0 {
				continue
			}
			if s.Origin.Agent == protocol.HubAgent {
				trimmed, err := ledger.ReadTrimmed(r, s.Origin.Inc)
				if err != nil {
					return err
				}
				if trimmed.Seq >= s.Seq {
					continue
				}
			}
			heads = append(heads, protocol.StreamHead{Agent: s.Origin.Agent, Inc: s.Origin.Inc, Seq: s.Seq, Hash: s.Hash})
		}
		return err
	})
	spare := len(heads) - othersMax
	heads = slices.DeleteFunc(heads, func(h protocol.StreamHead) bool {
		drop := spare > 0 && h.Agent == protocol.HubAgent
		if drop {
			spare--
		}
		return drop
	})
	return heads, err
}

func (o outbox) Read(other protocol.Origin, first protocol.Seq) (records []protocol.Record, prev protocol.Hash, err error) {
	err = o.driver.View(context.Background(), func(r ledger.Reader) error {
		records, prev, err = ledger.Records(r, other, first, protocol.FrameEventsMax, readBytesMax)
		if err == nil && len(records) == 0 {
			err = ledger.ErrTrimmed
		}
		return err
	})
	return records, prev, err
}

const marksNote = "marks"

const marksBytes = 8 + 8 + 8 + 16

// ReadMarks reads what the hub had said of a stream; nothing, if the note is of
// another stream.
func ReadMarks(r ledger.Reader, inc protocol.Inc) (m Marks, err error) {
	b, err := ledger.Note(r, marksNote)
	if err != nil || len(b) < 16 || len(b) >= marksBytes && protocol.Inc(b[24:marksBytes]) != inc {
		return m, err
	}
	m.Acked, m.Safe = protocol.Seq(binary.BigEndian.Uint64(b)), protocol.Seq(binary.BigEndian.Uint64(b[8:]))
	if len(b) >= marksBytes {
		m.AckedEpoch = binary.BigEndian.Uint64(b[16:])
	}
	return m, nil
}

// WriteMarks keeps what the hub has said of a stream. Losing the last of it
// costs nothing: the next Welcome says it again.
func WriteMarks(tx ledger.Tx, inc protocol.Inc, m Marks) error {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, marksBytes), uint64(m.Acked))
	b = binary.BigEndian.AppendUint64(b, uint64(m.Safe))
	b = binary.BigEndian.AppendUint64(b, m.AckedEpoch)
	return ledger.SetNote(tx, append(b, inc[:]...), marksNote)
}
