package till

import (
	"net/http"
	"strings"
	"sync"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/loyalty"
)

// remembered are the keys of calls that this agent answered in streams that it
// no longer writes. Its notes of them were lost with the disk that was restored
// or replaced, but their events came back and say what was answered. Machines
// that never forked have none.
type remembered struct {
	mu   sync.Mutex
	upTo map[protocol.Inc]protocol.Seq // how far each stream was looked at
	keys map[string]rememberedCall     // by route and key
}

type rememberedCall struct {
	sum   uint64
	event protocol.EventID
}

// answerFromEvents finds the event of a call in this agent's earlier streams
// and answers from it; nil where there is none.
func (a *act) answerFromEvents(sum uint64) (*protocol.Answer, error) {
	if a.call.Key == "" || !a.as.forked {
		return nil, nil
	}
	found, ok, err := a.memory.find(a.tx, a.origin(), a.call)
	if err != nil || !ok {
		return nil, err
	}
	if found.sum != sum && found.sum != 0 {
		return nil, errOtherBody()
	}
	e, ok, err := readLogged(a.tx, found.event)
	if err != nil || !ok {
		return nil, err
	}
	var doc any
	status := http.StatusCreated
	switch {
	case strings.HasPrefix(a.call.Route, OrderRoute):
		status = http.StatusOK
		doc, err = a.orderDocument(a.tx, orderOf(e.event), a.now)
	case e.event.Sale != nil:
		doc, err = a.saleDocument(a.tx, e)
	case e.event.Movement != nil:
		doc, err = a.movementDocument(a.tx, e)
	case e.event.Contact != nil:
		doc = Said{loyalty.EntryID{AtMs: e.clock.WallMs, Event: e.id}.String()}
	case e.event.Member != nil:
		doc = enrolled{e.id.String()}
	case e.event.ExceptionChange != nil:
		status = http.StatusOK
		doc, err = a.handledDocument(a.tx, e.event.ExceptionChange)
	default:
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return answerJSON(outcome{status, doc})
}

func (m *remembered) find(r ledger.Reader, own protocol.Origin, c protocol.Call) (rememberedCall, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	streams, err := ledger.Streams(r, own.Store, own.Agent)
	if err != nil {
		return rememberedCall{}, false, err
	}
	for _, s := range streams {
		if s.Origin.Inc == own.Inc || s.Seq <= m.upTo[s.Origin.Inc] {
			continue
		}
		if err := m.look(r, s); err != nil {
			return rememberedCall{}, false, err
		}
	}
	found, ok := m.keys[c.Route+"\n"+c.Key]
	return found, ok, nil
}

// look reads what is new of one stream. An event that cannot be read was never
// an answer of this version.
func (m *remembered) look(r ledger.Reader, s ledger.StreamInfo) error {
	if m.keys == nil {
		m.keys, m.upTo = map[string]rememberedCall{}, map[protocol.Inc]protocol.Seq{}
	}
	inc := s.Origin.Inc
	err := ledger.ScanEvents(r, inc, m.upTo[inc]+1, func(seq protocol.Seq, _ protocol.Hash, rec protocol.Record) (bool, error) {
		e, err := decodeLogged(protocol.EventID{Inc: inc, Seq: seq}, rec)
		if err != nil {
			return true, nil
		}
		if i := e.event.Idempotency; i != nil {
			m.keys[i.Route+"\n"+i.Key] = rememberedCall{sum: i.Body, event: e.id}
		}
		return true, nil
	})
	if err == nil {
		m.upTo[inc] = s.Seq
	}
	return err
}
