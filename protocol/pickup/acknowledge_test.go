package pickup_test

import (
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/pickup"
)

// TestAcknowledge lets a primary answer in random histories whenever it is asked
// to. The rules allow each answer, one is enough, and nothing that was canceled
// or expired waits for an answer that nobody gives.
func TestAcknowledge(t *testing.T) {
	answers := 0
	for seed := range uint64(3000) {
		h := newHistory(t, seed)
		for range 30 {
			h.step()
			s := h.view(first).State()
			if !s.Acknowledges() {
				continue
			}
			f, moves, err := s.Plan(pickup.Acknowledge, nil)
			if err != nil || len(moves) > 0 {
				t.Fatalf("seed %d: %v, and %d moves", seed, err, len(moves))
			}
			h.log(first, &protocol.Event{Kind: protocol.KindFulfilment, Fulfilment: f}, "")
			if s = h.view(first).State(); s.Acknowledges() || s.Store != pickup.PutBack {
				t.Fatalf("seed %d: answered, and %s", seed, s.Store)
			}
			answers++
		}
		s := h.settle()
		staged := false
		for _, q := range s.Staged {
			staged = staged || q > 0
		}
		open := s.Hub >= pickup.CancelRequested && s.Store != pickup.PutBack && s.Store != pickup.PickedUp && s.Store != pickup.Rejected
		if open && !staged && !s.Acknowledges() {
			t.Errorf("seed %d: %s and %s, nothing staged, and nobody answers", seed, s.Hub, s.Store)
		}
	}
	if answers < 100 {
		t.Errorf("only %d answers", answers)
	}
}

// TestRejectWhilePicking: whoever began to pick may find that the store cannot
// fulfil the part.
func TestRejectWhilePicking(t *testing.T) {
	h := newHistory(t, 1)
	for i := range h.events {
		h.seen[first][i] = true
	}
	for _, ask := range []pickup.Ask{{Act: protocol.Accept}, {Act: protocol.Pick}, {Act: protocol.Reject, Reason: "broken"}} {
		s := h.view(first).State()
		f, moves, err := s.Plan(ask, nil)
		if err != nil {
			t.Fatal(err)
		}
		h.log(first, &protocol.Event{Kind: protocol.KindFulfilment, Fulfilment: f, Moves: moves}, "")
	}
	if s := h.view(first).State(); s.Store != pickup.Rejected {
		t.Errorf("rejected, and %s", s.Store)
	}
	if s := h.settle(); !s.Over() {
		t.Errorf("rejected, and the hub still promises %v", s.Committed)
	}
}

// TestPickLockEnds: while one clerk picks, another may not, but may undo what was
// begun: its clerk may have gone home.
func TestPickLockEnds(t *testing.T) {
	h := newHistory(t, 1)
	act := func(ask pickup.Ask) error {
		for i := range h.events {
			h.seen[first][i] = true
		}
		s := h.view(first).State()
		f, moves, err := s.Plan(ask, nil)
		if err == nil {
			h.log(first, &protocol.Event{Kind: protocol.KindFulfilment, Fulfilment: f, Moves: moves}, "")
		}
		return err
	}
	for _, step := range []struct {
		ask  pickup.Ask
		code protocol.Code
	}{
		{pickup.Ask{Act: protocol.Pick, Staff: "s1"}, ""},
		{pickup.Ask{Act: protocol.Pick, Staff: "s2"}, protocol.Conflict},
		{pickup.Ask{Act: protocol.Reject, Staff: "s2", Reason: "broken"}, protocol.Conflict},
		{pickup.Ask{Act: protocol.Undo, Staff: "s2"}, ""},
		{pickup.Ask{Act: protocol.Pick, Staff: "s2"}, ""},
	} {
		if err := act(step.ask); protocol.CodeOf(err) != step.code {
			t.Errorf("%s by %s: %v", step.ask.Act, step.ask.Staff, err)
		}
	}
}
