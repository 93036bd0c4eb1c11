package ledger

import (
	"counterpart/protocol"
	"counterpart/protocol/stock"
)

// Group applies the batches of one transaction over one working set, and puts
// them on feeds: what several of them touch is loaded, decoded and written once,
// and all rows are written together in the order of their keys. Until Flush the
// transaction shows little of it. After an error other than a refusal, which are
// GapError and ErrChain, the transaction must not be committed.
type Group struct {
	set   *set
	peers map[protocol.FeedID]*growing
	order []*growing
	short []ItemAt
}

// ItemAt is an item in a store.
type ItemAt struct {
	Store protocol.StoreID
	SKU   protocol.SKU
}

// Short are the items that the transaction touched and whose goods no longer
// cover what is promised of them. Only Flush finds them.
func (g *Group) Short() []ItemAt { return g.short }

// growing is an event feed that gains events. Its row that is not yet put
// stands at the head.
type growing struct {
	feed   protocol.FeedID
	head   *feedHead
	before uint64 // the head before the transaction
	row    peerRow
}

// NewGroup begins with an empty working set. Nothing but the Group may write to
// tx before Flush.
func NewGroup(tx Tx) *Group {
	return &Group{set: newSet(tx), peers: map[protocol.FeedID]*growing{}}
}

// Apply is the function of that name, but for writing what changed.
func (g *Group) Apply(b Batch) (Result, error) {
	res, err := apply(g.set, b)
	res.Stream.registers = nil // the set goes on changing them
	return res, err
}

// AppendPeer is the function of that name, but for writing what changed.
func (g *Group) AppendPeer(o protocol.Origin, first protocol.Seq, count int) (uint64, error) {
	feed := protocol.PeerFeed(o.Store)
	p := g.peers[feed]
	if p == nil {
		key := feedHeadKey(feed)
		if err := g.set.load([]Key{key}); err != nil {
			return 0, err
		}
		head, err := change(g.set, key, decodeFeedHead)
		if err != nil {
			return 0, err
		}
		p = &growing{feed: feed, head: head, before: head.offset}
		g.peers[feed] = p
		g.order = append(g.order, p)
	}
	if len(p.row.runs) >= packRunsMax {
		p.put(g.set)
	}
	p.row.add(peerRun{origin: o, first: first, count: uint64(count)})
	p.head.offset += uint64(count)
	return p.head.offset, nil
}

// put stores the feed's row.
func (p *growing) put(s *set) {
	if len(p.row.runs) > 0 {
		s.putFresh(feedKey(p.feed, p.head.offset), p.row.Encode())
		p.row = peerRow{}
	}
}

// Flush writes what changed, and packs the event feeds that have grown enough.
// It ends the Group.
func (g *Group) Flush() error {
	for _, p := range g.order {
		p.put(g.set)
	}
	for _, c := range g.set.order {
		level, ok := c.agg.(*stock.Level)
		if !ok || !c.dirty || level.Short() == 0 {
			continue
		}
		names, err := split(c.key.ID, 2)
		if err != nil {
			return err
		}
		g.short = append(g.short, ItemAt{protocol.StoreID(names[0]), protocol.SKU(names[1])})
	}
	if err := g.set.flush(); err != nil {
		return err
	}
	for _, p := range g.order {
		if p.before/packEvery == p.head.offset/packEvery {
			continue
		}
		if err := packPeer(g.set.tx, p.feed); err != nil {
			return err
		}
	}
	return nil
}
