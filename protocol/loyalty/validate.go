package loyalty

import (
	"strconv"
	"strings"
	"time"

	"counterpart/protocol"
)

// The bounds of a programme.
const (
	earnRulesMax     = 200
	tiersMax         = 20
	campaignsMax     = 200
	textBytesMax     = 512
	tierNameBytesMax = 64
	periodDaysMax    = 36_500
	birthdayDaysMax  = 31
)

// validation collects the first thing that is wrong with a programme.
type validation struct{ err error }

// refuse names a member of the entry of a list, which is counted from 1, or of the
// programme where list is empty.
func (v *validation) refuse(list string, entry int, field, value, rule string) {
	if v.err != nil {
		return
	}
	e := protocol.OutOfRange(field, value, rule)
	path := "/" + field
	if list != "" {
		path = "/" + list + path
	}
	if entry > 0 {
		e, path = e.With("line", entry), "/"+list+"/"+strconv.Itoa(entry-1)+"/"+field
	}
	v.err = e.With("path", path)
}

// within refuses a number that is not least to most.
func within[N ~int64 | ~uint32](v *validation, list string, entry int, field string, n, least, most N) {
	if n < least || n > most {
		v.refuse(list, entry, field, strconv.FormatInt(int64(n), 10), "not "+strconv.FormatInt(int64(least), 10)+" to "+strconv.FormatInt(int64(most), 10))
	}
}

func (v *validation) text(list string, entry int, field, s string, most int) {
	if !protocol.ValidText(s, most) {
		v.refuse(list, entry, field, "", "not text of at most "+strconv.Itoa(most)+" bytes without control characters")
	}
}

