package ledger

import (
	"slices"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/loyalty"

	"google.golang.org/protobuf/encoding/protowire"
)

// A store holds a member who was there until the visit is over. The hub notes of each
// visit how many events the account had when it was looked at first, and when that was
// in its running time, so that no clock ends a visit (I17). It is over for as long as
// the account has as many, and the next event there begins another.

// visit is what is noted of one in a store.
type visit struct {
	events protocol.Points // of the account
	since  time.Duration   // running time
	over   bool
}

// visits are those of one member, by store.
type visits map[protocol.StoreID]visit

// The fields of visits, and of one.
const (
	fieldVisit       protowire.Number = 1
	fieldVisitStore  protowire.Number = 1
	fieldVisitEvents protowire.Number = 2
	fieldVisitSince  protowire.Number = 3
	fieldVisitOver   protowire.Number = 4
)

// Encode writes the row.
func (l visits) Encode() []byte {
	var f fields
	var stores storeSet
	for store := range l {
		stores.add(store)
	}
	for _, store := range stores {
		var one fields
		one.text(fieldVisitStore, string(store))
		one.int(fieldVisitEvents, int64(l[store].events))
		one.int(fieldVisitSince, l[store].since.Milliseconds())
		one.bool(fieldVisitOver, l[store].over)
		f.element(fieldVisit, one)
	}
	return f
}

func decodeVisits(b []byte) (visits, error) {
	l := visits{}
	err := decodeFields("visits", b, func(num protowire.Number, v value) error {
		if num != fieldVisit {
			return nil
		}
		var store protocol.StoreID
		var one visit
		err := decodeFields("visit", v.data, func(num protowire.Number, v value) error {
			switch num {
			case fieldVisitStore:
				store = protocol.StoreID(v.text())
			case fieldVisitEvents:
				one.events = protocol.Points(v.int())
			case fieldVisitSince:
				one.since = time.Duration(v.int()) * time.Millisecond
			case fieldVisitOver:
				one.over = v.num != 0
			}
			return nil
		})
		l[store] = one
		return err
	})
	return l, err
}

func readVisits(r Reader, id protocol.MemberID) (visits, error) {
	b, err := Note(r, noteMemberVisits, string(id))
	if err != nil {
		return nil, err
	}
	return decodeVisits(b)
}

// left tells whether a visit to a store is over.
func (l visits) left(store protocol.StoreID, a *loyalty.Account) bool {
	return l[store].over && l[store].events == a.Events
}

// VisitsDue tells whether anything is to be noted of the visits of a member's group:
// AgeVisits does so.
func VisitsDue(r Reader, id protocol.MemberID, now, stays time.Duration) (bool, error) {
	due := false
	err := ageVisits(r, id, now, stays, func(protocol.MemberID, visits, bool) error {
		due = true
		return nil
	})
	return due, err
}

// AgeVisits notes, by the hub's running time, which stores that are nobody's home and
// enrolled nobody hold one of a member's group, and which visits are over: for so long
// nothing happened there, and nothing is held there. It returns those that have ended
// just now: AppendMembers then takes them off the feeds, in the same transaction.
func AgeVisits(tx Tx, id protocol.MemberID, now, stays time.Duration) (ended []MemberAt, err error) {
	err = ageVisits(tx, id, now, stays, func(one protocol.MemberID, rows visits, some bool) error {
		if some {
			ended = append(ended, MemberAt{Member: one})
		}
		return SetNote(tx, rows.Encode(), noteMemberVisits, string(one))
	})
	return ended, err
}

// ageVisits calls fn for each of a group of whose visits something is to be noted.
func ageVisits(r Reader, id protocol.MemberID, now, stays time.Duration, fn func(id protocol.MemberID, rows visits, ended bool) error) error {
	ids, err := MemberGroup(r, id)
	if err != nil {
		return err
	}
	v, err := viewGroup(r, ids)
	if err != nil || v.group[0].member == nil {
		return err
	}
	for _, id := range ids {
		accounts, err := ReadAccounts(r, id)
		if err != nil {
			return err
		}
		rows, err := readVisits(r, id)
		if err != nil {
			return err
		}
		noted, ended := false, false
		for store, account := range accounts {
			if account.Events == 0 || store == protocol.ChainStore || v.lives(store) || rows.left(store, account) {
				continue
			}
			one := rows[store]
			switch {
			case one.events != account.Events:
				rows[store], noted = visit{events: account.Events, since: now}, true
			case now-one.since >= stays && account.Balance() >= 0:
				held, err := holds(r, MemberAt{store, id})
				if err != nil {
					return err
				}
				if !held {
					one.over = true
					rows[store], noted, ended = one, true, true
				}
			}
		}
		if noted {
			if err := fn(id, rows, ended); err != nil {
				return err
			}
		}
	}
	return nil
}

// lives tells whether a store is more than visited by one of the group.
func (v *memberView) lives(store protocol.StoreID) bool {
	return slices.ContainsFunc(v.group, func(m memberOf) bool {
		return m.member != nil && (m.member.HomeStore == store || m.enrolled == store)
	})
}

// holds tells whether a stream of a store holds anything of a member's.
func holds(r Reader, at MemberAt) (held bool, err error) {
	err = Leases(r, at, func(_ protocol.Inc, l *loyalty.Lease) (bool, error) {
		held = held || l.Left() > 0 || l.Recalled() || l.Risk.Outstanding() > 0
		return !held, nil
	})
	return held, err
}
