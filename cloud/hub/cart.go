package hub

import (
	"context"
	"errors"
	"strings"

	"counterpart/protocol"
	"counterpart/protocol/cart"
	"counterpart/protocol/ledger"
	"counterpart/protocol/sale"
)

// A member's cart is the hub's: only it writes the events, in its stream of the
// store that the member's row belongs to, so operations have an order. A repeated
// operation is known by its name, and its answer is made anew, because a note in
// it is personal and kept nowhere but sealed.

// cartOwner reads a member who may have a cart, with the store that it belongs to:
// of who was merged that is who stands for them.
func cartOwner(r ledger.Reader, id protocol.MemberID) (at ledger.MemberAt, err error) {
	if id, err = ledger.Representative(r, id); err != nil {
		return at, err
	}
	m, store, err := ledger.ReadMember(r, id)
	switch {
	case err != nil:
		return at, err
	case m == nil:
		return at, errNoMember()
	case m.Status == protocol.MemberErased:
		return at, protocol.Refuse(protocol.Conflict, "This member is erased and has no cart. Nothing was recorded.").With("state", string(m.Status))
	}
	return ledger.MemberAt{Store: store, Member: id}, nil
}

// sameOwner refuses where somebody else stands for a member since a moment ago, with
// whose key nothing was sealed.
func sameOwner(r ledger.Reader, at ledger.MemberAt) error {
	now, err := cartOwner(r, at.Member)
	if err == nil && now != at {
		err = protocol.Refuse(protocol.Conflict, "This member was merged with another in this moment. Nothing was recorded. Send it again.").With("member_id", string(now.Member))
	}
	return err
}

// Cart shows what a member means to buy.
func (h *Hub) Cart(ctx context.Context, id protocol.MemberID) (cart.Document, error) {
	doc := cart.Document{MemberID: &id, Lines: []cart.DocumentLine{}, AsOf: timeOf(h.now().UnixMilli()), From: cart.FromHub}
	var lines []cart.Line
	items := map[protocol.SKU]*protocol.Item{}
	err := h.view(ctx, func(r ledger.Reader) error {
		at, err := cartOwner(r, id)
		if err != nil {
			return err
		}
		id = at.Member
		c, err := ledger.ReadCart(r, at)
		if err != nil {
			return err
		}
		lines = c.Lines()
		return readItems(r, lines, items)
	})
	if err != nil {
		return doc, err
	}
	open, err := h.textOpener(ctx, id, lines)
	if err != nil {
		return doc, err
	}
	for _, l := range lines {
		doc.Lines = append(doc.Lines, cart.NewLine(l, items[l.SKU], open))
	}
	return doc, nil
}

func readItems(r ledger.Reader, lines []cart.Line, items map[protocol.SKU]*protocol.Item) error {
	for _, l := range lines {
		item, err := ledger.ReadItem(r, l.SKU)
		if err != nil {
			return err
		}
		items[l.SKU] = item
	}
	return nil
}

// textOpener opens what is sealed with a member's key, and tells where it cannot
// be. The key is not looked for where nothing is sealed.
func (h *Hub) textOpener(ctx context.Context, id protocol.MemberID, lines []cart.Line) (func([]byte) (string, bool), error) {
	sealed := false
	for _, l := range lines {
		sealed = sealed || len(l.Note) > 0
	}
	if !sealed {
		return func([]byte) (string, bool) { return "", false }, nil
	}
	return h.opener(ctx, id)
}

// opener opens texts of a member; they stay locked where the key is not here.
func (h *Hub) opener(ctx context.Context, id protocol.MemberID) (func([]byte) (string, bool), error) {
	locked := func([]byte) (string, bool) { return "", false }
	if h.keys == nil {
		return locked, nil
	}
	key, ok, err := h.keys.Key(ctx, string(id))
	if errors.Is(err, ledger.ErrLocked) || err == nil && !ok {
		return locked, nil
	}
	return func(b []byte) (string, bool) {
		text, err := protocol.OpenText(key, string(id), b)
		return text, err == nil
	}, err
}

// sealText seals what was said to or by a member; no text needs no key.
func (h *Hub) sealText(ctx context.Context, id protocol.MemberID, text string) ([]byte, error) {
	if sale.ContainsCardNumber(text) {
		return nil, errCardNumber()
	}
	if text == "" {
		return nil, nil
	}
	if h.keys == nil || h.keys.Locked() {
		return nil, errNoKeys()
	}
	key, ok, err := h.keys.Key(ctx, string(id))
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, errNoKeys()
	}
	return protocol.SealText(key, string(id), text, h.random)
}

