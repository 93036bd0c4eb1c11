package hub

import (
	"cmp"
	"context"
	"net/http"
	"strconv"
	"strings"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/sale"
)

// PointsRequest asks for points that no sale earned, or takes some away.
type PointsRequest struct {
	Points protocol.Points  `json:"points"`
	Reason string           `json:"reason"`
	Staff  protocol.StaffID `json:"staff"`
}

// CreditRequest takes back what a stream that is over still held.
type CreditRequest struct {
	Staff  protocol.StaffID `json:"staff"`
	Reason string           `json:"reason"`
}

const (
	pointsReasonBytes = 500
	// adjustClaimLasts is for how long points that are to be taken away are kept
	// from stores once they are back: whoever takes them asks again.
	adjustClaimLasts = 12 * claimLasts
)

// checkReason refuses what does not say who decided, and why.
func checkReason(reason string, staff protocol.StaffID) error {
	switch {
	case strings.TrimSpace(reason) == "":
		return protocol.OutOfRange("reason", "", "missing")
	case !protocol.ValidText(reason, pointsReasonBytes):
		return protocol.OutOfRange("reason", "", "not text of at most "+strconv.Itoa(pointsReasonBytes)+" bytes without control characters")
	case sale.ContainsCardNumber(reason) || sale.ContainsCardNumber(string(staff)):
		return protocol.Refuse(protocol.CardNumber, "A field holds what looks like the number of a payment card. Nothing was recorded, and the number was not kept. Take it out and send the rest again.")
	case !protocol.ValidID(string(staff)):
		return protocol.OutOfRange("staff", "", "missing, or not 1 to 64 letters, digits, _ and -")
	}
	return nil
}

// AdjustPoints gives a member points or takes some away, with a reason, and answers
// 201 with the member. What stores hold is not taken away: it is asked back first,
// and the request is to be sent again.
func (h *Hub) AdjustPoints(ctx context.Context, c protocol.Call, id protocol.MemberID, q PointsRequest) (protocol.Answer, error) {
	if err := checkReason(q.Reason, q.Staff); err != nil {
		return protocol.Answer{}, err
	}
	if q.Points == 0 || q.Points > protocol.PointsMax || q.Points < -protocol.PointsMax {
		return protocol.Answer{}, protocol.OutOfRange("points", strconv.FormatInt(int64(q.Points), 10), "0, or beyond "+strconv.FormatInt(int64(protocol.PointsMax), 10)+" on either side")
	}
	id, err := h.representative(ctx, id)
	if err != nil {
		return protocol.Answer{}, err
	}
	answer, err := h.once(ctx, c, func(keep func(ledger.Tx, protocol.Answer) error) (answer protocol.Answer, err error) {
		m, store, err := h.memberRow(ctx, id)
		if err != nil {
			return answer, err
		}
		if m == nil {
			return answer, errNoMember()
		}
		if m.HomeStore != "" {
			store = m.HomeStore
		}
		_, err = h.actAfter(ctx, store, func(tx ledger.Tx, _ protocol.Origin) ([]*protocol.Event, error) {
			ev := &protocol.Event{Kind: protocol.KindPointsChange, PointsChange: &protocol.PointsChange{Member: id, Change: protocol.PointsAdjusted, Points: q.Points, Reason: q.Reason, Staff: q.Staff}}
			return []*protocol.Event{ev}, h.mayAdjust(tx, id, q.Points)
		}, func(tx ledger.Tx, _ []*protocol.Event) error {
			// Who the member is stays out of the answer that is kept.
			answer = protocol.Answer{Status: http.StatusCreated}
			return keep(tx, answer)
		})
		return answer, err
	})
	return h.adjusted(ctx, id, q.Points, answer, err, func() (any, error) { return h.Member(ctx, id) })
}

// adjusted ends a request that gave an account something or took it away, and answers
// with what show tells. What stores hold is asked back for whoever sends the request
// again.
func (h *Hub) adjusted(ctx context.Context, id protocol.MemberID, amount protocol.Points, answer protocol.Answer, err error, show func() (any, error)) (protocol.Answer, error) {
	held := protocol.CodeOf(err) == protocol.Conflict && protocol.AsError(err).Members["leased"] != nil
	switch {
	case held:
		h.claims(id, claim{points: -amount, ends: h.running() + adjustClaimLasts})
	case err != nil:
		return answer, err
	default:
		h.unclaim(id)
	}
	if failed := h.lendTo(ctx, id); failed != nil || held {
		return answer, cmp.Or(failed, err)
	}
	doc, err := show()
	if err != nil {
		return answer, err
	}
	return answerJSON(answer.Status, doc)
}

