package web

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/pickup"
)

// The stages of an order, by what a clerk does next.
const (
	stageOutside = "outside" // the shopper waits outside
	stagePutBack = "put-back"
	stageNew     = "new"
	stagePick    = "pick" // accepted, nobody picks it
	stagePicking = "picking"
	stagePicked  = "picked"
	stageReady   = "ready"
)

// stages are the sections of the page, the most urgent first.
var stages = []struct{ stage, title, empty string }{
	{stageOutside, "Waiting outside", ""},
	{stageNew, "New", "No new order. The next one shows up here by itself."},
	{stagePick, "To pick", ""},
	{stagePicking, "Being picked", ""},
	{stagePicked, "Picked", ""},
	{stageReady, "Ready to collect", "Nothing waits to be collected."},
	{stagePutBack, "Put back", ""},
}

// slow is how long after it was placed an order should have left a stage, and
// late is when it is too late for that.
var patience = map[string]struct{ slow, late time.Duration }{
	stageNew:     {10 * time.Minute, 20 * time.Minute},
	stagePick:    {30 * time.Minute, time.Hour},
	stagePicking: {30 * time.Minute, time.Hour},
	stagePicked:  {30 * time.Minute, time.Hour},
}

// ordersView is what the page of orders shows. Its texts are safe for staff.
type ordersView struct {
	liveView
	Sections   []section
	Problem    string
	Exceptions string // empty for none
	Late       int
}

// section is one stage with its orders.
type section struct {
	Stage, Title, Empty string
	Cards               []card
}

// card is one order.
type card struct {
	ID, Number, Stage string
	Mark              string // changes with what there is to do, not with time
	Name, Phone       string
	Method            string
	Age, AgeLook      string
	Due               string // what is to be paid, empty where it is paid
	DuePlain          string // as a field holds it
	DueMinor          string
	Digits            int // of the currency's minor unit
	Outside           string
	Shelf, Picker     string
	Note              string
	Courier           bool
	Yields            bool   // the clerk may pick something else
	Wish              string // whether the shopper takes something else, as long as that matters
	Exception         bool
	Lines             []cardLine
	Find              string // what it is found by
	sort              string
}

// cardLine is one line of an order, or what was picked in the place of one.
type cardLine struct {
	Line       int
	Name, Code string
	Qty        string // as people read it
	Ordered    string // as a field holds it
	Picked     string
	Short      bool
	Instead    string // of what it was picked, empty for what was ordered
}

func (s *site) serveOrders(w http.ResponseWriter, r *http.Request) {
	s.answer(w, r, "orders", s.orders(r.Context()))
}

func (s *site) serveOrdersLive(w http.ResponseWriter, r *http.Request) {
	s.follow(w, r, "orders-live", func(ctx context.Context) any { return s.orders(ctx) })
}

func (s *site) orders(ctx context.Context) ordersView {
	v := ordersView{liveView: s.head(ctx)}
	docs, err := s.deps.Orders(ctx)
	if err != nil {
		v.Problem = s.problem(ctx, "orders", err)
		return v
	}
	if n, err := s.deps.Exceptions(ctx); err != nil {
		v.Exceptions = s.problem(ctx, "exceptions", err)
	} else if n > 0 {
		v.Exceptions = strconv.Itoa(n) + " to resolve: something does not fit together. Ask whoever is in charge."
	}
	byStage := map[string][]card{}
	now := s.deps.Now()
	for i := range docs {
		if c, ok := viewOrder(&docs[i], now); ok {
			byStage[c.Stage] = append(byStage[c.Stage], c)
			if c.AgeLook == "stopped" {
				v.Late++
			}
		}
	}
	for _, st := range stages {
		cards := byStage[st.stage]
		slices.SortFunc(cards, func(a, b card) int { return strings.Compare(a.sort, b.sort) })
		v.Sections = append(v.Sections, section{Stage: st.stage, Title: st.title, Empty: st.empty, Cards: cards})
	}
	return v
}

// stageOf is what a clerk does next about an order; ok is false for nothing.
func stageOf(d *pickup.Document) (stage string, ok bool) {
	picked := slices.ContainsFunc(d.Lines, func(l pickup.DocumentLine) bool { return l.PickedQty > 0 })
	switch d.HubState {
	case "cancel_requested", "canceled", "expired", "refunded":
		return stagePutBack, picked
	}
	switch orEmpty(d.StoreState) {
	case "", "received":
		stage = stageNew
	case "accepted":
		stage = stagePick
	case "picking":
		stage = stagePicking
	case "picked", "partially_picked":
		stage = stagePicked
	case "ready":
		stage = stageReady
	default:
		return "", false
	}
	if d.Arrival != nil && (stage == stageReady || stage == stagePicked) {
		stage = stageOutside
	}
	return stage, true
}

var methods = map[protocol.Method]string{
	protocol.InStore: "Collects in the shop", protocol.Curbside: "Collects outside", protocol.SameDay: "Delivery today", protocol.ShipFromStore: "To be shipped",
}

