package ledger

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"maps"
	"slices"
	"strings"

	"counterpart/protocol"

	"google.golang.org/protobuf/encoding/protowire"
)

// Rows of members. What is known of one belongs to the store where it was
// enrolled; who bears a card, is looked up by a number or was merged into another is
// the chain's to know.
const (
	kindMember  = "member"
	kindCard    = "card"
	kindContact = "contact"
)

func memberKey(at MemberAt) Key { return stateKey(kindMember, string(at.Store), string(at.Member)) }

func cardKey(card string) Key { return stateKey(kindCard, card) }

func contactKey(sum protocol.LookupBytes) Key {
	return stateKey(kindContact, hex.EncodeToString(sum[:]))
}

// memberRow is what the event of the highest version says of a member. Of two
// with one version, which a restored hub may write, the greater id stands, and of
// two bodies under one id the greater bytes: so that the order of arrival does
// not matter.
type memberRow struct {
	id    protocol.EventID
	value []byte // an encoded Member; nil for none
	now   *protocol.Member
}

// Encode writes the row.
func (m *memberRow) Encode() []byte {
	if m.now == nil {
		return nil
	}
	var f fields
	f.bytes(1, encodeID(m.id))
	f.bytes(2, m.value)
	return f
}

func decodeMemberRow(b []byte) (*memberRow, error) {
	m := &memberRow{}
	err := decodeFields("member", b, func(num protowire.Number, v value) (err error) {
		switch num {
		case 1:
			m.id, err = decodeID(v.data)
		case 2:
			m.value = bytes.Clone(v.data)
			m.now, err = protocol.DecodeMember(m.value)
		}
		return err
	})
	return m, err
}

// replaces tells whether what an event says stands in the place of the row.
func (m *memberRow) replaces(id protocol.EventID, next *protocol.Member, value []byte) bool {
	if m.now == nil {
		return true
	}
	return cmp.Or(cmp.Compare(next.Version, m.now.Version), compareIDs(id, m.id), bytes.Compare(value, m.value)) > 0
}

