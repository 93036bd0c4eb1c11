package ledger

import (
	"bytes"
	"strings"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/loyalty"

	"google.golang.org/protobuf/encoding/protowire"
)

// kindTimeline are the timelines of members: a row for each event that concerns
// one, the newest first, in the store of the event's stream.
const kindTimeline = "timeline"

func timelineKey(at MemberAt, id loyalty.EntryID) Key {
	return stateKey(kindTimeline, string(at.Store), string(at.Member), id.String())
}

// timelineRow is an entry, and whether it is done with, which may be folded first.
// Of two bodies under one id the greater stands.
type timelineRow struct {
	entry  []byte // nil: not folded yet
	closed bool
}

// Encode writes the row.
func (t *timelineRow) Encode() []byte {
	var f fields
	f.bytes(1, t.entry)
	f.bool(2, t.closed)
	return f
}

func decodeTimelineRow(b []byte) (*timelineRow, error) {
	t := &timelineRow{}
	err := decodeFields("timeline", b, func(num protowire.Number, v value) (err error) {
		switch num {
		case 1:
			t.entry = bytes.Clone(v.data)
			_, err = loyalty.DecodeEntry(t.entry)
		case 2:
			t.closed = v.num != 0
		}
		return err
	})
	return t, err
}

// timelineOf is what an event writes into timelines: its entry, nil for none, with
// its key, and the key of the entry that it closes.
func (f *fold) timelineOf(a *act) (at MemberAt, entry *loyalty.Entry, key, closes Key) {
	var no protocol.ReceiptNo
	if a.event.Sale != nil {
		no = receiptOf(a.receipt)
	}
	member, entry := loyalty.EntryOf(a.event, no)
	if entry == nil {
		return at, nil, key, closes
	}
	at = MemberAt{f.origin.Store, member}
	key = timelineKey(at, loyalty.EntryID{AtMs: a.record.WallMs, Event: a.id})
	if c := a.event.Contact; c != nil && !c.Closes.IsZero() {
		closes = timelineKey(at, loyalty.EntryID{AtMs: c.ClosesAtMs, Event: c.Closes})
	}
	return at, entry, key, closes
}

// timelineKeys adds the rows of timelines that an event touches.
func (f *fold) timelineKeys(keys []Key, a *act) []Key {
	at, entry, key, closes := f.timelineOf(a)
	if entry == nil {
		return keys
	}
	keys = append(keys, key, memberStoresKey(at.Member))
	if closes != (Key{}) {
		keys = append(keys, closes)
	}
	return keys
}

// timeline folds what an event writes into timelines.
func (f *fold) timeline(a *act) error {
	at, entry, key, closes := f.timelineOf(a)
	if entry == nil {
		return nil
	}
	row, err := change(f.set, key, decodeTimelineRow)
	if err != nil {
		return err
	}
	if value := entry.Encode(); bytes.Compare(value, row.entry) > 0 {
		row.entry = value
	}
	if closes != (Key{}) {
		row, err := change(f.set, closes, decodeTimelineRow)
		if err != nil {
			return err
		}
		row.closed = true
	}
	stores, err := change(f.set, memberStoresKey(at.Member), decodeStoreSet)
	if err == nil {
		stores.add(at.Store)
	}
	return err
}

// checkTimelineRow tells whether a row of a snapshot can be read. name is the rest
// of its key.
func checkTimelineRow(name string, value []byte) error {
	parts := strings.Split(name, sep)
	if len(parts) != 3 {
		return errStandingRow
	}
	if _, err := loyalty.ParseEntryID(parts[2]); err != nil {
		return err
	}
	_, err := decodeTimelineRow(value)
	return err
}

// TimelineEntry is an entry of a member's timeline in a store.
type TimelineEntry struct {
	ID     loyalty.EntryID
	Store  protocol.StoreID
	Member protocol.MemberID // of a group, under whom the entry is and whose key seals it
	Entry  *loyalty.Entry
	Closed bool // an entry that was open is done with
}

// Timeline calls fn for the entries of a member in one store, the newest first,
// behind an entry's id or from the beginning.
func Timeline(r Reader, at MemberAt, behind string, fn func(TimelineEntry) (bool, error)) error {
	prefix := kindTimeline + sep + string(at.Store) + sep + string(at.Member) + sep
	from := prefix
	if behind != "" {
		from = prefix + behind + "\x01"
	}
	return r.Scan(States, from, after(prefix), func(name string, v []byte) (bool, error) {
		e, err := decodeTimelineEntry(at, name[len(prefix):], v)
		if err != nil || e == nil {
			return err == nil, err
		}
		return fn(*e)
	})
}

// decodeTimelineEntry reads a row; nil for one that only says that an entry is
// done with, which has not come.
func decodeTimelineEntry(at MemberAt, name string, v []byte) (*TimelineEntry, error) {
	row, err := decodeTimelineRow(v)
	if err != nil || row.entry == nil {
		return nil, err
	}
	e := &TimelineEntry{Store: at.Store, Member: at.Member, Closed: row.closed}
	if e.ID, err = loyalty.ParseEntryID(strings.Clone(name)); err == nil {
		e.Entry, err = loyalty.DecodeEntry(row.entry)
	}
	return e, err
}

// ReadTimelineEntry finds an entry of a member in a store; nil where it is not
// here.
func ReadTimelineEntry(r Reader, at MemberAt, id loyalty.EntryID) (*TimelineEntry, error) {
	values, err := r.Load([]Key{timelineKey(at, id)})
	if err != nil || len(values[0]) == 0 {
		return nil, err
	}
	return decodeTimelineEntry(at, id.String(), values[0])
}

// EarnedSince is what receipts over all stores earned a member from a moment on, by
// the clocks of the tills: net of what reversals took back, and without these.
func EarnedSince(r Reader, id protocol.MemberID, since time.Time) (net, gross protocol.Points, err error) {
	stores, err := MemberStores(r, id)
	if err != nil {
		return 0, 0, err
	}
	for _, store := range stores {
		err := Timeline(r, MemberAt{Store: store, Member: id}, "", func(e TimelineEntry) (bool, error) {
			if e.ID.AtMs < since.UnixMilli() {
				return false, nil
			}
			net += e.Entry.Earned
			gross += max(0, e.Entry.Earned)
			return true, nil
		})
		if err != nil {
			return 0, 0, err
		}
	}
	return net, gross, nil
}

// MemberStores are the stores that know of a member.
func MemberStores(r Reader, id protocol.MemberID) ([]protocol.StoreID, error) {
	values, err := r.Load([]Key{memberStoresKey(id)})
	if err != nil {
		return nil, err
	}
	stores, err := decodeStoreSet(values[0])
	return *stores, err
}

// MayClose refuses to close an entry that is not open.
func (e *TimelineEntry) MayClose() error {
	if e.Entry.Open && !e.Closed {
		return nil
	}
	return protocol.Refuse(protocol.Conflict, "This entry is not open: nothing has to be done about it, or somebody has closed it. Nothing was recorded. Look at the timeline.").With("entry", e.ID.String())
}
