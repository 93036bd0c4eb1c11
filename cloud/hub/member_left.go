package hub

import (
	"context"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// visitorStays is for how long a store holds a member who was there once and of whom
// it heard nothing since: rows and keys of people are where they are needed, and
// nowhere else. The sweep ends visits, once a day.
const visitorStays = 90 * 24 * time.Hour

// endVisits takes members off the feeds of stores that they have not been to for
// long. What happened there stays; the next event there, or somebody who asks the
// hub for them, brings them back.
func (h *Hub) endVisits(ctx context.Context, ids []protocol.MemberID) error {
	since := h.now().Add(-visitorStays)
	over := func(r ledger.Reader) (list []ledger.MemberAt, err error) {
		for _, id := range ids {
			visits, err := ledger.VisitsOver(r, id, since)
			if err != nil {
				return nil, err
			}
			list = append(list, visits...)
		}
		return list, nil
	}
	any := false
	err := h.view(ctx, func(r ledger.Reader) error {
		list, err := over(r)
		any = len(list) > 0
		return err
	})
	if err != nil || !any {
		return err
	}
	var grown map[protocol.FeedID]ledger.Growth
	err = h.driver.Update(ctx, func(tx ledger.Tx) error {
		list, err := over(tx)
		if err == nil {
			err = ledger.EndVisits(tx, list)
		}
		if err == nil {
			grown, err = ledger.AppendMembers(tx, list)
		}
		return err
	})
	if err != nil {
		return err
	}
	return h.announce(ctx, grown, nil)
}
