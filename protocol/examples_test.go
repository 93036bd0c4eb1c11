package protocol_test

import "counterpart/protocol"

var (
	sampleInc     = protocol.Inc{0x9f, 0x3c, 0x01, 0xa7, 0x55, 0x10, 0xee, 0x42, 0x08, 0x6b, 0xd1, 0x90, 0x2e, 0x77, 0x4c, 0xb5}
	sampleSession = protocol.Session{0x51, 0x0e, 0xc3, 0x88, 0x19, 0x64, 0xfa, 0x2d, 0xb7, 0x03, 0x9e, 0x71, 0xd5, 0x46, 0x8c, 0x1a}
	sampleOrigin  = protocol.Origin{Store: "s1", Agent: "a1", Inc: sampleInc}
)

// examples are one value of each kind, every member of it set somewhere. Their
// encodings are the golden files; a name says by its first word what it is.
func examples() map[string]any {
	all := map[string]any{
		"item-full":    &exampleCatalog().Items[0],
		"item-least":   &protocol.Item{SKU: "ҚАЛАМ 2"},
		"prices-zone":  &exampleCatalog().Prices[0],
		"taxes-zone":   &exampleCatalog().Taxes[0],
		"store-record": &exampleCatalog().Stores[0],
		"policy-item":  &examplePolicies()[0],
		"policy-chain": &examplePolicies()[2],
		"personal-all": samplePersonal,

		"event-programme": &protocol.Event{Kind: protocol.KindCatalog, Boot: 3, Catalog: &protocol.Catalog{Programmes: exampleProgrammes()}},
		"programme-full":  &exampleProgrammes()[0],
		"programme-least": &exampleProgrammes()[1],

		"event-promotion":         &protocol.Event{Kind: protocol.KindCatalog, Boot: 3, Catalog: &protocol.Catalog{Promotions: examplePromotions()}},
		"promotion-n_for_price":   &examplePromotions()[0],
		"promotion-percent":       &examplePromotions()[1],
		"promotion-cheapest_free": &examplePromotions()[2],
		"promotion-amount_off":    &examplePromotions()[3],

		"memberrow-full":  exampleMemberRow(),
		"memberrow-group": &protocol.MemberRow{Member: *exampleMergedMember().Member, Group: []protocol.MemberID{"m-19", "m-20", "m-7"}},
		"memberrow-least": &protocol.MemberRow{Member: protocol.Member{ID: "m-20", Version: 3, Status: protocol.MemberErased}},
	}
	for name, e := range exampleEvents() {
		all["event-"+name] = e
	}
	for name, m := range exampleMessages() {
		all["message-"+name] = m
	}
	return all
}

