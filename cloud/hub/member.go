package hub

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/loyalty"
	"counterpart/protocol/sale"
)

// errNoMember says that a member is not known.
func errNoMember() error {
	return protocol.Refuse(protocol.NotFound, "There is no such member. Nothing was recorded. Look the member up by card, phone or e-mail; one who was enrolled in a store that is offline comes when it is back.")
}

// errNoKeys refuses what needs the keys of members.
func errNoKeys() error {
	return protocol.Refuse(protocol.NotProvisioned, "The keys of members cannot be read on this machine, so personal data can neither be kept nor shown. Nothing was recorded. Put keys.db and keys.salt of the old machine beside the database and start again.")
}

// lookupSecret is the name in the key ring of the key under which phone numbers
// and e-mail addresses are looked up.
const lookupSecret = "lookup"

// lookupKey is the chain's key for look-ups; it is made once.
func (h *Hub) lookupKey(ctx context.Context) (key protocol.LookupKey, err error) {
	if h.keys == nil || h.keys.Locked() {
		return key, errNoKeys()
	}
	h.enrolling.Lock()
	defer h.enrolling.Unlock()
	b, ok, err := h.keys.Secret(ctx, lookupSecret)
	if err != nil {
		return key, err
	}
	if !ok {
		b = make([]byte, len(key))
		h.random(b)
		if err := h.keys.SetSecret(ctx, lookupSecret, b); err != nil {
			return key, err
		}
	}
	if copy(key[:], b) != len(key) {
		return key, errors.New("the key for look-ups is of another size")
	}
	return key, nil
}

// enrolled is what is kept of the answer to an enrolment: where it is logged. The
// answer itself holds personal fields, which are kept nowhere but sealed.
type enrolled struct {
	Event string `json:"event"`
}

// EnrolMember enrols a member and answers 201 with them. Nothing personal is in
// the event but sealed, and the key is kept before the event is logged, so that no
// event is ever without.
func (h *Hub) EnrolMember(ctx context.Context, c protocol.Call, q loyalty.MemberRequest) (protocol.Answer, error) {
	kept, err := h.once(ctx, c, func(keep func(ledger.Tx, protocol.Answer) error) (answer protocol.Answer, err error) {
		m, err := h.enrolment(ctx, q)
		if err != nil {
			return answer, err
		}
		_, err = h.actAfter(ctx, m.HomeStore, func(tx ledger.Tx, _ protocol.Origin) ([]*protocol.Event, error) {
			return []*protocol.Event{{Kind: protocol.KindMember, Member: m}}, h.mayEnrol(tx, m)
		}, func(tx ledger.Tx, _ []*protocol.Event) error {
			at, err := ledger.ReadMemberEvent(tx, ledger.MemberAt{Store: m.HomeStore, Member: m.ID})
			if err != nil {
				return err
			}
			if answer, err = answerJSON(http.StatusCreated, enrolled{at.String()}); err != nil {
				return err
			}
			return keep(tx, answer)
		})
		return answer, err
	})
	if err != nil {
		return protocol.Answer{}, err
	}
	return h.enrolmentAnswer(ctx, kept)
}

// enrolment is the member that a request asks for, sealed.
func (h *Hub) enrolment(ctx context.Context, q loyalty.MemberRequest) (*protocol.Member, error) {
	m, person := &protocol.Member{ID: protocol.NewMemberID(h.random), Version: 1, Status: protocol.MemberActive}, protocol.Personal{}
	if err := q.ApplyTo(m, &person, h.now().UnixMilli()); err != nil {
		return nil, err
	}
	if m.Card == "" {
		m.Card = protocol.NewMemberCard(h.random)
	}
	if err := h.seal(ctx, m, person, protocol.NewSubjectKey(h.random)); err != nil {
		return nil, err
	}
	return m, nil
}

// seal puts personal fields into a member, with what they are looked up by. The
// key is kept first.
func (h *Hub) seal(ctx context.Context, m *protocol.Member, person protocol.Personal, key protocol.SubjectKey) error {
	if err := sale.RefuseCardNumbers(person.Name, person.Email, m.Locale); err != nil {
		return err
	}
	if err := h.setContacts(ctx, m, person); err != nil {
		return err
	}
	var err error
	if m.Sealed, err = protocol.Seal(key, string(m.ID), person, h.random); err != nil {
		return err
	}
	return h.keys.Put(ctx, map[string]protocol.SubjectKey{string(m.ID): key})
}

