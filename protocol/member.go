package protocol

import (
	"encoding/hex"
	"strings"
)

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
	// Into is who stands for a member who is merged. Its id is smaller than the
	// member's own, so that whatever events say nobody stands for themselves.
	Into  MemberID
	Staff StaffID
	// CardShared is the card that the member gave up, because another bears it;
	// DuplicateOf a member with the same phone number or e-mail address.
	CardShared  string
	DuplicateOf MemberID
	// Tier is the name of the member's tier as the hub last reckoned it.
	Tier   string
	Reason string // why the member was merged, or is no longer, as a person said
}

// MemberRow is what a store is told of a member. Of who is merged it tells nothing
// but the Member.
type MemberRow struct {
	Member  Member
	Balance Points        // over all stores, of the whole group
	Here    MemberAccount // the hub's account of the store that reads, likewise
	Leased  Points        // of the balance, held by leases
	// Group are the ids of those for whom the member stands, with its own as the
	// first; nil where nobody was merged into it.
	Group []MemberID
}

// MemberGroupMax bounds how many members may be merged into one.
const MemberGroupMax = 100

// MemberAccount is what happened to a member's points in one store, as sums.
type MemberAccount struct{ Earned, Redeemed, Adjusted, Expired, Events Points }

// MemberKey is the key with which a member's fields are sealed, beside a Batch
// that enrols the member.
type MemberKey struct {
	Member MemberID
	Key    SubjectKey
}

// LookupBytes is by what a member is looked up (LookupSum); zero is nothing.
type LookupBytes [16]byte

// MemberStatus is how a member stands.
type MemberStatus string

// The statuses.
const (
	MemberActive MemberStatus = "active"
	// MemberTemporary is who was enrolled at a till and is not yet known at the hub.
	MemberTemporary MemberStatus = "temporary"
	MemberMerged    MemberStatus = "merged" // Into stands for this one
	MemberErased    MemberStatus = "erased"
)

// Consent is what a member allowed, or forbade, and when.
type Consent struct {
	Channel string
	Purpose string
	Granted bool
	AtMs    int64 // Unix milliseconds
	Source  string
}

// Next is the member's next version, before anything else changes: what is said of
// one version alone is not said again.
func (m *Member) Next() *Member {
	next := *m
	next.Version++
	next.CardShared, next.DuplicateOf, next.Reason, next.Staff = "", "", "", ""
	return &next
}

// NewMemberID makes the id of a member: m- and 32 lower-case hexadecimal digits, of
// bytes that random makes unpredictable.
func NewMemberID(random func([]byte)) MemberID {
	id := make([]byte, 16)
	random(id)
	return MemberID("m-" + hex.EncodeToString(id))
}

// MadeMemberID tells whether s is an id of NewMemberID. Its digits are random, so any
// number may be among them.
func MadeMemberID(s string) bool {
	random, ok := strings.CutPrefix(s, "m-")
	return ok && len(random) == 32 && strings.Trim(random, "0123456789abcdef") == ""
}

// NewMemberCard makes what the card of a member says who brought none: M and twelve
// digits, one less than a payment card has.
func NewMemberCard(random func([]byte)) string {
	digits := make([]byte, 12)
	random(digits)
	for i := range digits {
		digits[i] = '0' + digits[i]%10
	}
	return "M" + string(digits)
}
