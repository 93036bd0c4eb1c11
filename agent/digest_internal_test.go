package agent

import (
	"context"
	"strings"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// TestI9_DamagedLevel: a level that is not what the events give is set right
// where the log can say what it was, and otherwise a person is told what to do.
func TestI9_DamagedLevel(t *testing.T) {
	for _, trimmed := range []bool{false, true} {
		a, ctx := open(t), context.Background()
		for range 5 {
			err := a.db.Update(ctx, func(tx ledger.Tx) error {
				ev := &protocol.Event{Kind: "test", Moves: []protocol.Move{{SKU: "PEN", Delta: 1000}, {SKU: "INK", Delta: 2000}}}
				_, err := ledger.Log(tx, a.origin(), protocol.Clock{WallMs: 1}, ev)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		audit := func() (level protocol.Quantity, details []string) {
			t.Helper()
			if err := a.audit(ctx); err != nil {
				t.Fatal(err)
			}
			err := a.db.View(ctx, func(r ledger.Reader) error {
				l, err := ledger.ReadLevel(r, "s1", "PEN")
				level = l.OnHand()
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			list, err := a.exceptions(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range list {
				details = append(details, x.Kind+" "+strings.Join(x.Refs, " ")+": "+x.Detail)
			}
			return level, details
		}
		if level, details := audit(); level != 5000 || len(details) > 0 {
			t.Fatalf("without damage the level is %d, a person sees %q", level, details)
		}
		err := a.db.Update(ctx, func(tx ledger.Tx) error {
			if trimmed {
				if _, err := ledger.TrimEvents(tx, a.origin().Inc, 3, 10); err != nil {
					return err
				}
			}
			key := ledger.Key{Table: ledger.States, ID: "level\x00s1\x00PEN"}
			values, err := tx.Load([]ledger.Key{key})
			if err != nil {
				return err
			}
			bad := append([]byte(nil), values[0]...)
			bad[len(bad)-1]++
			return tx.Write([]ledger.Row{{Key: key, Value: bad}})
		})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second time nothing is added
			level, details := audit()
			want, level5 := "digest_differs a1 PEN: ", protocol.Quantity(5000)
			if trimmed {
				want = "digest_differs a1: "
			}
			if (level == level5) == trimmed || len(details) != 1 || !strings.HasPrefix(details[0], want) || strings.Contains(details[0], "command replace") != trimmed {
				t.Errorf("trimmed %v: the level is %d, a person sees %q", trimmed, level, details)
			}
		}
	}
}
