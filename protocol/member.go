package protocol

// Member is all that is known of a member from then on. Version 1 enrols; every
// later version is written by the hub, in its stream of the same store.
type Member struct {
	ID      MemberID
	Version uint32 // from 1; the highest stands
	Status  MemberStatus
	Card    string // what the card says when it is scanned
	// Sealed are the personal fields, sealed with the member's own key; nil of who
	// is erased.
	Sealed    []byte
	PhoneSum  LookupBytes
	EmailSum  LookupBytes
	HomeStore StoreID // whose machines hold the member; empty for none
	Locale    string  // BCP 47
	Consents  []Consent
	Preferred string // channel
	Into      MemberID
	Staff     StaffID
}

// LookupBytes is by what a member is looked up (LookupSum); zero is nothing.
type LookupBytes [16]byte

// MemberStatus is how a member stands.
type MemberStatus string

// The statuses.
const (
	MemberActive MemberStatus = "active"
	MemberMerged MemberStatus = "merged" // another member stands for this one
	MemberErased MemberStatus = "erased"
)

// Consent is what a member allowed, or forbade, and when.
type Consent struct {
	Channel string
	Purpose string
	Granted bool
	AtMs    int64 // Unix milliseconds
	Source  string
}
