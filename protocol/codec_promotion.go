package protocol

import "counterpart/protocol/wire"

// EncodePromotion writes the value of a promotion's row.
func EncodePromotion(p *Promotion) ([]byte, error) {
	return encodeRow("promotion", p, checkPromotion, encodePromotion)
}

// DecodePromotion reads what EncodePromotion wrote.
func DecodePromotion(value []byte) (*Promotion, error) {
	return decodeRow("promotion", value, &wire.PromotionRow{}, decodePromotion, checkPromotion)
}

// checkPromotion does not ask whether the numbers fit the kind: a later version
// may read more into them, and the rules take nothing off where they do not.
func checkPromotion(c *check, p *Promotion) {
	c.id("zone", string(p.Zone))
	c.id("promotion", string(p.ID))
	c.text("name", p.Name)
	c.text("start", p.From)
	c.text("end", p.To)
	c.text("hours", p.Hours)
	c.text("coupon", p.Coupon)
	c.count("goods", len(p.SKUs), RowsMax)
	for i, sku := range p.SKUs {
		if c.sku(sku); i > 0 && sku <= p.SKUs[i-1] {
			c.failf("the goods of a promotion are not in the order of their SKUs")
		}
	}
	if c.name("category", p.Category); p.Category != "" && len(p.SKUs) > 0 {
		c.failf("a promotion names a category beside items")
	}
	c.word("kind", string(p.Kind), false)
	c.currency(p.Currency)
	c.natural("price", int64(p.Price))
	c.natural("amount", int64(p.Amount))
	c.natural("minimum", int64(p.Minimum))
	if p.Rate < 0 || p.Rate > ratePPMWhole {
		c.failf("rate %d is out of range", p.Rate)
	}
}

func encodePromotion(p *Promotion) *wire.PromotionRow {
	w := &wire.PromotionRow{
		Zone: string(p.Zone), Id: string(p.ID), Name: p.Name, ValidFrom: p.From, ValidTo: p.To, Hours: p.Hours,
		Coupon: p.Coupon, MembersOnly: p.MembersOnly, Limit: p.Limit, Skus: list[string](len(p.SKUs)), Category: p.Category,
		Kind: string(p.Kind), N: p.N, PriceMinor: int64(p.Price), Currency: p.Currency, RatePpm: int64(p.Rate), Free: p.Free,
		AmountMinor: int64(p.Amount), MinimumMinor: int64(p.Minimum),
	}
	for i, sku := range p.SKUs {
		w.Skus[i] = string(sku)
	}
	return w
}

func decodePromotion(_ *check, w *wire.PromotionRow) Promotion {
	p := Promotion{
		Zone: ZoneID(w.Zone), ID: PromotionID(w.Id), Name: w.Name, From: w.ValidFrom, To: w.ValidTo, Hours: w.Hours,
		Coupon: w.Coupon, MembersOnly: w.MembersOnly, Limit: w.Limit, SKUs: list[SKU](len(w.Skus)), Category: w.Category,
		Kind: PromotionKind(w.Kind), N: w.N, Price: Money(w.PriceMinor), Currency: w.Currency, Rate: RatePPM(w.RatePpm), Free: w.Free,
		Amount: Money(w.AmountMinor), Minimum: Money(w.MinimumMinor),
	}
	for i, sku := range w.Skus {
		p.SKUs[i] = SKU(sku)
	}
	return p
}
