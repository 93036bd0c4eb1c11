package ledgertest

import (
	"context"
	"errors"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// TestTrim deletes the first events of any streams of random histories, the
// machine's own, its siblings' and the hub's, in steps of any size. It demands
// that the state stays what all events give, that chains and sums are still
// checked, that what is left can be read and sent on, and that the streams go on.
func TestTrim(t *testing.T, open func(t *testing.T) ledger.Driver, histories uint64) {
	for seed := range histories {
		s := &sums{t: t, seed: seed, h: newHistory(seed), here: open(t)}
		s.deliver(s.here, nil)
		for range 3 {
			for _, st := range s.h.streams {
				s.trim(st)
			}
			for _, st := range s.h.streams[:3] {
				s.h.sale(st)
			}
			s.deliver(s.here, nil)
			s.whole()
		}
		if err := s.here.Close(); err != nil {
			s.fatal("%v", err)
		}
	}
}

// first is the first event of a stream that is left, 0 for none.
func (s *sums) first(st *stream) (first protocol.Seq) {
	s.t.Helper()
	err := s.here.View(context.Background(), func(r ledger.Reader) error {
		return ledger.ScanEvents(r, st.origin.Inc, 1, func(seq protocol.Seq, _ protocol.Hash, _ protocol.Record) (bool, error) {
			first = seq
			return false, nil
		})
	})
	if err != nil {
		s.fatal("%v", err)
	}
	return first
}

// trim deletes events of a stream up to somewhere.
func (s *sums) trim(st *stream) {
	s.t.Helper()
	first := s.first(st)
	if first == 0 {
		return
	}
	below := first + protocol.Seq(s.h.rnd.IntN(len(st.records)-int(first)+1))
	for deleted := 0; deleted < int(below-first); {
		n := 0
		s.update(s.here, func(tx ledger.Tx) (err error) {
			n, err = ledger.TrimEvents(tx, st.origin.Inc, below, 1+s.h.rnd.IntN(5))
			return err
		})
		if deleted += n; n == 0 {
			s.fatal("trimming stops at %d of %d events", deleted, below-first)
		}
	}
	if got := s.first(st); got != below {
		s.fatal("after trimming below %d the stream begins with %d", below, got)
	}
}

// whole compares what is left with the history.
func (s *sums) whole() {
	s.t.Helper()
	want, err := outcome(ledger.NewMemory(), s.h.inOrder())
	if err != nil {
		s.fatal("%v", err)
	}
	got, err := outcome(s.here, nil)
	if err != nil {
		s.fatal("%v", err)
	}
	if diff := difference(want, got); diff != "" {
		s.fatal("after trimming %s", diff)
	}
	if audit := s.audit(s.here); !audit.Known || len(audit.Buckets) > 0 {
		s.fatal("after trimming the levels differ from the sums: %+v", audit)
	}
	err = s.here.View(context.Background(), func(r ledger.Reader) error {
		rep, err := ledger.Verify(r)
		if err != nil || !rep.OK() {
			s.fatal("verify: %v, %v", rep, err)
		}
		for _, st := range s.h.streams {
			if err := s.readable(r, st); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.fatal("%v", err)
	}
}

// readable reads a stream from its first event that is left, and before it.
func (s *sums) readable(r ledger.Reader, st *stream) error {
	first := s.first(st)
	if first == 0 {
		return nil
	}
	_, prev, err := ledger.Records(r, st.origin, first, len(st.records), 1<<20)
	if err != nil || prev != st.hashBefore(int(first)-1) {
		s.fatal("events from %d on continue %x: %v", first, prev, err)
	}
	if first == 1 {
		return nil
	}
	if list, _, err := ledger.Records(r, st.origin, first-1, 1, 1<<20); !errors.Is(err, ledger.ErrTrimmed) && len(list) > 0 {
		s.fatal("event %d, which was trimmed, is read: %v", first-1, err)
	}
	return nil
}
