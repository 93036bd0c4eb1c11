package hub

import (
	"context"
	"net/http"
	"slices"
	"strconv"

	"counterpart/protocol"
	"counterpart/protocol/cart"
	"counterpart/protocol/ledger"
)

// MergeRequest says that two members are one person.
type MergeRequest struct {
	With   protocol.MemberID `json:"with"`
	Staff  protocol.StaffID  `json:"staff"`
	Reason string            `json:"reason"`
}

// UnmergeRequest says that a merged member is another person after all.
type UnmergeRequest struct {
	Staff  protocol.StaffID `json:"staff"`
	Reason string           `json:"reason"`
}

// MergeMember lets the smaller of two members, each with all for whom it stands,
// stand for both, and answers with that one. Where it does already it answers the
// same.
func (h *Hub) MergeMember(ctx context.Context, c protocol.Call, id protocol.MemberID, q MergeRequest) (protocol.Answer, error) {
	if err := checkReason(q.Reason, q.Staff); err != nil {
		return protocol.Answer{}, err
	}
	switch {
	case !protocol.ValidID(string(q.With)):
		return protocol.Answer{}, protocol.OutOfRange("with", "", "missing, or not the id of a member")
	case q.With == id:
		return protocol.Answer{}, protocol.OutOfRange("with", "", "the same member")
	}
	h.changing.Lock()
	defer h.changing.Unlock()
	kept, err := h.once(ctx, c, func(keep func(ledger.Tx, protocol.Answer) error) (protocol.Answer, error) {
		answer := protocol.Answer{Status: http.StatusOK}
		return answer, h.merge(ctx, id, q, func(tx ledger.Tx) error { return keep(tx, answer) })
	})
	if err != nil {
		return protocol.Answer{}, err
	}
	// Who the member is stays out of the answer that is kept.
	return h.memberAnswer(ctx, kept.Status, id)
}

func (h *Hub) memberAnswer(ctx context.Context, status int, id protocol.MemberID) (protocol.Answer, error) {
	doc, err := h.Member(ctx, id)
	if err != nil {
		return protocol.Answer{}, err
	}
	return answerJSON(status, doc)
}

// merge merges two members; h.changing is held.
func (h *Hub) merge(ctx context.Context, id protocol.MemberID, q MergeRequest, keep func(ledger.Tx) error) error {
	var pair []memberAt
	find := func(r ledger.Reader) (err error) {
		pair, err = mergeable(r, id, q.With)
		return err
	}
	if err := h.view(ctx, find); err != nil {
		return err
	}
	into, absorbed := pair[0].member.ID, pair[len(pair)-1].member.ID
	reseal, err := h.resealer(ctx, absorbed, into)
	if err != nil {
		return err
	}
	stores := []protocol.StoreID{pair[0].store, pair[len(pair)-1].store}
	_, err = h.actIn(ctx, stores, func(tx ledger.Tx, _ map[protocol.StoreID]protocol.Origin) ([]deed, error) {
		if err := find(tx); err != nil {
			return nil, err
		}
		if len(pair) == 1 {
			return nil, nil
		}
		if now := []protocol.StoreID{pair[0].store, pair[1].store}; pair[0].member.ID != into || pair[1].member.ID != absorbed || !slices.Equal(now, stores) {
			return nil, protocol.Refuse(protocol.Conflict, "One of the two was merged or changed in this moment. Nothing was recorded. Send it again.")
		}
		next := pair[1].member.Next()
		next.Staff, next.Reason = q.Staff, q.Reason
		return mergeDeeds(tx, memberAt{next, pair[1].store}, pair[0], reseal)
	}, func(tx ledger.Tx, _ []deed) error { return keep(tx) })
	if err != nil {
		return err
	}
	return h.lendTo(ctx, id)
}

