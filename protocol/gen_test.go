package protocol_test

import (
	"slices"

	"pgregory.net/rapid"

	"counterpart/protocol"
)

// The generators make every valid event, row and message, so that a property
// which holds for what they make holds on the wire.

var (
	genText = rapid.StringN(0, 12, 64)
	genID   = rapid.StringMatching(`[A-Za-z0-9_-]{1,12}`)
	genTill = rapid.StringMatching(`[A-Za-z0-9_]{1,16}`)
	genWord = rapid.StringMatching(`[a-z][a-z_.]{0,11}`)
	genDate = rapid.SampledFrom([]string{"", "2026-11-21", "2028-02-29", "0001-01-01", "9999-12-31"})
	genCoin = rapid.SampledFrom([]string{"", "GBP", "AZN", "IRR"})
	genGTIN = rapid.SampledFrom([]string{"", "04006381333931", "00000000000000"})
	genSKU  = rapid.Custom(func(t *rapid.T) protocol.SKU {
		return protocol.SKU(rapid.StringMatching(`[A-C ə-]{1,3}`).Draw(t, "sku"))
	})
	genAmount = rapid.OneOf(rapid.Int64Range(-5000, 5000), rapid.Int64Range(-protocol.AmountMax, protocol.AmountMax))
	genCount  = rapid.Int64Range(0, protocol.AmountMax)
	genState  = rapid.Custom(func(t *rapid.T) protocol.State {
		return protocol.State(rapid.Uint8Range(0, uint8(protocol.StateCount)-1).Draw(t, "state"))
	})
	genInc = rapid.Custom(func(t *rapid.T) (inc protocol.Inc) {
		copy(inc[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "inc"))
		inc[0] |= 1
		return inc
	})
	genHash = rapid.Custom(func(t *rapid.T) (hash protocol.Hash) {
		if rapid.Bool().Draw(t, "zero") {
			return hash
		}
		copy(hash[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "hash"))
		return hash
	})
	genSession = rapid.Custom(func(t *rapid.T) (session protocol.Session) {
		if rapid.Bool().Draw(t, "zero") {
			return session
		}
		copy(session[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "session"))
		return session
	})
	genSeq     = rapid.Custom(func(t *rapid.T) protocol.Seq { return protocol.Seq(rapid.Uint64Min(1).Draw(t, "seq")) })
	genEventID = rapid.Custom(func(t *rapid.T) protocol.EventID {
		return protocol.EventID{Inc: genInc.Draw(t, "inc"), Seq: genSeq.Draw(t, "seq")}
	})
	genBytes = rapid.Custom(func(t *rapid.T) []byte { return rapid.SliceOfN(rapid.Byte(), 1, 40).Draw(t, "bytes") })
	genClock = rapid.Custom(func(t *rapid.T) protocol.Clock {
		return protocol.Clock{WallMs: rapid.Int64().Draw(t, "wall"), MonoMs: rapid.Int64().Draw(t, "mono")}
	})
	genRecord = rapid.Custom(func(t *rapid.T) protocol.Record {
		return protocol.Record{Clock: genClock.Draw(t, "clock"), Body: genBytes.Draw(t, "body")}
	})
)

// few draws up to n entries; an empty list is nil, as decoding makes it.
func few[T any](t *rapid.T, what string, g *rapid.Generator[T], n int) []T {
	drawn := rapid.SliceOfN(g, 0, n).Draw(t, what)
	if len(drawn) == 0 {
		return nil
	}
	return drawn
}

// word draws a known word or one of a later version.
func word[W ~string](t *rapid.T, what string, known ...W) W {
	if k := rapid.IntRange(0, len(known)).Draw(t, what); k < len(known) {
		return known[k]
	}
	return W(genWord.Draw(t, what))
}

// orNone draws a value or its default.
func orNone[T any](t *rapid.T, what string, g *rapid.Generator[T]) (v T) {
	if rapid.Bool().Draw(t, what+"?") {
		return g.Draw(t, what)
	}
	return v
}

// pointer draws a pointer to a value, or nil.
func pointer[T any](t *rapid.T, what string, g *rapid.Generator[T]) *T {
	return rapid.Ptr(g, true).Draw(t, what)
}

func money(t *rapid.T, what string) protocol.Money {
	return protocol.Money(orNone(t, what, genAmount))
}

func quantity(t *rapid.T, what string) protocol.Quantity {
	return protocol.Quantity(orNone(t, what, genAmount))
}
func text(t *rapid.T, what string) string { return orNone(t, what, genText) }

