package hub

import (
	"context"
	"fmt"

	"counterpart/protocol"
	"counterpart/protocol/cart"
	"counterpart/protocol/ledger"
)

// What a member has bought leaves the cart in the transaction that folds the sale,
// so no crash can come in between.

// bought is what a sale to a member took.
type bought struct {
	sale   protocol.EventID
	member protocol.MemberID
	goods  []soldLine
}

// boughtIn keeps of sales what matters to carts.
func boughtIn(sales []ledger.MemberSale) (list []bought) {
	for _, s := range sales {
		b := bought{sale: s.ID, member: s.Member}
		for i := range s.Sale.Lines {
			if l := &s.Sale.Lines[i]; l.Quantity > 0 {
				b.add(l.Item.SKU, l.Quantity)
			}
		}
		list = append(list, b)
	}
	return list
}

func (b *bought) add(sku protocol.SKU, q protocol.Quantity) {
	for i := range b.goods {
		if b.goods[i].sku == sku {
			b.goods[i].quantity += q
			return
		}
	}
	b.goods = append(b.goods, soldLine{sku, q})
}

// ownActs are what the hub itself logged in a transaction that folds batches.
type ownActs struct {
	heads map[protocol.Origin]protocol.Seq
	grown map[protocol.FeedID]ledger.Growth
}

// join adds what the own acts made feeds grow to other growth; the result is never
// nil.
func (a *ownActs) join(grown map[protocol.FeedID]ledger.Growth) map[protocol.FeedID]ledger.Growth {
	if grown == nil {
		grown = map[protocol.FeedID]ledger.Growth{}
	}
	for feed, growth := range a.grown {
		grown[feed] = grown[feed].Join(growth)
	}
	return grown
}

// takeFromCarts logs that what was sold is in carts no longer. A cart that cannot
// be read keeps no store's events waiting.
func (h *Hub) takeFromCarts(tx ledger.Tx, ready []*incoming) (acts ownActs, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic while carts are changed: %v", r)
		}
	}()
	for _, in := range ready {
		for i := range in.bought {
			if err := h.takeFromCart(tx, &in.bought[i], &acts); err != nil {
				return acts, err
			}
		}
	}
	return acts, nil
}

func (h *Hub) takeFromCart(tx ledger.Tx, b *bought, acts *ownActs) error {
	var c *cart.Cart
	var at ledger.MemberAt
	var ok bool
	member, err := ledger.Representative(tx, b.member)
	if err == nil {
		c, at, ok, err = ledger.MemberCart(tx, member)
	}
	if err != nil {
		h.log.Error("the cart of a member cannot be read; what was sold stays in it", "member", b.member, "error", err)
		return nil
	}
	if !ok {
		return nil
	}
	o := soldFrom(c, b)
	if o == nil {
		return nil
	}
	o.Member = member
	own := protocol.Origin{Store: at.Store, Agent: protocol.HubAgent, Inc: h.ownStream(at.Store)}
	if acts.heads == nil {
		acts.heads, acts.grown = map[protocol.Origin]protocol.Seq{}, map[protocol.FeedID]ledger.Growth{}
	}
	for _, ev := range h.cartEvents(c, o) {
		clock := protocol.Clock{WallMs: h.now().UnixMilli(), MonoMs: h.mono().Milliseconds()}
		res, err := h.logOwn(tx, own, clock, ev, acts.grown)
		if err != nil {
			return err
		}
		acts.heads[own] = res.Stream.Seq
	}
	return nil
}

// soldFrom is the operation that takes from a cart what a sale sold, nil where
// nothing of it is there. Of an item that is sold out of the cart nothing stays,
// not even the note, nor what a hub that was restored has forgotten to be there.
func soldFrom(c *cart.Cart, b *bought) *protocol.Cart {
	if known, _ := c.Known(b.sale.String(), 0); known {
		return nil
	}
	o := &protocol.Cart{Member: b.member, Op: protocol.CartSold, OpID: b.sale.String(), Channel: "store"}
	for _, g := range b.goods {
		switch held := c.Quantity(g.sku); {
		case held == 0:
		case held <= g.quantity:
			o.Lines = append(o.Lines, protocol.CartLine{SKU: g.sku, Set: true, Noted: true})
		default:
			o.Lines = append(o.Lines, protocol.CartLine{SKU: g.sku, Quantity: -g.quantity})
		}
	}
	if len(o.Lines) == 0 {
		return nil
	}
	return o
}

// noteOwn lets the hub's own acts become safe after their commit.
func (h *Hub) noteOwn(acts ownActs) {
	for o, seq := range acts.heads {
		h.safety.note(o, seq)
	}
}

// takeAfterwards takes what was sold from carts after the commit of the sales, of
// which some are set aside: between two events of one stream the hub must not write
// into their feed. A crash in between leaves the goods in the cart.
func (h *Hub) takeAfterwards(ctx context.Context, in *incoming) error {
	var acts ownActs
	err := h.driver.Update(ctx, func(tx ledger.Tx) (err error) {
		acts, err = h.takeFromCarts(tx, []*incoming{in})
		return err
	})
	if err != nil || len(acts.heads) == 0 {
		return err
	}
	h.noteOwn(acts)
	return h.announce(ctx, acts.grown, nil)
}
