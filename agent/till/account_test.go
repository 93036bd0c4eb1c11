package till_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"counterpart/agent/till"
	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/sale"
)

const giftCode = "WINTER2026ABCD"

var giftCard = protocol.GiftCode(giftCode).Account("GBP")

// loads sells a gift card, or puts more on it.
func loads(amount int) string {
	return fmt.Sprintf(`{"lines":[{"code":"GIFT","qty":1,"amount_minor":%d,"gift_card":%q}],"tenders":[{"type":"cash","amount_minor":%[1]d}]}`, amount, giftCode)
}

// paysPens sells pens at 250 that are paid in one way.
func paysPens(n int, tender, more string) string {
	return fmt.Sprintf(`{"lines":[{"code":"PEN-01","qty":%d}],"tenders":[%s]%s}`, n, tender, more)
}

func byCard(amount int) string {
	return fmt.Sprintf(`{"type":"gift_card","amount_minor":%d,"code":%q}`, amount, giftCode)
}

func byCredit(amount int) string {
	return fmt.Sprintf(`{"type":"on_account","amount_minor":%d,"credit":true}`, amount)
}

func wantNoAccount(t failer, err error, why string, here int64) {
	t.Helper()
	e := wantCode(t, err, protocol.AccountUnavailable)
	if e.Members["why"] != why || fmt.Sprint(e.Members["spendable_here"]) != fmt.Sprint(here) {
		t.Fatalf("%v: why %v, spendable here %v, want %s and %d", e, e.Members["why"], e.Members["spendable_here"], why, here)
	}
}

func (s *shopTest) balance(id protocol.MemberID, want, left protocol.Points) {
	s.t.Helper()
	if got, held := s.account(id).Balance(), s.lease(id).Left(); got != want || held != left {
		s.t.Fatalf("%s has %d here, and %d may be spent; want %d and %d", id, got, held, want, left)
	}
}

// TestGiftCard sells a card without tax or points, spends of it within the lease, and
// takes back what is voided. Its code is nowhere but with who bears it.
func TestGiftCard(t *testing.T) {
	eachDriver(t, func(t *testing.T, s *shopTest) {
		s.spending()
		doc := s.sell(`{"lines":[{"code":"PEN-01","qty":1,"amount_minor":5000,"gift_card":"` + giftCode + `"}],"member_id":"m-1","tenders":[{"type":"cash","amount_minor":5000}]}`)
		if len(doc.Taxes) != 0 || doc.Lines[0].TaxCode != nil || doc.PointsEarned != 0 || doc.TotalMinor != 5000 || len(doc.Accounts) != 1 || doc.Accounts[0].Amount != 5000 || *doc.Accounts[0].Line != 1 {
			t.Fatalf("sold as %+v", doc)
		}
		s.sell(loads(1000))
		s.balance(giftCard, 6000, 0)
		_, err := s.trySell(paysPens(4, byCard(1000), ""))
		wantNoAccount(t, err, "no_lease", 0)
		s.lends(giftCard, protocol.LeaseGranted, 1500)
		doc = s.sell(paysPens(4, byCard(1000), ""))
		if *doc.Tenders[0].Ref != "****ABCD" || doc.Accounts[0].Amount != -1000 || doc.Accounts[0].Line != nil {
			t.Fatalf("paid as %+v", doc)
		}
		s.balance(giftCard, 5000, 500)
		_, err = s.trySell(paysPens(4, byCard(1000), ""))
		wantNoAccount(t, err, "lease", 500)
		_, err = s.trySell(paysPens(4, byCard(500)+","+byCard(500), ""))
		wantNoAccount(t, err, "lease", 500)
		if _, err := s.till.Void(t.Context(), noCall("void"), doc.ReceiptNo, sale.VoidRequest{Reason: "wrong"}); err != nil {
			t.Fatal(err)
		}
		s.balance(giftCard, 6000, 500)
		for _, ev := range s.events() {
			b, err := json.Marshal(ev)
			if err != nil || strings.Contains(string(b), giftCode) {
				t.Fatalf("an event holds the code of a card: %s, %v", b, err)
			}
		}
		s.verify()
	})
}

