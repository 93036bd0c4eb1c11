package port_test

import (
	"net"
	"testing"

	"counterpart/test/port"
)

// TestReservedPortRefusesUntilSomebodyListens is what a killed program relies
// on: nobody answers on its port, and it can listen there again at once.
func TestReservedPortRefusesUntilSomebodyListens(t *testing.T) {
	reserved, err := port.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	addr := reserved.Addr
	for range 3 {
		listener, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatalf("listen on the reserved port: %v", err)
		}
		addr = listener.Addr().String()
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatalf("dial a listener on the reserved port: %v", err)
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
		if conn, err := net.Dial("tcp", addr); err == nil {
			t.Errorf("somebody answered on %s after the listener closed: %v", addr, conn.RemoteAddr())
		}
	}
	if err := reserved.Close(); err != nil {
		t.Error(err)
	}
	if err := reserved.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
}

// TestReservationsDiffer would fail if a reserved port could be given away.
func TestReservationsDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 200 {
		reserved, err := port.Reserve()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := reserved.Close(); err != nil {
				t.Error(err)
			}
		})
		if reserved.Addr != port.Any && seen[reserved.Addr] {
			t.Fatalf("%s was reserved twice", reserved.Addr)
		}
		seen[reserved.Addr] = true
	}
}
