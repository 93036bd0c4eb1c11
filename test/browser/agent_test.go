package browser_test

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"counterpart/test/fleet"
	"counterpart/test/process"
	"counterpart/test/proxy"
)

// The moving parts of the agent's page.
const (
	chipText  = `document.querySelector("[data-live=chip-text]").innerText.trim()`
	chipCount = `document.querySelector("[data-live=chip-count]").innerText.trim()`
	chipLook  = `document.querySelector("[data-live=chip]").dataset.look`
	chipIcon  = `document.querySelector("[data-live=chip] use").getAttribute("href")`
	// figure is the large count of what waits.
	figure = `document.querySelector("[data-live=facts] .figure dd").innerText.trim()`
	// firstSale is the newest receipt.
	firstSale = `(document.querySelector("[data-live=sales] li")?.innerText ?? "")`
)

// equal is an expression that compares another one with a text.
func equal(expression, want string) string { return expression + " === " + strconv.Quote(want) }

// online is an expression that is true when the hub has everything.
var online = equal(chipText, "Online") + " && " + equal(chipCount, "") + " && " + equal(figure, "0")

// sell posts one sale over HTTP, as a till does, and returns its receipt.
func sell(t *testing.T, m *fleet.Machine, key, code string, price int64) process.SaleDocument {
	t.Helper()
	request, err := process.JSON(http.MethodPost, "/v1/sales", t.Name()+key, process.Sale{
		Lines: []process.Line{{Code: code, Quantity: piece, UnitPrice: &price}}, Tenders: []process.Tender{{Type: "cash", Amount: price}},
	})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := m.Persist(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	var doc process.SaleDocument
	if err := answer.Into(&doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestASaleShowsUpByItself(t *testing.T) {
	m := machine(highStreet)
	p := open(t, m.URL("/"))
	p.await(soon, "the chip says that the hub has everything", online)
	if look, icon := get[string](p, chipLook), get[string](p, chipIcon); look != "ok" || icon != "#icon-ok" {
		t.Errorf("the chip looks %q and its icon is %q", look, icon)
	}
	if !get[bool](p, `(b => b.width >= 12 && b.height >= 12)(document.querySelector("[data-live=chip] svg").getBoundingClientRect())`) {
		t.Error("the chip's icon cannot be seen")
	}
	p.stay()
	doc := sell(t, m, "", pen.GTIN, pen.Price)
	p.await(soon, "the sale is the first of the last sales", fmt.Sprintf("%s.includes(%q)", firstSale, doc.ReceiptNo))
	shown := get[string](p, firstSale)
	for _, want := range []string{pen.Name, "£12.95"} {
		if !strings.Contains(shown, want) {
			t.Errorf("the sale reads %q, without %q", shown, want)
		}
	}
	p.await(soon, "the hub has the sale", online)
	p.stayed()
	p.picture("agent")
}

// books are what the hub says that the store sold, with no fault in them.
func books(t *testing.T, store string) (sold int, receipts map[string]int) {
	t.Helper()
	receipts = map[string]int{}
	b, err := fleet.ReadBooks(t.Context(), chain.Hub, store, func(doc *process.SaleDocument) { receipts[doc.ReceiptNo]++ })
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range b.Faults {
		t.Errorf("the hub's books of %s: %s", store, fault)
	}
	return b.Documents["sale"], receipts
}

// line changes the state of a machine's line.
func line(t *testing.T, m *fleet.Machine, mode proxy.Mode) {
	t.Helper()
	if err := m.SetLine(mode); err != nil {
		t.Fatal(err)
	}
}

// TestSalesGoOnWhileTheHubIsAway is the promise of the whole product, as
// somebody in the shop sees it.
func TestSalesGoOnWhileTheHubIsAway(t *testing.T) {
	const sales = 20
	m := machine(highStreet)
	p := open(t, m.URL("/"))
	p.await(soon, "the chip says that the hub has everything", online)
	before, _ := books(t, highStreet)
	p.stay()

	t.Cleanup(func() { _ = m.SetLine(proxy.Pass) }) // for the tests after a failure
	line(t, m, proxy.Cut)
	p.await(15*time.Second, "the chip says Offline", equal(chipText, "Offline: sales continue."))
	if look, icon := get[string](p, chipLook), get[string](p, chipIcon); look != "away" || icon != "#icon-away" {
		t.Errorf("offline, the chip looks %q and its icon is %q", look, icon)
	}
	var sold []string
	for i := range sales {
		sold = append(sold, sell(t, m, strconv.Itoa(i), pen.GTIN, pen.Price).ReceiptNo)
	}
	waiting := equal(chipCount, "20 waiting to send") + " && " + equal(figure, "20")
	p.await(soon, "the page says that 20 sales wait", waiting)
	p.picture("agent-offline")

	const staleHidden = `document.getElementById("stale").hidden`
	if err := m.Kill(); err != nil {
		t.Fatal(err)
	}
	p.await(soon, "the page says that it has lost the agent", "!"+staleHidden)
	if err := m.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.await(soon, "the page has found the agent again, and 20 sales wait", staleHidden+" && "+waiting)
	p.await(soon, "the chip says Offline again", equal(chipText, "Offline: sales continue."))
	p.stayed()
	p.do(chromedp.Reload())
	p.await(soon, "the page says the same when loaded anew", waiting)

	line(t, m, proxy.Pass)
	p.await(30*time.Second, "nothing waits", online)
	after, receipts := books(t, highStreet)
	if after-before != sales {
		t.Errorf("the page says that nothing waits, and the hub has %d of %d sales", after-before, sales)
	}
	for _, receipt := range sold {
		if receipts[receipt] != 1 {
			t.Errorf("receipt %s is at the hub %d times", receipt, receipts[receipt])
		}
	}
}

// persian writes a number as a scanner does under a Persian keyboard layout.
func persian(digits string) string {
	return strings.Map(func(r rune) rune { return r - '0' + '۰' }, digits)
}

// results are the hits of a search, as they read.
const results = `[...document.querySelectorAll("#results li")].map(e => e.innerText.replace(/\s+/g, " "))`

func TestFind(t *testing.T) {
	m := machine(highStreet)
	level, err := m.Level(t.Context(), pen.SKU)
	if err != nil {
		t.Fatal(err)
	}
	left := int64(level.OnHand / piece)
	onHand := fmt.Sprintf("%d,%03d on hand", left/1000, left%1000)
	if left < 1000 {
		onHand = fmt.Sprintf("%d on hand", left)
	}
	for _, scripts := range []bool{true, false} {
		t.Run(fmt.Sprintf("scripts=%t", scripts), func(t *testing.T) {
			var steps []chromedp.Action[chromedp.Void]
			if !scripts {
				steps = append(steps, noScripts())
			}
			p := open(t, m.URL("/"), steps...)
			for _, query := range []string{"Cornflower", "fountain pen", pen.GTIN, pen.GTIN[1:], persian(pen.GTIN), persian(pen.GTIN[1:]), pen.SKU} {
				p.find(query, scripts)
				p.await(soon, query+" finds one item", results+".length === 1")
				hit := get[[]string](p, results)[0]
				for _, want := range []string{pen.Name, pen.GTIN, "£12.95", onHand} {
					if !strings.Contains(hit, want) {
						t.Errorf("%s finds %q, without %q", query, hit, want)
					}
				}
			}
			p.find("9520000999990", scripts)
			p.await(soon, "an unknown code is told in a sentence",
				`document.getElementById("results").innerText.trim() === "Not in this store’s list. Scan again or type a part of the name."`)
			if live := strings.Contains(strings.Join(p.asked(), " "), "/live"); live != scripts {
				t.Errorf("the page's script ran: %t", live)
			}
		})
	}
}

// find searches for something that was not searched for before. The answer to
// an earlier search is gone when it returns.
func (p *tab) find(query string, scripts bool) {
	p.Helper()
	p.write("q", query)
	p.do(chromedp.KeyEvent(kb.Enter))
	p.await(soon, query+" is searched for", fmt.Sprintf(`new URLSearchParams(location.search).get("q") === %q && document.readyState === "complete"`, query))
	if !scripts {
		return
	}
	if !get[bool](p, `document.activeElement.id === "q" && getSelection().toString() === document.activeElement.value`) {
		p.Errorf("after %s, the next scan would not take its place", query)
	}
}

// TestTheFieldIsReady scans as soon as the page is there.
func TestTheFieldIsReady(t *testing.T) {
	p := open(t, machine(highStreet).URL("/"))
	ctx, cancel := context.WithTimeout(p.ctx, actPatience)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.KeyEvent(pen.GTIN+kb.Enter)); err != nil {
		t.Fatal(err)
	}
	p.await(soon, "the scan finds the item", results+".length === 1")
}
