package hub

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/loyalty"
)

func (c *core) programme(text string) (loyalty.Document, error) {
	c.t.Helper()
	var d loyalty.Document
	c.must(protocol.DecodeJSON([]byte(text), &d))
	return c.SetProgramme(c.t.Context(), d)
}

// TestProgrammesAreListedNewestLast also shows that one that is sent again replaces
// the one of its date, and that the same again is no event.
func TestProgrammesAreListedNewestLast(t *testing.T) {
	c, _ := shop(t, 0)
	for _, at := range []string{"2026-11-21T20:00:00Z", "2026-11-21T20:00:00.5Z", "2027-01-01", "2026-11-21", "2026-11-21T04:00:00+04:00"} {
		_, err := c.programme(fmt.Sprintf(`{"earn":[{"per_minor":100,"points":1}],"home_lease_cap":1,"valid_from":%q}`, at))
		c.must(err)
	}
	events := func() protocol.Seq {
		var seq protocol.Seq
		c.must(c.view(t.Context(), func(r ledger.Reader) error {
			st, err := ledger.ReadStream(r, protocol.Origin{Store: protocol.ChainStore, Agent: protocol.HubAgent, Inc: c.ownStream(protocol.ChainStore)})
			seq = st.Seq
			return err
		}))
		return seq
	}
	before := events()
	for range 2 {
		doc, err := c.programme(`{"earn":[],"home_lease_cap":2,"campaigns":[{"id":"c1","store":"s1","factor_ppm":2000000}],"valid_from":"2026-11-21T22:00:00+02:00"}`)
		if b, _ := json.Marshal(doc); err != nil || !strings.Contains(string(b), `"valid_from":"2026-11-21T20:00:00+00:00"`) {
			t.Errorf("answered %s %v", b, err)
		}
	}
	if got := events(); got != before+1 {
		t.Errorf("one change and the same again made of %d events %d", before, got)
	}
	var got []string
	for page := (Page{Limit: 3}); ; {
		list, err := c.Programmes(t.Context(), page)
		c.must(err)
		for _, d := range list.Items {
			got = append(got, fmt.Sprintf("%s=%d", d.ValidFrom, d.HomeLeaseCap))
		}
		if list.Next == nil {
			break
		}
		page.After = *list.Next
	}
	if fmt.Sprint(got) != "[2026-11-21=1 2026-11-21T00:00:00+00:00=1 2026-11-21T20:00:00+00:00=2 2026-11-21T20:00:00.5+00:00=1 2027-01-01=1]" {
		t.Errorf("listed as %v", got)
	}
}

// TestProgrammeThatIsRefused: nothing of it is kept.
func TestProgrammeThatIsRefused(t *testing.T) {
	c, _ := shop(t, 0)
	for text, code := range map[string]protocol.Code{
		`{"earn":[{"per_minor":0,"points":1}],"valid_from":"2026-11-21"}`:                                   protocol.OutOfRangeCode,
		`{"earn":[],"risk_mode":{"enabled":true,"member_cap":1,"pool":-1},"valid_from":"2026-11-21"}`:       protocol.OutOfRangeCode,
		`{"earn":[],"birthday":{"factor_ppm":2000000,"days":32},"valid_from":"2026-11-21"}`:                 protocol.OutOfRangeCode,
		`{"earn":[],"campaigns":[{"id":"c1","store":"s9","factor_ppm":1000000}],"valid_from":"2026-11-21"}`: protocol.UnknownStore,
	} {
		if _, err := c.programme(text); protocol.CodeOf(err) != code {
			t.Errorf("%s is answered %v", text, err)
		}
	}
	if list, err := c.Programmes(t.Context(), Page{Limit: 10}); err != nil || len(list.Items) != 0 {
		t.Errorf("%+v is listed (%v)", list, err)
	}
}
