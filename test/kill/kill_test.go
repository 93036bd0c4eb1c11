package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"counterpart/protocol"
	"counterpart/test/process"
	"counterpart/test/retail"
)

// TestKill is the whole program: 50 rounds, or 1,000 in a full run.
func TestKill(t *testing.T) {
	rounds := "50"
	if os.Getenv("COUNTERPART_FULL") == "1" {
		rounds = "1000"
	}
	var out, complaints strings.Builder
	status := command(t.Context(), []string{"-quiet", "-rounds", rounds}, &out, &complaints)
	t.Log("\n" + out.String())
	if status != 0 {
		t.Errorf("status %d: %s", status, complaints.String())
	}
}

func confirmed(key, answer string) confirmation {
	return confirmation{
		request: process.Request{Key: key}, answer: process.Answer{Status: 201, Body: []byte(answer)},
		basket: []retail.Line{{Item: &retail.Item{SKU: "A", Price: 100}, Pieces: 2}},
	}
}

// TestComparisonNoticesEachFault spoils what a hub might say, one thing at a
// time.
func TestComparisonNoticesEachFault(t *testing.T) {
	sales := []confirmation{confirmed("k", `{"receipt_no":"a-1-1-1","event_id":"e-1","total_minor":200}`)}
	good := process.SaleDocument{ReceiptNo: "a-1-1-1", EventID: "e-1", Total: 200}
	other := good
	other.Total = 199
	for _, c := range []struct {
		name      string
		documents map[string][]process.SaleDocument
		want      []string
	}{
		{"nothing", map[string][]process.SaleDocument{"k": {good}}, nil},
		{"lost", map[string][]process.SaleDocument{}, []string{"k (receipt a-1-1-1) is at the hub 0 times"}},
		{"doubled", map[string][]process.SaleDocument{"k": {good, good}}, []string{"k (receipt a-1-1-1) is at the hub 2 times"}},
		{"changed", map[string][]process.SaleDocument{"k": {other}}, []string{"k was confirmed as a-1-1-1 over 200 and is at the hub as a-1-1-1 over 199"}},
		{"made up", map[string][]process.SaleDocument{"k": {good}, "l": {good}}, []string{"l is at the hub 1 times and was never confirmed"}},
	} {
		if got := disagreements(sales, c.documents); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	for _, c := range []struct {
		levels map[string]process.Level
		want   []string
	}{
		{map[string]process.Level{"A": {OnHand: -2 * piece}, "B": {}}, nil},
		{map[string]process.Level{"A": {OnHand: -piece}}, []string{"-1 of A on hand at the hub, expected -2"}},
		{map[string]process.Level{}, []string{"the hub has no stock of A, expected -2"}},
		{map[string]process.Level{"A": {OnHand: -2 * piece}, "B": {OnHand: protocol.Quantity(1)}}, []string{"0.001 of B on hand at the hub, expected 0"}},
	} {
		if got := misplaced(sales, c.levels); !slices.Equal(got, c.want) {
			t.Errorf("%v: %q, want %q", c.levels, got, c.want)
		}
	}
}
