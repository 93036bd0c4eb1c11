package hub

import (
	"context"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// visitorStays is for how long a store holds a member who was there once and of whom
// it heard nothing since, in the hub's running time: rows and keys of people are where
// they are needed, and nowhere else. The sweep ends visits, once a day.
const visitorStays = 90 * 24 * time.Hour

// endVisits takes members off the feeds of stores that they have not been to for
// long. What happened there stays; the next event there, or somebody who asks the
// hub for them, brings them back.
func (h *Hub) endVisits(ctx context.Context, ids []protocol.MemberID) error {
	now := h.running()
	var due []protocol.MemberID
	err := h.view(ctx, func(r ledger.Reader) error {
		due = nil
		for _, id := range ids {
			yes, err := ledger.VisitsDue(r, id, now, visitorStays)
			if err != nil {
				return err
			}
			if yes {
				due = append(due, id)
			}
		}
		return nil
	})
	if err != nil || len(due) == 0 {
		return err
	}
	var grown map[protocol.FeedID]ledger.Growth
	err = h.driver.Update(ctx, func(tx ledger.Tx) (err error) {
		var ended []ledger.MemberAt
		for _, id := range due {
			list, err := ledger.AgeVisits(tx, id, now, visitorStays)
			if err != nil {
				return err
			}
			ended = append(ended, list...)
		}
		grown, err = ledger.AppendMembers(tx, ended)
		return err
	})
	if err != nil {
		return err
	}
	return h.announce(ctx, grown, nil)
}
