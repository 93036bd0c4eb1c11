package ledger

import (
	"counterpart/protocol"
)

// HeldMember is a member as a store knows one.
type HeldMember struct {
	Member *protocol.Member
	// Balance is that over all stores as the hub told it, with what happened in
	// this store since.
	Balance protocol.Points
	Leased  protocol.Points // of it, as the hub told
}

// ReadHeldMember reads a member whom a store holds; nil for who is not held there,
// of whom the hub has to be asked. What is known comes from the hub, by the store's
// member feed, and from the store's own events; the higher version stands. The own
// account stands in the place of the one that the hub's balance has, so that each
// event of this store counts once, whether the hub had it or not.
func ReadHeldMember(r Reader, at MemberAt) (*HeldMember, error) {
	told, err := readMemberRow(r, at)
	if err != nil {
		return nil, err
	}
	values, err := r.Load([]Key{memberKey(at)})
	if err != nil {
		return nil, err
	}
	own, err := decodeMemberRow(values[0])
	if err != nil {
		return nil, err
	}
	account, err := ReadAccount(r, at)
	if err != nil {
		return nil, err
	}
	h := &HeldMember{Balance: account.Balance()}
	if told != nil {
		h.Member, h.Leased = &told.Member, told.Leased
		here := told.Here
		h.Balance += told.Balance - (here.Earned - here.Redeemed + here.Adjusted + here.Expired)
	}
	if own.now != nil && (h.Member == nil && servedBy(at.Store, own.now, at.Store, account) || h.Member != nil && own.now.Version > h.Member.Version) {
		h.Member = own.now
	}
	if h.Member == nil {
		return nil, nil
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
// who are found by a phone number or e-mail address, in the order of their ids.
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
		h, err := ReadHeldMember(r, at)
		if err != nil {
			return nil, err
		}
		if h != nil && found(h.Member) {
			ids = append(ids, at.Member)
		}
	}
	return ids, nil
}
