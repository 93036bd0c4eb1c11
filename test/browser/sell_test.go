package browser_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"counterpart/test/process"
	"counterpart/test/proxy"
)

// shopper is a member as the hub shows one.
type shopper struct{ ID, Card string }

// shopperName stands nowhere on the page.
const shopperName = "Ayla Quliyeva"

// programme lets 100 points pay a pound, and lends a store 500 of a member's.
func programme(t *testing.T) {
	t.Helper()
	request, err := process.JSON(http.MethodPut, "/v1/programme", "", map[string]any{
		"earn":   []any{map[string]any{"per_minor": 100, "points": 1}},
		"redeem": map[string]any{"points": 100, "value_minor": 100, "minimum": 100}, "home_lease_cap": 500, "valid_from": "2020-01-01",
	})
	if err == nil {
		_, err = chain.Hub.Persist(t.Context(), request)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// enrolled is a new member of a store, whom its machine knows.
func enrolled(t *testing.T, store, phone string) (s shopper) {
	t.Helper()
	post(t, chain.Hub.Client, "/v1/members", "enrol", map[string]any{
		"name": shopperName, "phone": phone, "home_store": store, "consents": []any{map[string]any{"channel": "sms", "purpose": "marketing", "granted": true}},
	}, &s)
	ctx, cancel := context.WithTimeoutCause(t.Context(), soon, fmt.Errorf("%s does not know the member", store))
	defer cancel()
	err := process.Await(ctx, askEvery, func(ctx context.Context) (string, error) {
		return "", machine(store).Get(ctx, "/v1/members/"+s.ID, new(shopper))
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// puts changes the member's cart at the hub, as their phone does.
func (s shopper) puts(t *testing.T, name, code string, qty int, note string) {
	t.Helper()
	op := map[string]any{"op_id": name, "op": "add", "code": code, "qty": qty, "channel": "phone"}
	if note != "" {
		op["note"] = note
	}
	post(t, chain.Hub.Client, "/v1/members/"+s.ID+"/cart/ops", name, op, nil)
}

// scan types a code and Enter, as a scanner does, wherever the focus is.
func (p *tab) scan(text string) {
	p.Helper()
	p.do(chromedp.KeyEvent(text + kb.Enter))
}

// click presses a button as a pointer does.
func (p *tab) click(selector string) {
	p.Helper()
	p.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf("document.querySelector(%q).click()", selector)))
}

// watch notes when Enter was last pressed, and how long after it an element came.
func (p *tab) watch(selector string) {
	p.Helper()
	p.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`(() => {
		window.waited = 0;
		let pressed = 0;
		addEventListener("keydown", (e) => { if (e.key === "Enter") { pressed = performance.now(); } }, true);
		new MutationObserver(() => {
			if (window.waited === 0 && pressed > 0 && document.querySelector(%q)) { window.waited = performance.now() - pressed; }
		}).observe(document.body, { childList: true, subtree: true });
	})()`, selector)))
}

// The parts of the page to sell at.
const (
	saleLines = `document.querySelectorAll("#lines li").length`
	toPay     = `document.getElementById("due").innerText`
	receipt   = `document.getElementById("receipt").innerText.replace(/\s+/g, " ")`
	saidText  = `document.getElementById("said").innerText`
)

// cartLine is an expression for a line of the cart on the screen.
func cartLine(sku string) string {
	return fmt.Sprintf(`(document.querySelector(".cart li[data-sku='%s']")?.innerText ?? "").replace(/\s+/g, " ")`, sku)
}

