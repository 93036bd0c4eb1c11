package sale_test

import (
	"strings"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/sale"

	"pgregory.net/rapid"
)

var winter = protocol.GiftCode("WINTER2026ABCD")

func byGiftCard(amount protocol.Money) sale.Tender {
	t := tender("gift_card", amount)
	t.Code = string(winter)
	return t
}

func byCredit(amount protocol.Money) sale.Tender {
	t := tender("on_account", amount)
	t.Credit = true
	return t
}

// TestGiftCardLine puts money on a card beside goods: the goods alone are taxed and
// take part in promotions.
func TestGiftCardLine(t *testing.T) {
	tt := terms()
	tt.Promotions = []sale.Promotion{{Promotion: &protocol.Promotion{ID: "half", Zone: "z", Name: "Half", Kind: protocol.PercentOff, Rate: 500_000}}}
	load := line("PEN-01", "1")
	load.GiftCard = string(winter)
	s, moves, err := sale.Build(tt, sale.Request{
		Lines: []sale.Line{line("PEN-01", "2"), load}, Tenders: []sale.Tender{tender("cash", 600), byCredit(100)}, MemberID: "m-20",
	}, []sale.Resolved{of(pen, 300), of(pen, 400)})
	if err != nil {
		t.Fatal(err)
	}
	if s.Total != 700 || s.Lines[1].Amount != 400 || s.Lines[1].TaxCode != "" || len(s.Lines[1].Discounts) != 0 || len(s.Taxes) != 1 || s.Taxes[0].Tax != 50 || len(moves) != 1 {
		t.Fatalf("sold as %+v, %+v", s, moves)
	}
	want := []protocol.AccountEntry{{Account: winter.Account("GBP"), Amount: 400, Line: 2}, {Account: "c-m-20-GBP", Amount: -100}}
	if len(s.Accounts) != 2 || s.Accounts[0] != want[0] || s.Accounts[1] != want[1] {
		t.Errorf("entries %+v", s.Accounts)
	}
	wantClosed(t, s)
	wantEncodable(t, s, moves)
}

// TestOfferBesideACoupon: an offer is a promotion that the receipt presents; of two
// for the same goods the better one is taken, and the other is not used up.
func TestOfferBesideACoupon(t *testing.T) {
	offer := func(id string, rate protocol.RatePPM) sale.Promotion {
		return sale.Promotion{Promotion: &protocol.Promotion{ID: protocol.PromotionID(id), Zone: "offer", Name: id, Coupon: id, MembersOnly: true, Kind: protocol.PercentOff, Rate: rate}}
	}
	tt := terms()
	tt.Promotions = []sale.Promotion{offer("o-m-20-01", 100_000), offer("o-m-20-02", 200_000), offer("o-m-20-03", 900_000)}
	s, moves, err := sale.Build(tt, sale.Request{
		Lines: []sale.Line{line("PEN-01", "2")}, Tenders: []sale.Tender{tender("cash", 400)}, MemberID: "m-20", Offers: []string{"o-m-20-01", "o-m-20-02"},
	}, []sale.Resolved{of(pen, 250)})
	if err != nil {
		t.Fatal(err)
	}
	if s.Total != 400 || len(s.Accounts) != 1 || s.Accounts[0] != (protocol.AccountEntry{Account: "o-m-20-02", Amount: -1}) || len(s.Warnings) != 1 || s.Warnings[0].Code != sale.WarnOfferUnused {
		t.Errorf("sold as %+v", s)
	}
	wantEncodable(t, s, moves)
}

// TestAccountsNetToNothing: a receipt and its void together change no account, and what
// is paid of accounts is what they lose.
func TestAccountsNetToNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		loads := rapid.SliceOfN(rapid.Int64Range(1, 10_000), 0, 3).Draw(t, "loads")
		r := sale.Request{Lines: []sale.Line{line("PEN-01", "3")}, MemberID: "m-20", Training: rapid.Bool().Draw(t, "training")}
		resolved := []sale.Resolved{of(pen, 1000)}
		due := protocol.Money(3000)
		for _, amount := range loads {
			l := line("PEN-01", "1")
			l.AmountMinor, l.GiftCard = ptr(protocol.Money(amount)), strings.Repeat("A", 8+len(r.Lines))
			r.Lines, resolved, due = append(r.Lines, l), append(resolved, of(pen, 1000)), due+protocol.Money(amount)
		}
		paid := protocol.Money(0)
		for _, part := range rapid.SliceOfN(rapid.Int64Range(0, 500), 0, 4).Draw(t, "parts") {
			pay := byCredit(protocol.Money(part))
			if len(loads) == 0 && part%2 == 0 {
				pay = byGiftCard(protocol.Money(part))
			}
			r.Tenders, paid = append(r.Tenders, pay), paid+protocol.Money(part)
		}
		r.Tenders = append(r.Tenders, tender("card", due-paid))
		s, moves, err := sale.Build(terms(), r, resolved)
		if err != nil {
			t.Fatal(err)
		}
		wantEncodable(t, s, moves)
		var lost, put protocol.Points
		for _, e := range s.Accounts {
			if e.Line > 0 {
				put += e.Amount
			} else {
				lost -= e.Amount
			}
		}
		if r.Training && len(s.Accounts) > 0 || !r.Training && (lost != protocol.Points(paid) || put != protocol.Points(due-3000)) {
			t.Fatalf("of %d paid and %d put the entries are %+v", paid, due-3000, s.Accounts)
		}
		v, _, err := sale.BuildVoid(terms(), &sale.Original{Sale: s, ReceiptNo: "a1-1-1-318"}, sale.VoidRequest{}, moves)
		if err != nil || len(v.Accounts) != len(s.Accounts) {
			t.Fatalf("voided as %+v, %v", v, err)
		}
		for i := range s.Accounts {
			if a, b := s.Accounts[i], v.Accounts[i]; a.Account != b.Account || a.Amount+b.Amount != 0 {
				t.Fatalf("entry %+v is voided as %+v", a, b)
			}
		}
	})
}
