package main

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// notice is a writer that calls found when it has been told a certain text.
type notice struct {
	mu    sync.Mutex
	text  strings.Builder
	want  string
	found func()
}

func (n *notice) Write(b []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.text.Write(b)
	if n.want != "" && strings.Contains(n.text.String(), n.want) {
		n.want = ""
		n.found()
	}
	return len(b), nil
}

func (n *notice) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.String()
}

// TestChain is the whole program with a short story, ended by time once and by
// Ctrl-C once.
func TestChain(t *testing.T) {
	for _, c := range []struct {
		name   string
		args   []string
		ended  string // by Ctrl-C once this is shown
		agreed int
	}{
		{"by time", []string{"-duration", "1s"}, "", 2},
		{"by Ctrl-C", nil, "Ctrl-C ends it", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			out, complaints := &notice{want: c.ended, found: cancel}, new(strings.Builder)
			args := append([]string{"-items", "500", "-sell-every", "50ms", "-cut-after", "2s", "-cut-for", "3s"}, c.args...)
			status := command(ctx, args, out, complaints)
			t.Log("\n" + out.String())
			if status != 0 || complaints.Len() > 0 {
				t.Errorf("status %d: %s", status, complaints)
			}
			if agreed := strings.Count(out.String(), "agree to the unit and the penny"); agreed != c.agreed {
				t.Errorf("hub and stores agreed %d times, want %d", agreed, c.agreed)
			}
			for _, want := range []string{"Till a1, High Street", "Till a2, High Street", "s2 Station Road: offline (refused)", "The line of Station Road is back"} {
				if !strings.Contains(out.String(), want) {
					t.Errorf("%q was not shown", want)
				}
			}
		})
	}
}

// TestBoardDrawsOverItself keeps count of lines as a terminal would.
func TestBoardDrawsOverItself(t *testing.T) {
	var out strings.Builder
	b := &board{out: &out, terminal: true, opened: true, pages: []string{"page"}}
	b.rows = []row{{store: "s1", state: "online", receipts: 7, pending: 2, atHub: 5, lag: 1500 * time.Millisecond}}
	b.say("hello")
	first := strings.Count(out.String(), "\n")
	if !strings.Contains(out.String(), "1.5s") || !strings.Contains(out.String(), "hello") || strings.Contains(out.String(), "\x1b[0A") {
		t.Errorf("drawn %q", out.String())
	}
	out.Reset()
	b.show(b.rows, false)
	if want := "\x1b[" + string(rune('0'+first)) + "A"; !strings.HasPrefix(out.String(), want) {
		t.Errorf("after %d lines drawn %q", first, out.String())
	}
}

func TestLongMessagesAreFolded(t *testing.T) {
	if got := folded("short one"); !slices.Equal(got, []string{"short one"}) {
		t.Errorf("folded to %q", got)
	}
	for _, line := range folded(strings.Repeat("some words ", 40)) {
		if len(line) > columns {
			t.Errorf("a line of %d columns: %q", len(line), line)
		}
	}
}

func TestParse(t *testing.T) {
	for _, args := range [][]string{{"-items", "10"}, {"-cut-for", "-1s"}, {"-sell-every", "0"}, {"x"}, {"-no-such-flag"}} {
		if status := command(t.Context(), args, new(strings.Builder), new(strings.Builder)); status != 2 {
			t.Errorf("%v gives status %d, want 2", args, status)
		}
	}
}
