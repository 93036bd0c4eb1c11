package hub

import (
	"context"
	"errors"
	"fmt"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// Inbound is a payload that came from the broker.
type Inbound struct {
	Topic   string
	Payload []byte
}

// Receive takes payloads in the order in which they came. Batches that follow
// each other are committed in one transaction and acknowledged after it. A
// payload that cannot be read is dropped and logged: what it carried is sent
// again. An error means that the database failed and the hub must stop.
func (h *Hub) Receive(ctx context.Context, list []Inbound) error {
	var run []*incoming
	flush := func() error {
		err := h.ingest(ctx, run)
		run = run[:0]
		return err
	}
	for _, in := range list {
		t, err := protocol.ParseTopic(in.Topic)
		if err != nil {
			h.log.Warn("payload on a foreign topic", "topic", in.Topic, "error", err)
			continue
		}
		if t.Leaf == protocol.LeafStatus {
			h.status(t, in.Payload)
			continue
		}
		m, err := protocol.DecodeMessage(in.Payload)
		if err != nil {
			h.log.Warn("payload cannot be read", "topic", in.Topic, "error", err)
			continue
		}
		if b, ok := m.(*protocol.Batch); ok {
			run = append(run, &incoming{topic: t, batch: b})
			continue
		}
		if err := flush(); err != nil {
			return err
		}
		if err := h.handle(ctx, t, m); protocol.CodeOf(err) == protocol.DiskFull {
			h.log.Error("the hub's disk is full", "error", err)
		} else if err != nil {
			return err
		}
	}
	if err := flush(); err != nil {
		return err
	}
	if err := h.saveTwins(ctx); err != nil && protocol.CodeOf(err) != protocol.DiskFull {
		return err
	}
	if err := h.saveSeen(ctx); protocol.CodeOf(err) != protocol.DiskFull {
		return err
	}
	return nil
}

func (h *Hub) handle(ctx context.Context, t protocol.Topic, m protocol.Message) error {
	switch m := m.(type) {
	case *protocol.Hello:
		return h.hello(ctx, t, m)
	case *protocol.Beat:
		return h.beat(ctx, t, m)
	case *protocol.Dack:
		return h.dack(ctx, t, m)
	case *protocol.Checkpoint:
		return h.checkpoint(ctx, t, m)
	}
	return nil
}

// incoming is a batch on its way into the ledger.
type incoming struct {
	topic     protocol.Topic
	batch     *protocol.Batch
	session   *session
	origin    protocol.Origin // whose stream it is: the session's, or one that it carries
	records   []protocol.Record
	res       ledger.Result       // without its events
	parts     []protocol.PartID   // of orders, which its new events are about
	sold      []soldLine          // to whoever walked in, by its new events
	back      []protocol.OrderID  // of which goods came back
	transfers []ledger.TransferAt // which its new events concern
	bought    []bought            // by members, by its new events
	offset    uint64              // of the store's event feed, after this batch
	err       error               // why it was not applied
}

var errFrame = errors.New("the frame is damaged")

// ingest commits a run of batches and answers each.
func (h *Hub) ingest(ctx context.Context, run []*incoming) error {
	ready := run[:0:0]
	for _, in := range run {
		if h.open(in) {
			ready = append(ready, in)
		}
	}
	if len(ready) == 0 {
		return nil
	}
	var short []ledger.ItemAt
	var grown map[protocol.FeedID]ledger.Growth
	var acts ownActs
	err := h.keepKeys(ctx, ready)
	if err == nil {
		err = h.driver.Update(ctx, func(tx ledger.Tx) (err error) {
			if short, grown, err = foldAll(tx, ready); err == nil {
				acts, err = h.takeFromCarts(tx, ready)
			}
			return err
		})
	}
	switch {
	case protocol.CodeOf(err) == protocol.DiskFull:
		// Nothing was committed and nothing is acknowledged: the agents keep
		// their events and send them again until there is room.
		h.log.Error("the hub's disk is full; events wait at the stores", "error", err)
		return nil
	case err != nil && len(ready) > 1:
		// One batch must not keep the others from their commit (I18).
		for _, in := range ready {
			if err := h.ingest(ctx, []*incoming{in}); err != nil {
				return err
			}
		}
		return nil
	case err != nil:
		// It is not acknowledged and comes again, ever more slowly. Should the
		// database itself have failed, the process is stopped by that.
		h.log.Error("events not taken in", "agent", ready[0].topic.Agent, "first", ready[0].batch.FirstSeq, "error", err)
		acts = ownActs{}
		if !h.givesUp(ready[0]) {
			return nil
		}
		if err := h.quarantine(ctx, ready[0]); err != nil {
			h.log.Error("events not set aside", "agent", ready[0].topic.Agent, "error", err)
			return nil
		}
	}
	h.noteOwn(acts)
	return h.committed(ctx, ready, short, acts.join(grown))
}

// committed tells everybody of a commit, in which the feeds of grown grew beyond
// what the batches brought.
func (h *Hub) committed(ctx context.Context, ready []*incoming, short []ledger.ItemAt, grown map[protocol.FeedID]ledger.Growth) error {
	carried := map[protocol.FeedID]*protocol.Delta{}
	for i, in := range ready {
		if in.err == nil && in.res.Applied > 0 {
			h.safety.note(in.origin, in.res.Stream.Seq)
			h.digested(in)
			h.countSold(in)
		}
		if in.err == nil && in.res.Applied > 0 && (in.carried() || h.shared(in.session)) {
			feed := protocol.PeerFeed(in.session.origin.Store)
			grown[feed] = grown[feed].Join(ledger.Growth{Before: in.offset - uint64(in.res.Applied), Head: in.offset})
			carried[feed] = in.passOn(carried[feed], feed)
		}
		h.answer(in, lastOf(ready[i:], in))
	}
	if err := h.announce(ctx, grown, carried); err != nil {
		return err
	}
	if err := h.settleTransfers(ctx, ready); err != nil {
		return err
	}
	if err := h.settleMembers(ctx, ready); err != nil {
		return err
	}
	if err := h.lendToTouched(ctx, ready); err != nil {
		return err
	}
	return h.settleTouched(ctx, ready, short)
}

// passOn adds the batch, packed as it came, to what its store's event feed has
// gained, so that nothing need be read back. The Delta ends before a batch that
// was not new as a whole, and before one of another place in the feed; d is nil
// before the first.
func (in *incoming) passOn(d *protocol.Delta, feed protocol.FeedID) *protocol.Delta {
	before := in.offset - uint64(in.res.Applied)
	if d == nil {
		d = &protocol.Delta{Feed: feed, After: before, Upto: before}
	}
	if d.Upto != before || in.res.Applied != len(in.records) || len(in.batch.Frame) == 0 {
		return d
	}
	size := len(in.batch.Frame)
	for i := range d.Events {
		size += len(d.Events[i].Frame)
	}
	if len(d.Events) > 0 && size > passedBytesMax {
		return d
	}
	d.Events = append(d.Events, protocol.PeerEvents{
		Origin: in.origin, FirstSeq: in.batch.FirstSeq, PrevHash: in.batch.PrevHash, Count: in.batch.Count, Frame: in.batch.Frame,
	})
	d.Upto = in.offset
	return d
}

// passedBytesMax bounds the Delta that is made of batches as they came.
const passedBytesMax = 96 << 10

// lastOf tells whether no later batch of the same session follows: one
// cumulative acknowledgement is enough.
func lastOf(rest []*incoming, in *incoming) bool {
	for _, other := range rest[1:] {
		if other.session == in.session && other.origin == in.origin && other.err == nil {
			return false
		}
	}
	return true
}

// open checks a batch's session and frame.
func (h *Hub) open(in *incoming) bool {
	b := in.batch
	h.mu.Lock()
	s, err := h.alive(in.topic, b.Session)
	h.mu.Unlock()
	if err != nil {
		h.rebuff(in.topic, b.Session)
		return false
	}
	in.session, in.origin = s, s.origin
	if b.Inc != s.origin.Inc {
		carried, ok := s.carries[b.Inc]
		if !ok {
			h.rebuff(in.topic, b.Session)
			return false
		}
		in.origin = carried
	}
	if protocol.FrameChecksum(b.Frame) == b.Checksum {
		in.records, err = protocol.DecodeFrame(b.Frame, b.Count)
	} else {
		err = errFrame
	}
	if err != nil {
		h.log.Warn("frame refused", "agent", in.topic.Agent, "first", b.FirstSeq, "error", err)
		h.refuseFrame(in)
		return false
	}
	return true
}

// refuseFrame asks again for a frame that could not be read. Of all that wait
// behind one that is missing only the first is told of: each answer sends its
// agent back over a whole window, so that two to a window would make ever more
// of them while nothing can be committed.
func (h *Hub) refuseFrame(in *incoming) {
	s, b, want := in.session, in.batch, h.want(in)
	if b.FirstSeq+protocol.Seq(b.Count) <= want {
		return // It is here, as another copy brought it.
	}
	if !in.carried() {
		h.mu.Lock()
		told := s.nackedWant == want && b.FirstSeq != want
		s.nackedWant = want
		h.mu.Unlock()
		if told {
			return
		}
	}
	h.post(s.down, &protocol.Nack{Session: s.id, Inc: b.Inc, Want: want, Reason: protocol.NackFrame})
}

// foldAll folds batches in one transaction and over one working set. short are the
// items that can no longer keep what is promised, grown the feeds of members that
// gained rows.
func foldAll(tx ledger.Tx, ready []*incoming) (short []ledger.ItemAt, grown map[protocol.FeedID]ledger.Growth, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic in the fold: %v", r)
		}
	}()
	group := ledger.NewGroup(tx)
	for _, in := range ready {
		if err := in.apply(group); err != nil {
			return nil, nil, err
		}
	}
	if err := group.Flush(); err != nil {
		return nil, nil, err
	}
	var touched []ledger.MemberAt
	for _, in := range ready {
		touched = append(touched, in.res.Members...)
	}
	grown, err = ledger.AppendMembers(tx, touched)
	return group.Short(), grown, err
}

