package hub

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

const noteSecret = "stream-secret"

// secret reads the key that marks the hub's own streams; it is made once. It is
// kept with the database and its backups and never leaves them.
func secret(tx ledger.Tx, random func([]byte)) ([]byte, error) {
	b, err := ledger.Note(tx, noteSecret)
	if err != nil || len(b) > 0 {
		return append([]byte(nil), b...), err
	}
	b = make([]byte, 32)
	random(b)
	return b, ledger.SetNote(tx, b, noteSecret)
}

// ownStream is the hub's own stream of a store in this life of the process. Each
// start begins others: a database that was put back unnoticed, by hand or with an
// image of the machine, never goes on with a number that stands for something else
// at an agent.
func (h *Hub) ownStream(store protocol.StoreID) protocol.Inc {
	h.mu.Lock()
	defer h.mu.Unlock()
	inc, ok := h.streams[store]
	if !ok {
		inc = h.newOwnInc(store)
		h.streams[store] = inc
	}
	return inc
}

// The parts of the inc of an own stream: the epoch and the number of the start,
// big-endian, then random bits, then the mark.
const (
	ownEpochBytes = 5
	ownBootBytes  = 3
	ownMarkFrom   = 11
)

// newOwnInc makes the inc of an own stream. It begins with the epoch and the start
// of the process, so that streams of later lives sort behind those of earlier
// ones: of two that changed one row of the catalogue the later has the last word,
// also when a replay or a new second copy takes streams in the order of their
// incs. The mark proves that the hub made it, so that a stream which the hub has
// forgotten, because it was restored from an older copy, is known again when an
// agent carries it back, and nobody can make up one.
func (h *Hub) newOwnInc(store protocol.StoreID) (inc protocol.Inc) {
	h.putLife(&inc)
	h.random(inc[ownEpochBytes+ownBootBytes : ownMarkFrom])
	copy(inc[ownMarkFrom:], h.ownMark(store, inc))
	return inc
}

// putLife writes the epoch and the number of the start.
func (h *Hub) putLife(inc *protocol.Inc) {
	var number [8]byte
	binary.BigEndian.PutUint64(number[:], h.Epoch())
	copy(inc[:ownEpochBytes], number[8-ownEpochBytes:])
	binary.BigEndian.PutUint64(number[:], uint64(h.boot))
	copy(inc[ownEpochBytes:], number[8-ownBootBytes:])
}

func (h *Hub) ownMark(store protocol.StoreID, inc protocol.Inc) []byte {
	mac := hmac.New(sha256.New, h.secret)
	mac.Write([]byte(store + "\n"))
	mac.Write(inc[:ownMarkFrom])
	return mac.Sum(nil)[:len(inc)-ownMarkFrom]
}

func (h *Hub) madeHere(o protocol.Origin) bool {
	return hmac.Equal(o.Inc[ownMarkFrom:], h.ownMark(o.Store, o.Inc))
}

// renew begins another epoch, because an agent was told more by this one than
// the database holds: somebody put an older copy in its place. Every session
// ends and the own streams begin anew.
func (h *Hub) renew(ctx context.Context, seen uint64) error {
	var epoch uint64
	err := h.driver.Update(ctx, func(tx ledger.Tx) (err error) {
		accepted, err := GapsAccepted(tx)
		if err != nil {
			return err
		}
		epoch, err = Renew(tx, Renewal{Identity: h.identity, Above: seen, Now: h.now(), AcceptGaps: accepted})
		return err
	})
	if err != nil {
		return err
	}
	h.log.Error("the database is older than what agents were told; it was put in the place of a newer one. What agents hold comes back now", "epoch", epoch)
	h.mu.Lock()
	h.epoch.Store(epoch)
	clear(h.sessions)
	clear(h.streams)
	h.awaitAgents()
	h.notify()
	h.mu.Unlock()
	h.send(protocol.TopicHub, fmt.Appendf(nil, `{"epoch":"%d"}`, epoch), true)
	return nil
}

// ofThisEpoch tells whether the hub made a stream in the present epoch.
func (h *Hub) ofThisEpoch(o protocol.Origin) bool {
	var now protocol.Inc
	h.putLife(&now)
	return h.madeHere(o) && bytes.Equal(o.Inc[:ownEpochBytes], now[:ownEpochBytes])
}

// streamsCarriedMax bounds the streams of others that one agent may carry in a
// session.
const streamsCarriedMax = 256

// wants says which of the streams that an agent holds the hub lacks events of,
// and lets the session carry them.
func (h *Hub) wants(ctx context.Context, s *session, m *protocol.Hello) (list []protocol.StreamPos, err error) {
	err = h.view(ctx, func(r ledger.Reader) error {
		list, s.carries = nil, nil
		for _, head := range m.Streams[:min(len(m.Streams), streamsCarriedMax)] {
			o := protocol.Origin{Store: m.Store, Agent: head.Agent, Inc: head.Inc}
			here, err := ledger.ReadStream(r, o)
			if err != nil {
				return err
			}
			if head.Seq <= here.Seq || head.Inc == m.Inc || o.Agent == protocol.HubAgent && here.Seq == 0 && !h.madeHere(o) {
				continue
			}
			if s.carries == nil {
				s.carries = map[protocol.Inc]protocol.Origin{}
			}
			s.carries[o.Inc] = o
			list = append(list, protocol.StreamPos{Inc: o.Inc, Seq: here.Seq + 1})
		}
		return nil
	})
	return list, err
}
