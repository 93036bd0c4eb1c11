package fleet_test

import (
	"slices"
	"testing"

	"counterpart/test/fleet"
)

func TestReceiptsFindWhatIsMissingOrDoubled(t *testing.T) {
	for _, c := range []struct {
		name    string
		numbers []string
		want    []string
	}{
		{"whole", []string{"a1-1-1-2", "a1-1-1-1", "a1-2-1-1", "a1-1-2-1", "a-b-1-1-1"}, nil},
		{"first missing", []string{"a1-1-1-2"}, []string{"receipts a1-1-1-1 to 1 are missing"}},
		{"some missing", []string{"a1-1-1-1", "a1-1-1-5"}, []string{"receipts a1-1-1-2 to 4 are missing"}},
		{"doubled", []string{"a1-1-1-1", "a1-1-1-2", "a1-1-1-1", "a1-1-1-3"}, []string{"receipt a1-1-1-1 comes twice"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			receipts := fleet.Receipts{}
			for _, number := range c.numbers {
				if err := receipts.Add(number); err != nil {
					t.Error(err)
				}
			}
			if got := receipts.Gaps(); !slices.Equal(got, c.want) {
				t.Errorf("found %q, want %q", got, c.want)
			}
		})
	}
	for _, number := range []string{"", "7", "a1-1-7", "a1-1-1-", "a1-1-1-x", "a1-1-1-0", "a1-1-1--1"} {
		if err := (fleet.Receipts{}).Add(number); err == nil {
			t.Errorf("%q passed for a receipt number", number)
		}
	}
}
