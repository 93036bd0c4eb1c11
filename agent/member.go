package agent

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"

	"counterpart/agent/api"
	"counterpart/agent/till"
	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/loyalty"
	"counterpart/protocol/sale"
)

// errCannotKnow says that neither this store nor the head office can tell.
func errCannotKnow(cause error) error {
	return &protocol.Error{Code: protocol.CannotKnow, Err: cause, Message: "This store does not hold such a member, and the head office cannot be reached, so it is not known whether there is one. " +
		"Nothing was recorded. Sell without the member and ask again when the link is back, or enrol the member here: the head office finds out who is known already."}
}

func random(b []byte) { _, _ = rand.Read(b) } // It never fails (crypto/rand).

// enrolMember enrols a member here, without asking anybody: temporary, until the
// hub knows of it. The key is kept before the event is logged, so that no event is
// ever without.
func (a *Agent) enrolMember(ctx context.Context, c protocol.Call, q loyalty.MemberRequest) (protocol.Answer, error) {
	kept, err := a.till.EnrolledBefore(ctx, c)
	if err != nil {
		return protocol.Answer{}, err
	}
	var fresh protocol.MemberID
	if kept == nil {
		m, err := a.newMember(ctx, q)
		if err != nil {
			return protocol.Answer{}, err
		}
		answer, err := a.till.Enrol(ctx, c, m)
		if err != nil {
			return protocol.Answer{}, errors.Join(err, a.keys.ring.Forget(context.WithoutCancel(ctx), []string{string(m.ID)}))
		}
		kept, fresh = &answer, m.ID
	}
	m, wallMs, err := a.till.Enrolment(ctx, *kept)
	if err != nil {
		return protocol.Answer{}, err
	}
	if fresh != "" && fresh != m.ID {
		// An earlier stream of this machine had answered the call.
		if err := a.keys.ring.Forget(ctx, []string{string(fresh)}); err != nil {
			return protocol.Answer{}, err
		}
	}
	doc, err := a.memberDocument(ctx, m, loyalty.PointsDocument{AsOf: utc(time.UnixMilli(wallMs))})
	if err != nil {
		return protocol.Answer{}, err
	}
	body, err := json.Marshal(doc)
	return protocol.Answer{Status: kept.Status, Body: body}, err
}

// newMember is the member that a request asks for, sealed with a key that is kept.
func (a *Agent) newMember(ctx context.Context, q loyalty.MemberRequest) (*protocol.Member, error) {
	if err := a.keys.usable(); err != nil {
		return nil, err
	}
	m := &protocol.Member{ID: protocol.NewMemberID(random), Version: 1, Status: protocol.MemberTemporary, HomeStore: a.origin().Store}
	var person protocol.Personal
	if err := q.ApplyTo(m, &person, a.now().UnixMilli()); err != nil {
		return nil, err
	}
	if err := sale.RefuseCardNumbers(person.Name, person.Email, m.Locale); err != nil {
		return nil, err
	}
	if m.Card == "" {
		m.Card = protocol.NewMemberCard(random)
	}
	lookup, ok, err := a.keys.lookup(ctx)
	if err == nil && ok {
		m.PhoneSum, m.EmailSum, err = loyalty.Contacts(lookup, person)
	}
	if err != nil {
		return nil, err
	}
	key := protocol.NewSubjectKey(random)
	if m.Sealed, err = protocol.Seal(key, string(m.ID), person, random); err != nil {
		return nil, err
	}
	return m, a.keys.ring.Put(ctx, map[string]protocol.SubjectKey{string(m.ID): key})
}

// memberDocument shows a member, with the personal fields where their key is here,
// and who was merged into them.
func (a *Agent) memberDocument(ctx context.Context, m *protocol.Member, points loyalty.PointsDocument, merged ...*protocol.Member) (loyalty.MemberDocument, error) {
	person, err := a.unseal(ctx, m)
	if err != nil {
		return loyalty.MemberDocument{}, err
	}
	return loyalty.NewMemberDocument(m, person, points).With(merged), nil
}

// unseal reads the personal fields of a member; nil where their key is not here.
func (a *Agent) unseal(ctx context.Context, m *protocol.Member) (*protocol.Personal, error) {
	if len(m.Sealed) == 0 {
		return nil, nil
	}
	key, ok, err := a.keys.key(ctx, m.ID)
	if err != nil || !ok {
		return nil, err
	}
	p, err := protocol.Open(key, string(m.ID), m.Sealed)
	if err != nil {
		a.log.Error("personal fields do not open with the key that is here", "member", m.ID)
		return nil, nil
	}
	return &p, nil
}

// birthday is a member's, empty where it cannot be read: a sale never waits for that.
func (a *Agent) birthday(m *protocol.Member) string {
	person, err := a.unseal(context.Background(), m)
	if err != nil || person == nil {
		return ""
	}
	return person.Birthday
}

// member shows a member, or who stands for them: as this store holds one, or as the
// hub does.
func (a *Agent) member(ctx context.Context, id protocol.MemberID) (loyalty.MemberDocument, error) {
	held, err := a.till.HeldMember(ctx, id)
	if err != nil {
		return loyalty.MemberDocument{}, err
	}
	if held != nil {
		return a.heldDocument(ctx, held)
	}
	var doc loyalty.MemberDocument
	if err := a.askHub(ctx, "/v1/members/"+string(id), nil, &doc); err != nil {
		return doc, err
	}
	doc.Points.SpendableHere, err = a.till.Spendable(ctx, doc.ID, doc.Points.Balance)
	return doc, err
}

