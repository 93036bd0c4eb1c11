package hub

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/cart"
	"counterpart/protocol/ledger"
)

// The cart of somebody who has not said who they are is a note, as a hold is: no
// store hears of it. It ends when it becomes a member's, and some time after
// nobody touched it.

const (
	noteGuestCart = "guest-cart" // by id
	// guestCartKept is the running time after which a cart that nobody touches is
	// forgotten, guestCartsEvery how often is looked.
	guestCartKept   = 30 * 24 * time.Hour
	guestCartsEvery = time.Hour
	// guestCartsAtOnce bounds one transaction that forgets.
	guestCartsAtOnce = 500
)

// guestCart is an anonymous cart as it is kept.
type guestCart struct {
	// TouchedMs is the running time of the last operation, so that no clock ends
	// the cart early (I17).
	TouchedMs int64 `json:"touched_ms"`
	// Ops counts the operations, which gives each its place.
	Ops protocol.Seq `json:"ops"`
	// Into is the member into whose cart it went; it is then empty for good.
	Into protocol.MemberID `json:"into"`
	Cart []byte            `json:"cart"`
}

func errNoGuestCart() error {
	return protocol.Refuse(protocol.NotFound, "There is no such cart; one that nobody touches for 30 days is forgotten. Nothing was recorded. Begin a new one.")
}

func readGuestCart(r ledger.Reader, id string) (*guestCart, *cart.Cart, error) {
	b, err := ledger.Note(r, noteGuestCart, id)
	if err != nil {
		return nil, nil, err
	}
	if b == nil {
		return nil, nil, errNoGuestCart()
	}
	row := &guestCart{}
	if err := json.Unmarshal(b, row); err != nil {
		return nil, nil, fmt.Errorf("cart %s: %w", id, err)
	}
	c, err := cart.Decode(row.Cart)
	return row, c, err
}

func (h *Hub) writeGuestCart(tx ledger.Tx, id string, row *guestCart) error {
	row.TouchedMs = h.running().Milliseconds()
	b, err := json.Marshal(row)
	if err != nil {
		return err
	}
	return ledger.SetNote(tx, b, noteGuestCart, id)
}

// NewCart begins a cart for somebody who has not said who they are, and answers 201.
func (h *Hub) NewCart(ctx context.Context, c protocol.Call) (protocol.Answer, error) {
	return h.once(ctx, c, func(keep func(ledger.Tx, protocol.Answer) error) (answer protocol.Answer, err error) {
		var name [16]byte
		h.random(name[:])
		id := "c-" + hex.EncodeToString(name[:])
		if answer, err = answerJSON(http.StatusCreated, h.guestDocument(id, &guestCart{})); err != nil {
			return answer, err
		}
		return answer, h.driver.Update(ctx, func(tx ledger.Tx) error {
			if err := h.writeGuestCart(tx, id, &guestCart{}); err != nil {
				return err
			}
			return keep(tx, answer)
		})
	})
}

func (h *Hub) guestDocument(id string, row *guestCart) cart.Document {
	doc := cart.Document{ID: &id, Lines: []cart.DocumentLine{}, AsOf: timeOf(h.now().UnixMilli()), From: cart.FromHub}
	if row.Into != "" {
		doc.MemberID = &row.Into
	}
	return doc
}

// GuestCart shows an anonymous cart.
func (h *Hub) GuestCart(ctx context.Context, id string) (doc cart.Document, err error) {
	err = h.view(ctx, func(r ledger.Reader) error {
		row, c, err := readGuestCart(r, id)
		if err != nil {
			return err
		}
		lines, items := c.Lines(), map[protocol.SKU]*protocol.Item{}
		if err := readItems(r, lines, items); err != nil {
			return err
		}
		doc = h.guestDocument(id, row)
		for _, l := range lines {
			doc.Lines = append(doc.Lines, cart.NewLine(l, items[l.SKU], nil))
		}
		return nil
	})
	return doc, err
}

