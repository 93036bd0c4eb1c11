package hub

import (
	"cmp"
	"context"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// CreditAmountRequest puts money on a member's store credit or takes some of it.
type CreditAmountRequest struct {
	AmountRequest
	Currency string // empty: the chain's
}

// AdjustCredit puts money on the store credit of a member, or of who stands for them,
// or takes some of it, with a reason, and answers 201 with the account.
func (h *Hub) AdjustCredit(ctx context.Context, c protocol.Call, member protocol.MemberID, q CreditAmountRequest) (protocol.Answer, error) {
	if err := q.check(); err != nil {
		return protocol.Answer{}, err
	}
	member, err := h.representative(ctx, member)
	if err != nil {
		return protocol.Answer{}, err
	}
	id := protocol.NewCreditAccount(cmp.Or(q.Currency, h.currency), member)
	if id.Account() != protocol.CreditAccount {
		return protocol.Answer{}, protocol.OutOfRange("currency", "", "not three capital letters")
	}
	return h.adjust(ctx, c, id, q.AmountRequest, func(_ ledger.Reader, p *purse) (protocol.StoreID, error) {
		switch {
		case p.member == nil:
			return "", errNoMember()
		case q.Amount > 0 && !p.active():
			return "", protocol.Refuse(protocol.Conflict, "This member is "+string(p.member.Status)+" and gets no credit. Nothing was recorded.").With("state", string(p.member.Status))
		}
		return p.logsIn(), nil
	})
}

// MemberAccounts lists what a member has beside points, with all for whom the member
// stands: store credit by currency, then offers.
func (h *Hub) MemberAccounts(ctx context.Context, member protocol.MemberID) (List[AccountDocument], error) {
	list := List[AccountDocument]{}
	err := h.view(ctx, func(r ledger.Reader) error {
		list.Items = []AccountDocument{}
		m, _, err := ledger.ReadMember(r, member)
		if err == nil && m == nil {
			err = errNoMember()
		}
		if err != nil {
			return err
		}
		ids, err := accountsOfGroup(r, member)
		if err != nil {
			return err
		}
		for _, id := range ids {
			doc, err := h.accountDocument(r, id)
			if protocol.CodeOf(err) == protocol.NotFound {
				continue // Only leases name it, of before the hub was put back.
			}
			if err != nil {
				return err
			}
			list.Items = append(list.Items, doc)
		}
		return nil
	})
	return list, err
}

// accountsOfGroup are the accounts beside points of all of a member's group, each
// under who stands for its member.
func accountsOfGroup(r ledger.Reader, member protocol.MemberID) (ids []protocol.MemberID, err error) {
	group, err := ledger.MemberGroup(r, member)
	if err != nil {
		return nil, err
	}
	for _, one := range group {
		more, err := ledger.AccountsOf(r, one)
		if err != nil {
			return nil, err
		}
		ids = append(ids, more...)
	}
	return representatives(r, ids)
}
