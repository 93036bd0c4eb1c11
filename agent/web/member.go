package web

import (
	"cmp"
	"context"
	"strconv"
	"strings"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/cart"
	"counterpart/protocol/loyalty"
	"counterpart/protocol/stock"
)

// What a look-up of a member comes to.
const (
	memberFound   = "found"
	memberSeveral = "several"
	memberNone    = "none"    // the whole chain knows nobody
	memberUnknown = "unknown" // nobody can tell now
	memberRefused = "refused"
)

// What the till's page shows of a member at most.
const (
	contactsMax  = 5
	cartLinesMax = 100
	choicesMax   = 8
	lookUpMax    = 256
)

// memberView is what staff see of a member. Personal fields are masked here, so
// that no page ever holds them.
type memberView struct {
	State string
	Text  string // of all states but found
	Card  string // what was looked for, where it was a card

	ID      string
	Person  protocol.Masked
	CardNo  string
	Notes   []string // what is odd about the member
	Spends  bool     // has an account that can be spent of
	Points  protocol.Points
	Balance string
	Here    string // what may be spent here without asking anybody
	Asked   *moment
	Choices []memberView // of several

	Cart     cartView
	Consents []consentView
	Contacts []contactView
	// Elsewhere says that the timeline is only this store's.
	Elsewhere bool
	Trouble   string // why there is no timeline
}

// cartView is a member's cart, as it stands at this store's shelves.
type cartView struct {
	Lines   []cartLineView
	More    int    // lines that are not shown
	Known   string // where it is not the hub's own word
	Trouble string // why there is none
	Any     bool   // some line can be put into a sale
}

type cartLineView struct {
	Name, SKU string
	Qty       string // as people read it
	Plain     string // as a field holds it
	Note      string
	Price     string
	OnHand    string
	Missing   string // what keeps the line from the sale, wholly or in part
	Sells     bool
}

type consentView struct {
	What    string
	Granted bool
}

type contactView struct {
	What, Channel, Text string
	At                  moment
	Open                bool
	Store               string
}

// lookUp finds members by one of lookups.
func (s *site) lookUp(ctx context.Context, by, value string) memberView {
	value = strings.TrimSpace(value)
	if value == "" || !protocol.ValidText(value, lookUpMax) {
		return memberView{State: memberRefused, Text: "That is too long, or cannot be read. Scan the card again."}
	}
	v := memberView{State: memberNone, Text: "No member is known by that. Check it, or enrol the member."}
	if by == "card" {
		v.Card, v.Text = value, "No member has this card."
	}
	list, err := s.deps.Members(ctx, by, value)
	switch {
	case err != nil:
		v.State, v.Text = memberRefused, s.problem(ctx, "members", err)
		if protocol.CodeOf(err) == protocol.CannotKnow {
			v.State = memberUnknown
		}
	case len(list) == 1:
		return s.viewMember(ctx, &list[0])
	case len(list) > 1:
		v.State, v.Text = memberSeveral, strconv.Itoa(len(list))+" members are known by that. Ask which one it is."
		for i := range min(len(list), choicesMax) {
			v.Choices = append(v.Choices, viewPerson(&list[i]))
		}
	}
	return v
}

func (s *site) memberByID(ctx context.Context, id protocol.MemberID) memberView {
	doc, err := s.deps.Member(ctx, id)
	if err != nil {
		v := memberView{State: memberRefused, Text: s.problem(ctx, "member", err)}
		if protocol.CodeOf(err) == protocol.CannotKnow {
			v.State = memberUnknown
		}
		return v
	}
	return s.viewMember(ctx, &doc)
}

// viewPerson is who a member is, without what is asked of others.
func viewPerson(d *loyalty.MemberDocument) memberView {
	p := protocol.Personal{Name: orEmpty(d.Name), Phone: orEmpty(d.Phone), Email: orEmpty(d.Email)}
	v := memberView{State: memberFound, ID: string(d.ID), Person: p.Masked(), CardNo: inert(orEmpty(d.Card))}
	v.Person.Name, v.Person.Email = inert(v.Person.Name), inert(v.Person.Email)
	switch {
	case d.Status == protocol.MemberErased:
		v.Notes = append(v.Notes, "This member is erased. Sell without a member.")
	case d.Status == protocol.MemberMerged:
		v.Notes = append(v.Notes, "This member is merged into another. Scan the card again.")
	case d.Status == protocol.MemberTemporary:
		v.Notes = append(v.Notes, "Enrolled here. The head office does not know of it yet.")
	case d.Locked:
		v.Notes = append(v.Notes, "The name is here and cannot be read before the head office has been heard.")
	}
	if v.Person.Name == "" {
		v.Person.Name = "No name"
	}
	return v
}

