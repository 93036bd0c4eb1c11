package port

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
)

// Reserve binds a socket to a free port and never listens on it. Linux then
// lets another socket that allows reuse, as every Go listener does, listen on
// the same port, refuses connections while there is none, and never hands the
// port to anybody who asks for any. An outgoing connection cannot take it
// either, so a client that dials a dead server never meets itself.
func Reserve() (*Reservation, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("reserve a port: %w", err)
	}
	socket := os.NewFile(uintptr(fd), "reserved port")
	addr, err := bind(fd)
	if err != nil {
		return nil, fmt.Errorf("reserve a port: %w", errors.Join(err, socket.Close()))
	}
	return &Reservation{Addr: addr, socket: socket}, nil
}

// bind gives the socket a port of the loopback interface.
func bind(fd int) (string, error) {
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return "", err
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return "", err
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		return "", err
	}
	at, ok := name.(*syscall.SockaddrInet4)
	if !ok {
		return "", fmt.Errorf("bound to %T", name)
	}
	return (&net.TCPAddr{IP: at.Addr[:], Port: at.Port}).String(), nil
}
