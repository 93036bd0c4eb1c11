package pickup

import (
	"strconv"

	"counterpart/protocol"
)

// HoldRequest asks a store to keep goods for a cart that is not yet an order
// (POST /v1/holds). protocol.DecodeJSON reads it strictly.
type HoldRequest struct {
	Store protocol.StoreID `json:"store"`
	Lines []PlaceLine      `json:"lines"`
	TTLS  *int64           `json:"ttl_s"`
}

// holdSecondsMax is for how long goods may be held for a cart.
const holdSecondsMax = 24 * 60 * 60

// HoldDocument is what a hold is answered with.
type HoldDocument struct {
	ID         string `json:"id"`
	ExpiresInS int64  `json:"expires_in_s"`
}

// Validate refuses a hold that nobody can mean.
func (r *HoldRequest) Validate() error {
	switch {
	case !protocol.ValidID(string(r.Store)):
		return protocol.OutOfRange("store", "", "not the id of a store")
	case r.TTLS == nil || *r.TTLS < 1 || *r.TTLS > holdSecondsMax:
		return protocol.OutOfRange("ttl_s", "", "not a number of seconds from 1 to "+strconv.Itoa(holdSecondsMax))
	}
	return checkLines(r.Lines)
}

// checkLines refuses lines that nobody can mean.
func checkLines(lines []PlaceLine) error {
	if len(lines) == 0 || len(lines) > orderLinesMax {
		return protocol.OutOfRange("lines", "", "not a list of 1 to "+strconv.Itoa(orderLinesMax)+" entries")
	}
	for i, l := range lines {
		if l.Qty == nil || *l.Qty <= 0 || *l.Qty > QuantityMax {
			return protocol.OutOfRange("qty", "", "not above 0 and at most 10,000,000").With("line", i+1)
		}
	}
	return nil
}
