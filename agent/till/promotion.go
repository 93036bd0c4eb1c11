package till

import (
	"time"

	"counterpart/protocol"
	"counterpart/protocol/sale"
	"counterpart/protocol/stock"
)

// datedPromotion is a promotion with its dates in the store's time.
type datedPromotion struct {
	row      *protocol.Promotion
	from, to time.Time // to is zero where it is open
	hours    stock.Hours
}

// datePromotions reads the dates of promotions. One whose dates or hours cannot be
// read is left out, as a price is.
func (s *shop) datePromotions(rows []*protocol.Promotion) []datedPromotion {
	var list []datedPromotion
	for _, row := range rows {
		p := datedPromotion{row: row}
		var begins, ends bool
		p.from, begins = s.startOf(row.From)
		p.to, ends = s.startOf(row.To)
		hours, err := stock.ParseHours(row.Hours)
		if p.hours = hours; (begins || row.From == "") && (ends || row.To == "") && err == nil {
			list = append(list, p)
		}
	}
	return list
}

// promotionsAt are the promotions of the zone, with what they are at a time.
func (s *shop) promotionsAt(at time.Time) []sale.Promotion {
	if len(s.promotions) == 0 {
		return nil
	}
	list := make([]sale.Promotion, len(s.promotions))
	for i := range s.promotions {
		p := &s.promotions[i]
		list[i] = sale.Promotion{Promotion: p.row, Validity: p.at(at, s.loc)}
	}
	return list
}

func (p *datedPromotion) at(at time.Time, loc *time.Location) sale.Validity {
	switch {
	case at.Before(p.from):
		return sale.NotYet
	case !p.to.IsZero() && !at.Before(p.to):
		return sale.Over
	case p.hours.Open(at, at.Add(1), loc) == 0:
		return sale.OtherHours
	}
	return sale.InForce
}
