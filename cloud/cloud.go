package cloud

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"counterpart/cloud/api"
	"counterpart/cloud/broker"
	"counterpart/cloud/hub"
	"counterpart/cloud/secondcopy"
	"counterpart/cloud/webhooks"
	"counterpart/protocol"
	"counterpart/protocol/ledger/bolt"

	"golang.org/x/sync/errgroup"
)

// Cloud is one hub process.
type Cloud struct {
	cfg    Config
	build  string
	log    *slog.Logger
	db     *bolt.DB
	keys   *bolt.Keys
	copy   *secondcopy.Copy // nil: there is none
	broker *broker.Broker
	hub    *hub.Hub
	hooks  *webhooks.Sender
	inbox  chan hub.Inbound
	idle   []byte // idleHeapBytes of them
}

const (
	databaseBytesMax = 1 << 40
	shutdownTimeout  = 3 * time.Second
	// inboxMessages bounds what waits for the core. Beyond it payloads are
	// dropped; their senders send them again.
	inboxMessages = 256
	// gatherMessages and gatherBytes bound what one transaction takes in. A
	// thousand events of many shops share the cost of a commit well enough, and
	// with more of them the working set outgrows the processor's memory.
	gatherMessages = 256
	gatherBytes    = 64 << 10
	// backlogBytes bound what it takes in of one agent. A shop's backlog comes
	// back to the same pages of levels, and the more of it shares a commit, the
	// more rarely each of them is written.
	backlogBytes = 512 << 10
	// idleHeapBytes are allocated and never touched, so that they take no
	// memory, but the collector counts them when it decides how far the heap may
	// grow before it works again. What a hub holds is little and what it
	// allocates for each event is much: without them a fifth of its time under
	// load went into collecting. A percentage would do the same for small hubs
	// and cost large ones several times their memory.
	idleHeapBytes = 48 << 20
)

// New opens the database and starts the broker.
func New(ctx context.Context, cfg Config, build string, log *slog.Logger) (*Cloud, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	if err := bolt.MakeFolder(cfg.Data); err != nil {
		return nil, err
	}
	o := bolt.Options{Kind: "hub", SizeMax: databaseBytesMax, Log: log}
	if len(cfg.Checker) > 0 {
		o.CheckUnclean = bolt.CheckApart(ctx, cfg.Checker[0], cfg.Checker[1:]...)
	}
	db, err := bolt.Open(DatabasePath(cfg.Data), o)
	if err != nil {
		return nil, err
	}
	c := &Cloud{cfg: cfg, build: build, log: log, db: db, inbox: make(chan hub.Inbound, inboxMessages), idle: make([]byte, idleHeapBytes)}
	if err := os.RemoveAll(c.passing()); err != nil {
		return nil, errors.Join(fmt.Errorf("data folder: %w", err), db.Close())
	}
	if c.keys, err = openKeys(ctx, cfg, o.CheckUnclean, log); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if err := c.open(ctx); err != nil {
		return nil, errors.Join(err, c.close(ctx))
	}
	return c, nil
}

// open makes the core over the database, the second copy behind it and the
// broker before it.
func (c *Cloud) open(ctx context.Context) (err error) {
	if err := c.compareWitness(ctx); err != nil {
		return err
	}
	started := time.Now()
	options := hub.Options{
		Driver: c.db, Currency: c.cfg.Currency, Now: time.Now, Mono: func() time.Duration { return time.Since(started) },
		Random: func(b []byte) {
			if _, err := rand.Read(b); err != nil {
				panic(err) // crypto/rand does not fail on supported systems
			}
		},
		Send: c.send, Log: c.log, Keys: c.keys.KeyRing,
	}
	if c.cfg.SecondCopy != "" {
		options.Committed = func(o protocol.Origin, upto protocol.Seq) { c.copy.Committed(o, upto) }
	}
	if c.hub, err = hub.New(ctx, options); err != nil {
		return err
	}
	if c.cfg.SecondCopy != "" {
		c.copy, err = secondcopy.Open(ctx, secondcopy.Options{
			Path: c.cfg.SecondCopy, ID: secondcopy.ID(c.hub.Identity()), Driver: c.db, Epoch: c.hub.Epoch, Synced: c.copied, Log: c.log,
		})
		if err != nil {
			return err
		}
	}
	if c.hooks, err = webhooks.Open(ctx, c.webhooks()); err != nil {
		return err
	}
	c.broker, err = broker.Start(ctx, broker.Options{
		Listen: c.cfg.MQTT, URL: c.cfg.Broker, DataDir: filepath.Join(c.cfg.Data, "broker"), InsecureDev: c.cfg.InsecureDev, Log: c.log,
	})
	return err
}

// copied tells the core what is safe now.
func (c *Cloud) copied(ctx context.Context, list []protocol.StreamPos) {
	if err := c.hub.Copied(ctx, list); err != nil && ctx.Err() == nil {
		c.log.Warn("agents were not told what is safe; they are with their next acknowledgement", "error", err)
	}
}

// close lets the second copy take what is still to be copied, and releases the
// files. The next start copies what there was no time for.
func (c *Cloud) close(ctx context.Context) error {
	if c.copy != nil {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		if err := c.copy.Close(stop); err != nil {
			c.log.Warn("the second copy is not complete; the next start completes it", "error", err)
		}
	}
	return errors.Join(c.keys.Close(), c.db.Close())
}

