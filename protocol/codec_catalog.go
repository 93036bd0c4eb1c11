package protocol

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"counterpart/protocol/wire"
)

// EncodeItem writes the value of a catalogue row.
func EncodeItem(item *Item) ([]byte, error) {
	return encodeRow("item", item, checkItem, encodeItem)
}

// DecodeItem reads what EncodeItem wrote.
func DecodeItem(value []byte) (*Item, error) {
	if len(value) > boundFromBytes {
		return decodeRow("item", value, &wire.Item{}, decodeItem, checkItem)
	}
	return readRow("item", value, readItem, checkItem)
}

// EncodePriceList writes the value of a row of prices.
func EncodePriceList(list *PriceList) ([]byte, error) {
	return encodeRow("price list", list, checkPriceList, encodePriceList)
}

// DecodePriceList reads what EncodePriceList wrote.
func DecodePriceList(value []byte) (*PriceList, error) {
	if len(value) > boundFromBytes {
		return decodeRow("price list", value, &wire.PriceList{}, decodePriceList, checkPriceList)
	}
	return readRow("price list", value, readPriceList, checkPriceList)
}

// EncodeTaxList writes the value of a row of tax rates.
func EncodeTaxList(list *TaxList) ([]byte, error) {
	return encodeRow("tax list", list, checkTaxList, encodeTaxList)
}

// DecodeTaxList reads what EncodeTaxList wrote.
func DecodeTaxList(value []byte) (*TaxList, error) {
	if len(value) > boundFromBytes {
		return decodeRow("tax list", value, &wire.TaxList{}, decodeTaxList, checkTaxList)
	}
	return readRow("tax list", value, readTaxList, checkTaxList)
}

// EncodeStoreRecord writes the value of a store's row.
func EncodeStoreRecord(store *StoreRecord) ([]byte, error) {
	return encodeRow("store", store, checkStoreRecord, encodeStoreRecord)
}

// DecodeStoreRecord reads what EncodeStoreRecord wrote.
func DecodeStoreRecord(value []byte) (*StoreRecord, error) {
	return decodeRow("store", value, &wire.StoreRecord{}, decodeStoreRecord, checkStoreRecord)
}

// EncodePolicyRow writes the value of a row of the policy.
func EncodePolicyRow(p *PolicyRow) ([]byte, error) {
	return encodeRow("policy", p, checkPolicyRow, encodePolicyRow)
}

// DecodePolicyRow reads what EncodePolicyRow wrote.
func DecodePolicyRow(value []byte) (*PolicyRow, error) {
	return decodeRow("policy", value, &wire.PolicyRow{}, decodePolicyRow, checkPolicyRow)
}

func encodeRow[R any, W proto.Message](what string, row *R, valid func(*check, *R), encode func(*R) W) ([]byte, error) {
	var c check
	if valid(&c, row); c.err != nil {
		return nil, fmt.Errorf("encode %s: %w", what, c.err)
	}
	value, err := marshal(encode(row))
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", what, err)
	}
	if len(value) > EventBytesMax {
		return nil, fmt.Errorf("encode %s: %d bytes are too large", what, len(value))
	}
	return value, nil
}

func decodeRow[R any, W proto.Message](what string, value []byte, w W, decode func(*check, W) R, valid func(*check, *R)) (*R, error) {
	if len(value) > EventBytesMax {
		return nil, fmt.Errorf("decode %s: %d bytes are too large", what, len(value))
	}
	if err := unmarshal(value, w); err != nil {
		return nil, fmt.Errorf("decode %s: %w", what, err)
	}
	var c check
	row := decode(&c, w)
	if valid(&c, &row); c.err != nil {
		return nil, fmt.Errorf("decode %s: %w", what, c.err)
	}
	return &row, nil
}

