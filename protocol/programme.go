package protocol

// Points is a number of points of the chain's programme, above zero for what a
// member has or gets.
type Points int64

// PointsMax bounds every number of points that may be entered or computed,
// either sign.
const PointsMax Points = 1_000_000_000_000

// Programme holds the rules of the points programme from ValidFrom until the next
// one begins. It is reference data: what a sale earned is in its event, and no
// later programme changes it.
type Programme struct {
	ValidFrom string // an RFC 3339 time, or a date: midnight in the store's zone
	Earn      []EarnRule
	Rounding  PointsRounding
	Redeem    *RedeemRule // nil: points cannot be spent
	// HomeLeaseCap is how many points the member's home store may hold ready to
	// be spent without asking, VisitLeaseCap how many another store may for a
	// visit; nil sets no bound.
	HomeLeaseCap  Points
	VisitLeaseCap *Points
	RiskMode      RiskMode
	// ExpireAfterDays is how long points last; 0 is for ever.
	ExpireAfterDays uint32
	Tiers           []Tier // by rising threshold
	Campaigns       []Campaign
	Birthday        *BirthdayRule // nil: none
}

// PointsRounding says how parts of a point are rounded. A word of a later version
// rounds down.
type PointsRounding string

// The roundings.
const (
	RoundDown   PointsRounding = "down"
	RoundHalfUp PointsRounding = "half_up"
)

// EarnRule gives Points for each PerMinor minor units that are paid, and parts of
// it in proportion. Points of 0 say that what the rule is about earns nothing.
type EarnRule struct {
	PerMinor Money
	Points   Points
	Category string     // of goods of this category; empty: of all
	Tender   TenderType // of what is paid this way; empty: in any
}

// RedeemRule says what points are worth: Points pay Value, and are spent in whole
// steps of that, Minimum at least.
type RedeemRule struct {
	Points  Points
	Value   Money
	Minimum Points
}

// RiskMode lets stores without a lease spend points up to bounds, so that more may
// be spent than there is.
type RiskMode struct {
	Enabled   bool
	MemberCap Points // of one member in one cut-off store
	Pool      Points // of all members in one cut-off store
}

// Tier is a rank of members who earned Points within WithinDays.
type Tier struct {
	Name       string
	Points     Points
	WithinDays uint32
	Factor     RatePPM // what a member of the tier earns, times this
}

// BirthdayRule multiplies what a member earns for so many days, the birthday first.
type BirthdayRule struct {
	Factor RatePPM
	Days   uint32
}

// Campaign multiplies what goods earn for a while. From and To are as in a Price.
type Campaign struct {
	ID       string
	Name     string
	Category string  // of goods of this category; empty: of all
	Store    StoreID // in this store; empty: in all
	From     string  // empty: from the programme's beginning
	To       string  // excluded; empty: until the next programme
	Factor   RatePPM
}