// mergeable are those who stand for two members, the smaller id first; one alone
// where it stands for both. Who cannot be merged is refused.
func mergeable(r ledger.Reader, id, with protocol.MemberID) ([]memberAt, error) {
	reps, err := representatives(r, []protocol.MemberID{id, with})
	if err != nil {
		return nil, err
	}
	var pair []memberAt
	for _, rep := range reps {
		m, store, err := ledger.ReadMember(r, rep)
		switch {
		case err != nil:
			return nil, err
		case m == nil:
			return nil, errNoMember()
		case m.Status == protocol.MemberTemporary:
			return nil, protocol.Refuse(protocol.Conflict, "This member was enrolled at a till and is not settled yet, so it is not known who it is. Nothing was recorded. Bring the machine of that till online, and send it again.").
				With("state", string(m.Status)).With("member_id", string(rep))
		case m.Status != protocol.MemberActive:
			return nil, protocol.Refuse(protocol.Conflict, "This member is "+string(m.Status)+" and cannot be merged. Nothing was recorded.").
				With("state", string(m.Status)).With("member_id", string(rep))
		}
		pair = append(pair, memberAt{m, store})
	}
	if len(pair) < 2 {
		return pair, nil
	}
	full, err := groupFull(r, reps[0], reps[1])
	if err == nil && full {
		err = protocol.Refuse(protocol.Conflict, "One member would stand for more than "+strconv.Itoa(protocol.MemberGroupMax)+". Nothing was recorded.")
	}
	return pair, err
}

// groupFull tells whether one member would stand for too many.
func groupFull(r ledger.Reader, a, b protocol.MemberID) (bool, error) {
	one, err := ledger.MemberGroup(r, a)
	if err != nil {
		return false, err
	}
	other, err := ledger.MemberGroup(r, b)
	return len(one)+len(other) > protocol.MemberGroupMax, err
}

// mergeDeeds are a member's next version, which is merged into another, and what
// the other takes over: the cart, and what the person said last of each consent.
// Nothing else moves: accounts, leases and timelines stay where they are.
func mergeDeeds(r ledger.Reader, absorbed, into memberAt, reseal func([]byte) []byte) ([]deed, error) {
	m := absorbed.member
	m.Status, m.Into = protocol.MemberMerged, into.member.ID
	deeds := []deed{{store: absorbed.store, events: []*protocol.Event{{Kind: protocol.KindMember, Member: m}}}}
	if consents := joinConsents(into.member.Consents, m.Consents); !slices.Equal(consents, into.member.Consents) {
		next := into.member.Next()
		next.Consents = consents
		deeds = append(deeds, deed{store: into.store, events: []*protocol.Event{{Kind: protocol.KindMember, Member: next}}})
	}
	leaves, comes, err := mergeCarts(r, absorbed, into, reseal)
	for i, c := range []*protocol.Cart{leaves, comes} {
		if c != nil {
			deeds = append(deeds, deed{store: []protocol.StoreID{absorbed.store, into.store}[i], events: []*protocol.Event{{Kind: protocol.KindCart, Cart: c}}})
		}
	}
	return deeds, err
}

// joinConsents are the consents of one person who gave them twice: of each channel
// and purpose what was said last stands, and of two said at once the no.
func joinConsents(own, other []protocol.Consent) []protocol.Consent {
	all := slices.Clone(own)
	for _, c := range other {
		i := slices.IndexFunc(all, func(x protocol.Consent) bool { return x.Channel == c.Channel && x.Purpose == c.Purpose })
		switch {
		case i < 0:
			all = append(all, c)
		case c.AtMs > all[i].AtMs || c.AtMs == all[i].AtMs && !c.Granted:
			all[i] = c
		}
	}
	return all
}

