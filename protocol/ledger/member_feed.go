package ledger

import (
	"encoding/hex"
	"slices"
	"strings"

	"counterpart/protocol"
	"counterpart/protocol/loyalty"
)

// Rows of member feeds. The hub writes those of all stores, and an agent keeps
// those of its own, with what their members are found by. They are no rows of the
// fold: the hub puts each together from rows of the fold, in the transaction that
// changed those.
const (
	kindMemberRow     = "member_row"
	kindMemberCard    = "member_card"
	kindMemberContact = "member_contact"
)

// Notes that the hub keeps of a member: in which stores' feeds they stand, that
// they are temporary still, and their visits to stores.
const (
	noteMemberFeeds     = "member_feeds"
	noteMemberTemporary = "member_temporary"
	noteMemberVisits    = "member_visits"
)

const feedMember = "member"

func memberRowKey(gen uint64, at MemberAt) Key {
	return referenceKey(kindMemberRow, gen, string(at.Store), string(at.Member))
}

func memberCardKey(gen uint64, store protocol.StoreID, card string) Key {
	return referenceKey(kindMemberCard, gen, string(store), card)
}

func memberContactKey(gen uint64, store protocol.StoreID, sum protocol.LookupBytes) Key {
	return referenceKey(kindMemberContact, gen, string(store), hex.EncodeToString(sum[:]))
}

// memberOfRow is the member of a row of a member feed, by the row's name.
func memberOfRow(name string) (protocol.MemberID, bool) {
	id, ok := strings.CutPrefix(name, feedMember+"/")
	return protocol.MemberID(id), ok
}

// member tells whether the row is one of a member feed, whose members are found
// by card, phone and e-mail.
func (r *feedRow) member() bool { return r.feed != "" && strings.HasPrefix(r.name, feedMember+"/") }

