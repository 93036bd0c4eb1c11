package hub

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/loyalty"
)

// memberCore is a hub with keys, and what a later process opens.
type memberCore struct {
	*core
	db   *ledger.Memory
	ring *ledger.KeyRing
}

func newMemberCore(t *testing.T) *memberCore {
	t.Helper()
	random := func(b []byte) {
		for i := range b {
			b[i] = byte(i + 7)
		}
	}
	ring, err := ledger.OpenKeyRing(t.Context(), ledger.NewMemory(), [32]byte{1}, random)
	if err != nil {
		t.Fatal(err)
	}
	m := &memberCore{db: ledger.NewMemory(), ring: ring}
	m.core = newCoreOn(t, m.db, ring)
	return m
}

func (c *memberCore) restart() { c.core = newCoreOn(c.t, c.db, c.ring) }

// person is somebody with a key of their own.
var (
	personKey = protocol.SubjectKey{42}
	person    = protocol.Personal{Name: "Basti", Phone: "+4915112345678", Email: "b@example.org"}
)

// enrols is the event of a till that enrols somebody.
func enrols(t *testing.T, id protocol.MemberID, card string, home protocol.StoreID) *protocol.Event {
	t.Helper()
	return enrolsAs(t, id, card, home, person)
}

func enrolsAs(t *testing.T, id protocol.MemberID, card string, home protocol.StoreID, person protocol.Personal) *protocol.Event {
	t.Helper()
	sealed, err := protocol.Seal(personKey, string(id), person, func(b []byte) { b[0] = 1 })
	if err != nil {
		t.Fatal(err)
	}
	return &protocol.Event{Kind: protocol.KindMember, Member: &protocol.Member{ID: id, Version: 1, Status: protocol.MemberTemporary, Card: card, Sealed: sealed, HomeStore: home}}
}

// withKey puts a key beside a batch.
func withKey(t *testing.T, in Inbound, id protocol.MemberID, key protocol.SubjectKey) Inbound {
	t.Helper()
	m, err := protocol.DecodeMessage(in.Payload)
	if err != nil {
		t.Fatal(err)
	}
	b := m.(*protocol.Batch)
	b.Keys = []protocol.MemberKey{{Member: id, Key: key}}
	return payload(t, in.Topic, b)
}

func (c *memberCore) shown(id protocol.MemberID) loyalty.MemberDocument {
	c.t.Helper()
	doc, err := c.Member(c.t.Context(), id)
	if err != nil {
		c.t.Fatal(err)
	}
	return doc
}

// rowsTo are the rows of a store's member feed that were sent on a topic.
func rowsTo(list []protocol.Message) (rows []protocol.FeedRow) {
	for _, d := range only[*protocol.Delta](list) {
		if d.Feed == protocol.MemberFeed("s1") {
			rows = append(rows, d.Rows...)
		}
	}
	return rows
}

