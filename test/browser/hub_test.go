package browser_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"counterpart/test/retail"
)

// A row is one line of the hub's table.
type row struct {
	ID, Look, State, Icon, Seen, Exact, Colour string
}

const rows = `[...document.querySelectorAll("tr[data-store]")].map(tr => {
	const state = tr.querySelector(".state"), seen = tr.querySelector("[data-name='Last seen']");
	return {
		ID: tr.dataset.store, Look: state.dataset.look, State: state.innerText.trim(), Icon: state.querySelector("use").getAttribute("href"),
		Seen: seen.innerText.trim(), Exact: seen.querySelector("time")?.title ?? "", Colour: getComputedStyle(state).color,
	};
})`

// states is an expression for the table in short, from top to bottom.
const states = `[...document.querySelectorAll("tr[data-store]")].map(tr => tr.dataset.store + " " + tr.querySelector(".state").innerText.trim()).join(", ")`

// total is an expression for one of the figures above the table.
func total(name string) string {
	return fmt.Sprintf(`[...document.querySelectorAll(".figures div")].find(d => d.querySelector("dt").innerText === %q).querySelector("dd").innerText`, name)
}

// chroma is how far a colour is from grey.
func chroma(t *testing.T, colour string) int {
	t.Helper()
	var rgb [3]int
	if _, err := fmt.Sscanf(colour, "rgb(%d, %d, %d)", &rgb[0], &rgb[1], &rgb[2]); err != nil {
		t.Fatalf("colour %q: %v", colour, err)
	}
	return slices.Max(rgb[:]) - slices.Min(rgb[:])
}

func TestTheWorstStoresStandFirst(t *testing.T) {
	const neutral = 24
	p := open(t, chain.Hub.URL("/"), media("light"))
	allWell := "s3 Never seen, s4 Never seen, s1 Online, s2 Online"
	p.await(soon, "both stores are online, and those that never came stand above them", equal(states, allWell))
	p.stay()
	m := machine(station)
	// For the tests after a failure; what runs is left alone.
	t.Cleanup(func() { _ = m.Restart(context.Background()) })
	if err := m.Agent.Stop(); err != nil {
		t.Fatal(err)
	}
	p.await(15*time.Second, "the stopped store is offline and stands first", equal(states, "s2 Offline, s3 Never seen, s4 Never seen, s1 Online"))
	table := get[[]row](p, rows)
	stopped, never, well := table[0], table[1], table[3]
	if stopped.Look != "away" || stopped.Icon != "#icon-away" || chroma(t, stopped.Colour) > neutral {
		t.Errorf("offline is neutral, and not %+v", stopped)
	}
	if stopped.Seen == "Never" || stopped.Exact == "" {
		t.Errorf("it is not said when the stopped store was last seen: %+v", stopped)
	}
	if never.Look != "never" || never.Icon != "#icon-never" || never.Seen != "Never" {
		t.Errorf("a store that never came is not an offline one: %+v", never)
	}
	if chroma(t, well.Colour) <= neutral {
		t.Errorf("online looks as neutral as offline: %+v", well)
	}
	for name, want := range map[string]string{"Stores": "4", "Online": "1", "Offline": "1", "Never seen": "2", "Need action": "0"} {
		if got := get[string](p, total(name)); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if err := m.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.await(soon, "the store is back", equal(states, allWell))
	p.stayed()
	p.picture("hub")
}

// near is a place next to a store, as people type it.
func near(s *retail.Store) string {
	return strconv.FormatFloat(s.Latitude+0.001, 'f', 4, 64) + ", " + strconv.FormatFloat(s.Longitude, 'f', 4, 64)
}

// hits are what a search on the hub's page found.
const hits = `[...document.querySelectorAll(".find .rows li")].map(e => e.innerText.replace(/\s+/g, " "))`

func TestFindNearAPlace(t *testing.T) {
	for _, scripts := range []bool{true, false} {
		t.Run(fmt.Sprintf("scripts=%t", scripts), func(t *testing.T) {
			var steps []chromedp.Action[chromedp.Void]
			if !scripts {
				steps = append(steps, noScripts())
			}
			p := open(t, chain.Hub.URL("/"), steps...)
			for i, code := range []string{pen.GTIN[1:], persian(pen.GTIN)} {
				here, there := &stores[i], &stores[1-i]
				p.write("near", near(here))
				p.write("code", code)
				p.do(chromedp.KeyEvent(kb.Enter))
				p.await(soon, "both stores are found near "+here.Name,
					fmt.Sprintf("new URLSearchParams(location.search).get('code') === %q && %s.length === 2", code, hits))
				for j, want := range []*retail.Store{here, there} {
					hit := get[[]string](p, hits)[j]
					if !strings.HasPrefix(hit, want.Name) || !strings.Contains(hit, "£12.95") && !strings.Contains(hit, "GBP 12.95") {
						t.Errorf("place %d near %s is %q", j+1, here.Name, hit)
					}
				}
				distances := get[[]float64](p, hits+`.map(s => parseFloat(s.match(/([\d.]+) km/)[1]))`)
				if !(distances[0] < 0.5 && distances[0] < distances[1]) {
					t.Errorf("distances near %s are %v", here.Name, distances)
				}
			}
			p.write("code", "9520000999990")
			p.do(chromedp.KeyEvent(kb.Enter))
			p.await(soon, "an unknown code is told in a sentence",
				`/^No .*9520000999990.*\.$/.test(document.querySelector(".find [role=status]").innerText.trim())`)
			p.write("code", pen.SKU)
			p.write("near", "the corner")
			p.do(chromedp.KeyEvent(kb.Enter))
			p.await(soon, "a place that is none is told in a sentence",
				`document.querySelector(".find [role=status]").innerText.includes("Write the place as latitude and longitude")`)
		})
	}
}
