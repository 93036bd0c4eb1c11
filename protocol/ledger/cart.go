package ledger

import (
	"counterpart/protocol"
	"counterpart/protocol/cart"
)

// kindCart are the carts of members, each in the store that the member's row
// belongs to.
const kindCart = "cart"

func cartKey(at MemberAt) Key { return stateKey(kindCart, string(at.Store), string(at.Member)) }

// cart folds an operation on a member's cart.
func (f *fold) cart(a *act) error {
	row, err := change(f.set, cartKey(MemberAt{f.origin.Store, a.event.Cart.Member}), cart.Decode)
	if err == nil {
		row.Add(a.id, a.record.WallMs, a.event.Cart)
	}
	return err
}

// MemberSale is a sale to a member that counted for the first time.
type MemberSale struct {
	ID     protocol.EventID
	Member protocol.MemberID
	Sale   *protocol.Sale
}

// sold notes what a member has bought, which is no longer to be in a cart. What
// comes back does not go into it again.
func (f *fold) sold(a *act, s *protocol.Sale) {
	if s.Member != "" && s.Type == protocol.SaleSale && !s.Training {
		f.res.MemberSales = append(f.res.MemberSales, MemberSale{a.id, s.Member, s})
	}
}

// ReadCart reads the cart of a member in a store; it is empty where none is known.
func ReadCart(r Reader, at MemberAt) (*cart.Cart, error) {
	values, err := r.Load([]Key{cartKey(at)})
	if err != nil {
		return nil, err
	}
	return cart.Decode(values[0])
}

// MemberCart reads a member's cart with where it is, wherever a store knows the
// member; ok is false for none.
func MemberCart(r Reader, id protocol.MemberID) (c *cart.Cart, at MemberAt, ok bool, err error) {
	values, err := r.Load([]Key{memberStoresKey(id)})
	if err != nil || len(values[0]) == 0 {
		return nil, at, false, err
	}
	stores, err := decodeStoreSet(values[0])
	if err != nil {
		return nil, at, false, err
	}
	keys := make([]Key, len(*stores))
	for i, store := range *stores {
		keys[i] = cartKey(MemberAt{store, id})
	}
	if values, err = r.Load(keys); err != nil {
		return nil, at, false, err
	}
	for i, v := range values {
		if len(v) > 0 {
			c, err = cart.Decode(v)
			return c, MemberAt{(*stores)[i], id}, true, err
		}
	}
	return nil, at, false, nil
}
