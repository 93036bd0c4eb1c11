package agent

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"counterpart/agent/api"
	"counterpart/agent/till"
	"counterpart/agent/uplink"
	"counterpart/protocol"

	"golang.org/x/sync/errgroup"
)

// Agent is one in-store machine's service.
type Agent struct {
	cfg     Config
	build   string
	log     *slog.Logger
	db      *database
	boot    uint64
	started time.Time
	till    *till.Till
	present atomic.Pointer[stream]
	changes *changes
	fed     chan struct{} // rows or events came down
	disk    *disk
	idle    []byte // idleHeapBytes of them
	keys    *memberKeys
	// heardBefore is when an earlier process last heard the hub, heardSaved when
	// this one last wrote that down; Unix milliseconds. The latter is upkeep's alone.
	heardBefore, heardSaved int64
	visitors                chan protocol.MemberID // who were looked up at a till and have their home elsewhere
}

const (
	shutdownTimeout = 3 * time.Second
	// idleHeapBytes are allocated and never touched, so that they take no
	// memory, but the collector counts them when it decides how far the heap may
	// grow before it works again. Without them it ran every twenty sales, and the
	// sale that it ran in took twice as long.
	idleHeapBytes = 8 << 20
)

// New opens the agent's database. Nothing listens or dials yet.
func New(ctx context.Context, cfg Config, build string, log *slog.Logger) (*Agent, error) {
	patterns, err := cfg.Check()
	if err != nil {
		return nil, err
	}
	db, err := openDatabase(ctx, cfg, log)
	if err != nil {
		return nil, err
	}
	a := &Agent{cfg: cfg, build: build, log: log, db: newDatabase(db), boot: bootID(), started: time.Now(), changes: newChanges(), fed: make(chan struct{}, 1), idle: make([]byte, idleHeapBytes), visitors: make(chan protocol.MemberID, visitorsMax)}
	a.disk = newDisk(cfg.Data, db, a.changes.Notify, log)
	if a.db.keys, err = openKeys(ctx, cfg, log); err != nil {
		return nil, errors.Join(err, a.db.Close())
	}
	a.keys = &memberKeys{a.db.keys}
	id, err := a.start(ctx)
	if protocol.CodeOf(err) == protocol.DiskFull {
		id, err = a.startFull(ctx, err)
	}
	if err == nil {
		err = errors.Join(a.readHeard(ctx), a.membersAnew(ctx))
	}
	if err == nil {
		err = a.openStream(ctx, id)
	}
	if err != nil {
		return nil, errors.Join(err, a.db.Close())
	}
	a.till = till.New(till.Options{
		Driver: selling{a.db, a.disk}, Origin: a.origin(), Series: id.Series, Forked: id.Cause != "", Boot: id.Boot, Patterns: patterns,
		Now: a.now, Mono: func() int64 { return time.Since(a.started).Milliseconds() },
		Acked:     func() protocol.Seq { return a.uplink().Status().Ack },
		Confirmed: a.confirmed, Online: a.online, Visit: a.visit, Birthday: a.birthday, Key: a.subjectKey, Changed: a.changes.Next, Appended: a.appended, Log: log,
	})
	return a, nil
}

func bootID() uint64 {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		panic(err) // crypto/rand does not fail on supported systems
	}
	return binary.BigEndian.Uint64(b[:])
}

func (a *Agent) clock() uplink.Instant {
	now := time.Now()
	return uplink.Instant{Mono: now.Sub(a.started), Wall: now}
}

// clockTolerance is how far the machine's clock may be off before the hub's
// time is preferred for dates.
const clockTolerance = 30 * time.Second

// now is the wall clock, corrected by the hub's where it was heard since the
// start and is far off.
func (a *Agent) now() time.Time {
	now := time.Now()
	if off := a.uplink().Status().ClockOffset; off.Abs() > clockTolerance {
		return now.Add(-off)
	}
	return now
}

func (a *Agent) appended() {
	a.uplink().Appended()
	a.changes.Notify()
}

// applied is told that a Delta came down and was committed.
func (a *Agent) applied(*protocol.Delta) {
	select {
	case a.fed <- struct{}{}:
	default:
	}
	a.changes.Notify()
}

// Run serves until ctx ends. ready is told the address of the local API. An
// error means that the process must end and be started again by its service.
func (a *Agent) Run(ctx context.Context, ready func(address string)) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", a.cfg.Listen)
	if err != nil {
		return errors.Join(fmt.Errorf("listen on %s: %w. Choose another address with --listen, or stop what uses this one", a.cfg.Listen, err), a.db.Close())
	}
	g, ctx := errgroup.WithContext(ctx)
	server := &http.Server{
		Handler: api.New(a.deps()), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
		BaseContext: func(net.Listener) context.Context { return ctx }, ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
	}
	g.Go(func() error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("local API: %w", err)
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
	g.Go(func() error { return a.keepLinked(ctx) })
	g.Go(func() error { return a.keepWitness(ctx) })
	g.Go(func() error { return a.upkeep(ctx) })
	g.Go(func() error { return a.follow(ctx) })
	g.Go(func() error { return a.unlockOrders(ctx) })
	g.Go(func() error { return a.compare(ctx) })
	g.Go(func() error { return a.receive(ctx) })
	g.Go(func() error {
		select {
		case <-a.db.Failed():
			return errors.New("the database could not be written; the process stops so that it is opened and checked anew")
		case <-a.db.keysFailed():
			return errors.New("the keys of personal fields could not be written; the process stops so that their file is opened and checked anew")
		case <-ctx.Done():
			return nil
		}
	})
	ready(listener.Addr().String())
	return errors.Join(g.Wait(), a.db.Close())
}

// follow does the agent's part of what came down: stock loads that this store's
// primary applies, counts of siblings, points that go back.
func (a *Agent) follow(ctx context.Context) error {
	again := time.NewTicker(upkeepEvery)
	defer again.Stop()
	for {
		if a.disk.stage() >= stageLow {
			// What waits costs nothing but room.
			select {
			case <-ctx.Done():
				return nil
			case <-again.C:
			}
			continue
		}
		if err := a.till.Settle(ctx); err != nil && ctx.Err() == nil {
			a.log.Error("price zone not settled", "error", err)
		}
		if err := a.till.ApplyLoads(ctx); err != nil && ctx.Err() == nil {
			a.log.Error("stock load not applied", "error", err)
		}
		if err := a.till.SeeCounts(ctx); err != nil && ctx.Err() == nil {
			a.log.Error("count of a sibling not noted", "error", err)
		}
		if err := a.till.SettleOrders(ctx); err != nil && ctx.Err() == nil {
			a.log.Error("cancellation of an order not answered", "error", err)
		}
		if err := a.till.GiveBack(ctx); err != nil && ctx.Err() == nil {
			a.log.Error("points not given back", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-a.fed:
		case <-again.C:
		}
	}
}
