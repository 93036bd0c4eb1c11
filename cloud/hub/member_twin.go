package hub

import (
	"context"
	"strings"

	"counterpart/protocol"
	"counterpart/protocol/ledger"

	"golang.org/x/text/unicode/norm"
)

// Who was enrolled at a till may be known already. They are taken for one person,
// and merged at once, where a phone number or an e-mail address agrees and the names
// do too. A family shares a phone: where the names differ a person looks at it. A
// card says nothing, since it can be handed on. Names are compared here, where the
// keys are, and nothing of them goes into an event.

// twinOf is who stands for a member whom the one who is settled seems to be; empty
// for nobody.
func (h *Hub) twinOf(ctx context.Context, next *protocol.Member, name string) (protocol.MemberID, error) {
	var same []*protocol.Member
	err := h.view(ctx, func(r ledger.Reader) (err error) {
		same, err = sameContacts(r, next)
		return err
	})
	if err != nil {
		return "", err
	}
	for _, m := range same {
		person, err := h.unseal(ctx, m)
		if err != nil {
			return "", err
		}
		if person == nil || !sameName(person.Name, name) {
			continue
		}
		// A hub that was restored may hear of a merge before it has settled who stands
		// for both.
		if rep, err := h.representative(ctx, m.ID); err != nil || rep != next.ID {
			return rep, err
		}
	}
	return "", nil
}

// sameContacts are other members, active or merged, with the same phone number or
// e-mail address. A number that very many share says nothing of any of them.
func sameContacts(r ledger.Reader, next *protocol.Member) (list []*protocol.Member, err error) {
	for _, sum := range []protocol.LookupBytes{next.PhoneSum, next.EmailSum} {
		if sum == (protocol.LookupBytes{}) {
			continue
		}
		same, err := ledger.ContactMembers(r, sum)
		if err != nil {
			return nil, err
		}
		for _, at := range same[:min(len(same), membersShown)] {
			m, _, err := ledger.ReadMember(r, at.Member)
			if err != nil {
				return nil, err
			}
			if m != nil && m.ID != next.ID && (m.Status == protocol.MemberActive || m.Status == protocol.MemberMerged) {
				list = append(list, m)
			}
		}
	}
	return list, nil
}

// sameName tells whether two names may be one person's: they are the same but for
// case, space and how letters are encoded, or one of them was not given.
func sameName(a, b string) bool {
	plain := func(s string) string { return strings.Join(strings.Fields(norm.NFKC.String(s)), " ") }
	a, b = plain(a), plain(b)
	return a == "" || b == "" || strings.EqualFold(a, b)
}

// settleTwin settles a member as one person with another, in one transaction, so
// that no crash comes in between. It does nothing where the other cannot be merged
// any more, or stands for too many.
func (h *Hub) settleTwin(ctx context.Context, next memberAt, twin protocol.MemberID) (merged bool, err error) {
	_, store, err := h.memberRow(ctx, twin)
	if err != nil {
		return false, err
	}
	reseal, err := h.resealer(ctx, max(next.member.ID, twin), min(next.member.ID, twin))
	if err != nil {
		return false, err
	}
	_, err = h.actIn(ctx, []protocol.StoreID{next.store, store}, func(tx ledger.Tx, _ map[protocol.StoreID]protocol.Origin) ([]deed, error) {
		merged = false
		other, at, err := ledger.ReadMember(tx, twin)
		if err != nil || other == nil || other.Status != protocol.MemberActive || at != store {
			return nil, err
		}
		if full, err := groupFull(tx, next.member.ID, twin); err != nil || full {
			return nil, err
		}
		settled := *next.member
		if err := h.compareMember(tx, next.member, &settled); err != nil {
			return nil, err
		}
		settled.DuplicateOf, merged = "", true
		if settled.CardShared != "" {
			// The card leads to whoever stands for both; only somebody else's is shared.
			if settled.CardShared, err = sharedBeside(tx, settled.CardShared, settled.ID, twin); err != nil {
				return nil, err
			}
		}
		if twin < settled.ID {
			return mergeDeeds(tx, memberAt{&settled, next.store}, memberAt{other, store}, reseal)
		}
		deeds := []deed{{store: next.store, events: []*protocol.Event{{Kind: protocol.KindMember, Member: &settled}}}}
		more, err := mergeDeeds(tx, memberAt{other.Next(), store}, memberAt{&settled, next.store}, reseal)
		return append(deeds, more...), err
	}, func(ledger.Tx, []deed) error { return nil })
	if err != nil || !merged {
		return false, err
	}
	h.log.Info("a member who was enrolled at a till is one who was known: they are merged", "member", next.member.ID, "other", twin)
	return true, h.lendTo(ctx, twin)
}

// sharedBeside is the card if anybody bears it for whom neither of two members
// stands, else nothing.
func sharedBeside(r ledger.Reader, card string, id, twin protocol.MemberID) (string, error) {
	bearers, err := ledger.CardMembers(r, card)
	if err != nil {
		return "", err
	}
	for _, at := range bearers {
		rep, err := activeBeside(r, []ledger.MemberAt{at}, id)
		if err != nil {
			return "", err
		}
		if rep != "" && rep != twin {
			return card, nil
		}
	}
	return "", nil
}