func exampleEvents() map[string]*protocol.Event {
	return map[string]*protocol.Event{
		"sale": exampleSale(), "policy": {Kind: protocol.KindCatalog, Boot: 3, Catalog: &protocol.Catalog{Policies: examplePolicies()}},
		"sale-external": {Kind: protocol.KindSale, Boot: 3, Sale: &protocol.Sale{
			Type: "layaway", Till: "till_2", Series: "x", Number: 7, Lines: []protocol.SaleLine{{
				Item: protocol.ItemRef{SKU: "?4711", Unit: "roll", GTIN: "04006381333931", Name: "Unbekannt"}, Code: "4711",
				Quantity: 1000, UnitPrice: -50, Amount: -49, TaxCode: "?",
			}},
			Tenders: []protocol.Tender{{Type: "coupon", Amount: -49}},
			Total:   -49, Warnings: []protocol.Warning{{Code: "unknown_code", Line: 1, Message: "The code 4711 is not in the list."}},
			External: &protocol.External{
				Source: "pos-x", ID: "W3-000482", ReceiptNo: "482", OccurredAt: "2026-11-21T10:02:11+00:00", BusinessDate: "2026-11-21", Total: -50,
				Fiscal: &protocol.Fiscal{Device: "D1", Number: "77", Signature: "c2ln"},
			},
		}},
		"return": {Kind: protocol.KindSale, Boot: 3, UTCOffsetMin: 240, Moves: []protocol.Move{
			{SKU: "PEN-01", Delta: 1000}, {SKU: "PEN-01", State: protocol.Damaged, Delta: 1000},
		}, Sale: &protocol.Sale{
			Type: protocol.SaleReturn, Till: "1", Series: "1", Number: 319, Original: "a1-1-1-318", BusinessDate: "2026-11-21", Staff: "s7",
			Currency: "GBP", PricesIncludeTax: true, Lines: []protocol.SaleLine{{
				Item: protocol.ItemRef{SKU: "PEN-01", Unit: protocol.Each}, Quantity: -1000, UnitPrice: 250, Amount: -225, TaxCode: "STD",
				Discounts: []protocol.Discount{{Type: "manual", Amount: -25}}, To: protocol.Damaged, OriginalLine: 1,
			}},
			Taxes:   []protocol.TaxAmount{{Code: "STD", Rate: 200_000, Net: -187, Tax: -38}},
			Tenders: []protocol.Tender{{Type: protocol.Cash, Amount: -225}}, Total: -225, Reason: "unwanted",
		}},
		"receipt": {
			Kind: protocol.KindMovement, Boot: 3, Moves: []protocol.Move{{SKU: "PEN-01", Delta: 12_000}, {SKU: "PEN-01", State: protocol.Incoming, Delta: -12_000}},
			Movement: &protocol.Movement{
				Type: protocol.TransferIn, Reference: "ASN-77", Reason: "refill", Staff: "s7", ToStore: "s1", TransferID: "t-9",
				Lines: []protocol.MovementLine{{Item: protocol.ItemRef{SKU: "PEN-01", Unit: protocol.Each}, Quantity: 12_000}},
			},
		},
		"count": {
			Kind: protocol.KindMovement, Boot: 3, Moves: []protocol.Move{{SKU: "PEN-01", Delta: -2000}, {SKU: "OLIVES", Delta: 350}},
			Movement: &protocol.Movement{
				Type: protocol.Count, Staff: "s7", Load: "load-4", LoadRows: 2, Seen: []protocol.StreamPos{{Inc: sampleInc, Seq: 1042}, {Inc: protocol.Inc{1}}},
				Lines: []protocol.MovementLine{
					{Item: protocol.ItemRef{SKU: "PEN-01", Unit: protocol.Each}, Quantity: 29_000, Book: 31_000},
					{Item: protocol.ItemRef{SKU: "OLIVES", Unit: protocol.Kg}, Quantity: 1350, Book: 1000},
				},
			},
		},
		"gap": {Kind: protocol.KindGap, Boot: 3, Gap: &protocol.Gap{
			Agent: "a1", Inc: sampleInc, From: 41, To: 60, Hash: sampleOrigin.Genesis(), Part: 1, Parts: 1,
			Moves: []protocol.Move{{SKU: "PEN-01", State: protocol.OnHand, Delta: -3000}, {SKU: "PEN-02", State: protocol.Damaged, Delta: 1000}},
		}},
		"sale-part": {Kind: protocol.KindSale, Boot: 3, Sale: &protocol.Sale{
			Type: protocol.SaleSale, Till: "1", Series: "1", Number: 320, Currency: "GBP", Part: samplePart,
			Lines: []protocol.SaleLine{{Item: protocol.ItemRef{SKU: "PEN-01"}, Quantity: 2000, UnitPrice: 250, Amount: 500}},
		}},
		"order": exampleOrder(), "order_change": exampleOrderChange(), "fulfilment": exampleFulfilment(),
		"order-second": exampleSecondPart(), "order-sealed": exampleSealedOrder(), "order_change-refund": exampleRefund(), "order_change-rerouted": exampleRerouted(), "sale-part-after": exampleSoldPart(), "fulfilment-substitute": exampleSubstitute(), "order_change-substitute": exampleSubstituteTakenTwice(),
		"exception_change": exampleExceptionChange(), "transfer": exampleTransfer(), "return-order": exampleOrderReturn(),
		"sale-points": examplePointsSale(), "sale-risk": exampleRiskSale(), "lease": exampleLease(), "lease-closed": exampleClosed(), "lease-settled": exampleSettled(), "points_change": examplePointsChange(), "member": exampleMember(), "member-shared": exampleSharedMember(), "member-merged": exampleMergedMember(), "cart": exampleCart(), "contact": exampleContact(), "sale-accounts": exampleAccountsSale(), "account_change": exampleIssued(), "account_change-offer": exampleOffer(),
		"digest": {Kind: protocol.KindDigest, Boot: 3, Digest: exampleDigest()},
		"count_seen": {Kind: protocol.KindCountSeen, Boot: 9, CountSeen: &protocol.CountSeen{
			Count: protocol.EventID{Inc: sampleInc, Seq: 1043}, SKUs: []protocol.SKU{"PEN-01", "OLIVES"},
		}},
		"stock_load": {Kind: protocol.KindStockLoad, StockLoad: &protocol.StockLoad{
			ID: "load-4", First: 10_000, Total: 10_002, Rows: []protocol.StockRow{{SKU: "PEN-01", OnHand: 29_000}, {SKU: "OLIVES"}},
		}},
		"catalog": {Kind: protocol.KindCatalog, Catalog: exampleCatalog()},
		"reissue": {Kind: protocol.KindReissue, Boot: 1, Reissue: &protocol.Reissue{
			ID:     protocol.EventID{Inc: sampleInc, Seq: 1042},
			Record: protocol.Record{Clock: protocol.Clock{WallMs: 1_795_252_932_000, MonoMs: 4_211_000}, Body: []byte{0x12, 0x01, 'k'}},
		}},
		"later": {Kind: "order.received", Boot: 3, Moves: []protocol.Move{{SKU: "PEN-01", State: protocol.Committed, Delta: 1000}}},
	}
}