// TestACartIsAtTheTill: what a shopper put into the cart on the phone is on the
// till's screen when the card was scanned, and leaves the cart with the sale.
func TestACartIsAtTheTill(t *testing.T) {
	programme(t)
	s := enrolled(t, highStreet, "+994501234567")
	s.puts(t, "1", pen.GTIN, 2, "wrapped, please")
	p := open(t, machine(highStreet).URL("/sell"))
	p.await(soon, "the page is there", equal(toPay, "£0.00"))
	p.watch(`.cart li[data-sku="` + pen.SKU + `"]`)
	p.stay()
	p.scan(s.Card)
	p.await(soon, "the line is on the screen", cartLine(pen.SKU)+".includes('Cornflower')")
	t.Logf("from the scan of the card to the line of the cart: %.0f ms", get[float64](p, "window.waited"))
	line := get[string](p, cartLine(pen.SKU))
	for _, want := range []string{"2 × £12.95", "wrapped, please", " here"} {
		if !strings.Contains(line, want) {
			t.Errorf("the line reads %q, without %q", line, want)
		}
	}
	who := get[string](p, `document.querySelector("section.member").innerText`)
	for _, want := range []string{"A•••", "•••567", s.Card, "SMS, marketing", "Enrolled"} {
		if !strings.Contains(who, want) {
			t.Errorf("of the member is not shown %q: %s", want, who)
		}
	}
	if source := get[string](p, "document.documentElement.innerHTML"); strings.Contains(source, "Quliyeva") || strings.Contains(source, "1234567") {
		t.Error("the page holds who the member is")
	}
	asked := time.Now()
	s.puts(t, "2", roller.GTIN, 1, "")
	p.await(soon, "what is added meanwhile shows up by itself", cartLine(roller.SKU)+".includes('Turquoise')")
	t.Logf("from the shopper's phone to the screen: at most %d ms", time.Since(asked).Milliseconds())
	s.puts(t, "3", "ODD-1", 1, "")
	p.await(soon, "what is not here is marked", cartLine("ODD-1")+".includes('None here')")
	p.picture("sell-cart")
	p.click(fmt.Sprintf(".cart li[data-sku='%s'] [data-do=put]", pen.SKU))
	p.await(soon, "one line is in the sale", saleLines+" === 1 && "+equal(toPay, "£25.90"))
	p.await(soon, "the cart says so", cartLine(pen.SKU)+".includes('2 in the sale')")
	p.do(chromedp.KeyEvent(kb.F4))
	p.await(soon, "all of the cart is in the sale", saleLines+" === 3")
	p.scan(roller.GTIN)
	p.await(soon, "a scan adds to it", saidText+".includes('Turquoise rollerball: 2')")
	p.click(`#lines li[data-sku="ODD-1"] [data-act=out]`)
	p.await(soon, "what is taken out is gone", saleLines+" === 2 && !document.querySelector(\"#lines li[data-sku='ODD-1']\")")
	due := get[string](p, toPay)
	p.picture("sell-sale")
	p.do(chromedp.KeyEvent(kb.F8))
	p.await(soon, "it is sold", receipt+".includes('Points earned')")
	if text := get[string](p, receipt); !strings.Contains(text, "Total "+due) {
		t.Errorf("to pay was %s, and the receipt says %q", due, text)
	}
	p.picture("sell-receipt")
	p.stayed()
	s.await(t, "only what was not sold is left in the cart", "ODD-1")
}

// TestAVisitorsCartIsFollowed: nothing tells a store of what becomes of the carts of
// other stores' members, so the page asks.
func TestAVisitorsCartIsFollowed(t *testing.T) {
	s := enrolled(t, station, "+994501234562")
	p := open(t, machine(highStreet).URL("/sell"))
	p.scan(s.Card)
	p.await(soon, "the cart is empty", `(document.querySelector(".cart")?.innerText ?? "").includes("The cart is empty.")`)
	s.puts(t, "1", roller.GTIN, 1, "")
	p.await(soon, "the line shows up by itself", cartLine(roller.SKU)+".includes('1 × £14.95')")
	s.puts(t, "2", roller.GTIN, 1, "")
	p.await(soon, "and so does the next", cartLine(roller.SKU)+".includes('2 × £14.95')")
}