// viewMember collects what staff see. The cart and the timeline are the hub's, so
// both are asked for at once.
func (s *site) viewMember(ctx context.Context, d *loyalty.MemberDocument) memberView {
	v := viewPerson(d)
	now := s.deps.Now()
	v.Spends = d.Status == protocol.MemberActive
	v.Points = d.Points.Balance
	v.Balance, v.Here, v.Asked = groupPoints(d.Points.Balance), groupPoints(d.Points.SpendableHere), momentOf(d.Points.AsOf, now)
	for i := range d.Consents {
		c := &d.Consents[i]
		v.Consents = append(v.Consents, consentView{What: loyalty.Words(c.Channel) + ", " + strings.ToLower(loyalty.Words(c.Purpose)), Granted: c.Granted})
	}
	if d.Status != protocol.MemberActive && d.Status != protocol.MemberTemporary {
		return v
	}
	wait := beside(func() { v.Cart = s.viewCart(ctx, d.ID, now) })
	timeline, err := s.deps.Timeline(ctx, d.ID, contactsMax)
	wait()
	if err != nil {
		v.Trouble = s.unheard(ctx, "timeline", err, "What happened elsewhere is not known while the head office is away.")
		return v
	}
	v.Elsewhere = timeline.From == cart.FromStore
	for i := range timeline.Items {
		v.Contacts = append(v.Contacts, viewContact(&timeline.Items[i], now))
	}
	return v
}

// beside works at the same time as its caller. A panic comes up where wait is
// called, which is within the handler that recovers from it.
func beside(work func()) (wait func()) {
	done := make(chan any, 1)
	go func() {
		defer func() { done <- recover() }()
		work()
	}()
	return func() {
		if cause := <-done; cause != nil {
			panic(cause)
		}
	}
}

// unheard is what staff read where something is not known; away where the reason
// is the line.
func (s *site) unheard(ctx context.Context, what string, err error, away string) string {
	if protocol.CodeOf(err) == protocol.CannotKnow {
		return away
	}
	return s.problem(ctx, what, err)
}

func (s *site) viewCart(ctx context.Context, id protocol.MemberID, now time.Time) (v cartView) {
	doc, err := s.deps.Cart(ctx, id)
	if err != nil {
		v.Trouble = s.unheard(ctx, "cart", err, "The cart is not known here while the head office is away.")
		return v
	}
	if doc.From == cart.FromStore {
		v.Known = "As this store heard it"
		if at := momentOf(doc.AsOf, now); at != nil {
			v.Known += ", " + at.Age
		}
	}
	lines := doc.Lines
	if len(lines) > cartLinesMax {
		v.More, lines = len(lines)-cartLinesMax, lines[:cartLinesMax]
	}
	skus := make([]protocol.SKU, len(lines))
	for i := range lines {
		skus[i] = lines[i].SKU
	}
	items, err := s.deps.ItemsOf(ctx, skus)
	if err != nil {
		v.Trouble = s.problem(ctx, "cart", err)
		return v
	}
	known := map[protocol.SKU]*stock.ItemDocument{}
	for i := range items {
		known[items[i].SKU] = &items[i]
	}
	for i := range lines {
		line := viewCartLine(&lines[i], known[lines[i].SKU])
		v.Lines, v.Any = append(v.Lines, line), v.Any || line.Sells
	}
	return v
}

func viewCartLine(l *cart.DocumentLine, item *stock.ItemDocument) cartLineView {
	v := cartLineView{
		Name: inert(cmp.Or(orEmpty(l.Name), string(l.SKU))), SKU: inert(string(l.SKU)), Qty: formatQuantity(l.Qty, ""), Plain: l.Qty.String(), Note: inert(orEmpty(l.Note)),
	}
	if l.Locked {
		v.Note = "There is a note that cannot be read here."
	}
	if item == nil {
		v.Missing = "Not in this store’s list"
		return v
	}
	v.Qty, v.Sells = formatQuantity(l.Qty, item.Unit), !item.Blocked
	if item.PriceMinor != nil {
		v.Price = formatMoney(*item.PriceMinor, orEmpty(item.Currency))
	}
	v.OnHand = formatQuantity(item.OnHand, item.Unit) + " here"
	switch {
	case item.Blocked:
		v.OnHand, v.Missing = "", "Blocked from sale"
	case !item.Stocked:
		v.OnHand = "not counted"
	case item.OnHand <= 0:
		v.OnHand, v.Missing = "", "None here"
	case item.OnHand < l.Qty:
		v.OnHand, v.Missing = "", "Only "+formatQuantity(item.OnHand, item.Unit)+" here"
	}
	return v
}

// kinds are the entries that events make, in words.
var kinds = map[string]string{"sale": "Bought", "return": "Returned", "void": "Voided a receipt", "points": "Points changed", "enrolled": "Enrolled", loyalty.KindClosed: "Dealt with"}

func viewContact(e *loyalty.EntryDocument, now time.Time) contactView {
	v := contactView{What: cmp.Or(kinds[e.Kind], loyalty.Words(e.Kind)), Text: inert(orEmpty(e.Text)), Open: e.Open}
	if _, made := kinds[e.Kind]; !made || e.Kind == loyalty.KindClosed {
		v.Channel = loyalty.Words(orEmpty(e.Channel))
	}
	if at := momentOf(e.At, now); at != nil {
		v.At = *at
	}
	if e.Store != nil {
		v.Store = string(*e.Store)
	}
	var figures []string
	if e.Amount != nil {
		figures = append(figures, formatMoney(max(*e.Amount, -*e.Amount), orEmpty(e.Currency)))
	}
	switch {
	case e.Points > 0:
		figures = append(figures, "+"+groupPoints(e.Points)+" points")
	case e.Points < 0:
		figures = append(figures, groupPoints(e.Points)+" points")
	}
	switch {
	case e.Locked:
		v.Text = "What was said cannot be read here."
	case v.Text == "":
		v.Text = strings.Join(figures, ", ")
	}
	return v
}