func exampleSoldPart() *protocol.Event {
	return &protocol.Event{Kind: protocol.KindSale, Boot: 3, Sale: &protocol.Sale{
		Type: protocol.SaleSale, Till: "1", Series: "1", Number: 321, Currency: "GBP", Part: samplePart, PartAfter: protocol.EventID{Inc: sampleInc, Seq: 1041},
		Lines: []protocol.SaleLine{{Item: protocol.ItemRef{SKU: "PEN-01"}, Quantity: 2000, UnitPrice: 250, Amount: 500}},
	}}
}

var samplePart = protocol.PartID{Order: protocol.NewOrderID(protocol.EventID{Inc: sampleInc, Seq: 12}), Part: 1}

func exampleOrder() *protocol.Event {
	return &protocol.Event{
		Kind: protocol.KindOrder, Boot: 9, Moves: []protocol.Move{{SKU: "PEN-01", State: protocol.Committed, Delta: 2000}},
		Order: &protocol.Order{
			PartID: samplePart, InsteadOf: 2, Number: "7K3M-9Q", Method: protocol.Curbside, Currency: "GBP", Paid: true, PaymentReference: "pi_1", Substitutes: true,
			Shopper: protocol.Shopper{Name: "Ayla", Phone: "+994501234567"}, PickupByMs: 1_795_252_932_000, CodeSum: sampleOrigin.Genesis(), TokenKey: sampleOrigin.Genesis(),
			Lines: []protocol.OrderLine{{Number: 1, Item: protocol.ItemRef{SKU: "PEN-01"}, Quantity: 2000, UnitPrice: 250, Amount: 500}},
		},
	}
}

// exampleSealedOrder is a member's, whom it names in sealed fields alone.
func exampleSealedOrder() *protocol.Event {
	ev := exampleOrder()
	ev.Order.Shopper, ev.Order.Member, ev.Order.Sealed, ev.Order.SealedWith = protocol.Shopper{}, "m-20", []byte{1, 2, 3}, 4
	return ev
}

// exampleSecondPart keeps the third line of an order whose store the hub chose.
func exampleSecondPart() *protocol.Event {
	ev := exampleOrder()
	ev.Order.Part, ev.Order.InsteadOf, ev.Order.Sourcing, ev.Order.Lines[0].Number = 2, 1, "nearest", 3
	return ev
}

func exampleRefund() *protocol.Event {
	return &protocol.Event{Kind: protocol.KindOrderChange, Boot: 9, OrderChange: &protocol.OrderChange{
		PartID: samplePart, Change: protocol.RefundRequested, Reason: protocol.ShortageReason, Lines: []protocol.PartLine{{Line: 1, Quantity: 1000}}, Amount: 250,
	}}
}

func exampleRerouted() *protocol.Event {
	return &protocol.Event{Kind: protocol.KindOrderChange, Boot: 9, OrderChange: &protocol.OrderChange{
		PartID: samplePart, Change: protocol.Rerouted, Lines: []protocol.PartLine{{Line: 1, Quantity: 2000}}, Instead: 2,
	}}
}

func exampleOrderChange() *protocol.Event {
	return &protocol.Event{
		Kind: protocol.KindOrderChange, Boot: 9, Moves: []protocol.Move{{SKU: "PEN-01", State: protocol.Committed, Delta: -1000}},
		OrderChange: &protocol.OrderChange{
			PartID: samplePart, Change: protocol.ReleasedGoods, Reason: "one was not there", Reference: "re_1", Staff: "s7", Lines: []protocol.PartLine{{Line: 1, Quantity: 1000}},
		},
	}
}

func exampleFulfilment() *protocol.Event {
	return &protocol.Event{
		Kind: protocol.KindFulfilment, Boot: 3, UTCOffsetMin: 240,
		Moves: []protocol.Move{{SKU: "PEN-01", State: protocol.Committed, Delta: -1000}, {SKU: "PEN-01", State: protocol.Staged, Delta: 1000}},
		Fulfilment: &protocol.Fulfilment{
			PartID: samplePart, Act: protocol.Pick, Attempt: 1, After: protocol.EventID{Inc: sampleInc, Seq: 1050}, Staff: "s7", Reason: "again",
			Shelf: "B4", Bay: "2", Car: "red van", Lines: []protocol.PartLine{{Line: 1, Quantity: 1000}},
		},
	}
}

// exampleSubstitute picks one pen of two as ordered, and a pencil for the other.
func exampleSubstitute() *protocol.Event {
	ev := exampleFulfilment()
	ev.Moves = append(ev.Moves, protocol.Move{SKU: "PEN-01", State: protocol.Committed, Delta: -1000}, protocol.Move{SKU: "PENCIL", State: protocol.Staged, Delta: 1000})
	ev.Fulfilment.Lines = append(ev.Fulfilment.Lines, protocol.PartLine{Line: 1, Quantity: 1000, Item: "PENCIL"})
	return ev
}

