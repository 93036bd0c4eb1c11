package ledger

import (
	"slices"
	"strings"

	"counterpart/protocol"
)

// kindMerged are the members who were merged into one, by that one's id. The row
// follows from the rows of those members, as those of cards do.
//
// Accounts, leases, carts and timelines stay with the ids under which they came
// about: what a member has is the sum over the group. So a merge moves nothing, may
// be undone, and a till that has not heard of it does nothing wrong.
const kindMerged = "merged"

func mergedKey(into protocol.MemberID) Key { return stateKey(kindMerged, string(into)) }

// wrongMerge tells why an event does not merge a member. Whoever stands for
// another has the smaller id, so that no events in any order make a circle.
func wrongMerge(m *protocol.Member) string {
	if m != nil && m.Status == protocol.MemberMerged && (m.Into == "" || m.Into >= m.ID) {
		return "a member is merged into one with a smaller id"
	}
	return ""
}

// standsFor is who stands for a member as its own row says; empty for the member
// itself, also for one who is not known.
func standsFor(m *protocol.Member) protocol.MemberID {
	if m != nil && m.Status == protocol.MemberMerged {
		return m.Into
	}
	return ""
}

// Representative is who stands for a member: the member itself where it is merged
// into nobody. Of an account it is the account of the same kind of who stands for its
// member.
func Representative(r Reader, id protocol.MemberID) (protocol.MemberID, error) {
	for owner := id.Of(); owner != "" && id.AsOf(owner) == id; owner = id.Of() {
		m, _, err := ReadMember(r, owner)
		if err != nil {
			return "", err
		}
		next := id.AsOf(standsFor(m))
		if standsFor(m) == "" || next == id {
			return id, nil
		}
		id = next
	}
	return id, nil
}

// MemberGroup are all members for whom the representative of id stands, in the order
// of their ids, so that the representative is the first. It is id alone where nobody
// was merged. Of an account they are the accounts of the same kind of those members.
func MemberGroup(r Reader, id protocol.MemberID) ([]protocol.MemberID, error) {
	owner := id.Of()
	if owner == id || owner == "" || id.AsOf("") == id {
		return memberGroup(r, id)
	}
	group, err := memberGroup(r, owner)
	for i := range group {
		group[i] = id.AsOf(group[i])
	}
	return group, err
}

func memberGroup(r Reader, id protocol.MemberID) ([]protocol.MemberID, error) {
	rep, err := Representative(r, id)
	if err != nil {
		return nil, err
	}
	group := []protocol.MemberID{rep}
	for i := 0; i < len(group); i++ {
		list, err := membersOf(r, mergedKey(group[i]))
		if err != nil {
			return nil, err
		}
		for _, at := range list {
			// Of a member whom several stores enrolled one row stands.
			m, _, err := ReadMember(r, at.Member)
			if err != nil {
				return nil, err
			}
			if standsFor(m) == group[i] && !slices.Contains(group, at.Member) {
				group = append(group, at.Member)
			}
		}
	}
	slices.Sort(group)
	return group, nil
}

// intos are all whom any row of a member names as the one who stands for it.
func intos(r Reader, id protocol.MemberID) (list []protocol.MemberID, err error) {
	stores, err := MemberStores(r, id)
	if err != nil {
		return nil, err
	}
	for _, store := range stores {
		values, err := r.Load([]Key{memberKey(MemberAt{store, id})})
		if err != nil {
			return nil, err
		}
		row, err := decodeMemberRow(values[0])
		if err != nil {
			return nil, err
		}
		if into := standsFor(row.now); into != "" {
			list = append(list, into)
		}
	}
	return list, nil
}

// groupsOf are the groups of members whom a transaction touched, and of those that
// rows of theirs name, each once. A member who changed to another group is in the
// one; the fold touches whoever stood for it before, and so finds the other.
func groupsOf(r Reader, touched []MemberAt) (groups [][]protocol.MemberID, err error) {
	seen := map[protocol.MemberID]bool{}
	add := func(id protocol.MemberID) error {
		if seen[id] {
			return nil
		}
		group, err := MemberGroup(r, id)
		if err != nil {
			return err
		}
		for _, member := range group {
			seen[member] = true
		}
		seen[id] = true
		groups = append(groups, group)
		return nil
	}
	for _, at := range touched {
		also, err := intos(r, at.Member)
		if err != nil {
			return nil, err
		}
		for _, id := range append(also, at.Member) {
			if err := add(id); err != nil {
				return nil, err
			}
		}
	}
	slices.SortFunc(groups, func(a, b []protocol.MemberID) int { return strings.Compare(string(a[0]), string(b[0])) })
	return groups, nil
}
