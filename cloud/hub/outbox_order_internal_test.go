package hub

import (
	"fmt"
	"strings"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/pickup"
)

// TestNewsOfPartsIsInOrder: what a stream says of several parts of an order is told in
// the stream's order, and what is told of one part in the part's.
func TestNewsOfPartsIsInOrder(t *testing.T) {
	for _, c := range []struct{ lists, want string }{
		{"a1 a3 a4|a2 a8", "a1 a2 a3 a4 a8"},
		{"a3 b1 a4|b2 a2", "a3 b1 b2 a2 a4"}, // each waits for the other: the parts contradict their streams
		{"b1 a2|c7 a1 a3", "b1 c7 a1 a2 a3"},
		{"a2 a1", "a2 a1"},
		{"a2 b1|b2 a1", "a2 b1 b2 a1"},
		{"||a1", "a1"},
	} {
		var lists [][]partNews
		for _, l := range strings.Split(c.lists, "|") {
			var list []partNews
			for _, word := range strings.Fields(l) {
				list = append(list, partNews{news: pickup.News{ID: protocol.EventID{Inc: protocol.Inc{word[0]}, Seq: protocol.Seq(word[1] - '0')}}})
			}
			lists = append(lists, list)
		}
		var got []string
		for _, n := range merged(lists) {
			got = append(got, fmt.Sprintf("%c%d", n.news.ID.Inc[0], n.news.ID.Seq))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, want %s", c.lists, got, c.want)
		}
	}
}