// setContacts sets what a member is looked up by.
func (h *Hub) setContacts(ctx context.Context, m *protocol.Member, person protocol.Personal) error {
	lookup, err := h.lookupKey(ctx)
	if err == nil {
		m.PhoneSum, m.EmailSum, err = loyalty.Contacts(lookup, person)
	}
	return err
}

// mayEnrol refuses a home store that does not exist and a card that another
// member bears.
func (h *Hub) mayEnrol(r ledger.Reader, m *protocol.Member) error {
	if m.HomeStore != "" {
		if err := knownStore(r, m.HomeStore); err != nil {
			return err
		}
	}
	if m.Card == "" {
		return nil
	}
	bearers, err := ledger.CardMembers(r, m.Card)
	if err != nil {
		return err
	}
	for _, b := range bearers {
		if b.Member != m.ID {
			return protocol.Refuse(protocol.Conflict, "Another member bears this card. Nothing was recorded. Look that member up by the card, or give another card.").
				With("field", "card").With("member", string(b.Member))
		}
	}
	return nil
}

// enrolmentAnswer makes the answer to an enrolment from its event: the same each
// time, for as long as the member is not erased.
func (h *Hub) enrolmentAnswer(ctx context.Context, kept protocol.Answer) (protocol.Answer, error) {
	var where enrolled
	if err := json.Unmarshal(kept.Body, &where); err != nil {
		return protocol.Answer{}, err
	}
	id, err := protocol.ParseEventID(where.Event)
	if err != nil {
		return protocol.Answer{}, err
	}
	var m *protocol.Member
	var wallMs int64
	err = h.view(ctx, func(r ledger.Reader) error {
		rec, ok, err := ledger.ReadEvent(r, id)
		if err != nil || !ok {
			return errors.Join(err, errNoMember())
		}
		ev, err := protocol.DecodeEvent(rec.Body)
		if err == nil {
			m, wallMs = ev.Member, rec.WallMs
		}
		return err
	})
	if err != nil {
		return protocol.Answer{}, err
	}
	person, err := h.unseal(ctx, m)
	if err != nil {
		return protocol.Answer{}, err
	}
	return answerJSON(kept.Status, loyalty.NewMemberDocument(m, person, loyalty.PointsDocument{AsOf: timeOf(wallMs)}))
}