// TestGiftCardComesBack refunds to a card, which needs no lease; the sale of a card
// cannot come back, and is voided only while the money is here.
func TestGiftCardComesBack(t *testing.T) {
	s := memory(t)
	sold := s.sell(paysPens(4, `{"type":"card","amount_minor":1000}`, ""))
	if _, err := s.tryReturn(fmt.Sprintf(`{"receipt_no":%q,"lines":[{"line":1,"qty":2}],"tenders":[%s]}`, sold.ReceiptNo, byCard(500))); err != nil {
		t.Fatal(err)
	}
	s.balance(giftCard, 500, 0)
	card := s.sell(loads(2000))
	_, err := s.tryReturn(fmt.Sprintf(`{"receipt_no":%q,"lines":[{"line":1,"qty":1}],"tenders":[{"type":"cash","amount_minor":2000}]}`, card.ReceiptNo))
	wantCode(t, err, protocol.Conflict)
	void := func() error {
		_, err := s.till.Void(t.Context(), noCall("void"), card.ReceiptNo, sale.VoidRequest{Reason: "wrong"})
		return err
	}
	wantNoAccount(t, void(), "no_lease", 0)
	s.lends(giftCard, protocol.LeaseGranted, 2500)
	if err := void(); err != nil {
		t.Fatal(err)
	}
	s.balance(giftCard, 500, 500)
	s.verify()
}

// TestGiftCardRefuses what no card can be sold or paid with, and records nothing.
func TestGiftCardRefuses(t *testing.T) {
	s := memory(t)
	s.lends(giftCard, protocol.LeaseGranted, 9000)
	seq := len(s.events())
	line := func(more string) string {
		return fmt.Sprintf(`{"lines":[{"code":"GIFT",%s}],"tenders":[{"type":"cash","amount_minor":1000}]}`, more)
	}
	for body, code := range map[string]protocol.Code{
		line(`"qty":2,"amount_minor":1000,"gift_card":"WINTER2026ABCD"`):                                                      protocol.OutOfRangeCode,
		line(`"qty":1,"amount_minor":0,"gift_card":"WINTER2026ABCD"`):                                                         protocol.OutOfRangeCode,
		line(`"qty":1,"amount_minor":1000,"gift_card":"winter"`):                                                              protocol.OutOfRangeCode,
		line(`"qty":1,"amount_minor":1000,"gift_card":"4111111111111111"`):                                                    protocol.CardNumber,
		line(`"qty":1,"unit_price_minor":1000,"gift_card":"WINTER2026ABCD","discounts":[{"type":"manual","amount_minor":5}]`): protocol.OutOfRangeCode,
		paysPens(4, `{"type":"gift_card","amount_minor":1000,"code":"4111111111111111"}`, ""):                                 protocol.CardNumber,
		paysPens(4, `{"type":"card","amount_minor":1000,"code":"WINTER2026ABCD"}`, ""):                                        protocol.OutOfRangeCode,
		paysPens(4, `{"type":"cash","amount_minor":1000,"credit":true}`, ""):                                                  protocol.OutOfRangeCode,
		paysPens(4, byCard(1_000_000_000_001), ""):                                                                            protocol.OutOfRangeCode,
		`{"lines":[{"code":"GIFT","qty":1,"amount_minor":1000,"gift_card":"SUMMER2026"}],"tenders":[` + byCard(1000) + `]}`:   protocol.AccountUnavailable,
		paysPens(4, byCard(1000), `,"external":{"source":"pos-x","id":"1","total_minor":1000}`):                               protocol.OutOfRangeCode,
		paysPens(4, `{"type":"card","amount_minor":1000}`, `,"member_id":"c-m-1-GBP"`):                                        protocol.OutOfRangeCode,
		paysPens(4, byCredit(1000), ""):                                                                                       protocol.AccountUnavailable,
		paysPens(4, `{"type":"card","amount_minor":1000}`, `,"member_id":"m-1","offers":["m-1"]`):                             protocol.OutOfRangeCode,
		paysPens(4, `{"type":"card","amount_minor":1000}`, `,"offers":["o-m-1-07"]`):                                          protocol.AccountUnavailable,
		paysPens(4, `{"type":"card","amount_minor":1000}`, `,"member_id":"m-1","offers":["o-m-1-07","o-m-1-07"]`):             protocol.OutOfRangeCode,
	} {
		_, err := s.trySell(body)
		if got := protocol.CodeOf(err); got != code {
			t.Errorf("%s is answered %v, want %s", body, err, code)
		}
		if err != nil && strings.Contains(err.Error(), "4111") {
			t.Errorf("%v repeats what was entered", err)
		}
	}
	if n := len(s.events()); n != seq {
		t.Errorf("refusals logged %d events", n-seq)
	}
	doc := s.sell(paysPens(4, `{"type":"gift_card","amount_minor":1000,"ref":"OTHERS12345"}`, ""))
	if len(doc.Accounts) != 0 || *doc.Tenders[0].Ref != "OTHERS12345" {
		t.Errorf("somebody else's gift card is taken down as %+v", doc)
	}
	training := s.sell(strings.Replace(paysPens(4, byCard(1000), `,"training":true`), "WINTER", "NEVERS", 1))
	if len(training.Accounts) != 0 {
		t.Errorf("practice does %+v", training.Accounts)
	}
	s.balance(giftCard, 0, 9000)
}

