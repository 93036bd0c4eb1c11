package sim_test

import (
	"os"
	"strconv"
	"testing"
	"time"

	"counterpart/protocol/ledger/ledgertest"
	"counterpart/protocol/sim"
)

// seeds is how many seeds a test runs: a sample, or as many as
// COUNTERPART_SEEDS says.
func seeds(t *testing.T) uint64 {
	if n, err := strconv.ParseUint(os.Getenv("COUNTERPART_SEEDS"), 10, 64); err == nil {
		return n
	}
	return 50 / ledgertest.Share
}

// TestI1_I22 runs the production cores through random faults; the auditor
// checks what ARCHITECTURE.md lists under protocol/sim. Each run has at least
// 500 events of at least three days.
func TestI1_I22(t *testing.T) {
	n := seeds(t)
	var counts sim.Counts
	for seed := range n {
		out := sim.Run(sim.Draw(seed), nil)
		if out.Err != nil {
			t.Fatal(out.Err)
		}
		if c := out.Counts; c.Void == 0 && (c.Events+c.Doubted < 500 || c.Simulated < 72*time.Hour) {
			t.Errorf("seed %d has %d events in %v", seed, c.Events, c.Simulated)
		}
		counts.Add(out.Counts)
	}
	t.Logf("%d seeds: %+v", n, counts)
}

// TestRunsAreLongEnough holds every drawn plan to what a run has to contain.
func TestRunsAreLongEnough(t *testing.T) {
	faults := 0
	for seed := range uint64(2_000) {
		p := sim.Draw(seed)
		if p.Machines < 3 || p.Hours < 72 || p.Acts < 500 {
			t.Fatalf("seed %d: %+v", seed, p)
		}
		if p.Line.Drop > 0 && p.Machine.CommitCrash > 0 && p.Cloud.CommitCrash > 0 {
			faults++
		}
	}
	if faults < 20 {
		t.Errorf("only %d of 2000 plans lose messages and crash both sides", faults)
	}
}

// TestReplaysIdentically runs plans twice, those of the seeds that once failed
// among them, and compares every step. A run has one thread, so with the race
// detector a few of them are enough.
func TestReplaysIdentically(t *testing.T) {
	var plans []sim.Plan
	for i, p := range failedOnce(t) {
		if i%ledgertest.Share == 0 {
			plans = append(plans, p)
		}
	}
	for seed := range uint64(4) {
		plans = append(plans, sim.Draw(seed))
	}
	for _, p := range plans {
		first, second := sim.Run(p, nil), sim.Run(p, nil)
		if first.Trace != second.Trace || first.State != second.State || first.Counts != second.Counts {
			t.Errorf("seed %d: %+v, then %+v", p.Seed, first, second)
		}
	}
}

// TestAnotherSeedIsAnotherRun shows that the trace says anything at all.
func TestAnotherSeedIsAnotherRun(t *testing.T) {
	p := sim.Draw(1)
	q := p
	q.Seed = 2
	if sim.Run(p, nil).Trace == sim.Run(q, nil).Trace {
		t.Error("two seeds have one trace")
	}
}

// TestSkippingChangesNothing compares a run in which idle time is skipped with
// one in which every beat of it is stepped through.
func TestSkippingChangesNothing(t *testing.T) {
	p := sim.Plan{Seed: 7, Machines: 3, Hours: 5, Acts: 200, Burst: 10, LingerMs: 1_000}
	q := p
	q.LingerMs = 24 * 3_600_000
	skipped, stepped := sim.Run(p, nil), sim.Run(q, nil)
	if skipped.Err != nil || stepped.Err != nil {
		t.Fatal(skipped.Err, stepped.Err)
	}
	if skipped.State != stepped.State {
		t.Error("the outcome is another where idle time is stepped through")
	}
	if stepped.Counts.Skipped > 0 || skipped.Counts.Skipped == 0 {
		t.Errorf("skipped %v and %v", skipped.Counts.Skipped, stepped.Counts.Skipped)
	}
}

// TestSeedsThatFailedOnce runs the plans of testdata/seeds.
func TestSeedsThatFailedOnce(t *testing.T) {
	for _, p := range failedOnce(t) {
		if out := sim.Run(p, nil); out.Err != nil {
			t.Error(out.Err)
		}
	}
}

func failedOnce(t *testing.T) []sim.Plan {
	f, err := os.Open("testdata/seeds")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	plans, err := sim.ReadPlans(f)
	if err != nil || len(plans) == 0 {
		t.Fatal(len(plans), err)
	}
	return plans
}
