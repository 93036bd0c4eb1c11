package web

import (
	"cmp"
	"context"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"counterpart/protocol"
	"counterpart/protocol/sale"
	"counterpart/protocol/stock"
)

// What one page shows at most.
const (
	salesMax      = 20
	hitsMax       = 20
	namesMax      = 3
	queryBytesMax = 256
)

// liveView is everything on the page that moves, and the search.
type liveView struct {
	Store, Agent string
	Version      string
	Chip         chip
	Detail       string
	Notices      []notice
	Pending      string
	Oldest       *moment // nil while nothing waits
	Since        *moment
	BusinessDate string
	today        string // the business day as documents write it
	Sales        []saleView
	SalesProblem string
	Find         findView
}

// moment is a point in time for people and for machines.
type moment struct {
	Machine string // RFC 3339
	Text    string
	Age     string
}

type saleView struct {
	ReceiptNo string
	At        moment
	Items     string
	Total     string
	Tags      []string
	Reduced   []string // what promotions took off, each with its name
}

type findView struct {
	Query   string
	Summary string
	Problem string
	Hits    []hitView
}

type hitView struct {
	Name, SKU, GTIN string
	Price           string
	OnHand          string
	Note            string
	Blocked         bool
	None            bool // nothing on hand
}

// head is what every page says of the agent.
func (s *site) head(ctx context.Context) liveView {
	status := s.deps.Status(ctx)
	now := s.deps.Now()
	v := liveView{
		Store: string(status.Store), Agent: string(status.Agent), Version: status.Version,
		Notices: describeNotices(status), Pending: groupThousands(strconv.FormatUint(status.Pending, 10)),
		BusinessDate: longDate(status.BusinessDate), today: status.BusinessDate,
		Since: momentOf(status.Since, now),
	}
	v.Chip, v.Detail = describeLink(status)
	if status.Pending > 0 {
		v.Oldest = momentOf(status.OldestPendingAt, now)
	}
	return v
}

// live collects what the page shows now.
func (s *site) live(ctx context.Context) liveView {
	v := s.head(ctx)
	sales, err := s.deps.LastSales(ctx, salesMax)
	if err != nil {
		v.SalesProblem = s.problem(ctx, "last sales", err)
		return v
	}
	for i := range min(len(sales), salesMax) {
		v.Sales = append(v.Sales, viewSale(&sales[i], v.today))
	}
	return v
}

// problem is what staff read of an error. Its cause is logged.
func (s *site) problem(ctx context.Context, what string, err error) string {
	if ctx.Err() == nil && protocol.CodeOf(err) == protocol.Internal {
		s.deps.Log.ErrorContext(ctx, "page incomplete", "part", what, "error", err)
	}
	return protocol.AsError(err).Message
}

// find searches; an empty query finds nothing and says nothing.
func (s *site) find(ctx context.Context, query string) findView {
	query = strings.TrimSpace(query)
	if !utf8.ValidString(query) || len(query) > queryBytesMax {
		return findView{Problem: "That is too long to search for. Scan again or type a part of the name."}
	}
	v := findView{Query: query}
	if query == "" {
		return v
	}
	items, err := s.deps.Items(ctx, query, hitsMax+1)
	if err != nil {
		v.Problem = s.problem(ctx, "search", err)
		return v
	}
	shown := min(len(items), hitsMax)
	for i := range shown {
		v.Hits = append(v.Hits, viewItem(&items[i]))
	}
	switch {
	case len(items) == 0:
		v.Summary = "Not in this store’s list. Scan again or type a part of the name."
	case len(items) > hitsMax:
		v.Summary = "The first " + strconv.Itoa(hitsMax) + " items. Type more of the name to see fewer."
	case len(items) == 1:
		v.Summary = "1 item"
	default:
		v.Summary = strconv.Itoa(shown) + " items"
	}
	return v
}