// TestI13_TwoTillsNeverSpendTheSameCard sells at many tills at once over one lease.
func TestI13_TwoTillsNeverSpendTheSameCard(t *testing.T) {
	s := open(t, boltDriver(t, filepath.Join(t.TempDir(), "agent.db")))
	s.lends(giftCard, protocol.LeaseGranted, 1100)
	var sold atomic.Int64
	var tills sync.WaitGroup
	for range 12 {
		tills.Go(func() {
			_, err := s.trySell(paysPens(1, byCard(250), ""))
			if err == nil {
				sold.Add(1)
			} else if protocol.CodeOf(err) != protocol.AccountUnavailable {
				t.Error(err)
			}
		})
	}
	tills.Wait()
	if l := s.lease(giftCard); sold.Load() != 4 || l.Spent != 1000 || l.Overspent() {
		t.Errorf("%d sales of 250 over a lease of 1100: %+v", sold.Load(), l)
	}
	s.verify()
}

// TestGiftCardVisit asks head office for what is not here, once, and says what it
// answers.
func TestGiftCardVisit(t *testing.T) {
	s := memory(t)
	asked := 0
	answer := till.VisitAnswer{Member: giftCard, Balance: 1000, Left: 1000}
	s.visit = func(q till.VisitRequest) (till.VisitAnswer, error) {
		asked++
		if q.Member != giftCard {
			t.Errorf("asked for %+v", q)
		}
		if answer.Left >= q.Points {
			s.lends(giftCard, protocol.LeaseGranted, answer.Left)
		}
		return answer, nil
	}
	s.sell(paysPens(4, byCard(1000), ""))
	s.balance(giftCard, -1000, 0)
	answer = till.VisitAnswer{Member: giftCard, Balance: 400, Left: 400}
	_, err := s.trySell(paysPens(4, byCard(1000), ""))
	wantNoAccount(t, err, "balance", 0)
	answer = till.VisitAnswer{Refused: true}
	_, err = s.trySell(paysPens(4, byCard(1000), ""))
	wantNoAccount(t, err, "unknown", 0)
	if asked != 3 {
		t.Errorf("asked %d times", asked)
	}
	s.unheard.Store(true)
	_, err = s.trySell(paysPens(4, byCard(1000), ""))
	wantNoAccount(t, err, "not_confirmed", 0)
}

// TestCreditOfWhoWasMerged spends store credit under the id that the lease names, and
// refunds to who stands for the member.
func TestCreditOfWhoWasMerged(t *testing.T) {
	eachDriver(t, func(t *testing.T, s *shopTest) {
		says := func(id, into protocol.MemberID, version uint32, status protocol.MemberStatus) {
			t.Helper()
			s.hubLogs(hubOrigin, &protocol.Event{Kind: protocol.KindMember, Member: &protocol.Member{ID: id, Version: version, Status: status, HomeStore: "s1", Into: into}})
		}
		one, other := protocol.NewCreditAccount("GBP", "m-1"), protocol.NewCreditAccount("GBP", "m-2")
		says("m-1", "", 1, protocol.MemberActive)
		says("m-2", "", 1, protocol.MemberActive)
		s.lends(other, protocol.LeaseGranted, 700)
		says("m-2", "m-1", 2, protocol.MemberMerged)
		sold := s.sell(paysPens(2, byCredit(500), `,"member_id":"m-1"`))
		s.balance(other, -500, 200)
		if _, err := s.tryReturn(fmt.Sprintf(`{"receipt_no":%q,"lines":[{"line":1,"qty":1}],"tenders":[%s]}`, sold.ReceiptNo, byCredit(250))); err != nil {
			t.Fatal(err)
		}
		if _, err := s.tryReturn(fmt.Sprintf(`{"member_id":"m-2","reason":"no receipt","lines":[{"code":"PEN-01","qty":1}],"tenders":[%s]}`, byCredit(250))); err != nil {
			t.Fatal(err)
		}
		s.balance(one, 500, 0)
		_, err := s.tryReturn(fmt.Sprintf(`{"reason":"no receipt","lines":[{"code":"PEN-01","qty":1}],"tenders":[%s]}`, byCredit(250)))
		if e := wantCode(t, err, protocol.AccountUnavailable); e.Members["why"] != "no_member" {
			t.Errorf("a refund to nobody is answered %v", e)
		}
		list, err := s.till.AccountsHere(context.Background(), "m-2")
		if err != nil || len(list) != 1 || list[0].ID != one || list[0].SpendableHere != 200 {
			t.Errorf("the member has %+v, %v", list, err)
		}
	})
}