// TestKeysGoBesideRowsToTheirStoreAlone: the home store is told of a member with
// the key, also in a snapshot; another store is told nothing, and the database
// holds no key. Once erased there is no key to be had anywhere.
func TestKeysGoBesideRowsToTheirStoreAlone(t *testing.T) {
	c := newMemberCore(t)
	home, other := c.player("s1", "a1", 1), c.player("s2", "b1", 2)
	feed := protocol.FeedPos{Feed: protocol.MemberFeed("s1"), Epoch: c.Epoch()}
	home.greet(feed)
	if w := other.greet(feed); len(w.Feeds) > 0 {
		t.Errorf("another store may follow: %+v", w.Feeds)
	}
	c.receive(withKey(t, home.does(enrols(t, "m-1", "C1", "s1")), "m-1", personKey))
	rows := rowsTo(c.take(protocol.TopicFeed(protocol.MemberFeed("s1"))))
	if len(rows) == 0 || rows[len(rows)-1].Key != "member/m-1" || rows[len(rows)-1].SubjectKey != personKey {
		t.Fatalf("the store is told %+v", rows)
	}
	c.receive(payload(t, other.up(), &protocol.Dack{Session: other.session, Feed: protocol.MemberFeed("s1"), Epoch: c.Epoch(), Credit: 4}))
	if rows := rowsTo(c.take(other.down())); len(rows) > 0 {
		t.Errorf("another store is told %+v", rows)
	}
	inSnapshot := func() bool {
		snap, err := c.Snapshot(t.Context(), protocol.MemberFeed("s1"))
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range unpack(t, snap) {
			for _, row := range part.Rows {
				if row.SubjectKey == personKey {
					return true
				}
			}
		}
		return false
	}
	if !inSnapshot() {
		t.Error("the snapshot has no key")
	}
	if _, err := c.EraseMember(t.Context(), "m-1"); err != nil {
		t.Fatal(err)
	}
	if c.snapshots.find(protocol.MemberFeed("s1")) != nil {
		t.Error("a snapshot of before the erasure is kept")
	}
	if inSnapshot() {
		t.Error("the snapshot has the key of who was erased")
	}
	rows = rowsTo(c.take(protocol.TopicFeed(protocol.MemberFeed("s1"))))
	if last := rows[len(rows)-1]; !last.SubjectKey.IsZero() {
		t.Error("the row of who was erased has a key")
	} else if m, err := protocol.DecodeMemberRow(last.Value); err != nil || m.Member.Status != protocol.MemberErased || len(m.Member.Sealed) > 0 {
		t.Errorf("the row of who was erased is %+v, %v", m, err)
	}
	err := c.db.View(t.Context(), func(r ledger.Reader) error {
		for table := range ledger.TableCount {
			err := r.Scan(table, "", "", func(id string, v []byte) (bool, error) {
				if bytes.Contains(v, personKey[:]) {
					t.Errorf("the row %q holds a key", id)
				}
				return true, nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestMemberWaitsForTheKey: without the key nobody is settled, and the event is
// acknowledged; the key settles, also after a restart. A key that no event of the
// batch enrols is not taken.
func TestMemberWaitsForTheKey(t *testing.T) {
	c := newMemberCore(t)
	a := c.player("s1", "a1", 1)
	a.greet()
	enrolment := a.does(enrols(t, "m-1", "C1", "s1"))
	c.receive(enrolment)
	if doc := c.shown("m-1"); doc.Status != protocol.MemberTemporary || !doc.Locked || c.cursorOf(a.origin) != 1 {
		t.Errorf("without a key %+v at %d", doc, c.cursorOf(a.origin))
	}
	c.receive(withKey(t, a.sell("PEN"), "m-1", protocol.SubjectKey{9}))
	if _, ok, err := c.ring.Key(t.Context(), "m-1"); ok || err != nil {
		t.Errorf("a key was taken that came beside a sale: %v", err)
	}
	c.receive(withKey(t, enrolment, "m-1", personKey))
	doc := c.shown("m-1")
	if doc.Status != protocol.MemberActive || doc.Locked || *doc.Name != person.Name || *doc.Card != "C1" {
		t.Errorf("with the key %+v", doc)
	}
	list, err := c.Members(t.Context(), MemberQuery{Phone: person.Phone})
	if err != nil || len(list.Items) != 1 {
		t.Errorf("by phone %+v are found, %v", list.Items, err)
	}
	b := c.player("s1", "a2", 3)
	b.greet()
	c.receive(b.does(enrols(t, "m-2", "C2", "s1")))
	if err := c.ring.Put(t.Context(), map[string]protocol.SubjectKey{"m-2": personKey}); err != nil {
		t.Fatal(err)
	}
	c.restart()
	if doc := c.shown("m-2"); doc.Status != protocol.MemberActive {
		t.Errorf("a start leaves %+v", doc)
	}
}

// TestMemberWhoCannotBeFound: an address that another program let through keeps
// neither the hub nor its next start from work. The member is found by the card.
func TestMemberWhoCannotBeFound(t *testing.T) {
	c := newMemberCore(t)
	a := c.player("s1", "a1", 1)
	a.greet()
	ev := enrols(t, "m-1", "C1", "s1")
	var err error
	if ev.Member.Sealed, err = protocol.Seal(personKey, "m-1", protocol.Personal{Name: "Cem", Email: "cem at home"}, func(b []byte) { b[0] = 2 }); err != nil {
		t.Fatal(err)
	}
	c.receive(withKey(t, a.does(ev), "m-1", personKey))
	c.restart()
	list, err := c.Members(t.Context(), MemberQuery{Card: "C1"})
	if err != nil || len(list.Items) != 1 || list.Items[0].Status != protocol.MemberActive || *list.Items[0].Name != "Cem" {
		t.Errorf("by the card %+v are found, %v", list.Items, err)
	}
}

// TestMemberIsNotTakenOver: who enrols the id of a member of another store once more
// changes nothing about them.
func TestMemberIsNotTakenOver(t *testing.T) {
	c := newMemberCore(t)
	b, a := c.player("s2", "b1", 2), c.player("s1", "a1", 1)
	b.greet()
	a.greet()
	c.receive(withKey(t, b.does(enrols(t, "m-1", "C1", "s2")), "m-1", personKey))
	c.receive(withKey(t, a.does(enrols(t, "m-1", "C9", "s1")), "m-1", protocol.SubjectKey{9}))
	if doc := c.shown("m-1"); doc.Status != protocol.MemberActive || *doc.Card != "C1" || doc.Locked || *doc.HomeStore != "s2" {
		t.Errorf("after a second enrolment %+v", doc)
	}
}

// TestSettlingComparesMembers gives a new card to who bears another's, and tells of
// a phone number that somebody of another name has. The exceptions are events, so that every machine of
// the store has them.
func TestSettlingComparesMembers(t *testing.T) {
	c := newMemberCore(t)
	a, b := c.player("s1", "a1", 1), c.player("s2", "b1", 2)
	a.greet()
	b.greet()
	c.receive(withKey(t, a.does(enrols(t, "m-1", "C1", "s1")), "m-1", personKey), withKey(t, b.does(enrolsAs(t, "m-2", "C1", "s2", protocol.Personal{Name: "Berta", Phone: person.Phone})), "m-2", personKey))
	first, second := c.shown("m-1"), c.shown("m-2")
	if *first.Card != "C1" || *second.Card == "C1" || second.Status != protocol.MemberActive {
		t.Errorf("settled as %+v and %+v", first, second)
	}
	list, err := c.Exceptions(t.Context(), "open", Page{Limit: 10})
	if err != nil || len(list.Items) != 2 {
		t.Fatalf("the exceptions are %+v, %v", list.Items, err)
	}
	for _, x := range list.Items {
		if x.Kind != ledger.ExceptionCardShared && x.Kind != ledger.ExceptionMemberTwice {
			t.Errorf("an exception is %+v", x)
		}
	}
	c.receive(payload(t, b.up(), &protocol.Beat{Session: b.session, LastSeq: 1}))
	if again := c.shown("m-2"); *again.Card != *second.Card {
		t.Errorf("settled again as %+v", again)
	}
}

// TestErasedBeforeTheEventCame marks somebody as erased whose enrolment comes back
// after the erasure, from a machine that was away while the hub was restored.
func TestErasedBeforeTheEventCame(t *testing.T) {
	c := newMemberCore(t)
	if err := c.ring.Erase(context.Background(), []string{"m-1"}); err != nil {
		t.Fatal(err)
	}
	a := c.player("s1", "a1", 1)
	a.greet(protocol.FeedPos{Feed: protocol.MemberFeed("s1"), Epoch: c.Epoch()})
	c.receive(withKey(t, a.does(enrols(t, "m-1", "C1", "s1")), "m-1", personKey))
	if doc := c.shown("m-1"); doc.Status != protocol.MemberErased || doc.Name != nil || doc.Locked {
		t.Errorf("the member is %+v", doc)
	}
	if _, ok, err := c.ring.Key(t.Context(), "m-1"); ok || err != nil {
		t.Errorf("the key is back: %v", err)
	}
}

// TestMembersOfBeforeAreFed puts those onto the feeds whom an earlier version took
// in, which knew no such feeds.
func TestMembersOfBeforeAreFed(t *testing.T) {
	c := newMemberCore(t)
	a := c.player("s1", "a1", 1)
	a.greet()
	c.receive(withKey(t, a.does(enrols(t, "m-1", "C1", "s1")), "m-1", personKey))
	// What an earlier version has not written goes.
	err := c.db.Update(t.Context(), func(tx ledger.Tx) error {
		rows := []ledger.Row{{Key: ledger.Key{Table: ledger.Notes, ID: noteFed}}}
		for table := range ledger.TableCount {
			err := tx.Scan(table, "", "", func(id string, _ []byte) (bool, error) {
				if strings.Contains(id, "member_row") || strings.Contains(id, "member_feeds") || strings.Contains(id, "member/s1") {
					rows = append(rows, ledger.Row{Key: ledger.Key{Table: table, ID: id}})
				}
				return true, nil
			})
			if err != nil {
				return err
			}
		}
		return tx.Write(rows)
	})
	if err != nil {
		t.Fatal(err)
	}
	c.restart()
	err = c.db.View(t.Context(), func(r ledger.Reader) error {
		head, err := ledger.FeedHead(r, protocol.MemberFeed("s1"))
		if head != 1 {
			t.Errorf("the feed has %d rows", head)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