// apply folds one batch; refusals are kept in in.err and do not hurt the other
// batches of the transaction.
func (in *incoming) apply(group *ledger.Group) error {
	in.err, in.res, in.parts, in.sold, in.transfers, in.bought, in.offset = nil, ledger.Result{}, nil, nil, nil, nil, 0
	o := in.origin
	res, err := group.Apply(ledger.Batch{Origin: o, First: in.batch.FirstSeq, Prev: in.batch.PrevHash, Records: in.records, Frame: in.batch.Frame})
	// The events of all batches of a transaction would take much memory.
	in.parts, in.sold, in.back, in.transfers, in.bought = partsOf(res.Events), walkIns(res.Events), returnedOrders(res.Events), res.Transfers, boughtIn(res.MemberSales)
	res.Events, res.MemberSales = nil, nil
	in.res = res
	var gap *ledger.GapError
	if errors.As(err, &gap) || errors.Is(err, ledger.ErrChain) {
		in.err = err
		return nil
	}
	if err != nil {
		return err
	}
	if res.Applied == 0 {
		return nil
	}
	in.offset, err = group.AppendPeer(o, res.Stream.Seq-protocol.Seq(res.Applied)+1, res.Applied)
	return err
}

// shared tells whether anybody but the sender follows its store's events.
func (h *Hub) shared(s *session) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.sharedLocked(s)
}

