package hub

import (
	"context"
	"slices"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// follower is one session's place in a feed.
type follower struct {
	cursor uint64   // as the agent last stated it
	sent   uint64   // up to where Deltas were sent
	flight []uint64 // where the Deltas on the way end, oldest first
	credit int      // how many may be on the way
}

const (
	creditDefault = 4
	// resyncBehind is how far a state feed's cursor may lag before a snapshot
	// is the shorter way.
	resyncBehind = 2000
	// announceDeltasMax bounds what one commit broadcasts of a feed; whoever
	// misses more asks for it.
	announceDeltasMax = 8
)

// mayFollow tells whether an agent may read a feed.
func mayFollow(o protocol.Origin, feed protocol.FeedID) bool {
	f, err := protocol.ParseFeed(feed)
	if err != nil {
		return false
	}
	return feed == protocol.FeedCatalog || feed == protocol.StoreFeed(o.Store) || feed == protocol.PeerFeed(o.Store) || feed == protocol.MemberFeed(o.Store) || f.Zone != ""
}

// verdicts answers the cursors of a Hello.
func (h *Hub) verdicts(ctx context.Context, s *session, m *protocol.Hello) ([]protocol.FeedVerdict, error) {
	var list []protocol.FeedVerdict
	err := h.view(ctx, func(r ledger.Reader) error {
		list = list[:0]
		for _, p := range m.Feeds {
			if !mayFollow(s.origin, p.Feed) {
				continue
			}
			head, err := ledger.FeedHead(r, p.Feed)
			if err != nil {
				return err
			}
			v := protocol.FeedVerdict{Feed: p.Feed, Epoch: h.Epoch(), Head: head, Verdict: protocol.VerdictTail}
			peer := p.Feed == protocol.PeerFeed(s.origin.Store)
			stale := p.Offset > 0 && p.Epoch != h.Epoch() || p.Offset > head
			if peer && (stale || p.Offset == 0) {
				if v.From, err = covered(r, m); err != nil {
					return err
				}
			}
			if stale || v.From > 0 || !peer && head-min(p.Offset, head) > resyncBehind {
				v.Verdict = protocol.VerdictResync
			} else {
				s.feeds[p.Feed] = &follower{cursor: p.Offset, sent: p.Offset, credit: creditDefault}
			}
			list = append(list, v)
		}
		return nil
	})
	return list, err
}

// covered is how far the store's event feed holds nothing but what the agent
// says that it holds. An agent that lists no streams is taken to hold nothing.
func covered(r ledger.Reader, m *protocol.Hello) (uint64, error) {
	if len(m.Streams) == 0 {
		return 0, nil
	}
	own := protocol.StreamHead{Agent: m.Agent, Inc: m.Inc, Seq: m.LastSeq, Hash: m.LastHash}
	return ledger.CoveredUpto(r, m.Store, append([]protocol.StreamHead{own}, m.Streams...))
}

// dack takes a cursor and sends what follows it. The same cursor twice, as well
// as Again, means that what was sent did not arrive.
func (h *Hub) dack(ctx context.Context, t protocol.Topic, m *protocol.Dack) error {
	h.mu.Lock()
	s, err := h.alive(t, m.Session)
	if err != nil || !mayFollow(s.origin, m.Feed) || m.Epoch != h.Epoch() && m.Offset > 0 {
		h.mu.Unlock()
		h.rebuff(t, m.Session)
		return nil
	}
	f := s.feeds[m.Feed]
	if f == nil || f.cursor == m.Offset || m.Offset > f.sent || m.Again {
		f = &follower{sent: m.Offset}
		s.feeds[m.Feed] = f
	}
	f.cursor, f.credit = m.Offset, int(max(1, min(m.Credit, 16)))
	f.flight = slices.DeleteFunc(f.flight, func(upto uint64) bool { return upto <= m.Offset })
	h.mu.Unlock()
	return h.pump(ctx, s, m.Feed)
}

func (h *Hub) pumpAll(ctx context.Context, s *session) error {
	h.mu.Lock()
	feeds := make([]protocol.FeedID, 0, len(s.feeds))
	for f := range s.feeds {
		feeds = append(feeds, f)
	}
	h.mu.Unlock()
	slices.Sort(feeds)
	for _, f := range feeds {
		if err := h.pump(ctx, s, f); err != nil {
			return err
		}
	}
	return nil
}

// pump sends Deltas to one follower until its credit or the feed ends. It
// always sends at least one answer, so that the agent learns the feed's head.
func (h *Hub) pump(ctx context.Context, s *session, feed protocol.FeedID) error {
	for first := true; ; first = false {
		h.mu.Lock()
		f := s.feeds[feed]
		if f == nil || len(f.flight) >= f.credit {
			h.mu.Unlock()
			return nil
		}
		from := f.sent
		h.mu.Unlock()
		var d *protocol.Delta
		err := h.view(ctx, func(r ledger.Reader) (err error) {
			d, err = ledger.ReadDelta(r, feed, h.Epoch(), from)
			return err
		})
		if err == nil {
			err = h.withKeys(ctx, d)
		}
		if err != nil {
			return err
		}
		if d.Upto == from && !first {
			return nil
		}
		h.mu.Lock()
		if s.feeds[feed] != f || f.sent != from {
			h.mu.Unlock()
			continue
		}
		f.sent = d.Upto
		if d.Upto > from {
			f.flight = append(f.flight, d.Upto)
		}
		h.mu.Unlock()
		d.Session = s.id
		h.post(s.down, d)
	}
}

// heads reads the last offsets of feeds.
func (h *Hub) heads(feeds []protocol.FeedID) ([]protocol.FeedPos, error) {
	slices.Sort(feeds)
	var list []protocol.FeedPos
	err := h.view(context.Background(), func(r ledger.Reader) error {
		list = list[:0]
		for _, f := range feeds {
			head, err := ledger.FeedHead(r, f)
			if err != nil {
				return err
			}
			list = append(list, protocol.FeedPos{Feed: f, Epoch: h.Epoch(), Offset: head})
		}
		return nil
	})
	return list, err
}

// announce broadcasts what a commit added to feeds that somebody follows; where
// the first of it is at hand, ready holds it. Whoever misses a broadcast sees the
// gap, or the head in the next Beat, and asks.
func (h *Hub) announce(ctx context.Context, grown map[protocol.FeedID]ledger.Growth, ready map[protocol.FeedID]*protocol.Delta) error {
	feeds := make([]protocol.FeedID, 0, len(grown))
	for f := range grown {
		feeds = append(feeds, f)
	}
	slices.Sort(feeds)
	for _, feed := range feeds {
		if err := h.announceFeed(ctx, feed, grown[feed], ready[feed]); err != nil {
			return err
		}
	}
	h.mu.Lock()
	h.notify()
	h.mu.Unlock()
	return nil
}

func (h *Hub) announceFeed(ctx context.Context, feed protocol.FeedID, g ledger.Growth, ready *protocol.Delta) error {
	if !h.followed(feed) {
		return nil
	}
	from, head := g.Before, g.Head
	if ready != nil && ready.After == from && ready.Upto > from {
		ready.Epoch = h.Epoch()
		if err := h.withKeys(ctx, ready); err != nil {
			return err
		}
		h.broadcast(ready)
		from = ready.Upto
	}
	for range announceDeltasMax {
		if from >= head {
			return nil
		}
		var d *protocol.Delta
		err := h.view(ctx, func(r ledger.Reader) (err error) {
			d, err = ledger.ReadDelta(r, feed, h.Epoch(), from)
			return err
		})
		if err != nil || d.Upto == from {
			return err
		}
		if err := h.withKeys(ctx, d); err != nil {
			return err
		}
		h.broadcast(d)
		from = d.Upto
	}
	return nil
}

// broadcast sends a Delta to all who follow its feed.
func (h *Hub) broadcast(d *protocol.Delta) {
	h.post(protocol.TopicFeed(d.Feed), d)
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.everySession() {
		if f := s.feeds[d.Feed]; f != nil && f.sent == d.After {
			f.sent = d.Upto
		}
	}
}

// followed tells whether anybody listens to a feed.
func (h *Hub) followed(feed protocol.FeedID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.everySession() {
		if s.online && s.feeds[feed] != nil {
			return true
		}
	}
	return false
}
