package pickup

import (
	"slices"
	"strings"
	"time"

	"counterpart/protocol"
)

// PlaceRequest asks stores to keep goods for a shopper (POST /v1/orders).
// protocol.DecodeJSON reads it strictly.
type PlaceRequest struct {
	Store       protocol.StoreID `json:"store"`
	Near        *Place           `json:"near"`
	Sourcing    string           `json:"sourcing"`
	Method      protocol.Method  `json:"method"`
	Payment     PlacePayment     `json:"payment"`
	Partial     bool             `json:"partial"`
	Substitutes bool             `json:"substitutes"`
	Lines       []PlaceLine      `json:"lines"`
	Shopper     PlaceShopper     `json:"shopper"`
	// MemberID is whose order it is. Where the shopper is left out, it is the member.
	MemberID protocol.MemberID `json:"member_id"`
	PickupBy string            `json:"pickup_by"`
	Hold     string            `json:"hold"` // whose goods become the order's
}

// Place is where somebody is, in degrees.
type Place struct {
	Lat float64 `json:"lat"`
	Lon float64 `json:"lon"`
}

// PlacePayment says whether the order is paid or due at the hand-over.
type PlacePayment struct {
	Status    string `json:"status"`
	Reference string `json:"reference"`
}

// PlaceLine is one item. Qty counts scans of Code, as in a sale.
type PlaceLine struct {
	Code string             `json:"code"`
	Qty  *protocol.Quantity `json:"qty"`
}

// PlaceShopper is whom the goods are for.
type PlaceShopper struct {
	Name  string `json:"name"`
	Phone string `json:"phone"`
}

// The bounds of an order.
const (
	orderLinesMax     = 200
	orderTextBytesMax = 200
	phoneBytesMax     = 32
	// QuantityMax bounds a line, in thousandths.
	QuantityMax protocol.Quantity = 10_000_000_000
)

// The rules by which a store is chosen near a place.
const (
	SourcingNearest       = "nearest"
	SourcingFewestParcels = "fewest_parcels"
	SourcingMostStock     = "most_stock"
)

// Validate refuses what nobody can mean and fills in defaults. now is the
// moment of the order; cardNumber tells whether free text holds the number of a
// payment card, as which a phone number that begins with + does not count.
func (r *PlaceRequest) Validate(now time.Time, cardNumber func(string) bool) error {
	wrong := func(field, rule string) error { return protocol.OutOfRange(field, "", rule) }
	switch {
	case r.Store == "" && r.Near == nil:
		return wrong("store", "missing, and so is near")
	case r.Store != "" && (r.Near != nil || r.Sourcing != ""):
		return wrong("store", "given beside near or sourcing, of which only one can be meant")
	case r.Near != nil && !(r.Near.Lat >= -90 && r.Near.Lat <= 90 && r.Near.Lon >= -180 && r.Near.Lon <= 180):
		return wrong("near", "not a place on earth")
	case !protocol.ValidMethod(r.Method):
		return wrong("method", "not one of in_store, curbside, same_day_delivery and ship_from_store")
	case r.Payment.Status != "paid" && r.Payment.Status != "due":
		return wrong("payment", "neither paid nor due")
	case r.MemberID != "" && !protocol.ValidID(string(r.MemberID)):
		return wrong("member_id", "not an identifier")
	case len(r.Shopper.Phone) > phoneBytesMax:
		return wrong("phone", "longer than 32 bytes")
	case r.Hold != "" && (r.Store == "" || !protocol.ValidID(r.Hold)):
		return wrong("hold", "not the id of a hold, or given without its store")
	}
	if r.Near != nil && r.Sourcing == "" {
		r.Sourcing = SourcingNearest
	}
	if s := r.Sourcing; s != "" && s != SourcingNearest && s != SourcingFewestParcels && s != SourcingMostStock {
		return wrong("sourcing", "not one of nearest, fewest_parcels and most_stock")
	}
	for field, text := range map[string]string{"reference": r.Payment.Reference, "name": r.Shopper.Name, "phone": r.Shopper.Phone} {
		isCard := cardNumber
		if field == "phone" && strings.HasPrefix(text, "+") {
			isCard = func(string) bool { return false }
		}
		if err := checkText(field, text, orderTextBytesMax, isCard); err != nil {
			return err
		}
	}
	if err := checkLines(r.Lines); err != nil {
		return err
	}
	_, err := r.PickupByTime(now)
	return err
}

// PickupByTime is the moment by which the goods are to be fetched, zero for none.
func (r *PlaceRequest) PickupByTime(now time.Time) (time.Time, error) {
	if r.PickupBy == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, r.PickupBy)
	if err != nil {
		return at, protocol.OutOfRange("pickup_by", "", "not a time as in 2026-11-21T18:00:00+00:00")
	}
	if !at.After(now) {
		return at, protocol.OutOfRange("pickup_by", "", "in the past")
	}
	return at, nil
}

// HubAction is what the shop asks the hub to do about an order
// (POST /v1/orders/{id}/{action}).
type HubAction struct {
	Reason    string `json:"reason"`
	Reference string `json:"reference"`
	Bay       string `json:"bay"`
	Car       string `json:"car"`
}

// hubActions are the hub's actions by the last part of their address, with the
// members that they have.
var hubActions = map[string][]string{"pay": {"reference"}, "cancel": {"reason"}, "refund": {"reference"}, "arrive": {"bay", "car"}}

// KnownHubAction tells whether the hub has such an action.
func KnownHubAction(action string) bool { return hubActions[action] != nil }

// Validate refuses what does not belong to the action.
func (a *HubAction) Validate(action string, cardNumber func(string) bool) error {
	for field, text := range map[string]string{"reason": a.Reason, "reference": a.Reference, "bay": a.Bay, "car": a.Car} {
		if text == "" {
			continue
		}
		if !slices.Contains(hubActions[action], field) {
			return protocol.Refuse(protocol.UnknownField, unknownMembers+field+". Nothing was recorded. Remove it and send the rest again.").With("field", field)
		}
		if err := checkText(field, text, orderTextBytesMax, cardNumber); err != nil {
			return err
		}
	}
	return nil
}