// answer acknowledges a batch after its commit, or says what is wanted.
func (h *Hub) answer(in *incoming, last bool) {
	s := in.session
	if in.carried() {
		h.answerCarried(in, last)
		return
	}
	if errors.Is(in.err, ledger.ErrChain) {
		h.log.Warn("events of another history refused", "agent", in.topic.Agent, "first", in.batch.FirstSeq)
		h.post(s.down, &protocol.Fence{
			Session: s.id, Reason: protocol.DuplicateIdentity, Action: protocol.FenceRetry, RetryAfterMs: uint32(retryRefused.Milliseconds()), Fork: true,
			Message: "The hub holds other events under these numbers. The store sells on and keeps everything. Two machines may be using one identity: stop the copy.",
		})
		return
	}
	var gap *ledger.GapError
	if errors.As(in.err, &gap) {
		h.mu.Lock()
		told := s.nackedWant == gap.Want
		s.nackedWant = gap.Want
		h.mu.Unlock()
		if !told {
			h.post(s.down, &protocol.Nack{Session: s.id, Inc: in.batch.Inc, Want: gap.Want, Reason: protocol.NackGap})
		}
		return
	}
	h.mu.Lock()
	s.cursor, s.nackedWant = in.res.Stream.Seq, 0
	s.lastSeq = max(s.lastSeq, s.cursor)
	h.noteCaughtUp(s, s.seenAt)
	h.brought(s, in.origin.Inc, s.cursor, false)
	s.noteOwnRun(in.offset, uint64(in.res.Applied))
	follows := s.feeds[protocol.PeerFeed(s.origin.Store)]
	if follows != nil && !h.sharedLocked(s) && in.res.Applied > 0 && follows.sent == in.offset-uint64(in.res.Applied) {
		// The sender has these events; there is nothing to send it.
		follows.sent = in.offset
	}
	h.mu.Unlock()
	if !last {
		return
	}
	ack := &protocol.Ack{Session: s.id, Inc: in.batch.Inc, Seq: in.res.Stream.Seq, Hash: in.res.Stream.Hash, Safe: h.safety.safe(in.batch.Inc, in.res.Stream.Seq), Credit: windowBatches}
	if s.ownUpto > 0 {
		ack.Own = &protocol.OwnRun{Feed: protocol.PeerFeed(s.origin.Store), Epoch: h.Epoch(), After: s.ownAfter, Upto: s.ownUpto}
	}
	h.post(s.down, ack)
}

