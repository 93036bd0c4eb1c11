package protocol

// Handled is what a person did about an exception.
type Handled string

// What people do about exceptions.
const (
	Assign  Handled = "assign"
	Resolve Handled = "resolve"
)

// ExceptionChange is what a person did about a broken rule. It names the events
// that broke it as the writer knew them, so that a further event opens the
// exception again, whichever of the two is folded first.
type ExceptionChange struct {
	Kind    string // of the exception
	Subject string // what the exception is about
	Change  Handled
	Staff   StaffID // who does it; of Assign: who is to do it
	Reason  string
	Events  []EventID
	// Times is how often an exception that no events make had been found, or how
	// many events there were where more than a row names.
	Times uint64
	// After is the change that this one follows, zero for the first.
	After EventID
}

// TransferChange is what the hub says of goods on their way between stores.
type TransferChange string

// What the hub says of a transfer.
const (
	// TransferSent says that goods are on their way.
	TransferSent TransferChange = "sent"
	// TransferCorrected takes out of incoming what will not come, or, above zero,
	// puts back what came and was never sent.
	TransferCorrected TransferChange = "corrected"
)

// Transfer tells a store of goods that another one sent. Only the hub writes it,
// in its stream of the store that they are sent to. Its moves are of incoming.
type Transfer struct {
	ID        string
	From      StoreID
	Change    TransferChange
	Reference string
	Lines     []TransferLine
}

// TransferLine is a quantity of one item.
type TransferLine struct {
	Item     ItemRef
	Quantity Quantity
}
