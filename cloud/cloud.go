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
	broker *broker.Broker
	hub    *hub.Hub
	inbox  chan hub.Inbound
}

const (
	databaseBytesMax = 1 << 40
	shutdownTimeout  = 3 * time.Second
	// inboxMessages bounds what waits for the core. Beyond it payloads are
	// dropped; their senders send them again.
	inboxMessages = 256
	// gatherMessages and gatherBytes bound what one transaction takes in.
	gatherMessages = 256
	gatherBytes    = 4 << 20
)

// New opens the database and starts the broker.
func New(ctx context.Context, cfg Config, build string, log *slog.Logger) (*Cloud, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	db, err := bolt.Open(DatabasePath(cfg.Data), bolt.Options{Kind: "hub", SizeMax: databaseBytesMax, Log: log})
	if err != nil {
		return nil, err
	}
	c := &Cloud{cfg: cfg, build: build, log: log, db: db, inbox: make(chan hub.Inbound, inboxMessages)}
	started := time.Now()
	c.hub, err = hub.New(ctx, hub.Options{
		Driver: db, Currency: cfg.Currency, Now: time.Now, Mono: func() time.Duration { return time.Since(started) },
		Random: func(b []byte) {
			if _, err := rand.Read(b); err != nil {
				panic(err) // crypto/rand does not fail on supported systems
			}
		},
		Send: c.send, Log: log,
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	c.broker, err = broker.Start(ctx, broker.Options{
		Listen: cfg.MQTT, URL: cfg.Broker, DataDir: filepath.Join(cfg.Data, "broker"), InsecureDev: cfg.InsecureDev, Log: log,
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return c, nil
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
		return errors.Join(fmt.Errorf("listen on %s: %w. Choose another address with --listen, or stop what uses this one", c.cfg.Listen, err), c.db.Close())
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
	g.Go(func() error {
		select {
		case <-c.db.Failed():
			return errors.New("the database could not be written; the process stops so that it is opened and checked anew")
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
	return errors.Join(g.Wait(), c.db.Close())
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
			list = append(list[:0], in)
			size := len(in.Payload)
			for len(list) < gatherMessages && size < gatherBytes {
				select {
				case in := <-c.inbox:
					list, size = append(list, in), size+len(in.Payload)
					continue
				default:
				}
				break
			}
		}
		if err := c.hub.Receive(ctx, list); err != nil && ctx.Err() == nil {
			return fmt.Errorf("ingest: %w", err)
		}
	}
}