// await waits until the member's cart at the hub holds these items and no other.
func (s shopper) await(t *testing.T, what, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), soon, fmt.Errorf("not within %s: %s", soon, what))
	defer cancel()
	err := process.Await(ctx, askEvery, func(ctx context.Context) (string, error) {
		var cart struct{ Lines []struct{ SKU string } }
		if err := chain.Hub.Get(ctx, "/v1/members/"+s.ID+"/cart", &cart); err != nil {
			return "", err
		}
		var held []string
		for _, l := range cart.Lines {
			held = append(held, l.SKU)
		}
		if got := strings.Join(held, " "); got != want {
			return "the cart holds " + got, nil
		}
		return "", nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestPointsAtTheTill spends points on the screen. While the hub is away more than
// the store was lent is refused in words, with what can be spent.
func TestPointsAtTheTill(t *testing.T) {
	programme(t)
	m := machine(highStreet)
	t.Cleanup(func() { _ = m.SetLine(proxy.Pass) }) // for the tests after a failure
	s := enrolled(t, highStreet, "+994501234568")
	post(t, chain.Hub.Client, "/v1/members/"+s.ID+"/points", "gift", map[string]any{"points": 900, "reason": "welcome", "staff": "s7"}, nil)
	p := open(t, m.URL("/sell"))
	p.scan(s.Card)
	here := `[...document.querySelectorAll("section.member dl div")].map(d => d.innerText.replace(/\s+/g, " ")).join("; ")`
	p.await(soon, "the points are here", here+`.includes("Points 900") && `+here+`.includes("without asking 500")`)
	line(t, m, proxy.Cut)
	p.await(15*time.Second, "the chip says Offline", equal(chipText, "Offline: sales continue."))
	p.scan(pen.GTIN)
	p.await(soon, "points can be spent", `!document.getElementById("points").hidden && `+equal(toPay, "£12.95"))
	p.click("#most")
	p.await(soon, "as many pay as the agent will not refuse", equal(toPay, "£7.95"))
	p.write("redeem", "900")
	p.do(chromedp.KeyEvent(kb.Enter))
	p.await(soon, "all of them pay", equal(toPay, "£3.95")+` && document.getElementById("redeem").value === "900"`)
	p.do(chromedp.KeyEvent(kb.F8))
	p.await(soon, "the till refuses in words", `document.getElementById("points-refusal").innerText.includes("Only 500 of this member")`)
	p.picture("sell-points-refused")
	if text := get[string](p, `document.getElementById("spend-less").innerText`); text != "Spend 500 points" {
		t.Errorf("the till offers %q", text)
	}
	p.click("#spend-less")
	p.await(soon, "fewer pay", equal(toPay, "£7.95"))
	p.write("cash", "10")
	p.do(chromedp.KeyEvent(kb.Enter))
	p.await(soon, "it is sold", receipt+".includes('Points spent 500') && "+receipt+".includes('Change £2.05')")
	p.picture("sell-points")
	line(t, m, proxy.Pass)
}

// TestEnrolAtTheTill enrols a member while the hub is away, who is then found by
// phone; of an unknown card the till says that it cannot know.
func TestEnrolAtTheTill(t *testing.T) {
	m := machine(highStreet)
	t.Cleanup(func() { _ = m.SetLine(proxy.Pass) }) // for the tests after a failure
	line(t, m, proxy.Cut)
	p := open(t, m.URL("/sell"))
	p.await(15*time.Second, "the chip says Offline", equal(chipText, "Offline: sales continue."))
	p.scan("M999999999999")
	p.await(soon, "the till says that it cannot know", `document.getElementById("asked").innerText.includes("it is not known whether there is one")`)
	p.picture("sell-unknown-card")
	p.click("#asked [data-do=enrol]")
	if card := get[string](p, `document.getElementById("new-card").value`); card != "M999999999999" {
		t.Errorf("the card is forgotten: %q", card)
	}
	p.write("new-name", shopperName)
	p.do(chromedp.KeyEvent(kb.Enter))
	p.await(soon, "a contact is asked for", `document.querySelector("#enrol-form .refusal").innerText.includes("Type a phone number")`)
	p.write("new-phone", "+994501234569")
	p.picture("sell-enrol")
	p.do(chromedp.KeyEvent(kb.Enter))
	temporary := `document.getElementById("member").innerText.includes("The head office does not know of it yet")`
	p.await(soon, "the member is there", temporary)
	p.write("note-text", "Asked for blue ink")
	p.click("#note button")
	p.await(soon, "the note is kept", saidText+" === 'The note is kept.'")
	p.await(soon, "the note is in the timeline", `document.querySelector(".contacts").innerText.includes("Asked for blue ink")`)
	p.scan(pen.GTIN)
	p.await(soon, "goods are in the sale", saleLines+" === 1")
	p.do(chromedp.Reload())
	p.await(soon, "the sale outlives a reload", saleLines+" === 1 && "+temporary)
	p.do(chromedp.KeyEvent(kb.F8))
	p.await(soon, "it is sold", receipt+".includes('Receipt')")
	p.do(chromedp.KeyEvent(kb.F2))
	p.write("contact", persian("994501234569"))
	p.do(chromedp.KeyEvent(kb.Enter))
	p.await(soon, "a number without its + is no phone number", `document.getElementById("asked").innerText !== ""`)
	p.do(chromedp.KeyEvent(kb.F2))
	p.write("contact", "+994 50 123 45 69")
	p.do(chromedp.KeyEvent(kb.Enter))
	p.await(soon, "the member is found by phone", temporary+` && document.getElementById("asked").innerText === ""`)
	line(t, m, proxy.Pass)
	p.await(soon, "the hub knows the member", "!"+temporary+` && document.getElementById("member").innerText.includes("A•••")`)
	list := struct{ Items []shopper }{}
	if err := chain.Hub.Get(t.Context(), "/v1/members?"+url.Values{"phone": {"+994501234569"}}.Encode(), &list); err != nil || len(list.Items) != 1 {
		t.Errorf("at the hub %v, %v", list.Items, err)
	}
}

// TestSellingIsSound sells by keyboard alone, and undoes what was done by mistake.
func TestSellingIsSound(t *testing.T) {
	m := machine(highStreet)
	p := open(t, m.URL("/sell"))
	before, _ := books(t, highStreet)
	p.scan("NO-SUCH-CODE")
	p.await(soon, "an unknown code is told in a sentence", saidText+".includes('is not in this store') && "+saidText+".includes('no member’s card either')")
	p.scan(pen.GTIN)
	p.scan(persian(pen.GTIN[1:]))
	p.scan(pen.SKU)
	p.await(soon, "three spellings of a code are one line", saleLines+" === 1 && "+equal(toPay, "£38.85"))
	p.click("#lines li [data-act=less]")
	p.await(soon, "one less", equal(toPay, "£25.90"))
	p.click("#lines li [data-act=plus]")
	p.await(soon, "one more", equal(toPay, "£38.85"))
	p.click("#lines li [data-act=out]")
	p.await(soon, "the line is taken out", saleLines+" === 0 && "+equal(toPay, "£0.00"))
	p.click("#undo")
	p.await(soon, "and comes back", saleLines+" === 1 && "+equal(toPay, "£38.85"))
	p.click("#clear")
	p.await(soon, "the page asks before it clears a sale", `document.getElementById("clear-dialog").open`)
	p.click("#clear-dialog [data-close]")
	p.do(chromedp.Evaluate[chromedp.Void](`document.getElementById("by-card").click(); document.getElementById("by-card").click()`))
	p.await(soon, "it is sold", receipt+".includes('Total £38.85') && "+saleLines+" === 0")
	p.await(soon, "the hub has everything", online2)
	if after, _ := books(t, highStreet); after != before+1 {
		t.Errorf("two presses made %d sales", after-before)
	}
}

// online2 is an expression that is true when the hub has everything.
var online2 = equal(chipText, "Online") + " && " + equal(chipCount, "")

// TestSellPageIsForEverybody looks at the page with odd names in the cart and the
// sale: at each width, in both schemes, with every dialog open.
func TestSellPageIsForEverybody(t *testing.T) {
	s := enrolled(t, highStreet, "+994501234560")
	for i := range oddNames {
		s.puts(t, fmt.Sprint("odd", i), fmt.Sprintf("ODD-%d", i+1), 1, oddNames[i])
	}
	for _, scheme := range []string{"light", "dark"} {
		p := open(t, machine(highStreet).URL("/sell"), media(scheme))
		p.scan(s.Card)
		p.await(soon, "the cart is there", `document.querySelectorAll(".cart li").length === 4`)
		p.do(chromedp.KeyEvent(kb.F4))
		p.await(soon, "and in the sale", saleLines+" === 4")
		for _, width := range widths {
			p.do(chromedp.EmulateViewport(width, windowHeight))
			p.fits()
			p.picture(fmt.Sprintf("sell-%s-%d", scheme, width))
		}
		p.readable("with a full sale", 40)
		if get[bool](p, `"ran" in window`) || get[int](p, `document.querySelectorAll("main script, main img").length`) != 0 {
			t.Error("a name ran as a script")
		}
		if got := check[[]string](p, "backwards('main, header, footer')"); len(got) > 0 {
			t.Errorf("a name turns its neighbours around: %q", got)
		}
		for _, dialog := range []string{"", "ask-dialog", "enrol-dialog", "clear-dialog"} {
			if dialog != "" {
				p.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`document.querySelector("dialog[open]")?.close(); document.getElementById(%q).showModal()`, dialog)))
				p.readable("with "+dialog, 40)
			}
			if got := check[[]string](p, "unlabelled()"); len(got) > 0 {
				t.Errorf("%s: without a label: %q", dialog, got)
			}
		}
		if n := get[int](p, `document.querySelectorAll("style, [style], script:not([src])").length`); n != 0 {
			t.Errorf("%d styles or scripts stand in the page itself", n)
		}
	}
}