// TestOffer takes an offer off once, and only for whom it is, while it is valid.
func TestOffer(t *testing.T) {
	eachDriver(t, func(t *testing.T, s *shopTest) {
		issue := func(id protocol.MemberID, terms protocol.AccountTerms) {
			t.Helper()
			terms.Offer = &protocol.Promotion{
				ID: protocol.PromotionID(id), Zone: "offer", Name: "A fifth off pens", From: "2026-11-01", To: terms.To, Coupon: string(id), MembersOnly: true,
				SKUs: []protocol.SKU{"PEN-01"}, Kind: protocol.PercentOff, Rate: 200_000,
			}
			s.hubLogs(hubOrigin, &protocol.Event{Kind: protocol.KindAccountChange, AccountChange: &protocol.AccountChange{Account: id, Change: protocol.AccountIssued, Amount: 1, Terms: &terms}})
			s.lends(id, protocol.LeaseGranted, 1)
		}
		card := func(amount int) string { return fmt.Sprintf(`{"type":"card","amount_minor":%d}`, amount) }
		present := func(member, id string) string { return fmt.Sprintf(`,"member_id":%q,"offers":[%q]`, member, id) }
		issue("o-m-1-01", protocol.AccountTerms{Version: 1, To: "2026-12-01"})
		issue("o-m-1-02", protocol.AccountTerms{Version: 1, To: "2026-11-20"})
		issue("o-m-1-03", protocol.AccountTerms{Version: 1, Withdrawn: true})
		doc := s.sell(fmt.Sprintf(`{"lines":[{"code":"CUP","qty":1}],"tenders":[%s]%s}`, card(999), present("m-1", "o-m-1-01")))
		if len(doc.Warnings) == 0 || doc.Warnings[0].Code != sale.WarnOfferUnused || len(doc.Accounts) != 0 {
			t.Fatalf("an offer for other goods gives %+v", doc)
		}
		q := s.quote(fmt.Sprintf(`{"lines":[{"code":"PEN-01","qty":4}]%s}`, present("m-1", "o-m-1-01")))
		if q.TotalMinor != 800 {
			t.Fatalf("the quote is %d", q.TotalMinor)
		}
		doc = s.sell(paysPens(4, card(800), present("m-1", "o-m-1-01")))
		if d := doc.Lines[0].Discounts; len(d) != 1 || *d[0].ID != "o-m-1-01" || d[0].AmountMinor != 200 || len(doc.Accounts) != 1 || doc.Accounts[0].Amount != -1 {
			t.Fatalf("redeemed as %+v", doc)
		}
		for body, why := range map[string]string{
			paysPens(4, card(800), present("m-1", "o-m-1-01")): "no_lease",
			paysPens(4, card(800), present("m-1", "o-m-1-02")): "over",
			paysPens(4, card(800), present("m-1", "o-m-1-03")): "withdrawn",
			paysPens(4, card(800), present("m-1", "o-m-1-04")): "no_lease",
			paysPens(4, card(800), present("m-2", "o-m-1-01")): "other_member",
		} {
			_, err := s.trySell(body)
			wantNoAccount(t, err, why, 0)
		}
		if _, err := s.till.Void(t.Context(), noCall("void"), doc.ReceiptNo, sale.VoidRequest{Reason: "wrong"}); err != nil {
			t.Fatal(err)
		}
		s.balance("o-m-1-01", 1, 0)
		err := s.driver.View(t.Context(), func(r ledger.Reader) error {
			terms, err := ledger.ReadTerms(r, "o-m-1-01")
			if err == nil && (terms == nil || terms.Offer.Rate != 200_000) {
				t.Errorf("the terms are %+v", terms)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		s.verify()
	})
}
