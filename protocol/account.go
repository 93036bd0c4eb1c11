package protocol

import (
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"strings"
)

// An account is whatever has a balance that is a sum of events and is spent under a
// lease. A member's points are the account that the member's id names; the ids of
// the others say what they count and whose they are, so that nobody has to look that
// up to know it:
//
//	g-{currency}-{hash}     a gift card, in minor units of the currency
//	c-{member}-{currency}   a member's store credit, likewise
//	o-{member}-{random}     an offer to a member, in uses
//
// Amounts of all of them are Points wherever an account of any kind may stand.

// AccountKind is what an account counts.
type AccountKind string

// The kinds of accounts.
const (
	PointsAccount AccountKind = "points"
	GiftAccount   AccountKind = "gift_card"
	CreditAccount AccountKind = "credit"
	OfferAccount  AccountKind = "offer"
)

const (
	giftPrefix   = "g-"
	creditPrefix = "c-"
	offerPrefix  = "o-"

	currencyBytes = 3
)

// Account tells what the account of this id counts. An id that is none of the
// others is a member's.
func (id MemberID) Account() AccountKind {
	s := string(id)
	switch {
	case strings.HasPrefix(s, giftPrefix) && len(s) == len(giftPrefix)+currencyBytes+1+2*giftHashBytes && isCurrency(s[len(giftPrefix):len(giftPrefix)+currencyBytes]):
		return GiftAccount
	case strings.HasPrefix(s, creditPrefix) && strings.LastIndexByte(s, '-') == len(s)-currencyBytes-1 && len(s) > len(creditPrefix)+currencyBytes+1 && isCurrency(s[len(s)-currencyBytes:]):
		return CreditAccount
	case strings.HasPrefix(s, offerPrefix) && strings.LastIndexByte(s, '-') > len(offerPrefix):
		return OfferAccount
	}
	return PointsAccount
}

func isCurrency(s string) bool {
	return strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// Of is the member whose account it is: the id itself of points, empty of a gift
// card.
func (id MemberID) Of() MemberID {
	switch s := string(id); id.Account() {
	case GiftAccount:
		return ""
	case CreditAccount:
		return MemberID(s[len(creditPrefix) : len(s)-currencyBytes-1])
	case OfferAccount:
		return MemberID(s[len(offerPrefix):strings.LastIndexByte(s, '-')])
	}
	return id
}

// Currency is that of the account's amounts; empty where they are not money.
func (id MemberID) Currency() string {
	switch id.Account() {
	case GiftAccount:
		return string(id[len(giftPrefix) : len(giftPrefix)+currencyBytes])
	case CreditAccount:
		return string(id[len(id)-currencyBytes:])
	}
	return ""
}

// AsOf is the account of the same kind of another member of one group. Each offer is
// an account of its own, and stays whose it is.
func (id MemberID) AsOf(member MemberID) MemberID {
	switch id.Account() {
	case CreditAccount:
		return NewCreditAccount(id.Currency(), member)
	case PointsAccount:
		return member
	}
	return id
}

// AccountPrefixes are how the ids of a member's accounts begin, but for the points.
func AccountPrefixes(member MemberID) []string {
	return []string{creditPrefix + string(member) + "-", offerPrefix + string(member) + "-"}
}

// NewCreditAccount names a member's store credit in a currency.
func NewCreditAccount(currency string, member MemberID) MemberID {
	return MemberID(creditPrefix + string(member) + "-" + currency)
}

// NewOfferAccount names a new offer to a member.
func NewOfferAccount(member MemberID, random func([]byte)) MemberID {
	id := make([]byte, 6)
	random(id)
	return MemberID(offerPrefix + string(member) + "-" + hex.EncodeToString(id))
}

// GiftCode is what a gift card says: 8 to 32 capital letters and digits. Whoever
// knows it can spend the card, so it is in no event, row or log: those name the
// account, which is made of a hash of it.
type GiftCode string

// String masks the code, whatever prints it.
func (c GiftCode) String() string { return c.Masked() }

// GoString masks the code, whatever prints it.
func (c GiftCode) GoString() string { return c.Masked() }

// LogValue is String.
func (c GiftCode) LogValue() slog.Value { return slog.StringValue(c.Masked()) }

// Masked shows the last four characters.
func (c GiftCode) Masked() string {
	if len(c) < giftCodeMin {
		return "****"
	}
	return "****" + string(c[len(c)-4:])
}

const (
	giftCodeMin   = 8
	giftCodeMax   = 32
	giftHashBytes = 16
)

// ValidGiftCode tells whether s may be the code of a gift card.
func ValidGiftCode(s string) bool {
	return len(s) >= giftCodeMin && len(s) <= giftCodeMax && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == ""
}

// giftAlphabet leaves out what is taken for something else when it is read aloud
// or typed.
const giftAlphabet = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"

// NewGiftCode makes a code of 16 characters, which are 80 bits.
func NewGiftCode(random func([]byte)) GiftCode {
	code := make([]byte, 16)
	random(code)
	for i := range code {
		code[i] = giftAlphabet[code[i]%byte(len(giftAlphabet))]
	}
	return GiftCode(code)
}

// Account names the account of the card in a currency.
func (c GiftCode) Account(currency string) MemberID {
	sum := sha256.Sum256([]byte("counterpart gift card\n" + string(c)))
	return MemberID(giftPrefix + currency + "-" + hex.EncodeToString(sum[:giftHashBytes]))
}

// AccountEntry is what a receipt does to an account that is not a member's points.
type AccountEntry struct {
	Account MemberID
	// Amount is what the account gains; below 0 what is taken of it, which the
	// stream's lease has to cover.
	Amount Points
	Line   uint32 // the line that put it there, from 1; 0 of payments and refunds
}

// AccountEntriesMax bounds the entries of a receipt.
const AccountEntriesMax = 100

// AccountChange is what an account that is not a member's points gains or loses
// without a receipt, and its terms.
type AccountChange struct {
	Account MemberID
	Change  AccountReason
	Amount  Points // what the account gains
	Reason  string
	Staff   StaffID
	Terms   *AccountTerms // nil: they stay as they were
}

// AccountReason says why an account changed.
type AccountReason string

// The reasons.
const (
	AccountIssued   AccountReason = "issued"
	AccountAdjusted AccountReason = "adjusted"
	AccountExpired  AccountReason = "expired"
	AccountTermed   AccountReason = "terms" // only the terms are new
)

// AccountTerms are what holds of an account. Those of the highest version stand.
type AccountTerms struct {
	Version   uint32  // from 1
	Home      StoreID // whose machines hold what may be spent; empty: follows from the account
	To        string  // RFC 3339; empty: for ever
	Withdrawn bool    // nothing of it is lent any more
	Offer     *Promotion
}
