package hub

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/sale"
)

// Bounds of promotions. A till goes over all promotions of its zone in each sale.
const (
	promotionsMax      = 2000 // of one zone
	promotionSKUsMax   = 1000
	promotionPiecesMax = 1000 // of one group
	couponBytesMax     = 64
)

// noPromotion is the kind of a row that takes a promotion away.
const noPromotion = "none"

type promotionPatch struct {
	zone, id, name, kind, from, to, hours, coupon, category, currency given[string]

	membersOnly            given[bool]
	skus                   given[[]string]
	limit, n, free, rate   given[*int64]
	price, amount, minimum given[*protocol.Money]
}

type promotionKey struct {
	zone protocol.ZoneID
	id   protocol.PromotionID
}

// ImportPromotions takes in promotions. A row changes the promotion of the same
// zone and id; one of kind none takes it away. What was sold keeps what was taken
// off it.
func (h *Hub) ImportPromotions(ctx context.Context, rows RowReader) (Report, error) {
	return importRows(ctx, h, rows, table[promotionPatch]{parse: parsePromotion, merge: h.mergePromotions})
}

func parsePromotion(c *cells) promotionPatch {
	p := promotionPatch{
		zone: c.id("zone", ""), id: c.id("id", ""), name: c.text("name", wordBytesMax), kind: c.word("kind", "", knownKind, ruleKind),
		from: c.moment("valid_from"), to: c.moment("valid_to"),
		hours:  c.word("hours", "", validHours, "has to be hours of the week such as Mo-Fr 16:00-18:00"),
		coupon: c.coupon("coupon"), category: c.text("category", wordBytesMax), currency: c.currency("currency", ""),
		membersOnly: c.boolean("members_only", false), skus: c.skus("skus"),
		limit: c.integer("limit", 1, math.MaxUint32), n: c.integer("n", 1, promotionPiecesMax), free: c.integer("free", 1, promotionPiecesMax),
		rate: c.integer("rate_ppm", 1, 1_000_000), price: c.money("price_minor"), amount: c.money("amount_minor"), minimum: c.money("minimum_minor"),
	}
	switch {
	case c.err != nil:
	case p.zone.value == "":
		c.err = required("zone", c.row.cell("zone"))
	case p.id.value == "":
		c.err = required("id", c.row.cell("id"))
	}
	return p
}

const ruleKind = "has to be n_for_price, percent, cheapest_free, amount_off or none"

func knownKind(s string) bool {
	switch protocol.PromotionKind(s) {
	case protocol.NForPrice, protocol.PercentOff, protocol.CheapestFree, protocol.AmountOff, noPromotion:
		return true
	}
	return false
}

// coupon reads the text of a coupon. A card number is none: it could never be
// presented.
func (c *cells) coupon(column string) given[string] {
	g := c.text(column, couponBytesMax)
	g.value = strings.TrimSpace(g.value)
	if sale.ContainsCardNumber(g.value) {
		c.wrong(protocol.CardNumber, column, "The value of "+column+" looks like the number of a payment card, which no till takes for a coupon. The row was not applied.")
	}
	return g
}

// skus reads SKUs or codes, separated by spaces, or a JSON list of texts.
func (c *cells) skus(column string) (g given[[]string]) {
	v := c.row.cell(column)
	if !v.given {
		return g
	}
	list := strings.Fields(v.text)
	if strings.HasPrefix(v.text, "[") && json.Unmarshal([]byte(v.text), &list) != nil {
		c.outOfRange(column, "has to be a list of SKUs or codes")
	}
	if len(list) > promotionSKUsMax {
		c.outOfRange(column, "has more than "+strconv.Itoa(promotionSKUsMax)+" entries")
	}
	return giveAs(list)
}

func (h *Hub) mergePromotions(tx ledger.Tx, changes []change[promotionPatch], report *Report) (*protocol.Catalog, int, error) {
	promotions := newDrafts[promotionKey](protocol.EncodePromotion)
	counts := map[protocol.ZoneID]int{}
	taken := 0
	for _, c := range changes {
		if promotions.bytes > chunkBytesMax {
			break
		}
		taken++
		key := promotionKey{protocol.ZoneID(c.patch.zone.value), protocol.PromotionID(c.patch.id.value)}
		if err := loadPromotion(tx, promotions, counts, key); err != nil {
			return nil, 0, err
		}
		row, known := promotions.get(key)
		was := known && !row.Gone()
		row.Zone, row.ID = key.zone, key.id
		refused, err := h.changePromotion(tx, &row, &c)
		if err != nil {
			return nil, 0, err
		}
		if refused == nil && !was && !row.Gone() && counts[key.zone] >= promotionsMax {
			refused = wrongRow(protocol.OutOfRangeCode, "would be one more than the "+strconv.Itoa(promotionsMax)+" promotions that a zone may have. It was not applied.")
		}
		if refused != nil {
			report.reject(c.row.Number, refused)
			continue
		}
		if row.Gone() && !was {
			report.count(false)
			continue
		}
		changed, err := promotions.put(key, row)
		if err != nil {
			return nil, 0, err
		}
		counts[key.zone] += toInt(!row.Gone()) - toInt(was)
		report.count(changed)
	}
	return &protocol.Catalog{Promotions: promotions.changed()}, taken, nil
}

func toInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// loadPromotion reads a promotion as it is stored, and how many its zone has.
func loadPromotion(r ledger.Reader, promotions *drafts[promotionKey, protocol.Promotion], counts map[protocol.ZoneID]int, key promotionKey) error {
	if _, ok := counts[key.zone]; !ok {
		list, err := ledger.Promotions(r, key.zone)
		if err != nil {
			return err
		}
		counts[key.zone] = len(list)
	}
	if _, ok := promotions.rows[key]; ok {
		return nil
	}
	stored, err := ledger.ReadPromotion(r, key.zone, key.id)
	if err != nil {
		return err
	}
	return promotions.stored(key, stored)
}