func errCardNumber() error {
	return protocol.Refuse(protocol.CardNumber, "The text holds what looks like the number of a payment card. Nothing was recorded, and the number was not kept. Take it out and send the rest again.")
}

// ChangeCart does an operation on a member's cart, once for each name that
// operations bear, and answers with the cart.
func (h *Hub) ChangeCart(ctx context.Context, id protocol.MemberID, q cart.OpRequest) (cart.Document, error) {
	if err := q.Validate(); err != nil {
		return cart.Document{}, err
	}
	at, err := h.cartAt(ctx, id)
	if err != nil {
		return cart.Document{}, err
	}
	var note []byte
	if q.Note != nil {
		if note, err = h.sealText(ctx, at.Member, strings.TrimSpace(*q.Note)); err != nil {
			return cart.Document{}, err
		}
	}
	_, err = h.actAll(ctx, at.Store, func(tx ledger.Tx, _ protocol.Origin) ([]*protocol.Event, error) {
		if err := sameOwner(tx, at); err != nil {
			return nil, err
		}
		c, err := ledger.ReadCart(tx, at)
		if err != nil {
			return nil, err
		}
		line, err := cartLine(tx, c, &q)
		if err != nil || line == nil {
			return nil, err
		}
		line.Note = note
		return h.cartEvents(c, &protocol.Cart{Member: at.Member, Op: q.Op, OpID: q.OpID, Request: q.Sum(), Channel: q.Channel, Lines: []protocol.CartLine{*line}}), nil
	})
	if err != nil {
		return cart.Document{}, err
	}
	return h.Cart(ctx, id)
}

// cartAt is whose cart a member's operations act on, and where it is.
func (h *Hub) cartAt(ctx context.Context, id protocol.MemberID) (at ledger.MemberAt, err error) {
	err = h.view(ctx, func(r ledger.Reader) error {
		at, err = cartOwner(r, id)
		return err
	})
	return at, err
}

// cartLine is what an operation does to a cart, nil for nothing.
func cartLine(r ledger.Reader, c *cart.Cart, q *cart.OpRequest) (*protocol.CartLine, error) {
	if known, same := c.Known(q.OpID, q.Sum()); known && !same {
		return nil, protocol.Refuse(protocol.IdempotencyMismatch, "An operation of this name was another one. What it did stands; nothing was recorded now. Send this one under a name of its own.").With("op_id", clip(q.OpID))
	} else if known {
		return nil, nil
	}
	item, err := namedByCode(r, q.Code)
	if err != nil {
		return nil, err
	}
	o, _, err := owner(r, q.Code)
	if err != nil {
		return nil, err
	}
	line, err := q.Line(item.SKU, o.Multiplier)
	if err != nil {
		return nil, err
	}
	now := c.Quantity(item.SKU)
	if now == 0 && q.Op == protocol.CartNote {
		return nil, protocol.Refuse(protocol.Conflict, item.Name+" is not in the cart, so there is nothing to note. Nothing was recorded. Add it first.").With("sku", string(item.SKU))
	}
	if now == 0 && line.Set && line.Quantity == 0 {
		return nil, nil
	}
	return &line, mayHold(c, []protocol.CartLine{line})
}

// mayHold refuses lines by which a cart would hold more than it can.
func mayHold(c *cart.Cart, lines []protocol.CartLine) error {
	held := len(c.Lines())
	for _, l := range lines {
		now := c.Quantity(l.SKU)
		if l.Quantity > 0 && now == 0 {
			held++
		}
		if !l.Set && now+l.Quantity > cart.QuantityMax {
			return protocol.OutOfRange("qty", l.Quantity.String(), "more than a cart can hold").With("sku", string(l.SKU))
		}
	}
	if held > cart.LinesMax {
		return protocol.OutOfRange("code", "", "one item more than a cart can hold, which is 200").With("lines", held)
	}
	return nil
}

// cartEvents is an operation, behind the one that tidies the cart where that is
// due. After a restore nothing is tidied before all stores have told what they hold:
// operations that come back from them would count for nothing.
func (h *Hub) cartEvents(c *cart.Cart, o *protocol.Cart) (events []*protocol.Event) {
	if tidy := c.Tidied(o.Member); tidy != nil && !h.awaitsAgents() {
		events = append(events, &protocol.Event{Kind: protocol.KindCart, Cart: tidy})
	}
	return append(events, &protocol.Event{Kind: protocol.KindCart, Cart: o})
}