// name is a text that may be part of a key.
func name(t *rapid.T, what string) string {
	return orNone(t, what, genText.Filter(func(s string) bool { return protocol.ValidText(s, 512) }))
}

var genItemRef = rapid.Custom(func(t *rapid.T) protocol.ItemRef {
	return protocol.ItemRef{
		SKU: genSKU.Draw(t, "sku"), Unit: word(t, "unit", "", protocol.Each, protocol.Kg, protocol.Metre),
		GTIN: orNone(t, "gtin", genGTIN), Name: text(t, "name"),
	}
})

var genMove = rapid.Custom(func(t *rapid.T) protocol.Move {
	return protocol.Move{SKU: genSKU.Draw(t, "sku"), State: orNone(t, "state", genState), Delta: quantity(t, "delta")}
})

var genSaleLine = rapid.Custom(func(t *rapid.T) protocol.SaleLine {
	return protocol.SaleLine{
		Item: genItemRef.Draw(t, "item"), Code: text(t, "code"), Quantity: quantity(t, "qty"),
		UnitPrice: money(t, "price"), Amount: money(t, "amount"), TaxCode: word(t, "tax", "", "STD", "ZERO"),
		To: orNone(t, "to", genState), OriginalLine: orNone(t, "original", rapid.Uint32()),
		Unstocked: rapid.Bool().Draw(t, "unstocked"),
		Discounts: few(t, "discounts", rapid.Custom(func(t *rapid.T) protocol.Discount {
			return protocol.Discount{Type: text(t, "type"), ID: text(t, "id"), Reason: text(t, "reason"), Amount: money(t, "off")}
		}), 2),
	}
})

var genSale = rapid.Custom(func(t *rapid.T) protocol.Sale {
	s := protocol.Sale{
		Type: word(t, "type", protocol.SaleSale, protocol.SaleReturn, protocol.SaleVoid),
		Till: protocol.TillID(genTill.Draw(t, "till")), Series: genTill.Draw(t, "series"), Number: rapid.Uint64Min(1).Draw(t, "number"),
		Original: protocol.ReceiptNo(name(t, "original")), BusinessDate: genDate.Draw(t, "date"),
		Staff: protocol.StaffID(orNone(t, "staff", genID)), Member: protocol.MemberID(orNone(t, "member", genID)),
		Currency: genCoin.Draw(t, "currency"), PricesIncludeTax: rapid.Bool().Draw(t, "included"),
		Lines: few(t, "lines", genSaleLine, 24),
		Taxes: few(t, "taxes", rapid.Custom(func(t *rapid.T) protocol.TaxAmount {
			return protocol.TaxAmount{Code: word(t, "code", "STD", "ZERO"), Rate: protocol.RatePPM(genAmount.Draw(t, "rate")), Net: money(t, "net"), Tax: money(t, "tax")}
		}), 3),
		Tenders: few(t, "tenders", rapid.Custom(func(t *rapid.T) protocol.Tender {
			return protocol.Tender{Type: word(t, "type", protocol.Cash, protocol.OtherPay), Amount: money(t, "amount"), Ref: text(t, "ref")}
		}), 3),
		Rounding: money(t, "rounding"), Total: money(t, "total"), Change: money(t, "change"),
		PointsEarned: protocol.Points(orNone(t, "points", genAmount)), PointsRedeemed: protocol.Points(orNone(t, "redeemed", genAmount)), Programme: text(t, "programme"), Training: rapid.Bool().Draw(t, "training"), Reason: text(t, "reason"),
		External: pointer(t, "external", rapid.Custom(func(t *rapid.T) protocol.External {
			return protocol.External{
				Source: name(t, "source"), ID: name(t, "id"), ReceiptNo: text(t, "receipt"), OccurredAt: text(t, "at"),
				BusinessDate: text(t, "date"), Total: money(t, "total"),
				Fiscal: pointer(t, "fiscal", rapid.Custom(func(t *rapid.T) protocol.Fiscal {
					return protocol.Fiscal{Device: text(t, "device"), Number: text(t, "number"), Signature: text(t, "signature")}
				})),
			}
		})),
		Warnings: few(t, "warnings", rapid.Custom(func(t *rapid.T) protocol.Warning {
			return protocol.Warning{Code: text(t, "code"), Line: rapid.Uint32().Draw(t, "line"), Message: text(t, "message")}
		}), 2),
		Part: orNone(t, "part", genPart), PartAfter: orNone(t, "part after", genEventID), ReturnedOrder: protocol.OrderID(orNone(t, "returned order", genID)),
	}
	s.Accounts = few(t, "accounts", rapid.Custom(func(t *rapid.T) protocol.AccountEntry {
		return protocol.AccountEntry{Account: genAccount.Draw(t, "account"), Amount: protocol.Points(money(t, "amount")), Line: uint32(rapid.IntRange(0, len(s.Lines)).Draw(t, "line"))}
	}), 3)
	if s.PointsRedeemed > 0 && rapid.Bool().Draw(t, "at risk") {
		s.PointsAtRisk = protocol.Points(rapid.Int64Range(0, int64(s.PointsRedeemed)).Draw(t, "risked"))
	}
	if rapid.Bool().Draw(t, "points of lines") {
		s.PointsEarned = 0
		for i := range s.Lines {
			s.Lines[i].Points = protocol.Points(rapid.Int64Range(-1e10, 1e10).Draw(t, "line points"))
			s.PointsEarned += s.Lines[i].Points
		}
	}
	return s
})

