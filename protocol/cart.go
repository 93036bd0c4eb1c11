package protocol

// Cart is one operation on the cart of a member. What it does stands in its
// lines; Op only says why. Events of the hub's streams of a store follow each
// other in the order of their ids, and of two that set one thing the later stands.
type Cart struct {
	Member MemberID
	Op     CartOp
	// OpID names the operation: whoever repeats it changes nothing. Request is the
	// beginning of a hash of what was asked for, so that a name that is used for
	// something else is noticed.
	OpID    string
	Request uint64
	Lines   []CartLine
	Whole   bool   // what Lines does not name is gone
	Channel string // from where it came
}

// CartOp is why a cart changed.
type CartOp string

// The operations of this version.
const (
	CartAdd    CartOp = "add"
	CartSet    CartOp = "set"
	CartRemove CartOp = "remove"
	CartNote   CartOp = "note"
	CartSold   CartOp = "sold"  // a sale to the member had the goods
	CartMerge  CartOp = "merge" // an anonymous cart came in
	CartTidy   CartOp = "tidy"  // the hub wrote down what the cart holds, to keep its row small
)

// CartLine is what an operation does to one item of a cart.
type CartLine struct {
	SKU SKU
	// Quantity is added, and may be below zero; with Set it is what the line holds
	// from then on, 0 being nothing.
	Quantity Quantity
	Set      bool
	// Noted tells that Note, sealed with the member's key, takes the place of the
	// note before; an empty one takes it away.
	Noted bool
	Note  []byte
	// AddedMs is since when the item has been in the cart, Unix milliseconds; 0:
	// since the event.
	AddedMs int64
}

// Contact is something that was said to or by a member, in whatever channel.
type Contact struct {
	Member    MemberID
	Channel   string // web, phone, chat, store, email, …
	Kind      string // question, complaint, note, …
	Sealed    []byte // the text, sealed with the member's key (SealText)
	Reference string
	Open      bool // somebody has to do something about it
	Staff     StaffID
	// Closes is the entry that is done with, zero for none. Its time leads to its
	// row.
	Closes     EventID
	ClosesAtMs int64
}
