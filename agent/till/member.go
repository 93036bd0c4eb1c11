package till

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// enrolled is the kept answer to an enrolment: where it is logged. Personal fields
// are kept nowhere but sealed.
type enrolled struct {
	Event string `json:"event"`
}

// EnrolledBefore is the answer to a call that enrolled a member already, nil where
// it is the first time.
func (t *Till) EnrolledBefore(ctx context.Context, c protocol.Call) (answer *protocol.Answer, err error) {
	err = t.o.Driver.View(ctx, func(r ledger.Reader) error {
		kept, err := readAnswer(r, c, c.BodySum())
		if kept != nil {
			answer = &kept.answer
		}
		return err
	})
	return answer, err
}

// Enrol logs that a member was enrolled here, whose key must be kept already. The
// answer leads to the event (Enrolment).
func (t *Till) Enrol(ctx context.Context, c protocol.Call, m *protocol.Member) (protocol.Answer, error) {
	return t.do(ctx, c, nil, func(a *act) (outcome, error) {
		bearers, err := ledger.HeldByCard(a.tx, a.origin().Store, m.Card)
		if err != nil {
			return outcome{}, err
		}
		if len(bearers) > 0 {
			return outcome{}, protocol.Refuse(protocol.Conflict, "Another member bears this card. Nothing was recorded. Look that member up by the card, or give another card.").
				With("field", "card").With("member", string(bearers[0]))
		}
		if err := a.log(&protocol.Event{Kind: protocol.KindMember, Member: m}); err != nil {
			return outcome{}, err
		}
		return outcome{http.StatusCreated, enrolled{a.logged.String()}}, nil
	})
}

var errNoEnrolment = errors.New("the event of an enrolment is not here")

// Enrolment is the member whom a call enrolled, as they were then, and when.
func (t *Till) Enrolment(ctx context.Context, answer protocol.Answer) (m *protocol.Member, wallMs int64, err error) {
	var where enrolled
	if err := json.Unmarshal(answer.Body, &where); err != nil {
		return nil, 0, err
	}
	id, err := protocol.ParseEventID(where.Event)
	if err != nil {
		return nil, 0, err
	}
	err = t.o.Driver.View(ctx, func(r ledger.Reader) error {
		e, ok, err := readLogged(r, id)
		if err == nil && (!ok || e.event.Member == nil) {
			err = errNoEnrolment
		}
		if err == nil {
			m, wallMs = e.event.Member, e.clock.WallMs
		}
		return err
	})
	return m, wallMs, err
}

// holdings are what is held of members here, before the request's own event.
func (d *desk) holdings() *ledger.Holdings {
	if d.held == nil {
		d.held = holdingsOf(d.r, d.origin())
	}
	return d.held
}

func holdingsOf(r ledger.Reader, at protocol.Origin) *ledger.Holdings {
	return ledger.HoldingsOf(r, at.Store, at.Inc)
}

// StandsFor is who stands for a member, as far as is known here.
func (t *Till) StandsFor(ctx context.Context, member protocol.MemberID) (rep protocol.MemberID, err error) {
	as := t.origin()
	err = t.o.Driver.View(ctx, func(r ledger.Reader) error {
		group, err := holdingsOf(r, as).Of(member)
		if err == nil {
			rep = group.IDs[0]
		}
		return err
	})
	return rep, err
}

// standIn names in a receipt who stands for its member.
func (a *act) standIn(s *protocol.Sale) error {
	if s.Member == "" {
		return nil
	}
	group, err := a.holdings().Of(s.Member)
	if err == nil {
		s.Member = group.IDs[0]
	}
	return err
}

// Held is a member who is held here, and what this machine may spend of the points
// without asking.
type Held struct {
	*ledger.HeldMember
	Spendable protocol.Points
}

// HeldMember is who stands for a member as this store knows one; nil for who is not
// held here.
func (t *Till) HeldMember(ctx context.Context, id protocol.MemberID) (*Held, error) {
	list, err := t.held(ctx, func(*ledger.Holdings) ([]protocol.MemberID, error) { return []protocol.MemberID{id}, nil })
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}

// heldShown bounds a look-up: one number that more members share says nothing.
const heldShown = 100

// HeldBy are the members held here who bear a card or, where card is empty, have a
// phone number or e-mail address; the first heldShown of them.
func (t *Till) HeldBy(ctx context.Context, card string, contact protocol.LookupBytes) ([]Held, error) {
	return t.held(ctx, func(h *ledger.Holdings) (ids []protocol.MemberID, err error) {
		if card != "" {
			ids, err = h.ByCard(card)
		} else {
			ids, err = h.ByContact(contact)
		}
		return ids[:min(len(ids), heldShown)], err
	})
}

// held reads members and all that is shown of them in one state. Those who are not
// held are left out.
func (t *Till) held(ctx context.Context, who func(*ledger.Holdings) ([]protocol.MemberID, error)) (list []Held, err error) {
	as := t.origin()
	err = t.o.Driver.View(ctx, func(r ledger.Reader) error {
		list = nil
		live := ledger.Live(r)
		h := holdingsOf(live, as)
		ids, err := who(h)
		if err != nil || len(ids) == 0 {
			return err
		}
		programme, err := t.programmeNow(live)
		if err != nil {
			return err
		}
		for _, id := range ids {
			group, err := h.Of(id)
			if err != nil {
				return err
			}
			if group.Held == nil {
				continue
			}
			p, err := t.purse(h, as, id, programme, nil)
			if err != nil {
				return err
			}
			list = append(list, Held{group.Held, p.spendable()})
		}
		return nil
	})
	return list, err
}
