package uplink

import (
	"context"
	"errors"
	"fmt"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// triesMax is how often a step of a feed is tried before it is taken apart and
// what fails of it is set aside (I18).
const triesMax = 3

// Tried says what is known of a job from before.
type Tried struct {
	// First says that it is the first job of its feed since the process
	// started: an earlier process may have ended in it.
	First bool
	// Failures is how often it failed since then.
	Failures int
}

// step is one step of a feed: a Delta, or part of a snapshot.
type step struct {
	Tried
	driver ledger.Driver
	delta  *protocol.Delta
	shadow bool
	// place reads where the step begins: how far the feed is applied.
	place func(ledger.Reader) (uint64, error)
	// apply and setAside carry out the step, or a piece of it, and move the
	// feed past it.
	apply    func(ledger.Tx, *protocol.Delta) error
	setAside func(tx ledger.Tx, d *protocol.Delta, reason string) error

	attempt ledger.Attempt
	aside   int // pieces set aside
}

// run carries out the step. As long as nothing speaks against it, it costs one
// transaction and leaves no note.
func (s *step) run(ctx context.Context) error {
	if !s.First && s.Failures == 0 {
		return s.try(ctx, s.delta, false)
	}
	crashed, err := s.note(ctx)
	if err != nil {
		return err
	}
	if crashed || s.attempt.Tries > triesMax {
		return s.apart(ctx, crashed)
	}
	return s.try(ctx, s.delta, true)
}

// note writes down that the step is about to be tried, and tells whether an
// earlier process ended while it tried the same.
func (s *step) note(ctx context.Context) (crashed bool, err error) {
	err = s.driver.Update(ctx, func(tx ledger.Tx) error {
		at, err := s.place(tx)
		if err != nil {
			return err
		}
		old, err := ledger.ReadAttempt(tx, s.delta.Feed)
		if err != nil {
			return err
		}
		a := ledger.Attempt{Epoch: s.delta.Epoch, After: at, Shadow: s.shadow}
		if old.Tries > 0 && old.Epoch == a.Epoch && old.After == a.After && old.Shadow == a.Shadow {
			a = old
		}
		crashed = s.First && s.Failures == 0 && a.Tries > 0
		a.Tries = max(a.Tries, uint64(s.Failures)) + 1
		s.attempt = a
		return ledger.WriteAttempt(tx, s.delta.Feed, a)
	})
	return crashed, err
}

// try carries out a piece in one transaction. A panic is an error like another.
func (s *step) try(ctx context.Context, piece *protocol.Delta, noted bool) error {
	return s.driver.Update(ctx, func(tx ledger.Tx) error {
		if err := caught(func() error { return s.apply(tx, piece) }); err != nil || !noted {
			return err
		}
		return ledger.WriteAttempt(tx, piece.Feed, ledger.Attempt{})
	})
}

// caught makes an error of a panic in the fold, but for a fault of memory, which
// is the driver's to judge.
func caught(fn func() error) (err error) {
	defer func() {
		r := recover()
		if _, fault := r.(interface{ Addr() uintptr }); fault {
			panic(r)
		}
		if r != nil {
			err = fmt.Errorf("panic in the fold: %v", r)
		}
	}()
	return fn()
}

// poisonous tells whether an error speaks against what was applied, and not
// against the moment at which it was.
func poisonous(err error) bool {
	return err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) &&
		!errors.Is(err, ledger.ErrFeedGap) && protocol.CodeOf(err) != protocol.DiskFull
}

// stepError is a failure that speaks against the step itself.
type stepError struct{ error }

func (e *stepError) Unwrap() error { return e.error }

// blame tells the engine whether an error speaks against the step.
func blame(err error) error {
	if poisonous(err) {
		return &stepError{err}
	}
	return err
}