// exampleSubstituteTakenTwice makes up for a pencil that was put back twice.
func exampleSubstituteTakenTwice() *protocol.Event {
	return &protocol.Event{
		Kind: protocol.KindOrderChange, Boot: 9, Moves: []protocol.Move{{SKU: "PENCIL", State: protocol.Staged, Delta: 1000}},
		OrderChange: &protocol.OrderChange{
			PartID: samplePart, Change: protocol.CorrectedGoods, Reason: "taken_twice", Lines: []protocol.PartLine{{Line: 1, Quantity: -1000, Item: "PENCIL"}},
		},
	}
}

func exampleExceptionChange() *protocol.Event {
	return &protocol.Event{Kind: protocol.KindExceptionChange, Boot: 3, ExceptionChange: &protocol.ExceptionChange{
		Kind: "over_return", Subject: "a1-1-1-318", Change: protocol.Resolve, Staff: "s7", Reason: "The goods are on the shelf.",
		Events: []protocol.EventID{{Inc: sampleInc, Seq: 1042}, {Inc: protocol.Inc{1}, Seq: 4}}, Times: 2, After: protocol.EventID{Inc: sampleInc, Seq: 1050},
	}}
}

func exampleTransfer() *protocol.Event {
	return &protocol.Event{
		Kind: protocol.KindTransfer, Boot: 9,
		Moves: []protocol.Move{{SKU: "PEN-01", State: protocol.Incoming, Delta: 12_000}, {SKU: "OLIVES", State: protocol.Incoming, Delta: 1350}},
		Transfer: &protocol.Transfer{
			ID: "tr-77", From: "s2", Change: protocol.TransferSent, Reference: "van 3",
			Lines: []protocol.TransferLine{{Item: protocol.ItemRef{SKU: "PEN-01"}, Quantity: 12_000}, {Item: protocol.ItemRef{SKU: "OLIVES", Unit: protocol.Kg}, Quantity: 1350}},
		},
	}
}

func exampleOrderReturn() *protocol.Event {
	return &protocol.Event{Kind: protocol.KindSale, Boot: 3, Sale: &protocol.Sale{
		Type: protocol.SaleReturn, Till: "1", Series: "1", Number: 321, Currency: "GBP", ReturnedOrder: samplePart.Order, Reason: "too small",
		Lines: []protocol.SaleLine{{Item: protocol.ItemRef{SKU: "PEN-01"}, Quantity: -1000, UnitPrice: 250, Amount: -250, OriginalLine: 1}},
	}}
}

func exampleDigest() *protocol.OwnDigest {
	d := &protocol.OwnDigest{Fold: 1, Streams: []protocol.StreamPos{{Inc: protocol.Inc{1}, Seq: 40}, {Inc: sampleInc, Seq: 1042}}}
	for i := range d.Sums {
		d.Sums[i] = [2]uint64{uint64(i), uint64(i) << 56}
	}
	return d
}

func exampleSale() *protocol.Event {
	pen, olives, bag := protocol.ItemRef{SKU: "PEN-01", Unit: protocol.Each}, protocol.ItemRef{SKU: "OLIVES", Unit: protocol.Kg}, protocol.ItemRef{SKU: "BAG"}
	return &protocol.Event{
		Kind: protocol.KindSale, Boot: 3, UTCOffsetMin: -210,
		Moves:       []protocol.Move{{SKU: "PEN-01", Delta: -3000}, {SKU: "OLIVES", Delta: -450}},
		Idempotency: &protocol.Idempotency{Route: "POST /v1/sales", Key: "5f0c6a1e-till1-318", Body: 0x8899aabbccddeeff},
		Sale: &protocol.Sale{
			Type: protocol.SaleSale, Till: "1", Series: "1", Number: 318, BusinessDate: "2026-11-21", Staff: "s7", Member: "m-20", Currency: "GBP", PricesIncludeTax: true,
			Lines: []protocol.SaleLine{
				{Item: pen, Quantity: 2000, UnitPrice: 250, Amount: 450, TaxCode: "STD", Discounts: []protocol.Discount{{Type: "manual", ID: "d1", Reason: "damaged box", Amount: 50}}},
				{Item: olives, Code: "2112345004501", Quantity: 450, UnitPrice: 1199, Amount: 540, TaxCode: "ZERO"},
				{Item: pen, Code: "14006381333938", Quantity: 1000, UnitPrice: 250, Amount: 249, TaxCode: "STD"},
				{Item: bag, Quantity: 1000, UnitPrice: 10, Amount: 10, TaxCode: "EXEMPT", Unstocked: true},
			},
			Taxes:    []protocol.TaxAmount{{Code: "STD", Rate: 200_000, Net: 582, Tax: 117}, {Code: "ZERO", Net: 540}},
			Tenders:  []protocol.Tender{{Type: protocol.Card, Amount: 1000, Ref: "T-0451"}, {Type: protocol.Cash, Amount: 500}},
			Rounding: 1, Total: 1250, Change: 250, PointsEarned: 12, Training: true,
			Warnings: []protocol.Warning{{Code: "below_zero", Line: 1, Message: "The book shows −1 on hand."}},
		},
	}
}

