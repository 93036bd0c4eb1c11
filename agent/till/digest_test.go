package till_test

import (
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// TestI9_DigestAfterSales: a machine says what it makes of its events once they
// are more than before, and never of nothing.
func TestI9_DigestAfterSales(t *testing.T) {
	s := memory(t)
	digest := func(want int) {
		t.Helper()
		if err := s.till.LogDigest(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := len(s.events()); got != want {
			t.Fatalf("the log has %d events, not %d", got, want)
		}
	}
	digest(0)
	s.receive("PEN-01", 1)
	digest(2)
	digest(2)
	s.receive("PEN-01", 1)
	digest(4)
	last := s.events()[3]
	if last.Kind != protocol.KindDigest || last.Boot != 1 || len(last.Digest.Streams) != 1 || last.Digest.Streams[0].Seq != 3 || last.Digest.Fold != ledger.SumsVersion {
		t.Errorf("the digest is %+v of %+v", last, last.Digest)
	}
	if n := s.appended.Load(); n != 4 {
		t.Errorf("the link was woken %d times for 4 events", n)
	}
}
