package stock

import (
	"strconv"

	"counterpart/protocol"
)

// NewPolicy puts rows together that are about one item in one store, the row
// that names most first. Each member is that of the first row which says
// something of it, and the default where none does. Rows may be nil.
func NewPolicy(rows []*protocol.PolicyRow) Policy {
	p := PolicyDefault()
	for i := len(rows) - 1; i >= 0; i-- {
		row := rows[i]
		if row == nil {
			continue
		}
		if row.SafetyStock != nil {
			p.SafetyStock = *row.SafetyStock
		}
		if row.Online != nil {
			p.Online = *row.Online
		}
		if row.OverpromiseTarget != nil {
			p.Target = *row.OverpromiseTarget
		}
	}
	return p
}

// PolicyRequest is a row of the policy as PUT /v1/policy takes it. It replaces
// the row that is about the same; one that says nothing takes it away.
// protocol.DecodeJSON reads it strictly.
type PolicyRequest struct {
	Store             protocol.StoreID   `json:"store"`
	Category          string             `json:"category"`
	Code              string             `json:"code"`
	SafetyStock       *protocol.Quantity `json:"safety_stock"`
	Online            *bool              `json:"online"`
	OverpromiseTarget *protocol.RatePPM  `json:"overpromise_target_ppm"`
}

// The bounds of a row of the policy.
const (
	categoryBytesMax                    = 512
	overpromiseMin     protocol.RatePPM = 1
	overpromiseCertain protocol.RatePPM = 1_000_000
)

// Validate refuses a row that nobody can mean. Whether its store and its item
// exist is the hub's to say.
func (r *PolicyRequest) Validate() error {
	switch {
	case r.Category != "" && r.Code != "":
		return protocol.OutOfRange("category", "", "given beside code, of which only one can be meant")
	case !protocol.ValidText(r.Category, categoryBytesMax):
		return protocol.OutOfRange("category", "", "not text of at most "+strconv.Itoa(categoryBytesMax)+" bytes without control characters")
	case r.SafetyStock != nil && *r.SafetyStock < 0:
		return protocol.OutOfRange("safety_stock", r.SafetyStock.String(), "below 0")
	}
	if t := r.OverpromiseTarget; t != nil && (*t < overpromiseMin || *t > overpromiseCertain) {
		return protocol.OutOfRange("overpromise_target_ppm", strconv.FormatInt(int64(*t), 10), "not 1 to 1,000,000")
	}
	return nil
}
