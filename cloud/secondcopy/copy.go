// Package secondcopy keeps the hub's second copy: a file, meant for another
// device, that receives every event that the hub commits. What is synced there
// is safe, which means that agents may forget it. After the hub's own disk was
// lost, Restore brings back from the file what a backup does not hold.
//
// The copy follows the database: it is told how far each stream is committed
// and reads the events from there. So there is one way in for new events, for
// those of a hub that ran without a copy, and for those of a time in which the
// copy's disk was full. Nothing waits for the copy, and nothing but the copy
// depends on its disk.
package secondcopy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// ErrRefused says that a file is not the copy of this database, or knows more
// than it. Nothing was changed. It comes wrapped in a *protocol.Error.
var ErrRefused = errors.New("the second copy does not belong to this database as it is")

// tuning are the figures that tests set otherwise.
type tuning struct {
	// every is how often a copy that grows is synced, and Synced called, at
	// most.
	every time.Duration
	// roundBytes is how much is written before it is synced.
	roundBytes int64
	// tornBytes is how long the end may be that a crash has torn: what is
	// written between two syncs, with room to spare. Damage before that is the
	// disk's, and the file is kept for whoever wants to look into it.
	tornBytes int64
	open      func(path string) (file, error)
}

func tuned() tuning {
	return tuning{every: time.Second, roundBytes: 16 << 20, tornBytes: 64 << 20, open: openFile}
}

// Options say what is copied where.
type Options struct {
	Path   string
	ID     ID            // of the database
	Driver ledger.Driver // is only read
	// Epoch is the present life of the database, which each record names.
	Epoch func() uint64
	// Synced is told what has reached the disk: the last number of each stream
	// that grew. It is called once after Open, and then at most once a second.
	Synced func(context.Context, []protocol.StreamPos)
	Log    *slog.Logger
}

// Copy is an open second copy. It is safe for concurrent use.
type Copy struct {
	o    Options
	tune tuning
	wake chan struct{} // holds one token while somebody waits to be copied

	// f, end and last belong to whoever runs Run, or Close after it.
	f    file  // nil after the disk failed
	end  int64 // up to here the file is synced
	last int64 // where its last record begins, 0 for none

	mu      sync.Mutex
	streams map[protocol.Origin]*stream
	queue   []protocol.Origin // those that are behind, in the order in which they came
	news    []protocol.Origin // those that rose since Synced was called
	trouble *Trouble
}

// stream is how far a stream is committed, and how far the copy holds it.
type stream struct {
	head, synced protocol.Seq
	queued, news bool
}

// Trouble is why a copy does not follow.
type Trouble struct {
	Since time.Time
	Err   error
}

// State is how a copy is.
type State struct {
	Behind  uint64   // events that are committed and not yet synced here
	Trouble *Trouble // nil: none
}

// Open opens the copy of a database and makes it first when there is none. A
// file of another database, or one that holds events which the database lacks,
// is refused and left as it is. What a crash has torn off its end is cut away.
func Open(ctx context.Context, o Options) (*Copy, error) { return open(ctx, o, tuned()) }

func open(ctx context.Context, o Options, tune tuning) (*Copy, error) {
	c := &Copy{o: o, tune: tune, wake: make(chan struct{}, 1), streams: map[protocol.Origin]*stream{}}
	held, err := c.load(ctx)
	if err != nil {
		return nil, errors.Join(err, c.shut())
	}
	var infos []ledger.StreamInfo
	err = o.Driver.View(ctx, func(r ledger.Reader) (err error) {
		infos, err = ledger.AllStreams(r)
		return err
	})
	if err != nil {
		return nil, errors.Join(err, c.shut())
	}
	// The order is the database's, for what is copied anew as a whole is
	// replayed in this order.
	for _, info := range infos {
		s := &stream{head: info.Seq}
		if p := held[info.Origin]; p != nil {
			s.synced = p.seq
			c.rose(info.Origin, s)
		}
		c.streams[info.Origin] = s
		c.enqueue(info.Origin, s)
	}
	if behind := c.State().Behind; behind > 0 {
		o.Log.Info("the second copy catches up", "path", o.Path, "events", behind)
	}
	c.tell(ctx)
	return c, nil
}

// Committed says that a stream is committed up to a number. It never waits for
// the disk.
func (c *Copy) Committed(o protocol.Origin, upto protocol.Seq) {
	c.mu.Lock()
	s := c.streams[o]
	if s == nil {
		s = &stream{}
		c.streams[o] = s
	}
	s.head = max(s.head, upto)
	c.enqueue(o, s)
	c.mu.Unlock()
}

// enqueue has a stream copied that is behind; c.mu is held.
func (c *Copy) enqueue(o protocol.Origin, s *stream) {
	if s.queued || s.head <= s.synced {
		return
	}
	s.queued = true
	c.queue = append(c.queue, o)
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// rose notes that Synced is to be told of a stream; c.mu is held.
func (c *Copy) rose(o protocol.Origin, s *stream) {
	if !s.news {
		s.news = true
		c.news = append(c.news, o)
	}
}

// tell calls Synced with what rose.
func (c *Copy) tell(ctx context.Context) {
	c.mu.Lock()
	list := make([]protocol.StreamPos, 0, len(c.news))
	for _, o := range c.news {
		s := c.streams[o]
		s.news = false
		list = append(list, protocol.StreamPos{Inc: o.Inc, Seq: s.synced})
	}
	c.news = c.news[:0]
	c.mu.Unlock()
	if len(list) > 0 {
		c.o.Synced(ctx, list)
	}
}

// State tells how the copy is.
func (c *Copy) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	state := State{Trouble: c.trouble}
	for _, s := range c.streams {
		state.Behind += uint64(s.head - min(s.head, s.synced))
	}
	return state
}

// Close copies what is still waiting, as long as ctx allows, and closes the
// file. Run must have ended.
func (c *Copy) Close(ctx context.Context) error {
	var err error
	for more := c.f != nil; more && err == nil && ctx.Err() == nil; {
		more, err = c.round(ctx)
	}
	c.tell(ctx)
	if err = errors.Join(err, c.shut()); err != nil {
		return fmt.Errorf("second copy %s: %w", c.o.Path, err)
	}
	return nil
}

func (c *Copy) shut() error {
	if c.f == nil {
		return nil
	}
	err := c.f.Close()
	c.f = nil
	return err
}

func refuse(cause error, format string, args ...any) error {
	return &protocol.Error{Code: protocol.Conflict, Message: fmt.Sprintf(format, args...), Err: errors.Join(ErrRefused, cause)}
}
