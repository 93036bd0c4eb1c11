package broker

import (
	"bufio"
	"errors"
	"net"
	"sync"
	"time"
)

const (
	// wireChunk is written under one deadline: a slow line that still moves is
	// never cut off because a message is large.
	wireChunk        = 32 << 10
	wireReadBuffer   = 64 << 10
	wireWriteTimeout = 5 * time.Second
)

var (
	errWireClosed = errors.New("connection closed by this side")
	errGaveUp     = errors.New("the broker no longer answers or breaks the protocol")
)

// wire is the socket under one MQTT connection. It knows first when the
// connection is lost, so nothing waits for the MQTT library to notice, and it
// puts a deadline on every write: the library sets none on SUBSCRIBE and
// PINGREQ, and a stalled peer would hold it up for ever.
type wire struct {
	net.Conn
	in *bufio.Reader

	writing sync.Mutex // a ping must not land inside a chunked message

	closing sync.Once
	lost    chan struct{}
	cause   error // readable once lost is closed
}

func newWire(c net.Conn) *wire {
	return &wire{Conn: c, in: bufio.NewReaderSize(c, wireReadBuffer), lost: make(chan struct{})}
}

// Read buffers, because the MQTT library reads every header byte by byte.
func (w *wire) Read(p []byte) (int, error) {
	n, err := w.in.Read(p)
	if err != nil {
		err = w.fail(err)
	}
	return n, err
}

// Write closes the connection on any error, since part of a packet may be out.
func (w *wire) Write(p []byte) (int, error) {
	w.writing.Lock()
	defer w.writing.Unlock()
	written := 0
	for written < len(p) {
		end := min(written+wireChunk, len(p))
		if err := w.Conn.SetWriteDeadline(time.Now().Add(wireWriteTimeout)); err != nil {
			return written, w.fail(err)
		}
		n, err := w.Conn.Write(p[written:end])
		written += n
		if err != nil {
			return written, w.fail(err)
		}
	}
	return written, nil
}

// SetWriteDeadline does nothing: the MQTT library resets the deadline after a
// message and would take away that of a ping written at the same time.
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

// Close implements net.Conn for the library, which closes the socket when a ping
// stays unanswered and when it cannot read a packet.
func (w *wire) Close() error {
	w.fail(errGaveUp)
	return nil
}

func (w *wire) isLost() bool {
	select {
	case <-w.lost:
		return true
	default:
		return false
	}
}

// fail closes the socket and returns the first cause. It never returns
// net.ErrClosed, which the MQTT library takes for its own doing and ignores.
func (w *wire) fail(cause error) error {
	w.closing.Do(func() {
		w.cause = cause
		w.Conn.Close()
		close(w.lost)
	})
	return w.cause
}