// unseal reads the personal fields of a member; nil where their key is not here.
func (h *Hub) unseal(ctx context.Context, m *protocol.Member) (*protocol.Personal, error) {
	if h.keys == nil || len(m.Sealed) == 0 {
		return nil, nil
	}
	key, ok, err := h.keys.Key(ctx, string(m.ID))
	if errors.Is(err, ledger.ErrLocked) || err == nil && !ok {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	p, err := protocol.Open(key, string(m.ID), m.Sealed)
	if err != nil {
		h.log.Error("personal fields do not open with the key that is here", "member", m.ID)
		return nil, nil
	}
	return &p, nil
}

// Member shows a member: of who was merged it shows who stands for them.
func (h *Hub) Member(ctx context.Context, id protocol.MemberID) (loyalty.MemberDocument, error) {
	var m *protocol.Member
	var merged []*protocol.Member
	var points loyalty.PointsDocument
	err := h.view(ctx, func(r ledger.Reader) error {
		group, err := ledger.MemberGroup(r, id)
		if err != nil {
			return err
		}
		if m, _, err = ledger.ReadMember(r, group[0]); err == nil && m == nil && group[0] != id {
			m, _, err = ledger.ReadMember(r, id) // A restored hub may not have the other back yet.
		}
		merged = nil
		for _, one := range group[1:] {
			if err != nil {
				return err
			}
			var row *protocol.Member
			row, _, err = ledger.ReadMember(r, one)
			merged = append(merged, row)
		}
		if err != nil || m == nil {
			return err
		}
		points, err = h.pointsOf(r, id)
		return err
	})
	if err != nil {
		return loyalty.MemberDocument{}, err
	}
	if m == nil {
		return loyalty.MemberDocument{}, errNoMember()
	}
	person, err := h.unseal(ctx, m)
	return loyalty.NewMemberDocument(m, person, points).With(merged), err
}

func timeOf(wallMs int64) string { return time.UnixMilli(wallMs).UTC().Format(protocol.TimeLayout) }

// pointsOf is the account over all stores of a member, with all of the group.
func (h *Hub) pointsOf(r ledger.Reader, id protocol.MemberID) (loyalty.PointsDocument, error) {
	p, err := h.readPurse(r, id)
	return loyalty.PointsDocument{Balance: p.balance, Leased: p.leased, AsOf: timeOf(h.now().UnixMilli())}, err
}

// MemberQuery looks members up by one of its members.
type MemberQuery struct{ Card, Phone, Email string }

// Members lists those who bear a card, or have a phone number or e-mail address,
// which several may share. In the place of who was merged stands who stands for
// them.
func (h *Hub) Members(ctx context.Context, q MemberQuery) (List[loyalty.MemberDocument], error) {
	list := List[loyalty.MemberDocument]{Items: []loyalty.MemberDocument{}}
	find := func(r ledger.Reader) ([]ledger.MemberAt, error) { return ledger.CardMembers(r, q.Card) }
	if q.Card == "" {
		person, err := protocol.Personal{Phone: q.Phone, Email: q.Email}.Normal()
		if err != nil {
			return list, err
		}
		key, err := h.lookupKey(ctx)
		if err != nil {
			return list, err
		}
		sum, email, err := loyalty.Contacts(key, person)
		if err != nil {
			return list, err
		}
		if q.Phone == "" {
			sum = email
		}
		find = func(r ledger.Reader) ([]ledger.MemberAt, error) { return ledger.ContactMembers(r, sum) }
	}
	var found []protocol.MemberID
	err := h.view(ctx, func(r ledger.Reader) error {
		all, err := find(r)
		if err != nil {
			return err
		}
		ids := make([]protocol.MemberID, len(all))
		for i, at := range all {
			ids[i] = at.Member
		}
		found, err = representatives(r, ids)
		return err
	})
	if err != nil {
		return list, err
	}
	for _, id := range found[:min(len(found), membersShown)] {
		doc, err := h.Member(ctx, id)
		if err != nil {
			return list, err
		}
		list.Items = append(list.Items, doc)
	}
	return list, nil
}

// membersShown bounds a look-up: one number that more members share says nothing.
const membersShown = 100

// ChangeMember changes what is known of a member, of who was merged that of who
// stands for them, and answers with the member.
func (h *Hub) ChangeMember(ctx context.Context, id protocol.MemberID, q loyalty.MemberRequest) (loyalty.MemberDocument, error) {
	h.changing.Lock()
	defer h.changing.Unlock()
	id, err := h.representative(ctx, id)
	if err != nil {
		return loyalty.MemberDocument{}, err
	}
	m, store, err := h.readMember(ctx, id)
	if err != nil {
		return loyalty.MemberDocument{}, err
	}
	person, err := h.unseal(ctx, m)
	if err != nil {
		return loyalty.MemberDocument{}, err
	}
	if person == nil && len(m.Sealed) > 0 {
		return loyalty.MemberDocument{}, errNoKeys()
	}
	if person == nil {
		person = &protocol.Personal{}
	}
	next := m.Next()
	if err := q.ApplyTo(next, person, h.now().UnixMilli()); err != nil {
		return loyalty.MemberDocument{}, err
	}
	key, ok, err := h.keys.Key(ctx, string(id))
	if err != nil {
		return loyalty.MemberDocument{}, err
	}
	if !ok {
		key = protocol.NewSubjectKey(h.random)
	}
	if err := h.seal(ctx, next, *person, key); err != nil {
		return loyalty.MemberDocument{}, err
	}
	_, err = h.act(ctx, store, func(tx ledger.Tx) (*protocol.Event, error) {
		if err := follow(tx, next); err != nil {
			return nil, err
		}
		return &protocol.Event{Kind: protocol.KindMember, Member: next}, h.mayEnrol(tx, next)
	})
	if err == nil {
		err = h.lendTo(ctx, id) // Another store may be the member's home now.
	}
	if err != nil {
		return loyalty.MemberDocument{}, err
	}
	return h.Member(ctx, id)
}

// follow makes a member's next version the one behind that which stands now. Only
// the hub's own reckoning of the tier may have come between, which stays.
func follow(r ledger.Reader, next *protocol.Member) error {
	now, _, err := ledger.ReadMember(r, next.ID)
	if err == nil && now != nil {
		next.Version, next.Tier = now.Version+1, now.Tier
	}
	return err
}

// readMember reads a member who may be changed.
func (h *Hub) readMember(ctx context.Context, id protocol.MemberID) (m *protocol.Member, store protocol.StoreID, err error) {
	if h.keys == nil || h.keys.Locked() {
		return nil, "", errNoKeys()
	}
	m, store, err = h.memberRow(ctx, id)
	switch {
	case err != nil:
	case m == nil:
		err = errNoMember()
	case m.Status != protocol.MemberActive:
		err = protocol.Refuse(protocol.Conflict, "This member is "+string(m.Status)+" and cannot be changed. Nothing was recorded.").With("state", string(m.Status))
	}
	return m, store, err
}

// memberRow is a member, nil for one who is not known, and whose row it is.
func (h *Hub) memberRow(ctx context.Context, id protocol.MemberID) (m *protocol.Member, store protocol.StoreID, err error) {
	err = h.view(ctx, func(r ledger.Reader) (err error) {
		m, store, err = ledger.ReadMember(r, id)
		return err
	})
	return m, store, err
}

// EraseMember forgets a person: who it was is gone for good, with the keys of all
// for whom the member stands, from this machine's ring; what was bought and earned
// stays, under ids that are nobody's. Erasing again answers the same.
func (h *Hub) EraseMember(ctx context.Context, id protocol.MemberID) (loyalty.MemberDocument, error) {
	h.changing.Lock()
	defer h.changing.Unlock()
	if h.keys == nil || h.keys.Locked() {
		return loyalty.MemberDocument{}, errNoKeys()
	}
	rep, list, err := h.rowsOfGroup(ctx, id)
	if err == nil && len(list) == 0 {
		err = errNoMember()
	}
	if err != nil {
		return loyalty.MemberDocument{}, err
	}
	if !slices.ContainsFunc(list, func(at memberAt) bool { return at.member.Status != protocol.MemberErased }) {
		return h.Member(ctx, id)
	}
	ids := []string{string(rep)} // a restored hub may lack the row
	for _, at := range list {
		if at.member.ID != rep {
			ids = append(ids, string(at.member.ID))
		}
	}
	// The keys go first: a crash in between leaves somebody who is erased and
	// not yet marked so, whom the next start marks.
	if err := h.keys.Erase(ctx, ids); err != nil {
		return loyalty.MemberDocument{}, err
	}
	h.snapshots.forgetMembers()
	if err := h.markErased(ctx, list...); err != nil {
		return loyalty.MemberDocument{}, err
	}
	return h.Member(ctx, id)
}

// markErased logs that members are erased, in one transaction. Nobody stands for who
// is erased.
func (h *Hub) markErased(ctx context.Context, list ...memberAt) error {
	var stores []protocol.StoreID
	for _, at := range list {
		stores = append(stores, at.store)
	}
	_, err := h.actIn(ctx, stores, func(tx ledger.Tx, _ map[protocol.StoreID]protocol.Origin) (deeds []deed, err error) {
		for _, at := range list {
			if at.member.Status == protocol.MemberErased {
				continue
			}
			erased := &protocol.Member{ID: at.member.ID, Status: protocol.MemberErased, HomeStore: at.member.HomeStore}
			if err := follow(tx, erased); err != nil {
				return nil, err
			}
			erased.Tier = ""
			deeds = append(deeds, deed{store: at.store, events: []*protocol.Event{{Kind: protocol.KindMember, Member: erased}}})
		}
		return deeds, nil
	}, func(ledger.Tx, []deed) error { return nil })
	for _, at := range list {
		if err == nil {
			err = h.lendTo(ctx, at.member.ID)
		}
	}
	return err
}

// eraseAgain marks those as erased whom the ring says are, and the database does
// not: it was restored from a copy of before, or the process ended in between. A
// hub that cannot does not start.
func (h *Hub) eraseAgain(ctx context.Context) error {
	if h.keys == nil {
		return nil
	}
	last, again := "", 0
	for {
		list, err := h.keys.Erased(ctx, last, erasedAtOnce)
		if err != nil || len(list) == 0 {
			if again > 0 {
				h.log.Info("members who had been erased before were erased again", "members", again)
			}
			return err
		}
		for _, id := range list {
			m, store, err := h.memberRow(ctx, protocol.MemberID(id))
			if err == nil && (m == nil || m.Status == protocol.MemberErased) {
				continue
			}
			if err == nil {
				err = h.markErased(ctx, memberAt{m, store})
			}
			if err != nil {
				return err
			}
			again++
		}
		last = list[len(list)-1]
	}
}

// erasedAtOnce are looked through at a time.
const erasedAtOnce = 1000
