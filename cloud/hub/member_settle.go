package hub

import (
	"context"
	"slices"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// settledAtOnce are read at a time when a start looks for what is owed.
const settledAtOnce = 1000

// settleMembers settles the members whom committed batches concerned. While there
// is no room what is owed waits for the next start, or the next event.
func (h *Hub) settleMembers(ctx context.Context, ready []*incoming) error {
	var touched []protocol.MemberID
	for _, in := range ready {
		for _, at := range in.res.Members {
			touched = append(touched, at.Member)
		}
		for i := range in.batch.Keys {
			touched = append(touched, in.batch.Keys[i].Member)
		}
	}
	slices.Sort(touched)
	for _, id := range slices.Compact(touched) {
		if err := h.trySettling(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// noteFed says that the members of before there were member feeds are on them.
const noteFed = "members_fed"

// feedMembers puts members onto the feeds of their stores whom an earlier version,
// which knew no member feeds, has taken in.
func (h *Hub) feedMembers(ctx context.Context) error {
	last, done := protocol.MemberID(""), false
	err := h.view(ctx, func(r ledger.Reader) error {
		b, err := ledger.Note(r, noteFed)
		done = b != nil
		return err
	})
	for !done && err == nil {
		next := last // The transaction may run again.
		err = h.driver.Update(ctx, func(tx ledger.Tx) error {
			list, err := ledger.KnownMembers(tx, last, settledAtOnce)
			if err != nil {
				return err
			}
			if done = len(list) == 0; done {
				return ledger.SetNote(tx, []byte{1}, noteFed)
			}
			if _, err := ledger.AppendMembers(tx, list); err != nil {
				return err
			}
			next = list[len(list)-1].Member
			return nil
		})
		last = next
	}
	return err
}

// settleAllMembers settles those whom a crash has left.
func (h *Hub) settleAllMembers(ctx context.Context) error {
	last := protocol.MemberID("")
	for {
		var list []protocol.MemberID
		err := h.view(ctx, func(r ledger.Reader) (err error) {
			list, err = ledger.TemporaryMembers(r, last, settledAtOnce)
			return err
		})
		if err != nil || len(list) == 0 {
			return err
		}
		for _, id := range list {
			if err := h.trySettling(ctx, id); err != nil {
				return err
			}
		}
		last = list[len(list)-1]
	}
}

// trySettling settles a member. One who cannot be settled keeps nobody else
// waiting, nor the hub from its start: the next event about them, or the next
// start, tries again. Should the database itself have failed, the process is
// stopped by that.
func (h *Hub) trySettling(ctx context.Context, id protocol.MemberID) error {
	err := h.settleMember(ctx, id)
	if err == nil || ctx.Err() != nil {
		return err
	}
	h.log.Error("a member who was enrolled at a till is not settled yet", "member", id, "error", err)
	return nil
}

// settleMember writes the second version of a member who was enrolled at a till:
// active, and with what they are looked up by. It waits for the member's key. Who
// was erased before their event came, or came back, is marked so.
func (h *Hub) settleMember(ctx context.Context, id protocol.MemberID) error {
	if h.keys == nil {
		return nil
	}
	// Of nearly all members whom a batch concerns nothing is owed, and nobody who
	// changes another waits for that.
	if m, _, _, err := h.owedTo(ctx, id); err != nil || m == nil {
		return err
	}
	h.changing.Lock()
	defer h.changing.Unlock()
	m, store, erased, err := h.owedTo(ctx, id)
	if err != nil || m == nil {
		return err
	}
	if erased {
		return h.markErased(ctx, memberAt{m, store})
	}
	next := m.Next()
	next.Status = protocol.MemberActive
	var twin protocol.MemberID
	if len(m.Sealed) > 0 {
		person, err := h.unseal(ctx, m)
		if err != nil || person == nil {
			return err
		}
		if err := h.setContacts(ctx, next, *person); protocol.CodeOf(err) == protocol.OutOfRangeCode {
			h.log.Warn("a member who was enrolled at a till can be found by the card alone", "member", id, "error", err)
		} else if err != nil {
			return err
		}
		if twin, err = h.twinOf(ctx, next, person.Name); err != nil {
			return err
		}
	}
	if twin != "" {
		merged, err := h.settleTwin(ctx, memberAt{next, store}, twin)
		if merged || err != nil {
			return err
		}
	}
	_, err = h.act(ctx, store, func(tx ledger.Tx) (*protocol.Event, error) {
		ev := &protocol.Event{Kind: protocol.KindMember, Member: next}
		return ev, h.compareMember(tx, m, next)
	})
	return err
}

// owedTo is a member to whom a further version is owed, and whether it is that of
// the erased; nil for none.
func (h *Hub) owedTo(ctx context.Context, id protocol.MemberID) (m *protocol.Member, store protocol.StoreID, erased bool, err error) {
	if m, store, err = h.memberRow(ctx, id); err != nil || m == nil || m.Status == protocol.MemberErased {
		return nil, "", false, err
	}
	if erased, err = h.keys.IsErased(ctx, string(id)); err == nil && !erased && m.Status != protocol.MemberTemporary {
		m = nil
	}
	return m, store, erased, err
}

// compareMember looks whether another member bears the card of the one who is
// settled, who then gets another, or has the same phone number or e-mail address.
func (h *Hub) compareMember(r ledger.Reader, m, next *protocol.Member) error {
	next.Card, next.CardShared, next.DuplicateOf = m.Card, "", ""
	if m.Card == "" {
		next.Card = protocol.NewMemberCard(h.random)
	} else {
		bearers, err := ledger.CardMembers(r, m.Card)
		if err != nil {
			return err
		}
		other, err := activeBeside(r, bearers, m.ID)
		if err != nil {
			return err
		}
		if other != "" {
			next.Card, next.CardShared = protocol.NewMemberCard(h.random), m.Card
		}
	}
	for _, sum := range []protocol.LookupBytes{next.PhoneSum, next.EmailSum} {
		if sum == (protocol.LookupBytes{}) || next.DuplicateOf != "" {
			continue
		}
		same, err := ledger.ContactMembers(r, sum)
		if err != nil {
			return err
		}
		if next.DuplicateOf, err = activeBeside(r, same, m.ID); err != nil {
			return err
		}
	}
	return nil
}

// activeBeside is who stands for the first of several members, where that one is
// active and another than id.
func activeBeside(r ledger.Reader, list []ledger.MemberAt, id protocol.MemberID) (protocol.MemberID, error) {
	for _, at := range list {
		if at.Member == id {
			continue
		}
		rep, err := ledger.Representative(r, at.Member)
		if err != nil {
			return "", err
		}
		m, _, err := ledger.ReadMember(r, rep)
		if err != nil {
			return "", err
		}
		if m != nil && m.Status == protocol.MemberActive {
			return rep, nil
		}
	}
	return "", nil
}