// mayAdjust refuses to take away more than there is, or what stores may still
// spend (I14).
func (h *Hub) mayAdjust(r ledger.Reader, id protocol.MemberID, points protocol.Points) error {
	p, err := h.readPurse(r, id)
	if err != nil || points > 0 {
		return err
	}
	number := func(n protocol.Points) string { return strconv.FormatInt(int64(n), 10) }
	switch {
	case h.awaitsAgents():
		return protocol.Refuse(protocol.Conflict, "The database was put back to an older copy, and not every store has told yet what it holds of members' points. Nothing was recorded. Send it again when all machines have been online.")
	case p.balance+points < 0:
		return protocol.OutOfRange("points", number(points), "more than the "+number(max(0, p.balance))+" points that the member has").With("balance", int64(p.balance))
	case p.free()+points < 0:
		return protocol.Refuse(protocol.Conflict, "Stores hold "+number(p.leased)+" of this member's points, ready to be spent, so only "+number(p.free())+
			" can be taken away now. Nothing was recorded. Those stores were asked to give them back: send it again in a few seconds. What a store that is offline holds comes back when it is online.").
			With("leased", int64(p.leased)).With("free", int64(p.free()))
	}
	return nil
}

// LeaseDocument is what one stream holds of a member's points.
type LeaseDocument struct {
	Member protocol.MemberID `json:"member_id"` // of the group, who is named in it
	Store  protocol.StoreID  `json:"store"`
	Agent  protocol.AgentID  `json:"agent"`
	Holder string            `json:"holder"`
	Left   protocol.Points   `json:"left"`
	State  string            `json:"state"` // active, recalled or suspense
}

// The states of a lease. One in suspense belongs to a stream that is over: nobody
// can spend it, and nobody knows whether it was spent.
const (
	leaseActive   = "active"
	leaseRecalled = "recalled"
	leaseSuspense = "suspense"
)

func (h *holding) state() string {
	switch {
	case !h.current:
		return leaseSuspense
	case h.lease.Recalled():
		return leaseRecalled
	}
	return leaseActive
}

// MemberLeases lists who holds what of a member's points.
func (h *Hub) MemberLeases(ctx context.Context, id protocol.MemberID) (List[LeaseDocument], error) {
	list := List[LeaseDocument]{}
	err := h.view(ctx, func(r ledger.Reader) error {
		list.Items = []LeaseDocument{}
		p, err := h.readPurse(r, id)
		if err == nil && p.member == nil && p.sums.Events == 0 && len(p.holdings) == 0 {
			err = errNoMember()
		}
		for i := range p.holdings {
			held := &p.holdings[i]
			list.Items = append(list.Items, LeaseDocument{Member: held.member, Store: held.store, Agent: held.agent, Holder: held.holder.String(), Left: held.lease.Left(), State: held.state()})
		}
		return err
	})
	return list, err
}

// CreditLease gives the member back what a stream that is over still held, at the
// chain's risk: if a machine that is lost spent of it, that is spent twice.
func (h *Hub) CreditLease(ctx context.Context, id protocol.MemberID, holder string, q CreditRequest) (List[LeaseDocument], error) {
	if err := checkReason(q.Reason, q.Staff); err != nil {
		return List[LeaseDocument]{}, err
	}
	inc, err := protocol.ParseInc(holder)
	if err != nil {
		return List[LeaseDocument]{}, errNoLease()
	}
	var held []holding
	err = h.view(ctx, func(r ledger.Reader) error {
		p, err := h.readPurse(r, id)
		held = p.heldBy(inc)
		return err
	})
	if err == nil && len(held) == 0 {
		err = errNoLease()
	}
	if err != nil {
		return List[LeaseDocument]{}, err
	}
	_, err = h.actAll(ctx, held[0].store, func(tx ledger.Tx, _ protocol.Origin) (events []*protocol.Event, err error) {
		p, err := h.readPurse(tx, id)
		if err != nil {
			return nil, err
		}
		for _, now := range p.heldBy(inc) {
			if now.lease.Left() == 0 {
				continue
			}
			if now.current {
				return nil, protocol.Refuse(protocol.Conflict, "The machine that holds these points is in use and may spend them. Nothing was recorded. It gives them back when it is heard; only what a machine held that is gone can be credited.").
					With("state", now.state())
			}
			events = append(events, &protocol.Event{Kind: protocol.KindLease, Lease: &protocol.Lease{
				Member: now.member, Holder: inc, Change: protocol.LeaseCredited, Points: now.lease.Left(), Staff: q.Staff, Reason: q.Reason,
			}})
		}
		if len(events) == 0 {
			err = errNoLease()
		}
		return events, err
	})
	if err == nil {
		err = h.lendTo(ctx, id)
	}
	if err != nil {
		return List[LeaseDocument]{}, err
	}
	return h.MemberLeases(ctx, id)
}

// heldBy is what a stream holds of any of the group.
func (p *purse) heldBy(holder protocol.Inc) (list []holding) {
	for _, h := range p.holdings {
		if h.holder == holder {
			list = append(list, h)
		}
	}
	return list
}

func errNoLease() error {
	return protocol.Refuse(protocol.NotFound, "Nothing of this member's points is held there. Nothing was recorded. Look at the list of leases.")
}
