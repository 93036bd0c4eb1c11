package protocol

import "counterpart/protocol/wire"

// EncodeProgramme writes the value of a row of the points programme.
func EncodeProgramme(p *Programme) ([]byte, error) {
	return encodeRow("programme", p, checkProgramme, encodeProgramme)
}

// DecodeProgramme reads what EncodeProgramme wrote.
func DecodeProgramme(value []byte) (*Programme, error) {
	return decodeRow("programme", value, &wire.ProgrammeRow{}, decodeProgramme, checkProgramme)
}

func (c *check) points(what string, n Points) {
	if n < 0 || n > PointsMax {
		c.failf("%s %d is out of range", what, n)
	}
}

// factor checks what points are multiplied by.
func (c *check) factor(r RatePPM) {
	c.natural("factor", int64(r))
}

func checkProgramme(c *check, p *Programme) {
	if c.name("start", p.ValidFrom); p.ValidFrom == "" {
		c.failf("the programme has no start")
	}
	c.word("rounding", string(p.Rounding), false)
	c.count("rules", len(p.Earn), smallListMax)
	for i := range p.Earn {
		rule := &p.Earn[i]
		if rule.PerMinor < 1 || rule.PerMinor > AmountMax {
			c.failf("amount %d of a rule is out of range", rule.PerMinor)
		}
		c.points("points", rule.Points)
		c.name("category", rule.Category)
		c.word("tender", string(rule.Tender), false)
	}
	if r := p.Redeem; r != nil {
		if r.Points < 1 || r.Value < 1 || r.Value > AmountMax {
			c.failf("%d points cannot be worth %d", r.Points, r.Value)
		}
		c.points("points", r.Points)
		c.points("minimum", r.Minimum)
	}
	c.points("cap", p.HomeLeaseCap)
	if p.VisitLeaseCap != nil {
		c.points("cap", *p.VisitLeaseCap)
	}
	c.points("cap", p.RiskMode.MemberCap)
	c.points("pool", p.RiskMode.Pool)
	checkMultipliers(c, p)
}

func checkMultipliers(c *check, p *Programme) {
	c.count("tiers", len(p.Tiers), smallListMax)
	for i := range p.Tiers {
		c.name("name of a tier", p.Tiers[i].Name)
		c.points("threshold", p.Tiers[i].Points)
		c.factor(p.Tiers[i].Factor)
	}
	c.count("campaigns", len(p.Campaigns), smallListMax)
	for i := range p.Campaigns {
		campaign := &p.Campaigns[i]
		c.id("campaign", campaign.ID)
		c.text("name", campaign.Name)
		c.name("category", campaign.Category)
		c.idOrNone("store", string(campaign.Store))
		c.text("start", campaign.From)
		c.text("end", campaign.To)
		c.factor(campaign.Factor)
	}
	if p.Birthday != nil {
		c.factor(p.Birthday.Factor)
	}
}

func encodeProgramme(p *Programme) *wire.ProgrammeRow {
	w := &wire.ProgrammeRow{
		ValidFrom: p.ValidFrom, Rounding: string(p.Rounding),
		HomeLeaseCap: int64(p.HomeLeaseCap), VisitLeaseCap: (*int64)(p.VisitLeaseCap), ExpireAfterDays: p.ExpireAfterDays,
		Earn:      list[*wire.EarnRule](len(p.Earn)),
		Tiers:     list[*wire.Tier](len(p.Tiers)),
		Campaigns: list[*wire.Campaign](len(p.Campaigns)),
	}
	for i, r := range p.Earn {
		w.Earn[i] = &wire.EarnRule{PerMinor: int64(r.PerMinor), Points: int64(r.Points), Category: r.Category, Tender: string(r.Tender)}
	}
	if r := p.Redeem; r != nil {
		w.Redeem = &wire.RedeemRule{Points: int64(r.Points), ValueMinor: int64(r.Value), Minimum: int64(r.Minimum)}
	}
	if r := p.RiskMode; r != (RiskMode{}) {
		w.RiskMode = &wire.RiskMode{Enabled: r.Enabled, MemberCap: int64(r.MemberCap), Pool: int64(r.Pool)}
	}
	for i, t := range p.Tiers {
		w.Tiers[i] = &wire.Tier{Name: t.Name, Points: int64(t.Points), WithinDays: t.WithinDays, FactorPpm: int64(t.Factor)}
	}
	if r := p.Birthday; r != nil {
		w.Birthday = &wire.BirthdayRule{FactorPpm: int64(r.Factor), Days: r.Days}
	}
	for i := range p.Campaigns {
		m := &p.Campaigns[i]
		w.Campaigns[i] = &wire.Campaign{
			Id: m.ID, Name: m.Name, Category: m.Category, Store: string(m.Store), ValidFrom: m.From, ValidTo: m.To, FactorPpm: int64(m.Factor),
		}
	}
	return w
}

func decodeProgramme(_ *check, w *wire.ProgrammeRow) Programme {
	p := Programme{
		ValidFrom: w.ValidFrom, Rounding: PointsRounding(w.Rounding),
		HomeLeaseCap: Points(w.HomeLeaseCap), VisitLeaseCap: (*Points)(w.VisitLeaseCap), ExpireAfterDays: w.ExpireAfterDays,
		Earn:      list[EarnRule](len(w.Earn)),
		Tiers:     list[Tier](len(w.Tiers)),
		Campaigns: list[Campaign](len(w.Campaigns)),
	}
	for i, r := range w.Earn {
		p.Earn[i] = EarnRule{PerMinor: Money(r.PerMinor), Points: Points(r.Points), Category: r.Category, Tender: TenderType(r.Tender)}
	}
	if r := w.Redeem; r != nil {
		p.Redeem = &RedeemRule{Points: Points(r.Points), Value: Money(r.ValueMinor), Minimum: Points(r.Minimum)}
	}
	if r := w.RiskMode; r != nil {
		p.RiskMode = RiskMode{Enabled: r.Enabled, MemberCap: Points(r.MemberCap), Pool: Points(r.Pool)}
	}
	for i, t := range w.Tiers {
		p.Tiers[i] = Tier{Name: t.Name, Points: Points(t.Points), WithinDays: t.WithinDays, Factor: RatePPM(t.FactorPpm)}
	}
	if r := w.Birthday; r != nil {
		p.Birthday = &BirthdayRule{Factor: RatePPM(r.FactorPpm), Days: r.Days}
	}
	for i, m := range w.Campaigns {
		p.Campaigns[i] = Campaign{
			ID: m.Id, Name: m.Name, Category: m.Category, Store: StoreID(m.Store), From: m.ValidFrom, To: m.ValidTo, Factor: RatePPM(m.FactorPpm),
		}
	}
	return p
}
