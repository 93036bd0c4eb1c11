package uplink

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// swallowing is a line of which the first dials never hear again, whatever
// becomes of it; opens ends the silence for those that are begun later.
type swallowing struct {
	opens         time.Time
	fails         error // of a dial that is begun after that
	begun, flight atomic.Int64

	mu   sync.Mutex
	most int64
}

func (l *swallowing) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	l.begun.Add(1)
	l.mu.Lock()
	l.most = max(l.most, l.flight.Add(1))
	l.mu.Unlock()
	defer l.flight.Add(-1)
	if time.Now().Before(l.opens) {
		ctx, cancel := context.WithTimeout(ctx, reachTimeout)
		defer cancel()
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if l.fails != nil {
		return nil, l.fails
	}
	here, there := net.Pipe()
	there.Close()
	return here, nil
}

func (l *swallowing) reach(ctx context.Context) (net.Conn, error) {
	r := newReacher()
	r.dial = l.dial
	return r.DialContext(ctx, "tcp", "hub.example:443")
}

// TestReachNoticesALineThatIsBack has a line swallow all packets for a while.
// No dial that was begun in it ever completes, and still the line's return is
// noticed by the next one, however long the silence was. Time is simulated.
func TestReachNoticesALineThatIsBack(t *testing.T) {
	for _, outage := range []time.Duration{0, 400 * time.Millisecond, 3 * time.Second, 5 * time.Second, 7900 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			l := &swallowing{opens: time.Now().Add(outage)}
			conn, err := l.reach(t.Context())
			if err != nil {
				if outage < connectTimeout-reachEveryMax {
					t.Fatalf("after %v: %v", outage, err)
				}
				return
			}
			defer conn.Close()
			if late := time.Since(l.opens); late > reachEveryMax {
				t.Errorf("the line is back for %v before a connection stands", late)
			}
			synctest.Wait()
			if left := l.flight.Load(); left != 0 {
				t.Errorf("%d dials are still under way after another won", left)
			}
			if l.most > reachFlightMax {
				t.Errorf("%d dials were under way at once, want at most %d", l.most, reachFlightMax)
			}
		})
	}
}

// TestReachNeverRests wants a fresh dial at each moment of an attempt on a line
// that stays silent, and no more of them than agreed.
func TestReachNeverRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &swallowing{opens: time.Now().Add(time.Hour)}
		began := time.Now()
		_, err := l.reach(t.Context())
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != connectTimeout {
			t.Fatalf("ended after %v with %v, want a timeout after %v", time.Since(began), err, connectTimeout)
		}
		least := int64(connectTimeout / reachEveryMax)
		if n := l.begun.Load(); n < least || l.most > reachFlightMax {
			t.Errorf("%d dials, %d at once, want at least %d and at most %d at once", n, l.most, least, reachFlightMax)
		}
		synctest.Wait()
	})
}

// TestReachEndsWithAnAnswer does not dial on against a hub that refuses.
func TestReachEndsWithAnAnswer(t *testing.T) {
	refused := &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	synctest.Test(t, func(t *testing.T) {
		l := &swallowing{opens: time.Now().Add(time.Second), fails: refused}
		_, err := l.reach(t.Context())
		if dialCause(t.Context(), err) != CauseRefused {
			t.Errorf("got %v, want the refusal", err)
		}
		if late := time.Since(l.opens); late > reachEveryMax {
			t.Errorf("the refusal was heard after %v", late)
		}
		synctest.Wait()
	})
}

// TestReachEndsWithItsCaller leaves nothing behind.
func TestReachEndsWithItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &swallowing{opens: time.Now().Add(time.Hour)}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if _, err := l.reach(ctx); dialCause(ctx, err) != CauseTimeout {
			t.Errorf("got %v, want a timeout", err)
		}
		synctest.Wait()
		if left := l.flight.Load(); left != 0 {
			t.Errorf("%d dials are still under way", left)
		}
	})
}
