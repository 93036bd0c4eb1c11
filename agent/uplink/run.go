package uplink

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// Options are what an uplink is made of.
type Options struct {
	Origin protocol.Origin
	Parent protocol.StreamPos
	Cause  ledger.ForkCause
	Build  string
	BootID uint64
	HubURL string
	// Dir is the folder in which snapshots are kept while they are fetched.
	Dir     string
	MQTTURL string // overrides what the hub's /v1/connect says
	Driver  ledger.Driver
	Clock   func() Instant
	// Applied is called after a Delta was committed, with that Delta.
	Applied func(*protocol.Delta)
	// Changed is called when Status would show something else. Neither
	// callback may block for long.
	Changed func()
	// Keys keep the keys of members; nil keeps none.
	Keys Keys
	Log  *slog.Logger
}

// Uplink runs the engine over a real connection. Nothing in it is ever waited
// for by a till.
type Uplink struct {
	o        Options
	engine   *Engine
	inputs   chan any
	appended chan struct{}
	work     chan any
	marks    chan Marks
	swept    chan struct{}   // rows are left to be swept
	asking   *http.Client    // for the broker's address
	fetching *http.Transport // for snapshots
	link     *Link

	mu     sync.Mutex
	status Status
}

// Status is what the uplink shows of itself.
type Status struct {
	Link        LinkStatus
	Ack, Safe   protocol.Seq
	Feeds       []FeedStatus
	OthersSafe  []protocol.StreamHead // of the store's other streams; not to be changed
	ClockOffset time.Duration
	HubHeard    bool          // since the process started, so that ClockOffset means something
	Heard       time.Duration // the running time at which it last was
}

// linkUp carries a new connection from the dialing goroutine to the loop.
type linkUp struct{ link *Link }

// ForkError ends Run: the hub holds other events of the stream than this
// machine does, so that a new one must be begun.
type ForkError struct{ Cause ledger.ForkCause }

func (e *ForkError) Error() string { return "the log must go on in a new stream: " + string(e.Cause) }

// ConnectTimeout bounds one attempt to reach the hub, name lookup included.
const connectTimeout = 8 * time.Second

// stateBehind is how many events of its store an agent folds one by one. It
// folds so many in a second or two, and keeps them; of a state that it fetches
// it gets no more than the newest events.
const stateBehind = 20_000

