package ledger

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"counterpart/protocol"
	"counterpart/protocol/loyalty"
	"counterpart/protocol/sale"

	"google.golang.org/protobuf/encoding/protowire"
)

// kindTerms are the terms of accounts that are not a member's points, as the events
// of one store say them.
const kindTerms = "terms"

func termsKey(at MemberAt) Key { return stateKey(kindTerms, string(at.Store), string(at.Member)) }

// termsRow is what the event of the highest version says of an account's terms, by
// the rule of memberRow, and what sales took off for it, where it is an offer. Either
// may be folded first.
type termsRow struct {
	id    protocol.EventID
	value []byte
	now   *protocol.AccountTerms // nil for none
	uses  []offerUse             // in the order of compareUses, each once
}

// offerUse is what one sale took off for an offer.
type offerUse struct {
	id      protocol.EventID
	off, of protocol.Money // sale.OfferGave
}

// offerUsesMax bounds the uses that a row keeps, the smallest of them: there is more
// than one only where a machine was copied, or sales were voided.
const offerUsesMax = 100

func compareUses(a, b offerUse) int {
	return cmp.Or(compareIDs(a.id, b.id), cmp.Compare(a.off, b.off), cmp.Compare(a.of, b.of))
}

// Encode writes the row.
func (t *termsRow) Encode() []byte {
	var f fields
	if t.now != nil {
		f.bytes(1, encodeID(t.id))
		f.bytes(2, t.value)
	}
	for _, u := range t.uses {
		var one fields
		one.bytes(1, encodeID(u.id))
		one.int(2, int64(u.off))
		one.int(3, int64(u.of))
		f.element(3, one)
	}
	return f
}

func decodeUse(b []byte) (u offerUse, err error) {
	err = decodeFields("use", b, func(num protowire.Number, v value) (err error) {
		switch num {
		case 1:
			u.id, err = decodeID(v.data)
		case 2:
			u.off = protocol.Money(v.int())
		case 3:
			u.of = protocol.Money(v.int())
		}
		return err
	})
	return u, err
}

func decodeTermsRow(b []byte) (*termsRow, error) {
	t := &termsRow{}
	err := decodeFields("terms", b, func(num protowire.Number, v value) (err error) {
		switch num {
		case 1:
			t.id, err = decodeID(v.data)
		case 2:
			t.value = bytes.Clone(v.data)
			t.now, err = protocol.DecodeAccountTerms(t.value)
		case 3:
			var u offerUse
			u, err = decodeUse(v.data)
			t.uses = append(t.uses, u)
		}
		return err
	})
	return t, err
}

// terms folds what an event says of an account's terms.
func (f *fold) terms(a *act, at MemberAt) error {
	next := a.event.AccountChange.Terms
	if next == nil {
		return nil
	}
	value, err := protocol.EncodeAccountTerms(next)
	if err != nil {
		return err
	}
	row, err := get(f.set, termsKey(at), decodeTermsRow)
	if err != nil {
		return err
	}
	if row.now != nil && cmp.Or(cmp.Compare(next.Version, row.now.Version), compareIDs(a.id, row.id), bytes.Compare(value, row.value)) <= 0 {
		return nil
	}
	if row, err = change(f.set, termsKey(at), decodeTermsRow); err != nil {
		return err
	}
	row.id, row.value, row.now = a.id, value, next
	f.judge(row, at)
	return nil
}

// usesOffer tells whether an entry redeems an offer.
func usesOffer(s *protocol.Sale, e *protocol.AccountEntry) bool {
	return s.Type == protocol.SaleSale && e.Amount < 0 && e.Account.Account() == protocol.OfferAccount
}

// useOffer folds what a sale took off for an offer.
func (f *fold) useOffer(a *act, at MemberAt) error {
	row, err := change(f.set, termsKey(at), decodeTermsRow)
	if err != nil {
		return err
	}
	use := offerUse{id: a.id}
	use.off, use.of = sale.OfferGave(a.event.Sale, at.Member)
	if i, found := slices.BinarySearchFunc(row.uses, use, compareUses); !found {
		row.uses = slices.Insert(row.uses, i, use)
		row.uses = row.uses[:min(len(row.uses), offerUsesMax)]
	}
	f.judge(row, at)
	return nil
}

// judge raises an exception about sales that took more off than the offer gives. It
// is a function of the row alone.
func (f *fold) judge(row *termsRow, at MemberAt) {
	if len(row.uses) == 0 {
		return
	}
	var broken []protocol.EventID
	for _, u := range row.uses {
		if row.now != nil && row.now.Offer != nil && sale.OfferExceeded(row.now.Offer, u.off, u.of) {
			broken = append(broken, u.id)
		}
	}
	f.set.raise(f.origin.Store, ExceptionOfferExceeded, string(at.Member)+" "+string(at.Store), broken)
}

// ReadTerms reads the terms of an account, those of the highest version that any
// store's events say; of two alike those of the store that comes first. They are nil
// of an account that has none.
func ReadTerms(r Reader, id protocol.MemberID) (terms *protocol.AccountTerms, err error) {
	stores, err := MemberStores(r, id)
	if err != nil {
		return nil, err
	}
	for _, store := range stores {
		here, err := ReadTermsAt(r, MemberAt{store, id})
		if err != nil {
			return nil, err
		}
		if here != nil && (terms == nil || here.Version > terms.Version) {
			terms = here
		}
	}
	return terms, nil
}

// ReadTermsAt reads the terms of an account as the events of one store say them, nil
// for none.
func ReadTermsAt(r Reader, at MemberAt) (*protocol.AccountTerms, error) {
	values, err := r.Load([]Key{termsKey(at)})
	if err != nil {
		return nil, err
	}
	row, err := decodeTermsRow(values[0])
	return row.now, err
}

// AccountsOf are the accounts of a member beside the points, that is of this member
// alone and not of the group, in the order of their ids.
func AccountsOf(r Reader, member protocol.MemberID) (list []protocol.MemberID, err error) {
	for _, prefix := range protocol.AccountPrefixes(member) {
		from := kindMemberStores + sep + prefix
		err := r.Scan(States, from, strings.TrimSuffix(from, "-")+".", func(id string, _ []byte) (bool, error) {
			account := protocol.MemberID(strings.Clone(id[len(kindMemberStores+sep):]))
			if account.Of() == member {
				list = append(list, account)
			}
			return true, nil
		})
		if err != nil {
			return nil, err
		}
	}
	return list, nil
}

// ofAccount is Of for an account that is not a member's points.
func (h *Holdings) ofAccount(id protocol.MemberID) (*Holding, error) {
	g := &Holding{IDs: []protocol.MemberID{id}}
	if id.Account() == protocol.CreditAccount {
		of, err := h.Of(id.Of())
		if err != nil {
			return nil, err
		}
		g.IDs = nil
		for _, member := range of.IDs {
			g.IDs = append(g.IDs, id.AsOf(member))
		}
	}
	keys := make([]Key, len(g.IDs))
	for i, one := range g.IDs {
		keys[i] = leaseKey(MemberAt{h.store, one}, h.holder)
	}
	values, err := h.r.Load(keys)
	if err != nil {
		return nil, err
	}
	for _, v := range values {
		lease, err := loyalty.DecodeLease(v)
		if err != nil {
			return nil, err
		}
		g.Leases = append(g.Leases, lease)
	}
	return g, nil
}