func checkCatalog(c *check, cat *Catalog) {
	c.count("rows", cat.Rows(), RowsMax)
	for i := range cat.Items {
		checkItem(c, &cat.Items[i])
	}
	for i := range cat.Prices {
		checkPriceList(c, &cat.Prices[i])
	}
	for i := range cat.Taxes {
		checkTaxList(c, &cat.Taxes[i])
	}
	for i := range cat.Stores {
		checkStoreRecord(c, &cat.Stores[i])
	}
	for i := range cat.Policies {
		checkPolicyRow(c, &cat.Policies[i])
	}
	for i := range cat.Programmes {
		checkProgramme(c, &cat.Programmes[i])
	}
	for i := range cat.Promotions {
		checkPromotion(c, &cat.Promotions[i])
	}
}

func encodeCatalog(cat *Catalog) *wire.Catalog {
	w := &wire.Catalog{
		Items:      list[*wire.Item](len(cat.Items)),
		Prices:     list[*wire.PriceList](len(cat.Prices)),
		Taxes:      list[*wire.TaxList](len(cat.Taxes)),
		Stores:     list[*wire.StoreRecord](len(cat.Stores)),
		Policies:   list[*wire.PolicyRow](len(cat.Policies)),
		Programmes: list[*wire.ProgrammeRow](len(cat.Programmes)),
		Promotions: list[*wire.PromotionRow](len(cat.Promotions)),
	}
	for i := range cat.Items {
		w.Items[i] = encodeItem(&cat.Items[i])
	}
	for i := range cat.Prices {
		w.Prices[i] = encodePriceList(&cat.Prices[i])
	}
	for i := range cat.Taxes {
		w.Taxes[i] = encodeTaxList(&cat.Taxes[i])
	}
	for i := range cat.Stores {
		w.Stores[i] = encodeStoreRecord(&cat.Stores[i])
	}
	for i := range cat.Policies {
		w.Policies[i] = encodePolicyRow(&cat.Policies[i])
	}
	for i := range cat.Programmes {
		w.Programmes[i] = encodeProgramme(&cat.Programmes[i])
	}
	for i := range cat.Promotions {
		w.Promotions[i] = encodePromotion(&cat.Promotions[i])
	}
	return w
}

func decodeCatalog(c *check, w *wire.Catalog) *Catalog {
	c.count("rows", len(w.Items)+len(w.Prices)+len(w.Taxes)+len(w.Stores)+len(w.Policies)+len(w.Programmes)+len(w.Promotions), RowsMax)
	if c.err != nil {
		return nil
	}
	cat := &Catalog{
		Items:      list[Item](len(w.Items)),
		Prices:     list[PriceList](len(w.Prices)),
		Taxes:      list[TaxList](len(w.Taxes)),
		Stores:     list[StoreRecord](len(w.Stores)),
		Policies:   list[PolicyRow](len(w.Policies)),
		Programmes: list[Programme](len(w.Programmes)),
		Promotions: list[Promotion](len(w.Promotions)),
	}
	for i, row := range w.Items {
		cat.Items[i] = decodeItem(c, row)
	}
	for i, row := range w.Prices {
		cat.Prices[i] = decodePriceList(c, row)
	}
	for i, row := range w.Taxes {
		cat.Taxes[i] = decodeTaxList(c, row)
	}
	for i, row := range w.Stores {
		cat.Stores[i] = decodeStoreRecord(c, row)
	}
	for i, row := range w.Policies {
		cat.Policies[i] = decodePolicyRow(c, row)
	}
	for i, row := range w.Programmes {
		cat.Programmes[i] = decodeProgramme(c, row)
	}
	for i, row := range w.Promotions {
		cat.Promotions[i] = decodePromotion(c, row)
	}
	return cat
}

func checkItem(c *check, item *Item) {
	c.sku(item.SKU)
	c.gtin(item.GTIN)
	c.count("codes", len(item.Codes), smallListMax)
	for _, code := range item.Codes {
		c.name("code", code.Code)
		c.amount("multiplier", int64(code.Multiplier))
	}
	c.text("name", item.Name)
	c.text("brand", item.Brand)
	c.text("category", item.Category)
	c.word("unit", string(item.Unit), false)
	if item.Price != nil {
		c.amount("price", int64(*item.Price))
	}
	c.currency(item.Currency)
	c.text("tax code", item.TaxCode)
	if item.Parent != "" {
		c.sku(item.Parent)
	}
	c.count("attributes", len(item.Attributes), smallListMax)
	for _, a := range item.Attributes {
		c.text("attribute", a.Name)
		c.text("attribute", a.Value)
	}
	c.text("source", item.Source)
}

