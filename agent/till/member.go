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

// groupHere are the ids under which something of a member may be in this store, that
// of who stands for the member, as far as is known here, as the first. Of an account
// they are the accounts of the same kind.
func groupHere(r ledger.Reader, store protocol.StoreID, member protocol.MemberID) ([]protocol.MemberID, error) {
	owner := member.Of()
	if owner == "" || member.AsOf("") == member {
		return []protocol.MemberID{member}, nil
	}
	held, err := ledger.ReadHeldMember(r, ledger.MemberAt{Store: store, Member: owner})
	if err != nil || held == nil {
		return []protocol.MemberID{member}, err
	}
	ids := held.IDs()
	for i := range ids {
		ids[i] = member.AsOf(ids[i])
	}
	return ids, nil
}

// StandsFor is who stands for a member, as far as is known here.
func (t *Till) StandsFor(ctx context.Context, member protocol.MemberID) (rep protocol.MemberID, err error) {
	store := t.origin().Store
	err = t.o.Driver.View(ctx, func(r ledger.Reader) error {
		ids, err := groupHere(r, store, member)
		rep = ids[0]
		return err
	})
	return rep, err
}

// standIn names in a receipt who stands for its member.
func (a *act) standIn(s *protocol.Sale) error {
	if s.Member == "" {
		return nil
	}
	ids, err := groupHere(a.tx, a.origin().Store, s.Member)
	s.Member = ids[0]
	return err
}

// HeldMember is who stands for a member as this store knows one, and what this
// machine may spend of the points without asking; nil for who is not held here.
func (t *Till) HeldMember(ctx context.Context, id protocol.MemberID) (held *ledger.HeldMember, spendable protocol.Points, err error) {
	as := t.origin()
	err = t.o.Driver.View(ctx, func(r ledger.Reader) (err error) {
		if held, err = ledger.ReadHeldMember(r, ledger.MemberAt{Store: as.Store, Member: id}); err == nil {
			spendable, err = t.spendable(r, id, nil)
		}
		return err
	})
	return held, spendable, err
}

// HeldBy are the members held here who bear a card or, where card is empty, have a
// phone number or e-mail address.
func (t *Till) HeldBy(ctx context.Context, card string, contact protocol.LookupBytes) (ids []protocol.MemberID, err error) {
	store := t.origin().Store
	err = t.o.Driver.View(ctx, func(r ledger.Reader) (err error) {
		if card != "" {
			ids, err = ledger.HeldByCard(r, store, card)
		} else {
			ids, err = ledger.HeldByContact(r, store, contact)
		}
		return err
	})
	return ids, err
}
