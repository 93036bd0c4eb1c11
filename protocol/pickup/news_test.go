package pickup_test

import (
	"reflect"
	"slices"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/pickup"
)

// TestNews learns of random histories in steps and in any order. Every event is
// news once, when the order is known, and the last of them leaves the state that
// the part has.
func TestNews(t *testing.T) {
	words := map[string]int{}
	for seed := range uint64(300) {
		h := newHistory(t, seed)
		for range 30 {
			h.step()
		}
		order := h.rng.Perm(len(h.events))
		told := map[protocol.EventID]bool{}
		before := &pickup.Part{}
		for n := 0; n < len(order); {
			n = min(len(order), n+1+h.rng.IntN(4))
			now := h.part(order[:n])
			news := now.News(before)
			for _, one := range news {
				if told[one.ID] {
					t.Fatalf("seed %d: %s is told twice", seed, one.ID)
				}
				told[one.ID] = true
				words[one.Word]++
			}
			if s := now.State(); len(news) > 0 && !reflect.DeepEqual(news[len(news)-1].State, s) {
				t.Fatalf("seed %d: told of %+v, it is %+v", seed, news[len(news)-1].State, s)
			}
			if len(now.News(now)) > 0 {
				t.Fatalf("seed %d: there is news of nothing", seed)
			}
			before = now
		}
		if len(told) != len(h.events) {
			t.Fatalf("seed %d: %d of %d events were told", seed, len(told), len(h.events))
		}
	}
	for word := range words {
		if !slices.Contains(pickup.NewsWords, word) {
			t.Errorf("%s is not on the list", word)
		}
	}
	for _, word := range []string{"placed", "paid", "picked", "shortage", "picked_up", "released", "refund_requested", "refunded", "canceled", "rejected"} {
		if words[word] == 0 {
			t.Errorf("nothing was %s; %v", word, words)
		}
	}
	if words["changed"] > 0 {
		t.Errorf("%d events have no word of their own", words["changed"])
	}
}
