package loyalty

import (
	"slices"
	"strings"
	"time"

	"counterpart/protocol"
)

// MemberRequest enrols a member (POST /v1/members), or changes one (PATCH), where
// what is null or left out stays as it is and empty text takes away. A consent
// replaces the one for the same channel and purpose.
type MemberRequest struct {
	Card      *string          `json:"card"` // null: the hub or the till gives one
	Name      *string          `json:"name"`
	Phone     *string          `json:"phone"`
	Email     *string          `json:"email"`
	Birthday  *string          `json:"birthday"`
	Locale    *string          `json:"locale"`
	HomeStore *string          `json:"home_store"`
	Consents  []ConsentRequest `json:"consents"`
	Preferred *string          `json:"preferred_channel"`
	Staff     string           `json:"staff"`
}

// ConsentRequest is what a member allows, or forbids.
type ConsentRequest struct {
	Channel string `json:"channel"`
	Purpose string `json:"purpose"`
	Granted bool   `json:"granted"`
	Source  string `json:"source"` // where it was said
}

// Bounds of a member's fields, in bytes.
const (
	cardBytesMax   = 64
	localeBytesMax = 35
	wordBytesMax   = 32
	sourceBytesMax = 200
	consentsMax    = 100
)

// ApplyTo changes a member and their personal fields as the request asks, or
// refuses it as a whole. atMs is when consents are given, in Unix milliseconds.
func (q *MemberRequest) ApplyTo(m *protocol.Member, p *protocol.Personal, atMs int64) error {
	next, person := *m, *p
	for _, f := range []struct {
		to   *string
		from *string
	}{{&person.Name, q.Name}, {&person.Phone, q.Phone}, {&person.Email, q.Email}, {&person.Birthday, q.Birthday}} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	person, err := person.Normal()
	if err != nil {
		return err
	}
	if next.Card, err = field(next.Card, q.Card, "card", cardBytesMax); err != nil {
		return err
	}
	if next.Locale, err = field(next.Locale, q.Locale, "locale", localeBytesMax); err != nil {
		return err
	}
	if next.Preferred, err = word(next.Preferred, q.Preferred, "preferred_channel"); err != nil {
		return err
	}
	if q.HomeStore != nil {
		next.HomeStore = protocol.StoreID(*q.HomeStore)
		if *q.HomeStore != "" && !protocol.ValidID(*q.HomeStore) {
			return protocol.OutOfRange("home_store", "", "not an identifier")
		}
	}
	if q.Staff != "" && !protocol.ValidID(q.Staff) {
		return protocol.OutOfRange("staff", "", "not an identifier")
	}
	next.Staff = protocol.StaffID(q.Staff)
	if next.Consents, err = q.consents(next.Consents, atMs); err != nil {
		return err
	}
	*m, *p = next, person
	return nil
}

// field is a text that may be changed. Errors do not repeat what was entered.
func field(now string, next *string, name string, bytesMax int) (string, error) {
	if next == nil {
		return now, nil
	}
	text := strings.TrimSpace(*next)
	if text != "" && !protocol.ValidText(text, bytesMax) {
		return now, protocol.OutOfRange(name, "", "too long, or holding control characters")
	}
	return text, nil
}

// word is field for a word such as email or marketing.
func word(now string, next *string, name string) (string, error) {
	text, err := field(now, next, name, wordBytesMax)
	if err == nil && text != "" && !protocol.ValidID(text) {
		err = protocol.OutOfRange(name, "", "not a word of letters, digits, _ and -")
	}
	return text, err
}

func (q *MemberRequest) consents(now []protocol.Consent, atMs int64) ([]protocol.Consent, error) {
	list := slices.Clone(now)
	for i := range q.Consents {
		c := &q.Consents[i]
		next := protocol.Consent{Channel: c.Channel, Purpose: c.Purpose, Granted: c.Granted, AtMs: atMs, Source: c.Source}
		switch {
		case !protocol.ValidID(c.Channel) || len(c.Channel) > wordBytesMax:
			return nil, protocol.OutOfRange("channel", "", "not a word such as email or sms").With("line", i+1)
		case !protocol.ValidID(c.Purpose) || len(c.Purpose) > wordBytesMax:
			return nil, protocol.OutOfRange("purpose", "", "not a word such as marketing").With("line", i+1)
		case c.Source != "" && !protocol.ValidText(c.Source, sourceBytesMax):
			return nil, protocol.OutOfRange("source", "", "too long, or holding control characters").With("line", i+1)
		}
		same := func(x protocol.Consent) bool { return x.Channel == c.Channel && x.Purpose == c.Purpose }
		if at := slices.IndexFunc(list, same); at >= 0 {
			list[at] = next
		} else {
			list = append(list, next)
		}
	}
	if len(list) > consentsMax {
		return nil, protocol.OutOfRange("consents", "", "more than a member can have")
	}
	return list, nil
}