// changePromotion puts what a row says onto a promotion, and looks at the whole.
func (h *Hub) changePromotion(r ledger.Reader, row *protocol.Promotion, c *change[promotionPatch]) (*RowError, error) {
	p := &c.patch
	if p.kind.value == noPromotion {
		*row = protocol.Promotion{Zone: row.Zone, ID: row.ID}
		return nil, nil
	}
	p.onto(row)
	if p.skus.set {
		var refused *RowError
		var err error
		if row.SKUs, refused, err = skusOf(r, p.skus.value, c.row.cell("skus")); err != nil || refused != nil {
			return refused, err
		}
	}
	h.keepOfKind(row)
	if column, rule := wrongPromotion(row); column != "" {
		cell := c.row.cell(column)
		if rule == "" {
			return required(column, cell), nil
		}
		return wrongCell(protocol.OutOfRangeCode, column, cell, "The value of "+column+" "+rule+". The row was not applied."), nil
	}
	return nil, nil
}

func (p *promotionPatch) onto(row *protocol.Promotion) {
	p.name.onto(&row.Name)
	p.from.onto(&row.From)
	p.to.onto(&row.To)
	p.hours.onto(&row.Hours)
	p.coupon.onto(&row.Coupon)
	p.category.onto(&row.Category)
	p.currency.onto(&row.Currency)
	p.membersOnly.onto(&row.MembersOnly)
	if p.kind.set {
		row.Kind = protocol.PromotionKind(p.kind.value)
	}
	whole(p.limit, &row.Limit)
	whole(p.n, &row.N)
	whole(p.free, &row.Free)
	whole(p.rate, &row.Rate)
	whole(p.price, &row.Price)
	whole(p.amount, &row.Amount)
	whole(p.minimum, &row.Minimum)
}

// whole puts a number in place; an empty cell means 0.
func whole[G, N ~int64 | ~uint32](g given[*G], place *N) {
	if g.set {
		if *place = 0; g.value != nil {
			*place = N(*g.value)
		}
	}
}

// keepOfKind drops the numbers that another kind has, so that what a promotion was
// before does not show through.
func (h *Hub) keepOfKind(p *protocol.Promotion) {
	was := *p
	p.N, p.Price, p.Free, p.Rate, p.Amount, p.Minimum, p.Currency = 0, 0, 0, 0, 0, 0, ""
	switch p.Kind {
	case protocol.NForPrice:
		p.N, p.Price, p.Currency = was.N, was.Price, was.Currency
	case protocol.CheapestFree:
		p.N, p.Free = was.N, was.Free
	case protocol.PercentOff:
		p.Rate = was.Rate
	case protocol.AmountOff:
		p.Amount, p.Minimum, p.Currency = was.Amount, was.Minimum, was.Currency
	}
	if p.Currency == "" && (p.Kind == protocol.NForPrice || p.Kind == protocol.AmountOff) {
		p.Currency = h.currency
	}
}

// wrongPromotion finds a column whose value is missing, where there is no rule, or
// does not go with the others.
func wrongPromotion(p *protocol.Promotion) (column, rule string) {
	groups := p.Kind == protocol.NForPrice || p.Kind == protocol.CheapestFree
	switch {
	case p.Name == "":
		return "name", ""
	case p.Kind == "":
		return "kind", ""
	case p.From == "":
		return "valid_from", ""
	case len(p.To) == len(p.From) && p.To <= p.From:
		return "valid_to", "has to be after valid_from"
	case len(p.SKUs) > 0 && p.Category != "":
		return "category", "cannot be given beside skus"
	case p.Kind == protocol.AmountOff && len(p.SKUs) > 0:
		return "skus", "cannot be given for amount_off, which is off the whole receipt"
	case p.Kind == protocol.AmountOff && p.Category != "":
		return "category", "cannot be given for amount_off, which is off the whole receipt"
	case p.Limit > 0 && !groups:
		return "limit", "counts groups, and goes with n_for_price and cheapest_free alone"
	case groups && p.N == 0:
		return "n", ""
	case p.Kind == protocol.NForPrice && p.Price == 0:
		return "price_minor", ""
	case p.Kind == protocol.CheapestFree && p.Free == 0:
		return "free", ""
	case p.Kind == protocol.CheapestFree && p.Free >= p.N:
		return "free", "has to be below n"
	case p.Kind == protocol.PercentOff && p.Rate == 0:
		return "rate_ppm", ""
	case p.Kind == protocol.AmountOff && p.Amount == 0:
		return "amount_minor", ""
	}
	return "", ""
}

// skusOf finds the items behind SKUs or codes, each once, in order.
func skusOf(r ledger.Reader, names []string, c cell) ([]protocol.SKU, *RowError, error) {
	var skus []protocol.SKU
	for _, name := range names {
		o, ok, err := owner(r, name)
		switch {
		case errors.Is(err, errAmbiguous):
			return nil, wrongCell(protocol.Conflict, "skus", c, "More than one item carries code "+clip(name)+". The row was not applied. Name the item by its SKU."), nil
		case err != nil:
			return nil, nil, err
		case !ok:
			return nil, wrongCell(protocol.UnknownCode, "skus", c, "No item has code "+clip(name)+". The row was not applied. Import the item first."), nil
		}
		skus = append(skus, o.SKU)
	}
	slices.Sort(skus)
	return slices.Compact(skus), nil, nil
}
