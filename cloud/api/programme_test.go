package api

import (
	"net/http"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/loyalty"
)

// TestProgrammeIsReadStrictly: what is passed on is what was sent, and a misspelt
// member is not without effect but refused.
func TestProgrammeIsReadStrictly(t *testing.T) {
	f := &fakeHub{}
	body := `{"earn":[{"per_minor":100,"points":1,"category":null,"tender":"card"}],"home_lease_cap":500,"valid_from":"2026-11-21"}`
	if w := put(t, New(f.deps()), "/v1/programme", "application/json", body); w.Code != http.StatusOK {
		t.Fatalf("answered %d %s", w.Code, w.Body)
	}
	asked, ok := f.asked[0].(loyalty.Document)
	if !ok || asked.HomeLeaseCap != 500 || asked.ValidFrom != "2026-11-21" || len(asked.Earn) != 1 || *asked.Earn[0].Points != 1 || *asked.Earn[0].Tender != protocol.Card || asked.Earn[0].Category != nil {
		t.Errorf("passed on %+v", f.asked)
	}
	for body, code := range map[string]protocol.Code{
		`{"earn":[{"per_minor":100,"point":1}],"valid_from":"2026-11-21"}`: protocol.UnknownField,
		`{"earn":[],"earn":[],"valid_from":"2026-11-21"}`:                  protocol.BadJSON,
		`{"earn":[],"home_lease_cap":"500","valid_from":"2026-11-21"}`:     protocol.BadJSON,
	} {
		problemOf(t, put(t, New(f.deps()), "/v1/programme", "application/json", body), 400, code)
	}
	if len(f.asked) != 1 {
		t.Errorf("passed on %+v", f.asked[1:])
	}
}
