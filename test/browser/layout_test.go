package browser_test

import (
	"fmt"
	"net/url"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// widths are a small phone, a tablet and a counter's screen.
var widths = []int64{320, 768, 1366}

const (
	windowHeight = 900
	// contrastMin is what text needs, and ringMin the ring around what has the
	// focus (WCAG 2.2 AA).
	contrastMin = 4.5
	ringMin     = 3
)

// view is a page with all that a test of looks wants to see: hits with odd
// names, and on the agent's page sales of the same items.
type view struct{ name, address string }

func views(t *testing.T) []view {
	t.Helper()
	m := machine(highStreet)
	for i := range oddNames {
		sell(t, m, fmt.Sprint("odd", i), fmt.Sprintf("ODD-%d", i+1), 500)
	}
	find := url.Values{"code": {"ODD-4"}, "near": {near(&stores[0])}}
	return []view{
		{"agent", m.URL("/?q=odd")},
		{"hub", chain.Hub.URL("/?" + find.Encode())},
	}
}

func TestNamesDoNothing(t *testing.T) {
	for _, v := range views(t) {
		t.Run(v.name, func(t *testing.T) {
			p := open(t, v.address)
			within := "#results, [data-live=sales]"
			if v.name == "hub" {
				within = "#fleet, .find"
			}
			p.await(soon, "an odd name is shown as it is written",
				fmt.Sprintf(`[...document.querySelectorAll(%q)].every(e => e.innerText.includes("W".repeat(100)))`, within))
			p.await(soon, "markup is shown as text", `document.body.innerText.includes("<script>window.ran = ")`)
			if v.name == "agent" {
				p.await(soon, "all odd items are shown, sold and found",
					`document.querySelectorAll("#results li").length === 4 && document.querySelectorAll("[data-live=sales] li").length >= 4`)
				p.await(soon, "what was sold has reached the hub", online)
			}
			// The agent's page itself isolates names with U+2068 and U+2069.
			if get[bool](p, `/[\u202a-\u202e\u2066\u2067]/.test(document.body.innerText)`) {
				t.Error("characters that turn text around reached the page")
			}
			if get[bool](p, `"ran" in window`) {
				t.Error("a name ran as a script")
			}
			if n := get[int](p, `document.querySelectorAll("main script, main img, main iframe").length`); n != 0 {
				t.Errorf("%d elements were made from names", n)
			}
			if got := check[[]string](p, "backwards('main, header, footer')"); len(got) > 0 {
				t.Errorf("a name turns its neighbours around: %q", got)
			}
			for _, width := range widths {
				p.do(chromedp.EmulateViewport(width, windowHeight))
				p.fits()
				p.picture(fmt.Sprintf("%s-%d", v.name, width))
			}
		})
	}
	for i := range oddNames {
		find := url.Values{"code": {fmt.Sprintf("ODD-%d", i+1)}, "near": {near(&stores[0])}}
		p := open(t, chain.Hub.URL("/?"+find.Encode()), chromedp.EmulateViewport(widths[0], windowHeight))
		p.await(soon, "both stores are shown", hits+".length === 2")
		if got := check[[]string](p, "backwards('main, header, footer')"); len(got) > 0 || get[bool](p, `"ran" in window`) {
			t.Errorf("the name %q turns its neighbours around: %q", oddNames[i], got)
		}
		p.fits()
	}
}

// fits fails the test for what is wider than the window, and for words that
// were broken to make room.
func (p *tab) fits() {
	p.Helper()
	width := get[int](p, "innerWidth")
	for _, wide := range check[[]string](p, "overflow()") {
		p.Errorf("%s at a width of %d: %s", p.origin, width, wide)
	}
	for _, word := range check[[]string](p, "shredded()") {
		p.Errorf("%s at a width of %d breaks the word %s", p.origin, width, word)
	}
}

// TestPagesFit shows the plain pages, without a search, at each width.
func TestPagesFit(t *testing.T) {
	for _, address := range []string{machine(highStreet).URL("/"), chain.Hub.URL("/")} {
		for _, width := range widths {
			p := open(t, address, chromedp.EmulateViewport(width, windowHeight))
			p.fits()
		}
	}
}

func TestPagesExplainThemselves(t *testing.T) {
	for _, v := range views(t) {
		t.Run(v.name, func(t *testing.T) {
			p := open(t, v.address)
			if got := get[string](p, "document.documentElement.lang + ' ' + document.documentElement.dir"); got != "en ltr" {
				t.Errorf("language and direction are %q", got)
			}
			if got := check[[]string](p, "unlabelled()"); len(got) > 0 {
				t.Errorf("without a label: %q", got)
			}
			if n := get[int](p, `document.querySelectorAll("h1").length`); n != 1 || get[string](p, "document.title") == "" {
				t.Errorf("%d headings of the first order, title %q", n, get[string](p, "document.title"))
			}
			if v.name == "agent" && !get[bool](p, `(s => s.length === 1 && s[0].dataset.live === "chip")(document.querySelectorAll("[role=status]"))`) {
				t.Error("the chip is not the one status of the page")
			}
		})
	}
}

func TestFocusIsSeen(t *testing.T) {
	for _, scheme := range []string{"light", "dark"} {
		for _, v := range views(t) {
			t.Run(v.name+" "+scheme, func(t *testing.T) {
				p := open(t, v.address, media(scheme))
				reached := map[string]bool{}
				want := check[int](p, "focusable()")
				for range want + 1 { // once around, past the page itself
					p.do(chromedp.KeyEvent(kb.Tab))
					focus := check[struct {
						Name          string
						Body, Visible bool
						Contrast      float64
					}](p, "focus()")
					if focus.Body {
						continue
					}
					if !focus.Visible || focus.Contrast < ringMin {
						t.Errorf("the focus cannot be seen: %+v", focus)
					}
					reached[focus.Name] = true
				}
				if len(reached) != want || want == 0 {
					t.Errorf("the Tab key reaches %d of %d: %v", len(reached), want, reached)
				}
			})
		}
	}
}

// A text is a piece of text that is seen.
type text struct {
	Text     string
	Contrast float64
}

func TestTextCanBeRead(t *testing.T) {
	for _, scheme := range []string{"light", "dark"} {
		for _, v := range views(t) {
			t.Run(v.name+" "+scheme, func(t *testing.T) {
				p := open(t, v.address, media(scheme), chromedp.EmulateViewport(widths[2], windowHeight))
				p.do(chromedp.Evaluate[chromedp.Void](`document.getElementById("stale").hidden = false; document.getElementById("stale").append("No contact")`))
				p.readable("as it is", 20)
				// Every state that a chip can be in, without waiting for it.
				for _, look := range []string{"ok", "sending", "away", "never", "trouble", "stopped"} {
					p.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`for (const e of document.querySelectorAll(".chip, .state")) e.dataset.look = %q`, look)))
					p.readable("with chips that look "+look, 20)
				}
				p.do(chromedp.EmulateViewport(widths[0], windowHeight))
				p.readable("on a small screen", 20)
				p.picture(v.name + "-" + scheme)
			})
		}
	}
}

// readable fails the test for each text with too little contrast.
func (p *tab) readable(how string, least int) {
	p.Helper()
	all := check[[]text](p, "texts()")
	if len(all) < least {
		p.Errorf("%s, only %d texts are seen", how, len(all))
	}
	for _, text := range all {
		if text.Contrast < contrastMin {
			p.Errorf("%s, the contrast of %s is %.2f", how, text.Text, text.Contrast)
		}
	}
}

// TestNothingElseIsAsked names what a page loads; that it is all from the same
// origin is judged in every test.
func TestNothingElseIsAsked(t *testing.T) {
	for _, v := range views(t) {
		t.Run(v.name, func(t *testing.T) {
			p := open(t, v.address)
			p.await(soon, "the page is styled and follows what happens", `performance.getEntriesByType("resource").length >= 2 && document.styleSheets.length === 1`)
			for _, path := range []string{"/assets/page.css", "/assets/page.js", "/live"} {
				p.awaitRequest(path)
			}
			if n := get[int](p, `document.querySelectorAll("style, [style], script:not([src])").length`); n != 0 {
				t.Errorf("%d styles or scripts stand in the page itself", n)
			}
		})
	}
}
