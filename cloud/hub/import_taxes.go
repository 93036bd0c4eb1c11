package hub

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// ratePPMMax bounds a rate: 1,000 %.
const ratePPMMax = 10_000_000

type taxPatch struct {
	zone, code, name given[string]
	rate             given[*int64]
	include          given[bool]
	from             given[string]
}

type taxKey struct {
	zone protocol.ZoneID
	code string
}

// ImportTaxes takes in tax rates. A row replaces the rate of the same zone, code
// and valid_from. Whether prices include tax belongs to the zone, so the last
// row that says it says it for every code of its zone.
func (h *Hub) ImportTaxes(ctx context.Context, rows RowReader) (Report, error) {
	return importRows(ctx, h, rows, table[taxPatch]{parse: parseTax, merge: mergeTaxes})
}

func parseTax(c *cells) taxPatch {
	p := taxPatch{
		zone: c.id("zone", ""), code: c.text("tax_code", wordBytesMax), name: c.text("name", textBytesMax),
		rate: c.integer("rate_ppm", 0, ratePPMMax), include: c.boolean("prices_include_tax", false), from: c.moment("valid_from"),
	}
	switch {
	case c.err != nil:
	case p.zone.value == "":
		c.err = required("zone", c.row.cell("zone"))
	case p.code.value == "":
		c.err = required("tax_code", c.row.cell("tax_code"))
	case p.rate.set && p.rate.value == nil:
		c.err = required("rate_ppm", c.row.cell("rate_ppm"))
	case p.from.value == "":
		c.err = required("valid_from", c.row.cell("valid_from"))
	}
	return p
}

func mergeTaxes(tx ledger.Tx, changes []change[taxPatch], report *Report) (*protocol.Catalog, int, error) {
	taxes := newDrafts[taxKey](protocol.EncodeTaxList)
	zones := map[protocol.ZoneID]bool{}
	taken := 0
	for _, c := range changes {
		if taxes.bytes > chunkBytesMax {
			break
		}
		taken++
		key := taxKey{protocol.ZoneID(c.patch.zone.value), c.patch.code.value}
		if !zones[key.zone] {
			zones[key.zone] = true
			if err := loadTaxes(tx, taxes, key.zone); err != nil {
				return nil, 0, err
			}
		}
		if err := taxes.stored(key, nil); err != nil {
			return nil, 0, err
		}
		list, known := taxes.get(key)
		if !known {
			list = protocol.TaxList{Zone: key.zone, Code: key.code, PricesIncludeTax: includesTax(taxes, key.zone)}
		}
		var refused *RowError
		if list.Rates, refused = c.patch.onto(list.Rates, &c.row); refused != nil {
			report.reject(c.row.Number, refused)
			continue
		}
		c.patch.name.onto(&list.Name)
		c.patch.include.onto(&list.PricesIncludeTax)
		changed, err := taxes.put(key, list)
		if err == nil {
			err = alignZone(taxes, key.zone, list.PricesIncludeTax)
		}
		if err != nil {
			return nil, 0, err
		}
		report.count(changed)
	}
	return &protocol.Catalog{Taxes: taxes.changed()}, taken, nil
}

func loadTaxes(r ledger.Reader, taxes *drafts[taxKey, protocol.TaxList], zone protocol.ZoneID) error {
	stored, err := ledger.Taxes(r, zone)
	if err != nil {
		return err
	}
	for _, list := range stored {
		if err := taxes.stored(taxKey{zone, list.Code}, list); err != nil {
			return err
		}
	}
	return nil
}

// includesTax tells what a zone's other codes say.
func includesTax(taxes *drafts[taxKey, protocol.TaxList], zone protocol.ZoneID) bool {
	for _, key := range taxes.order {
		if list, ok := taxes.get(key); ok && key.zone == zone {
			return list.PricesIncludeTax
		}
	}
	return false
}

// alignZone makes every code of a zone say the same about prices.
func alignZone(taxes *drafts[taxKey, protocol.TaxList], zone protocol.ZoneID, include bool) error {
	for _, key := range taxes.order {
		list, ok := taxes.get(key)
		if !ok || key.zone != zone || list.PricesIncludeTax == include {
			continue
		}
		list.PricesIncludeTax = include
		if _, err := taxes.put(key, list); err != nil {
			return err
		}
	}
	return nil
}

// onto returns the dated rates with this one in its place, by valid_from.
func (p *taxPatch) onto(rates []protocol.TaxRate, row *Row) ([]protocol.TaxRate, *RowError) {
	at, found := slices.BinarySearchFunc(rates, p.from.value, func(a protocol.TaxRate, from string) int { return strings.Compare(a.From, from) })
	rates = slices.Clone(rates)
	switch {
	case found && p.rate.set:
		rates[at].Rate = protocol.RatePPM(*p.rate.value)
		return rates, nil
	case found:
		return rates, nil
	case !p.rate.set:
		return nil, required("rate_ppm", row.cell("rate_ppm"))
	case len(rates) >= datedMax:
		return nil, wrongRow(protocol.OutOfRangeCode, "would be one more than the "+strconv.Itoa(datedMax)+" dated rates that a code may have in a zone. It was not applied.")
	}
	return slices.Insert(rates, at, protocol.TaxRate{Rate: protocol.RatePPM(*p.rate.value), From: p.from.value}), nil
}
