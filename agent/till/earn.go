package till

import (
	"time"

	"counterpart/protocol"
	"counterpart/protocol/loyalty"
	"counterpart/protocol/sale"
)

// earn notes what a sale earns its member under the programme in force. Earning
// needs nothing but the sale and the rules that are here, and is never refused:
// not for a member whom nobody knows, nor where no rules came down. What multiplies
// the points of a member counts where this store holds the member.
func (d *desk) earn(s *protocol.Sale, programme *protocol.Programme, lines []sale.Resolved, at time.Time) error {
	if s.Member == "" || programme == nil {
		return nil
	}
	basket := loyalty.Basket{Sale: s, Categories: make([]string, len(lines)), Store: d.origin().Store, At: at, Zone: d.shop.loc}
	for i := range lines {
		if lines[i].Item != nil {
			basket.Categories[i] = lines[i].Item.Category
		}
	}
	if len(programme.Tiers) > 0 || programme.Birthday != nil {
		group, err := d.holdings().Of(s.Member)
		if err != nil {
			return err
		}
		if held := group.Held; held != nil {
			basket.Tier = held.Member.Tier
			basket.Birthday = programme.Birthday != nil && loyalty.Celebrates(programme, d.o.Birthday(held.Member), at, d.shop.loc)
		}
	}
	earned := loyalty.Earn(programme, basket)
	s.PointsEarned, s.Programme = earned.Total, programme.ValidFrom
	for i := range earned.Lines {
		s.Lines[i].Points = earned.Lines[i]
	}
	return nil
}
