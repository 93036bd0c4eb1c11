package till_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// counted is a driver that notes what is read and written.
type counted struct {
	ledger.Driver
	views   int
	keys    []ledger.Key
	written []string
}

type countedReader struct {
	ledger.Reader
	c *counted
}

func (r countedReader) Load(keys []ledger.Key) ([][]byte, error) {
	r.c.keys = append(r.c.keys, keys...)
	return r.Reader.Load(keys)
}

func (c *counted) View(ctx context.Context, fn func(ledger.Reader) error) error {
	c.views++
	return c.Driver.View(ctx, func(r ledger.Reader) error { return fn(countedReader{r, c}) })
}

// TestLookUpReadsOnce finds a member by card, with all that a screen shows, in one
// transaction that reads no row of theirs twice.
func TestLookUpReadsOnce(t *testing.T) {
	c := &counted{Driver: ledger.NewMemory()}
	s := open(t, c)
	s.risking(500, 5000)
	says := func(id, into protocol.MemberID, status protocol.MemberStatus, version uint32) {
		s.hubLogs(hubOrigin, &protocol.Event{Kind: protocol.KindMember, Member: &protocol.Member{
			ID: id, Version: version, Status: status, Card: "card 1", HomeStore: "s1", Into: into,
		}})
	}
	says("m-1", "", protocol.MemberActive, 1)
	says("m-2", "m-1", protocol.MemberMerged, 2)
	s.lends("m-1", protocol.LeaseGranted, 200)
	s.lends("m-2", protocol.LeaseGranted, 300)
	look := func() {
		t.Helper()
		list, err := s.till.HeldBy(t.Context(), "card 1", protocol.LookupBytes{})
		if err != nil || len(list) != 1 || list[0].Member.ID != "m-1" || len(list[0].Merged) != 1 || list[0].Spendable != 300 {
			t.Fatalf("found %+v: %v", list, err)
		}
	}
	look() // The terms of the store are read for the first time.
	c.views, c.keys = 0, nil
	look()
	if c.views != 1 {
		t.Errorf("a look-up is %d transactions", c.views)
	}
	for i, k := range c.keys {
		if k.Table == ledger.States && slices.Contains(c.keys[:i], k) {
			t.Errorf("%q is read twice", k.ID)
		}
	}
}

type countedTx struct {
	ledger.Tx
	c *counted
}

func (t countedTx) Write(rows []ledger.Row) error {
	for i := range rows {
		t.c.written = append(t.c.written, rows[i].Key.ID)
	}
	return t.Tx.Write(rows)
}

func (c *counted) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	return c.Driver.Update(ctx, func(tx ledger.Tx) error { return fn(countedTx{tx, c}) })
}

// TestSaleWritesWhatChanges: where a member is known is written with the first sale
// to them, and not again.
func TestSaleWritesWhatChanges(t *testing.T) {
	c := &counted{Driver: ledger.NewMemory()}
	s := open(t, c)
	s.spending()
	stores := func(id string) bool { return strings.HasPrefix(id, "member_stores\x00") }
	account := func(id string) bool { return strings.HasPrefix(id, "account\x00") }
	for i, want := range []bool{true, false} {
		c.written = nil
		s.sell(`{"lines":[{"code":"PEN-01","qty":1}],"member_id":"m-1","tenders":[{"type":"card","amount_minor":250}]}`)
		if got := slices.ContainsFunc(c.written, stores); got != want || !slices.ContainsFunc(c.written, account) {
			t.Errorf("sale %d writes %q", i+1, c.written)
		}
	}
}
