// Package proxy is a TCP proxy that stands in for a shop's line to the
// internet. It can pass everything on, be cut, hang, swallow packets, lose every
// second one, or be slow, and it counts what went through.
package proxy

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"counterpart/test/port"
)

// Mode is the state of the line.
type Mode int

const (
	// Pass forwards everything.
	Pass Mode = iota
	// Cut resets every connection and refuses new ones.
	Cut
	// Hang accepts connections and neither forwards nor answers anything, as a
	// firewall does that drops packets silently. What stood open stays open.
	// What was sent meanwhile goes through when the line passes again.
	Hang
	// Swallow loses every packet without a word. What is dialled meanwhile is
	// never answered, and neither is it when the line passes again, unless the
	// dialler sends its first packet once more: TCP does so after one, three and
	// seven seconds. What stood open stays open as with Hang. Only where the
	// system can lose a first packet; Set fails elsewhere.
	Swallow
	// Lossy loses every second chunk that arrives, in either direction. TCP
	// would send a lost packet again; a proxy sees only a stream of bytes, and a
	// stream with a hole would be corrupt, which no network does. So the
	// connection that lost a chunk is reset, as after too many resendings, and
	// the chunks that get through are late, as after a few.
	Lossy
)

// lossyDelay is how late a chunk of a lossy line is: one resending by Linux.
const lossyDelay = 200 * time.Millisecond

// chunkBytes bounds what one read takes off a connection.
const chunkBytes = 32 << 10

// A Proxy is one line between whoever dials Addr and a fixed target.
type Proxy struct {
	target   string
	reserved *port.Reservation
	up, down atomic.Int64
	chunks   atomic.Int64
	running  sync.WaitGroup

	mu       sync.Mutex
	addr     string
	mode     Mode
	latency  time.Duration
	tap      func() io.Writer
	changed  chan struct{} // closed when mode changes, and then replaced
	closed   chan struct{}
	listener net.Listener // nil while cut or swallowing
	// swallower holds the address while the line swallows.
	swallower io.Closer
	open      map[*net.TCPConn]struct{}
}

// Listen starts a proxy to target on a free port of this machine.
func Listen(target string) (*Proxy, error) {
	reserved, err := port.Reserve()
	if err != nil {
		return nil, err
	}
	p := &Proxy{
		target: target, reserved: reserved, addr: reserved.Addr,
		changed: make(chan struct{}), closed: make(chan struct{}), open: map[*net.TCPConn]struct{}{},
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.listen(); err != nil {
		return nil, errors.Join(err, reserved.Close())
	}
	return p, nil
}

// Addr is where to dial.
func (p *Proxy) Addr() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.addr
}

// Bytes is what went through: up from who dialled, down to them.
func (p *Proxy) Bytes() (up, down int64) { return p.up.Load(), p.down.Load() }

// Tap shows what comes down from the target to one more reader: tap is called
// for each connection from now on, and its writer must not block.
func (p *Proxy) Tap(tap func() io.Writer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tap = tap
}

// tapped is who else sees what comes down on a new connection.
func (p *Proxy) tapped() io.Writer {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tap == nil {
		return io.Discard
	}
	return p.tap()
}

// SetLatency delays each chunk in each direction from now on.
func (p *Proxy) SetLatency(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.latency = d
}

// Mode is the present state of the line.
func (p *Proxy) Mode() Mode {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mode
}

// Set changes the state of the line.
func (p *Proxy) Set(mode Mode) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.isClosed() || mode == p.mode {
		return nil
	}
	p.mode = mode
	close(p.changed)
	p.changed = make(chan struct{})
	swallowed := p.swallower
	p.swallower = nil
	if swallowed != nil {
		if err := swallowed.Close(); err != nil {
			return err
		}
	}
	switch mode {
	case Cut:
		return p.hangUp()
	case Swallow:
		return p.swallow()
	}
	return p.listen()
}

// swallow takes the line's address over with a socket that loses whatever is
// dialled; p is locked.
func (p *Proxy) swallow() error {
	var err error
	if p.listener != nil {
		err = p.listener.Close()
		p.listener = nil
	}
	if err == nil {
		p.swallower, err = port.Swallow(p.addr)
	}
	return err
}