// moment reads a date or a time, and gives the one way in which it is kept: a date
// as it is, a time in UTC.
func (v *validation) moment(list string, entry int, field, text string) string {
	text = strings.TrimSpace(text)
	if _, err := time.Parse(time.DateOnly, text); err == nil {
		return text
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || at.UTC().Year() < 1 || at.UTC().Year() > 9999 {
		v.refuse(list, entry, field, "", "not a date such as 2026-11-21 or a time such as 2026-11-21T10:02:11+00:00")
	}
	return at.UTC().Format(time.RFC3339Nano)
}

// Programme checks what an operator says and gives the programme that it means.
// Whether the stores of campaigns exist is the hub's to say.
func (d *Document) Programme() (*protocol.Programme, error) {
	var v validation
	p := &protocol.Programme{
		Rounding: protocol.RoundDown, HomeLeaseCap: d.HomeLeaseCap, VisitLeaseCap: d.VisitLeaseCap,
		RiskMode: protocol.RiskMode(orNone(d.RiskMode)), ExpireAfterDays: orNone(d.ExpireAfterDays),
	}
	p.ValidFrom = v.moment("", 0, "valid_from", d.ValidFrom)
	if d.Rounding != nil {
		p.Rounding = *d.Rounding
	}
	if p.Rounding != protocol.RoundDown && p.Rounding != protocol.RoundHalfUp {
		v.refuse("", 0, "rounding", "", "neither down nor half_up")
	}
	v.earn(p, d.Earn)
	v.redeem(p, d.Redeem)
	within(&v, "", 0, "home_lease_cap", p.HomeLeaseCap, 0, protocol.PointsMax)
	within(&v, "", 0, "visit_lease_cap", orNone(p.VisitLeaseCap), 0, protocol.PointsMax)
	within(&v, "risk_mode", 0, "member_cap", p.RiskMode.MemberCap, 0, protocol.PointsMax)
	within(&v, "risk_mode", 0, "pool", p.RiskMode.Pool, 0, protocol.PointsMax)
	if d.ExpireAfterDays != nil {
		within(&v, "", 0, "expire_after_days", p.ExpireAfterDays, 1, periodDaysMax)
	}
	v.tiers(p, d.Tiers)
	v.campaigns(p, d.Campaigns)
	if r := d.Birthday; r != nil {
		within(&v, "birthday", 0, "factor_ppm", r.Factor, factorOnce, factorMax)
		within(&v, "birthday", 0, "days", r.Days, 1, birthdayDaysMax)
		p.Birthday = &protocol.BirthdayRule{Factor: r.Factor, Days: r.Days}
	}
	if v.err != nil {
		return nil, v.err
	}
	return p, nil
}

func (v *validation) earn(p *protocol.Programme, rules []EarnDocument) {
	if rules == nil {
		v.refuse("", 0, "earn", "", "missing; an empty list earns nothing")
	}
	if len(rules) > earnRulesMax {
		v.refuse("", 0, "earn", strconv.Itoa(len(rules)), "a list of more than "+strconv.Itoa(earnRulesMax)+" rules")
		return
	}
	type about struct {
		category string
		tender   protocol.TenderType
	}
	seen := map[about]bool{}
	for i := range rules {
		r, n := &rules[i], i+1
		rule := protocol.EarnRule{PerMinor: r.PerMinor, Points: orNone(r.Points), Category: orNone(r.Category), Tender: orNone(r.Tender)}
		within(v, "earn", n, "per_minor", rule.PerMinor, 1, protocol.MoneyMax)
		if r.Points == nil {
			v.refuse("earn", n, "points", "", "missing; 0 earns nothing")
		}
		within(v, "earn", n, "points", rule.Points, 0, protocol.PointsMax)
		v.text("earn", n, "category", rule.Category, textBytesMax)
		switch {
		case rule.Tender == "":
		case !protocol.ValidTender(rule.Tender):
			v.refuse("earn", n, "tender", "", "not a type of payment")
		case earnsNothing(rule.Tender):
			v.refuse("earn", n, "tender", string(rule.Tender), "a payment that never earns points")
		}
		if seen[about{rule.Category, rule.Tender}] {
			v.refuse("earn", n, "category", "", "given twice with the same tender")
		}
		seen[about{rule.Category, rule.Tender}] = true
		p.Earn = append(p.Earn, rule)
	}
}

func (v *validation) redeem(p *protocol.Programme, r *RedeemDocument) {
	if r == nil {
		return
	}
	rule := protocol.RedeemRule(*r)
	within(v, "redeem", 0, "points", rule.Points, 1, protocol.PointsMax)
	within(v, "redeem", 0, "value_minor", rule.Value, 1, protocol.MoneyMax)
	within(v, "redeem", 0, "minimum", rule.Minimum, 0, protocol.PointsMax)
	p.Redeem = &rule
}

func (v *validation) tiers(p *protocol.Programme, tiers []TierDocument) {
	if len(tiers) > tiersMax {
		v.refuse("", 0, "tiers", strconv.Itoa(len(tiers)), "a list of more than "+strconv.Itoa(tiersMax)+" tiers")
		return
	}
	names := map[string]bool{}
	points, factor := protocol.Points(1), factorOnce
	for i := range tiers {
		t, n := &tiers[i], i+1
		if v.text("tiers", n, "name", t.Name, tierNameBytesMax); t.Name == "" || names[t.Name] {
			v.refuse("tiers", n, "name", "", "missing, or given twice")
		}
		names[t.Name] = true
		// Tiers stand in the order of their thresholds, so that the last that a
		// member reached is the best.
		within(v, "tiers", n, "points", t.Points, points, protocol.PointsMax)
		within(v, "tiers", n, "within_days", t.WithinDays, 1, periodDaysMax)
		within(v, "tiers", n, "factor_ppm", t.Factor, factor, factorMax)
		points, factor = t.Points+1, t.Factor
		p.Tiers = append(p.Tiers, protocol.Tier(*t))
	}
}

func (v *validation) campaigns(p *protocol.Programme, campaigns []CampaignDocument) {
	if len(campaigns) > campaignsMax {
		v.refuse("", 0, "campaigns", strconv.Itoa(len(campaigns)), "a list of more than "+strconv.Itoa(campaignsMax)+" campaigns")
		return
	}
	ids := map[string]bool{}
	for i := range campaigns {
		d, n := &campaigns[i], i+1
		c := protocol.Campaign{ID: d.ID, Name: d.Name, Category: orNone(d.Category), Store: orNone(d.Store), Factor: d.Factor}
		if !protocol.ValidID(c.ID) || ids[c.ID] {
			v.refuse("campaigns", n, "id", "", "not 1 to 64 letters, digits, _ and -, or given twice")
		}
		ids[c.ID] = true
		v.text("campaigns", n, "name", c.Name, textBytesMax)
		v.text("campaigns", n, "category", c.Category, textBytesMax)
		if c.Store != "" && !protocol.ValidID(string(c.Store)) {
			v.refuse("campaigns", n, "store", "", "not 1 to 64 letters, digits, _ and -")
		}
		if d.ValidFrom != nil {
			c.From = v.moment("campaigns", n, "valid_from", *d.ValidFrom)
		}
		if d.ValidTo != nil {
			c.To = v.moment("campaigns", n, "valid_to", *d.ValidTo)
		}
		if c.From != "" && c.To != "" && !ends(c.From, c.To) {
			v.refuse("campaigns", n, "valid_to", c.To, "not after valid_from")
		}
		within(v, "campaigns", n, "factor_ppm", c.Factor, factorOnce, factorMax)
		p.Campaigns = append(p.Campaigns, c)
	}
}

// ends tells whether a period can end after its start. A date and a time are
// compared only where no time zone lies between them.
func ends(from, to string) bool {
	const zonesApart = 26 * time.Hour
	start, _ := startOf(from, time.UTC)
	end, _ := startOf(to, time.UTC)
	if (len(from) == len(time.DateOnly)) != (len(to) == len(time.DateOnly)) {
		end = end.Add(zonesApart)
	}
	return end.After(start)
}
