package hub

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/cart"
	"counterpart/protocol/ledger"
	"counterpart/protocol/loyalty"
)

// newShop is a core with two items and keys for members.
func newShop(t *testing.T) *core {
	t.Helper()
	c := newCore(t)
	ring, err := ledger.OpenKeyRing(t.Context(), ledger.NewMemory(), [32]byte{1}, c.random)
	if err != nil {
		t.Fatal(err)
	}
	c.keys = ring
	mustTakeIn(t, c.Hub, ItemsTable, "sku,gtin,name,price_minor,codes\nPEN,4006381333931,Pen,250,12345670*6\nINK,,Ink,900,\n")
	return c
}

// enrol makes a member of a store.
func (c *core) enrol(name, store string) protocol.MemberID {
	c.t.Helper()
	m, err := c.enrolment(c.t.Context(), loyalty.MemberRequest{Name: &name, HomeStore: &store})
	if err == nil {
		_, err = c.act(c.t.Context(), m.HomeStore, func(ledger.Tx) (*protocol.Event, error) {
			return &protocol.Event{Kind: protocol.KindMember, Member: m}, nil
		})
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return m.ID
}

// cartOp does an operation on a cart, and gives its code where it is refused.
func (c *core) cartOp(id protocol.MemberID, q cart.OpRequest) (cart.Document, protocol.Code) {
	c.t.Helper()
	c.time += time.Millisecond
	doc, err := c.ChangeCart(c.t.Context(), id, q)
	return doc, protocol.CodeOf(err)
}

func op(name string, op protocol.CartOp, code string, qty protocol.Quantity) cart.OpRequest {
	return cart.OpRequest{OpID: name, Op: op, Code: code, Qty: &qty}
}

// holds compares a cart with SKUs and quantities as they are written.
func (c *core) holdsCart(id protocol.MemberID, want string) {
	c.t.Helper()
	doc, err := c.Cart(c.t.Context(), id)
	if err != nil {
		c.t.Fatal(err)
	}
	if got := contents(doc); got != want {
		c.t.Errorf("the cart holds %q, want %q", got, want)
	}
}

func contents(doc cart.Document) (text string) {
	for _, l := range doc.Lines {
		text += fmt.Sprintf("%s %s ", l.SKU, l.Qty)
	}
	return text
}

// sound replays the log.
func (c *core) sound() {
	c.t.Helper()
	err := c.view(c.t.Context(), func(r ledger.Reader) error {
		rep, err := ledger.Verify(r)
		if err == nil && !rep.OK() {
			c.t.Errorf("the log gives another state: %v", rep.Differences)
		}
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

// TestCartOperations changes a cart from several sides, each operation once.
func TestCartOperations(t *testing.T) {
	c := newShop(t)
	id := c.enrol("Ayla", "s1")
	note := "for Ali's birthday"
	for range 2 {
		if doc, code := c.cartOp(id, op("1", protocol.CartAdd, "12345670", 1000)); code != "" || contents(doc) != "PEN 6 " || *doc.Lines[0].GTIN != "04006381333931" || *doc.Lines[0].Name != "Pen" {
			t.Fatalf("a box of six: %s %+v", code, doc)
		}
	}
	if _, code := c.cartOp(id, op("1", protocol.CartAdd, "12345670", 2000)); code != protocol.IdempotencyMismatch {
		t.Errorf("another operation under a name that is taken: %s", code)
	}
	c.cartOp(id, cart.OpRequest{OpID: "2", Op: protocol.CartAdd, Code: "INK", Note: &note})
	c.holdsCart(id, "PEN 6 INK 1 ")
	if doc, _ := c.Cart(t.Context(), id); doc.Lines[1].Note == nil || *doc.Lines[1].Note != note || doc.Lines[0].Note != nil || doc.Lines[1].Locked {
		t.Errorf("notes are %+v", doc.Lines)
	}
	for _, table := range []ledger.Table{ledger.States, ledger.Events, ledger.Feeds, ledger.Notes} {
		err := c.view(t.Context(), func(r ledger.Reader) error {
			return r.Scan(table, "", "\xff", func(row string, v []byte) (bool, error) {
				if bytes.Contains(v, []byte("birthday")) {
					t.Errorf("row %q shows the note", row)
				}
				return true, nil
			})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	c.cartOp(id, op("3", protocol.CartSet, "PEN", 1500))
	c.cartOp(id, op("4", protocol.CartRemove, "INK", 0))
	c.cartOp(id, op("5", protocol.CartRemove, "INK", 0))
	c.holdsCart(id, "PEN 1.5 ")
	c.cartOp(id, op("6", protocol.CartAdd, "INK", 1000))
	if doc, _ := c.Cart(t.Context(), id); doc.Lines[1].Note != nil {
		t.Error("a note outlives its line")
	}
	c.sound()
	if _, err := c.EraseMember(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if _, code := c.cartOp(id, op("7", protocol.CartAdd, "INK", 1000)); code != protocol.Conflict {
		t.Errorf("the cart of somebody erased: %s", code)
	}
}

// TestBadCartOperations asks for what a cart cannot hold.
func TestBadCartOperations(t *testing.T) {
	c := newShop(t)
	id := c.enrol("Ayla", "s1")
	card, long := "pay with 4111 1111 1111 1111", string(make([]byte, cart.NoteBytesMax+1))
	for i, bad := range []struct {
		q    cart.OpRequest
		code protocol.Code
	}{
		{op("", protocol.CartAdd, "PEN", 1000), protocol.OutOfRangeCode},
		{op(string(make([]byte, 129)), protocol.CartAdd, "PEN", 1000), protocol.OutOfRangeCode},
		{op("1", "steal", "PEN", 1000), protocol.OutOfRangeCode},
		{op("1", protocol.CartSold, "PEN", 1000), protocol.OutOfRangeCode},
		{op("1", protocol.CartAdd, "", 1000), protocol.OutOfRangeCode},
		{op("1", protocol.CartAdd, "PEN", 0), protocol.OutOfRangeCode},
		{op("1", protocol.CartAdd, "PEN", -1000), protocol.OutOfRangeCode},
		{op("1", protocol.CartSet, "PEN", -1), protocol.OutOfRangeCode},
		{cart.OpRequest{OpID: "1", Op: protocol.CartSet, Code: "PEN"}, protocol.OutOfRangeCode},
		{op("1", protocol.CartAdd, "12345670", protocol.QuantityMax), protocol.OutOfRangeCode},
		{op("1", protocol.CartAdd, "GUM", 1000), protocol.UnknownCode},
		{cart.OpRequest{OpID: "1", Op: protocol.CartNote, Code: "PEN", Note: new(string)}, protocol.Conflict},
		{cart.OpRequest{OpID: "1", Op: protocol.CartAdd, Code: "PEN", Note: &card}, protocol.CardNumber},
		{cart.OpRequest{OpID: "1", Op: protocol.CartAdd, Code: "PEN", Note: &long}, protocol.OutOfRangeCode},
		{cart.OpRequest{OpID: "1", Op: protocol.CartAdd, Code: "PEN", Channel: "carrier pigeon"}, protocol.OutOfRangeCode},
	} {
		if _, code := c.cartOp(id, bad.q); code != bad.code {
			t.Errorf("%d: %s, want %s", i, code, bad.code)
		}
	}
	if _, code := c.cartOp("m-9", op("1", protocol.CartAdd, "PEN", 1000)); code != protocol.NotFound {
		t.Errorf("the cart of nobody: %s", code)
	}
	rows := "sku,name\n"
	for i := range cart.LinesMax + 1 {
		rows += fmt.Sprintf("S%d,Thing\n", i)
	}
	mustTakeIn(t, c.Hub, ItemsTable, rows)
	for i := range cart.LinesMax {
		if _, code := c.cartOp(id, op(fmt.Sprint(i), protocol.CartAdd, fmt.Sprint("S", i), protocol.QuantityMax)); code != "" {
			t.Fatalf("line %d: %s", i, code)
		}
	}
	if _, code := c.cartOp(id, op("more", protocol.CartAdd, fmt.Sprint("S", cart.LinesMax), 1000)); code != protocol.OutOfRangeCode {
		t.Errorf("one line more than there is room for: %s", code)
	}
	if _, code := c.cartOp(id, op("more", protocol.CartAdd, "S0", 1)); code != protocol.OutOfRangeCode {
		t.Errorf("more of an item than a line can hold: %s", code)
	}
	c.sound()
}

// TestConcurrentCartOperations adds from many sides at once, each twice.
func TestConcurrentCartOperations(t *testing.T) {
	c := newShop(t)
	id := c.enrol("Ayla", "s1")
	c.disk.hub = nil // Others may hold the hub's lock at any moment.
	var all sync.WaitGroup
	for side := range 8 {
		all.Go(func() {
			for i := range 20 {
				q := op(fmt.Sprintf("%d/%d", side, i/2), protocol.CartAdd, "PEN", 1000)
				if _, err := c.ChangeCart(t.Context(), id, q); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	c.holdsCart(id, "PEN 80 ")
	c.sound()
}

// buys is a sale to a member, as an agent logs it.
func (p *player) buys(member protocol.MemberID, change func(*protocol.Sale)) Inbound {
	ev := receiptOf(protocol.SaleSale, uint64(p.hello.LastSeq)+1, "2026-11-21", 1000, "")
	ev.Sale.Member = member
	if change != nil {
		change(ev.Sale)
	}
	return p.does(ev)
}

// TestSoldLinesLeaveTheCart sells to a member in two stores. What is sold is in the
// cart no longer, once, with the commit of the sale; the home store's agents hear.
func TestSoldLinesLeaveTheCart(t *testing.T) {
	c := newShop(t)
	id := c.enrol("Ayla", "s1")
	home, away, sibling := c.player("s1", "a1", 1), c.player("s2", "b1", 2), c.player("s1", "a2", 3)
	home.greet(protocol.FeedPos{Feed: protocol.PeerFeed("s1")})
	sibling.greet(protocol.FeedPos{Feed: protocol.PeerFeed("s1")})
	away.greet()
	c.cartOp(id, op("1", protocol.CartAdd, "PEN", 4000))
	c.cartOp(id, op("2", protocol.CartAdd, "INK", 1000))
	sale := home.buys(id, nil)
	c.receive(sale, sale)
	c.holdsCart(id, "PEN 3 INK 1 ")
	c.receive(sale)
	c.holdsCart(id, "PEN 3 INK 1 ")
	c.receive(away.buys(id, nil))
	c.holdsCart(id, "PEN 2 INK 1 ")
	c.receive(home.buys(id, func(s *protocol.Sale) { s.Training, s.Series = true, "T" }), home.buys("m-nobody", nil), home.sell("PEN"))
	c.receive(home.does(func() *protocol.Event {
		ev := receiptOf(protocol.SaleReturn, 90, "2026-11-21", -1000, "a1-1-1-1")
		ev.Sale.Member = id
		return ev
	}()))
	c.holdsCart(id, "PEN 2 INK 1 ")

	c.disk.full = true
	last := home.buys(id, func(s *protocol.Sale) { s.Lines[0].Quantity, s.Lines = 9000, append(s.Lines, s.Lines[0]) })
	c.receive(last)
	c.disk.full = false
	c.holdsCart(id, "PEN 2 INK 1 ")
	c.take("")
	c.receive(last)
	c.holdsCart(id, "INK 1 ")
	deltas := only[*protocol.Delta](c.take(protocol.TopicFeed(protocol.PeerFeed("s1"))))
	upto := uint64(0)
	for _, d := range deltas {
		upto = max(upto, d.Upto)
	}
	err := c.view(t.Context(), func(r ledger.Reader) error {
		head, err := ledger.FeedHead(r, protocol.PeerFeed("s1"))
		if upto != head {
			t.Errorf("the store was told up to %d of %d", upto, head)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	c.receive(home.sell("PEN"))
	acks := only[*protocol.Ack](c.take(home.down()))
	if len(acks) != 1 || acks[0].Own == nil || acks[0].Own.Upto-acks[0].Own.After != 1 {
		t.Errorf("the sender is told that what the hub wrote in between is its own: %+v", acks)
	}
	c.sound()
}

// TestSaleThatACartKnows takes a sale in after what it did to the cart: the hub was
// restored from a copy of before, and a store brought back the hub's own event first.
func TestSaleThatACartKnows(t *testing.T) {
	var held cart.Cart
	held.Add(protocol.EventID{Seq: 1}, 0, &protocol.Cart{Member: "m-1", Op: protocol.CartAdd, Lines: []protocol.CartLine{{SKU: "PEN", Quantity: 4000}}})
	b := &bought{sale: protocol.EventID{Inc: protocol.Inc{9}, Seq: 7}, member: "m-1", goods: []soldLine{{sku: "PEN", quantity: 1000}}}
	o := soldFrom(&held, b)
	if o == nil {
		t.Fatal("nothing is taken from the cart")
	}
	held.Add(protocol.EventID{Seq: 2}, 0, o)
	if again := soldFrom(&held, b); again != nil || held.Quantity("PEN") != 3000 {
		t.Errorf("the sale takes %+v once more from %s", again, held.Quantity("PEN"))
	}
}

// TestCartThatCannotBeRead damages the row of a cart: the store's events come in all
// the same.
func TestCartThatCannotBeRead(t *testing.T) {
	c := newShop(t)
	id := c.enrol("Ayla", "s1")
	home := c.player("s1", "a1", 1)
	home.greet()
	c.cartOp(id, op("1", protocol.CartAdd, "PEN", 4000))
	rewrite(t, c.disk.Driver, "cart\x00s1\x00"+string(id), func([]byte) []byte { return []byte{0x0a, 0xff} })
	c.receive(home.buys(id, nil))
	if got := c.cursorOf(home.origin); got != 1 {
		t.Errorf("the hub has %d events of a store whose member's cart is damaged", got)
	}
}

// TestAnonymousCart fills a cart of somebody unknown, who then signs in.
func TestAnonymousCart(t *testing.T) {
	c := newShop(t)
	id, other := c.enrol("Ayla", "s1"), c.enrol("Basti", "s1")
	begin := func(key string) string {
		t.Helper()
		answer, err := c.NewCart(t.Context(), protocol.Call{Route: "POST /v1/carts", Key: key, Body: []byte("{}")})
		if err != nil || answer.Status != 201 {
			t.Fatalf("%+v %v", answer, err)
		}
		var doc cart.Document
		if err := json.Unmarshal(answer.Body, &doc); err != nil {
			t.Fatal(err)
		}
		return *doc.ID
	}
	guest := begin("k-1")
	if guest == "" || begin("k-1") != guest {
		t.Fatalf("the same key begins cart %q and another", guest)
	}
	change := func(q cart.OpRequest) (cart.Document, protocol.Code) {
		c.time += time.Millisecond
		doc, err := c.ChangeGuestCart(t.Context(), guest, q)
		return doc, protocol.CodeOf(err)
	}
	change(op("1", protocol.CartAdd, "PEN", 2000))
	change(op("1", protocol.CartAdd, "PEN", 2000))
	if doc, code := change(op("2", protocol.CartAdd, "INK", 1000)); code != "" || contents(doc) != "PEN 2 INK 1 " || doc.MemberID != nil || *doc.ID != guest {
		t.Fatalf("%s %+v", code, doc)
	}
	note := "for Ali"
	if _, code := change(cart.OpRequest{OpID: "3", Op: protocol.CartAdd, Code: "PEN", Note: &note}); code != protocol.OutOfRangeCode {
		t.Errorf("a note of nobody: %s", code)
	}
	c.cartOp(id, op("1", protocol.CartAdd, "PEN", 1000))
	for range 2 {
		doc, err := c.MergeCart(t.Context(), id, cart.MergeRequest{Cart: guest})
		if err != nil || contents(doc) != "PEN 3 INK 1 " {
			t.Fatalf("merged: %v %+v", err, doc)
		}
	}
	if _, err := c.MergeCart(t.Context(), other, cart.MergeRequest{Cart: guest}); protocol.CodeOf(err) != protocol.Conflict {
		t.Errorf("merged into a second member: %v", err)
	}
	if _, err := c.MergeCart(t.Context(), id, cart.MergeRequest{Cart: "c-9"}); protocol.CodeOf(err) != protocol.NotFound {
		t.Errorf("a cart that is none: %v", err)
	}
	if _, code := change(op("4", protocol.CartAdd, "PEN", 1000)); code != protocol.Conflict {
		t.Errorf("a cart that is merged takes in: %s", code)
	}
	if doc, err := c.GuestCart(t.Context(), guest); err != nil || len(doc.Lines) > 0 || doc.MemberID == nil || *doc.MemberID != id {
		t.Errorf("the anonymous cart is then %+v (%v)", doc, err)
	}
	c.sound()
}

// TestI17_AnonymousCartsEndByRunningTime lets a cart alone for a month.
func TestI17_AnonymousCartsEndByRunningTime(t *testing.T) {
	c := newShop(t)
	row := &guestCart{}
	for _, id := range []string{"c-old", "c-new"} {
		if id == "c-new" {
			c.time += 20 * 24 * time.Hour
		}
		if err := c.disk.Driver.Update(t.Context(), func(tx ledger.Tx) error { return c.writeGuestCart(tx, id, row) }); err != nil {
			t.Fatal(err)
		}
	}
	look := func(days int, want map[string]protocol.Code) {
		t.Helper()
		c.time += time.Duration(days) * 24 * time.Hour
		if err := c.forgetGuestCarts(t.Context()); err != nil {
			t.Fatal(err)
		}
		for id, code := range want {
			if _, err := c.GuestCart(t.Context(), id); protocol.CodeOf(err) != code {
				t.Errorf("after %d days %s: %v, want %q", days, id, err, code)
			}
		}
	}
	look(9, map[string]protocol.Code{"c-old": "", "c-new": ""})
	look(2, map[string]protocol.Code{"c-old": protocol.NotFound, "c-new": ""})
	look(20, map[string]protocol.Code{"c-new": protocol.NotFound})
}
