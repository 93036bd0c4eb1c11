package hub

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"counterpart/protocol"
	"counterpart/protocol/gtin"
	"counterpart/protocol/ledger"
)

// itemPatch is what a row says of an item.
type itemPatch struct {
	sku                               protocol.SKU
	gtin, name, brand, category, unit given[string]
	price                             given[*protocol.Money]
	currency, taxCode, source         given[string]
	stocked, blocked                  given[bool]
	minAge                            given[*int64]
	parent                            given[protocol.SKU]
	attributes                        given[[]protocol.Attribute]
	codes                             given[[]protocol.ItemCode]
}

// ImportItems takes in rows of the catalogue. The last row of a SKU stands; a
// column that the file does not have keeps what is there.
func (h *Hub) ImportItems(ctx context.Context, rows RowReader) (Report, error) {
	return importRows(ctx, h, rows, table[itemPatch]{parse: h.parseItem, merge: h.mergeItems})
}

func (h *Hub) parseItem(c *cells) itemPatch {
	p := itemPatch{
		sku: c.sku("sku").value, gtin: c.gtin("gtin"),
		name: c.text("name", textBytesMax), brand: c.text("brand", textBytesMax), category: c.text("category", textBytesMax),
		unit:  c.word("unit", string(protocol.Each), func(s string) bool { return protocol.ValidUnit(protocol.Unit(s)) }, "has to be each, kg, l or m"),
		price: c.money("price_minor"), currency: c.currency("currency", h.currency),
		taxCode: c.text("tax_code", wordBytesMax), source: c.text("source", textBytesMax),
		stocked: c.boolean("stocked", true), blocked: c.boolean("blocked", false),
		minAge: c.integer("min_age", 0, 150), parent: c.sku("parent_sku"),
		attributes: c.attributes("attributes"), codes: c.codes("codes"),
	}
	if p.sku == "" {
		p.sku = protocol.SKU(p.gtin.value)
	}
	switch {
	case c.err != nil:
	case p.sku == "":
		c.err = wrongRow(protocol.OutOfRangeCode, "has neither sku nor gtin, of which one is required. It was not applied.")
		c.err.Field = new(string)
		*c.err.Field = "sku"
	case p.name.set && p.name.value == "":
		c.err = required("name", c.row.cell("name"))
	case p.parent.value == p.sku:
		c.outOfRange("parent_sku", "is the item itself")
	}
	return p
}

func (h *Hub) mergeItems(tx ledger.Tx, changes []change[itemPatch], report *Report) (*protocol.Catalog, int, error) {
	skus := make([]protocol.SKU, len(changes))
	for i, c := range changes {
		skus[i] = c.patch.sku
	}
	stored, err := ledger.ReadItems(tx, skus)
	if err != nil {
		return nil, 0, err
	}
	items := newDrafts[protocol.SKU](protocol.EncodeItem)
	for i, sku := range skus {
		if err := items.stored(sku, stored[i]); err != nil {
			return nil, 0, err
		}
	}
	taken := 0
	for _, c := range changes {
		if items.bytes > chunkBytesMax {
			break
		}
		taken++
		item, known := items.get(c.patch.sku)
		if !known {
			item = protocol.Item{SKU: c.patch.sku, Unit: protocol.Each, Currency: h.currency, Stocked: true}
		}
		c.patch.onto(&item)
		if item.Name == "" {
			report.reject(c.row.Number, required("name", c.row.cell("name")))
			continue
		}
		changed, err := items.put(item.SKU, item)
		if err != nil {
			return nil, 0, err
		}
		report.count(changed)
	}
	return &protocol.Catalog{Items: items.changed()}, taken, nil
}

func (p *itemPatch) onto(it *protocol.Item) {
	p.gtin.onto(&it.GTIN)
	p.name.onto(&it.Name)
	p.brand.onto(&it.Brand)
	p.category.onto(&it.Category)
	if p.unit.set {
		it.Unit = protocol.Unit(p.unit.value)
	}
	p.price.onto(&it.Price)
	p.currency.onto(&it.Currency)
	p.taxCode.onto(&it.TaxCode)
	p.source.onto(&it.Source)
	p.stocked.onto(&it.Stocked)
	p.blocked.onto(&it.Blocked)
	if p.minAge.set {
		it.MinAge = 0
		if p.minAge.value != nil {
			it.MinAge = uint32(*p.minAge.value)
		}
	}
	p.parent.onto(&it.Parent)
	p.attributes.onto(&it.Attributes)
	p.codes.onto(&it.Codes)
}

// Limits of the lists of one item.
const (
	codesMax      = 100
	attributesMax = 100
)