// heldDocument shows a member whom this store holds.
func (a *Agent) heldDocument(ctx context.Context, held *till.Held) (loyalty.MemberDocument, error) {
	return a.memberDocument(ctx, held.Member, loyalty.PointsDocument{
		Balance: held.Balance, Leased: held.Leased, SpendableHere: held.Spendable, AsOf: utc(a.toldAt()),
	}, held.Merged...)
}

// members lists those who bear a card, or have a phone number or e-mail address.
func (a *Agent) members(ctx context.Context, q api.MemberQuery) ([]loyalty.MemberDocument, error) {
	list, err := a.membersBy(ctx, q)
	if err == nil {
		a.greet(list)
	}
	return list, err
}

// membersBy finds those whom this store holds or, where it holds none, those whom
// the hub names.
func (a *Agent) membersBy(ctx context.Context, q api.MemberQuery) ([]loyalty.MemberDocument, error) {
	held, err := a.heldBy(ctx, q)
	if err != nil {
		return nil, err
	}
	var list struct{ Items []loyalty.MemberDocument }
	if len(held) == 0 {
		query := url.Values{}
		for name, value := range map[string]string{"card": q.Card, "phone": q.Phone, "email": q.Email} {
			if value != "" {
				query.Set(name, value)
			}
		}
		err := a.askHub(ctx, "/v1/members", query, &list)
		for i := range list.Items {
			// The hub does not know at whose till it is asked.
			points := &list.Items[i].Points
			spendable, readErr := a.till.Spendable(ctx, list.Items[i].ID, points.Balance)
			points.SpendableHere, err = spendable, errors.Join(err, readErr)
		}
		return list.Items, err
	}
	for i := range held {
		doc, err := a.heldDocument(ctx, &held[i])
		if err != nil {
			return nil, err
		}
		list.Items = append(list.Items, doc)
	}
	return list.Items, nil
}

// heldBy finds members whom this store holds. Without the chain's key for look-ups
// nobody is found by phone or e-mail.
func (a *Agent) heldBy(ctx context.Context, q api.MemberQuery) ([]till.Held, error) {
	if q.Card != "" {
		return a.till.HeldBy(ctx, q.Card, protocol.LookupBytes{})
	}
	person, err := protocol.Personal{Phone: q.Phone, Email: q.Email}.Normal()
	if err != nil {
		return nil, err
	}
	key, ok, err := a.keys.lookup(ctx)
	if err != nil || !ok {
		return nil, err
	}
	sum, email, err := loyalty.Contacts(key, person)
	if err != nil {
		return nil, err
	}
	if q.Phone == "" {
		sum = email
	}
	return a.till.HeldBy(ctx, "", sum)
}

// askHub asks for a document that the hub alone can give. What it refuses is
// refused in its words.
func (a *Agent) askHub(ctx context.Context, path string, query url.Values, into any) error {
	status, body, err := a.uplink().Ask(ctx, path, query)
	if err != nil {
		return errCannotKnow(err)
	}
	if status == http.StatusOK {
		return json.Unmarshal(body, into)
	}
	var problem struct {
		Code   protocol.Code
		Detail string
		Field  string
	}
	if json.Unmarshal(body, &problem) != nil || status >= http.StatusInternalServerError || problem.Code == "" {
		return errCannotKnow(nil)
	}
	refusal := protocol.Refuse(problem.Code, problem.Detail)
	if problem.Field != "" {
		refusal = refusal.With("field", problem.Field)
	}
	return refusal
}

// toldAt is up to when this store knows what the hub knew: now while the link is
// up, else when the hub was last heard.
func (a *Agent) toldAt() time.Time {
	up := a.uplink().Status()
	switch {
	case up.Link.State == "online":
		return a.now()
	case up.Heard > 0:
		return a.started.Add(up.Heard)
	}
	return time.UnixMilli(a.heardBefore)
}

// noteHeard is where it is kept when the hub was last heard, for a start without
// it.
const noteHeard = "hub_heard"

// heardEvery is how often that is written down.
const heardEvery = 5 * time.Minute

// keepHeard writes down, now and then, when the hub was last heard.
func (a *Agent) keepHeard(ctx context.Context) {
	up := a.uplink().Status()
	if up.Heard == 0 {
		return
	}
	at := a.started.Add(up.Heard).UnixMilli()
	if at-a.heardSaved < heardEvery.Milliseconds() {
		return
	}
	err := a.db.Update(ctx, func(tx ledger.Tx) error { return ledger.SetNote(tx, []byte(utc(time.UnixMilli(at))), noteHeard) })
	if err != nil {
		if ctx.Err() == nil {
			a.log.Warn("when the hub was last heard is not written down", "error", err)
		}
		return
	}
	a.heardSaved = at
}

// readHeard reads when an earlier process last heard the hub; the start of this one
// where nothing is known.
func (a *Agent) readHeard(ctx context.Context) error {
	return a.db.View(ctx, func(r ledger.Reader) error {
		b, err := ledger.Note(r, noteHeard)
		if err != nil {
			return err
		}
		a.heardBefore = a.started.UnixMilli()
		if at, err := time.Parse(protocol.TimeLayout, string(b)); err == nil {
			a.heardBefore = at.UnixMilli()
		}
		return nil
	})
}

func utc(t time.Time) string { return t.UTC().Format(protocol.TimeLayout) }