var genAccount = rapid.Custom(func(t *rapid.T) protocol.MemberID {
	return rapid.SampledFrom([]protocol.MemberID{protocol.GiftCode("ABCD1234").Account("GBP"), protocol.NewCreditAccount("EUR", "m-20"), "o-m-20-07"}).Draw(t, "id")
})

var genAccountChange = rapid.Custom(func(t *rapid.T) *protocol.AccountChange {
	return &protocol.AccountChange{
		Account: genAccount.Draw(t, "account"), Change: word(t, "change", protocol.AccountIssued, protocol.AccountExpired), Amount: protocol.Points(money(t, "amount")),
		Reason: text(t, "reason"), Staff: protocol.StaffID(orNone(t, "staff", genID)), Terms: pointer(t, "terms", rapid.Custom(func(t *rapid.T) protocol.AccountTerms {
			return protocol.AccountTerms{
				Version: rapid.Uint32Min(1).Draw(t, "version"), Home: protocol.StoreID(orNone(t, "home", genID)), To: text(t, "to"), Withdrawn: rapid.Bool().Draw(t, "withdrawn"),
				Offer: pointer(t, "offer", genPromotion),
			}
		})),
	}
})

var genStreamPos = rapid.Custom(func(t *rapid.T) protocol.StreamPos {
	return protocol.StreamPos{Inc: genInc.Draw(t, "inc"), Seq: protocol.Seq(rapid.Uint64().Draw(t, "seq"))}
})

var genMovement = rapid.Custom(func(t *rapid.T) protocol.Movement {
	return protocol.Movement{
		Type:      word(t, "type", protocol.Receipt, protocol.Count, protocol.TransferIn),
		Reference: text(t, "reference"), Reason: text(t, "reason"), Staff: protocol.StaffID(orNone(t, "staff", genID)),
		ToStore: protocol.StoreID(orNone(t, "to", genID)), TransferID: text(t, "transfer"),
		Lines: few(t, "lines", rapid.Custom(func(t *rapid.T) protocol.MovementLine {
			return protocol.MovementLine{
				Item: genItemRef.Draw(t, "item"), Quantity: quantity(t, "qty"), State: orNone(t, "state", genState), Book: quantity(t, "book"),
			}
		}), 24),
		Seen: few(t, "seen", genStreamPos, 3), Load: name(t, "load"), LoadRows: orNone(t, "rows", genCount),
	}
})

var genItem = rapid.Custom(func(t *rapid.T) protocol.Item {
	price := rapid.Custom(func(t *rapid.T) protocol.Money { return money(t, "price") })
	return protocol.Item{
		SKU: genSKU.Draw(t, "sku"), GTIN: genGTIN.Draw(t, "gtin"), Name: text(t, "name"), Brand: text(t, "brand"),
		Category: text(t, "category"), Unit: word(t, "unit", "", protocol.Each, protocol.Litre), Price: pointer(t, "price", price),
		Currency: genCoin.Draw(t, "currency"), TaxCode: text(t, "tax"), Stocked: rapid.Bool().Draw(t, "stocked"),
		Blocked: rapid.Bool().Draw(t, "blocked"), MinAge: orNone(t, "age", rapid.Uint32()), Parent: orNone(t, "parent", genSKU),
		Source: text(t, "source"),
		Codes: few(t, "codes", rapid.Custom(func(t *rapid.T) protocol.ItemCode {
			return protocol.ItemCode{Code: name(t, "code"), Multiplier: quantity(t, "multiplier")}
		}), 3),
		Attributes: few(t, "attributes", rapid.Custom(func(t *rapid.T) protocol.Attribute {
			return protocol.Attribute{Name: text(t, "name"), Value: text(t, "value")}
		}), 2),
	}
})

