package sim_test

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"testing"

	"counterpart/protocol/ledger/ledgertest"
	"counterpart/protocol/sim"
)

// seeds is how many seeds a test runs: a sample, or as many as
// COUNTERPART_SEEDS says.
func seeds(t *testing.T) uint64 {
	if n, err := strconv.ParseUint(os.Getenv("COUNTERPART_SEEDS"), 10, 64); err == nil {
		return n
	}
	return 40 / ledgertest.Share
}

// TestI1_I20 runs the production cores through random faults; the auditor
// checks I1 to I6, I8, I10 and I20.
func TestI1_I20(t *testing.T) {
	n := seeds(t)
	for seed := range n {
		if err := sim.Run(seed); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d seeds", n)
}

// TestSeedsThatFailedOnce runs the seeds of testdata/seeds.
func TestSeedsThatFailedOnce(t *testing.T) {
	f, err := os.Open("testdata/seeds")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		number, _, _ := strings.Cut(lines.Text(), " ")
		if number == "#" || number == "" {
			continue
		}
		seed, err := strconv.ParseUint(number, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if err := sim.Run(seed); err != nil {
			t.Errorf("%s: %v", lines.Text(), err)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
}
