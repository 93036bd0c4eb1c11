package cart_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"counterpart/protocol"
	"counterpart/protocol/cart"
)

// said is an operation with its place.
type said struct {
	id protocol.EventID
	op *protocol.Cart
}

// genOps are operations in the order of their ids, over three streams.
var genOps = rapid.Custom(func(t *rapid.T) (list []said) {
	for stream := range 3 {
		for i := range rapid.IntRange(0, 8).Draw(t, "events") {
			op := &protocol.Cart{
				Member: "m-1", Op: protocol.CartAdd, OpID: fmt.Sprint(rapid.IntRange(0, 9).Draw(t, "name")), Request: rapid.Uint64Max(1).Draw(t, "request"),
				Whole: rapid.IntRange(0, 7).Draw(t, "whole") == 0,
			}
			for sku := range rapid.IntRange(0, 3).Draw(t, "lines") {
				l := protocol.CartLine{
					SKU: protocol.SKU(fmt.Sprint("SKU ", sku)), Quantity: protocol.Quantity(rapid.IntRange(-3, 5).Draw(t, "qty") * 1000),
					Set: rapid.Bool().Draw(t, "set"), AddedMs: rapid.Int64Range(0, 3).Draw(t, "added"), Noted: rapid.Bool().Draw(t, "noted"),
				}
				if l.Set {
					l.Quantity = max(0, l.Quantity)
				}
				if l.Noted {
					l.Note = rapid.SliceOfN(rapid.Byte(), 0, 2).Draw(t, "note")
				}
				op.Lines = append(op.Lines, l)
			}
			list = append(list, said{protocol.EventID{Inc: protocol.Inc{byte(stream + 1)}, Seq: protocol.Seq(i + 1)}, op})
		}
	}
	return list
})

func fold(list []said) *cart.Cart {
	c := &cart.Cart{}
	for _, s := range list {
		c.Add(s.id, int64(s.id.Seq), s.op)
	}
	return c
}

// TestI8_AnyOrderGivesTheSameCart folds operations in several orders, over the
// row's bytes in between.
func TestI8_AnyOrderGivesTheSameCart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := genOps.Draw(t, "operations")
		want := fold(list).Encode()
		rnd := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "order"), 1))
		rnd.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		var row []byte
		for _, s := range list {
			c, err := cart.Decode(row)
			if err != nil {
				t.Fatal(err)
			}
			c.Add(s.id, int64(s.id.Seq), s.op)
			row = c.Encode()
		}
		if !bytes.Equal(row, want) {
			t.Fatalf("in another order\n%x, want\n%x", row, want)
		}
	})
}

// naive is a cart as somebody keeps it who is told of each operation once and in
// order.
type naive struct {
	qty  map[protocol.SKU]protocol.Quantity
	note map[protocol.SKU][]byte
}

func keep(list []said) naive {
	n := naive{map[protocol.SKU]protocol.Quantity{}, map[protocol.SKU][]byte{}}
	for _, s := range list {
		if s.op.Whole {
			clear(n.qty)
			clear(n.note)
		}
		for _, l := range s.op.Lines {
			if l.Set {
				n.qty[l.SKU] = l.Quantity
			} else {
				n.qty[l.SKU] += l.Quantity
			}
			if l.Noted {
				n.note[l.SKU] = l.Note
			}
		}
	}
	return n
}

// TestCartIsWhatItsOperationsSay compares a cart with one that is kept naively.
func TestCartIsWhatItsOperationsSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := genOps.Draw(t, "operations")
		for i := range list {
			list[i].op.OpID = fmt.Sprint("other ", i)
		}
		want := keep(list)
		c := fold(list)
		for sku, qty := range want.qty {
			if got := c.Quantity(sku); got != max(0, qty) {
				t.Fatalf("%s of %s, want %s", got, sku, qty)
			}
		}
		for _, l := range c.Lines() {
			if !bytes.Equal(l.Note, want.note[l.SKU]) || l.Quantity <= 0 || l.Quantity != want.qty[l.SKU] {
				t.Fatalf("%+v, want %s and note %x", l, want.qty[l.SKU], want.note[l.SKU])
			}
		}
	})
}

// TestOperationsCountOnce adds under a name that is there already, which a hub
// that was restored may do, whichever comes first.
func TestOperationsCountOnce(t *testing.T) {
	add := func(inc byte, name string, q protocol.Quantity) said {
		return said{protocol.EventID{Inc: protocol.Inc{inc}, Seq: 1}, &protocol.Cart{
			Member: "m-1", Op: protocol.CartAdd, OpID: name, Request: 7, Lines: []protocol.CartLine{{SKU: "PEN", Quantity: q}},
		}}
	}
	list := []said{add(1, "web-1", 1000), add(2, "web-1", 1000), add(3, "web-2", 2000)}
	for range 2 {
		c := fold(list)
		if got := c.Quantity("PEN"); got != 3000 {
			t.Errorf("%s in the cart, want 3", got)
		}
		if known, same := c.Known("web-1", 7); !known || !same {
			t.Error("an operation is forgotten")
		}
		if known, same := c.Known("web-1", 8); !known || same {
			t.Error("another operation under its name is taken for it")
		}
		if known, _ := c.Known("web-9", 7); known {
			t.Error("an operation is known that never was")
		}
		slices.Reverse(list)
	}
}

// TestTidied says all at once of a cart whose row has become large, and nothing
// changes but its size.
func TestTidied(t *testing.T) {
	c := &cart.Cart{}
	var at protocol.EventID
	at.Inc[0] = 1
	add := func(o *protocol.Cart) {
		at.Seq++
		c.Add(at, 5, o)
	}
	for i := range 40 {
		add(&protocol.Cart{Member: "m-1", Op: protocol.CartAdd, OpID: fmt.Sprint(i), Lines: []protocol.CartLine{{SKU: "PEN", Quantity: 1000}, {SKU: "GONE", Set: true}}})
	}
	before := c.Lines()
	tidy := c.Tidied("m-1")
	if tidy == nil {
		t.Fatal("40 additions are not too many")
	}
	large := len(c.Encode())
	add(tidy)
	if after := c.Lines(); len(after) != 1 || after[0].Quantity != 40_000 || after[0].AddedMs != before[0].AddedMs {
		t.Errorf("tidied to %+v, was %+v", after, before)
	}
	if small := len(c.Encode()); small >= large-1000 {
		t.Errorf("the row has %d bytes, and had %d", small, large)
	}
	if c.Tidied("m-1") != nil {
		t.Error("a tidy cart is tidied again")
	}
	if known, _ := c.Known("39", 0); !known {
		t.Error("tidying forgets which operations there were")
	}
}

func FuzzDecode(f *testing.F) {
	c := &cart.Cart{}
	c.Add(protocol.EventID{Inc: protocol.Inc{1}, Seq: 2}, 3, &protocol.Cart{
		Member: "m-1", Op: protocol.CartAdd, OpID: "1", Whole: true, Lines: []protocol.CartLine{{SKU: "PEN", Quantity: 1000, Noted: true, Note: []byte{1}}, {SKU: "INK", Set: true, Quantity: 1}},
	})
	f.Add(c.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := cart.Decode(b)
		if err != nil {
			return
		}
		again, err := cart.Decode(c.Encode())
		if err != nil || !bytes.Equal(again.Encode(), c.Encode()) {
			t.Fatalf("%x comes back otherwise (%v)", b, err)
		}
	})
}
