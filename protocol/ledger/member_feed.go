package ledger

import (
	"encoding/hex"
	"maps"
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

// Notes that the hub keeps of a member: in which stores' feeds they stand, and
// that they are temporary still.
const (
	noteMemberFeeds     = "member_feeds"
	noteMemberTemporary = "member_temporary"
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

// memberView is a member over all stores.
type memberView struct {
	member   *protocol.Member
	enrolled protocol.StoreID // whose row it is
	accounts map[protocol.StoreID]*loyalty.Account
	balance  protocol.Points
	leased   protocol.Points
}

func viewMember(r Reader, id protocol.MemberID) (*memberView, error) {
	v := &memberView{}
	var err error
	if v.member, v.enrolled, err = ReadMember(r, id); err != nil || v.member == nil {
		return v, err
	}
	if v.accounts, err = ReadAccounts(r, id); err != nil {
		return v, err
	}
	for store, account := range v.accounts {
		v.balance += account.Balance()
		err := Leases(r, MemberAt{store, id}, func(_ protocol.Inc, l *loyalty.Lease) (bool, error) {
			v.leased += l.Left()
			return true, nil
		})
		if err != nil {
			return v, err
		}
	}
	return v, nil
}

// servedBy tells whether a store holds the member: it is their home, they have an
// account there, or were enrolled there and nobody else knows of it yet.
func servedBy(store protocol.StoreID, m *protocol.Member, enrolled protocol.StoreID, account *loyalty.Account) bool {
	if store == protocol.ChainStore {
		return false
	}
	return store == m.HomeStore || account != nil && account.Events != 0 || m.Status == protocol.MemberTemporary && store == enrolled
}

// stores are those that hold the member, in their order.
func (v *memberView) stores() (list storeSet) {
	if v.member == nil {
		return nil
	}
	candidates := append(slices.Collect(maps.Keys(v.accounts)), v.member.HomeStore, v.enrolled)
	for _, store := range candidates {
		if servedBy(store, v.member, v.enrolled, v.accounts[store]) {
			list.add(store)
		}
	}
	return list
}

// row is what a store is told of the member.
func (v *memberView) row(store protocol.StoreID) ([]byte, error) {
	row := protocol.MemberRow{Member: *v.member, Balance: v.balance, Leased: v.leased}
	if s := row.Member.Status; s == protocol.MemberErased || s == protocol.MemberMerged {
		row.Member.Card, row.Member.PhoneSum, row.Member.EmailSum = "", protocol.LookupBytes{}, protocol.LookupBytes{}
	}
	if a := v.accounts[store]; a != nil {
		row.Here = protocol.MemberAccount{Earned: a.Earned, Redeemed: a.Redeemed, Adjusted: a.Adjusted, Expired: a.Expired, Events: a.Events}
	}
	return protocol.EncodeMemberRow(&row)
}

// AppendMembers puts members whose rows of the fold a transaction has changed onto
// the feeds of the stores that hold them, in that transaction. Only the hub does
// so. A store that no longer holds a member gets a row that is gone.
func AppendMembers(tx Tx, touched []MemberAt) (map[protocol.FeedID]Growth, error) {
	if len(touched) == 0 {
		return nil, nil
	}
	ids := make([]protocol.MemberID, len(touched))
	for i, at := range touched {
		ids[i] = at.Member
	}
	slices.Sort(ids)
	s, grown := newSet(tx), map[protocol.FeedID]Growth{}
	for _, id := range slices.Compact(ids) {
		if err := s.appendMember(id, grown); err != nil {
			return nil, err
		}
	}
	return grown, s.flush()
}

func (s *set) appendMember(id protocol.MemberID, grown map[protocol.FeedID]Growth) error {
	v, err := viewMember(s.tx, id)
	if err != nil {
		return err
	}
	feeds, temporary := noteKey(noteMemberFeeds, string(id)), noteKey(noteMemberTemporary, string(id))
	if err := s.load([]Key{feeds, temporary}); err != nil {
		return err
	}
	if err := s.mark(temporary, v.member != nil && v.member.Status == protocol.MemberTemporary); err != nil {
		return err
	}
	before, err := get(s, feeds, decodeStoreSet)
	if err != nil {
		return err
	}
	now := v.stores()
	all := slices.Clone(now)
	for _, store := range *before {
		all.add(store)
	}
	for _, store := range all {
		var value []byte
		if slices.Contains(now, store) {
			if value, err = v.row(store); err != nil {
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
		v, err := viewMember(r, member)
		if err != nil {
			return false, err
		}
		for _, store := range v.stores() {
			if due[memberRowKey(0, MemberAt{store, member})], err = v.row(store); err != nil {
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
