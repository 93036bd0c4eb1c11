package web

import (
	"cmp"
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/cart"
	"counterpart/protocol/loyalty"
)

// People is what the page of members shows.
type People struct {
	// Find looks members up by one of card, phone and email.
	Find     func(ctx context.Context, by, value string) ([]loyalty.MemberDocument, error)
	Member   func(context.Context, protocol.MemberID) (loyalty.MemberDocument, error)
	Leases   func(context.Context, protocol.MemberID) ([]Lease, error)
	Cart     func(context.Context, protocol.MemberID) (cart.Document, error)
	Timeline func(ctx context.Context, id protocol.MemberID, limit int) (loyalty.TimelineDocument, error)
}

// Lease is what a store's machine holds of a member's points.
type Lease struct {
	Store  protocol.StoreID
	Agent  protocol.AgentID
	Holder string
	Left   protocol.Points
	State  string
}

// What the page of members shows at most.
const (
	entriesMax  = 20
	choicesMax  = 20
	contactsLen = 256
)

// peopleView is what a look-up found: one member, or some to choose from. Personal
// fields are masked here, so that no page ever holds them.
type peopleView struct {
	Text    string // where it is not one member
	Choices []personView
	One     *personView
}

type personView struct {
	ID, Card, Status string
	Person           protocol.Masked
	Home             string
	Merged           string
	Locked, Erased   bool
	Balance, Leased  string
	Consents         []consentRow
	Leases           []leaseRow
	Lines            []cartRow
	Entries          []entryRow
	More             bool
	Problem          string // what of it could not be read
}

type consentRow struct {
	What    string
	Granted bool
	At      moment
}

type leaseRow struct {
	Store, Agent, Holder string
	Left, State, Look    string
	Suspense             bool
}

type cartRow struct{ Name, SKU, Qty, Note string }

type entryRow struct {
	ID, What, Text, Where string
	At                    moment
	Open                  bool
}

func (s *site) serveMembers(w http.ResponseWriter, r *http.Request) { s.answer(w, r, "members", nil) }

// serveFound answers ?q=: what a card says, a phone number, an e-mail address or a
// member's id. The page asks for it by script, so that no number of a person
// stands in an address that the browser keeps.
func (s *site) serveFound(w http.ResponseWriter, r *http.Request) {
	s.answer(w, r, "found", s.people(r.Context(), strings.TrimSpace(r.URL.Query().Get("q"))))
}

func (s *site) people(ctx context.Context, q string) peopleView {
	if q == "" || !protocol.ValidText(q, contactsLen) {
		return peopleView{Text: "Type a card, a phone number with + and the country, an e-mail address or a member’s id."}
	}
	by, value := byWhat(q)
	if by == "id" {
		doc, err := s.deps.People.Member(ctx, protocol.MemberID(value))
		if err != nil {
			return peopleView{Text: s.problem(ctx, err)}
		}
		return peopleView{One: s.person(ctx, &doc)}
	}
	list, err := s.deps.People.Find(ctx, by, value)
	switch {
	case err != nil:
		return peopleView{Text: s.problem(ctx, err)}
	case len(list) == 0:
		return peopleView{Text: "No member is known by that."}
	case len(list) == 1:
		return peopleView{One: s.person(ctx, &list[0])}
	}
	v := peopleView{Text: strconv.Itoa(len(list)) + " members are known by that."}
	for i := range min(len(list), choicesMax) {
		v.Choices = append(v.Choices, newPerson(&list[i]))
	}
	return v
}

// byWhat tells what somebody typed.
func byWhat(q string) (by, value string) {
	number := strings.NewReplacer(" ", "", "-", "", "(", "", ")", "", ".", "").Replace(q)
	switch {
	case strings.Contains(q, "@"):
		return "email", q
	case strings.HasPrefix(number, "+"), strings.HasPrefix(number, "00"):
		return "phone", number
	case strings.HasPrefix(q, "m-"):
		return "id", q
	}
	return "card", q
}

// problem is what people read of an error. Its cause is logged.
func (s *site) problem(ctx context.Context, err error) string {
	e := protocol.AsError(err)
	if e.Code == protocol.Internal && ctx.Err() == nil {
		s.deps.Log.ErrorContext(ctx, "page incomplete", "error", err)
	}
	return e.Message
}