// memberLookups are the rows by which the member of a row is found.
func memberLookups(feed protocol.FeedID, gen uint64, value []byte) ([]Key, error) {
	if len(value) == 0 {
		return nil, nil
	}
	row, err := protocol.DecodeMemberRow(value)
	if err != nil {
		return nil, err
	}
	m := &row.Member
	_, name, _ := strings.Cut(string(feed), "/")
	store := protocol.StoreID(name)
	var keys []Key
	if m.Card != "" {
		keys = append(keys, memberCardKey(gen, store, m.Card))
	}
	for _, sum := range []protocol.LookupBytes{m.PhoneSum, m.EmailSum} {
		if key := memberContactKey(gen, store, sum); sum != (protocol.LookupBytes{}) && !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// indexMember keeps what members are found by as indexCodes keeps codes.
func (s *set) indexMember(row feedRow, before []byte) error {
	id, _ := memberOfRow(row.name)
	_, store, _ := strings.Cut(string(row.feed), "/")
	at := MemberAt{protocol.StoreID(store), id}
	for i, value := range [][]byte{before, row.value} {
		keys, err := memberLookups(row.feed, row.gen, value)
		if err != nil {
			return err
		}
		for _, key := range keys {
			found, err := change(s, key, decodeMemberSet)
			if err != nil {
				return err
			}
			if i == 0 {
				found.drop(at)
			} else {
				found.add(at)
			}
		}
	}
	return nil
}

// memberView is a group of members over all stores.
type memberView struct {
	group    []memberOf // the representative first
	ids      []protocol.MemberID
	accounts map[protocol.StoreID]*loyalty.Account // of the whole group
	here     storeSet                              // stores with an account that no visit has left
	balance  protocol.Points
	leased   protocol.Points
}

// memberOf is one of a group.
type memberOf struct {
	id       protocol.MemberID
	member   *protocol.Member // nil where only the points are known
	enrolled protocol.StoreID // whose row it is
}

func viewGroup(r Reader, ids []protocol.MemberID) (*memberView, error) {
	v := &memberView{ids: ids, accounts: map[protocol.StoreID]*loyalty.Account{}}
	for _, id := range ids {
		m, enrolled, err := ReadMember(r, id)
		if err != nil {
			return v, err
		}
		v.group = append(v.group, memberOf{id, m, enrolled})
		if err := v.addPoints(r, id); err != nil {
			return v, err
		}
	}
	return v, nil
}

// addPoints adds the accounts and leases of one of the group.
func (v *memberView) addPoints(r Reader, id protocol.MemberID) error {
	accounts, err := ReadAccounts(r, id)
	if err != nil {
		return err
	}
	visits, err := readVisits(r, id)
	if err != nil {
		return err
	}
	for store, account := range accounts {
		v.balance += account.Balance()
		if account.Events != 0 && !visits.left(store, account) {
			v.here.add(store)
		}
		if sum := v.accounts[store]; sum != nil {
			sum.Add(account)
		} else {
			v.accounts[store] = account
		}
		err := Leases(r, MemberAt{store, id}, func(_ protocol.Inc, l *loyalty.Lease) (bool, error) {
			v.leased += l.Left()
			return true, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// servedBy tells whether a store holds the member: it is their home, they were there
// and have not left, or were enrolled there and nobody else knows of it yet.
func servedBy(store protocol.StoreID, m *protocol.Member, enrolled protocol.StoreID, here bool) bool {
	if store == protocol.ChainStore {
		return false
	}
	return store == m.HomeStore || here || m.Status == protocol.MemberTemporary && store == enrolled
}

// stores are those that hold the group, in their order: each that holds one of it.
func (v *memberView) stores() (list storeSet) {
	if v.group[0].member == nil {
		return nil
	}
	for _, store := range v.here {
		if servedBy(store, v.group[0].member, v.group[0].enrolled, true) {
			list.add(store)
		}
	}
	for _, m := range v.group {
		if m.member == nil {
			continue
		}
		for _, store := range []protocol.StoreID{m.member.HomeStore, m.enrolled} {
			if servedBy(store, m.member, m.enrolled, false) {
				list.add(store)
			}
		}
	}
	return list
}

// row is what a store is told of one of the group: of the representative all there
// is, of the others who they are and into whom they were merged.
func (v *memberView) row(at int, store protocol.StoreID) ([]byte, error) {
	row := protocol.MemberRow{Member: *v.group[at].member}
	if row.Member.Status == protocol.MemberErased {
		row.Member.Card, row.Member.PhoneSum, row.Member.EmailSum = "", protocol.LookupBytes{}, protocol.LookupBytes{}
	}
	if at > 0 {
		return protocol.EncodeMemberRow(&row)
	}
	row.Balance, row.Leased = v.balance, v.leased
	if len(v.ids) > 1 {
		row.Group = v.ids
	}
	if a := v.accounts[store]; a != nil {
		row.Here = protocol.MemberAccount{Earned: a.Earned, Redeemed: a.Redeemed, Adjusted: a.Adjusted, Expired: a.Expired, Events: a.Events}
	}
	return protocol.EncodeMemberRow(&row)
}

// AppendMembers puts members whose rows of the fold a transaction has changed onto
// the feeds of the stores that hold them, with all of their groups, in that
// transaction. Only the hub does so. A store that no longer holds a member gets a
// row that is gone.
func AppendMembers(tx Tx, touched []MemberAt) (map[protocol.FeedID]Growth, error) {
	if len(touched) == 0 {
		return nil, nil
	}
	groups, err := groupsOf(tx, touched)
	if err != nil {
		return nil, err
	}
	s, grown := newSet(tx), map[protocol.FeedID]Growth{}
	for _, ids := range groups {
		v, err := viewGroup(tx, ids)
		if err != nil {
			return nil, err
		}
		stores := v.stores()
		// The representative comes first, so that a row seldom names somebody who is
		// not there yet.
		for i := range v.group {
			if err := s.appendMember(v, i, stores, grown); err != nil {
				return nil, err
			}
		}
	}
	return grown, s.flush()
}

// appendMember puts one of a group onto the feeds of the stores that hold it.
func (s *set) appendMember(v *memberView, at int, now storeSet, grown map[protocol.FeedID]Growth) error {
	id, member := v.group[at].id, v.group[at].member
	feeds, temporary := noteKey(noteMemberFeeds, string(id)), noteKey(noteMemberTemporary, string(id))
	if err := s.load([]Key{feeds, temporary}); err != nil {
		return err
	}
	if err := s.mark(temporary, member != nil && member.Status == protocol.MemberTemporary); err != nil {
		return err
	}
	before, err := get(s, feeds, decodeStoreSet)
	if err != nil {
		return err
	}
	all := slices.Clone(now)
	for _, store := range *before {
		all.add(store)
	}
	for _, store := range all {
		var value []byte
		if slices.Contains(now, store) {
			if value, err = v.row(at, store); err != nil {
				return err
			}
		}
		if err := s.appendMemberRow(MemberAt{store, id}, value, grown); err != nil {
			return err
		}
	}
	if !slices.Equal(*before, now) {
		s.put(feeds, &now)
	}
	return nil
}

// mark writes or deletes a row that says something by being there.
func (s *set) mark(key Key, there bool) error {
	row, err := get(s, key, decodeBlob)
	if err != nil || len(row) > 0 == there {
		return err
	}
	if there {
		s.put(key, blob{1})
	} else {
		s.put(key, blob(nil))
	}
	return nil
}

// appendMemberRow puts a row onto the feed of a store, unless it stands there
// already. One without a value is gone.
func (s *set) appendMemberRow(at MemberAt, value []byte, grown map[protocol.FeedID]Growth) error {
	feed := protocol.MemberFeed(at.Store)
	key, headKey := memberRowKey(0, at), feedHeadKey(feed)
	if err := s.load([]Key{key, headKey}); err != nil {
		return err
	}
	ref, err := get(s, key, decodeReference)
	if err != nil || string(ref.value) == string(value) {
		return err
	}
	head, err := change(s, headKey, decodeFeedHead)
	if err != nil {
		return err
	}
	head.offset++
	if ref.offset > 0 {
		s.put(feedKey(feed, ref.offset), blob(nil))
	}
	s.put(feedKey(feed, head.offset), blob(feedMember+"/"+string(at.Member)))
	s.put(key, &reference{offset: head.offset, value: value})
	grown[feed] = grown[feed].Join(Growth{Before: head.offset - 1, Head: head.offset})
	return nil
}

// TemporaryMembers lists the members, behind last and at most limit, who were
// enrolled at a till and whom the hub has not settled yet.
func TemporaryMembers(r Reader, last protocol.MemberID, limit int) (list []protocol.MemberID, err error) {
	prefix := noteKey(noteMemberTemporary).ID + sep
	err = r.Scan(Notes, prefix+string(last), after(prefix), func(id string, _ []byte) (bool, error) {
		if m := protocol.MemberID(strings.Clone(id[len(prefix):])); m != last {
			list = append(list, m)
		}
		return len(list) < limit, nil
	})
	return list, err
}

// MemberHolders are the stores on whose feeds the hub has put a member.
func MemberHolders(r Reader, id protocol.MemberID) ([]protocol.StoreID, error) {
	b, err := Note(r, noteMemberFeeds, string(id))
	if err != nil {
		return nil, err
	}
	stores, err := decodeStoreSet(b)
	return *stores, err
}

// KnownMembers lists members of whom something is known, behind last and at most
// limit.
func KnownMembers(r Reader, last protocol.MemberID, limit int) (list []MemberAt, err error) {
	prefix := kindMemberStores + sep
	err = r.Scan(States, prefix+string(last), after(prefix), func(id string, _ []byte) (bool, error) {
		if m := protocol.MemberID(strings.Clone(id[len(prefix):])); m != last {
			list = append(list, MemberAt{Member: m})
		}
		return len(list) < limit, nil
	})
	return list, err
}

// verifyMemberRows compares the rows of member feeds with the rows of the fold of
// which the hub puts them together.
func verifyMemberRows(r Reader, rep *Report) error {
	due := map[Key][]byte{}
	prefix := kindMemberStores + sep
	err := r.Scan(States, prefix, after(prefix), func(id string, _ []byte) (bool, error) {
		member := protocol.MemberID(strings.Clone(id[len(prefix):]))
		group, err := MemberGroup(r, member)
		if err != nil {
			return false, err
		}
		v, err := viewGroup(r, group)
		if err != nil {
			return false, err
		}
		at := slices.Index(group, member)
		for _, store := range v.stores() {
			if due[memberRowKey(0, MemberAt{store, member})], err = v.row(at, store); err != nil {
				return false, err
			}
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	prefix = kindMemberRow + sep
	err = r.Scan(States, prefix, after(prefix), func(id string, b []byte) (bool, error) {
		ref, err := readReference(b)
		if err != nil {
			return false, err
		}
		key := Key{States, strings.Clone(id)}
		rep.Rows++
		if string(ref.value) != string(due[key]) {
			rep.differ("row %q is stored as %x, the account and the member give %x", id, ref.value, due[key])
		}
		delete(due, key)
		return true, nil
	})
	for key := range due {
		rep.differ("row %q is missing on its feed", key.ID)
	}
	return err
}

// ofMemberFeed tells whether a row of States is one of a member feed.
func ofMemberFeed(id string) bool {
	kind, _, _ := strings.Cut(id, sep)
	kind, _, _ = strings.Cut(kind, "@")
	return kind == kindMemberRow || kind == kindMemberCard || kind == kindMemberContact
}
