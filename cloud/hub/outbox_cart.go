package hub

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// Who has an item in the cart is found by notes, each under the member's home
// store, the item and the member. They follow the rows of carts and members, in the
// transaction that changes those, while somebody wants to be told; when somebody
// begins to, the members are gone through once. A level that falls to the last one
// is marked, as it is when its word changes, and looked at a few seconds later.
const (
	noteOutboxCart    = "outbox-cart"    // home store, item, member: in that member's cart
	noteOutboxCartOf  = "outbox-cart-of" // member: under which of those
	noteOutboxCarts   = "outbox-carts"   // up to which member the notes are made; absent: all are
	noteOutboxLastOne = "outbox-last-one"
	noteOutboxScarce  = "outbox-scarce" // store, item: up to which member it is told
)

const (
	// lastOne is up to what can be promised of an item that is scarce.
	lastOne = protocol.Quantity(1000)
	// lastOneAgain is how much running time goes by before a member is told of the
	// same item again.
	lastOneAgain = 24 * time.Hour
)

// cartMessage is the data of cart.last_one.
type cartMessage struct {
	Member     protocol.MemberID `json:"member_id"`
	Store      protocol.StoreID  `json:"store"`
	SKU        protocol.SKU      `json:"sku"`
	Qty        protocol.Quantity `json:"qty"` // in the cart
	Promisable protocol.Quantity `json:"promisable"`
	AsOf       string            `json:"as_of"`
}

// cartPlace is under which notes a member's cart is found.
type cartPlace struct {
	Store protocol.StoreID `json:"store"`
	SKUs  []protocol.SKU   `json:"skus"`
}

// indexCarts lets the members whose carts or rows a transaction changed be found by
// what is in their carts now.
func (b *outbox) indexCarts(tx ledger.Tx, w *ledger.Watched) error {
	members, err := w.CartOwners()
	if err != nil {
		return err
	}
	for _, id := range members {
		if err := indexCart(tx, id); err != nil {
			return err
		}
	}
	return nil
}

// indexCart compares what a member is found by with what the rows say, so it may be
// asked at any time.
func indexCart(tx ledger.Tx, id protocol.MemberID) error {
	noted, err := ledger.Note(tx, noteOutboxCartOf, string(id))
	if err != nil {
		return err
	}
	var before cartPlace
	if noted != nil {
		if err := json.Unmarshal(noted, &before); err != nil {
			return err
		}
	}
	now, err := cartPlaceOf(tx, id)
	if err != nil || before.Store == now.Store && slices.Equal(before.SKUs, now.SKUs) {
		return err
	}
	for _, sku := range before.SKUs {
		if err := ledger.SetNote(tx, nil, noteOutboxCart, string(before.Store), string(sku), string(id)); err != nil {
			return err
		}
	}
	for _, sku := range now.SKUs {
		if err := ledger.SetNote(tx, []byte{1}, noteOutboxCart, string(now.Store), string(sku), string(id)); err != nil {
			return err
		}
	}
	var row []byte
	if len(now.SKUs) > 0 {
		if row, err = json.Marshal(now); err != nil {
			return err
		}
	}
	return ledger.SetNote(tx, row, noteOutboxCartOf, string(id))
}

// cartPlaceOf is empty for who has no home store, is no member any more, or has
// nothing in the cart.
func cartPlaceOf(r ledger.Reader, id protocol.MemberID) (p cartPlace, err error) {
	m, store, err := ledger.ReadMember(r, id)
	if err != nil || m == nil || m.HomeStore == "" || m.Status == protocol.MemberErased || m.Status == protocol.MemberMerged {
		return p, err
	}
	c, err := ledger.ReadCart(r, ledger.MemberAt{Store: store, Member: id})
	if err != nil {
		return p, err
	}
	for _, l := range c.Lines() {
		p.SKUs = append(p.SKUs, l.SKU)
	}
	if len(p.SKUs) > 0 {
		p.Store = m.HomeStore
	}
	slices.Sort(p.SKUs)
	return p, nil
}