var genPriceList = rapid.Custom(func(t *rapid.T) protocol.PriceList {
	return protocol.PriceList{
		Zone: protocol.ZoneID(genID.Draw(t, "zone")), SKU: genSKU.Draw(t, "sku"),
		Prices: few(t, "prices", rapid.Custom(func(t *rapid.T) protocol.Price {
			return protocol.Price{Amount: money(t, "amount"), Currency: genCoin.Draw(t, "currency"), From: text(t, "from"), To: text(t, "to")}
		}), 3),
	}
})

var genTaxList = rapid.Custom(func(t *rapid.T) protocol.TaxList {
	return protocol.TaxList{
		Zone: protocol.ZoneID(genID.Draw(t, "zone")), Code: genWord.Draw(t, "code"), Name: text(t, "name"),
		PricesIncludeTax: rapid.Bool().Draw(t, "included"),
		Rates: few(t, "rates", rapid.Custom(func(t *rapid.T) protocol.TaxRate {
			return protocol.TaxRate{Rate: protocol.RatePPM(genAmount.Draw(t, "rate")), From: text(t, "from")}
		}), 3),
	}
})

var genStoreRecord = rapid.Custom(func(t *rapid.T) protocol.StoreRecord {
	return protocol.StoreRecord{
		ID: protocol.StoreID(genID.Draw(t, "id")), Name: text(t, "name"),
		Lat: pointer(t, "lat", rapid.Float64Range(-90, 90)), Lon: pointer(t, "lon", rapid.Float64Range(-180, 180)),
		Timezone: text(t, "zone"), Country: text(t, "country"), City: text(t, "city"), Currency: genCoin.Draw(t, "currency"),
		PriceZone: protocol.ZoneID(orNone(t, "prices", genID)), LegalName: text(t, "legal"), TaxID: text(t, "tax"), Address: text(t, "address"),
		CashRounding: money(t, "rounding"), OpeningHours: text(t, "hours"), Fiscal: text(t, "fiscal"),
		Primary: protocol.AgentID(orNone(t, "primary", genID)), Source: text(t, "source"),
	}
})

var genPolicyRow = rapid.Custom(func(t *rapid.T) protocol.PolicyRow {
	p := protocol.PolicyRow{
		Store: protocol.StoreID(orNone(t, "store", genID)),
		SafetyStock: pointer(t, "safety", rapid.Custom(func(t *rapid.T) protocol.Quantity {
			return protocol.Quantity(rapid.Int64Range(0, 1<<40).Draw(t, "safety"))
		})),
		Online: pointer(t, "online", rapid.Bool()),
		OverpromiseTarget: pointer(t, "target", rapid.Custom(func(t *rapid.T) protocol.RatePPM {
			return protocol.RatePPM(rapid.Int64Range(1, 1_000_000).Draw(t, "target"))
		})),
	}
	if rapid.Bool().Draw(t, "item") {
		p.SKU = genSKU.Draw(t, "sku")
	} else {
		p.Category = name(t, "category")
	}
	return p
})

var genPromotion = rapid.Custom(func(t *rapid.T) protocol.Promotion {
	amount := func(what string) protocol.Money {
		return protocol.Money(orNone(t, what, rapid.Int64Range(0, protocol.AmountMax)))
	}
	p := protocol.Promotion{
		Zone: protocol.ZoneID(genID.Draw(t, "zone")), ID: protocol.PromotionID(genID.Draw(t, "id")), Name: text(t, "name"), From: text(t, "from"), To: text(t, "to"),
		Hours: text(t, "hours"), Coupon: text(t, "coupon"), MembersOnly: rapid.Bool().Draw(t, "members"), Limit: orNone(t, "limit", rapid.Uint32()),
		Kind: word(t, "kind", "", protocol.NForPrice, protocol.PercentOff, protocol.CheapestFree, protocol.AmountOff), N: orNone(t, "n", rapid.Uint32()), Price: amount("price"),
		Currency: genCoin.Draw(t, "currency"), Rate: protocol.RatePPM(rapid.Int64Range(0, 1_000_000).Draw(t, "rate")), Free: orNone(t, "free", rapid.Uint32()),
		Amount: amount("amount"), Minimum: amount("minimum"),
	}
	if rapid.Bool().Draw(t, "items") {
		p.SKUs = few(t, "skus", genSKU, 3)
		slices.Sort(p.SKUs)
		p.SKUs = slices.Compact(p.SKUs)
	} else {
		p.Category = name(t, "category")
	}
	return p
})

