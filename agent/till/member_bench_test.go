package till_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"path/filepath"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/ledger/bolt"
	"counterpart/protocol/loyalty"
	"counterpart/protocol/sale"
	"counterpart/test/bench/floor"
)

// benchMembers is how many members the store holds; each is lent membersLent points.
const (
	benchMembers = 100_000
	membersLent  = 500
	memberChunk  = 500
)

func benchMember(i int) protocol.MemberID {
	return protocol.MemberID(fmt.Sprintf("m-%032x", uint64(i+1)*0x9e3779b97f4a7c15))
}

func benchCard(i int) string { return fmt.Sprintf("M%012d", (i+1)*7919) }

func random(b []byte) { _, _ = rand.Read(b) }

// openKeys is a ring in a file of its own.
func openKeys(b *testing.B, dir string) *ledger.KeyRing {
	keys, err := bolt.OpenKeys(context.Background(), bolt.KeysOptions{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = keys.Close() })
	return keys.KeyRing
}

// enrolMany brings members down on the store's feed, with their keys beside them, and
// returns the rows of the feed.
func (s *shopTest) enrolMany(b *testing.B, ring *ledger.KeyRing) []protocol.FeedRow {
	ctx := context.Background()
	all := make([]protocol.FeedRow, 0, benchMembers)
	for first := 0; first < benchMembers; first += memberChunk {
		delta := &protocol.Delta{Feed: protocol.MemberFeed("s1"), Epoch: 1, After: uint64(first), Upto: uint64(first + memberChunk)}
		keys := map[string]protocol.SubjectKey{}
		for i := first; i < first+memberChunk; i++ {
			m := protocol.Member{ID: benchMember(i), Version: 2, Status: protocol.MemberActive, HomeStore: "s1", Card: benchCard(i), Locale: "az"}
			key := protocol.NewSubjectKey(random)
			var err error
			m.Sealed, err = protocol.Seal(key, string(m.ID), protocol.Personal{Name: fmt.Sprintf("Ayla Nº %d", i), Phone: fmt.Sprintf("+99450%07d", i), Email: fmt.Sprintf("ayla%d@example.org", i)}, random)
			if err != nil {
				b.Fatal(err)
			}
			value, err := protocol.EncodeMemberRow(&protocol.MemberRow{Member: m, Balance: membersLent, Leased: membersLent})
			if err != nil {
				b.Fatal(err)
			}
			keys[string(m.ID)] = key
			delta.Rows = append(delta.Rows, protocol.FeedRow{Offset: uint64(i + 1), Key: "member/" + string(m.ID), Value: value})
		}
		if err := ring.Put(ctx, keys); err != nil {
			b.Fatal(err)
		}
		if err := s.driver.Update(ctx, func(tx ledger.Tx) error { _, err := ledger.ApplyDelta(tx, delta, delta.Upto); return err }); err != nil {
			b.Fatal(err)
		}
		all = append(all, delta.Rows...)
	}
	return all
}

// lookUp finds a member by card, and reads all that a screen shows.
func (s *shopTest) lookUp(ring *ledger.KeyRing, i int) error {
	ctx := context.Background()
	list, err := s.till.HeldBy(ctx, benchCard(i), protocol.LookupBytes{})
	if err != nil || len(list) != 1 {
		return fmt.Errorf("card %d is borne by %v: %w", i, list, err)
	}
	held := list[0]
	id := string(held.Member.ID)
	key, ok, err := ring.Key(ctx, id)
	if err != nil || !ok {
		return fmt.Errorf("no key of %s: %w", id, err)
	}
	person, err := protocol.Open(key, id, held.Member.Sealed)
	if err != nil {
		return err
	}
	doc := loyalty.NewMemberDocument(held.Member, &person, loyalty.PointsDocument{Balance: held.Balance, SpendableHere: held.Spendable})
	if *doc.Card != benchCard(i) || doc.Name == nil {
		return fmt.Errorf("card %d is that of %+v", i, doc)
	}
	return nil
}

// BenchmarkMemberLookup looks members up by card in a store that holds 100,000 and,
// in turns in one run, gets single values of the same rows from bare bbolt.
func BenchmarkMemberLookup(b *testing.B) {
	dir := b.TempDir()
	s := open(b, boltDriver(b, filepath.Join(dir, "agent.db")))
	ring := openKeys(b, dir)
	table := []byte("rows")
	store, err := floor.Open(filepath.Join(dir, "bare.db"), string(table))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = store.Close() })
	var rows []floor.Row
	for i, row := range s.enrolMany(b, ring) {
		rows = append(rows, floor.Row{Bucket: table, Key: []byte(row.Key), Value: row.Value})
		if len(rows) == memberChunk || i == benchMembers-1 {
			if err := store.Update(rows); err != nil {
				b.Fatal(err)
			}
			rows = nil
		}
	}
	b.Run("card", func(b *testing.B) {
		var ours, bare []float64
		const turn = 100
		which := func(i int) int { return i * 7919 % benchMembers }
		for done := 0; done < b.N; done += turn {
			inTurns(b, 1, min(turn, b.N-done), &ours, func(i int) error { return s.lookUp(ring, which(done+i)) })
			inTurns(b, 1, min(turn, b.N-done), &bare, func(i int) error {
				n, err := store.Get(table, []byte("member/"+string(benchMember(which(done+i)))))
				if n == 0 {
					b.Error("a row of the floor is missing")
				}
				return err
			})
		}
		report(b, "", ours)
		report(b, "bare-", bare)
	})
}

func report(b *testing.B, prefix string, took []float64) {
	b.ReportMetric(at(took, 50), prefix+"p50-us")
	b.ReportMetric(at(took, 99), prefix+"p99-us")
}

// BenchmarkMemberSell makes sales of three lines to nobody and, in turns in one run,
// the same to members: who earn points, and who spend some as well.
func BenchmarkMemberSell(b *testing.B) {
	dir := b.TempDir()
	s := open(b, boltDriver(b, filepath.Join(dir, "agent.db")))
	s.stockUp(benchItems)
	s.enrolMany(b, openKeys(b, dir))
	s.spending()
	lent := 0
	b.Run("tills=1", func(b *testing.B) {
		for ; lent < min(b.N, benchMembers); lent++ {
			s.lends(benchMember(lent*7919%benchMembers), protocol.LeaseGranted, membersLent)
		}
		var plain, earning, spending []float64
		member := func(i int) sale.Request {
			r := benchSale(i)
			r.MemberID = string(benchMember(i * 7919 % benchMembers))
			return r
		}
		sell := func(r sale.Request) error {
			_, err := s.till.Sell(context.Background(), noCall("POST /v1/sales"), r)
			return err
		}
		for done := 0; done < b.N; done += floorTurn {
			n := min(floorTurn, b.N-done)
			inTurns(b, 1, n, &plain, func(i int) error { return sell(benchSale(done + i)) })
			inTurns(b, 1, n, &earning, func(i int) error { return sell(member(done + i)) })
			inTurns(b, 1, n, &spending, func(i int) error {
				r, points := member(done+i), int64(200)
				r.RedeemPoints, r.Tenders[0].AmountMinor = &points, money(550)
				return sell(r)
			})
		}
		report(b, "", earning)
		report(b, "spending-", spending)
		report(b, "bare-", plain)
	})
}
