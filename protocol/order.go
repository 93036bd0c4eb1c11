package protocol

import "strconv"

// OrderID names an order for ever. It is made from the event that placed its
// first part, so that a hub which was restored from an older copy never gives a
// name twice.
type OrderID string

// NewOrderID is the name of the order that an event places.
func NewOrderID(placed EventID) OrderID { return OrderID("o-" + placed.String()) }

// PartID names a fulfilment: the part of an order that one store keeps for the
// shopper. Parts are numbered from 1; what is rerouted becomes another part.
type PartID struct {
	Order OrderID
	Part  uint32
}

// Method is how a shopper gets what was ordered.
type Method string

// The methods.
const (
	InStore       Method = "in_store"
	Curbside      Method = "curbside"
	SameDay       Method = "same_day_delivery"
	ShipFromStore Method = "ship_from_store"
)

// ValidMethod tells whether m is one of the methods.
func ValidMethod(m Method) bool {
	return m == InStore || m == Curbside || m == SameDay || m == ShipFromStore
}

// Order asks the store of its stream to keep goods for a shopper. Only the hub
// writes it. Its moves commit the goods.
type Order struct {
	PartID
	// InsteadOf is the part that this one stands in for, 0 for none.
	InsteadOf        uint32
	Number           string // what people call the order by; not unique
	Method           Method
	Currency         string // ISO 4217
	Paid             bool   // otherwise it is due at the hand-over
	PaymentReference string
	Substitutes      bool     // the shopper takes other goods in the place of what is not there
	Member           MemberID // whose order it is; empty for nobody's
	// Sealed is whom the goods are for, under Subject. Shopper is the same of events
	// that were logged before it was sealed.
	Sealed  []byte
	Shopper Shopper
	// SealedWith is which of the hub's secrets the order's own key follows from; 0
	// where the member's key seals.
	SealedWith uint32
	PickupByMs int64 // Unix milliseconds, for display; 0 for none
	// Sourcing is the rule by which the store was chosen; empty where the shopper
	// named it. Only an order with a rule may go to another store.
	Sourcing string
	// CodeSum is the keyed hash of the typed pickup code, which no store knows.
	CodeSum Hash
	// TokenKey is the Ed25519 key that verifies the shopper's pickup token.
	TokenKey [32]byte
	Lines    []OrderLine
}

// Shopper is whom the goods are for, in the clear.
type Shopper struct{ Name, Phone string }

// Subject is whose key seals whom the goods are for: the member's, so that erasing
// the member erases it, or else one of the order's own, which all parts share.
func (o *Order) Subject() string {
	if o.Member != "" {
		return string(o.Member)
	}
	return string(o.Order)
}

// OrderLine is one item of a part. Number is its line in the whole order, from 1.
// Amount is final.
type OrderLine struct {
	Number    uint32
	Item      ItemRef
	Quantity  Quantity // above zero
	UnitPrice Money
	Amount    Money
}

// Change is what the hub says of a part after it was placed.
type Change string

// The changes that move the hub's register up.
const (
	PaidOrder       Change = "paid"
	CancelRequested Change = "cancel_requested"
	// Withdrawn asks for cancellation as CancelRequested does, and not because the
	// shopper wishes it: the goods may come from another store.
	Withdrawn Change = "withdrawn"
	Canceled  Change = "canceled"
	Expired   Change = "expired"
	// Refunded with the reason ShortageReason or ReturnedReason leaves the register.
	Refunded Change = "refunded"
)

// The changes that leave the register.
const (
	// RefundRequested asks the shop to pay back the lines that are named.
	RefundRequested Change = "refund_requested"
	// Rerouted says which other part stands in for the lines that are named,
	// Unplaced that no store can keep them.
	Rerouted Change = "rerouted"
	Unplaced Change = "unplaced"
	// Breached says that the store's book no longer covers the lines that are
	// named.
	Breached Change = "breached"
	// Reminded and Overdue say that a deadline comes near, or has passed. The
	// reason names it.
	Reminded Change = "reminded"
	Overdue  Change = "overdue"
	// ReleasedGoods says that goods which the store does not pick are no longer
	// committed. Less than zero takes back what two machines picked that did not
	// know of each other.
	ReleasedGoods Change = "released"
	// CorrectedGoods puts back into the book what two machines took from staged
	// that did not know of each other.
	CorrectedGoods Change = "corrected"
)

// The reasons that keep a refund from ending an order: goods that a clerk did
// not find, while the rest of the part goes on, and goods that came back after
// they had been handed over.
const (
	ShortageReason = "shortage"
	ReturnedReason = "returned"
)

// OrderChange moves the hub's register of a part. Only the hub writes it, in the
// stream of the part's store.
type OrderChange struct {
	PartID
	Change    Change
	Reason    string
	Reference string // of a payment or refund
	Staff     StaffID
	Lines     []PartLine
	Amount    Money  // of a refund that is asked for
	Instead   uint32 // the part that stands in for the lines
	Member    MemberID
}

// PartLine is a quantity of one line of an order, from 1. Item is what was picked
// in the place of the line's own item, empty for that.
type PartLine struct {
	Line     uint32
	Quantity Quantity
	Item     SKU
}

// Act is what staff do about a part.
type Act string

// The acts.
const (
	Accept   Act = "accept"
	Reject   Act = "reject"
	Pick     Act = "pick"
	Ready    Act = "ready"
	Arrive   Act = "arrive"
	HandOver Act = "hand_over"
	PutBack  Act = "put_back"
	Undo     Act = "undo"
)

// Fulfilment is an act of a store about a part.
type Fulfilment struct {
	PartID
	Act Act
	// Attempt counts from 0; undo begins another, and so does a rejection after
	// the pick began.
	Attempt uint32
	// After is the act that this one follows, zero for the first. Two acts that
	// follow the same one were done by people who did not know of each other.
	After  EventID
	Staff  StaffID
	Reason string
	Shelf  string // where the goods wait
	Bay    string // where the shopper waits
	Car    string
	Lines  []PartLine // what was picked
	Member MemberID
}

// String is the part's name as text.
func (p PartID) String() string {
	return string(p.Order) + "/" + strconv.FormatUint(uint64(p.Part), 10)
}