var genProgramme = rapid.Custom(func(t *rapid.T) protocol.Programme {
	points := rapid.Custom(func(t *rapid.T) protocol.Points {
		return protocol.Points(rapid.Int64Range(0, int64(protocol.PointsMax)).Draw(t, "points"))
	})
	return protocol.Programme{
		ValidFrom: rapid.SampledFrom([]string{"2026-11-21", "2026-11-21T10:02:11Z", "?"}).Draw(t, "from"),
		Rounding:  word(t, "rounding", "", protocol.RoundDown, protocol.RoundHalfUp),
		Earn: few(t, "earn", rapid.Custom(func(t *rapid.T) protocol.EarnRule {
			return protocol.EarnRule{
				PerMinor: protocol.Money(rapid.Int64Range(1, protocol.AmountMax).Draw(t, "per")), Points: points.Draw(t, "points"),
				Category: name(t, "category"), Tender: word(t, "tender", "", protocol.Card),
			}
		}), 3),
		Redeem: pointer(t, "redeem", rapid.Custom(func(t *rapid.T) protocol.RedeemRule {
			return protocol.RedeemRule{Points: 1 + orNone(t, "points", points)/2, Value: protocol.Money(rapid.Int64Range(1, protocol.AmountMax).Draw(t, "value")), Minimum: orNone(t, "minimum", points)}
		})),
		HomeLeaseCap: orNone(t, "home", points), VisitLeaseCap: pointer(t, "visit", points),
		RiskMode:        protocol.RiskMode{Enabled: rapid.Bool().Draw(t, "risk"), MemberCap: orNone(t, "member", points), Pool: orNone(t, "pool", points)},
		ExpireAfterDays: orNone(t, "expire", rapid.Uint32()),
		Tiers: few(t, "tiers", rapid.Custom(func(t *rapid.T) protocol.Tier {
			return protocol.Tier{Name: name(t, "name"), Points: orNone(t, "points", points), WithinDays: rapid.Uint32().Draw(t, "days"), Factor: protocol.RatePPM(genCount.Draw(t, "factor"))}
		}), 2),
		Campaigns: few(t, "campaigns", rapid.Custom(func(t *rapid.T) protocol.Campaign {
			return protocol.Campaign{
				ID: genID.Draw(t, "id"), Name: text(t, "name"), Category: name(t, "category"), Store: protocol.StoreID(orNone(t, "store", genID)),
				From: text(t, "from"), To: text(t, "to"), Factor: protocol.RatePPM(genCount.Draw(t, "factor")),
			}
		}), 2),
	}
})

