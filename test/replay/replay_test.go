package main

import (
	"os"
	"strings"
	"testing"
)

// TestReplayMadeUpTrade is the whole program over a small made-up file: real
// processes, kills and cuts, both ways of entering sales.
func TestReplayMadeUpTrade(t *testing.T) {
	var out, complaints strings.Builder
	status := command(t.Context(), []string{
		"-generate", "-quiet", "-stores", "5", "-baskets", "600", "-kills", "12", "-cuts", "12", "-seed", "1",
	}, &out, &complaints)
	t.Log("\n" + out.String())
	if status != 0 {
		t.Errorf("status %d: %s", status, complaints.String())
	}
	if agreed := strings.Count(out.String(), "The hub and the file agree"); status == 0 && agreed != 2 {
		t.Errorf("%d passes agreed, want 2", agreed)
	}
}

// TestReplayRealTrade replays the real files, which takes minutes, in a full
// run.
func TestReplayRealTrade(t *testing.T) {
	if os.Getenv("COUNTERPART_FULL") != "1" {
		t.Log("real trade is replayed in a full run only (COUNTERPART_FULL=1)")
		return
	}
	dir := realData(t)
	if dir == "" {
		return
	}
	var out, complaints strings.Builder
	status := command(t.Context(), []string{"-data", dir, "-quiet"}, &out, &complaints)
	t.Log("\n" + out.String())
	if agreed := strings.Count(out.String(), "The hub and the file agree"); status != 0 || agreed != 3 {
		t.Errorf("status %d, %d of 3 passes agreed: %s", status, agreed, complaints.String())
	}
}
