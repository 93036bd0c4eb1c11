package protocol

// Item is a row of the catalogue.
type Item struct {
	SKU        SKU
	GTIN       string // 14 digits, or empty
	Codes      []ItemCode
	Name       string
	Brand      string
	Category   string
	Unit       Unit
	Price      *Money // nil where the catalogue has none
	Currency   string
	TaxCode    string
	Stocked    bool
	Blocked    bool
	MinAge     uint32
	Parent     SKU
	Attributes []Attribute
	Source     string
}

// ItemCode is one more code of an item. Multiplier is how many thousandths of
// the item's unit one scan means: a case of 12 is 12000.
type ItemCode struct {
	Code       string // a GTIN as 14 digits, anything else as given
	Multiplier Quantity
}

// Attribute is a named property such as size or colour.
type Attribute struct{ Name, Value string }

// PriceList holds every dated price of one item in one zone. Of the prices in
// force the one with the latest From stands.
type PriceList struct {
	Zone   ZoneID
	SKU    SKU
	Prices []Price
}

// Price is in force from From up to but excluding To. Both are RFC 3339 times
// or business dates (midnight in the store's zone); an empty To is open.
type Price struct {
	Amount   Money
	Currency string
	From     string
	To       string
}

// TaxList holds the dated rates of one tax code in one zone.
type TaxList struct {
	Zone             ZoneID
	Code             string
	Name             string
	PricesIncludeTax bool
	Rates            []TaxRate
}

// TaxRate is in force from From (RFC 3339 or date) until the next one.
type TaxRate struct {
	Rate RatePPM
	From string
}

// PolicyRow says what online may promise of the items that it names: of one item,
// of a category or of all, in one store or in all. What is nil is left to the row
// that names less; a row that says nothing is gone.
type PolicyRow struct {
	Store       StoreID   // empty: in all stores
	Category    string    // of the items of this category
	SKU         SKU       // of this item; never beside a category
	SafetyStock *Quantity // kept back from online
	Online      *bool     // false: online sells nothing of it
	// OverpromiseTarget is how likely it may be that what is promised was sold
	// while the hub did not hear of it.
	OverpromiseTarget *RatePPM
}

// Gone tells whether the row says nothing.
func (p *PolicyRow) Gone() bool {
	return p.SafetyStock == nil && p.Online == nil && p.OverpromiseTarget == nil
}

// StoreRecord is what a chain knows of a shop.
type StoreRecord struct {
	ID           StoreID
	Name         string
	Lat, Lon     *float64
	Timezone     string
	Country      string
	City         string
	Currency     string
	PriceZone    ZoneID
	LegalName    string
	TaxID        string
	Address      string
	CashRounding Money // smallest cash unit in minor units; 0 and 1 mean none
	OpeningHours string
	Fiscal       string
	Primary      AgentID
	Source       string
}