// mergeCarts are the operations that empty the cart of who is merged, and put what
// was in it into that of who stands for them; nil for none.
func mergeCarts(r ledger.Reader, absorbed, into memberAt, reseal func([]byte) []byte) (leaves, comes *protocol.Cart, err error) {
	m := absorbed.member
	from, err := ledger.ReadCart(r, ledger.MemberAt{Store: absorbed.store, Member: m.ID})
	if err != nil {
		return nil, nil, err
	}
	to, err := ledger.ReadCart(r, ledger.MemberAt{Store: into.store, Member: m.Into})
	if err != nil {
		return nil, nil, err
	}
	leaves = &protocol.Cart{Member: m.ID, Op: protocol.CartMerge}
	// The name follows from the merge, so that it counts once, though a hub that was
	// restored should merge again.
	comes = &protocol.Cart{Member: m.Into, Op: protocol.CartMerge, OpID: "merged " + string(m.ID) + " " + strconv.FormatUint(uint64(m.Version), 10)}
	held := len(to.Lines())
	for _, l := range from.Lines() {
		now := to.Quantity(l.SKU)
		if now == 0 && held == cart.LinesMax {
			continue // It stays in the cart that nobody sees, and is there again should the merge be undone.
		}
		if now == 0 {
			held++
		}
		line := protocol.CartLine{SKU: l.SKU, Quantity: min(l.Quantity, cart.QuantityMax-now), AddedMs: l.AddedMs}
		if now == 0 && len(l.Note) > 0 {
			line.Note = reseal(l.Note)
			line.Noted = len(line.Note) > 0
		}
		comes.Lines = append(comes.Lines, line)
		leaves.Lines = append(leaves.Lines, protocol.CartLine{SKU: l.SKU, Set: true, Noted: true})
	}
	if len(leaves.Lines) == 0 {
		return nil, nil, nil
	}
	if known, _ := to.Known(comes.OpID, 0); known {
		comes = nil
	}
	return leaves, comes, nil
}

// resealer seals with one member's key what another's has sealed. What does not open
// is nothing.
func (h *Hub) resealer(ctx context.Context, from, to protocol.MemberID) (func([]byte) []byte, error) {
	nothing := func([]byte) []byte { return nil }
	if h.keys == nil || h.keys.Locked() {
		return nothing, nil
	}
	keys, err := h.keys.Keys(ctx, []string{string(from), string(to)})
	old, next := keys[string(from)], keys[string(to)]
	if err != nil || old.IsZero() || next.IsZero() {
		return nothing, err
	}
	return func(sealed []byte) []byte {
		text, err := protocol.OpenText(old, string(from), sealed)
		if err != nil {
			return nil
		}
		again, err := protocol.SealText(next, string(to), text, h.random)
		if err != nil {
			return nil
		}
		return again
	}, nil
}

// UnmergeMember undoes the merge of a member, who is active again with all who were
// merged into it, and answers with the member. Accounts were never moved, so each
// has what came about under its own ids.
func (h *Hub) UnmergeMember(ctx context.Context, c protocol.Call, id protocol.MemberID, q UnmergeRequest) (protocol.Answer, error) {
	if err := checkReason(q.Reason, q.Staff); err != nil {
		return protocol.Answer{}, err
	}
	h.changing.Lock()
	defer h.changing.Unlock()
	kept, err := h.once(ctx, c, func(keep func(ledger.Tx, protocol.Answer) error) (protocol.Answer, error) {
		answer := protocol.Answer{Status: http.StatusOK}
		m, store, err := h.memberRow(ctx, id)
		if err == nil && m == nil {
			err = errNoMember()
		}
		if err != nil {
			return answer, err
		}
		_, err = h.actAfter(ctx, store, func(tx ledger.Tx, _ protocol.Origin) ([]*protocol.Event, error) {
			m, at, err := ledger.ReadMember(tx, id)
			if err != nil {
				return nil, err
			}
			if m.Status != protocol.MemberMerged || at != store {
				return nil, protocol.Refuse(protocol.Conflict, "This member is "+string(m.Status)+", and not merged into another. Nothing was recorded.").With("state", string(m.Status))
			}
			next := m.Next()
			next.Status, next.Into, next.Staff, next.Reason = protocol.MemberActive, "", q.Staff, q.Reason
			return []*protocol.Event{{Kind: protocol.KindMember, Member: next}}, nil
		}, func(tx ledger.Tx, _ []*protocol.Event) error { return keep(tx, answer) })
		if err != nil {
			return answer, err
		}
		return answer, h.lend(ctx, []protocol.MemberID{id, m.Into})
	})
	if err != nil {
		return protocol.Answer{}, err
	}
	return h.memberAnswer(ctx, kept.Status, id)
}
