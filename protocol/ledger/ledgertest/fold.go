package ledgertest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// errRollback ends a transaction whose outcome has been looked at.
var errRollback = errors.New("looked at, not kept")

// TestFold folds many random histories of four streams through a driver, shuffled
// and duplicated, and demands the state that the plainest delivery gives (I3,
// I8). It also demands that a refused batch changes nothing.
func TestFold(t *testing.T, open func(t *testing.T) ledger.Driver, histories uint64) {
	d := open(t)
	for seed := range histories {
		h := newHistory(seed)
		plain, err := outcome(ledger.NewMemory(), h.inOrder())
		if err != nil {
			t.Fatalf("seed %d: in order: %v", seed, err)
		}
		for try := range 2 {
			got, err := outcome(d, h.shuffled())
			if err != nil {
				t.Fatalf("seed %d, delivery %d: %v", seed, try, err)
			}
			if diff := difference(plain, got); diff != "" {
				t.Fatalf("seed %d, delivery %d: %s", seed, try, diff)
			}
		}
	}
}

// outcome is every row of the state after a delivery. The driver is left as it
// was.
func outcome(d ledger.Driver, deliveries []ledger.Batch) (map[string]string, error) {
	var rows map[string]string
	err := d.Update(context.Background(), func(tx ledger.Tx) error {
		for _, b := range deliveries {
			if _, err := ledger.Apply(tx, b); err != nil {
				return fmt.Errorf("events %d to %d of %s: %w", b.First, int(b.First)+len(b.Records)-1, b.Origin.Inc, err)
			}
		}
		var err error
		if rows, err = stateOf(tx); err != nil {
			return err
		}
		return errRollback
	})
	if !errors.Is(err, errRollback) {
		return nil, err
	}
	return rows, nil
}

func stateOf(r ledger.Reader) (map[string]string, error) {
	rows := map[string]string{}
	return rows, r.Scan(ledger.States, "", "", func(id string, v []byte) (bool, error) {
		rows[id] = string(v)
		return true, nil
	})
}

func difference(want, got map[string]string) string {
	for id, v := range want {
		if g, ok := got[id]; !ok || g != v {
			return fmt.Sprintf("row %q is %x, in order it is %x", id, g, v)
		}
	}
	for id, v := range got {
		if _, ok := want[id]; !ok {
			return fmt.Sprintf("row %q is %x, in order there is none", id, v)
		}
	}
	return ""
}

// TestRefusal demands that gaps and foreign chains are refused and change
// nothing (I4, I5).
func TestRefusal(t *testing.T, open func(t *testing.T) ledger.Driver) {
	d := open(t)
	ctx := context.Background()
	h := newHistory(1)
	for len(h.streams[0].records) < 6 {
		h.sale(h.streams[0])
	}
	s := h.streams[0]
	apply := func(b ledger.Batch) error {
		return d.Update(ctx, func(tx ledger.Tx) error {
			_, err := ledger.Apply(tx, b)
			return err
		})
	}
	if err := apply(ledger.Batch{Origin: s.origin, First: 1, Prev: s.origin.Genesis(), Records: s.records[:3]}); err != nil {
		t.Fatal(err)
	}
	var gap *ledger.GapError
	if err := apply(ledger.Batch{Origin: s.origin, First: 5, Prev: s.hashBefore(4), Records: s.records[4:]}); !errors.As(err, &gap) || gap.Want != 4 {
		t.Errorf("a gap is answered with %v", err)
	}
	other := append([]protocol.Record(nil), s.records...)
	other[1].WallMs += 1000
	for name, b := range map[string]ledger.Batch{
		"other events under known numbers": {Origin: s.origin, First: 1, Prev: s.origin.Genesis(), Records: other[:2]},
		"other events and new ones":        {Origin: s.origin, First: 1, Prev: s.origin.Genesis(), Records: other},
		"another hash before new ones":     {Origin: s.origin, First: 4, Prev: s.hashBefore(2), Records: s.records[3:]},
		"the events of another stream":     {Origin: s.origin, First: 1, Prev: h.streams[1].origin.Genesis(), Records: s.records[:3]},
	} {
		if err := apply(b); !errors.Is(err, ledger.ErrChain) {
			t.Errorf("%s: answered with %v", name, err)
		}
	}
	err := d.View(ctx, func(r ledger.Reader) error {
		stream, err := ledger.ReadStream(r, s.origin)
		if stream.Seq != 3 || stream.Hash != s.hashBefore(3) {
			t.Errorf("the cursor stands at %d", stream.Seq)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := apply(ledger.Batch{Origin: s.origin, First: 4, Prev: s.hashBefore(3), Records: s.records[3:]}); err != nil {
		t.Errorf("what follows is refused: %v", err)
	}
	err = d.View(ctx, func(r ledger.Reader) error {
		rep, err := ledger.Verify(r)
		if err == nil && !rep.OK() {
			t.Errorf("verify: %v", rep.Differences)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