var genEvent = rapid.Custom(func(t *rapid.T) *protocol.Event {
	e := &protocol.Event{
		Boot: rapid.Uint32().Draw(t, "boot"), UTCOffsetMin: rapid.Int32Range(-1440, 1440).Draw(t, "offset"),
		Moves: few(t, "moves", genMove, 24),
		Idempotency: pointer(t, "idempotency", rapid.Custom(func(t *rapid.T) protocol.Idempotency {
			return protocol.Idempotency{Route: text(t, "route"), Key: rapid.StringMatching(`[!-~]{1,40}`).Draw(t, "key"), Body: rapid.Uint64().Draw(t, "body")}
		})),
	}
	switch rapid.IntRange(0, 13).Draw(t, "kind") {
	case 0:
		e.Kind = protocol.Kind("later." + genWord.Draw(t, "kind"))
	case 1:
		sale := genSale.Draw(t, "sale")
		e.Kind, e.Sale = protocol.KindSale, &sale
	case 2:
		movement := genMovement.Draw(t, "movement")
		e.Kind, e.Movement = protocol.KindMovement, &movement
	case 3:
		e.Kind, e.CountSeen = protocol.KindCountSeen, &protocol.CountSeen{Count: genEventID.Draw(t, "count"), SKUs: few(t, "skus", genSKU, 3)}
	case 4:
		e.Kind, e.StockLoad = protocol.KindStockLoad, &protocol.StockLoad{
			ID: name(t, "load"), Agent: protocol.AgentID(orNone(t, "agent", genID)), First: genCount.Draw(t, "first"), Total: genCount.Draw(t, "total"),
			Rows: few(t, "rows", rapid.Custom(func(t *rapid.T) protocol.StockRow {
				return protocol.StockRow{SKU: genSKU.Draw(t, "sku"), OnHand: quantity(t, "hand")}
			}), 3),
		}
	case 5:
		e.Kind, e.Catalog = protocol.KindCatalog, &protocol.Catalog{
			Items: few(t, "items", genItem, 2), Prices: few(t, "prices", genPriceList, 2),
			Taxes: few(t, "taxes", genTaxList, 2), Stores: few(t, "stores", genStoreRecord, 2),
			Policies: few(t, "policies", genPolicyRow, 2), Programmes: few(t, "programmes", genProgramme, 2), Promotions: few(t, "promotions", genPromotion, 2),
		}
	case 6:
		e.Kind, e.Reissue, e.Moves = protocol.KindReissue, &protocol.Reissue{ID: genEventID.Draw(t, "id"), Record: genRecord.Draw(t, "record")}, nil
	case 7:
		e.Kind, e.Order = protocol.KindOrder, genOrder.Draw(t, "order")
	case 8:
		e.Kind, e.OrderChange = protocol.KindOrderChange, &protocol.OrderChange{
			PartID: genPart.Draw(t, "part"), Change: word(t, "change", protocol.PaidOrder, protocol.ReleasedGoods), Reason: text(t, "reason"),
			Reference: text(t, "reference"), Staff: protocol.StaffID(orNone(t, "staff", genID)), Lines: few(t, "lines", genPartLine, 3),
			Amount: protocol.Money(genCount.Draw(t, "amount")), Instead: rapid.Uint32().Draw(t, "instead"),
			Member: protocol.MemberID(orNone(t, "member", genID)),
		}
	case 9:
		e.Kind, e.Fulfilment = protocol.KindFulfilment, &protocol.Fulfilment{
			PartID: genPart.Draw(t, "part"), Act: word(t, "act", protocol.Accept, protocol.Pick), Attempt: rapid.Uint32().Draw(t, "attempt"), After: orNone(t, "after", genEventID),
			Staff: protocol.StaffID(orNone(t, "staff", genID)), Reason: text(t, "reason"), Shelf: text(t, "shelf"), Bay: text(t, "bay"), Car: text(t, "car"),
			Lines: few(t, "lines", genPartLine, 3), Member: protocol.MemberID(orNone(t, "member", genID)),
		}
	}
	switch {
	case e.Kind != "":
	case rapid.Bool().Draw(t, "exception"):
		e.Kind, e.ExceptionChange = protocol.KindExceptionChange, &protocol.ExceptionChange{
			Kind: genWord.Draw(t, "exception kind"), Subject: name(t, "subject"), Change: word(t, "change", protocol.Assign, protocol.Resolve),
			Staff: protocol.StaffID(orNone(t, "staff", genID)), Reason: text(t, "reason"), Events: few(t, "events", genEventID, 3),
			Times: rapid.Uint64().Draw(t, "times"), After: orNone(t, "after", genEventID),
		}
	case rapid.Bool().Draw(t, "transfer"):
		e.Kind, e.Transfer = protocol.KindTransfer, &protocol.Transfer{
			ID: name(t, "id"), From: protocol.StoreID(genID.Draw(t, "from")), Change: word(t, "change", protocol.TransferSent, protocol.TransferCorrected), Reference: text(t, "reference"),
			Lines: few(t, "lines", rapid.Custom(func(t *rapid.T) protocol.TransferLine {
				return protocol.TransferLine{Item: genItemRef.Draw(t, "item"), Quantity: quantity(t, "qty")}
			}), 24),
		}
	}
	if e.Kind == "" && rapid.Bool().Draw(t, "lease") {
		e.Kind, e.Lease = protocol.KindLease, &protocol.Lease{
			Member: protocol.MemberID(genID.Draw(t, "member")), Holder: genInc.Filter(func(i protocol.Inc) bool { return !i.IsZero() }).Draw(t, "holder"),
			Change: word(t, "change", protocol.LeaseGranted, protocol.LeaseClosed), Points: protocol.Points(rapid.Int64Range(0, 1e13).Draw(t, "points")),
			Staff: protocol.StaffID(orNone(t, "staff", genID)), Reason: text(t, "reason"), Recalls: rapid.Uint32().Draw(t, "recalls"),
		}
	}
	if e.Kind == "" && rapid.Bool().Draw(t, "points") {
		e.Kind, e.PointsChange = protocol.KindPointsChange, &protocol.PointsChange{
			Member: protocol.MemberID(genID.Draw(t, "member")), Change: word(t, "change", protocol.PointsAdjusted, protocol.PointsExpired),
			Points: protocol.Points(orNone(t, "points", genAmount)), Staff: protocol.StaffID(orNone(t, "staff", genID)), Reason: text(t, "reason"),
		}
	}
	if e.Kind == "" && rapid.Bool().Draw(t, "member") {
		e.Kind, e.Member = protocol.KindMember, genMember.Draw(t, "body")
	}
	if e.Kind == "" && rapid.Bool().Draw(t, "cart") {
		e.Kind, e.Cart = protocol.KindCart, genCart.Draw(t, "body")
	}
	if e.Kind == "" && rapid.Bool().Draw(t, "contact") {
		e.Kind, e.Contact = protocol.KindContact, genContact.Draw(t, "body")
	}
	if e.Kind == "" && rapid.Bool().Draw(t, "account") {
		e.Kind, e.AccountChange = protocol.KindAccountChange, genAccountChange.Draw(t, "body")
	}
	if e.Kind == "" && rapid.Bool().Draw(t, "digest") {
		e.Kind, e.Digest, e.Moves = protocol.KindDigest, genDigest.Draw(t, "body"), nil
	}
	if e.Kind == "" {
		from := seq(t, "from")%1000 + 1
		e.Kind, e.Gap = protocol.KindGap, &protocol.Gap{
			Agent: protocol.AgentID(genID.Draw(t, "agent")), Inc: genInc.Draw(t, "inc"), From: from, To: from + seq(t, "to")%1000, Hash: genHash.Draw(t, "hash"),
			Part: 1, Parts: rapid.Uint32Range(1, 9).Draw(t, "parts"), Moves: few(t, "gap moves", genMove, 24),
		}
	}
	return e
})

