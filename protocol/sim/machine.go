package sim

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"counterpart/agent/uplink"
	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// machine is one store machine: its disk, the process over it, and the
// connection that it may have.
type machine struct {
	w        *world
	index    int
	origin   protocol.Origin
	identity ledger.Identity
	cause    ledger.ForkCause // of the first start on an empty disk
	witness  *witness
	copies   []copied // of the disk, from before
	// unaware says that the machine cannot know that it goes on from a copy.
	unaware bool
	disk    *disk
	process *process
	up      bool           // the process has started, and people can work
	engine  *uplink.Engine // nil while there is no link to keep
	clock   clock
	rnd     *rand.Rand
	staff   *staff
	secrets *rand.Rand  // of which keys and ids are made
	ring    uplink.Ring // the keys of the process; empty without members
	counter *counter    // nil without members
	bootID  uint64
	booted  time.Duration // running time

	connection  uint64 // 0: none
	connects    uint64
	subscribed  map[string]bool
	upFree      time.Duration
	downFree    time.Duration
	cutUntil    time.Duration // true time
	blockedUp   bool
	blockedDown bool
	hung        bool // a dial waits for the line to come back
	tries       int  // dials that fail at once before one hangs
	// halfway, if it is not nil, is called once, when the process has ended between
	// loading a snapshot of the catalogue and making it live.
	halfway func()
	tickAt  time.Duration
	lapsed  time.Duration // of the time that is skipped, what the till has seen pass
	saved   uplink.Marks
	savedAt time.Duration
}

func (w *world) addMachine(store protocol.StoreID, agent protocol.AgentID) {
	m := &machine{w: w, index: len(w.agents), rnd: w.source("machine " + string(agent)), secrets: w.source("secrets of " + string(agent)), clock: clock{w: w}, origin: protocol.Origin{Store: store, Agent: agent}}
	m.disk = w.newDisk(string(agent), m.index, w.plan.Machine.CommitCrash, w.plan.Machine.CommitFault)
	m.staff = newStaff(m)
	w.agents = append(w.agents, m)
	m.start()
}

// start begins a process over the machine's disk.
func (m *machine) start() {
	m.bootID, m.booted = m.rnd.Uint64(), m.w.now
	m.connection, m.hung, m.tickAt, m.tries = 0, false, 0, m.rnd.IntN(3)
	p := &process{disk: m.disk}
	p.died = func() { m.ended(time.Duration(m.rnd.Int64N(int64(30 * time.Second)))) }
	m.process = p
	m.staff.settleDoubt()
	if err := errors.Join(m.identify(), m.openKeys()); err != nil {
		m.stop(err)
		return
	}
	m.openCounter()
	m.w.tell("%s starts as %x", m.disk.name, m.origin.Inc[:4])
	m.up = true
	m.finishFork()
	if m.w.shop != nil {
		m.staff.look()
	}
}

// stop ends the process because of an error; its service starts another.
func (m *machine) stop(err error) {
	m.w.tell("%s stops: %v", m.disk.name, err)
	m.process.end()
}

// link makes the engine of the present stream.
func (m *machine) link() {
	follow, err := m.followed()
	var marks uplink.Marks
	if err == nil {
		err = m.process.View(m.w.ctx, func(r ledger.Reader) (err error) {
			marks, err = uplink.ReadMarks(r, m.origin.Inc)
			return err
		})
	}
	if err != nil {
		m.w.fail("%s does not start: %v", m.disk.name, err)
		return
	}
	m.engine = uplink.New(uplink.Config{
		Origin: m.origin, Build: "sim", BootID: m.bootID, Outbox: &outbox{Outbox: uplink.NewOutbox(m.process, m.origin), process: m.process}, Follow: follow, Keys: m.keysBeside,
		Parent: m.identity.Parent, Cause: m.identity.Cause, Acked: marks.Acked, Safe: marks.Safe, AckedEpoch: marks.AckedEpoch,
		Rand: rand.New(rand.NewPCG(m.rnd.Uint64(), 1)), Log: m.w.log,
	})
	m.saved = marks
	m.step(uplink.Tick{})
}

// keepMarks writes down, now and then, what the hub said of the own stream.
func (m *machine) keepMarks() {
	if marks := m.engine.Marks(); marks != m.saved && m.w.now-m.savedAt > time.Second {
		m.saved, m.savedAt = marks, m.w.now
		m.later(time.Millisecond, func() any {
			err := m.process.Update(m.w.ctx, func(tx ledger.Tx) error { return uplink.WriteMarks(tx, m.origin.Inc, marks) })
			switch {
			case err != nil:
				m.saved = uplink.Marks{}
			case m.w.plan.Machine.Trim && !m.process.ended:
				m.trim()
			}
			return nil
		})
	}
}

