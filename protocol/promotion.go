package protocol

// PromotionID names a promotion within its zone.
type PromotionID string

// Promotion is a rule of one zone that takes something off for everybody, or for
// whoever presents its coupon. It is reference data: what was taken off is in the
// sale's event, and no later promotion changes it.
type Promotion struct {
	ID       PromotionID
	Zone     ZoneID
	Name     string // as the receipt shows it
	From, To string // as in a Price
	Hours    string // of the week in store time, written as opening hours are; empty: always
	Coupon   string // the text that has to be presented; empty: for everybody
	// MembersOnly leaves out shoppers who are not known.
	MembersOnly bool
	Limit       uint32 // groups on one receipt, at most; 0 sets no bound
	SKUs        []SKU  // the goods, each once, in the order of their bytes
	Category    string // the goods, in the place of SKUs; neither: all goods
	Kind        PromotionKind
	N           uint32  // pieces of a group
	Price       Money   // of a group
	Currency    string  // of all amounts; empty: the store's
	Rate        RatePPM // what is taken off
	Free        uint32  // how many of a group cost nothing
	Amount      Money   // what is taken off the receipt
	Minimum     Money   // what the goods have to come to before promotions
}

// PromotionKind is the way in which a promotion takes something off. A word that
// is not known here takes nothing off.
type PromotionKind string

// The kinds of promotions.
const (
	// NForPrice: any N pieces of the goods cost Price.
	NForPrice PromotionKind = "n_for_price"
	// PercentOff takes Rate off the goods.
	PercentOff PromotionKind = "percent"
	// CheapestFree: of N pieces of the goods the Free cheapest cost nothing.
	CheapestFree PromotionKind = "cheapest_free"
	// AmountOff takes Amount off a receipt whose goods come to Minimum. It names no
	// goods.
	AmountOff PromotionKind = "amount_off"
)

// Gone tells whether the row says that the promotion is no more.
func (p *Promotion) Gone() bool { return p.Kind == "" }