// indexAllCarts goes through the members who were there before anybody wanted to be
// told, some with each call.
func (h *Hub) indexAllCarts(ctx context.Context) error {
	var at []byte
	var ids []protocol.MemberID
	err := h.view(ctx, func(r ledger.Reader) (err error) {
		ids = nil
		if at, err = ledger.Note(r, noteOutboxCarts); err != nil || at == nil {
			return err
		}
		return ledger.Members(r, protocol.MemberID(strings.TrimPrefix(string(at), "m")), func(id protocol.MemberID) (bool, error) {
			ids = append(ids, id)
			return len(ids) < outboxRows, nil
		})
	})
	if err != nil || at == nil {
		return err
	}
	return h.outbox.Driver.Update(ctx, func(tx ledger.Tx) error {
		for _, id := range ids {
			if err := indexCart(tx, id); err != nil {
				return err
			}
		}
		if len(ids) < outboxRows {
			return ledger.SetNote(tx, nil, noteOutboxCarts)
		}
		return ledger.SetNote(tx, []byte("m"+string(ids[len(ids)-1])), noteOutboxCarts)
	})
}

// markLastOnes notes the levels of which a transaction left the last one, or none,
// and there was more before.
func (b *outbox) markLastOnes(tx ledger.Tx, w *ledger.Watched) error {
	moved, items, err := movedLevels(tx, w)
	if err != nil {
		return err
	}
	for i, l := range moved {
		if b.shown(l.Store, l.SKU, items[i], l.Before) <= lastOne || b.shown(l.Store, l.SKU, items[i], l.After) > lastOne {
			continue
		}
		if err := ledger.SetNote(tx, []byte("m"), noteOutboxScarce, string(l.Store), string(l.SKU)); err != nil {
			return err
		}
	}
	return nil
}

// announceLastOnes tells of the marked levels of which still no more than one can be
// promised, to whom they concern, and forgets the marks.
func (h *Hub) announceLastOnes(ctx context.Context) error {
	type mark struct {
		store protocol.StoreID
		sku   protocol.SKU
	}
	var marks []mark
	err := h.view(ctx, func(r ledger.Reader) error {
		marks = nil
		return ledger.ScanNotes(r, []string{noteOutboxScarce}, func(names []string, _ []byte) (bool, error) {
			marks = append(marks, mark{protocol.StoreID(names[0]), protocol.SKU(names[1])})
			return len(marks) < outboxRows, nil
		})
	})
	for _, m := range marks {
		posted := 0
		if err == nil {
			err = h.outbox.Driver.Update(ctx, func(tx ledger.Tx) error {
				list, err := h.lastOnes(tx, m.store, m.sku)
				posted = len(list)
				if err != nil {
					return err
				}
				return h.outbox.post(tx, list)
			})
		}
		if err == nil && posted > 0 {
			h.outbox.wake()
		}
	}
	return err
}

