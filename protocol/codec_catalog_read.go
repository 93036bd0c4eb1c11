package protocol

import "fmt"

// The rows that a till reads for each sale are read by hand, as events are.

// readRow is decodeRow without a message of the protobuf library in between.
func readRow[R any](what string, value []byte, read func(*check, *fieldReader, *R), valid func(*check, *R)) (*R, error) {
	var c check
	row := new(R)
	r := part{b: value, s: string(value)}.fields()
	read(&c, &r, row)
	if c.err == nil {
		valid(&c, row)
	}
	if c.err != nil {
		return nil, fmt.Errorf("decode %s: %w", what, c.err)
	}
	return row, nil
}

func readItem(c *check, r *fieldReader, item *Item) {
	var unit int32
	for r.next(c) {
		switch r.num {
		case 1:
			text(r, c, &item.SKU)
		case 2:
			text(r, c, &item.GTIN)
		case 3:
			item.Codes = readItemCode(c, r, item.Codes)
		case 4:
			text(r, c, &item.Name)
		case 5:
			text(r, c, &item.Brand)
		case 6:
			text(r, c, &item.Category)
		case 7:
			r.enum(&unit)
		case 8:
			text(r, c, &item.Unit)
		case 9:
			if r.isVarint() {
				item.Price = new(Money)
				sint64(r, item.Price)
			}
		case 10:
			text(r, c, &item.Currency)
		case 11:
			text(r, c, &item.TaxCode)
		case 12:
			r.bool(&item.Stocked)
		case 13:
			r.bool(&item.Blocked)
		case 14:
			r.uint32(&item.MinAge)
		case 15:
			text(r, c, &item.Parent)
		case 16:
			item.Attributes = readAttribute(c, r, item.Attributes)
		case 17:
			text(r, c, &item.Source)
		}
	}
	item.Unit = unitWords.word(c, "unit", unit, string(item.Unit))
}

func readItemCode(c *check, r *fieldReader, list []ItemCode) []ItemCode {
	if !r.isMessage() {
		return list
	}
	var code ItemCode
	for r := r.part().fields(); r.next(c); {
		switch r.num {
		case 1:
			text(&r, c, &code.Code)
		case 2:
			sint64(&r, &code.Multiplier)
		}
	}
	return append(list, code)
}

func readAttribute(c *check, r *fieldReader, list []Attribute) []Attribute {
	if !r.isMessage() {
		return list
	}
	var a Attribute
	for r := r.part().fields(); r.next(c); {
		switch r.num {
		case 1:
			text(&r, c, &a.Name)
		case 2:
			text(&r, c, &a.Value)
		}
	}
	return append(list, a)
}

func readPriceList(c *check, r *fieldReader, p *PriceList) {
	for r.next(c) {
		switch r.num {
		case 1:
			text(r, c, &p.Zone)
		case 2:
			text(r, c, &p.SKU)
		case 3:
			p.Prices = readPrice(c, r, p.Prices)
		}
	}
}

func readPrice(c *check, r *fieldReader, list []Price) []Price {
	if !r.isMessage() {
		return list
	}
	var p Price
	for r := r.part().fields(); r.next(c); {
		switch r.num {
		case 1:
			sint64(&r, &p.Amount)
		case 2:
			text(&r, c, &p.Currency)
		case 3:
			text(&r, c, &p.From)
		case 4:
			text(&r, c, &p.To)
		}
	}
	return append(list, p)
}

func readTaxList(c *check, r *fieldReader, t *TaxList) {
	for r.next(c) {
		switch r.num {
		case 1:
			text(r, c, &t.Zone)
		case 2:
			text(r, c, &t.Code)
		case 3:
			text(r, c, &t.Name)
		case 4:
			r.bool(&t.PricesIncludeTax)
		case 5:
			t.Rates = readTaxRate(c, r, t.Rates)
		}
	}
}

func readTaxRate(c *check, r *fieldReader, list []TaxRate) []TaxRate {
	if !r.isMessage() {
		return list
	}
	var rate TaxRate
	for r := r.part().fields(); r.next(c); {
		switch r.num {
		case 1:
			sint64(&r, &rate.Rate)
		case 2:
			text(&r, c, &rate.From)
		}
	}
	return append(list, rate)
}