var genMember = rapid.Custom(func(t *rapid.T) *protocol.Member {
	sum := rapid.Custom(func(t *rapid.T) protocol.LookupBytes { return protocol.LookupBytes(genInc.Draw(t, "bytes")) })
	return &protocol.Member{
		ID: protocol.MemberID(genID.Draw(t, "id")), Version: rapid.Uint32Min(1).Draw(t, "version"), Status: word(t, "status", protocol.MemberActive, protocol.MemberMerged, protocol.MemberErased),
		Card: name(t, "card"), Sealed: few(t, "sealed", rapid.Byte(), 40), PhoneSum: orNone(t, "phone", sum), EmailSum: orNone(t, "email", sum),
		HomeStore: protocol.StoreID(orNone(t, "home", genID)), Locale: text(t, "locale"), Preferred: word(t, "preferred", "", "sms"),
		Into: protocol.MemberID(orNone(t, "into", genID)), Staff: protocol.StaffID(orNone(t, "staff", genID)),
		CardShared: name(t, "shared"), DuplicateOf: protocol.MemberID(orNone(t, "duplicate", genID)), Reason: text(t, "reason"),
		Consents: few(t, "consents", rapid.Custom(func(t *rapid.T) protocol.Consent {
			return protocol.Consent{
				Channel: word(t, "channel", "sms", "email"), Purpose: word(t, "purpose", "marketing", "receipts"), Granted: rapid.Bool().Draw(t, "granted"),
				AtMs: rapid.Int64().Draw(t, "at"), Source: text(t, "source"),
			}
		}), 3),
	}
})

var genCart = rapid.Custom(func(t *rapid.T) *protocol.Cart {
	c := &protocol.Cart{
		Member: protocol.MemberID(genID.Draw(t, "member")), Op: word(t, "op", protocol.CartAdd, protocol.CartSold), OpID: orNone(t, "op id", genID),
		Request: rapid.Uint64().Draw(t, "request"), Whole: rapid.Bool().Draw(t, "whole"), Channel: word(t, "channel", "", "web"),
		Lines: few(t, "lines", rapid.Custom(func(t *rapid.T) protocol.CartLine {
			l := protocol.CartLine{SKU: genSKU.Draw(t, "sku"), AddedMs: rapid.Int64Range(0, 1e13).Draw(t, "added"), Set: rapid.Bool().Draw(t, "set"), Noted: rapid.Bool().Draw(t, "noted")}
			if l.Quantity = quantity(t, "qty"); l.Set {
				l.Quantity = max(0, l.Quantity)
			}
			if l.Noted {
				l.Note = few(t, "note", rapid.Byte(), 40)
			}
			return l
		}), 5),
	}
	named := map[protocol.SKU]bool{}
	c.Lines = slices.DeleteFunc(c.Lines, func(l protocol.CartLine) bool {
		again := named[l.SKU]
		named[l.SKU] = true
		return again
	})
	return c
})

