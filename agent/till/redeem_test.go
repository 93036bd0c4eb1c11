package till_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"counterpart/agent/till"
	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/loyalty"
	"counterpart/protocol/sale"

	"pgregory.net/rapid"
)

// spending brings down a programme in which 100 points pay a pound and 200 are
// the least, and a point is earned for each pound.
func (s *shopTest) spending() {
	s.hubLogs(chainOrigin, &protocol.Event{Kind: protocol.KindCatalog, Catalog: &protocol.Catalog{Programmes: []protocol.Programme{{
		ValidFrom: "2026-01-01", Earn: []protocol.EarnRule{{PerMinor: 100, Points: 1}},
		Redeem: &protocol.RedeemRule{Points: 100, Value: 100, Minimum: 200}, HomeLeaseCap: 1000,
	}}}})
}

// lends logs what the hub says of the lease of this machine's stream.
func (s *shopTest) lends(member protocol.MemberID, change protocol.LeaseChange, points protocol.Points) {
	s.t.Helper()
	s.hubLogs(hubOrigin, &protocol.Event{Kind: protocol.KindLease, Lease: &protocol.Lease{Member: member, Holder: s.origin.Inc, Change: change, Points: points}})
}

func (s *shopTest) lease(member protocol.MemberID) *loyalty.Lease {
	s.t.Helper()
	var l *loyalty.Lease
	err := s.driver.View(context.Background(), func(r ledger.Reader) (err error) {
		l, err = ledger.ReadLease(r, ledger.MemberAt{Store: "s1", Member: member}, s.origin.Inc)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return l
}

// pens sells pens at 250 and pays with points, the rest by card.
func pens(n int, member string, points, card int) string {
	return fmt.Sprintf(`{"lines":[{"code":"PEN-01","qty":%d}],"member_id":%q,"redeem_points":%d,"tenders":[{"type":"card","amount_minor":%d}]}`, n, member, points, card)
}

func wantWhy(t failer, err error, why string, here int64) {
	t.Helper()
	e := wantCode(t, err, protocol.PointsUnavailable)
	if e.Members["why"] != why || e.Members["spendable_here"] != here {
		t.Fatalf("%v: why %v, spendable here %v, want %s and %d", e, e.Members["why"], e.Members["spendable_here"], why, here)
	}
}

// TestRedeem pays with points, within the lease and the rules; what was paid so
// earns nothing.
func TestRedeem(t *testing.T) {
	eachDriver(t, func(t *testing.T, s *shopTest) {
		_, err := s.trySell(pens(4, "m-1", 300, 700))
		wantWhy(t, err, "no_programme", 0)
		s.spending()
		s.lends("m-1", protocol.LeaseGranted, 750)
		doc := s.sell(pens(4, "m-1", 300, 700))
		if doc.PointsRedeemed != 300 || doc.PointsEarned != 7 || len(doc.Tenders) != 2 || doc.Tenders[1].Type != protocol.PointsPay || doc.Tenders[1].AmountMinor != 300 || doc.TotalMinor != 1000 {
			t.Fatalf("sold as %+v", doc)
		}
		if a, l := s.account("m-1"), s.lease("m-1"); a.Redeemed != 300 || a.Earned != 7 || l.Spent != 300 || l.Left() != 450 {
			t.Fatalf("account %+v, lease %+v", a, l)
		}
		seq := len(s.events())
		for why, body := range map[string]string{
			"minimum":   pens(4, "m-1", 100, 900),
			"steps":     pens(4, "m-1", 250, 750),
			"lease":     pens(4, "m-1", 500, 500),
			"amount":    pens(1, "m-1", 300, 0),
			"no_lease":  pens(4, "m-2", 300, 700),
			"no_member": `{"lines":[{"code":"PEN-01","qty":4}],"redeem_points":300,"tenders":[{"type":"card","amount_minor":700}]}`,
			"training":  `{"lines":[{"code":"PEN-01","qty":4}],"member_id":"m-1","training":true,"redeem_points":300,"tenders":[{"type":"card","amount_minor":700}]}`,
		} {
			here := int64(400) // of 450, in whole steps
			if why == "no_lease" || why == "no_member" {
				here = 0
			}
			_, err := s.trySell(body)
			wantWhy(t, err, why, here)
		}
		_, err = s.trySell(pens(4, "m-1", 300, 600))
		wantCode(t, err, protocol.TenderShort)
		_, err = s.trySell(pens(4, "m-1", 1_000_000_000_001, 600))
		wantCode(t, err, protocol.OutOfRangeCode)
		_, err = s.trySell(`{"lines":[{"code":"PEN-01","qty":4}],"member_id":"m-1","tenders":[{"type":"points","amount_minor":1000}]}`)
		if e := wantCode(t, err, protocol.OutOfRangeCode); e.Members["value"] != "points" {
			t.Errorf("a payment of points is refused as %v", e)
		}
		if n := len(s.events()); n != seq {
			t.Errorf("refusals logged %d events", n-seq)
		}
		s.verify()
	})
}

// TestQuotePoints says what points can pay of goods, and what is left then, as the
// sale has it.
func TestQuotePoints(t *testing.T) {
	s := memory(t)
	s.receive("PEN-01", 100)
	if q := s.quote(pens(4, "m-1", 300, 700)); q.Points != nil {
		t.Errorf("without a programme points pay %+v", q.Points)
	}
	s.spending()
	s.lends("m-1", protocol.LeaseGranted, 750)
	for points, want := range map[int]sale.QuotePoints{
		0:     {LeftMinor: 1000, CashLeftMinor: 1000},
		100:   {LeftMinor: 1000, CashLeftMinor: 1000}, // below the minimum
		350:   {Redeemed: 300, RedeemedMinor: 300, LeftMinor: 700, CashLeftMinor: 700},
		5_000: {Redeemed: 1000, RedeemedMinor: 1000},
	} {
		want.Step, want.StepMinor, want.Minimum, want.SpendableHere, want.Most = 100, 100, 200, 750, 1000
		if q := s.quote(pens(4, "m-1", points, 0)); q.Points == nil || *q.Points != want || q.TotalMinor != 1000 {
			t.Errorf("%d points pay %+v, want %+v", points, q.Points, want)
		}
	}
	for _, body := range []string{`{"lines":[{"code":"PEN-01","qty":4}],"redeem_points":300}`, `{"lines":[{"code":"PEN-01","qty":4}],"member_id":"m-1","training":true}`} {
		if q := s.quote(body); q.Points != nil {
			t.Errorf("%s: points pay %+v", body, q.Points)
		}
	}
	s.unheard.Store(true)
	if q := s.quote(pens(4, "m-1", 300, 700)); q.Points.SpendableHere != 0 {
		t.Errorf("before the stream is confirmed %d may be spent", q.Points.SpendableHere)
	}
}

// TestRedeemElsewhere takes down what another POS let be spent: off the account,
// and of no lease.
func TestRedeemElsewhere(t *testing.T) {
	s := memory(t)
	s.receive("PEN-01", 100)
	s.spending()
	s.lends("m-1", protocol.LeaseGranted, 750)
	external := `,"tenders":[{"type":"points","amount_minor":300},{"type":"card","amount_minor":700}],"external":{"source":"pos-x","id":%q,"occurred_at":"2026-11-21T10:00:00+00:00","business_date":"2026-11-21","total_minor":1000}}`
	doc := s.sell(`{"lines":[{"code":"PEN-01","qty":4}],"member_id":"m-1","redeem_points":350` + fmt.Sprintf(external, "1"))
	if a, l := s.account("m-1"), s.lease("m-1"); doc.PointsRedeemed != 350 || a.Redeemed != 350 || l.Spent != 0 || len(doc.Warnings) != 0 {
		t.Errorf("recorded as %+v, account %+v, lease %+v", doc, a, l)
	}
	doc = s.sell(`{"lines":[{"code":"PEN-01","qty":4}],"redeem_points":350` + fmt.Sprintf(external, "2"))
	if doc.PointsRedeemed != 0 || len(doc.Warnings) != 1 || doc.Warnings[0].Code != sale.WarnPoints {
		t.Errorf("without a member recorded as %+v", doc)
	}
	s.verify()
}

// TestI13_TwoTillsNeverSpendTheSamePoints sells at many tills at once over one
// lease: as many sales go through as it pays for, and no more.
func TestI13_TwoTillsNeverSpendTheSamePoints(t *testing.T) {
	s := open(t, boltDriver(t, filepath.Join(t.TempDir(), "agent.db")))
	s.spending()
	s.lends("m-1", protocol.LeaseGranted, 1100)
	var sold atomic.Int64
	var tills sync.WaitGroup
	for range 16 {
		tills.Go(func() {
			_, err := s.trySell(pens(4, "m-1", 200, 800))
			if err == nil {
				sold.Add(1)
			} else if protocol.CodeOf(err) != protocol.PointsUnavailable {
				t.Error(err)
			}
		})
	}
	tills.Wait()
	if l := s.lease("m-1"); sold.Load() != 5 || l.Spent != 1000 || l.Overspent() {
		t.Errorf("%d sales of 200 points over a lease of 1100: %+v", sold.Load(), l)
	}
	s.verify()
}

// TestI13_ALeaseDiesWithItsStream: after a start nothing is spent until the hub
// has confirmed the stream, and another stream never spends what this one holds.
func TestI13_ALeaseDiesWithItsStream(t *testing.T) {
	s := memory(t)
	s.spending()
	s.lends("m-1", protocol.LeaseGranted, 750)
	s.unheard.Store(true)
	_, err := s.trySell(pens(4, "m-1", 300, 700))
	wantWhy(t, err, "not_confirmed", 0)
	if err := s.till.GiveBack(t.Context()); err != nil || s.lease("m-1").Left() != 750 {
		t.Errorf("before the stream is confirmed %+v is left, %v", s.lease("m-1"), err)
	}
	s.unheard.Store(false)
	s.sell(pens(4, "m-1", 300, 700))
	forked := originA
	forked.Inc[0]++
	other := bare(t, s.driver, forked, s.clock)
	_, err = other.trySell(pens(4, "m-1", 300, 700))
	wantWhy(t, err, "no_lease", 0)
}

// TestRedeemedComesBack returns and voids what was paid with points: never more of
// them comes back than was spent, in parts as well, and at the value they had.
func TestRedeemedComesBack(t *testing.T) {
	s := memory(t)
	s.spending()
	s.lends("m-1", protocol.LeaseGranted, 1000)
	bought := s.sell(pens(4, "m-1", 600, 400))
	back := func(qty, points, card int) (sale.Document, error) {
		a, err := s.tryReturn(fmt.Sprintf(`{"receipt_no":%q,"lines":[{"line":1,"qty":%d}],"tenders":[{"type":"points","amount_minor":%d},{"type":"card","amount_minor":%d}],"reason":"unwanted"}`,
			bought.ReceiptNo, qty, points, card))
		if err != nil {
			return sale.Document{}, err
		}
		return document[sale.Document](t, a), nil
	}
	_, err := back(3, 601, 149)
	if e := wantCode(t, err, protocol.OutOfRangeCode); e.Members["remaining_minor"] != int64(600) {
		t.Errorf("more than was spent is refused as %v %v", e, e.Members)
	}
	first, err := back(1, 251-1, 0)
	if err != nil || first.PointsRedeemed != -250 || first.Tenders[0].AmountMinor != -250 {
		t.Fatalf("returned as %+v, %v", first, err)
	}
	_, err = back(2, 400, 100)
	if e := wantCode(t, err, protocol.OutOfRangeCode); e.Members["remaining_minor"] != int64(350) {
		t.Errorf("more than is left is refused as %v %v", e, e.Members)
	}
	rest, err := back(3, 350, 400)
	if err != nil || rest.PointsRedeemed != -350 || s.account("m-1").Redeemed != 0 {
		t.Fatalf("the rest is returned as %+v, %v; account %+v", rest, err, s.account("m-1"))
	}
	if l := s.lease("m-1"); l.Left() != 400 {
		t.Errorf("what came back went to the lease: %+v", l)
	}
	again := s.sell(pens(4, "m-1", 400, 600))
	void := s.document(s.tryVoid(again.ReceiptNo))
	if void.PointsRedeemed != -400 || s.account("m-1").Redeemed != 0 {
		t.Errorf("voided as %+v; account %+v", void, s.account("m-1"))
	}
	_, err = s.tryReturn(`{"lines":[{"code":"PEN-01","qty":1}],"tenders":[{"type":"points","amount_minor":250}],"reason":"no receipt"}`)
	wantCode(t, err, protocol.OutOfRangeCode)
	s.verify()
}

// TestVisit asks for points that are not here, waits until they have come, and
// gives them back when they were not used for long, are asked back, or belong to
// an earlier run of the process.
func TestVisit(t *testing.T) {
	s := memory(t)
	s.spending()
	asked := 0
	s.came = make(chan struct{})
	s.visit = func(q till.VisitRequest) (till.VisitAnswer, error) {
		asked++
		if q.Member != "m-1" || q.Origin != originA || q.Points != 300 {
			t.Errorf("asked for %+v", q)
		}
		s.lends("m-1", protocol.LeaseGranted, 500)
		close(s.came)
		return till.VisitAnswer{Balance: 900, Left: 500}, nil
	}
	s.sell(pens(4, "m-1", 300, 700))
	s.sell(pens(4, "m-1", 200, 800)) // is here already
	if l := s.lease("m-1"); asked != 1 || l.Left() != 0 {
		t.Fatalf("asked %d times, %+v", asked, l)
	}
	s.lends("m-1", protocol.LeaseGranted, 400)
	give := func(left protocol.Points, events int) {
		t.Helper()
		if err := s.till.GiveBack(t.Context()); err != nil {
			t.Fatal(err)
		}
		if l := s.lease("m-1"); l.Left() != left || len(s.events()) != events {
			t.Fatalf("%+v after %d events, want %d left and %d events", l, len(s.events()), left, events)
		}
	}
	s.mono.Add((15*time.Minute - time.Second).Milliseconds())
	give(400, 2)
	s.sell(pens(4, "m-1", 200, 800))
	s.mono.Add((15*time.Minute - time.Second).Milliseconds())
	give(200, 3)
	s.mono.Add(time.Second.Milliseconds())
	give(0, 4)
	give(0, 4)
	s.lends("m-1", protocol.LeaseGranted, 400)
	s.mono.Add(time.Hour.Milliseconds())
	give(400, 4) // nobody asked for these: they are a home lease
	s.lends("m-1", protocol.LeaseRecalled, 0)
	give(0, 5)
	s.lends("m-1", protocol.LeaseRecalled, 0)
	give(0, 6) // the hub waits for an answer, be it nothing
	give(0, 6)
	s.came = make(chan struct{})
	s.sell(pens(4, "m-1", 300, 700))
	later := bare(t, s.driver, originA, s.clock)
	later.unheard.Store(true)
	if err := later.till.GiveBack(t.Context()); err != nil || s.lease("m-1").Left() != 200 {
		t.Errorf("an unconfirmed machine gives back: %+v, %v", s.lease("m-1"), err)
	}
	later.unheard.Store(false)
	if err := later.till.GiveBack(t.Context()); err != nil || s.lease("m-1").Left() != 0 {
		t.Errorf("the next run of the process leaves %+v, %v", s.lease("m-1"), err)
	}
	s.verify()
}

// TestVisitRefused: a member who has too little, and a hub that does not answer,
// are clear refusals.
func TestVisitRefused(t *testing.T) {
	s := memory(t)
	s.spending()
	s.lends("m-1", protocol.LeaseGranted, 250)
	answer, failed := till.VisitAnswer{Balance: 290, Left: 250}, error(nil)
	s.visit = func(till.VisitRequest) (till.VisitAnswer, error) { return answer, failed }
	_, err := s.trySell(pens(4, "m-1", 300, 700))
	wantWhy(t, err, "balance", 200)
	answer.Balance = 900 // which others hold, and cannot be asked
	_, err = s.trySell(pens(4, "m-1", 300, 700))
	wantWhy(t, err, "lease", 200)
	failed = errors.New("no answer")
	_, err = s.trySell(pens(4, "m-1", 300, 700))
	wantWhy(t, err, "lease", 200)
	ctx, cancel := context.WithCancel(t.Context())
	s.visit = func(till.VisitRequest) (till.VisitAnswer, error) {
		cancel()
		return till.VisitAnswer{Balance: 900, Left: 250, Coming: true}, nil
	}
	_, err = s.till.Sell(ctx, noCall("POST /v1/sales"), request[sale.Request](t, pens(4, "m-1", 300, 700)))
	wantWhy(t, err, "lease", 200)
}

// TestPointsAddUp does anything in any order, and compares with a model that only
// adds up what was answered.
func TestPointsAddUp(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := memory(t)
		s.spending()
		var granted, spent, closed, back protocol.Points
		var open []sale.Document
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			switch rapid.IntRange(0, 4).Draw(rt, "act") {
			case 0:
				n := protocol.Points(rapid.IntRange(1, 900).Draw(rt, "granted"))
				s.lends("m-1", protocol.LeaseGranted, n)
				granted += n
			case 1:
				points := 100 * rapid.IntRange(2, 9).Draw(rt, "spent")
				a, err := s.trySell(pens(4, "m-1", points, 1000-points))
				left := granted - spent - closed
				if (err == nil) != (protocol.Points(points) <= left) {
					rt.Fatalf("%d points of %d: %v", points, left, err)
				}
				if err == nil {
					spent += protocol.Points(points)
					open = append(open, document[sale.Document](t, a))
				}
			case 2:
				s.lends("m-1", protocol.LeaseRecalled, 0)
				if err := s.till.GiveBack(context.Background()); err != nil {
					rt.Fatal(err)
				}
				closed = granted - spent
			default:
				if len(open) == 0 {
					continue
				}
				doc := open[0]
				open = open[1:]
				amount := rapid.IntRange(0, int(doc.PointsRedeemed)).Draw(rt, "back")
				if rapid.Bool().Draw(rt, "void") {
					s.document(s.tryVoid(doc.ReceiptNo))
					back += doc.PointsRedeemed
					continue
				}
				s.document(s.tryReturn(fmt.Sprintf(`{"receipt_no":%q,"lines":[{"line":1,"qty":4}],"tenders":[{"type":"points","amount_minor":%d},{"type":"card","amount_minor":%d}],"reason":"unwanted"}`,
					doc.ReceiptNo, amount, 1000-amount)))
				back += protocol.Points(amount)
			}
		}
		if a, l := s.account("m-1"), s.lease("m-1"); l.Granted != granted || l.Spent != spent || l.Closed != closed || l.Overspent() || a.Redeemed != spent-back {
			rt.Fatalf("account %+v, lease %+v; granted %d, spent %d, closed %d, back %d", a, l, granted, spent, closed, back)
		}
		s.verify()
	})
}