func newPerson(d *loyalty.MemberDocument) personView {
	p := protocol.Personal{Name: orEmpty(d.Name), Phone: orEmpty(d.Phone), Email: orEmpty(d.Email), Birthday: orEmpty(d.Birthday)}
	v := personView{
		ID: string(d.ID), Card: inert(orEmpty(d.Card)), Status: loyalty.Words(string(d.Status)), Person: p.Masked(), Home: string(orEmpty(d.HomeStore)), Merged: string(orEmpty(d.MergedInto)),
		Locked: d.Locked, Erased: d.Status == protocol.MemberErased, Balance: points(d.Points.Balance), Leased: points(d.Points.Leased),
	}
	v.Person.Name = cmp.Or(inert(v.Person.Name), "No name")
	v.Person.Email = inert(v.Person.Email)
	return v
}

// person collects all that is shown of one member.
func (s *site) person(ctx context.Context, d *loyalty.MemberDocument) *personView {
	v, now := newPerson(d), s.deps.Now()
	for i := range d.Consents {
		c := &d.Consents[i]
		v.Consents = append(v.Consents, consentRow{loyalty.Words(c.Channel) + ", " + strings.ToLower(loyalty.Words(c.Purpose)), c.Granted, momentAt(c.At, now)})
	}
	leases, err := s.deps.People.Leases(ctx, d.ID)
	for _, l := range leases {
		row := leaseRow{Store: string(l.Store), Agent: string(l.Agent), Holder: l.Holder, Left: points(l.Left), State: "May be spent there", Look: "ok"}
		switch l.State {
		case "recalled":
			row.State, row.Look = "Asked back", "sending"
		case "suspense":
			row.State, row.Look, row.Suspense = "In suspense: its machine is gone", "trouble", true
		}
		v.Leases = append(v.Leases, row)
	}
	if err == nil && !v.Erased && v.Merged == "" {
		err = s.addCart(ctx, &v, d.ID)
	}
	if err == nil {
		err = s.addTimeline(ctx, &v, d.ID, now)
	}
	if err != nil {
		v.Problem = s.problem(ctx, err)
	}
	return &v
}

func (s *site) addCart(ctx context.Context, v *personView, id protocol.MemberID) error {
	doc, err := s.deps.People.Cart(ctx, id)
	for i := range doc.Lines {
		l := &doc.Lines[i]
		row := cartRow{Name: inert(cmp.Or(orEmpty(l.Name), string(l.SKU))), SKU: inert(string(l.SKU)), Qty: l.Qty.String(), Note: inert(orEmpty(l.Note))}
		if l.Locked {
			row.Note = "There is a note that cannot be read."
		}
		v.Lines = append(v.Lines, row)
	}
	return err
}

// made are the entries that events make, in words.
var made = map[string]string{"sale": "Bought", "return": "Returned", "void": "Voided a receipt", "points": "Points changed", "enrolled": "Enrolled", loyalty.KindClosed: "Dealt with"}

func (s *site) addTimeline(ctx context.Context, v *personView, id protocol.MemberID, now time.Time) error {
	doc, err := s.deps.People.Timeline(ctx, id, entriesMax)
	v.More = doc.Next != nil
	for i := range doc.Items {
		e := &doc.Items[i]
		row := entryRow{ID: e.ID, What: cmp.Or(made[e.Kind], loyalty.Words(e.Kind)), Text: inert(orEmpty(e.Text)), At: momentAt(e.At, now), Open: e.Open}
		row.Where = strings.TrimSpace(loyalty.Words(orEmpty(e.Channel)) + " " + string(orEmpty(e.Store)))
		var figures []string
		if e.Amount != nil {
			figures = append(figures, price(*e.Amount, orEmpty(e.Currency)))
		}
		if e.Points != 0 {
			figures = append(figures, points(e.Points)+" points")
		}
		if e.Locked {
			row.Text = "What was said cannot be read."
		} else if row.Text == "" {
			row.Text = strings.Join(figures, ", ")
		}
		v.Entries = append(v.Entries, row)
	}
	return err
}

func momentAt(text string, now time.Time) moment {
	at, _ := time.Parse(time.RFC3339, text) // The time of no moment is none.
	return momentOf(at, now)
}

func points(p protocol.Points) string {
	if p < 0 {
		return "−" + grouped(uint64(-p))
	}
	return grouped(uint64(p))
}

func orEmpty[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