func viewItem(item *stock.ItemDocument) hitView {
	v := hitView{
		Name: inert(orEmpty(item.Name)), SKU: inert(string(item.SKU)), GTIN: orEmpty(item.GTIN),
		OnHand: formatQuantity(item.OnHand, item.Unit), Blocked: item.Blocked,
		None: item.Stocked && item.OnHand <= 0, Note: "on hand",
	}
	if v.Name == "" {
		v.Name = v.SKU
	}
	if item.PriceMinor != nil {
		v.Price = formatMoney(*item.PriceMinor, orEmpty(item.Currency))
	}
	switch {
	case !item.Stocked:
		v.OnHand, v.Note = "–", "not counted"
	case item.OnHand < 0:
		v.Note = "by the book"
	}
	return v
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func viewSale(d *sale.Document, today string) saleView {
	v := saleView{ReceiptNo: string(d.ReceiptNo), Total: formatMoney(d.TotalMinor, d.Currency), At: moment{Machine: d.At, Text: d.At}}
	if at, err := time.Parse(time.RFC3339, d.At); err == nil {
		v.At.Text = at.Format("15:04")
		if today != "" && d.BusinessDate != today {
			v.At.Text = at.Format("2 Jan 15:04")
		}
	}
	var names []string
	for i := range d.Lines {
		if i == namesMax {
			names = append(names, strconv.Itoa(len(d.Lines)-namesMax)+" more")
			break
		}
		names = append(names, lineName(&d.Lines[i]))
	}
	v.Items = strings.Join(names, ", ")
	switch d.Type {
	case protocol.SaleReturn:
		v.Tags = append(v.Tags, "Return")
	case protocol.SaleVoid:
		v.Tags = append(v.Tags, "Void")
	}
	if d.Voided {
		v.Tags = append(v.Tags, "Voided")
	}
	if d.Training {
		v.Tags = append(v.Tags, "Training")
	}
	v.Reduced = viewPromotions(d)
	return v
}

// viewPromotions says what promotions took off a receipt, such as "3 for 5 −£1.20".
func viewPromotions(d *sale.Document) []string {
	var ids []string
	names, sums := map[string]string{}, map[string]protocol.Money{}
	for i := range d.Lines {
		for _, off := range d.Lines[i].Discounts {
			id := orEmpty(off.ID)
			if off.Type != sale.DiscountPromotion {
				continue
			}
			if _, ok := sums[id]; !ok {
				ids = append(ids, id)
			}
			names[id], sums[id] = cmp.Or(orEmpty(off.Reason), id), sums[id]+off.AmountMinor
		}
	}
	var texts []string
	for i, id := range ids {
		if i == namesMax {
			return append(texts, strconv.Itoa(len(ids)-namesMax)+" more promotions")
		}
		texts = append(texts, isolate(inert(names[id]))+" "+formatMoney(-sums[id], d.Currency))
	}
	return texts
}

// lineName is one line in a few words, such as "2 × Pen".
func lineName(l *sale.DocumentLine) string {
	name := orEmpty(l.Name)
	if name == "" {
		name = string(l.SKU)
	}
	qty := l.Qty
	if qty < 0 {
		qty = -qty
	}
	if qty == 1000 {
		return isolate(inert(name))
	}
	return formatQuantity(qty, "") + noBreakSpace + "×" + noBreakSpace + isolate(inert(name))
}

// isolate keeps the direction of a text from spreading to its neighbours,
// where several stand in one element.
func isolate(s string) string { return "\u2068" + s + "\u2069" }

// inert leaves out the characters that turn text around or end an isolation:
// in a name they only ever hide what it says. Everything else is shown.
func inert(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' {
			return -1
		}
		return r
	}, s)
}

// momentOf reads a time; nil where there is none.
func momentOf(text string, now time.Time) *moment {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return nil
	}
	m := &moment{Machine: text, Text: at.Format("15:04")}
	// The same day where the store is, whatever zone this machine keeps.
	if at.Format(time.DateOnly) != now.In(at.Location()).Format(time.DateOnly) {
		m.Text = at.Format("2 Jan 15:04")
	}
	if age := now.Sub(at); age >= time.Minute {
		m.Age = span(age) + " ago"
	} else {
		m.Age = "just now"
	}
	return m
}

// longDate writes a business date in words.
func longDate(date string) string {
	day, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return ""
	}
	return day.Format("Mon 2 Jan 2006")
}
