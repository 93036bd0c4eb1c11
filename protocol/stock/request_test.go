package stock_test

import (
	"fmt"
	"strings"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/stock"
)

func quantity(q protocol.Quantity) *protocol.Quantity { return &q }

// TestBuildMovement checks what each type of movement does to which state.
func TestBuildMovement(t *testing.T) {
	cup := stock.Resolved{Item: protocol.ItemRef{SKU: "CUP"}, Book: 8000}
	box := stock.Resolved{Item: protocol.ItemRef{SKU: "PEN"}, Multiplier: 12000, Book: 8000}
	line := func(q protocol.Quantity, state string) stock.MovementLine {
		return stock.MovementLine{Code: "x", Qty: quantity(q), State: state}
	}
	for _, c := range []struct {
		kind  string
		lines []stock.MovementLine
		found []stock.Resolved
		want  string
	}{
		{"receipt", []stock.MovementLine{line(1500, "on_hand")}, []stock.Resolved{cup}, "CUP on_hand 1.5"},
		{"receipt", []stock.MovementLine{line(2000, "")}, []stock.Resolved{box}, "PEN on_hand 24"},
		{"receipt", []stock.MovementLine{line(1000, ""), line(1000, ""), line(1000, "")}, []stock.Resolved{cup, box, cup}, "CUP on_hand 2, PEN on_hand 12"},
		{"adjustment", []stock.MovementLine{line(-1000, ""), line(3000, "damaged"), line(-2000, "quality_control")}, []stock.Resolved{cup, cup, cup}, "CUP on_hand -1, CUP damaged 3, CUP quality_control -2"},
		{"adjustment", []stock.MovementLine{line(-1000, ""), line(1000, "")}, []stock.Resolved{cup, cup}, ""},
		{"count", []stock.MovementLine{line(7000, ""), line(1000, "")}, []stock.Resolved{cup, box}, "CUP on_hand -1, PEN on_hand 4"},
		{"count", []stock.MovementLine{line(8000, "")}, []stock.Resolved{cup}, ""},
		{"transfer_out", []stock.MovementLine{line(7000, "")}, []stock.Resolved{cup}, "CUP on_hand -7"},
		{"transfer_in", []stock.MovementLine{line(7000, "")}, []stock.Resolved{cup}, "CUP on_hand 7, CUP incoming -7"},
		{"transfer_in", []stock.MovementLine{line(0, "")}, []stock.Resolved{cup}, ""},
	} {
		seen := []protocol.StreamPos{{Seq: 1}}
		m, moves, err := stock.BuildMovement("s1", stock.MovementRequest{Type: c.kind, Lines: c.lines}, c.found, seen)
		if err != nil {
			t.Errorf("%s: %v", c.kind, err)
			continue
		}
		var got []string
		for _, move := range moves {
			got = append(got, fmt.Sprintf("%s %s %s", move.SKU, move.State, move.Delta))
		}
		if all := strings.Join(got, ", "); all != c.want {
			t.Errorf("%s: moves %q, want %q", c.kind, all, c.want)
		}
		if (m.Seen != nil) != (c.kind == "count") {
			t.Errorf("%s: seen %v", c.kind, m.Seen)
		}
	}
}

// TestBuildMovementRefusals checks what only shows once the codes are resolved.
func TestBuildMovementRefusals(t *testing.T) {
	cup := stock.Resolved{Item: protocol.ItemRef{SKU: "CUP"}}
	gram := stock.Resolved{Item: protocol.ItemRef{SKU: "CUP"}, Multiplier: 1}
	case12 := stock.Resolved{Item: protocol.ItemRef{SKU: "CUP"}, Multiplier: 12000}
	lines := func(qs ...protocol.Quantity) []stock.MovementLine {
		var list []stock.MovementLine
		for _, q := range qs {
			list = append(list, stock.MovementLine{Code: "x", Qty: quantity(q)})
		}
		return list
	}
	many := make([]protocol.Quantity, 1001)
	cups := make([]stock.Resolved, len(many))
	for i := range many {
		many[i], cups[i] = protocol.QuantityMax, cup
	}
	for name, try := range map[string]func() error{
		"twice counted": func() error {
			_, _, err := stock.BuildMovement("s1", stock.MovementRequest{Type: "count", Lines: lines(1, 1)}, []stock.Resolved{cup, cup}, nil)
			return err
		},
		"too small": func() error {
			_, _, err := stock.BuildMovement("s1", stock.MovementRequest{Type: "receipt", Lines: lines(100)}, []stock.Resolved{gram}, nil)
			return err
		},
		"too large": func() error {
			_, _, err := stock.BuildMovement("s1", stock.MovementRequest{Type: "receipt", Lines: lines(protocol.QuantityMax)}, []stock.Resolved{case12}, nil)
			return err
		},
		"too much in all": func() error {
			_, _, err := stock.BuildMovement("s1", stock.MovementRequest{Type: "receipt", Lines: lines(many...)}, cups, nil)
			return err
		},
		"to itself": func() error {
			_, _, err := stock.BuildMovement("s1", stock.MovementRequest{Type: "transfer_out", ToStore: "s1", Lines: lines(1)}, []stock.Resolved{cup}, nil)
			return err
		},
	} {
		if err := try(); protocol.CodeOf(err) != protocol.OutOfRangeCode {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestValidateLimits checks the limits of a movement's request.
func TestValidateLimits(t *testing.T) {
	card := func(s string) bool { return strings.Contains(s, "4111") }
	line := stock.MovementLine{Code: "\x1d0104006381333931", Qty: quantity(1000)}
	transferID := strings.Repeat("4111", 8) + "-12"
	good := stock.MovementRequest{Type: "transfer_in", TransferID: transferID, Reference: strings.Repeat("r", 128), Lines: make([]stock.MovementLine, stock.LinesMax)}
	for i := range good.Lines {
		good.Lines[i] = line
	}
	if err := good.Validate(card); err != nil {
		t.Error(err)
	}
	for name, r := range map[string]stock.MovementRequest{
		"lines":     {Type: "receipt", Lines: append(good.Lines[:len(good.Lines):len(good.Lines)], line)},
		"reference": {Type: "receipt", Reference: strings.Repeat("r", 129), Lines: good.Lines[:1]},
		"reason":    {Type: "receipt", Reason: strings.Repeat("r", 501), Lines: good.Lines[:1]},
		"staff":     {Type: "receipt", Staff: "s 7", Lines: good.Lines[:1]},
		"code":      {Type: "receipt", Lines: []stock.MovementLine{{Code: " ", Qty: quantity(1)}}},
		"qty":       {Type: "receipt", Lines: []stock.MovementLine{{Code: "x", Qty: quantity(protocol.QuantityMax + 1)}}},
	} {
		err := r.Validate(card)
		if e := protocol.AsError(err); e.Code != protocol.OutOfRangeCode || e.Members["field"] != name {
			t.Errorf("%s: %v %v", name, err, e.Members)
		}
	}
	for _, r := range []stock.MovementRequest{
		{Type: "receipt", Reference: "4111", Lines: good.Lines[:1]},
		{Type: "receipt", Staff: "4111", Lines: good.Lines[:1]},
		{Type: "transfer_in", TransferID: "4111", Lines: good.Lines[:1]},
	} {
		if err := r.Validate(card); protocol.CodeOf(err) != protocol.CardNumber {
			t.Errorf("%+v: %v", r, err)
		}
	}
}
