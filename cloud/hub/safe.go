package hub

import (
	"context"
	"sync"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// Identity names a hub's database for ever, also in its backups and in its
// second copy: random bits, made at the first start.
type Identity [16]byte

const (
	noteIdentity   = "hub-id"
	noteEpoch      = "epoch"
	noteAcceptGaps = "accept_gaps"
)

// safety is how far the second copy holds each stream, as far as Copied was
// told. What lies beyond is not safe, whatever the database holds (I7).
type safety struct {
	// committed tells the second copy how far a stream is committed; nil where
	// there is none. Then safe means acknowledged, and status says so.
	committed func(protocol.Origin, protocol.Seq)

	mu     sync.Mutex
	copied map[protocol.Inc]protocol.Seq
}

// safe is the last event of a stream that its agent may forget, of those that
// are committed up to seq.
func (s *safety) safe(inc protocol.Inc, seq protocol.Seq) protocol.Seq {
	if s.committed == nil {
		return seq
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return min(seq, s.copied[inc])
}

// raise takes over what was copied and returns the streams that rose.
func (s *safety) raise(list []protocol.StreamPos) map[protocol.Inc]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	rose := map[protocol.Inc]bool{}
	for _, p := range list {
		if p.Seq > s.copied[p.Inc] {
			s.copied[p.Inc] = p.Seq
			rose[p.Inc] = true
		}
	}
	return rose
}

// note tells the second copy what a transaction has committed. It is called
// after the commit.
func (s *safety) note(o protocol.Origin, upto protocol.Seq) {
	if s.committed != nil && upto > 0 {
		s.committed(o, upto)
	}
}

// Copied says that the second copy holds streams up to these numbers, synced.
// Agents in session whose stream rose are told, also where they have nothing to
// send; so it should not be called more often than once a second.
func (h *Hub) Copied(ctx context.Context, list []protocol.StreamPos) error {
	rose := h.safety.raise(list)
	if len(rose) == 0 {
		return nil
	}
	var tell []*session
	h.mu.Lock()
	for s := range h.everySession() {
		if rose[s.origin.Inc] && s.online {
			s.safeNews = true
			tell = append(tell, s)
		}
	}
	h.mu.Unlock()
	return h.tellSafe(ctx, tell...)
}

// repeatSafe tells an agent once more what was told since its last Beat: an
// idle one would not learn of it from anything else, should that have been lost.
func (h *Hub) repeatSafe(ctx context.Context, s *session) error {
	h.mu.Lock()
	news := s.safeNews
	s.safeNews = false
	h.mu.Unlock()
	if !news {
		return nil
	}
	return h.tellSafe(ctx, s)
}

// othersSafeEvery is at how many Beats an agent is told up to where the store's
// other streams are safe: five minutes, for what is trimmed after weeks.
const othersSafeEvery = 30

// othersSafeMax bounds how many of them are told.
const othersSafeMax = 256

// othersSafe lists up to where the streams of a store but one are safe, with the
// hashes there, so that nobody takes them for others.
func (h *Hub) othersSafe(ctx context.Context, but protocol.Origin) ([]protocol.StreamHead, error) {
	var list []protocol.StreamHead
	err := h.view(ctx, func(r ledger.Reader) error {
		list = nil
		streams, err := ledger.Streams(r, but.Store, "")
		for _, s := range streams {
			seq := h.safety.safe(s.Origin.Inc, s.Seq)
			if s.Origin == but || seq == 0 || len(list) == othersSafeMax {
				continue
			}
			hash, ok, err := ledger.HashAt(r, protocol.EventID{Inc: s.Origin.Inc, Seq: seq})
			if err != nil {
				return err
			}
			if ok {
				list = append(list, protocol.StreamHead{Agent: s.Origin.Agent, Inc: s.Origin.Inc, Seq: seq, Hash: hash})
			}
		}
		return err
	})
	return list, err
}

// tellSafe acknowledges what the hub has of the streams of sessions, with how
// much of that is safe. For the agent it is an ACK like any other.
func (h *Hub) tellSafe(ctx context.Context, sessions ...*session) error {
	if len(sessions) == 0 {
		return nil
	}
	var acks []*protocol.Ack
	err := h.view(ctx, func(r ledger.Reader) error {
		acks = acks[:0]
		for _, s := range sessions {
			st, err := ledger.ReadStream(r, s.origin)
			if err != nil {
				return err
			}
			acks = append(acks, &protocol.Ack{
				Session: s.id, Inc: s.origin.Inc, Seq: st.Seq, Hash: st.Hash, Safe: h.safety.safe(s.origin.Inc, st.Seq), Credit: windowBatches,
			})
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i, s := range sessions {
		h.post(s.down, acks[i])
	}
	return nil
}

// Life reads which database it is, and which life of it; a database that no hub
// has opened has neither.
func Life(r ledger.Reader) (id Identity, epoch uint64, err error) {
	b, err := ledger.Note(r, noteIdentity)
	if err != nil {
		return id, 0, err
	}
	copy(id[:], b)
	epoch, err = counter(r, noteEpoch)
	return id, epoch, err
}

// identify reads which database it is and names it the first time.
func identify(tx ledger.Tx, random func([]byte)) (id Identity, err error) {
	if id, _, err = Life(tx); err != nil || id != (Identity{}) {
		return id, err
	}
	random(id[:])
	return id, ledger.SetNote(tx, id[:], noteIdentity)
}

// Renewal says how a database goes on that was brought back from a backup.
type Renewal struct {
	Identity Identity // of the database that was lost
	Above    uint64   // the highest epoch that is known to have been used
	Now      time.Time
	// AcceptGaps lets agents go on that have forgotten events which the
	// database lacks; an operator has decided so.
	AcceptGaps bool
}

// Renew begins another life of a database that was brought back: its epoch is
// above every one that an agent may have seen, and so are the incs of its own
// streams.
func Renew(tx ledger.Tx, o Renewal) (epoch uint64, err error) {
	_, epoch, err = Life(tx)
	if err != nil {
		return 0, err
	}
	epoch = max(epoch+1, o.Above+1, uint64(max(o.Now.Unix(), 1)))
	if err := ledger.SetNote(tx, o.Identity[:], noteIdentity); err != nil {
		return 0, err
	}
	accept := uint64(0)
	if o.AcceptGaps {
		accept = 1
	}
	if err := setCounter(tx, noteAcceptGaps, accept); err != nil {
		return 0, err
	}
	return epoch, setCounter(tx, noteEpoch, epoch)
}

// GapsAccepted tells whether the operator who brought this database back has
// given up what no disk holds any more.
func GapsAccepted(r ledger.Reader) (bool, error) {
	accepted, err := counter(r, noteAcceptGaps)
	return accepted != 0, err
}