func exampleClosed() *protocol.Event {
	return &protocol.Event{Kind: protocol.KindLease, Boot: 3, Lease: &protocol.Lease{Member: "m-20", Holder: sampleInc, Change: protocol.LeaseClosed, Points: 150, Recalls: 2}}
}

func exampleSettled() *protocol.Event {
	return &protocol.Event{Kind: protocol.KindLease, Boot: 3, Lease: &protocol.Lease{Member: "m-20", Holder: sampleInc, Change: protocol.LeaseSettled, Points: 120}}
}

func exampleAccountsSale() *protocol.Event {
	ev := examplePointsSale()
	ev.Sale.Number, ev.Sale.Accounts = 323, []protocol.AccountEntry{
		{Account: protocol.GiftCode("ABCD1234EFGH").Account("GBP"), Amount: 5000, Line: 1}, {Account: protocol.NewCreditAccount("GBP", "m-20"), Amount: -300}, {Account: "o-m-20-07", Amount: -1},
	}
	return ev
}

func exampleIssued() *protocol.Event {
	return &protocol.Event{Kind: protocol.KindAccountChange, Boot: 3, AccountChange: &protocol.AccountChange{
		Account: protocol.GiftCode("ABCD1234EFGH").Account("GBP"), Change: protocol.AccountIssued, Amount: 5000, Reason: "compensation", Staff: "s7",
		Terms: &protocol.AccountTerms{Version: 1, Home: "s1", To: "2028-11-21T00:00:00Z"},
	}}
}

func exampleOffer() *protocol.Event {
	return &protocol.Event{Kind: protocol.KindAccountChange, Boot: 3, AccountChange: &protocol.AccountChange{
		Account: "o-m-20-07", Change: protocol.AccountIssued, Amount: 1, Reason: "birthday", Staff: "s7",
		Terms: &protocol.AccountTerms{Version: 2, Withdrawn: true, Offer: &protocol.Promotion{
			ID: "o-m-20-07", Zone: "offer", Name: "A fifth off pens", From: "2026-11-01", To: "2026-12-01", MembersOnly: true, SKUs: []protocol.SKU{"PEN-01"}, Kind: protocol.PercentOff, Rate: 200_000,
		}},
	}}
}

func exampleRiskSale() *protocol.Event {
	ev := examplePointsSale()
	ev.Sale.Number, ev.Sale.PointsAtRisk = 322, 120
	return ev
}

func exampleLease() *protocol.Event {
	return &protocol.Event{Kind: protocol.KindLease, Boot: 3, Lease: &protocol.Lease{
		Member: "m-20", Holder: sampleInc, Change: protocol.LeaseCredited, Points: 450, Staff: "s7", Reason: "machine stolen",
	}}
}

func examplePointsChange() *protocol.Event {
	return &protocol.Event{Kind: protocol.KindPointsChange, Boot: 3, PointsChange: &protocol.PointsChange{
		Member: "m-20", Change: protocol.PointsAdjusted, Points: -30, Reason: "booked twice", Staff: "s7",
	}}
}

func exampleMember() *protocol.Event {
	return &protocol.Event{Kind: protocol.KindMember, Boot: 3, Member: &protocol.Member{
		ID: "m-20", Version: 2, Status: protocol.MemberActive, Card: "9900123", Sealed: []byte{1, 2, 3}, PhoneSum: protocol.LookupBytes{7, 8}, EmailSum: protocol.LookupBytes{9},
		HomeStore: "s1", Locale: "az-Latn-AZ", Preferred: "sms", Into: "m-19", Staff: "s7",
		Consents: []protocol.Consent{{Channel: "email", Purpose: "marketing", Granted: true, AtMs: 1_795_252_932_000, Source: "s1/1"}},
	}}
}

// exampleSharedMember gave up a card that another bears.
func exampleSharedMember() *protocol.Event {
	ev := exampleMember()
	ev.Member.Into, ev.Member.CardShared, ev.Member.DuplicateOf = "", "9900124", "m-19"
	return ev
}

// exampleMergedMember has another who stands for it.
func exampleMergedMember() *protocol.Event {
	ev := exampleMember()
	ev.Member.Version, ev.Member.Status, ev.Member.Reason = 3, protocol.MemberMerged, "one person, two cards"
	return ev
}

func exampleMemberRow() *protocol.MemberRow {
	return &protocol.MemberRow{
		Member: *exampleMember().Member, Balance: 1250, Leased: 500, Here: protocol.MemberAccount{Earned: 900, Redeemed: 300, Adjusted: 50, Expired: -10, Events: 12},
	}
}