// MemberDocument is a member as both programs show one.
type MemberDocument struct {
	ID         protocol.MemberID     `json:"id"`
	Card       *string               `json:"card"`
	Status     protocol.MemberStatus `json:"status"`
	Name       *string               `json:"name"`
	Phone      *string               `json:"phone"`
	Email      *string               `json:"email"`
	Birthday   *string               `json:"birthday"`
	Locale     *string               `json:"locale"`
	HomeStore  *protocol.StoreID     `json:"home_store"`
	Consents   []ConsentDocument     `json:"consents"`
	Preferred  *string               `json:"preferred_channel"`
	MergedInto *protocol.MemberID    `json:"merged_into"`
	Tier       *string               `json:"tier"`
	// Merged are those for whom this member stands.
	Merged []MergedDocument `json:"merged"`
	// Locked tells that the personal fields are here and cannot be read, because
	// this machine has not got their key.
	Locked bool           `json:"locked"`
	Points PointsDocument `json:"points"`
}

// ConsentDocument is what a member allowed, or forbade, and when.
type ConsentDocument struct {
	Channel string  `json:"channel"`
	Purpose string  `json:"purpose"`
	Granted bool    `json:"granted"`
	At      string  `json:"at"`
	Source  *string `json:"source"`
}

// PointsDocument is a member's account as it is known at AsOf.
type PointsDocument struct {
	Balance       protocol.Points `json:"balance"`
	Leased        protocol.Points `json:"leased"`         // of the balance, held by stores
	SpendableHere protocol.Points `json:"spendable_here"` // without asking anybody
	AsOf          string          `json:"as_of"`
}

// MergedDocument is who was merged into a member: the card still leads to that one.
type MergedDocument struct {
	ID   protocol.MemberID `json:"id"`
	Card *string           `json:"card"`
}

// With adds those for whom the member stands.
func (d MemberDocument) With(merged []*protocol.Member) MemberDocument {
	for _, m := range merged {
		d.Merged = append(d.Merged, MergedDocument{m.ID, orNull(m.Card)})
	}
	return d
}

// NewMemberDocument shows a member. person is nil where the personal fields cannot
// be read.
func NewMemberDocument(m *protocol.Member, person *protocol.Personal, points PointsDocument) MemberDocument {
	doc := MemberDocument{
		ID: m.ID, Card: orNull(m.Card), Status: m.Status, Locale: orNull(m.Locale), HomeStore: orNull(m.HomeStore), Consents: []ConsentDocument{},
		Preferred: orNull(m.Preferred), MergedInto: orNull(m.Into), Tier: orNull(m.Tier), Merged: []MergedDocument{}, Locked: person == nil && len(m.Sealed) > 0, Points: points,
	}
	if person != nil {
		doc.Name, doc.Phone, doc.Email, doc.Birthday = orNull(person.Name), orNull(person.Phone), orNull(person.Email), orNull(person.Birthday)
	}
	for _, c := range m.Consents {
		doc.Consents = append(doc.Consents, ConsentDocument{
			Channel: c.Channel, Purpose: c.Purpose, Granted: c.Granted, Source: orNull(c.Source), At: time.UnixMilli(c.AtMs).UTC().Format(protocol.TimeLayout),
		})
	}
	return doc
}

// Contacts are the sums by which a person is looked up under the chain's key.
func Contacts(key protocol.LookupKey, p protocol.Personal) (phone, email protocol.LookupBytes, err error) {
	if p.Phone != "" {
		phone = protocol.LookupSum(key, protocol.ContactPhone, p.Phone)
	}
	if p.Email != "" {
		normal, err := protocol.NormalEmail(p.Email)
		if err != nil {
			return phone, email, err
		}
		email = protocol.LookupSum(key, protocol.ContactEmail, normal)
	}
	return phone, email, nil
}
