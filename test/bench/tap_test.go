package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestPacketsFindsMessagesInAnyChunks would fail if a message were lost where
// the network cuts the stream.
func TestPacketsFindsMessagesInAnyChunks(t *testing.T) {
	large := strings.Repeat("x", 300) // whose length takes two bytes
	stream := slices.Concat(
		[]byte{0x20, 2, 0, 0}, // CONNACK
		[]byte{0x30, 5, 0, 1, 'a', '1', '2'},
		[]byte{0x90, 3, 0, 1, 0}, // SUBACK
		[]byte{0x31, 3, 0, 1, 'b'},
		[]byte{0x32, 5, 0, 1, 'q', 0, 9}, // QoS 1, which nobody asked for
		append([]byte{0x30, 0xaf, 0x02, 0, 1, 'c'}, large...),
		[]byte{0xd0, 0}, // PINGRESP
	)
	want := []string{"a=12", "b=", "c=" + large}
	for size := 1; size <= len(stream); size++ {
		var got []string
		p := &packets{see: func(topic string, payload []byte) { got = append(got, fmt.Sprintf("%s=%s", topic, payload)) }}
		for chunk := range slices.Chunk(bytes.Clone(stream), size) {
			if n, err := p.Write(chunk); n != len(chunk) || err != nil {
				t.Fatalf("%d of %d bytes, %v", n, len(chunk), err)
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("in chunks of %d: %q", size, got)
		}
	}
}

// TestUsed would fail if the chart drew a bar on the wrong side of its mark.
func TestUsed(t *testing.T) {
	r := &record{}
	r.begin()
	r.add("ours", 30)
	r.add("floor", 60)
	for _, c := range []struct {
		line line
		want float64
		bar  bool
	}{
		{line{key: "ours", floors: []string{"floor"}, ratioMin: 0.25}, 0.5, true},
		{line{key: "ours", floors: []string{"floor"}, ratioMax: 0.25}, 2, true},
		{line{key: "ours", valueMax: 40}, 0.75, true},
		{line{key: "ours", floors: []string{"floor"}}, 0, false},
	} {
		s := c.line.figures(r, r.values("ours"))
		if used, ok := s.used(); used != c.want || ok != c.bar {
			t.Errorf("%+v uses %g, %v", c.line, used, ok)
		}
	}
}