// openKeys opens the ring of people's keys. Machines of stores hold copies of
// what they need; the hub's is the only whole one, so it follows no machine, and
// one that cannot be read is never begun anew.
func openKeys(ctx context.Context, cfg Config, checkUnclean func(string) error, log *slog.Logger) (*bolt.Keys, error) {
	keys, err := bolt.OpenKeys(ctx, bolt.KeysOptions{Dir: cfg.Data, CheckUnclean: checkUnclean, Log: log})
	if err != nil || !keys.Locked() {
		return keys, err
	}
	refused := &protocol.Error{
		Code: protocol.Conflict,
		Message: "The file keys.salt in " + cfg.Data + " is not the one that keys.db beside it was written with, so nobody's personal fields can be read. Nothing of keys.db was changed. " +
			"Put the keys.salt in its place that was kept with this keys.db, then start again.",
		Err: ErrRefused,
	}
	return nil, errors.Join(refused, keys.Close())
}

func (c *Cloud) send(topic string, payload []byte, retain bool) {
	if err := c.broker.Publish(topic, payload, retain); err != nil {
		c.log.Debug("message not sent", "topic", topic, "error", err)
	}
}

// Run serves until ctx ends. ready is told the addresses; the broker's is empty
// when it is another process.
func (c *Cloud) Run(ctx context.Context, ready func(http, mqtt string)) error {
	defer c.broker.Close()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.cfg.Listen)
	if err != nil {
		return errors.Join(fmt.Errorf("listen on %s: %w. Choose another address with --listen, or stop what uses this one", c.cfg.Listen, err), c.close(ctx))
	}
	g, ctx := errgroup.WithContext(ctx)
	server := &http.Server{
		Handler: api.New(c.deps()), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		BaseContext: func(net.Listener) context.Context { return ctx }, ErrorLog: slog.NewLogLogger(c.log.Handler(), slog.LevelDebug),
	}
	g.Go(func() error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("HTTP API: %w", err)
		}
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		if err := server.Shutdown(stop); err != nil {
			return server.Close()
		}
		return nil
	})
	up := make(chan struct{})
	g.Go(func() error {
		if err := c.broker.Run(ctx, c.handlers(ctx, up)); ctx.Err() == nil {
			return fmt.Errorf("broker: %w", err)
		}
		return nil
	})
	g.Go(func() error { return c.ingest(ctx) })
	g.Go(func() error { return c.audit(ctx) })
	g.Go(func() error { return c.tick(ctx) })
	g.Go(func() error { return c.keepWitness(ctx) })
	g.Go(func() error { return c.hooks.Run(ctx) })
	if c.copy != nil {
		g.Go(func() error { return c.copy.Run(ctx) })
	}
	g.Go(func() error {
		select {
		case <-c.db.Failed():
			return errors.New("the database could not be written; the process stops so that it is opened and checked anew")
		case <-c.keys.Failed():
			return errors.New("the keys of personal fields could not be written; the process stops so that their file is opened and checked anew")
		case <-ctx.Done():
			return nil
		}
	})
	mqtt := ""
	if c.cfg.Broker == "embedded" {
		mqtt = c.broker.Addr()
		select {
		case <-up:
		case <-ctx.Done():
		}
	}
	ready(listener.Addr().String(), mqtt)
	return errors.Join(g.Wait(), c.close(ctx))
}

func (c *Cloud) handlers(ctx context.Context, up chan struct{}) broker.Handlers {
	first := true
	return broker.Handlers{
		Filters: []string{protocol.FilterUp, protocol.FilterStatus},
		Up: func() {
			c.log.Info("broker reached", "url", c.broker.URL())
			c.send(protocol.TopicHub, fmt.Appendf(nil, `{"epoch":"%d"}`, c.hub.Epoch()), true)
			if first {
				close(up)
				first = false
			}
		},
		Down: func(cause error) {
			if ctx.Err() == nil {
				c.log.Warn("broker lost", "error", cause)
			}
		},
		Message: func(topic string, payload []byte, _ bool) {
			select {
			case c.inbox <- hub.Inbound{Topic: topic, Payload: payload}:
			case <-ctx.Done():
			}
		},
	}
}

// ingest hands the core whatever waits, so that many agents share a commit and
// a single one is not kept waiting.
func (c *Cloud) ingest(ctx context.Context) error {
	var list []hub.Inbound
	for {
		select {
		case <-ctx.Done():
			return nil
		case in := <-c.inbox:
			list = c.gather(append(list[:0], in))
		}
		if err := c.hub.Receive(ctx, list); err != nil && ctx.Err() == nil {
			return fmt.Errorf("ingest: %w", err)
		}
	}
}

// gather adds what waits to the first message.
func (c *Cloud) gather(list []hub.Inbound) []hub.Inbound {
	size, bound := len(list[0].Payload), backlogBytes
	for len(list) < gatherMessages && size < bound {
		select {
		case in := <-c.inbox:
			if in.Topic != list[0].Topic {
				bound = gatherBytes
			}
			list, size = append(list, in), size+len(in.Payload)
		default:
			return list
		}
	}
	return list
}
