package loyalty_test

import (
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/loyalty"

	"pgregory.net/rapid"
)

func points(t *rapid.T, label string) protocol.Points {
	return protocol.Points(rapid.Int64Range(0, 1e12).Draw(t, label))
}

// TestAccountEncodes reads accounts and leases back as they were.
func TestAccountEncodes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := loyalty.Account{Earned: points(t, "earned"), Redeemed: points(t, "redeemed"), Adjusted: -points(t, "adjusted"), Expired: -points(t, "expired"), Events: points(t, "events")}
		if got, err := loyalty.DecodeAccount(a.Encode()); err != nil || *got != a {
			t.Errorf("got %+v %v, want %+v", got, err, a)
		}
		l := loyalty.Lease{Granted: points(t, "granted"), Spent: points(t, "spent"), Closed: points(t, "closed"), Recalls: points(t, "recalls"), Answers: points(t, "answers")}
		l.Risk = loyalty.Risk{Risked: points(t, "risked"), Settled: points(t, "settled")}
		if got, err := loyalty.DecodeRisk(l.Risk.Encode()); err != nil || *got != l.Risk {
			t.Errorf("got %+v %v, want %+v", got, err, l.Risk)
		}
		if rapid.Bool().Draw(t, "last") {
			l.Last = protocol.EventID{Inc: protocol.Inc{1, 2}, Seq: protocol.Seq(rapid.Uint64Min(1).Draw(t, "seq"))}
		}
		if got, err := loyalty.DecodeLease(l.Encode()); err != nil || *got != l {
			t.Errorf("got %+v %v, want %+v", got, err, l)
		}
	})
}

// TestLeaseIsNeverMoreThanGranted lets hub and holder do anything in any order
// that each may: what is left never exceeds what was granted, and what was spent
// beyond that shows.
func TestLeaseIsNeverMoreThanGranted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l loyalty.Lease
		var granted, gone protocol.Points
		for range rapid.IntRange(0, 20).Draw(t, "steps") {
			some := protocol.Points(rapid.Int64Range(0, 100).Draw(t, "points"))
			change := rapid.SampledFrom([]protocol.LeaseChange{protocol.LeaseGranted, protocol.LeaseClosed, protocol.LeaseCredited, protocol.LeaseRecalled, ""}).Draw(t, "change")
			switch change {
			case "":
				l.Spend(protocol.EventID{Inc: protocol.Inc{9}, Seq: 1}, some)
				gone += some
			case protocol.LeaseGranted:
				granted += some
			case protocol.LeaseClosed, protocol.LeaseCredited:
				gone += some
			}
			if change != "" {
				l.Change(&protocol.Lease{Change: change, Points: some})
			}
		}
		if want := max(0, granted-gone); l.Left() != want || l.Overspent() != (gone > granted) {
			t.Errorf("of %d granted %d are gone, and the lease says %d left: %+v", granted, gone, l.Left(), l)
		}
	})
}

// TestRecall asks a holder for what it has: it is asked until it answers, and what
// it gives back unasked is no answer.
func TestRecall(t *testing.T) {
	var l loyalty.Lease
	for _, step := range []struct {
		change  protocol.LeaseChange
		recalls uint32
		want    bool
	}{
		{protocol.LeaseGranted, 0, false},
		{protocol.LeaseClosed, 0, false},
		{protocol.LeaseRecalled, 0, true},
		{protocol.LeaseClosed, 0, true},
		{protocol.LeaseRecalled, 0, true},
		{protocol.LeaseClosed, 1, true},
		{protocol.LeaseClosed, 2, false},
		{protocol.LeaseCredited, 0, false},
		{protocol.LeaseRecalled, 0, true},
		{protocol.LeaseClosed, 2, true},
	} {
		l.Change(&protocol.Lease{Change: step.change, Points: 1, Recalls: step.recalls})
		if l.Recalled() != step.want {
			t.Errorf("after %s: recalled %v", step.change, l.Recalled())
		}
	}
}

// FuzzRows reads rows of a database, whatever stands there.
func FuzzRows(f *testing.F) {
	f.Add((&loyalty.Account{Earned: 5, Expired: -2}).Encode())
	f.Add((&loyalty.Lease{Granted: 5, Last: protocol.EventID{Seq: 3}}).Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := loyalty.DecodeRisk(b); err == nil {
			if again, err := loyalty.DecodeRisk(r.Encode()); err != nil || *again != *r {
				t.Errorf("%+v is read as %+v, %v", r, again, err)
			}
		}
		if a, err := loyalty.DecodeAccount(b); err == nil {
			if again, err := loyalty.DecodeAccount(a.Encode()); err != nil || *again != *a {
				t.Errorf("%+v is read as %+v, %v", a, again, err)
			}
		}
		if l, err := loyalty.DecodeLease(b); err == nil && l.Last.Seq > 0 {
			if again, err := loyalty.DecodeLease(l.Encode()); err != nil || *again != *l {
				t.Errorf("%+v is read as %+v, %v", l, again, err)
			}
		}
	})
}