// codes reads further codes: code*multiplier separated by spaces, or a JSON list
// of {"code","multiplier"}. Without a multiplier one scan is one unit.
func (c *cells) codes(column string) (g given[[]protocol.ItemCode]) {
	v := c.row.cell(column)
	if !v.given {
		return g
	}
	written, ok := writtenCodes(v.text)
	if !ok {
		c.outOfRange(column, "has to be code*multiplier separated by spaces, or a list of objects with code and multiplier")
		return g
	}
	if len(written) > codesMax {
		c.outOfRange(column, "has more than "+strconv.Itoa(codesMax)+" codes")
		return g
	}
	var codes []protocol.ItemCode
	for _, w := range written {
		code, ok := c.itemCode(column, w.Code, w.Multiplier.String())
		if !ok {
			return g
		}
		codes = slices.DeleteFunc(codes, func(o protocol.ItemCode) bool { return o.Code == code.Code })
		codes = append(codes, code)
	}
	return giveAs(codes)
}

type writtenCode struct {
	Code       string      `json:"code"`
	Multiplier json.Number `json:"multiplier"`
}

func writtenCodes(text string) ([]writtenCode, bool) {
	if strings.HasPrefix(text, "[") {
		var list []writtenCode
		err := protocol.DecodeJSON([]byte(text), &list)
		return list, err == nil
	}
	var list []writtenCode
	for _, word := range strings.Fields(text) {
		w := writtenCode{Code: word}
		if at := strings.LastIndexByte(word, '*'); at >= 0 {
			w = writtenCode{Code: word[:at], Multiplier: json.Number(word[at+1:])}
			if w.Multiplier == "" {
				return nil, false
			}
		}
		list = append(list, w)
	}
	return list, true
}

// itemCode checks one code. What has the length of a GTIN and only digits has to
// be one; an in-store number may stand here, because it means something in this
// chain.
func (c *cells) itemCode(column, code, multiplier string) (protocol.ItemCode, bool) {
	out := protocol.ItemCode{Code: code, Multiplier: 1000}
	if multiplier != "" {
		q, err := protocol.ParseQuantity(multiplier)
		if err != nil || q <= 0 {
			c.outOfRange(column, "has the multiplier "+clip(multiplier)+", which has to be above 0 with at most 3 decimals")
			return out, false
		}
		out.Multiplier = q
	}
	if code == "" || !protocol.ValidText(code, wordBytesMax) || strings.ContainsAny(code, " \u00a0") {
		c.outOfRange(column, "has a code that is empty, longer than "+strconv.Itoa(wordBytesMax)+" bytes, or holds spaces or control characters")
		return out, false
	}
	if !gtinLike(code) {
		return out, true
	}
	number, err := gtin.Parse(code)
	if err != nil {
		why := protocol.Code(gtin.Code(err))
		c.wrong(why, column, wrongBarcode(why, code)+" The row was not applied.")
		return out, false
	}
	out.Code = string(number)
	return out, true
}

// gtinLike tells whether a code has the length and the digits of a GTIN.
func gtinLike(code string) bool {
	switch len(code) {
	case 8, 12, 13, 14:
		return strings.Trim(code, "0123456789") == ""
	}
	return false
}

// attributes reads name=value separated by semicolons, or a JSON object of
// text. They are kept in the order of their names.
func (c *cells) attributes(column string) (g given[[]protocol.Attribute]) {
	v := c.row.cell(column)
	if !v.given {
		return g
	}
	pairs, ok := writtenAttributes(v.text)
	if !ok {
		c.outOfRange(column, "has to be name=value separated by semicolons, or an object of text, each name once")
		return g
	}
	if len(pairs) > attributesMax {
		c.outOfRange(column, "has more than "+strconv.Itoa(attributesMax)+" attributes")
		return g
	}
	var list []protocol.Attribute
	for name, value := range pairs {
		if name == "" || !protocol.ValidText(name, wordBytesMax) || !protocol.ValidText(value, textBytesMax) {
			c.outOfRange(column, "has an attribute whose name is empty or longer than "+strconv.Itoa(wordBytesMax)+" bytes, or whose value is longer than "+
				strconv.Itoa(textBytesMax)+" bytes, or either holds control characters")
			return g
		}
		list = append(list, protocol.Attribute{Name: name, Value: value})
	}
	slices.SortFunc(list, func(a, b protocol.Attribute) int { return strings.Compare(a.Name, b.Name) })
	return giveAs(list)
}

func writtenAttributes(text string) (map[string]string, bool) {
	pairs := map[string]string{}
	if strings.HasPrefix(text, "{") {
		return pairs, protocol.DecodeJSON([]byte(text), &pairs) == nil
	}
	for part := range strings.SplitSeq(text, ";") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		name, value, ok := strings.Cut(part, "=")
		name = strings.TrimSpace(name)
		if _, twice := pairs[name]; !ok || twice {
			return nil, false
		}
		pairs[name] = strings.TrimSpace(value)
	}
	return pairs, true
}
