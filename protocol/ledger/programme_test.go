package ledger_test

import (
	"fmt"
	"strings"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// programmesOf are the programmes that a ledger lists, each with its cap.
func programmesOf(t *testing.T, d ledger.Driver) string {
	t.Helper()
	var found []string
	view(t, d, func(r ledger.Reader) error {
		list, err := ledger.ReadProgrammes(r)
		for _, p := range list {
			found = append(found, fmt.Sprintf("%s=%d", p.ValidFrom, p.HomeLeaseCap))
		}
		return err
	})
	return strings.Join(found, " ")
}

// TestProgrammesReachAgents takes dated programmes down on the catalogue's feed,
// each replaced by one of the same date, and all given up with the snapshot that
// lacks them.
func TestProgrammesReachAgents(t *testing.T) {
	hub, agent := ledger.NewMemory(), ledger.NewMemory()
	o := protocol.Origin{Store: protocol.ChainStore, Agent: protocol.HubAgent, Inc: protocol.Inc{1}}
	set := func(rows ...protocol.Programme) {
		t.Helper()
		update(t, hub, func(tx ledger.Tx) error {
			_, err := ledger.Log(tx, o, protocol.Clock{}, &protocol.Event{Kind: protocol.KindCatalog, Catalog: &protocol.Catalog{Programmes: rows}})
			return err
		})
		at := cursorOf(t, agent, catalogFeed)
		var delta *protocol.Delta
		view(t, hub, func(r ledger.Reader) (err error) {
			delta, err = ledger.ReadDelta(r, catalogFeed, 1, at.Offset)
			return err
		})
		update(t, agent, func(tx ledger.Tx) error { _, err := ledger.ApplyDelta(tx, delta, delta.Upto); return err })
	}
	set(protocol.Programme{ValidFrom: "2027-01-01", HomeLeaseCap: 1}, protocol.Programme{ValidFrom: "2026-11-21T10:02:11Z", HomeLeaseCap: 2})
	set(protocol.Programme{ValidFrom: "2027-01-01", HomeLeaseCap: 3})
	for _, d := range []ledger.Driver{hub, agent} {
		if got := programmesOf(t, d); got != "2026-11-21T10:02:11Z=2 2027-01-01=3" {
			t.Errorf("listed as %s", got)
		}
	}
	for _, d := range []ledger.Driver{hub, agent} {
		view(t, d, func(r ledger.Reader) error {
			report, err := ledger.Verify(r)
			if err == nil && !report.OK() {
				t.Errorf("verify: %v", report.Differences)
			}
			return err
		})
	}
	pos := protocol.FeedPos{Feed: catalogFeed, Epoch: 2, Offset: 1}
	update(t, agent, func(tx ledger.Tx) error { _, err := ledger.BeginShadow(tx, pos, "sum"); return err })
	update(t, agent, func(tx ledger.Tx) error {
		return ledger.LoadShadow(tx, &protocol.Delta{Feed: catalogFeed, Epoch: 2, Upto: 1})
	})
	if got := programmesOf(t, agent); got == "" {
		t.Error("gone before the snapshot is live")
	}
	update(t, agent, func(tx ledger.Tx) error { _, err := ledger.SwapShadow(tx, pos); return err })
	if got := programmesOf(t, agent); got != "" {
		t.Errorf("after a snapshot without programmes: %s", got)
	}
	for more := true; more; {
		update(t, agent, func(tx ledger.Tx) (err error) { more, err = ledger.Sweep(tx, 1); return err })
	}
	view(t, agent, func(r ledger.Reader) error {
		return r.Scan(ledger.States, "programme", "programmf", func(id string, _ []byte) (bool, error) {
			t.Errorf("row %q is left", id)
			return true, nil
		})
	})
}

// TestI18_ProgrammeThatCannotBeRead: it is set aside and holds up nothing (I18).
func TestI18_ProgrammeThatCannotBeRead(t *testing.T) {
	good, err := protocol.EncodeProgramme(&protocol.Programme{ValidFrom: "2027-01-01", HomeLeaseCap: 5})
	if err != nil {
		t.Fatal(err)
	}
	d := ledger.NewMemory()
	update(t, d, func(tx ledger.Tx) error {
		_, err := ledger.ApplyDelta(tx, &protocol.Delta{Feed: catalogFeed, Epoch: 1, Upto: 2, Rows: []protocol.FeedRow{
			{Offset: 1, Key: "programme/2026-01-01", Value: []byte{0xff}}, {Offset: 2, Key: "programme/2027-01-01", Value: good},
		}}, 2)
		return err
	})
	view(t, d, func(r ledger.Reader) error {
		asides, err := ledger.Asides(r)
		if len(asides) != 1 {
			t.Errorf("%d parts were set aside", len(asides))
		}
		return err
	})
	if got := programmesOf(t, d); got != "2027-01-01=5" {
		t.Errorf("read as %s", got)
	}
}
