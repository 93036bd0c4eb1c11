package till

import (
	"time"

	"counterpart/protocol"
	"counterpart/protocol/loyalty"
	"counterpart/protocol/sale"
)

// earn notes what a sale earns its member under the programme in force. Earning
// needs nothing but the sale and the rules that are here, and is never refused:
// not for a member whom nobody knows, nor where no rules came down.
func (d *desk) earn(s *protocol.Sale, programme *protocol.Programme, lines []sale.Resolved, at time.Time) {
	if s.Member == "" || programme == nil {
		return
	}
	categories := make([]string, len(lines))
	for i := range lines {
		if lines[i].Item != nil {
			categories[i] = lines[i].Item.Category
		}
	}
	earned := loyalty.Earn(programme, loyalty.Basket{Sale: s, Categories: categories, Store: d.origin().Store, At: at, Zone: d.shop.loc})
	s.PointsEarned, s.Programme = earned.Total, programme.ValidFrom
	for i := range earned.Lines {
		s.Lines[i].Points = earned.Lines[i]
	}
}
