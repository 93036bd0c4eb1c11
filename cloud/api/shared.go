package api

import (
	"context"
	"errors"
	"sync"
)

// shared makes one answer for all who ask the same at the same moment, such as a
// crowd that looks at one item. Nobody is given an answer that was begun before
// the question: it shows whatever was done by then.
type shared[K comparable] struct {
	mu      sync.Mutex
	running map[K]*making
}

// making is an answer that is being made.
type making struct {
	done chan struct{}
	body []byte
	err  error
	// next is the answer for those who asked since this one was begun.
	next *making
}

// answer gives the body that produce makes, which is shared and must not be
// changed.
func (s *shared[K]) answer(ctx context.Context, question K, produce func(context.Context) ([]byte, error)) ([]byte, error) {
	s.mu.Lock()
	before := s.running[question]
	if before != nil && before.next != nil {
		m := before.next
		s.mu.Unlock()
		select {
		case <-m.done:
			return m.body, m.err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	m := &making{done: make(chan struct{})}
	if before != nil {
		before.next = m
	} else {
		if s.running == nil {
			s.running = map[K]*making{}
		}
		s.running[question] = m
	}
	s.mu.Unlock()
	if before != nil {
		<-before.done
	}
	// Others wait for it, whether or not the first of them still does.
	s.produce(context.WithoutCancel(ctx), question, m, produce)
	return m.body, m.err
}

// errNotMade is what those who wait get where making an answer panics.
var errNotMade = errors.New("the answer was not made")

func (s *shared[K]) produce(ctx context.Context, question K, m *making, produce func(context.Context) ([]byte, error)) {
	m.err = errNotMade
	defer func() {
		s.mu.Lock()
		if m.next != nil {
			s.running[question] = m.next
		} else {
			delete(s.running, question)
		}
		s.mu.Unlock()
		close(m.done)
	}()
	m.body, m.err = produce(ctx)
}
