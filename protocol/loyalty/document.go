package loyalty

import (
	"strings"

	"counterpart/protocol"
)

// Document is a programme as PUT /v1/programme takes it and as it is shown. Null,
// or what a request leaves out, is said of each member. protocol.DecodeJSON reads
// it strictly.
type Document struct {
	Earn          []EarnDocument           `json:"earn"`
	Rounding      *protocol.PointsRounding `json:"rounding"`       // null: down
	Redeem        *RedeemDocument          `json:"redeem"`         // null: points cannot be spent
	HomeLeaseCap  protocol.Points          `json:"home_lease_cap"` // left out: 0
	VisitLeaseCap *protocol.Points         `json:"visit_lease_cap"`
	RiskMode      *RiskModeDocument        `json:"risk_mode"` // null: off
	// ExpireAfterDays is null where points last for ever.
	ExpireAfterDays *uint32            `json:"expire_after_days"`
	Tiers           []TierDocument     `json:"tiers"`
	Campaigns       []CampaignDocument `json:"campaigns"`
	Birthday        *BirthdayDocument  `json:"birthday"` // null: none
	ValidFrom       string             `json:"valid_from"`
}

// EarnDocument is a rule of what earns points.
type EarnDocument struct {
	PerMinor protocol.Money       `json:"per_minor"`
	Points   *protocol.Points     `json:"points"`   // never null in answers
	Category *string              `json:"category"` // null: of all goods
	Tender   *protocol.TenderType `json:"tender"`   // null: paid in any way
}

// RedeemDocument is the rule of what points are worth.
type RedeemDocument struct {
	Points  protocol.Points `json:"points"`
	Value   protocol.Money  `json:"value_minor"`
	Minimum protocol.Points `json:"minimum"`
}

// RiskModeDocument says what stores may spend without a lease.
type RiskModeDocument struct {
	Enabled   bool            `json:"enabled"`
	MemberCap protocol.Points `json:"member_cap"`
	Pool      protocol.Points `json:"pool"`
}

// TierDocument is a rank of members.
type TierDocument struct {
	Name       string           `json:"name"`
	Points     protocol.Points  `json:"points"`
	WithinDays uint32           `json:"within_days"`
	Factor     protocol.RatePPM `json:"factor_ppm"`
}

// BirthdayDocument multiplies what a member earns from their birthday on.
type BirthdayDocument struct {
	Factor protocol.RatePPM `json:"factor_ppm"`
	Days   uint32           `json:"days"` // the birthday first
}

// CampaignDocument multiplies what goods earn for a while.
type CampaignDocument struct {
	ID        string            `json:"id"`
	Name      string            `json:"name"`
	Category  *string           `json:"category"`   // null: of all goods
	Store     *protocol.StoreID `json:"store"`      // null: in all stores
	ValidFrom *string           `json:"valid_from"` // null: as long as the programme
	ValidTo   *string           `json:"valid_to"`
	Factor    protocol.RatePPM  `json:"factor_ppm"`
}

// orNull is a pointer to a value, or nil where it is empty.
func orNull[T comparable](v T) *T {
	var none T
	if v == none {
		return nil
	}
	return &v
}

// orNone is what a pointer leads to, or empty.
func orNone[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// shown is a date or a time as documents have it, with a numeric offset
// (protocol.TimeLayout). Rows have UTC as Z.
func shown(moment string) string {
	if utc, ok := strings.CutSuffix(moment, "Z"); ok {
		return utc + "+00:00"
	}
	return moment
}

// NewDocument shows a programme with every member.
func NewDocument(p *protocol.Programme) Document {
	rounding := protocol.RoundDown
	if p.Rounding != "" {
		rounding = p.Rounding
	}
	d := Document{
		Earn: make([]EarnDocument, len(p.Earn)), Rounding: &rounding,
		HomeLeaseCap: p.HomeLeaseCap, VisitLeaseCap: p.VisitLeaseCap,
		RiskMode:        &RiskModeDocument{Enabled: p.RiskMode.Enabled, MemberCap: p.RiskMode.MemberCap, Pool: p.RiskMode.Pool},
		ExpireAfterDays: orNull(p.ExpireAfterDays), ValidFrom: shown(p.ValidFrom),
		Tiers: make([]TierDocument, len(p.Tiers)), Campaigns: make([]CampaignDocument, len(p.Campaigns)),
	}
	for i, r := range p.Earn {
		d.Earn[i] = EarnDocument{PerMinor: r.PerMinor, Points: &r.Points, Category: orNull(r.Category), Tender: orNull(r.Tender)}
	}
	if r := p.Redeem; r != nil {
		d.Redeem = &RedeemDocument{Points: r.Points, Value: r.Value, Minimum: r.Minimum}
	}
	for i, t := range p.Tiers {
		d.Tiers[i] = TierDocument(t)
	}
	if r := p.Birthday; r != nil {
		d.Birthday = &BirthdayDocument{Factor: r.Factor, Days: r.Days}
	}
	for i := range p.Campaigns {
		c := &p.Campaigns[i]
		d.Campaigns[i] = CampaignDocument{
			ID: c.ID, Name: c.Name, Category: orNull(c.Category), Store: orNull(c.Store), ValidFrom: orNull(shown(c.From)), ValidTo: orNull(shown(c.To)), Factor: c.Factor,
		}
	}
	return d
}