// apart carries out the step piece by piece and sets aside what fails alone.
// Each piece is noted before it is tried, so that one which ends the process is
// found, and in the end not tried any more.
func (s *step) apart(ctx context.Context, crashed bool) error {
	list, err := pieces(s.delta, s.attempt.After)
	if err != nil {
		return err
	}
	before := s.attempt
	done := s.attempt.After
	for _, p := range list {
		if p.delta.Upto <= done && done > s.attempt.After {
			continue // set aside with the rest of its run
		}
		tries := uint64(0)
		if crashed && before.Piece == p.delta.Upto {
			tries = before.PieceTries
		}
		if tries+1 >= triesMax {
			err = s.skip(ctx, p.delta, "the process ended each time while it was being applied")
		} else {
			err = s.alone(ctx, p, tries+1, &done)
		}
		if err != nil {
			return err
		}
		done = max(done, p.delta.Upto)
	}
	return s.driver.Update(ctx, func(tx ledger.Tx) error { return ledger.WriteAttempt(tx, s.delta.Feed, ledger.Attempt{}) })
}

// alone tries one piece.
func (s *step) alone(ctx context.Context, p piece, tries uint64, done *uint64) error {
	err := s.driver.Update(ctx, func(tx ledger.Tx) error {
		at, err := s.place(tx)
		if err != nil {
			return err
		}
		a := s.attempt
		a.After, a.Piece, a.PieceTries = at, p.delta.Upto, tries
		return ledger.WriteAttempt(tx, s.delta.Feed, a)
	})
	if err != nil {
		return err
	}
	err = s.try(ctx, p.delta, false)
	var gap *ledger.GapError
	switch {
	case err == nil || !poisonous(err):
		return err
	case p.run != nil && (errors.As(err, &gap) || errors.Is(err, ledger.ErrChain)):
		// Nothing that follows in the run can be applied either.
		*done = p.run.Upto
		return s.skip(ctx, p.run, err.Error())
	}
	return s.skip(ctx, p.delta, err.Error())
}

func (s *step) skip(ctx context.Context, d *protocol.Delta, reason string) error {
	err := s.driver.Update(ctx, func(tx ledger.Tx) error { return s.setAside(tx, d, reason) })
	if err == nil {
		s.aside++
	}
	return err
}

// piece is the smallest part of a Delta that can be applied alone.
type piece struct {
	delta *protocol.Delta
	run   *protocol.Delta // the run that the piece's event is part of
}

// pieces cuts what a Delta has above an offset into rows and events.
func pieces(d *protocol.Delta, above uint64) ([]piece, error) {
	var list []piece
	at := d.After
	add := func(p piece, upto uint64) {
		p.delta.Feed, p.delta.Epoch, p.delta.After, p.delta.Upto = d.Feed, d.Epoch, at, upto
		if at = upto; upto > above {
			list = append(list, p)
		}
	}
	for _, r := range d.Rows {
		if r.Offset > at {
			add(piece{delta: &protocol.Delta{Rows: []protocol.FeedRow{r}}}, r.Offset)
		}
	}
	for i := range d.Events {
		p := &d.Events[i]
		run := &protocol.Delta{Feed: d.Feed, Epoch: d.Epoch, After: at, Upto: at + uint64(p.Count), Events: d.Events[i : i+1]}
		records, err := protocol.DecodeFrame(p.Frame, p.Count)
		if err != nil {
			// What cannot be read cannot be cut either.
			add(piece{delta: &protocol.Delta{Events: run.Events}}, run.Upto)
			continue
		}
		prev := p.PrevHash
		for n, r := range records {
			frame, _, err := protocol.CutFrame(records[n : n+1])
			if err != nil {
				return nil, err
			}
			event := protocol.PeerEvents{Origin: p.Origin, FirstSeq: p.FirstSeq + protocol.Seq(n), PrevHash: prev, Count: 1, Frame: frame}
			add(piece{delta: &protocol.Delta{Events: []protocol.PeerEvents{event}}, run: run}, at+1)
			prev = prev.Next(r)
		}
	}
	if at < d.Upto || len(list) == 0 {
		// A Delta that brings nothing new may still tell where the feed ends.
		list = append(list, piece{delta: &protocol.Delta{Feed: d.Feed, Epoch: d.Epoch, After: at, Upto: d.Upto}})
	}
	return list, nil
}
