package port

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"
)

// swallower is a listener that accepts nobody, with as many waiting to be
// accepted as it takes.
type swallower struct {
	listener *net.TCPListener
	waiting  net.Conn
}

// fillTimeout is how long the connection may take that fills the queue. On the
// loopback interface it is made at once, or the queue is full already.
const fillTimeout = 100 * time.Millisecond

// Swallow takes an address on which nobody listens and loses what is dialled
// there: Linux drops the first packet of a connection for which a listener's
// queue has no room, and tells the dialler nothing.
func Swallow(addr string) (io.Closer, error) {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("swallow: %w", err)
	}
	s := &swallower{listener: listener.(*net.TCPListener)}
	raw, err := s.listener.SyscallConn()
	if err == nil {
		var shrunk error
		err = raw.Control(func(fd uintptr) { shrunk = syscall.Listen(int(fd), 0) })
		err = errors.Join(err, shrunk)
	}
	if err != nil {
		return nil, fmt.Errorf("swallow: %w", errors.Join(err, s.Close()))
	}
	if s.waiting, err = net.DialTimeout("tcp", addr, fillTimeout); err != nil {
		s.waiting = nil // Somebody else was faster and fills it.
	}
	return s, nil
}

// Close gives the address back.
func (s *swallower) Close() error {
	err := s.listener.Close()
	if s.waiting != nil {
		s.waiting.Close() // The listener's end is reset, which is no news.
	}
	return err
}