// NewUplink reads where an earlier run had come to.
func NewUplink(ctx context.Context, o Options) (*Uplink, error) {
	u := &Uplink{o: o, inputs: make(chan any, 64), appended: make(chan struct{}, 1), work: make(chan any, 64), marks: make(chan Marks, 1), swept: make(chan struct{}, 1), asking: newAskClient(), fetching: newTransport()}
	c := Config{
		Origin: o.Origin, Build: o.Build, BootID: o.BootID, Outbox: outbox{o.Driver, o.Origin}, Log: o.Log, Parent: o.Parent, Cause: o.Cause, StateBehind: stateBehind,
		Rand: rand.New(rand.NewPCG(o.BootID, binary.BigEndian.Uint64(o.Origin.Inc[:]))),
	}
	c.Keys = u.keysBeside
	err := o.Driver.View(ctx, func(r ledger.Reader) (err error) {
		marks, err := ReadMarks(r, o.Origin.Inc)
		if err != nil {
			return err
		}
		c.Acked, c.Safe, c.AckedEpoch = marks.Acked, marks.Safe, marks.AckedEpoch
		c.Follow, err = Followed(r, o.Origin.Store)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read uplink state: %w", err)
	}
	u.engine = New(c)
	u.publish()
	return u, nil
}

// Followed lists the feeds that the agent of a store reads. The price feed is
// known once the store record is here.
func Followed(r ledger.Reader, store protocol.StoreID) ([]ledger.Cursor, error) {
	feeds := []protocol.FeedID{protocol.StoreFeed(store), protocol.FeedCatalog, protocol.PeerFeed(store), protocol.MemberFeed(store)}
	record, err := ledger.ReadStore(r, store)
	if err != nil {
		return nil, err
	}
	if record != nil {
		feeds = append(feeds, protocol.PriceFeed(record.PriceZone))
	}
	list := make([]ledger.Cursor, 0, len(feeds))
	for _, f := range feeds {
		c, err := ledger.ReadCursor(r, f)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

// Appended tells that the log has grown. It never blocks.
func (u *Uplink) Appended() {
	select {
	case u.appended <- struct{}{}:
	default:
	}
}

// SetDisk reports the state of the disk to the hub.
func (u *Uplink) SetDisk(ctx context.Context, state string, free uint64) {
	select {
	case u.inputs <- Disk{State: state, Free: free}:
	case <-ctx.Done():
	}
}

// Status is safe for concurrent use.
func (u *Uplink) Status() Status {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.status
}

// Run keeps the link until ctx ends.
func (u *Uplink) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	if err := u.cleanSnapshots(ctx); err != nil {
		u.o.Log.Warn("old snapshots not cleaned up", "error", err)
	}
	var running sync.WaitGroup
	for range workersMax {
		running.Go(func() { u.worker(ctx) })
	}
	running.Go(func() { u.sweep(ctx) })
	running.Go(func() { u.keepMarks(ctx) })
	defer func() {
		if u.link != nil {
			u.link.Close()
		}
		cancel()
		running.Wait()
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var saved Marks
	var savedAt time.Duration
	for {
		var in any
		select {
		case <-ctx.Done():
			return nil
		case in = <-u.inputs:
		case <-u.appended:
			in = Appended{}
		case <-timer.C:
			in = Tick{}
		case m, ok := <-u.messages():
			if !ok {
				continue
			}
			in = received(m)
		case <-u.lost():
			u.link.Close()
			u.link, in = nil, Lost{}
		}
		if up, ok := in.(linkUp); ok {
			u.link, in = up.link, Dialed{}
		}
		now := u.o.Clock()
		outputs := u.engine.Step(now, in)
		// Whoever waits for what was applied does not wait for the wire.
		u.publish()
		for _, out := range outputs {
			if f, ok := out.(Fork); ok {
				return &ForkError{f.Cause}
			}
			u.do(ctx, out)
		}
		if m := u.engine.Marks(); saved != m && now.Mono-savedAt > time.Second {
			saved, savedAt = m, now.Mono
			select {
			case u.marks <- saved:
			default: // an earlier one is still being written; the next will do
				saved = Marks{}
			}
		}
		timer.Reset(max(u.engine.Next()-u.o.Clock().Mono, time.Millisecond))
	}
}

// received tells the hub's own topic from what is meant for this agent. Only a
// live message on the former is news: a retained one was there before.
func received(m Message) any {
	switch {
	case m.Topic != protocol.TopicHub:
		return Received{m.Payload}
	case m.Retained:
		return Tick{}
	}
	return HubStarted{}
}

func (u *Uplink) messages() <-chan Message {
	if u.link == nil {
		return nil
	}
	return u.link.Messages()
}

func (u *Uplink) lost() <-chan struct{} {
	if u.link == nil {
		return nil
	}
	return u.link.Done()
}

// publish makes the engine's state readable for others.
func (u *Uplink) publish() {
	s := Status{Link: u.engine.Link(), Feeds: u.engine.Feeds(), OthersSafe: u.engine.OthersSafe(), ClockOffset: u.engine.ClockOffset(), HubHeard: u.engine.HubHeard(), Heard: u.engine.Heard()}
	marks := u.engine.Marks()
	s.Ack, s.Safe = marks.Acked, marks.Safe
	u.mu.Lock()
	changed := u.status.Link != s.Link || u.status.Ack != s.Ack || !slices.Equal(u.status.Feeds, s.Feeds)
	u.status = s
	u.mu.Unlock()
	if changed {
		u.o.Changed()
	}
}

func (u *Uplink) do(ctx context.Context, out any) {
	switch out := out.(type) {
	case Connect:
		go u.connect(ctx)
	case Hangup:
		if u.link != nil {
			u.link.Close()
			u.link = nil
		}
	case Send:
		u.send(out.Message)
	case Subscribe:
		if link := u.link; link != nil {
			go func() {
				if err := link.Subscribe(protocol.TopicFeed(out.Feed)); err != nil {
					u.o.Log.Warn("feed topic not subscribed", "feed", out.Feed, "error", err)
				}
			}()
		}
	case Apply, Fetch, Reset, Lookup:
		u.work <- out
	}
}

func (u *Uplink) send(m protocol.Message) {
	payload, err := protocol.EncodeMessage(m)
	if err != nil {
		u.o.Log.Error("message cannot be encoded", "error", err)
		return
	}
	if u.link == nil {
		return
	}
	if err := u.link.Send(protocol.TopicUp(u.o.Origin.Store, u.o.Origin.Agent), payload); err != nil {
		u.o.Log.Debug("message not sent", "error", err)
	}
}

// connect dials and reports back to the loop.
func (u *Uplink) connect(ctx context.Context) {
	dialing, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	link, err := u.dial(dialing)
	var in any
	if err == nil {
		in = linkUp{link}
	} else {
		failed := DialFailed{Cause: CauseTimeout}
		var d *DialError
		if errors.As(err, &d) {
			failed = DialFailed{Cause: d.Cause, Refused: d.refused()}
		}
		u.o.Log.Debug("hub not reached", "cause", failed.Cause, "error", err)
		in = failed
	}
	select {
	case u.inputs <- in:
	case <-ctx.Done():
		if link != nil {
			link.Close()
		}
	}
}

func (u *Uplink) dial(ctx context.Context) (*Link, error) {
	broker := u.o.MQTTURL
	if broker == "" {
		var err error
		if broker, err = u.askBroker(ctx); err != nil {
			return nil, err
		}
	}
	o := u.o.Origin
	status := protocol.TopicStatus(o.Store, o.Agent)
	topics := []string{protocol.TopicDown(o.Store, o.Agent), protocol.TopicHub}
	for _, f := range u.Status().Feeds {
		topics = append(topics, protocol.TopicFeed(f.Feed))
	}
	return Dial(ctx, LinkOptions{
		URL: broker, ClientID: fmt.Sprintf("cp-%s-%016x", o.Agent, rand.Uint64()), Subscribe: topics,
		Will:  Will{Topic: status, Payload: protocol.EncodeStatus(protocol.Status{BootID: u.o.BootID})},
		Birth: protocol.EncodeStatus(protocol.Status{Online: true, BootID: u.o.BootID}),
		Log:   u.o.Log,
	})
}

// askBroker asks the hub for its broker's address.
func (u *Uplink) askBroker(ctx context.Context) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.o.HubURL+"/v1/connect", nil)
	if err != nil {
		return "", &DialError{CauseHubError, err}
	}
	resp, err := u.asking.Do(req)
	if err != nil {
		return "", &DialError{dialCause(ctx, err), err}
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		cause := CauseHubError
		if resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden {
			cause = CauseAuth
		}
		return "", &DialError{cause, fmt.Errorf("%w: %s", errHubAnswered, resp.Status)}
	}
	var answer struct {
		MQTTURL string `json:"mqtt_url"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(nil, resp.Body, 64<<10)).Decode(&answer); err != nil {
		return "", &DialError{CauseHubError, err}
	}
	return answer.MQTTURL, nil
}