// lastOnes are the messages about one level to some of the members who shop in its
// store. Those who are left stay marked.
func (h *Hub) lastOnes(tx ledger.Tx, store protocol.StoreID, sku protocol.SKU) (list []Outgoing, err error) {
	at, err := ledger.Note(tx, noteOutboxScarce, string(store), string(sku))
	if err != nil || at == nil {
		return nil, err
	}
	done := func() error { return ledger.SetNote(tx, nil, noteOutboxScarce, string(store), string(sku)) }
	level, err := ledger.ReadLevel(tx, store, sku)
	if err != nil {
		return nil, err
	}
	item, err := ledger.ReadItem(tx, sku)
	if err != nil {
		return nil, err
	}
	data := cartMessage{Store: store, SKU: sku, Promisable: h.shown(store, sku, item, level), AsOf: h.now().UTC().Format(protocol.TimeLayout)}
	if h.outbox.wanted.Load()&wantedCarts == 0 || data.Promisable > lastOne {
		return nil, done()
	}
	behind, ids := strings.TrimPrefix(string(at), "m"), []protocol.MemberID{}
	err = ledger.ScanNotes(tx, []string{noteOutboxCart, string(store), string(sku)}, func(names []string, _ []byte) (bool, error) {
		if names[0] > behind {
			ids = append(ids, protocol.MemberID(names[0]))
		}
		return len(ids) < outboxRows, nil
	})
	if err != nil {
		return nil, err
	}
	heads, err := streamHeads(tx, store)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		data.Member = id
		if wants, err := h.wantsLastOne(tx, &data); err != nil || !wants {
			if err != nil {
				return nil, err
			}
			continue
		}
		sum := sha256.Sum256([]byte(strings.Join([]string{typeCartLastOne, string(store), string(sku), string(id), heads}, "\x00")))
		m, err := outgoing(messageIDPrefix+hex.EncodeToString(sum[:16]), typeCartLastOne, string(id)+"/"+string(sku), h.now(), data)
		if err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	if len(ids) < outboxRows {
		return list, done()
	}
	return list, ledger.SetNote(tx, []byte("m"+string(ids[len(ids)-1])), noteOutboxScarce, string(store), string(sku))
}

// wantsLastOne tells whether the member allows to be told, has the item in the cart
// still and was not told of it within lastOneAgain; if so it notes that they are.
func (h *Hub) wantsLastOne(tx ledger.Tx, data *cartMessage) (bool, error) {
	m, store, err := ledger.ReadMember(tx, data.Member)
	if err != nil || m == nil || !consentsToCarts(m.Consents) {
		return false, err
	}
	c, err := ledger.ReadCart(tx, ledger.MemberAt{Store: store, Member: m.ID})
	if err != nil {
		return false, err
	}
	if data.Qty = c.Quantity(data.SKU); data.Qty == 0 {
		return false, nil
	}
	name := []string{noteOutboxLastOne, string(m.ID), string(data.SKU)}
	told, err := ledger.Note(tx, name...)
	if err != nil || told != nil && h.running()-toldAt(told) < lastOneAgain {
		return false, err
	}
	return true, ledger.SetNote(tx, []byte(strconv.FormatInt(h.running().Milliseconds(), 10)), name...)
}

// toldAt is the running time of a note of noteOutboxLastOne.
func toldAt(note []byte) time.Duration {
	ms, err := strconv.ParseInt(string(note), 10, 64)
	if err != nil {
		return -lastOneAgain // It says nothing.
	}
	return time.Duration(ms) * time.Millisecond
}

// consentsToCarts tells whether a member allows, on any channel, to be written to
// about the cart or for marketing. What was forbidden on another stays forbidden
// there: which channel is used is for whoever gets the message to choose.
func consentsToCarts(consents []protocol.Consent) bool {
	return slices.ContainsFunc(consents, func(c protocol.Consent) bool {
		return c.Granted && (c.Purpose == purposeCart || c.Purpose == purposeMarketing)
	})
}

// The purposes of consents under which a member is told of the last one.
const (
	purposeCart      = "cart"
	purposeMarketing = "marketing"
)

// forgetLastOnes deletes some notes of who was told of the last one, which keep
// nobody from being told again.
func (h *Hub) forgetLastOnes(ctx context.Context) error {
	var old [][]string
	err := h.view(ctx, func(r ledger.Reader) error {
		old = nil
		return ledger.ScanNotes(r, []string{noteOutboxLastOne}, func(names []string, v []byte) (bool, error) {
			if h.running()-toldAt(v) >= lastOneAgain {
				old = append(old, []string{noteOutboxLastOne, names[0], names[1]})
			}
			return len(old) < outboxRows, nil
		})
	})
	if err != nil || len(old) == 0 {
		return err
	}
	return h.outbox.Driver.Update(ctx, func(tx ledger.Tx) error {
		for _, name := range old {
			if err := ledger.SetNote(tx, nil, name...); err != nil {
				return err
			}
		}
		return nil
	})
}