func exampleCart() *protocol.Event {
	return &protocol.Event{Kind: protocol.KindCart, Boot: 3, Cart: &protocol.Cart{
		Member: "m-20", Op: protocol.CartAdd, OpID: "web-7", Request: 0x0102030405060708, Channel: "web", Whole: true,
		Lines: []protocol.CartLine{
			{SKU: "PEN-01", Quantity: -2000, AddedMs: 1_795_252_932_000},
			{SKU: "OLIVES", Quantity: 450, Set: true, Noted: true, Note: []byte{1, 2, 3}},
		},
	}}
}

func exampleContact() *protocol.Event {
	return &protocol.Event{Kind: protocol.KindContact, Boot: 3, Contact: &protocol.Contact{
		Member: "m-20", Channel: "phone", Kind: "complaint", Sealed: []byte{1, 2, 3}, Reference: "a1-1-1-318", Open: true, Staff: "s7",
		Closes: protocol.EventID{Inc: sampleInc, Seq: 1042}, ClosesAtMs: 1_795_252_932_000,
	}}
}

func examplePointsSale() *protocol.Event {
	return &protocol.Event{
		Kind: protocol.KindSale, Boot: 3, Moves: []protocol.Move{{SKU: "PEN-01", Delta: -2000}, {SKU: "OLIVES", Delta: -450}},
		Sale: &protocol.Sale{
			Type: protocol.SaleSale, Till: "1", Series: "1", Number: 321, BusinessDate: "2026-11-22", Member: "m-20", Currency: "GBP",
			Lines: []protocol.SaleLine{
				{Item: protocol.ItemRef{SKU: "PEN-01"}, Quantity: 2000, UnitPrice: 250, Amount: 500, Points: 3},
				{Item: protocol.ItemRef{SKU: "OLIVES", Unit: protocol.Kg}, Quantity: 450, UnitPrice: 1199, Amount: 540, Points: 4},
			},
			Tenders: []protocol.Tender{{Type: protocol.PointsPay, Amount: 300}, {Type: protocol.Card, Amount: 740}},
			Total:   1040, PointsEarned: 7, PointsRedeemed: 300, Programme: "2026-01-01",
		},
	}
}

func exampleCatalog() *protocol.Catalog {
	price, lat, lon := protocol.Money(0), 40.4093, 49.8671
	return &protocol.Catalog{
		Items: []protocol.Item{{
			SKU: "PEN-01", GTIN: "04006381333931", Codes: []protocol.ItemCode{{Code: "14006381333938", Multiplier: 12_000}}, Name: "Pen", Brand: "Stabilo",
			Category: "stationery", Unit: protocol.Each, Price: &price, Currency: "GBP", TaxCode: "STD", Stocked: true, Blocked: true, MinAge: 18,
			Parent: "PEN", Attributes: []protocol.Attribute{{Name: "colour", Value: "blue"}}, Source: "erp",
		}},
		Prices: []protocol.PriceList{{Zone: "uk", SKU: "PEN-01", Prices: []protocol.Price{
			{Amount: 250, Currency: "GBP", From: "2026-01-01", To: "2026-12-01T00:00:00Z"}, {Amount: 275, Currency: "GBP", From: "2026-12-01"},
		}}},
		Taxes: []protocol.TaxList{{Zone: "uk", Code: "STD", Name: "Standard", PricesIncludeTax: true, Rates: []protocol.TaxRate{{Rate: 200_000, From: "2011-01-04"}}}},
		Stores: []protocol.StoreRecord{{
			ID: "s1", Name: "Bakı, Nizami", Lat: &lat, Lon: &lon, Timezone: "Asia/Baku", Country: "AZ", City: "Bakı", Currency: "AZN", PriceZone: "az",
			LegalName: "Nizami MMC", TaxID: "1234567890", Address: "Nizami 1", CashRounding: 5, OpeningHours: "Mo-Su 09:00-22:00", Fiscal: "az", Primary: "a1", Source: "erp",
		}},
	}
}

// examplePolicies are rows of the policy, the last of which is gone.
func examplePolicies() []protocol.PolicyRow {
	one, none, online, off, target := protocol.Quantity(1000), protocol.Quantity(0), true, false, protocol.RatePPM(10_000)
	return []protocol.PolicyRow{
		{Store: "s1", SKU: "PEN-01", SafetyStock: &none, Online: &online, OverpromiseTarget: &target},
		{Category: "stationery", Online: &off},
		{SafetyStock: &one},
		{Store: "s1", Category: "toys"},
	}
}