// ChangeGuestCart does an operation on an anonymous cart, and answers with it. A
// note says something of a person, for whom there is no key yet.
func (h *Hub) ChangeGuestCart(ctx context.Context, id string, q cart.OpRequest) (cart.Document, error) {
	if err := q.Validate(); err != nil {
		return cart.Document{}, err
	}
	if q.Op == protocol.CartNote || q.Note != nil && *q.Note != "" {
		return cart.Document{}, protocol.OutOfRange("note", "", "only for the cart of a member")
	}
	err := h.driver.Update(ctx, func(tx ledger.Tx) error {
		row, c, err := readGuestCart(tx, id)
		if err != nil {
			return err
		}
		if row.Into != "" {
			return protocol.Refuse(protocol.Conflict, "This cart became part of a member's. Nothing was recorded. Change the member's cart.").With("member_id", string(row.Into))
		}
		line, err := cartLine(tx, c, &q)
		if err != nil || line == nil {
			return err
		}
		line.Noted = false
		row.Ops++
		for _, ev := range h.cartEvents(c, &protocol.Cart{Op: q.Op, OpID: q.OpID, Request: q.Sum(), Lines: []protocol.CartLine{*line}}) {
			c.Add(protocol.EventID{Seq: row.Ops}, h.now().UnixMilli(), ev.Cart)
			row.Ops++
		}
		row.Cart = c.Encode()
		return h.writeGuestCart(tx, id, row)
	})
	if err != nil {
		return cart.Document{}, err
	}
	return h.GuestCart(ctx, id)
}

// MergeCart puts what an anonymous cart holds into a member's, once, and answers
// with the member's. Quantities of one item add up.
func (h *Hub) MergeCart(ctx context.Context, id protocol.MemberID, q cart.MergeRequest) (cart.Document, error) {
	at, err := h.cartAt(ctx, id)
	if err != nil {
		return cart.Document{}, err
	}
	var row *guestCart
	_, err = h.actAfter(ctx, at.Store, func(tx ledger.Tx, _ protocol.Origin) ([]*protocol.Event, error) {
		var guest *cart.Cart
		if row, guest, err = readGuestCart(tx, q.Cart); err != nil {
			return nil, err
		}
		if err := sameOwner(tx, at); err != nil {
			return nil, err
		}
		if err := ours(tx, row.Into, at.Member); err != nil {
			return nil, err
		}
		c, err := ledger.ReadCart(tx, at)
		if err != nil {
			return nil, err
		}
		o := &protocol.Cart{Member: at.Member, Op: protocol.CartMerge, OpID: "merge " + q.Cart, Channel: "web"}
		for _, l := range guest.Lines() {
			o.Lines = append(o.Lines, protocol.CartLine{SKU: l.SKU, Quantity: l.Quantity, AddedMs: l.AddedMs})
		}
		if known, _ := c.Known(o.OpID, 0); known || len(o.Lines) == 0 {
			return nil, nil
		}
		return h.cartEvents(c, o), mayHold(c, o.Lines)
	}, func(tx ledger.Tx, _ []*protocol.Event) error {
		row.Into, row.Cart = at.Member, nil
		return h.writeGuestCart(tx, q.Cart, row)
	})
	if err != nil {
		return cart.Document{}, err
	}
	return h.Cart(ctx, id)
}

// ours refuses an anonymous cart that became part of the cart of somebody for whom
// the member does not stand.
func ours(r ledger.Reader, into, member protocol.MemberID) error {
	if into == "" || into == member {
		return nil
	}
	rep, err := ledger.Representative(r, into)
	if err == nil && rep != member {
		err = protocol.Refuse(protocol.Conflict, "This cart became part of another member's. Nothing was recorded.").With("member_id", string(into))
	}
	return err
}

// forgetGuestCarts takes away carts that nobody has touched for long.
func (h *Hub) forgetGuestCarts(ctx context.Context) error {
	now := h.running()
	if now-h.cartsLooked < guestCartsEvery {
		return nil
	}
	h.cartsLooked = now
	var old []ledger.Row
	prefix := noteGuestCart + "\x00"
	err := h.view(ctx, func(r ledger.Reader) error {
		return r.Scan(ledger.Notes, prefix, noteGuestCart+"\x01", func(id string, v []byte) (bool, error) {
			var row struct {
				TouchedMs int64 `json:"touched_ms"`
			}
			if err := json.Unmarshal(v, &row); err != nil {
				return false, fmt.Errorf("row %q: %w", id, err)
			}
			if time.Duration(row.TouchedMs)*time.Millisecond < now-guestCartKept {
				old = append(old, ledger.Row{Key: ledger.Key{Table: ledger.Notes, ID: id}})
			}
			return len(old) < guestCartsAtOnce, nil
		})
	})
	if err != nil || len(old) == 0 {
		return err
	}
	if len(old) == guestCartsAtOnce {
		h.cartsLooked = 0 // there may be more
	}
	return h.driver.Update(ctx, func(tx ledger.Tx) error { return tx.Write(old) })
}
