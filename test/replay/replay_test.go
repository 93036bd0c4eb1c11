package main

import (
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
