package api

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// TestSharedAnswerIsNeverOlderThanTheQuestion: those who ask while an answer is
// being made share the next one.
func TestSharedAnswerIsNeverOlderThanTheQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s shared[string]
		var made atomic.Int64
		first := make(chan struct{})
		produce := func(context.Context) ([]byte, error) {
			n := made.Add(1)
			if n == 1 {
				<-first
			}
			return fmt.Append(nil, n), nil
		}
		ask := func(want string) {
			go func() {
				if body, err := s.answer(t.Context(), "q", produce); err != nil || string(body) != want {
					t.Errorf("%s, %v, want %s", body, err, want)
				}
			}()
		}
		ask("1")
		synctest.Wait()
		for range 8 {
			ask("2")
		}
		synctest.Wait()
		if body, err := s.answer(t.Context(), "other", func(context.Context) ([]byte, error) { return []byte("x"), nil }); err != nil || string(body) != "x" {
			t.Errorf("another question gets %s, %v", body, err)
		}
		close(first)
		synctest.Wait()
		if n := made.Load(); n != 2 || len(s.running) != 0 {
			t.Errorf("%d answers were made, %d still are", n, len(s.running))
		}
	})
}

// TestSharedAnswerFails: an error goes to all who wait, a panic to the one whose
// request it was, and those who ask later get an answer.
func TestSharedAnswerFails(t *testing.T) {
	var s shared[int]
	wrong := errors.New("wrong")
	if _, err := s.answer(t.Context(), 1, func(context.Context) ([]byte, error) { return nil, wrong }); !errors.Is(err, wrong) {
		t.Error(err)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic is gone")
			}
		}()
		_, _ = s.answer(t.Context(), 1, func(context.Context) ([]byte, error) { panic("broken") })
	}()
	if body, err := s.answer(t.Context(), 1, func(context.Context) ([]byte, error) { return []byte("ok"), nil }); err != nil || string(body) != "ok" {
		t.Error(string(body), err)
	}
}

// TestSharedAnswerOutlivesItsFirst: who leaves does not take the answer from others.
func TestSharedAnswerOutlivesItsFirst(t *testing.T) {
	var s shared[int]
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	body, err := s.answer(gone, 1, func(ctx context.Context) ([]byte, error) { return []byte("ok"), ctx.Err() })
	if err != nil || string(body) != "ok" {
		t.Error(string(body), err)
	}
}