func (m *machine) followed() (list []ledger.Cursor, err error) {
	err = m.process.View(m.w.ctx, func(r ledger.Reader) (err error) {
		list, err = uplink.Followed(r, m.origin.Store)
		return err
	})
	return list, err
}

func (m *machine) running() bool { return m.up && !m.process.ended }

func (m *machine) instant() uplink.Instant {
	return uplink.Instant{Mono: m.w.now - m.booted, Wall: m.clock.wall()}
}

// step feeds the engine and carries out what it asks for.
func (m *machine) step(in any) {
	p, engine := m.process, m.engine
	if engine == nil {
		return
	}
	m.w.trace.mark('s', m.index, m.w.now, kindOf(in))
	if r, ok := in.(uplink.Received); ok {
		m.w.trace.bytes(r.Payload)
	}
	for _, out := range engine.Step(m.instant(), in) {
		if p.ended || m.engine != engine || m.w.err != nil {
			return
		}
		m.w.trace.mark('o', m.index, m.w.now, kindOf(out))
		m.do(out)
	}
	if p.ended || m.engine != engine {
		return
	}
	m.keepMarks()
	m.keepWitness()
	if next := m.booted + engine.Next(); m.tickAt <= m.w.now || next < m.tickAt {
		m.tickAt = max(next, m.w.now+time.Millisecond)
		at := m.tickAt
		m.w.timer(at, func() {
			if m.engine == engine && !p.ended && m.tickAt == at {
				m.tickAt = 0
				m.step(uplink.Tick{})
			}
		})
	}
}

// kindOf numbers the inputs and outputs of an engine for the trace.
func kindOf(v any) uint64 {
	switch v := v.(type) {
	case uplink.Tick:
		return 1
	case uplink.Dialed:
		return 2
	case uplink.DialFailed:
		return 3
	case uplink.Lost:
		return 4
	case uplink.Received:
		return 5
	case uplink.HubStarted:
		return 6
	case uplink.Appended:
		return 7
	case uplink.Applied:
		return 8 + v.Cursor.Offset<<8
	case uplink.Follow:
		return 9
	case uplink.Connect:
		return 10
	case uplink.Hangup:
		return 11
	case uplink.Send:
		return 12 + sentKind(v.Message)<<8
	case uplink.Subscribe:
		return 13
	case uplink.Apply:
		return 14 + v.Delta.Upto<<8
	case uplink.Fetch:
		return 15
	case uplink.Reset:
		return 16
	case uplink.Fork:
		return 17
	case uplink.Lookup:
		return 18
	}
	return 0
}

func sentKind(m protocol.Message) uint64 {
	switch m := m.(type) {
	case *protocol.Hello:
		return 1 + uint64(m.LastSeq)<<8
	case *protocol.Batch:
		return 2 + uint64(m.FirstSeq)<<8 + uint64(m.Count)<<40
	case *protocol.Beat:
		return 3 + uint64(m.LastSeq)<<8
	case *protocol.Dack:
		return 4 + m.Offset<<8
	}
	return 0
}

// later answers the engine after a delay, unless the process has ended.
func (m *machine) later(delay time.Duration, in func() any) {
	p := m.process
	m.w.after(delay, func() {
		if m.process != p || p.ended {
			return
		}
		if input := in(); input != nil && !p.ended {
			m.step(input)
		}
	})
}

func (m *machine) do(out any) {
	switch out := out.(type) {
	case uplink.Connect:
		m.later(5*time.Millisecond, m.connect)
	case uplink.Hangup:
		m.w.tell("%s hangs up", m.disk.name)
		m.disconnect()
	case uplink.Send:
		m.send(out.Message)
	case uplink.Subscribe:
		m.subscribed[protocol.TopicFeed(out.Feed)] = true
	case uplink.Apply:
		m.later(2*time.Millisecond, func() any { return m.apply(out) })
	case uplink.Fetch:
		m.later(50*time.Millisecond, func() any { return m.fetch(out) })
	case uplink.Reset:
		m.later(time.Millisecond, func() any { return uplink.ResetFeed(m.w.ctx, m.process, out) })
	case uplink.Lookup:
		m.later(time.Millisecond, func() any { m.keepLookup(out.Key); return nil })
	case uplink.Fork:
		m.forkSoon(out.Cause)
	}
}

func (m *machine) send(message protocol.Message) {
	payload, err := protocol.EncodeMessage(message)
	if err != nil {
		m.w.fail("%s: %v", m.disk.name, err)
		return
	}
	m.w.counts.Messages++
	m.w.trace.bytes(payload)
	if m.w.story != nil {
		m.w.tell("%s says %T %v", m.disk.name, message, sentKind(message)>>8)
	}
	m.w.broker.up(m, parcel{topic: protocol.TopicUp(m.origin.Store, m.origin.Agent), payload: payload, message: message})
}

