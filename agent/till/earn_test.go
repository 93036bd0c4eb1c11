package till_test

import (
	"context"
	"encoding/json"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/loyalty"
	"counterpart/protocol/sale"
)

// account is what the store's ledger knows of a member's points.
func (s *shopTest) account(member protocol.MemberID) *loyalty.Account {
	s.t.Helper()
	var a *loyalty.Account
	err := s.driver.View(context.Background(), func(r ledger.Reader) (err error) {
		a, err = ledger.ReadAccount(r, ledger.MemberAt{Store: "s1", Member: member})
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

// rules brings a programme down: a point for each 30 pence, three times as many
// for ham.
func (s *shopTest) rules(from string) {
	s.hubLogs(chainOrigin, &protocol.Event{Kind: protocol.KindCatalog, Catalog: &protocol.Catalog{
		Items: []protocol.Item{{SKU: "21034", Name: "Ham", Unit: protocol.Kg, Price: money(1800), Currency: "GBP", TaxCode: "ZERO", Category: "deli", Stocked: true}},
		Programmes: []protocol.Programme{{
			ValidFrom: from, Rounding: protocol.RoundDown, Earn: []protocol.EarnRule{{PerMinor: 30, Points: 1}, {PerMinor: 30, Points: 3, Category: "deli"}},
		}},
	}})
}

func (s *shopTest) document(a protocol.Answer, err error) (doc sale.Document) {
	s.t.Helper()
	if err == nil {
		err = json.Unmarshal(a.Body, &doc)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return doc
}

// TestEarn sells to a member, takes goods back in parts, and voids: the receipts
// and the account agree, and in the end nothing is left of what came back.
func TestEarn(t *testing.T) {
	eachDriver(t, func(t *testing.T, s *shopTest) {
		s.receive("PEN-01", 100)
		basket := `{"lines":[{"code":"PEN-01","qty":7},{"code":"21034","qty":0.5},{"code":"CUP","qty":1}],"tenders":[{"type":"card","amount_minor":3649}],"member_id":"m-20"}`
		if doc := s.sell(basket); doc.PointsEarned != 0 {
			t.Errorf("without rules a sale earns %d", doc.PointsEarned)
		}
		s.rules("2026-11-22") // begins tomorrow
		if doc := s.sell(basket); doc.PointsEarned != 0 {
			t.Errorf("a day before the rules begin a sale earns %d", doc.PointsEarned)
		}
		s.rules("2026-11-21")
		// (1750 + 999) ÷ 30 and 3 × 900 ÷ 30, each rounded down.
		bought := s.sell(basket)
		if bought.PointsEarned != 91+90 || s.account("m-20").Earned != 181 {
			t.Fatalf("earned %d, the account says %+v, want 181", bought.PointsEarned, s.account("m-20"))
		}
		left := protocol.Points(181)
		for _, body := range []string{
			`{"receipt_no":"` + string(bought.ReceiptNo) + `","lines":[{"line":1,"qty":2},{"line":2,"qty":0.25}],"tenders":[{"type":"card","amount_minor":950}],"reason":"unwanted"}`,
			`{"receipt_no":"` + string(bought.ReceiptNo) + `","lines":[{"line":1,"qty":5},{"line":2,"qty":0.25}],"tenders":[{"type":"card","amount_minor":1700}],"reason":"unwanted"}`,
			`{"receipt_no":"` + string(bought.ReceiptNo) + `","lines":[{"line":3,"qty":1}],"tenders":[{"type":"card","amount_minor":999}],"reason":"unwanted"}`,
		} {
			back := s.document(s.tryReturn(body))
			if back.PointsEarned >= 0 || left+back.PointsEarned < 0 {
				t.Errorf("of %d points a return gives back %d", left, -back.PointsEarned)
			}
			if left += back.PointsEarned; s.account("m-20").Earned != left {
				t.Errorf("the account says %+v, want %d", s.account("m-20"), left)
			}
		}
		if left != 0 {
			t.Errorf("all came back, and %d points are left", left)
		}
		again := s.sell(basket)
		if void := s.document(s.tryVoid(again.ReceiptNo)); void.PointsEarned != -181 || s.account("m-20").Earned != 0 {
			t.Errorf("a void gives back %d points, and the account says %+v", -void.PointsEarned, s.account("m-20"))
		}
		s.verify()
	})
}

// TestEarnMore: the tier that the hub told and the birthday multiply what a member
// earns, also where the rules come later than the first sale; nobody else's points.
func TestEarnMore(t *testing.T) {
	eachDriver(t, func(t *testing.T, s *shopTest) {
		s.receive("PEN-01", 100)
		sell := func(member string, want protocol.Points) {
			t.Helper()
			doc := s.sell(`{"lines":[{"code":"PEN-01","qty":6}],"tenders":[{"type":"card","amount_minor":1500}],"member_id":"` + member + `"}`)
			if doc.PointsEarned != want {
				t.Errorf("%s earns %d, want %d", member, doc.PointsEarned, want)
			}
		}
		rules := func(days uint32) {
			s.hubLogs(chainOrigin, &protocol.Event{Kind: protocol.KindCatalog, Catalog: &protocol.Catalog{Programmes: []protocol.Programme{{
				ValidFrom: "2026-01-01", Rounding: protocol.RoundDown, Earn: []protocol.EarnRule{{PerMinor: 100, Points: 1}},
				Tiers:    []protocol.Tier{{Name: "gold", Points: 1, WithinDays: 1, Factor: 2_000_000}},
				Birthday: &protocol.BirthdayRule{Factor: 3_000_000, Days: days},
			}}}})
		}
		version := uint32(0)
		tier := func(name string) {
			version++
			s.hubLogs(protocol.Origin{Store: "s1", Agent: protocol.HubAgent, Inc: protocol.Inc{0xc1}}, &protocol.Event{
				Kind: protocol.KindMember, Member: &protocol.Member{ID: "m-20", Version: version, Status: protocol.MemberActive, HomeStore: "s1", Tier: name},
			})
		}
		s.rules("2026-12-01")
		tier("")
		sell("m-20", 0)
		rules(1)
		sell("m-20", 45)
		tier("gold")
		sell("m-20", 90)
		tier("silver")
		sell("m-20", 45)
		sell("m-21", 15)
	})
}

// TestEarnNothing sells what earns nothing: in training, to nobody, and what is
// paid with a gift card; and what another POS sold earns as if it were sold here.
func TestEarnNothing(t *testing.T) {
	s := memory(t)
	s.receive("PEN-01", 100)
	s.rules("2026-01-01")
	for _, body := range []string{
		`{"lines":[{"code":"PEN-01","qty":7}],"tenders":[{"type":"card","amount_minor":1750}],"member_id":"m-20","training":true}`,
		`{"lines":[{"code":"PEN-01","qty":7}],"tenders":[{"type":"card","amount_minor":1750}]}`,
		`{"lines":[{"code":"PEN-01","qty":7}],"tenders":[{"type":"gift_card","amount_minor":1750}],"member_id":"m-20"}`,
	} {
		if doc := s.sell(body); doc.PointsEarned != 0 {
			t.Errorf("%s earns %d", body, doc.PointsEarned)
		}
	}
	if a := s.account("m-20"); *a != (loyalty.Account{}) {
		t.Errorf("the account says %+v", a)
	}
	doc := s.sell(`{"lines":[{"code":"PEN-01","qty":7}],"tenders":[{"type":"card","amount_minor":1750}],"member_id":"m-20",
 "external":{"source":"pos-x","id":"1","occurred_at":"2026-11-20T10:00:00+00:00","business_date":"2026-11-20","total_minor":1750}}`)
	if doc.PointsEarned != 58 {
		t.Errorf("a sale of another POS earns %d, want 58", doc.PointsEarned)
	}
	s.verify()
}
