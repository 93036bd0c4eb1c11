package ledger

import (
	"slices"
	"strings"

	"counterpart/protocol"
	"counterpart/protocol/loyalty"
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

// has tells whether somebody is one of the group.
func (h *HeldMember) has(id protocol.MemberID) bool {
	return h.Member.ID == id || slices.ContainsFunc(h.Merged, func(m *protocol.Member) bool { return m.ID == id })
}

// Holding is what a store, and one of its streams, holds of a group of members. Who
// reads it does not change it.
type Holding struct {
	// Held is who stands for the member that was asked for, nil for who is not held.
	Held *HeldMember
	// IDs are those of the group, that of who stands for it first; of who is not held
	// the id that was asked for.
	IDs []protocol.MemberID
	// Leases are the stream's, one for each of IDs.
	Leases []*loyalty.Lease
}

// Holdings reads members as one state of a store has them: each row once, and the
// rows of which it is known that they will be needed together. It ends with its
// Reader, and does not see what is written after it has read.
type Holdings struct {
	r      Reader
	store  protocol.StoreID
	holder protocol.Inc // whose leases are read; zero for nobody's
	known  map[protocol.MemberID]*heldAlone
}

// HoldingsOf are what a store holds of members, with the leases of one of its
// streams.
func HoldingsOf(r Reader, store protocol.StoreID, holder protocol.Inc) *Holdings {
	return &Holdings{r: Live(r), store: store, holder: holder, known: map[protocol.MemberID]*heldAlone{}}
}

// heldAlone is a member of a store by itself.
type heldAlone struct {
	member  *protocol.Member    // nil for who is not held
	told    *protocol.MemberRow // by the hub, nil for nothing
	merged  memberSet           // into the member, as the store's own events say
	account *loyalty.Account    // as the store's own events say
	lease   *loyalty.Lease      // of the holder
	group   *Holding            // nil until it is asked for
}

// ReadHeldMember reads who stands for a member whom a store holds, as far as that is
// known here; nil for who is not held, of whom the hub has to be asked.
func ReadHeldMember(r Reader, at MemberAt) (*HeldMember, error) {
	h, err := HoldingsOf(r, at.Store, protocol.Inc{}).Of(at.Member)
	if err != nil {
		return nil, err
	}
	return h.Held, nil
}

// Of is what is held of a member, and of all for whom the same one stands.
func (h *Holdings) Of(id protocol.MemberID) (*Holding, error) {
	one, err := h.alone(id)
	if err != nil || one.group != nil {
		return one.group, err
	}
	g := &Holding{IDs: []protocol.MemberID{id}}
	if one.member != nil {
		if g.Held, err = h.standing(one); err != nil {
			return nil, err
		}
		g.IDs = g.Held.IDs()
	}
	for _, id := range g.IDs {
		of, err := h.alone(id)
		if err != nil {
			return nil, err
		}
		g.Leases = append(g.Leases, of.lease)
	}
	one.group = g
	return g, nil
}

// Risk is what the stream spent of points of all members beyond its leases.
func (h *Holdings) Risk() (*loyalty.Risk, error) { return ReadRisk(h.r, h.store, h.holder) }

// standing puts together who stands for a member, and for whom else. The own
// accounts stand in the place of those that the hub's balance has, so that each
// event of this store counts once, whether the hub had it or not, and whether it
// names the one or the other of a group.
func (h *Holdings) standing(one *heldAlone) (*HeldMember, error) {
	held := &HeldMember{Member: one.member}
	for into := standsFor(held.Member); into != ""; into = standsFor(held.Member) {
		next, err := h.alone(into)
		if err != nil {
			return nil, err
		}
		if next.member == nil {
			break // The store is told in a moment; until then it shows who is here.
		}
		held.Merged = append(held.Merged, held.Member)
		held.Member, one = next.member, next
	}
	counted := []protocol.MemberID{held.Member.ID}
	if told := one.told; told != nil {
		if len(told.Group) > 0 {
			counted = told.Group
		}
		here := told.Here
		held.Leased = told.Leased
		held.Balance = told.Balance - (here.Earned - here.Redeemed + here.Adjusted + here.Expired)
	}
	// The store's own events may tell of a merge before the hub does.
	group := slices.Clip(counted)
	for _, merged := range one.merged {
		group = append(group, merged.Member)
	}
	if err := h.load(group); err != nil {
		return nil, err
	}
	for _, id := range counted {
		held.Balance += h.known[id].account.Balance()
	}
	for _, id := range group {
		if one := h.known[id]; !held.has(id) && slices.Contains(group, standsFor(one.member)) {
			held.Merged = append(held.Merged, one.member)
		}
	}
	slices.SortFunc(held.Merged, func(a, b *protocol.Member) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return held, nil
}

func (h *Holdings) alone(id protocol.MemberID) (*heldAlone, error) {
	err := h.load([]protocol.MemberID{id})
	if err != nil {
		return nil, err
	}
	return h.known[id], nil
}

// load reads those of the members that were not read yet.
func (h *Holdings) load(ids []protocol.MemberID) error {
	err := h.loadMore(ids)
	if err != nil {
		clear(h.known) // Nothing that was half read may be taken for known.
	}
	return err
}

func (h *Holdings) loadMore(ids []protocol.MemberID) error {
	gen, err := liveOf(h.r, protocol.MemberFeed(h.store))
	if err != nil {
		return err
	}
	var keys []Key
	var fresh []MemberAt
	for _, id := range ids {
		if h.known[id] != nil {
			continue
		}
		at := MemberAt{h.store, id}
		h.known[id], fresh = &heldAlone{}, append(fresh, at)
		keys = append(keys, memberRowKey(gen, at), memberKey(at), mergedKey(id), accountKey(at), leaseKey(at, h.holder))
	}
	if len(fresh) == 0 {
		return nil
	}
	values, err := h.r.Load(keys)
	if err != nil {
		return err
	}
	each := len(keys) / len(fresh)
	for i, at := range fresh {
		if err := h.known[at.Member].decode(at, values[i*each:(i+1)*each]); err != nil {
			return err
		}
	}
	return nil
}

// decode makes of its rows what is known of a member by itself. That comes from the
// hub, by the store's member feed, and from the store's own events; the higher
// version stands.
func (o *heldAlone) decode(at MemberAt, values [][]byte) error {
	ref, err := readReference(values[0])
	if err == nil && len(ref.value) > 0 {
		o.told, err = protocol.DecodeMemberRow(ref.value)
	}
	if err != nil {
		return err
	}
	own, err := decodeMemberRow(values[1])
	if err != nil {
		return err
	}
	merged, err := decodeMemberSet(values[2])
	if err != nil {
		return err
	}
	o.merged = *merged
	if o.account, err = loyalty.DecodeAccount(values[3]); err != nil {
		return err
	}
	if o.lease, err = loyalty.DecodeLease(values[4]); err != nil {
		return err
	}
	switch {
	case o.told == nil && own.now == nil:
	case o.told == nil:
		if servedBy(at.Store, own.now, at.Store, o.account.Events != 0) {
			o.member = own.now
		}
	case own.now != nil && own.now.Version > o.told.Member.Version:
		o.member = own.now
	default:
		o.member = &o.told.Member
	}
	return nil
}

// HeldByCard are the members held in a store who bear a card, HeldByContact those
// who are found by a phone number or e-mail address, in the order of their ids. In
// the place of who was merged stands who stands for them.
func HeldByCard(r Reader, store protocol.StoreID, card string) ([]protocol.MemberID, error) {
	return HoldingsOf(r, store, protocol.Inc{}).ByCard(card)
}

// HeldByContact is described at HeldByCard.
func HeldByContact(r Reader, store protocol.StoreID, sum protocol.LookupBytes) ([]protocol.MemberID, error) {
	return HoldingsOf(r, store, protocol.Inc{}).ByContact(sum)
}

// ByCard is described at HeldByCard.
func (h *Holdings) ByCard(card string) ([]protocol.MemberID, error) {
	found := func(m *protocol.Member) bool { return m.Card == card }
	return h.by(func(gen uint64) []Key { return []Key{cardKey(card), memberCardKey(gen, h.store, card)} }, found)
}

// ByContact is described at HeldByCard.
func (h *Holdings) ByContact(sum protocol.LookupBytes) ([]protocol.MemberID, error) {
	found := func(m *protocol.Member) bool { return m.PhoneSum == sum || m.EmailSum == sum }
	return h.by(func(gen uint64) []Key { return []Key{contactKey(sum), memberContactKey(gen, h.store, sum)} }, found)
}

// by looks through the rows of both origins. One of them may be behind the other, so
// that what a member is found by is compared with the member.
func (h *Holdings) by(keys func(gen uint64) []Key, found func(*protocol.Member) bool) ([]protocol.MemberID, error) {
	gen, err := liveOf(h.r, protocol.MemberFeed(h.store))
	if err != nil {
		return nil, err
	}
	values, err := h.r.Load(keys(gen))
	if err != nil {
		return nil, err
	}
	var named []protocol.MemberID
	for _, v := range values {
		list, err := decodeMemberSet(v)
		if err != nil {
			return nil, err
		}
		for _, at := range *list {
			named = append(named, at.Member)
		}
	}
	if err := h.load(named); err != nil {
		return nil, err
	}
	var ids []protocol.MemberID
	for _, id := range named {
		if m := h.known[id].member; m == nil || !found(m) {
			continue
		}
		g, err := h.Of(id)
		if err != nil {
			return nil, err
		}
		ids = append(ids, g.IDs[0])
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}