// reachable tells whether a dial would succeed now.
func (m *machine) reachable() bool {
	return m.w.truth() >= m.cutUntil && !m.blockedUp && !m.blockedDown && !m.w.cloud.closed
}

// connect dials. The first dials over a dead line fail at once; then one hangs
// until the line is back, as dials do that nobody answers.
func (m *machine) connect() any {
	if m.engine == nil {
		return nil
	}
	if !m.reachable() {
		if m.tries == 0 {
			m.hung = true
			return nil
		}
		m.tries--
		return uplink.DialFailed{Cause: uplink.CauseRefused}
	}
	m.tries = m.rnd.IntN(3)
	m.connects++
	m.connection = m.connects
	m.upFree, m.downFree = 0, 0
	m.subscribed = map[string]bool{protocol.TopicDown(m.origin.Store, m.origin.Agent): true, protocol.TopicHub: true}
	for _, f := range m.engine.Feeds() {
		m.subscribed[protocol.TopicFeed(f.Feed)] = true
	}
	m.w.broker.status(m, true, m.bootID, 0)
	return uplink.Dialed{}
}

// wake lets a dial that hangs go on, if the line is back.
func (m *machine) wake() {
	if m.hung && m.engine != nil && m.running() && m.reachable() {
		m.hung = false
		m.later(time.Duration(m.rnd.Int64N(int64(50*time.Millisecond))), m.connect)
	}
}

// hubStarted tells the machine, if it is connected, that the hub is back.
func (m *machine) hubStarted() {
	m.wake()
	if m.connection == 0 || !m.running() || m.blockedDown {
		return
	}
	if m.engine == nil {
		return
	}
	connection := m.connection
	m.w.broker.carry(parcel{topic: protocol.TopicHub}, &m.downFree, func(p parcel) {
		if m.connection == connection && m.running() && p.payload == nil {
			m.step(uplink.HubStarted{})
		}
	})
}

func (m *machine) apply(out uplink.Apply) any {
	in := uplink.Applied{Feed: out.Delta.Feed, Err: m.keepKeys(out.Delta)}
	if in.Err == nil {
		in = uplink.ApplyDelta(m.w.ctx, m.process, out)
	}
	if in.Err != nil {
		m.w.tell("%s: delta of %s to %d: %v", m.disk.name, out.Delta.Feed, out.Delta.Upto, in.Err)
		return in
	}
	if out.Delta.Feed == protocol.StoreFeed(m.origin.Store) {
		m.refollow()
	}
	if out.First {
		in.Err = m.process.Update(m.w.ctx, func(tx ledger.Tx) error { return ledger.DropShadow(tx, out.Delta.Feed) })
	}
	m.staff.fed(out.Delta)
	return in
}

// fetch loads a snapshot straight from the hub, as the HTTP side would.
func (m *machine) fetch(job uplink.Fetch) any {
	in := uplink.Applied{Feed: job.Feed}
	if m.w.cloud.hub == nil || !m.reachable() {
		in.Err = errors.New("no route")
		return in
	}
	snap, err := m.w.cloud.hub.Snapshot(m.w.ctx, job.Feed)
	if err != nil {
		in.Err = fmt.Errorf("snapshot of %s: %w", job.Feed, err)
		return in
	}
	pos := protocol.FeedPos{Feed: snap.Feed, Epoch: snap.Epoch, Offset: snap.Offset}
	driver, then := ledger.Driver(m.process), m.halfway
	if then != nil && job.Feed == protocol.FeedCatalog && !m.w.quiet {
		driver, m.halfway = halfway{m.process, job.Feed}, nil
		defer then()
	}
	if body, s := bytes.NewReader(snap.Body), (uplink.Snapshot{FeedPos: pos, Sum: snap.SHA256}); m.ring.KeyRing != nil && job.Feed == protocol.MemberFeed(m.origin.Store) {
		in = uplink.LoadMembers(m.w.ctx, driver, m.ring, m.origin.Store, s, body, job.Tried)
	} else {
		in = uplink.LoadSnapshot(m.w.ctx, driver, s, body, job.Tried)
	}
	m.w.counts.Snapshots++
	if in.Err != nil {
		m.w.tell("%s: snapshot of %s: %v", m.disk.name, job.Feed, in.Err)
		return in
	}
	m.refollow()
	if m.w.shop != nil {
		m.staff.look()
	}
	m.later(20*time.Millisecond, m.sweep)
	return in
}