// exampleProgrammes are one with every rule and one without any.
func exampleProgrammes() []protocol.Programme {
	visit := protocol.Points(200)
	return []protocol.Programme{
		{
			ValidFrom: "2026-11-21",
			Earn: []protocol.EarnRule{
				{PerMinor: 100, Points: 1}, {PerMinor: 100, Points: 3, Category: "stationery", Tender: protocol.Card}, {PerMinor: 1, Category: "tobacco"},
			},
			Rounding: protocol.RoundHalfUp, Redeem: &protocol.RedeemRule{Points: 100, Value: 50, Minimum: 200},
			HomeLeaseCap: 500, VisitLeaseCap: &visit, RiskMode: protocol.RiskMode{Enabled: true, MemberCap: 100, Pool: 5000}, ExpireAfterDays: 730,
			Tiers: []protocol.Tier{{Name: "gold", Points: 1000, WithinDays: 365, Factor: 1_500_000}},
			Campaigns: []protocol.Campaign{{
				ID: "c1", Name: "Double points", Category: "stationery", Store: "s1", From: "2026-12-01", To: "2026-12-24T18:00:00Z", Factor: 2_000_000,
			}},
		},
		{ValidFrom: "2027-01-01T00:00:00Z"},
	}
}

// examplePromotions are one of each kind, and one that is gone.
func examplePromotions() []protocol.Promotion {
	return []protocol.Promotion{
		{
			Zone: "uk", ID: "pens", Name: "3 pens for 5", From: "2026-11-21", To: "2026-12-01T12:00:00Z", Kind: protocol.NForPrice, SKUs: []protocol.SKU{"PEN-01", "PEN-02"},
			N: 3, Price: 500, Currency: "GBP", Limit: 2,
		},
		{Zone: "uk", ID: "happy", Name: "Happy hour", From: "2026-11-21", Hours: "Mo-Fr 16:00-18:00", Kind: protocol.PercentOff, Category: "stationery", Rate: 100_000, MembersOnly: true},
		{Zone: "uk", ID: "three-for-two", From: "2026-11-21", Kind: protocol.CheapestFree, N: 3, Free: 1},
		{Zone: "uk", ID: "welcome", Name: "5 off from 30", From: "2026-11-21", Coupon: "WELCOME 5", Kind: protocol.AmountOff, Amount: 500, Minimum: 3000, Currency: "GBP"},
		{Zone: "uk", ID: "over"},
	}
}

