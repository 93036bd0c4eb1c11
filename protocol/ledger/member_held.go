package ledger

import (
	"slices"
	"strings"

	"counterpart/protocol"
)

// HeldMember is a member as a store knows one, with all for whom it stands.
type HeldMember struct {
	Member *protocol.Member
	// Merged are the members who were merged into this one, as far as they are held,
	// in the order of their ids.
	Merged []*protocol.Member
	// Balance is that over all stores as the hub told it, with what happened in
	// this store since.
	Balance protocol.Points
	Leased  protocol.Points // of it, as the hub told
}

// IDs are those of the whole group, the member's own first.
func (h *HeldMember) IDs() []protocol.MemberID {
	ids := []protocol.MemberID{h.Member.ID}
	for _, m := range h.Merged {
		ids = append(ids, m.ID)
	}
	return ids
}

// ReadHeldMember reads who stands for a member whom a store holds, as far as that is
// known here; nil for who is not held, of whom the hub has to be asked. The own
// accounts stand in the place of those that the hub's balance has, so that each
// event of this store counts once, whether the hub had it or not, and whether it
// names the one or the other of a group.
func ReadHeldMember(r Reader, at MemberAt) (*HeldMember, error) {
	one, err := readHeld(r, at)
	if err != nil || one.member == nil {
		return nil, err
	}
	h := &HeldMember{Member: one.member}
	for into := standsFor(h.Member); into != ""; into = standsFor(h.Member) {
		next, err := readHeld(r, MemberAt{at.Store, into})
		if err != nil {
			return nil, err
		}
		if next.member == nil {
			break // The store is told in a moment; until then it shows who is here.
		}
		h.Merged = append(h.Merged, h.Member)
		h.Member, one = next.member, next
	}
	told := one.told
	counted := []protocol.MemberID{h.Member.ID}
	if told != nil {
		if len(told.Group) > 0 {
			counted = told.Group
		}
		here := told.Here
		h.Leased = told.Leased
		h.Balance = told.Balance - (here.Earned - here.Redeemed + here.Adjusted + here.Expired)
	}
	for _, id := range counted {
		account, err := ReadAccount(r, MemberAt{at.Store, id})
		if err != nil {
			return nil, err
		}
		h.Balance += account.Balance()
	}
	// The store's own events may tell of a merge before the hub does.
	for _, merged := range one.merged {
		counted = append(counted[:len(counted):len(counted)], merged.Member)
	}
	return h, h.addMerged(r, at.Store, counted)
}

// addMerged adds those of a group whom the store holds.
func (h *HeldMember) addMerged(r Reader, store protocol.StoreID, group []protocol.MemberID) error {
	for _, id := range group {
		if slices.Contains(h.IDs(), id) {
			continue
		}
		one, err := readHeld(r, MemberAt{store, id})
		if err != nil {
			return err
		}
		if slices.Contains(group, standsFor(one.member)) {
			h.Merged = append(h.Merged, one.member)
		}
	}
	slices.SortFunc(h.Merged, func(a, b *protocol.Member) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return nil
}

// heldAlone is a member of a store by itself.
type heldAlone struct {
	member *protocol.Member    // nil for who is not held
	told   *protocol.MemberRow // by the hub, nil for nothing
	merged memberSet           // into the member, as the store's own events say
}

// readHeld reads a member of a store by itself. What is known comes from the hub, by
// the store's member feed, and from the store's own events; the higher version
// stands.
func readHeld(r Reader, at MemberAt) (h heldAlone, err error) {
	if h.told, err = readMemberRow(r, at); err != nil {
		return h, err
	}
	values, err := r.Load([]Key{memberKey(at), mergedKey(at.Member)})
	if err != nil {
		return h, err
	}
	own, err := decodeMemberRow(values[0])
	if err != nil {
		return h, err
	}
	merged, err := decodeMemberSet(values[1])
	if err != nil {
		return h, err
	}
	h.merged = *merged
	switch {
	case h.told == nil && own.now == nil:
	case h.told == nil:
		account, err := ReadAccount(r, at)
		if err == nil && servedBy(at.Store, own.now, at.Store, account.Events != 0) {
			h.member = own.now
		}
		return h, err
	case own.now != nil && own.now.Version > h.told.Member.Version:
		h.member = own.now
	default:
		h.member = &h.told.Member
	}
	return h, nil
}

// readMemberRow is what the hub told a store of a member, nil for none.
func readMemberRow(r Reader, at MemberAt) (*protocol.MemberRow, error) {
	gen, err := liveOf(r, protocol.MemberFeed(at.Store))
	if err != nil {
		return nil, err
	}
	values, err := r.Load([]Key{memberRowKey(gen, at)})
	if err != nil {
		return nil, err
	}
	ref, err := readReference(values[0])
	if err != nil || len(ref.value) == 0 {
		return nil, err
	}
	return protocol.DecodeMemberRow(ref.value)
}

// HeldByCard are the members held in a store who bear a card, HeldByContact those
// who are found by a phone number or e-mail address, in the order of their ids. In
// the place of who was merged stands who stands for them.
func HeldByCard(r Reader, store protocol.StoreID, card string) ([]protocol.MemberID, error) {
	found := func(m *protocol.Member) bool { return m.Card == card }
	return heldBy(r, store, func(gen uint64) []Key { return []Key{cardKey(card), memberCardKey(gen, store, card)} }, found)
}

// HeldByContact is described at HeldByCard.
func HeldByContact(r Reader, store protocol.StoreID, sum protocol.LookupBytes) ([]protocol.MemberID, error) {
	found := func(m *protocol.Member) bool { return m.PhoneSum == sum || m.EmailSum == sum }
	return heldBy(r, store, func(gen uint64) []Key { return []Key{contactKey(sum), memberContactKey(gen, store, sum)} }, found)
}

// heldBy looks through the rows of both origins. One of them may be behind the
// other, so that what a member is found by is compared with the member.
func heldBy(r Reader, store protocol.StoreID, keys func(gen uint64) []Key, found func(*protocol.Member) bool) ([]protocol.MemberID, error) {
	gen, err := liveOf(r, protocol.MemberFeed(store))
	if err != nil {
		return nil, err
	}
	values, err := r.Load(keys(gen))
	if err != nil {
		return nil, err
	}
	var all memberSet
	for _, v := range values {
		list, err := decodeMemberSet(v)
		if err != nil {
			return nil, err
		}
		for _, at := range *list {
			all.add(MemberAt{store, at.Member})
		}
	}
	var ids []protocol.MemberID
	for _, at := range all {
		one, err := readHeld(r, at)
		if err != nil {
			return nil, err
		}
		if one.member == nil || !found(one.member) {
			continue
		}
		h, err := ReadHeldMember(r, at)
		if err != nil {
			return nil, err
		}
		ids = append(ids, h.Member.ID)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}