func viewOrder(d *pickup.Document, now time.Time) (card, bool) {
	stage, ok := stageOf(d)
	if !ok {
		return card{}, false
	}
	c := card{
		ID: string(d.ID), Number: inert(d.Number), Stage: stage, Name: inert(orEmpty(d.Shopper.Name)), Phone: lastDigits(orEmpty(d.Shopper.Phone)),
		Method: methods[d.Method], Shelf: inert(orEmpty(d.Shelf)), Picker: inert(orEmpty(d.Picker)), Exception: len(d.Exceptions) > 0,
		Courier: d.Method == protocol.SameDay || d.Method == protocol.ShipFromStore, sort: orEmpty(d.PlacedAt) + string(d.ID),
	}
	if c.Number == "" {
		c.Number = inert(c.ID)
	}
	switch {
	case d.Shopper.Locked:
		c.Name = "Name cannot be read here"
	case c.Name == "":
		c.Name = "No name"
	}
	if d.Arrival != nil {
		c.Outside = outside(d.Arrival)
	}
	if stage == stagePutBack {
		c.Note = "The order is " + strings.ReplaceAll(strings.ReplaceAll(d.HubState, "cancel_requested", "canceled"), "_", " ") + ". Carry the goods back to where they are sold."
	}
	var due protocol.Money
	for i := range d.Lines {
		l := &d.Lines[i]
		c.Lines = append(c.Lines, viewLines(l, stage)...)
		due += payable(l)
	}
	if stage == stageNew || stage == stagePick || stage == stagePicking {
		if c.Yields, c.Wish = d.Substitutes, "No substitutes"; c.Yields {
			c.Wish = "Substitutes allowed"
		}
	}
	if d.Payment.Status == "due" && stage != stagePutBack {
		if stage == stageNew || stage == stagePick || stage == stagePicking {
			due = d.TotalMinor
		}
		c.Due, c.DuePlain = formatMoney(due, d.Currency), plainMoney(due, d.Currency)
		c.DueMinor, c.Digits = strconv.FormatInt(int64(due), 10), protocol.MinorDigits(d.Currency)
	}
	c.Age, c.AgeLook = age(d, stage, now)
	c.Mark = strings.Join([]string{stage, d.HubState, orEmpty(d.StoreState), c.Picker, c.Shelf, c.Outside, c.DueMinor, strconv.FormatBool(d.Shopper.Locked)}, "|")
	for i := range c.Lines {
		c.Mark += "|" + c.Lines[i].Picked + " " + c.Lines[i].Qty
	}
	c.Find = strings.ToLower(c.Number + " " + c.Name + " " + c.ID + " " + justDigits(orEmpty(d.Shopper.Phone)))
	return c, true
}

// viewLines shows a line: what was ordered, until it is picked, and then what is
// in the bag for it.
func viewLines(l *pickup.DocumentLine, stage string) []cardLine {
	v := cardLine{Line: l.Line, Code: inert(string(l.SKU)), Ordered: l.Qty.String(), Picked: l.PickedQty.String(), Qty: formatQuantity(l.Qty, "")}
	v.Name = cmp.Or(inert(orEmpty(l.Name)), v.Code)
	if stage != stagePicked && stage != stageReady && stage != stageOutside && stage != stagePutBack {
		return []cardLine{v}
	}
	v.Short = stage != stagePutBack && l.PickedQty < l.Qty
	own, others := l.PickedQty, []cardLine{}
	for i := range l.Substitutes {
		s := &l.Substitutes[i]
		own -= s.Qty
		other := cardLine{Line: l.Line, Code: inert(string(s.SKU)), Qty: formatQuantity(s.Qty, ""), Instead: v.Name}
		other.Name = cmp.Or(inert(orEmpty(s.Name)), other.Code)
		others = append(others, other)
	}
	v.Qty = formatQuantity(own, "")
	if own == 0 && len(others) > 0 && !v.Short {
		return others
	}
	return append([]cardLine{v}, others...)
}

// payable is what is to be paid for what was picked of a line.
func payable(l *pickup.DocumentLine) protocol.Money {
	if l.PickedQty == l.Qty {
		return l.AmountMinor
	}
	amount, _ := protocol.MulDiv(int64(l.PickedQty), int64(l.UnitPriceMinor), 1000)
	return protocol.Money(amount)
}

func outside(a *pickup.ArrivalDocument) string {
	var at []string
	if bay := inert(orEmpty(a.Bay)); bay != "" {
		at = append(at, "bay "+bay)
	}
	if car := inert(orEmpty(a.Car)); car != "" {
		at = append(at, car)
	}
	if len(at) == 0 {
		return "Waits outside"
	}
	return "Waits outside: " + strings.Join(at, ", ")
}

// age says in words how an order stands against the time, and how that looks.
func age(d *pickup.Document, stage string, now time.Time) (text, look string) {
	placed, err := time.Parse(time.RFC3339, orEmpty(d.PlacedAt))
	by, byErr := time.Parse(time.RFC3339, orEmpty(d.PickupBy))
	text, look = "", "away"
	if err == nil {
		passed := max(0, now.Sub(placed))
		if text = "Ordered " + span(passed) + " ago"; passed < time.Minute {
			text = "Ordered just now"
		}
		if limit, ok := patience[stage]; ok && passed >= limit.late {
			return "Late. " + text, "stopped"
		} else if ok && passed >= limit.slow {
			return "Hurry. " + text, "trouble"
		}
	}
	if byErr == nil && stage != stagePutBack {
		clock := by.Format("15:04")
		if by.Format(time.DateOnly) != now.In(by.Location()).Format(time.DateOnly) {
			clock = by.Format("2 Jan 15:04")
		}
		if now.After(by) {
			return "Late. Promised until " + clock, "stopped"
		}
		text = strings.TrimSpace(text + " · until " + clock)
	}
	return strings.TrimPrefix(text, "· "), look
}

// lastDigits shows of a phone number what tells people of one name apart.
func lastDigits(phone string) string {
	digits := justDigits(phone)
	if len(digits) < 4 {
		return ""
	}
	return "…" + digits[len(digits)-4:]
}

func justDigits(text string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, text)
}
