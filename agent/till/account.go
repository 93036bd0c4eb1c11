package till

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/loyalty"
	"counterpart/protocol/sale"
)

// Why an account cannot be spent here, beside what package sale finds wrong with the
// request.
const (
	accountUnconfirmed sale.NoAccount = "not_confirmed" // the hub has not confirmed this machine's log since its start
	accountNoLease     sale.NoAccount = "no_lease"      // nothing of it may be spent here
	accountLease       sale.NoAccount = "lease"         // less than that may
	accountBalance     sale.NoAccount = "balance"       // there is less, the hub says
	accountUnknown     sale.NoAccount = "unknown"       // the hub knows no such account, or lends nothing of it
)

// accountShort is the cause of a refusal for an account of which head office may
// still give this machine more.
type accountShort struct {
	account protocol.MemberID
	needed  protocol.Points
}

func (s *accountShort) Error() string {
	return "less than " + strconv.FormatInt(int64(s.needed), 10) + " is lent of " + string(s.account)
}

// mayTake refuses a receipt that takes more of an account than this stream holds of
// it, and names in it under which account of a group it takes it. It is asked in the
// transaction that logs the receipt, so that two tills never spend the same. What
// needs a lease follows from the sum of a receipt's entries.
func (a *act) mayTake(s *protocol.Sale) error {
	if len(s.Accounts) == 0 || s.External != nil {
		return nil
	}
	s.Accounts = slices.Clone(s.Accounts)
	needed := map[protocol.MemberID]protocol.Points{}
	for i := range s.Accounts {
		e := &s.Accounts[i]
		if e.Amount > 0 {
			group, err := a.holdings().Of(e.Account)
			if err != nil {
				return err
			}
			e.Account = group.IDs[0]
			continue
		}
		asked := e.Account
		needed[asked] -= e.Amount
		held, err := a.heldUnder(a.holdings(), a.origin(), asked)
		if err != nil {
			return err
		}
		if needed[asked] > held.left {
			return a.refuseAccount(asked, needed[asked], held.left)
		}
		e.Account = held.under
	}
	return nil
}

// accountNames are what staff read of an account.
var accountNames = map[protocol.AccountKind]string{
	protocol.GiftAccount: "this gift card", protocol.CreditAccount: "this member's store credit", protocol.OfferAccount: "this offer",
}

// amountOf is an amount of an account as staff read it.
func amountOf(id protocol.MemberID, n protocol.Points) string {
	text := strconv.FormatInt(int64(n), 10)
	if currency := id.Currency(); currency != "" {
		return text + " (in the smallest unit of " + currency + ")"
	}
	return text
}

// refuseAccount says why so much of an account cannot be taken here.
func (d *desk) refuseAccount(id protocol.MemberID, needed, left protocol.Points) error {
	name, next := accountNames[id.Account()], "Take another payment; what is there stays there."
	if id.Account() == protocol.OfferAccount {
		next = "Leave the offer out; it stays the member's."
	}
	var refusal *protocol.Error
	switch {
	case !d.o.Confirmed(d.origin().Inc):
		refusal = sale.RefuseAccount(accountUnconfirmed, "This machine was started while head office could not be reached, and spends nothing of "+name+" before it has been heard.", next)
	case left == 0:
		refusal = sale.RefuseAccount(accountNoLease, "Nothing of "+name+" may be spent here without asking head office.", next)
	default:
		refusal = sale.RefuseAccount(accountLease, "Only "+amountOf(id, left)+" of "+name+" may be spent here without asking head office.", "Take at most that, or another payment.")
	}
	refusal = refusal.With("account", string(id)).With("spendable_here", int64(left))
	refusal.Err = &accountShort{id, needed}
	return refusal
}

// asking does what needs accounts, and where what is held of one does not suffice
// asks head office for more of it, once. member stands for the one that was named,
// where head office says so; empty otherwise. What takes of no account never waits
// for anybody (I22).
func (t *Till) asking(ctx context.Context, do func(member protocol.MemberID) (protocol.Answer, error)) (protocol.Answer, error) {
	member, asked := protocol.MemberID(""), map[protocol.MemberID]bool{}
	for {
		answer, err := do(member)
		var short *accountShort
		if !errors.As(err, &short) || asked[short.account] {
			return answer, err
		}
		asked[short.account] = true
		told := t.fetchPoints(ctx, short.account, short.needed)
		if !told.got {
			return answer, toldOf(err, short, &told)
		}
		if told.under.Account() == protocol.CreditAccount {
			member = told.under.Of()
		}
	}
}

// toldOf is a refusal with what head office said just now.
func toldOf(err error, short *accountShort, told *fetched) error {
	name, here := accountNames[short.account.Account()], protocol.AsError(err).Members["spendable_here"]
	switch {
	case told.refused:
		return sale.RefuseAccount(accountUnknown, "Head office does not know "+name+", or lends nothing of it any more.", "Check what was scanned, or take another payment.").
			With("account", string(short.account)).With("spendable_here", here)
	case told.balance != nil && *told.balance < short.needed:
		return sale.RefuseAccount(accountBalance, "There is "+amountOf(short.account, max(0, *told.balance))+" left of "+name+" in all.", "Take at most that, or another payment.").
			With("account", string(short.account)).With("spendable_here", here).With("balance", int64(*told.balance))
	}
	return err
}

// GiftCardHere is what this machine may spend of a gift card without asking anybody,
// in the store's currency.
func (t *Till) GiftCardHere(ctx context.Context, code protocol.GiftCode) (doc loyalty.GiftCardDocument, err error) {
	err = t.o.Driver.View(ctx, func(r ledger.Reader) error {
		shop, err := t.readShop(ledger.Live(r))
		if err != nil {
			return err
		}
		doc = loyalty.GiftCardDocument{ID: code.Account(shop.record.Currency), Currency: shop.record.Currency}
		doc.SpendableHere, err = t.left(r, t.origin(), doc.ID)
		return err
	})
	return doc, err
}

// AccountsHere are the store credit and the offers of a member, with all of the group
// as far as this store knows them.
func (t *Till) AccountsHere(ctx context.Context, member protocol.MemberID) (list []loyalty.AccountDocument, err error) {
	at := t.origin()
	err = t.o.Driver.View(ctx, func(r ledger.Reader) error {
		list = nil
		group, err := holdingsOf(r, at).Of(member)
		if err != nil {
			return err
		}
		seen := map[protocol.MemberID]bool{}
		for _, one := range group.IDs {
			ids, err := ledger.AccountsOf(r, one)
			if err != nil {
				return err
			}
			for _, id := range ids {
				if id = id.AsOf(group.IDs[0]); seen[id] {
					continue
				}
				seen[id] = true
				doc, err := t.accountHere(r, at, id)
				if err != nil {
					return err
				}
				list = append(list, doc)
			}
		}
		return nil
	})
	return list, err
}

func (t *Till) accountHere(r ledger.Reader, at protocol.Origin, id protocol.MemberID) (doc loyalty.AccountDocument, err error) {
	left, err := t.left(r, at, id)
	if err != nil {
		return doc, err
	}
	terms, err := ledger.ReadTermsAt(r, ledger.MemberAt{Store: at.Store, Member: id})
	return loyalty.NewAccountDocument(id, left, terms), err
}