// lookups are the rows by which a member is found, also from whoever stands for it.
func lookups(m *protocol.Member) (keys []Key) {
	if m == nil {
		return nil
	}
	if m.Card != "" {
		keys = append(keys, cardKey(m.Card))
	}
	for _, sum := range []protocol.LookupBytes{m.PhoneSum, m.EmailSum} {
		if key := contactKey(sum); sum != (protocol.LookupBytes{}) && !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	if into := standsFor(m); into != "" {
		keys = append(keys, mergedKey(into))
	}
	return keys
}

// memberSet is a sorted set of members, each with the store of its row.
type memberSet []MemberAt

func compareMembers(a, b MemberAt) int {
	return cmp.Or(strings.Compare(string(a.Member), string(b.Member)), strings.Compare(string(a.Store), string(b.Store)))
}

func (s *memberSet) add(at MemberAt) {
	if i, found := slices.BinarySearchFunc(*s, at, compareMembers); !found {
		*s = slices.Insert(*s, i, at)
	}
}

func (s *memberSet) drop(at MemberAt) {
	*s = slices.DeleteFunc(*s, func(m MemberAt) bool { return m == at })
}

// Encode writes the row.
func (s *memberSet) Encode() []byte {
	var f fields
	for _, at := range *s {
		f.element(1, []byte(string(at.Member)+sep+string(at.Store)))
	}
	return f
}

func decodeMemberSet(b []byte) (*memberSet, error) {
	s := &memberSet{}
	err := decodeFields("members", b, func(num protowire.Number, v value) error {
		if member, store, ok := strings.Cut(v.text(), sep); num == 1 && ok {
			s.add(MemberAt{protocol.StoreID(store), protocol.MemberID(member)})
		}
		return nil
	})
	return s, err
}

// memberKeys adds the rows that an event about a member touches: the member's
// own, then, once that is loaded, those by which it was and is found.
func (f *fold) memberKeys(keys []Key, a *act) ([]Key, error) {
	m := a.event.Member
	if m == nil {
		return keys, nil
	}
	key := memberKey(MemberAt{f.origin.Store, m.ID})
	keys = append(append(keys, key, memberStoresKey(m.ID)), lookups(m)...)
	if m.CardShared != "" {
		keys = append(keys, exceptionKey(ExceptionCardShared, m.CardShared))
	}
	if m.DuplicateOf != "" {
		keys = append(keys, exceptionKey(ExceptionMemberTwice, string(m.ID)))
	}
	if !f.set.has(key) {
		a.settled = false
		return keys, nil
	}
	row, err := get(f.set, key, decodeMemberRow)
	if err != nil {
		return nil, err
	}
	return append(keys, lookups(row.now)...), nil
}

// member folds what an event says of a member.
func (f *fold) member(a *act) error {
	at := MemberAt{f.origin.Store, a.event.Member.ID}
	if err := f.raiseMember(a); err != nil {
		return err
	}
	value, err := protocol.EncodeMember(a.event.Member)
	if err != nil {
		return err
	}
	row, err := get(f.set, memberKey(at), decodeMemberRow)
	if err != nil || !row.replaces(a.id, a.event.Member, value) {
		return err
	}
	for _, key := range lookups(row.now) {
		set, err := change(f.set, key, decodeMemberSet)
		if err != nil {
			return err
		}
		set.drop(at)
	}
	for _, key := range lookups(a.event.Member) {
		set, err := change(f.set, key, decodeMemberSet)
		if err != nil {
			return err
		}
		set.add(at)
	}
	if row, err = change(f.set, memberKey(at), decodeMemberRow); err != nil {
		return err
	}
	for _, into := range []protocol.MemberID{standsFor(row.now), standsFor(a.event.Member)} {
		if into != "" {
			f.touch(MemberAt{at.Store, into})
		}
	}
	row.id, row.value, row.now = a.id, value, a.event.Member
	stores, err := change(f.set, memberStoresKey(at.Member), decodeStoreSet)
	if err != nil {
		return err
	}
	stores.add(at.Store)
	f.touch(at)
	return nil
}

// raiseMember opens the exceptions of which the hub wrote when it settled a member
// who was enrolled at a till. They are functions of the events that say so alone.
func (f *fold) raiseMember(a *act) error {
	m := a.event.Member
	if m.CardShared != "" {
		if err := f.set.raiseMore(f.origin.Store, ExceptionCardShared, m.CardShared, a.id); err != nil {
			return err
		}
	}
	if m.DuplicateOf != "" {
		return f.set.raiseMore(f.origin.Store, ExceptionMemberTwice, string(m.ID), a.id)
	}
	return nil
}

// ReadMember reads what is known of a member, with the store that it belongs to.
// Where two stores enrolled one id, the row of the higher version stands, so that
// whoever enrols it again takes nothing over; of two alike the store that comes
// first. It is nil for a member who is not known.
func ReadMember(r Reader, id protocol.MemberID) (m *protocol.Member, at protocol.StoreID, err error) {
	values, err := r.Load([]Key{memberStoresKey(id)})
	if err != nil {
		return nil, "", err
	}
	stores, err := decodeStoreSet(values[0])
	if err != nil {
		return nil, "", err
	}
	for _, store := range *stores {
		values, err := r.Load([]Key{memberKey(MemberAt{store, id})})
		if err != nil {
			return nil, "", err
		}
		row, err := decodeMemberRow(values[0])
		if err != nil {
			return nil, "", err
		}
		if row.now != nil && (m == nil || row.now.Version > m.Version) {
			m, at = row.now, store
		}
	}
	return m, at, nil
}

// ReadMemberEvent is the event that says what is known of a member.
func ReadMemberEvent(r Reader, at MemberAt) (protocol.EventID, error) {
	values, err := r.Load([]Key{memberKey(at)})
	if err != nil {
		return protocol.EventID{}, err
	}
	row, err := decodeMemberRow(values[0])
	return row.id, err
}

// CardMembers are the members who bear a card, ContactMembers those who are found
// by a phone number or e-mail address, in the order of their ids.
func CardMembers(r Reader, card string) ([]MemberAt, error) { return membersOf(r, cardKey(card)) }

// ContactMembers is described at CardMembers.
func ContactMembers(r Reader, sum protocol.LookupBytes) ([]MemberAt, error) {
	return membersOf(r, contactKey(sum))
}

func membersOf(r Reader, key Key) ([]MemberAt, error) {
	values, err := r.Load([]Key{key})
	if err != nil {
		return nil, err
	}
	set, err := decodeMemberSet(values[0])
	return *set, err
}

// members takes the members who belong to the store, by what they are found, and
// where those who belong or have points there are, as far as that is in this store.
func (p *projection) members() error {
	here, found := map[protocol.MemberID]bool{}, map[Key]*memberSet{}
	for _, kind := range []string{kindMember, kindAccount, kindLease, kindTerms, kindTimeline} {
		prefix := kind + sep + string(p.store) + sep
		err := p.r.Scan(States, prefix, after(prefix), func(id string, v []byte) (bool, error) {
			name, _, _ := strings.Cut(id[len(prefix):], sep)
			if kind != kindMember && here[protocol.MemberID(name)] {
				return true, nil
			}
			at := MemberAt{p.store, protocol.MemberID(strings.Clone(name))}
			here[at.Member] = true
			if kind != kindMember {
				return true, nil
			}
			row, err := decodeMemberRow(v)
			if err != nil {
				return false, err
			}
			for _, key := range lookups(row.now) {
				if found[key] == nil {
					found[key] = &memberSet{}
				}
				found[key].add(at)
			}
			return true, nil
		})
		if err != nil {
			return err
		}
	}
	for _, id := range slices.Sorted(maps.Keys(here)) {
		if err := p.emit(memberStoresKey(id), &storeSet{p.store}); err != nil {
			return err
		}
	}
	for _, key := range slices.SortedFunc(maps.Keys(found), func(a, b Key) int { return strings.Compare(a.ID, b.ID) }) {
		if err := p.emit(key, found[key]); err != nil {
			return err
		}
	}
	return nil
}
