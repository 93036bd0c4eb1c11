package uplink

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"time"
)

const (
	// reachEveryMin and reachEveryMax bound the time between two dials of one
	// address while none has answered. The time is drawn anew each time, so that
	// agents which one outage has cut off together do not come back together.
	reachEveryMin = 300 * time.Millisecond
	reachEveryMax = 500 * time.Millisecond
	// reachFlightMax is how many dials may be under way. Each is given up before
	// it keeps a fresh one from being begun.
	reachFlightMax = 16
	reachTimeout   = reachFlightMax * reachEveryMin
)

// reacher opens a TCP connection as soon as the line lets one through. A line
// that swallows packets says nothing when it is back, and a dial that was begun
// before repeats its first packet after one, three and seven seconds. So while
// no dial has completed another is begun, with a name lookup of its own; the
// first that completes wins and the others are given up.
type reacher struct {
	dial func(ctx context.Context, network, address string) (net.Conn, error)
	// wait is the time to the next dial.
	wait func() time.Duration
}

func newReacher() *reacher {
	d := net.DefaultResolver
	return &reacher{
		dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			// Lookups of one resolver share an answer, and so the wait for one
			// that was lost.
			fresh := &net.Resolver{PreferGo: d.PreferGo, StrictErrors: d.StrictErrors, Dial: d.Dial}
			return (&net.Dialer{Timeout: reachTimeout, Resolver: fresh}).DialContext(ctx, network, address)
		},
		wait: func() time.Duration { return reachEveryMin + rand.N(reachEveryMax-reachEveryMin) },
	}
}

// reached is how one dial ended.
type reached struct {
	conn net.Conn
	err  error
}

// DialContext returns the first connection that completes. An answer that there
// is none to be had, such as a refusal, ends it too: whoever called decides when
// to ask again. Silence does not, before ctx or connectTimeout ends.
func (r *reacher) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	ended := make(chan reached, reachFlightMax)
	flight := 0
	defer func() { giveUp(ended, flight) }()
	next := time.NewTimer(0)
	defer next.Stop()
	for {
		select {
		case <-next.C:
			if flight < reachFlightMax {
				flight++
				go func() {
					conn, err := r.dial(ctx, network, address)
					ended <- reached{conn, err}
				}()
			}
			next.Reset(r.wait())
		case e := <-ended:
			flight--
			if e.err == nil || !silent(e.err) {
				return e.conn, e.err
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// silent tells whether a dial failed because nobody answered.
func silent(err error) bool {
	var network net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout()
}

// giveUp closes what the dials that are still under way bring after another has
// won. Their context has ended by then or ends at once.
func giveUp(ended <-chan reached, flight int) {
	if flight == 0 {
		return
	}
	go func() {
		for range flight {
			if e := <-ended; e.conn != nil {
				e.conn.Close()
			}
		}
	}()
}