func encodeItem(item *Item) *wire.Item {
	unit, unitText := unitWords.number(item.Unit)
	w := &wire.Item{
		Sku: string(item.SKU), Gtin: item.GTIN, Name: item.Name, Brand: item.Brand, Category: item.Category,
		Unit: wire.Unit(unit), UnitText: unitText,
		PriceMinor: (*int64)(item.Price), Currency: item.Currency, TaxCode: item.TaxCode,
		Stocked: item.Stocked, Blocked: item.Blocked, MinAge: item.MinAge,
		ParentSku: string(item.Parent), Source: item.Source,
		Codes:      list[*wire.ItemCode](len(item.Codes)),
		Attributes: list[*wire.Attribute](len(item.Attributes)),
	}
	for i, code := range item.Codes {
		w.Codes[i] = &wire.ItemCode{Code: code.Code, Multiplier: int64(code.Multiplier)}
	}
	for i, a := range item.Attributes {
		w.Attributes[i] = &wire.Attribute{Name: a.Name, Value: a.Value}
	}
	return w
}

func decodeItem(c *check, w *wire.Item) Item {
	item := Item{
		SKU: SKU(w.Sku), GTIN: w.Gtin, Name: w.Name, Brand: w.Brand, Category: w.Category,
		Unit:  unitWords.word(c, "unit", int32(w.Unit), w.UnitText),
		Price: (*Money)(w.PriceMinor), Currency: w.Currency, TaxCode: w.TaxCode,
		Stocked: w.Stocked, Blocked: w.Blocked, MinAge: w.MinAge,
		Parent: SKU(w.ParentSku), Source: w.Source,
		Codes:      list[ItemCode](len(w.Codes)),
		Attributes: list[Attribute](len(w.Attributes)),
	}
	for i, code := range w.Codes {
		item.Codes[i] = ItemCode{Code: code.Code, Multiplier: Quantity(code.Multiplier)}
	}
	for i, a := range w.Attributes {
		item.Attributes[i] = Attribute{Name: a.Name, Value: a.Value}
	}
	return item
}

func checkPriceList(c *check, p *PriceList) {
	c.id("zone", string(p.Zone))
	c.sku(p.SKU)
	c.count("prices", len(p.Prices), RowsMax)
	for i := range p.Prices {
		c.amount("price", int64(p.Prices[i].Amount))
		c.currency(p.Prices[i].Currency)
		c.text("start", p.Prices[i].From)
		c.text("end", p.Prices[i].To)
	}
}

func encodePriceList(p *PriceList) *wire.PriceList {
	w := &wire.PriceList{Zone: string(p.Zone), Sku: string(p.SKU), Prices: list[*wire.Price](len(p.Prices))}
	for i, price := range p.Prices {
		w.Prices[i] = &wire.Price{AmountMinor: int64(price.Amount), Currency: price.Currency, ValidFrom: price.From, ValidTo: price.To}
	}
	return w
}

func decodePriceList(_ *check, w *wire.PriceList) PriceList {
	p := PriceList{Zone: ZoneID(w.Zone), SKU: SKU(w.Sku), Prices: list[Price](len(w.Prices))}
	for i, price := range w.Prices {
		p.Prices[i] = Price{Amount: Money(price.AmountMinor), Currency: price.Currency, From: price.ValidFrom, To: price.ValidTo}
	}
	return p
}

func checkTaxList(c *check, t *TaxList) {
	c.id("zone", string(t.Zone))
	c.name("tax code", t.Code)
	if t.Code == "" {
		c.failf("the tax code is missing")
	}
	c.text("name", t.Name)
	c.count("rates", len(t.Rates), RowsMax)
	for i := range t.Rates {
		c.amount("rate", int64(t.Rates[i].Rate))
		c.text("start", t.Rates[i].From)
	}
}