var genContact = rapid.Custom(func(t *rapid.T) *protocol.Contact {
	m := &protocol.Contact{
		Member: protocol.MemberID(genID.Draw(t, "member")), Channel: word(t, "channel", "web", "phone"), Kind: word(t, "kind", "question", "note"),
		Sealed: few(t, "sealed", rapid.Byte(), 40), Reference: name(t, "reference"), Open: rapid.Bool().Draw(t, "open"), Staff: protocol.StaffID(orNone(t, "staff", genID)),
	}
	if rapid.Bool().Draw(t, "closes") {
		m.Closes, m.ClosesAtMs = genEventID.Draw(t, "entry"), rapid.Int64().Draw(t, "at")
	}
	return m
})

var genPart = rapid.Custom(func(t *rapid.T) protocol.PartID {
	return protocol.PartID{Order: protocol.NewOrderID(genEventID.Draw(t, "order")), Part: rapid.Uint32Min(1).Draw(t, "part")}
})

var genPartLine = rapid.Custom(func(t *rapid.T) protocol.PartLine {
	return protocol.PartLine{
		Line: rapid.Uint32Range(1, protocol.SaleLinesMax).Draw(t, "line"), Quantity: quantity(t, "qty"), Item: orNone(t, "item", genSKU),
	}
})

var genOrder = rapid.Custom(func(t *rapid.T) *protocol.Order {
	o := &protocol.Order{
		PartID: genPart.Draw(t, "part"), InsteadOf: rapid.Uint32().Draw(t, "instead"), Number: name(t, "number"),
		Method: word(t, "method", protocol.InStore, protocol.Curbside), Currency: genCoin.Draw(t, "currency"),
		Paid: rapid.Bool().Draw(t, "paid"), PaymentReference: text(t, "payment"), Substitutes: rapid.Bool().Draw(t, "substitutes"),
		Sourcing: word(t, "sourcing", "", "nearest"), Shopper: protocol.Shopper{Name: text(t, "name"), Phone: text(t, "phone")}, PickupByMs: rapid.Int64().Draw(t, "by"), CodeSum: genHash.Draw(t, "code"), TokenKey: genHash.Draw(t, "key"),
		Lines: few(t, "lines", rapid.Custom(func(t *rapid.T) protocol.OrderLine {
			return protocol.OrderLine{
				Number: rapid.Uint32Range(1, protocol.SaleLinesMax).Draw(t, "number"), Item: genItemRef.Draw(t, "item"), Quantity: protocol.Quantity(genCount.Draw(t, "qty")), UnitPrice: money(t, "price"), Amount: money(t, "amount"),
			}
		}), 24),
	}
	if rapid.Bool().Draw(t, "sealed") {
		o.Shopper, o.Sealed, o.SealedWith = protocol.Shopper{}, genBytes.Draw(t, "fields"), rapid.Uint32().Draw(t, "with")
		o.Member = protocol.MemberID(orNone(t, "member", genID))
	}
	return o
})

var genDigest = rapid.Custom(func(t *rapid.T) *protocol.OwnDigest {
	d := &protocol.OwnDigest{Fold: rapid.Uint32().Draw(t, "fold"), Streams: few(t, "streams", genStreamPos, 3)}
	for i := range d.Sums {
		d.Sums[i] = [2]uint64{rapid.Uint64().Draw(t, "sum"), rapid.Uint64().Draw(t, "sum")}
	}
	return d
})

var genFeedID = rapid.Custom(func(t *rapid.T) protocol.FeedID {
	return rapid.SampledFrom([]protocol.FeedID{
		protocol.FeedCatalog, protocol.PriceFeed("eu"), protocol.StoreFeed("s1"), protocol.PeerFeed("s1"), "member/7",
	}).Draw(t, "feed")
})

var genFeedPos = rapid.Custom(func(t *rapid.T) protocol.FeedPos {
	return protocol.FeedPos{Feed: genFeedID.Draw(t, "feed"), Epoch: rapid.Uint64().Draw(t, "epoch"), Offset: rapid.Uint64().Draw(t, "offset")}
})
