package proxy_test

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"counterpart/test/proxy"
)

// TestSwallowLosesWhatIsDialled is a line that says nothing: no refusal, no
// reset, no answer. It answers again once it passes.
func TestSwallowLosesWhatIsDialled(t *testing.T) {
	p := line(t, echo(t))
	for range 2 {
		old := dial(t, p)
		if err := old.say("before", patience); err != nil {
			t.Fatal(err)
		}
		set(t, p, proxy.Swallow)
		for range 3 {
			conn, err := net.DialTimeout("tcp", p.Addr(), 50*time.Millisecond)
			if silence := net.Error(nil); !errors.As(err, &silence) || !silence.Timeout() {
				if err == nil {
					conn.Close()
				}
				t.Fatalf("a swallowing line gave %v, want silence", err)
			}
		}
		if err := old.say("during", 50*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("an old connection gave %v, want silence", err)
		}
		set(t, p, proxy.Pass)
		if err := dial(t, p).say("after", patience); err != nil {
			t.Fatal(err)
		}
		if err := old.hear("during", patience); err != nil {
			t.Errorf("the old connection after the line passes again: %v", err)
		}
	}
	set(t, p, proxy.Swallow)
	set(t, p, proxy.Cut)
	if conn, err := net.Dial("tcp", p.Addr()); err == nil {
		conn.Close()
		t.Fatal("a cut line accepted a connection")
	}
}
