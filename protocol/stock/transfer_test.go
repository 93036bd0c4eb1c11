package stock_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/stock"
)

func transferEvent(n byte) protocol.EventID { return protocol.EventID{Inc: protocol.Inc{n}, Seq: 1} }

// told is the hub's word about a transfer; came is what a till received.
func told(change protocol.TransferChange, q protocol.Quantity) *protocol.Event {
	return &protocol.Event{
		Kind: protocol.KindTransfer, Moves: []protocol.Move{{SKU: "PEN", State: protocol.Incoming, Delta: q}},
		Transfer: &protocol.Transfer{ID: "t", From: "s1", Change: change, Lines: []protocol.TransferLine{{Item: protocol.ItemRef{SKU: "PEN"}, Quantity: q}}},
	}
}

func came(q protocol.Quantity) *protocol.Event {
	return &protocol.Event{
		Kind: protocol.KindMovement, Moves: []protocol.Move{{SKU: "PEN", State: protocol.OnHand, Delta: q}, {SKU: "PEN", State: protocol.Incoming, Delta: -q}},
		Movement: &protocol.Movement{Type: protocol.TransferIn, TransferID: "t", Lines: []protocol.MovementLine{{Item: protocol.ItemRef{SKU: "PEN"}, Quantity: q}}},
	}
}

// older is a transfer_in of a version that did not move incoming.
func older(q protocol.Quantity) *protocol.Event {
	ev := came(q)
	ev.Moves = ev.Moves[:1]
	return ev
}

// TestTransfer walks through what can become of goods on their way, in every
// order of what is folded, and holds what the hub owes against it.
func TestTransfer(t *testing.T) {
	for name, tt := range map[string]struct {
		events               []*protocol.Event
		broken               string
		open, closed         string            // the state, unresolved and resolved
		owed, owedWhenClosed protocol.Quantity // by the hub
	}{
		"nothing":                   {nil, "", "sent", "sent", 0, 0},
		"on its way":                {[]*protocol.Event{told("sent", 5)}, "", "open", "open", 0, 0},
		"it came":                   {[]*protocol.Event{told("sent", 5), came(5)}, "", "received", "received", 0, 0},
		"it came in two parts":      {[]*protocol.Event{told("sent", 5), came(2), came(3)}, "", "received", "received", 0, 0},
		"half of it came":           {[]*protocol.Event{told("sent", 5), came(2)}, "transfer_differs", "open", "closed", 0, -3},
		"nothing came":              {[]*protocol.Event{told("sent", 5), came(0)}, "transfer_differs", "open", "closed", 0, -5},
		"too much came":             {[]*protocol.Event{told("sent", 5), came(7)}, "transfer_differs", "open", "closed", 2, 2},
		"it came twice":             {[]*protocol.Event{told("sent", 5), came(5), came(5)}, "transfer_differs", "open", "closed", 5, 5},
		"nobody sent it":            {[]*protocol.Event{came(5)}, "transfer_unknown", "open", "closed", 0, 5},
		"too much, and set right":   {[]*protocol.Event{told("sent", 5), came(7), told("corrected", 2)}, "transfer_differs", "open", "closed", 0, 0},
		"closed, and the rest came": {[]*protocol.Event{told("sent", 5), came(2), told("corrected", -3), came(3)}, "", "received", "received", 3, 3},
		"closed, and announced":     {[]*protocol.Event{came(5), told("corrected", 5), told("sent", 5)}, "", "received", "received", -5, -5},
		"received by an older till": {[]*protocol.Event{told("sent", 5), older(5)}, "", "received", "received", -5, -5},
		"announced twice":           {[]*protocol.Event{told("sent", 5), told("sent", 5), told("sent", -5), came(5)}, "", "received", "received", 0, 0},
	} {
		var first []byte
		for seed := range uint64(20) {
			order := rand.New(rand.NewPCG(seed, 1)).Perm(len(tt.events))
			transfer := &stock.Transfer{}
			for _, i := range slices.Concat(order, order) {
				transfer.Add(transferEvent(byte(i+1)), tt.events[i])
			}
			if first == nil {
				first = transfer.Encode()
			}
			if !bytes.Equal(first, transfer.Encode()) {
				t.Errorf("%s: order %v gives another row", name, order)
			}
		}
		transfer, err := stock.DecodeTransfer(first)
		if err != nil || !bytes.Equal(transfer.Encode(), first) {
			t.Fatalf("%s: %v", name, err)
		}
		s := transfer.State()
		if got := transfer.Broken(); len(got) != min(len(tt.broken), 1) || tt.broken != "" && len(got[tt.broken]) == 0 {
			t.Errorf("%s: broken %v", name, got)
		}
		if s.Name(false) != tt.open || s.Name(true) != tt.closed {
			t.Errorf("%s: %s and %s", name, s.Name(false), s.Name(true))
		}
		for closed, want := range map[bool]protocol.Quantity{false: tt.owed, true: tt.owedWhenClosed} {
			got := protocol.Quantity(0)
			for _, l := range s.Owed(closed) {
				got += l.Incoming
			}
			if got != want {
				t.Errorf("%s: closed %v: the hub owes %d, want %d", name, closed, got, want)
			}
			if want == 0 {
				continue
			}
			transfer.Add(transferEvent(99), told("corrected", want))
			if after := transfer.State(); len(after.Owed(closed)) != 0 {
				t.Errorf("%s: closed %v: what was logged is still owed: %v", name, closed, after.Owed(closed))
			}
			if transfer, err = stock.DecodeTransfer(first); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestTransferID: only what can be part of a key names a transfer.
func TestTransferID(t *testing.T) {
	id := protocol.EventID{Inc: protocol.Inc{1}, Seq: 7}
	out := func(to protocol.StoreID, name string) *protocol.Event {
		return &protocol.Event{Movement: &protocol.Movement{Type: protocol.TransferOut, ToStore: to, TransferID: name}}
	}
	for i, tt := range []struct {
		ev   *protocol.Event
		want string
	}{
		{out("s2", ""), id.String()},
		{out("s2", "van 3"), "van 3"},
		{out("", "van 3"), ""},
		{out("s2", "a\x00b"), ""},
		{came(1), "t"},
		{told("sent", 1), "t"},
		{&protocol.Event{Sale: &protocol.Sale{}}, ""},
		{&protocol.Event{Movement: &protocol.Movement{Type: protocol.Receipt, TransferID: "t"}}, ""},
	} {
		if got := stock.TransferID(id, tt.ev); got != tt.want {
			t.Errorf("%d: %q, want %q", i, got, tt.want)
		}
	}
}

func FuzzTransfer(f *testing.F) {
	whole := &stock.Transfer{}
	for i, ev := range []*protocol.Event{told("sent", 5), came(7), told("corrected", 2), {Movement: &protocol.Movement{Type: protocol.TransferOut, ToStore: "s2", Reference: "van"}}} {
		whole.Add(transferEvent(byte(i)), ev)
	}
	f.Add(whole.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := stock.DecodeTransfer(b)
		if err != nil {
			return
		}
		s := got.State()
		_ = fmt.Sprint(got.Broken(), s.Owed(true), s.Owed(false), s.Name(false))
		again, err := stock.DecodeTransfer(got.Encode())
		if err != nil || !bytes.Equal(again.Encode(), got.Encode()) {
			t.Errorf("%x: %v", b, err)
		}
	})
}
