package hub

import (
	"context"
	"slices"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// memberAt is a member with the store whose row it is.
type memberAt struct {
	member *protocol.Member
	store  protocol.StoreID
}

// representatives are those who stand for members, each once and in the order of
// their ids.
func representatives(r ledger.Reader, ids []protocol.MemberID) ([]protocol.MemberID, error) {
	reps := make([]protocol.MemberID, len(ids))
	for i, id := range ids {
		var err error
		if reps[i], err = ledger.Representative(r, id); err != nil {
			return nil, err
		}
	}
	slices.Sort(reps)
	return slices.Compact(reps), nil
}

// representative is who stands for a member.
func (h *Hub) representative(ctx context.Context, id protocol.MemberID) (rep protocol.MemberID, err error) {
	err = h.view(ctx, func(r ledger.Reader) error {
		rep, err = ledger.Representative(r, id)
		return err
	})
	return rep, err
}

// rowsOfGroup are the rows of all of a member's group, the representative's first
// where it is known, and the representative.
func (h *Hub) rowsOfGroup(ctx context.Context, id protocol.MemberID) (rep protocol.MemberID, list []memberAt, err error) {
	err = h.view(ctx, func(r ledger.Reader) error {
		list = nil
		group, err := ledger.MemberGroup(r, id)
		if err != nil {
			return err
		}
		rep = group[0]
		for _, one := range group {
			m, store, err := ledger.ReadMember(r, one)
			if err != nil {
				return err
			}
			if m != nil {
				list = append(list, memberAt{m, store})
			}
		}
		return nil
	})
	return rep, list, err
}
