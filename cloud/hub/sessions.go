package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// An agent has one session for each stream that it writes: one, unless a disk
// was copied and both copies live. Each of those is heard, so that nothing that
// either sold is lost, and a person is told.

// everySession lists the open sessions; h.mu is held.
func (h *Hub) everySession() iter.Seq[*session] {
	return func(yield func(*session) bool) {
		for _, list := range h.sessions {
			for _, s := range list {
				if !yield(s) {
					return
				}
			}
		}
	}
}

// sessionOf is the session of a stream, nil where there is none; h.mu is held.
func (h *Hub) sessionOf(agent protocol.AgentID, inc protocol.Inc) *session {
	for _, s := range h.sessions[agent] {
		if s.origin.Inc == inc {
			return s
		}
	}
	return nil
}

// latest is the session of an agent that was heard last, nil where there is
// none; h.mu is held.
func (h *Hub) latest(agent protocol.AgentID) (last *session) {
	for _, s := range h.sessions[agent] {
		if last == nil || s.seen > last.seen {
			last = s
		}
	}
	return last
}

// setSession opens a session. It ends that of the same stream, that of the same
// process under an earlier stream, and what has long been silent; h.mu is held.
func (h *Hub) setSession(s *session) {
	list := slices.DeleteFunc(h.sessions[s.origin.Agent], func(old *session) bool {
		return old.origin.Inc == s.origin.Inc || old.bootID == s.bootID || s.seen-old.seen > alternationsWithin
	})
	h.sessions[s.origin.Agent] = append(list, s)
}

// twins are two machines that live under one name.
type twins struct {
	Store   protocol.StoreID `json:"store"`
	SinceMs int64            `json:"since_ms"`
	Incs    []string         `json:"incs"`
}

const noteTwins = "twins"

// noteTwin remembers that another machine than the one that opened the latest
// session of an agent still speaks; h.mu is held.
func (h *Hub) noteTwin(s *session) {
	for _, other := range h.sessions[s.origin.Agent] {
		if other == s || other.bootID == s.bootID || other.opened < s.opened || h.mono()-other.seen > offlineAfter {
			continue
		}
		h.addTwins(s.origin, s.origin.Inc, other.origin.Inc)
	}
}

// addTwins remembers streams whose machines share a name; h.mu is held.
func (h *Hub) addTwins(o protocol.Origin, incs ...protocol.Inc) {
	t := h.twins[o.Agent]
	before := len(t.Incs)
	for _, inc := range incs {
		if !slices.Contains(t.Incs, inc.String()) {
			t.Incs = append(t.Incs, inc.String())
		}
	}
	if len(t.Incs) == before {
		return
	}
	if t.SinceMs == 0 {
		t.Store, t.SinceMs = o.Store, h.now().UnixMilli()
	}
	slices.Sort(t.Incs)
	h.twins[o.Agent], h.newTwins = t, true
	h.log.Warn("two machines use one agent name", "agent", o.Agent, "store", o.Store)
	h.notify()
}

// saveTwins writes down what is new, so that a restart does not forget it.
func (h *Hub) saveTwins(ctx context.Context) error {
	h.mu.Lock()
	rows := map[protocol.AgentID]twins{}
	if h.newTwins {
		for id, t := range h.twins {
			rows[id] = t
		}
	}
	h.newTwins = false
	h.mu.Unlock()
	if len(rows) == 0 {
		return nil
	}
	err := h.driver.Update(ctx, func(tx ledger.Tx) error {
		for _, id := range slices.Sorted(maps.Keys(rows)) {
			b, err := json.Marshal(rows[id])
			if err != nil {
				return err
			}
			if err := ledger.SetNote(tx, b, noteTwins, string(id)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		h.mu.Lock()
		h.newTwins = true
		h.mu.Unlock()
	}
	return err
}

func (h *Hub) loadTwins(ctx context.Context) error {
	prefix := noteTwins + "\x00"
	return h.view(ctx, func(r ledger.Reader) error {
		return r.Scan(ledger.Notes, prefix, noteTwins+"\x01", func(id string, v []byte) (bool, error) {
			var t twins
			if err := json.Unmarshal(v, &t); err != nil {
				return false, fmt.Errorf("row %q: %w", id, err)
			}
			h.twins[protocol.AgentID(id[len(prefix):])] = t
			return true, nil
		})
	})
}

// exceptionIdentityTwice says that two machines use one agent name.
const exceptionIdentityTwice = "identity_twice"

// twinWork shows machines that share a name as work for a person.
func (h *Hub) twinWork() []ledger.WorkItem {
	h.mu.Lock()
	defer h.mu.Unlock()
	var items []ledger.WorkItem
	for id, t := range h.twins {
		items = append(items, ledger.WorkItem{
			ID: exceptionIdentityTwice + "-" + string(id), Kind: exceptionIdentityTwice, Store: t.Store, Subject: string(id),
			Refs: append([]string{string(id)}, t.Incs...), Times: uint64(len(t.Incs)), OpenedMs: t.SinceMs,
			Detail: fmt.Sprintf("Two machines of store %s use the name %s: a disk was copied, and both run. Everything that either sold is counted. Stop one of them and give it a name of its own.", t.Store, id),
		})
	}
	return items
}
