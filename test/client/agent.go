// Package client is a minimal agent that was written from docs/PROTOCOL.md
// alone. It shares no code with the programs: what it does not know, the page
// does not say. Its tests drive a real hub with it, to prove that the page is
// complete and that hub and page agree.
package client

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// Agent is one log with a connection to the hub.
type Agent struct {
	*Connection
	Log     *Log
	Version uint64
	Feeds   map[string]*Feed
	Session []byte
	Epoch   uint64
	nonce   uint64
}

// Start connects an agent that follows feeds from their start. It does not say
// Hello.
func Start(ctx context.Context, hub string, l *Log, feeds ...string) (*Agent, error) {
	c, err := Connect(ctx, hub, l.Stream, random(), feeds)
	if err != nil {
		return nil, err
	}
	a := &Agent{Connection: c, Log: l, Version: 1, Feeds: map[string]*Feed{}}
	for _, id := range feeds {
		a.Feeds[id] = NewFeed(id)
	}
	return a, nil
}

func random() uint64 {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		panic(err) // It does not fail on supported systems.
	}
	return binary.BigEndian.Uint64(b[:])
}

// RandomInc makes the name of a new log.
func RandomInc() Inc {
	var inc Inc
	binary.BigEndian.PutUint64(inc[:8], random())
	binary.BigEndian.PutUint64(inc[8:], random())
	return inc
}

func (f *Feed) position() fields {
	var p fields
	p.text(1, f.ID)
	p.uint(2, f.Epoch)
	p.uint(3, f.Offset)
	return p
}

// SayHello sends a Hello.
func (a *Agent) SayHello(ctx context.Context) error {
	a.nonce = random()
	head := a.Log.Hash(a.Log.Last())
	var f, clock fields
	f.uint(1, a.Version)
	f.text(2, "test-client")
	f.fixed64(3, a.nonce)
	f.text(5, a.Log.Store)
	f.text(6, a.Log.Agent)
	f.bytes(7, a.Log.Inc[:])
	f.fixed64(9, a.boot)
	f.uint(10, a.Log.Last())
	f.bytes(11, head[:])
	f.uint(12, 1)
	for _, feed := range a.Feeds {
		f.element(14, feed.position())
	}
	clock.sint(1, time.Now().UnixMilli())
	clock.sint(2, 1)
	f.element(15, clock)
	f.text(16, "ok")
	return a.Send(ctx, kindHello, f)
}

// Hello says Hello until the hub answers it, and returns its Welcome or Fence.
func (a *Agent) Hello(ctx context.Context) (Received, error) {
	for {
		if err := a.SayHello(ctx); err != nil {
			return Received{}, err
		}
		short, cancel := context.WithTimeout(ctx, 3*time.Second)
		in, err := a.answered(short)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			return in, err
		}
	}
}

func (a *Agent) answered(ctx context.Context) (Received, error) {
	for {
		in, err := a.Await(ctx, KindWelcome, KindFence)
		switch {
		case err != nil:
			return in, err
		case in.Kind == KindWelcome && in.Body.Uint(1) == a.nonce:
			a.Epoch, a.Session = in.Body.Uint(2), in.Body.Bytes(3)
			for _, v := range in.Body.List(10) {
				if feed := a.Feeds[v.Text(1)]; feed != nil {
					feed.Head = v.Uint(3)
				}
			}
			return in, nil
		case in.Kind == KindFence && in.Body.Uint(2) == a.nonce:
			return in, nil
		}
	}
}

// Await returns the next message of one of the kinds. Deltas and the own
// stretch of an Ack are applied on the way.
func (a *Agent) Await(ctx context.Context, kinds ...protowire.Number) (Received, error) {
	for {
		select {
		case <-ctx.Done():
			return Received{}, fmt.Errorf("no message of %v: %w", kinds, context.Cause(ctx))
		case in := <-a.inbox:
			if nonce := in.Body.Uint(2); in.Kind == KindFence && nonce != 0 && nonce != a.nonce {
				continue // Another machine under our name was refused.
			}
			if err := a.take(ctx, in); err != nil {
				return in, err
			}
			if slices.Contains(kinds, in.Kind) {
				return in, nil
			}
		}
	}
}

func (a *Agent) take(ctx context.Context, in Received) error {
	switch in.Kind {
	case KindAck:
		if run := in.Body.Inner(7); in.Body.Has(7) && a.Feeds[run.Text(1)] != nil {
			a.Feeds[run.Text(1)].Own(run)
		}
	case KindBeat:
		for _, p := range in.Body.List(6) {
			if feed := a.Feeds[p.Text(1)]; feed != nil {
				feed.Head = max(feed.Head, p.Uint(3))
			}
		}
	case KindDelta:
		feed := a.Feeds[in.Body.Text(2)]
		if feed == nil || in.Body.Uint(3) != a.Epoch || in.Body.Has(1) && string(in.Body.Bytes(1)) != string(a.Session) {
			return nil
		}
		err := feed.Apply(in.Body)
		if errors.Is(err, ErrGap) || err == nil && feed.Offset < feed.Head {
			return a.Dack(ctx, feed)
		}
		return err
	}
	return nil
}

// Dack states a feed's cursor and asks for what follows.
func (a *Agent) Dack(ctx context.Context, feed *Feed) error {
	var f fields
	f.bytes(1, a.Session)
	f.text(2, feed.ID)
	f.uint(3, a.Epoch)
	f.uint(4, feed.Offset)
	f.uint(5, 4)
	return a.Send(ctx, kindDack, f)
}

// Beat says that the agent is alive.
func (a *Agent) Beat(ctx context.Context) error {
	head := a.Log.Hash(a.Log.Last())
	var f fields
	f.bytes(1, a.Session)
	f.uint(2, a.Log.Last())
	f.bytes(3, head[:])
	f.sint(4, time.Now().UnixMilli())
	f.text(5, "ok")
	return a.Send(ctx, KindBeat, f)
}

// Batch is a Batch before it is encoded, so that a test can spoil it.
type Batch struct {
	Session  []byte
	Inc      Inc
	First    uint64
	Previous Hash
	Count    uint64
	Checksum uint32
	Frame    []byte
}

// Batch makes the Batch of count events from first on.
func (a *Agent) Batch(first, count uint64) (Batch, error) {
	frame, err := a.Log.Frame(first, count)
	return Batch{
		Session: a.Session, Inc: a.Log.Inc, First: first, Previous: a.Log.Hash(first - 1),
		Count: count, Checksum: Checksum(frame), Frame: frame,
	}, err
}

// SendBatch sends a Batch.
func (a *Agent) SendBatch(ctx context.Context, b Batch) error {
	var f fields
	f.bytes(1, b.Session)
	f.bytes(2, b.Inc[:])
	f.uint(3, b.First)
	f.bytes(4, b.Previous[:])
	f.uint(5, b.Count)
	f.fixed32(6, b.Checksum)
	f.bytes(7, b.Frame)
	return a.Send(ctx, kindBatch, f)
}
