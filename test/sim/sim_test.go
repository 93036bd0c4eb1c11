package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// TestMutantsFit applies every mutant's edits, so that none is left behind when
// the code it changes is changed.
func TestMutantsFit(t *testing.T) {
	names := map[string]bool{}
	for _, m := range slices.Concat(table, orderMutants, promiseMutants, memberMutants) {
		if _, err := m.write(root, t.TempDir()); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
		if names[m.name] || m.invariant == "" {
			t.Errorf("%s: its name is used twice, or it breaks nothing", m.name)
		}
		names[m.name] = true
	}
}

// TestEveryInvariantHasAMutant lists what the simulator claims to audit.
func TestEveryInvariantHasAMutant(t *testing.T) {
	broken := ""
	for _, m := range slices.Concat(table, orderMutants, promiseMutants, memberMutants) {
		broken += m.invariant + ", "
	}
	for _, i := range []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 22} {
		if !strings.Contains(broken, fmt.Sprintf("I%d,", i)) {
			t.Errorf("no mutant breaks I%d", i)
		}
	}
}

// TestMutantsAreFound runs those mutants that seeds find soonest.
func TestMutantsAreFound(t *testing.T) {
	for _, name := range []string{"receipt numbers forgotten", "gap accepted", "cursor moved past a gap"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out, complaints bytes.Buffer
			if status := command(t.Context(), []string{"-mutants", "-mutant", name, "-seeds", "100", "-cores", "1", "-root", root}, &out, &complaints); status != 0 {
				t.Errorf("status %d: %s%s", status, complaints.String(), out.String())
			}
		})
	}
}

// TestSeedsPass runs some seeds on all cores.
func TestSeedsPass(t *testing.T) {
	var out, complaints bytes.Buffer
	if status := command(t.Context(), []string{"-seeds", "4", "-from", "7"}, &out, &complaints); status != 0 || !strings.HasPrefix(out.String(), "4 seeds in ") {
		t.Errorf("status %d: %s%s", status, complaints.String(), out.String())
	}
}

// TestStoryIsTold runs one seed and looks for what it tells.
func TestStoryIsTold(t *testing.T) {
	var out, complaints bytes.Buffer
	if status := command(t.Context(), []string{"-seed", "1"}, &out, &complaints); status != 0 || !strings.Contains(out.String(), "hub starts") {
		t.Errorf("status %d: %s", status, complaints.String())
	}
}

// TestRefusesWhatItDoesNotKnow holds the command line to its flags.
func TestRefusesWhatItDoesNotKnow(t *testing.T) {
	for _, args := range [][]string{{"seeds"}, {"-seeds", "0"}, {"-sed", "1"}} {
		var out, complaints bytes.Buffer
		if status := command(t.Context(), args, &out, &complaints); status != 2 {
			t.Errorf("%v: status %d", args, status)
		}
	}
}
