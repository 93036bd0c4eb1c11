package ledger_test

import (
	"errors"
	"slices"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// TestTermsOfTheHighestVersionStand, whatever order they come in and whatever store
// they are said in.
func TestTermsOfTheHighestVersionStand(t *testing.T) {
	const offer protocol.MemberID = "o-m-1-07"
	hubOf := func(store protocol.StoreID, inc byte) protocol.Origin {
		return protocol.Origin{Store: store, Agent: protocol.HubAgent, Inc: protocol.Inc{inc}}
	}
	for _, order := range [][]uint32{{1, 2, 3}, {3, 2, 1}, {2, 3, 1}} {
		d := ledger.NewMemory()
		for i, version := range order {
			store := []protocol.StoreID{"s1", "s2"}[version%2]
			err := d.Update(t.Context(), func(tx ledger.Tx) error {
				_, err := ledger.Log(tx, hubOf(store, byte(version%2+1)), protocol.Clock{WallMs: int64(i)}, &protocol.Event{Kind: protocol.KindAccountChange, AccountChange: &protocol.AccountChange{
					Account: offer, Change: protocol.AccountTermed, Terms: &protocol.AccountTerms{Version: version, Withdrawn: version == 3},
				}})
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		err := d.View(t.Context(), func(r ledger.Reader) error {
			all, err := ledger.ReadTerms(r, offer)
			if err != nil || all == nil || all.Version != 3 || !all.Withdrawn {
				t.Errorf("%v: the terms are %+v, %v", order, all, err)
			}
			here, err := ledger.ReadTermsAt(r, ledger.MemberAt{Store: "s1", Member: offer})
			if err != nil || here == nil || here.Version != 2 {
				t.Errorf("%v: in the first store they are %+v, %v", order, here, err)
			}
			list, err := ledger.AccountsOf(r, "m-1")
			if err != nil || len(list) != 1 || list[0] != offer {
				t.Errorf("%v: the member has %v, %v", order, list, err)
			}
			if none, err := ledger.AccountsOf(r, "m"); err != nil || len(none) != 0 {
				t.Errorf("%v: another member has %v, %v", order, none, err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestAnAccountIsTheHubsToChange: an agent's word on an account is kept and not folded.
func TestAnAccountIsTheHubsToChange(t *testing.T) {
	d := ledger.NewMemory()
	err := d.Update(t.Context(), func(tx ledger.Tx) error {
		_, err := ledger.Log(tx, protocol.Origin{Store: "s1", Agent: "a1", Inc: protocol.Inc{1}}, protocol.Clock{}, &protocol.Event{Kind: protocol.KindAccountChange, AccountChange: &protocol.AccountChange{
			Account: "c-m-1-GBP", Change: protocol.AccountIssued, Amount: 500,
		}})
		return err
	})
	if err == nil {
		t.Error("an agent puts money on an account")
	}
}

// TestOfferExceeded tells a person of a sale that took more off than the offer gives,
// whichever of the two is heard first.
func TestOfferExceeded(t *testing.T) {
	const offer protocol.MemberID = "o-m-1-07"
	hub := protocol.Origin{Store: "s1", Agent: protocol.HubAgent, Inc: protocol.Inc{1}}
	till := protocol.Origin{Store: "s1", Agent: "a1", Inc: protocol.Inc{2}}
	issued := func(p protocol.Promotion) *protocol.Event {
		p.ID, p.Zone = protocol.PromotionID(offer), "offer"
		return &protocol.Event{Kind: protocol.KindAccountChange, AccountChange: &protocol.AccountChange{Account: offer, Change: protocol.AccountIssued, Amount: 1, Terms: &protocol.AccountTerms{Version: 1, Offer: &p}}}
	}
	sold := func(off protocol.Money) *protocol.Event {
		return &protocol.Event{Kind: protocol.KindSale, Sale: &protocol.Sale{
			Type: protocol.SaleSale, Till: "1", Series: "1", Number: 1, Accounts: []protocol.AccountEntry{{Account: offer, Amount: -1}},
			Lines: []protocol.SaleLine{{
				Item: protocol.ItemRef{SKU: "PEN"}, Quantity: 4000, UnitPrice: 250, Amount: 1000 - off - 50,
				Discounts: []protocol.Discount{{Type: "promotion", ID: string(offer), Amount: off}, {Type: "promotion", ID: "all", Amount: 50}, {Type: "manual", Amount: 7}},
			}},
		}}
	}
	fifth, two := protocol.Promotion{Kind: protocol.PercentOff, Rate: 200_000}, protocol.Promotion{Kind: protocol.AmountOff, Amount: 200}
	for _, c := range []struct {
		offer  protocol.Promotion
		off    protocol.Money
		broken bool
	}{
		{fifth, 200, false}, {fifth, 201, false}, {fifth, 202, true}, {two, 200, false}, {two, 201, true}, {protocol.Promotion{Kind: "later"}, 900, false},
	} {
		for _, first := range []bool{true, false} {
			d := ledger.NewMemory()
			err := d.Update(t.Context(), func(tx ledger.Tx) error {
				log := func(o protocol.Origin, ev *protocol.Event) error {
					_, err := ledger.Log(tx, o, protocol.Clock{}, ev)
					return err
				}
				if first {
					return errors.Join(log(hub, issued(c.offer)), log(till, sold(c.off)))
				}
				return errors.Join(log(till, sold(c.off)), log(hub, issued(c.offer)))
			})
			if err != nil {
				t.Fatal(err)
			}
			err = d.View(t.Context(), func(r ledger.Reader) error {
				list, err := ledger.Exceptions(r)
				found := slices.ContainsFunc(list, func(e ledger.Exception) bool { return e.Kind == ledger.ExceptionOfferExceeded })
				if found != c.broken {
					t.Errorf("%+v takes off %d (told first: %v): exceptions %+v", c.offer, c.off, first, list)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}
