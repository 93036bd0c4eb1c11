package ledger

import (
	"slices"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/loyalty"

	"google.golang.org/protobuf/encoding/protowire"
)

// A store holds a member who was there once until the visit is over. What says so is
// a note with the number of events that the account had then: it is over for as long
// as that stands, and the next event there begins another.

// leftRow is by store how many events the account had when the visit ended.
type leftRow map[protocol.StoreID]protocol.Points

// The fields of a visit that is over.
const (
	fieldLeft       protowire.Number = 1
	fieldLeftStore  protowire.Number = 1
	fieldLeftEvents protowire.Number = 2
)

// Encode writes the row.
func (l leftRow) Encode() []byte {
	var f fields
	stores := make(storeSet, 0, len(l))
	for store := range l {
		stores.add(store)
	}
	for _, store := range stores {
		var one fields
		one.text(fieldLeftStore, string(store))
		one.int(fieldLeftEvents, int64(l[store]))
		f.element(fieldLeft, one)
	}
	return f
}

func decodeLeft(b []byte) (leftRow, error) {
	l := leftRow{}
	err := decodeFields("visits", b, func(num protowire.Number, v value) error {
		if num != fieldLeft {
			return nil
		}
		var store protocol.StoreID
		var events protocol.Points
		err := decodeFields("visit", v.data, func(num protowire.Number, v value) error {
			switch num {
			case fieldLeftStore:
				store = protocol.StoreID(v.text())
			case fieldLeftEvents:
				events = protocol.Points(v.int())
			}
			return nil
		})
		l[store] = events
		return err
	})
	return l, err
}

func readLeft(r Reader, id protocol.MemberID) (leftRow, error) {
	b, err := Note(r, noteMemberLeft, string(id))
	if err != nil || b == nil {
		return nil, err
	}
	return decodeLeft(b)
}

// VisitsOver are the stores that hold one of a member's group for a visit of which
// nothing was heard since a time: they are nobody's home and enrolled nobody, no
// stream there may spend anything, and what happened there takes nothing from the
// balance. Times are those of the tills.
func VisitsOver(r Reader, id protocol.MemberID, since time.Time) (over []MemberAt, err error) {
	ids, err := MemberGroup(r, id)
	if err != nil {
		return nil, err
	}
	v, err := viewGroup(r, ids)
	if err != nil || v.group[0].member == nil {
		return nil, err
	}
	for _, store := range v.here {
		if store == protocol.ChainStore || v.accounts[store].Balance() < 0 || v.lives(store) {
			continue
		}
		quiet, err := quietSince(r, store, ids, since.UnixMilli())
		if err != nil {
			return nil, err
		}
		if quiet {
			for _, id := range ids {
				over = append(over, MemberAt{store, id})
			}
		}
	}
	return over, nil
}

// lives tells whether a store is more than visited by one of the group.
func (v *memberView) lives(store protocol.StoreID) bool {
	return slices.ContainsFunc(v.group, func(m memberOf) bool {
		return m.member != nil && (m.member.HomeStore == store || m.enrolled == store)
	})
}

// quietSince tells whether nothing happened with members in a store since a time,
// and nothing of theirs is held there.
func quietSince(r Reader, store protocol.StoreID, ids []protocol.MemberID, sinceMs int64) (quiet bool, err error) {
	quiet = true
	for _, id := range ids {
		at := MemberAt{store, id}
		err := Timeline(r, at, "", func(e TimelineEntry) (bool, error) {
			quiet = quiet && e.ID.AtMs < sinceMs
			return false, nil
		})
		if err != nil {
			return false, err
		}
		err = Leases(r, at, func(_ protocol.Inc, l *loyalty.Lease) (bool, error) {
			quiet = quiet && l.Left() == 0 && !l.Recalled() && l.Risk.Outstanding() == 0
			return quiet, nil
		})
		if err != nil || !quiet {
			return false, err
		}
	}
	return true, nil
}

// EndVisits notes that visits are over. AppendMembers then takes the members off the
// feeds of those stores, in the same transaction.
func EndVisits(tx Tx, over []MemberAt) error {
	for _, at := range over {
		account, err := ReadAccount(tx, at)
		if err != nil {
			return err
		}
		left, err := readLeft(tx, at.Member)
		if err != nil {
			return err
		}
		if account.Events == 0 || left[at.Store] == account.Events {
			continue
		}
		if left == nil {
			left = leftRow{}
		}
		left[at.Store] = account.Events
		if err := SetNote(tx, left.Encode(), noteMemberLeft, string(at.Member)); err != nil {
			return err
		}
	}
	return nil
}