// carried tells whether the batch is of another stream than the sender's own.
func (in *incoming) carried() bool { return in.origin != in.session.origin }

// want is the next event of the batch's stream.
func (h *Hub) want(in *incoming) protocol.Seq {
	if !in.carried() {
		return in.session.cursor + 1
	}
	here, err := h.streamOf(in.origin)
	if err != nil {
		h.log.Error("stream not read", "agent", in.origin.Agent, "error", err)
		return in.batch.FirstSeq
	}
	return here.Seq + 1
}

func (h *Hub) streamOf(o protocol.Origin) (s ledger.Stream, err error) {
	err = h.view(context.Background(), func(r ledger.Reader) error {
		s, err = ledger.ReadStream(r, o)
		return err
	})
	return s, err
}

// answerCarried answers for a stream that the sender carries for another. What
// does not fit is no fault of the sender's.
func (h *Hub) answerCarried(in *incoming, last bool) {
	s, inc := in.session, in.origin.Inc
	h.mu.Lock()
	h.brought(s, inc, in.res.Stream.Seq, errors.Is(in.err, ledger.ErrChain))
	h.mu.Unlock()
	var gap *ledger.GapError
	switch {
	case errors.Is(in.err, ledger.ErrChain):
		h.log.Warn("carried events are of another history", "agent", in.origin.Agent, "inc", inc, "first", in.batch.FirstSeq)
		h.post(s.down, &protocol.Nack{Session: s.id, Inc: inc, Reason: protocol.NackChain})
	case errors.As(in.err, &gap):
		h.post(s.down, &protocol.Nack{Session: s.id, Inc: inc, Want: gap.Want, Reason: protocol.NackGap})
	case last:
		if err := h.tellCursor(in.origin); err != nil {
			h.log.Error("stream not read", "agent", in.origin.Agent, "error", err)
		}
		h.post(s.down, &protocol.Ack{Session: s.id, Inc: inc, Seq: in.res.Stream.Seq, Hash: in.res.Stream.Hash, Safe: h.safety.safe(inc, in.res.Stream.Seq), Credit: windowBatches})
	}
}

// noteOwnRun lengthens the stretch of the store's event feed that holds this
// stream alone, or begins another.
func (s *session) noteOwnRun(upto, events uint64) {
	if events == 0 {
		return
	}
	if s.ownUpto != upto-events {
		s.ownAfter = upto - events
	}
	s.ownUpto = upto
}

func (h *Hub) sharedLocked(s *session) bool {
	feed := protocol.PeerFeed(s.origin.Store)
	for other := range h.everySession() {
		if other != s && other.online && other.feeds[feed] != nil {
			return true
		}
	}
	return false
}
