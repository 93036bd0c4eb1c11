package ledger_test

import (
	"errors"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// TestI9_DigestBehindEventsOfItsGroup: a digest is compared with all that its
// group has folded before it, also of another stream of the agent, though
// nothing of that is written yet.
func TestI9_DigestBehindEventsOfItsGroup(t *testing.T) {
	there := ledger.NewMemory()
	one, two := newSibling("a1", 1), newSibling("a1", 2)
	for i := range 5 {
		one.note(t, "PEN", protocol.Quantity(i))
		two.note(t, "INK", protocol.Quantity(-i))
	}
	whole := func(s *sibling, from int) ledger.Batch {
		return ledger.Batch{Origin: s.origin, First: protocol.Seq(from + 1), Prev: s.heads[from], Records: s.records[from:]}
	}
	update(t, there, func(tx ledger.Tx) error {
		for _, s := range []*sibling{one, two} {
			if _, err := ledger.Apply(tx, whole(s, 0)); err != nil {
				return err
			}
		}
		digest, err := ledger.Digest(tx, two.origin)
		if err != nil || digest == nil {
			t.Fatalf("no digest: %v", err)
		}
		rec := recordOf(t, &protocol.Event{Kind: protocol.KindDigest, Digest: digest})
		two.records, two.heads = append(two.records, rec), append(two.heads, two.heads[5].Next(rec))
		return nil
	})
	update(t, ledger.NewMemory(), func(tx ledger.Tx) error {
		group := ledger.NewGroup(tx)
		if _, err := group.Apply(whole(one, 0)); err != nil {
			return err
		}
		res, err := group.Apply(whole(two, 0))
		if len(res.Digests) != 1 || len(res.Digests[0].Buckets) > 0 {
			t.Errorf("the digest is compared as %+v", res.Digests)
		}
		return errors.Join(err, group.Flush())
	})
}

// TestI4_OtherEventsInOneGroup: what a group holds is not taken again as
// something else, though it is not written yet.
func TestI4_OtherEventsInOneGroup(t *testing.T) {
	s := newSibling("a1", 1)
	for range 6 {
		s.note(t, "PEN", -1)
	}
	update(t, ledger.NewMemory(), func(tx ledger.Tx) error {
		group := ledger.NewGroup(tx)
		b := ledger.Batch{Origin: s.origin, First: 1, Prev: s.origin.Genesis(), Records: s.records}
		if _, err := group.Apply(b); err != nil {
			return err
		}
		b.Records = append([]protocol.Record(nil), s.records[:2]...)
		if _, err := group.Apply(b); err != nil {
			t.Errorf("the same events are answered with %v", err)
		}
		b.Records[1].WallMs++
		if _, err := group.Apply(b); !errors.Is(err, ledger.ErrChain) {
			t.Errorf("other events are answered with %v", err)
		}
		return group.Flush()
	})
}