func exampleMessages() map[string]protocol.Message {
	hash := sampleOrigin.Genesis()
	feeds := []protocol.FeedPos{{Feed: protocol.FeedCatalog, Epoch: 1, Offset: 90}, {Feed: protocol.PeerFeed("s1"), Epoch: 1}}
	return map[string]protocol.Message{
		"hello": &protocol.Hello{
			Version: 1, Build: "1.0.0", Nonce: 0x1122334455667788, Capabilities: []string{"snapshot"}, Store: "s1", Agent: "a1", Inc: sampleInc,
			Parent: &protocol.StreamPos{Inc: protocol.Inc{1}, Seq: 40}, BootID: 77, LastSeq: 1042, LastHash: hash, BaseSeq: 3, SafeSeen: 1000, Feeds: feeds,
			Clock: protocol.Clock{WallMs: 1_795_252_932_000, MonoMs: 4_211_000}, DiskState: "ok", DiskFree: 1 << 34,
		},
		"hello-forked": &protocol.Hello{
			Version: 1, Build: "1.0.0", Nonce: 9, Store: "s1", Agent: "a1", Inc: sampleInc, Parent: &protocol.StreamPos{Inc: protocol.Inc{1}, Seq: 40}, ForkCause: "restore",
			BootID: 77, LastSeq: 3, LastHash: hash, BaseSeq: 1, SeenEpoch: 1_795_252_900, AckedSeq: 2,
			Streams: []protocol.StreamHead{{Agent: "a2", Inc: protocol.Inc{3}, Seq: 17, Hash: hash}, {Agent: protocol.HubAgent, Inc: protocol.Inc{2}, Seq: 4, Hash: hash}},
		},
		"welcome-wants": &protocol.Welcome{
			Nonce: 9, Epoch: 1_795_252_901, Session: sampleSession, HubTimeMs: 1_795_252_932_120, CursorSeq: 2, CursorHash: hash, Window: 8,
			Wants: []protocol.StreamPos{{Inc: protocol.Inc{3}, Seq: 12}},
		},
		"fence-fork": &protocol.Fence{Nonce: 9, Reason: protocol.DuplicateIdentity, Message: "The hub holds more of this machine's records than it does itself.", Action: protocol.FenceRetry, RetryAfterMs: 1000, Fork: true},
		"welcome-from": &protocol.Welcome{
			Nonce: 10, Epoch: 2, Session: sampleSession, HubTimeMs: 1_795_252_932_120, CursorSeq: 1040, CursorHash: hash, Safe: 1000, Window: 8,
			Feeds: []protocol.FeedVerdict{{Feed: protocol.PeerFeed("s1"), Epoch: 2, Head: 2060, Verdict: protocol.VerdictResync, From: 2042}},
		},
		"welcome": &protocol.Welcome{
			Nonce: 0x1122334455667788, Epoch: 1, Session: sampleSession, HubTimeMs: 1_795_252_932_120, CursorSeq: 1040, CursorHash: hash, Safe: 1000,
			Window: 8, StartAfterMs: 1500, Feeds: []protocol.FeedVerdict{
				{Feed: protocol.FeedCatalog, Epoch: 1, Head: 95, Verdict: protocol.VerdictTail}, {Feed: protocol.PriceFeed("uk"), Epoch: 1, Head: 8, Verdict: protocol.VerdictResync},
			},
		},
		"batch": &protocol.Batch{
			Session: sampleSession, Inc: sampleInc, FirstSeq: 1041, PrevHash: hash, Count: 2, Checksum: protocol.FrameChecksum([]byte("frame")), Frame: []byte("frame"),
		},
		"batch-keys": &protocol.Batch{
			Session: sampleSession, Inc: sampleInc, FirstSeq: 1041, PrevHash: hash, Count: 2, Checksum: protocol.FrameChecksum([]byte("frame")), Frame: []byte("frame"),
			Keys: []protocol.MemberKey{{Member: "m-20", Key: protocol.SubjectKey{4, 5, 6}}},
		},
		"welcome-lookup": &protocol.Welcome{
			Nonce: 11, Epoch: 2, Session: sampleSession, HubTimeMs: 1_795_252_932_120, CursorSeq: 1040, CursorHash: hash, Safe: 1000, Window: 8, LookupKey: protocol.LookupKey{1, 2, 3},
		},
		"delta-members": &protocol.Delta{
			Session: sampleSession, Feed: protocol.MemberFeed("s1"), Epoch: 1, After: 4, Upto: 6,
			Rows: []protocol.FeedRow{{Offset: 5, Key: "member/m-20", Value: []byte{0x0a, 0x01, 'A'}, SubjectKey: protocol.SubjectKey{4, 5, 6}}, {Offset: 6, Key: "member/m-21"}},
		},
		"ack":   &protocol.Ack{Session: sampleSession, Inc: sampleInc, Seq: 1042, Hash: hash, Safe: 1040, Credit: 7, Own: &protocol.OwnRun{Feed: "peer/s1", Epoch: 1, After: 2000, Upto: 2042}},
		"nack":  &protocol.Nack{Session: sampleSession, Inc: sampleInc, Want: 1041, Reason: "gap"},
		"beat":  &protocol.Beat{Session: sampleSession, LastSeq: 1042, LastHash: hash, ClockMs: 1_795_252_942_000, Disk: "ok", Feeds: feeds},
		"fence": &protocol.Fence{Session: sampleSession, Nonce: 5, Reason: protocol.DuplicateIdentity, Message: "Two machines use this identity.", Action: protocol.FenceStop, RetryAfterMs: 60_000},
		"fork":  &protocol.Fork{OldInc: protocol.Inc{1}, OldSeq: 40, OldHash: hash, NewInc: sampleInc, Cause: "restore"},
		"delta-orders": &protocol.Delta{
			Session: sampleSession, Feed: protocol.PeerFeed("s1"), Epoch: 1, After: 4, Upto: 6,
			Keys: []protocol.SealKey{{Subject: string(samplePart.Order), Key: protocol.SubjectKey{4, 5, 6}}},
		},
		"delta-rows": &protocol.Delta{
			Session: sampleSession, Feed: protocol.FeedCatalog, Epoch: 1, After: 90, Upto: 95,
			Rows: []protocol.FeedRow{{Offset: 93, Key: "PEN-01", Value: []byte{0x0a, 0x01, 'A'}}, {Offset: 95, Key: "PEN-02"}},
		},
		"delta-events": &protocol.Delta{Feed: protocol.PeerFeed("s1"), Epoch: 1, After: 4, Upto: 6, Events: []protocol.PeerEvents{
			{Origin: sampleOrigin, FirstSeq: 1041, PrevHash: hash, Count: 2, Frame: []byte("frame")},
			{Origin: protocol.Origin{Agent: protocol.HubAgent, Inc: protocol.Inc{2}}, FirstSeq: 1, Count: 1, Frame: []byte("frame")},
		}},
		"dack":       &protocol.Dack{Session: sampleSession, Feed: protocol.PriceFeed("uk"), Epoch: 1, Offset: 8, Credit: 4},
		"cmd":        &protocol.Cmd{Session: sampleSession, ID: "c-1", Kind: "recount", Body: []byte{1, 2, 3}},
		"digest":     &protocol.Digest{Session: sampleSession, Inc: sampleInc, Seq: 1042, Kind: "levels", Buckets: []byte{4, 5, 6}},
		"diff":       &protocol.Diff{Session: sampleSession, Kind: "levels", Buckets: []uint32{3, 250}},
		"checkpoint": &protocol.Checkpoint{Session: sampleSession, Inc: sampleInc, Seq: 900, Hash: hash, State: []byte{7, 8, 9}},
	}
}
