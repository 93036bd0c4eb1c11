package broker

import (
	"bufio"
	"encoding/binary"
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
	// packetOverhead is the most that MQTT adds to a topic and a payload.
	packetOverhead = 7
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
	packet  []byte     // room for one message of publish

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
	return w.write(p)
}

// publishQoS0 is the first byte of a message with QoS 0 that is not retained.
const publishQoS0 = 0x30

// publish writes a message with QoS 0 itself, past the MQTT library, which
// would hand it through three goroutines: on an idle machine each costs as much
// as the message. It tells whether it did. It does not where that could take
// longer than one deadline: the message is large, or another is being written.
func (w *wire) publish(topic string, payload []byte) (bool, error) {
	if len(topic)+len(payload)+packetOverhead > wireChunk || !w.writing.TryLock() {
		return false, nil
	}
	defer w.writing.Unlock()
	p := append(w.packet[:0], publishQoS0)
	p = binary.AppendUvarint(p, uint64(2+len(topic)+len(payload)))
	p = binary.BigEndian.AppendUint16(p, uint16(len(topic)))
	p = append(append(p, topic...), payload...)
	w.packet = p
	_, err := w.write(p)
	return true, err
}

// write is Write; writing is held.
func (w *wire) write(p []byte) (int, error) {
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