// Close cuts the line for good and gives its port back.
func (p *Proxy) Close() error {
	p.mu.Lock()
	if p.isClosed() {
		p.mu.Unlock()
		return nil
	}
	close(p.closed)
	err := errors.Join(p.hangUp(), p.reserved.Close())
	p.mu.Unlock()
	p.running.Wait()
	return err
}

func (p *Proxy) isClosed() bool {
	select {
	case <-p.closed:
		return true
	default:
		return false
	}
}

// listen accepts connections again; p is locked.
func (p *Proxy) listen() error {
	if p.listener != nil {
		return nil
	}
	listener, err := net.Listen("tcp", p.addr)
	if err != nil {
		return fmt.Errorf("proxy to %s: %w", p.target, err)
	}
	p.listener, p.addr = listener, listener.Addr().String()
	p.running.Go(func() { p.accept(listener) })
	return nil
}

// hangUp refuses connections and resets those there are; p is locked.
func (p *Proxy) hangUp() error {
	var err error
	if p.listener != nil {
		err = p.listener.Close()
		p.listener = nil
	}
	if p.swallower != nil {
		err = errors.Join(err, p.swallower.Close())
		p.swallower = nil
	}
	for conn := range p.open {
		reset(conn)
	}
	return err
}

// reset closes a connection so that its peer sees an error and no end of data.
// Its errors say only that the peer was faster.
func reset(conn *net.TCPConn) {
	if conn.SetLinger(0) == nil {
		conn.Close()
	}
}

func (p *Proxy) accept(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		p.running.Go(func() { p.serve(conn.(*net.TCPConn)) })
	}
}

// hold tracks a connection, unless the line was cut meanwhile.
func (p *Proxy) hold(conn *net.TCPConn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.isClosed() || p.mode == Cut {
		reset(conn)
		return false
	}
	p.open[conn] = struct{}{}
	return true
}

func (p *Proxy) drop(conn *net.TCPConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, conn)
	conn.Close()
}

// serve connects one client with the target. While the line hangs it dials
// nobody.
func (p *Proxy) serve(client *net.TCPConn) {
	if !p.hold(client) {
		return
	}
	defer p.drop(client)
	if !p.gate() {
		return
	}
	conn, err := net.Dial("tcp", p.target)
	if err != nil {
		reset(client)
		return
	}
	server := conn.(*net.TCPConn)
	if !p.hold(server) {
		return
	}
	defer p.drop(server)
	var both sync.WaitGroup
	tap := p.tapped()
	both.Go(func() { p.forward(server, client, &p.up, io.Discard) })
	both.Go(func() { p.forward(client, server, &p.down, tap) })
	both.Wait()
}

// forward passes one direction on until it ends or the line loses something,
// and shows tap what it passes on.
func (p *Proxy) forward(to, from *net.TCPConn, count *atomic.Int64, tap io.Writer) {
	buffer := make([]byte, chunkBytes)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if !p.deliver(to, from, buffer[:n], count) {
				return
			}
			_, _ = tap.Write(buffer[:n])
		}
		switch {
		case errors.Is(err, io.EOF):
			if p.gate() && to.CloseWrite() != nil {
				reset(from)
			}
			return
		case err != nil:
			reset(to)
			return
		}
	}
}

// deliver passes one chunk on as the state of the line allows, and tells
// whether the connection still stands.
func (p *Proxy) deliver(to, from *net.TCPConn, chunk []byte, count *atomic.Int64) bool {
	if !p.gate() {
		return false
	}
	p.mu.Lock()
	mode, delay := p.mode, p.latency
	p.mu.Unlock()
	if mode == Lossy {
		delay += lossyDelay
		if p.chunks.Add(1)%2 == 0 {
			reset(from)
			reset(to)
			return false
		}
	}
	if delay > 0 && !p.wait(delay) {
		return false
	}
	// Counted first, so that whoever has an answer finds it counted.
	count.Add(int64(len(chunk)))
	if _, err := to.Write(chunk); err != nil {
		reset(from)
		return false
	}
	return true
}

// gate waits while the line hangs or swallows, and tells whether it still exists.
func (p *Proxy) gate() bool {
	for {
		p.mu.Lock()
		mode, changed := p.mode, p.changed
		p.mu.Unlock()
		if mode != Hang && mode != Swallow {
			return !p.isClosed()
		}
		select {
		case <-changed:
		case <-p.closed:
			return false
		}
	}
}

// wait lets d pass, and tells whether the line still exists.
func (p *Proxy) wait(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-p.closed:
		return false
	}
}