func encodeTaxList(t *TaxList) *wire.TaxList {
	w := &wire.TaxList{
		Zone: string(t.Zone), Code: t.Code, Name: t.Name, PricesIncludeTax: t.PricesIncludeTax,
		Rates: list[*wire.TaxRate](len(t.Rates)),
	}
	for i, rate := range t.Rates {
		w.Rates[i] = &wire.TaxRate{RatePpm: int64(rate.Rate), ValidFrom: rate.From}
	}
	return w
}

func decodeTaxList(_ *check, w *wire.TaxList) TaxList {
	t := TaxList{
		Zone: ZoneID(w.Zone), Code: w.Code, Name: w.Name, PricesIncludeTax: w.PricesIncludeTax,
		Rates: list[TaxRate](len(w.Rates)),
	}
	for i, rate := range w.Rates {
		t.Rates[i] = TaxRate{Rate: RatePPM(rate.RatePpm), From: rate.ValidFrom}
	}
	return t
}

func checkStoreRecord(c *check, s *StoreRecord) {
	c.id("store", string(s.ID))
	c.degrees("latitude", s.Lat, 90)
	c.degrees("longitude", s.Lon, 180)
	for _, text := range [...]string{
		s.Name, s.Timezone, s.Country, s.City, s.LegalName, s.TaxID, s.Address, s.OpeningHours, s.Fiscal, s.Source,
	} {
		c.text("text of the store", text)
	}
	c.currency(s.Currency)
	c.idOrNone("price zone", string(s.PriceZone))
	c.idOrNone("primary agent", string(s.Primary))
	c.amount("cash rounding", int64(s.CashRounding))
}

func encodeStoreRecord(s *StoreRecord) *wire.StoreRecord {
	return &wire.StoreRecord{
		Id: string(s.ID), Name: s.Name, Lat: s.Lat, Lon: s.Lon, Timezone: s.Timezone,
		Country: s.Country, City: s.City, Currency: s.Currency, PriceZone: string(s.PriceZone),
		LegalName: s.LegalName, TaxId: s.TaxID, Address: s.Address, CashRoundingMinor: int64(s.CashRounding),
		OpeningHours: s.OpeningHours, Fiscal: s.Fiscal, PrimaryAgent: string(s.Primary), Source: s.Source,
	}
}

func decodeStoreRecord(_ *check, w *wire.StoreRecord) StoreRecord {
	return StoreRecord{
		ID: StoreID(w.Id), Name: w.Name, Lat: w.Lat, Lon: w.Lon, Timezone: w.Timezone,
		Country: w.Country, City: w.City, Currency: w.Currency, PriceZone: ZoneID(w.PriceZone),
		LegalName: w.LegalName, TaxID: w.TaxId, Address: w.Address, CashRounding: Money(w.CashRoundingMinor),
		OpeningHours: w.OpeningHours, Fiscal: w.Fiscal, Primary: AgentID(w.PrimaryAgent), Source: w.Source,
	}
}

func checkPolicyRow(c *check, p *PolicyRow) {
	c.idOrNone("store", string(p.Store))
	c.name("category", p.Category)
	if p.SKU != "" {
		c.sku(p.SKU)
		if p.Category != "" {
			c.failf("a row of the policy names a category beside an item")
		}
	}
	if p.SafetyStock != nil {
		c.natural("safety stock", int64(*p.SafetyStock))
	}
	if t := p.OverpromiseTarget; t != nil && (*t < 1 || *t > ratePPMWhole) {
		c.failf("target %d is out of range", *t)
	}
}

func encodePolicyRow(p *PolicyRow) *wire.PolicyRow {
	return &wire.PolicyRow{
		Store: string(p.Store), Category: p.Category, Sku: string(p.SKU),
		SafetyStock: (*int64)(p.SafetyStock), Online: p.Online, OverpromiseTargetPpm: (*int64)(p.OverpromiseTarget),
	}
}

func decodePolicyRow(_ *check, w *wire.PolicyRow) PolicyRow {
	return PolicyRow{
		Store: StoreID(w.Store), Category: w.Category, SKU: SKU(w.Sku),
		SafetyStock: (*Quantity)(w.SafetyStock), Online: w.Online, OverpromiseTarget: (*RatePPM)(w.OverpromiseTargetPpm),
	}
}