// sweep deletes rows that nobody reads any more, a step at a time.
func (m *machine) sweep() any {
	if more, err := uplink.SweepStep(m.w.ctx, m.process); more && err == nil {
		m.later(20*time.Millisecond, m.sweep)
	}
	return nil
}

// refollow tells the engine of the feeds that the store record names now.
func (m *machine) refollow() {
	m.later(0, func() any {
		list, err := m.followed()
		if err != nil {
			return nil
		}
		return uplink.Follow{Feeds: list}
	})
}

func (m *machine) received(p parcel) {
	if m.running() {
		m.step(uplink.Received{Payload: p.payload})
	}
}

// disconnect ends the connection without a word; the broker publishes the
// last will after a while.
func (m *machine) disconnect() {
	if m.connection != 0 {
		m.connection = 0
		m.w.broker.status(m, false, m.bootID, time.Duration(m.rnd.Int64N(int64(15*time.Second))))
	}
}

// drop loses the connection, and the machine notices.
func (m *machine) drop() {
	if m.connection != 0 {
		m.disconnect()
		m.later(time.Millisecond, func() any {
			if m.connection != 0 {
				return nil
			}
			return uplink.Lost{}
		})
	}
}

// cut takes the line away for a while.
func (m *machine) cut(d time.Duration) {
	m.w.tell("%s is cut off for %v", m.disk.name, d)
	m.cutUntil = max(m.cutUntil, m.w.truth()+d)
	m.drop()
	m.w.schedule(m.cutUntil-m.w.truth(), m.wake)
}

// oneWay blocks one direction for a while. If it lasts, the broker or the
// machine misses the other's signs of life and ends the connection.
func (m *machine) oneWay(d time.Duration) {
	up := m.rnd.IntN(2) == 0
	m.w.tell("%s: way up blocked %v, down %v for %v", m.disk.name, up, !up, d)
	m.blockedUp, m.blockedDown = up, !up
	if m.rnd.IntN(2) == 0 || d > 10*time.Minute {
		connection := m.connection
		m.w.schedule(15*time.Second, func() {
			if m.connection == connection && (m.blockedUp || m.blockedDown) {
				m.drop()
			}
		})
	}
	m.w.schedule(d, func() {
		m.blockedUp, m.blockedDown = false, false
		m.wake()
	})
}

// crash ends the process and starts another over the same disk.
func (m *machine) crash(down time.Duration) {
	if m.running() {
		m.w.tell("%s crashes", m.disk.name)
		m.w.counts.Crashes++
		m.process.ended = true
		m.ended(down)
	}
}

// ended is what follows the end of a process.
func (m *machine) ended(down time.Duration) {
	m.disconnect()
	m.engine, m.up, m.hung = nil, false, false
	p := m.process
	m.w.schedule(down, func() {
		if m.process == p {
			m.start()
		}
	})
}

// settled tells whether nothing is left to do for the machine, as far as it
// can: it has delivered and received everything, or waits for its line.
func (m *machine) settled() bool {
	if !m.up || m.hung {
		return true
	}
	if m.engine == nil || m.engine.Link().State != uplink.Online || m.w.cloud.hub == nil {
		return false
	}
	if m.engine.Marks().Acked != m.disk.watch.heads[m.origin.Inc].seq {
		return false
	}
	return m.w.cloud.atHead(m.engine.Feeds())
}

// atHead tells whether cursors stand at the ends of their feeds.
func (c *cloud) atHead(list []uplink.FeedStatus) bool {
	for _, f := range list {
		if f.State != "tail" || f.Behind > 0 || f.Offset != c.feedHead(f.Feed) {
			return false
		}
	}
	return true
}

// feedHead is the last offset of a feed, read once after each commit.
func (c *cloud) feedHead(feed protocol.FeedID) uint64 {
	if c.headsOf != c.disk.version {
		clear(c.heads)
		c.headsOf = c.disk.version
	}
	head, known := c.heads[feed]
	if !known {
		c.w.view(c.disk, func(r ledger.Reader) (err error) {
			head, err = ledger.FeedHead(r, feed)
			return err
		})
		c.heads[feed] = head
	}
	return head
}

// trim deletes own events that the hub has safely, as the machine's upkeep
// does, sooner. What an unnoticed copy has logged under the same ids is told
// apart only by whoever still has the events, for which two weeks are enough.
func (m *machine) trim() {
	if !m.running() || m.engine == nil || !m.engine.HubHeard() || m.unaware {
		return
	}
	safe := m.engine.Marks().Safe
	err := m.process.Update(m.w.ctx, func(tx ledger.Tx) error {
		_, err := ledger.TrimEvents(tx, m.origin.Inc, safe, 50)
		return err
	})
	m.w.tell("%s trims below %d: %v", m.disk.name, safe, err)
}
