// Package port reserves addresses for programs that are killed and started
// again. An address that nobody listens on is free for the taking, and a test
// run opens thousands of them; a program that has to come back where its peers
// look for it needs its port kept while it is away.
package port

import "io"

// Any lets the system choose a port on the loopback interface.
const Any = "127.0.0.1:0"

// A Reservation is an address that only its holder gives away.
type Reservation struct {
	// Addr is what to listen on. Where the system cannot reserve a port, it is
	// Any, and whoever listens learns the port from the listener.
	Addr string

	socket io.Closer // nil where nothing is held
}

// Close gives the port back.
func (r *Reservation) Close() error {
	if r.socket == nil {
		return nil
	}
	socket := r.socket
	r.socket = nil
	return socket.Close()
}
