package browser_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"counterpart/test/process"
	"counterpart/test/proxy"
)

// order is what the tests look at of an order.
type order struct {
	ID         string `json:"id"`
	Number     string `json:"number"`
	HubState   string `json:"hub_state"`
	StoreState string `json:"store_state"`
	PickupCode string `json:"pickup_code"`
	Token      string `json:"pickup_token"`
	ReceiptNo  string `json:"receipt_no"`
	TotalMinor int64  `json:"total_minor"`
}

// place orders pens from a store, as the online shop does.
func place(t *testing.T, key, payment string, qty int64) (o order) {
	t.Helper()
	post(t, chain.Hub.Client, "/v1/orders", key, map[string]any{
		"store": highStreet, "method": "in_store", "payment": map[string]any{"status": payment},
		"lines":   []map[string]any{{"code": pen.GTIN, "qty": qty}},
		"shopper": map[string]any{"name": "Ayla <b>", "phone": "+994501234567"},
	}, &o)
	return o
}

func post(t *testing.T, to *process.Client, path, key string, body, into any) {
	t.Helper()
	request, err := process.JSON(http.MethodPost, path, t.Name()+key, body)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := to.Persist(t.Context(), request)
	if err == nil && into != nil {
		err = answer.Into(into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// in is an expression for something within an order's card.
func (o order) in(selector string) string {
	return fmt.Sprintf(`document.querySelector("article[data-id='%s'] %s")`, o.ID, selector)
}

// stage is an expression that is true when an order is in a section of the page.
func (o order) stage(name string) string {
	return fmt.Sprintf(`document.querySelector("#%s article[data-id='%s']") !== null`, name, o.ID)
}

// press presses a button of an order's form.
func (p *tab) press(o order, act string) {
	p.Helper()
	p.do(chromedp.Evaluate[chromedp.Void](o.in("form[data-act="+act+"] > button") + ".click()"))
}

// fill types into a field of an order's form.
func (p *tab) fill(o order, selector, text string) {
	p.Helper()
	p.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`(e => { e.closest("details")?.setAttribute("open", ""); e.focus(); e.select?.(); })(%s)`, o.in(selector))), chromedp.KeyEvent(text))
}

// refusal awaits what a form says beside its button.
func (p *tab) refusal(o order, act, want string) {
	p.Helper()
	p.await(soon, "the page says "+want, fmt.Sprintf(`%s.innerText.includes(%q)`, o.in("form[data-act="+act+"] .refusal"), want))
}

// TestClerk takes an order through a clerk's hands: it arrives by itself, is
// accepted, picked with one piece short, made ready and handed over with a wrong
// code and then the right one, to be paid. The hub is away while that happens.
func TestClerk(t *testing.T) {
	m := machine(highStreet)
	t.Cleanup(func() { _ = m.SetLine(proxy.Pass) }) // for the tests after a failure
	p := open(t, m.URL("/orders"))
	p.await(soon, "the page is there", `document.readyState === "complete" && document.querySelectorAll("article.card").length === 0`)
	p.stay()
	p.picture("orders-none")
	o := place(t, "", "due", 3)
	p.await(soon, "the order arrives by itself", o.stage("new"))
	if name := get[string](p, o.in(".whom")+".innerText"); !strings.Contains(name, "Ayla <b>") || !strings.Contains(name, "…4567") {
		t.Errorf("the order is for %q", name)
	}
	line(t, m, proxy.Cut)
	p.press(o, "accept")
	p.refusal(o, "accept", "Say who you are first")
	p.write("staff", "s7")
	p.press(o, "accept")
	p.await(soon, "it is to be picked", o.stage("pick"))
	p.press(o, "pick")
	p.await(soon, "it is being picked", o.stage("picking"))

	p.write("staff", "s8")
	p.press(o, "pick")
	p.refusal(o, "pick", "s7 is picking this order")
	if !get[bool](p, o.in("form[data-act=pick] > button")+`.getAttribute("aria-disabled") === "true"`) {
		t.Error("another clerk may press the button")
	}
	p.write("staff", "s7")
	p.do(chromedp.Evaluate[chromedp.Void](o.in("[data-step='-1']") + ".click()"))
	p.await(soon, "the page says that it is short", o.in(".short")+`.innerText.includes("short")`)
	p.picture("orders-picking")
	p.press(o, "pick")
	p.await(soon, "it is picked", o.stage("picked"))
	if text := get[string](p, o.in(".lines")+".innerText"); !strings.Contains(text, "2 of 3 found") {
		t.Errorf("what is short is not said: %q", text)
	}
	p.fill(o, "[name=shelf]", "B4")
	p.press(o, "ready")
	p.await(soon, "it is ready", o.stage("ready")+" && "+o.in(".shelf")+`.innerText.includes("B4")`)
	p.fill(o, "[name=pickup_code]", "0000-0000")
	p.picture("orders-ready")
	p.press(o, "hand-over")
	p.refusal(o, "hand-over", "does not fit the order")
	p.fill(o, "[name=amount]", "1")
	p.fill(o, "[name=pickup_code]", strings.ToLower(o.PickupCode))
	p.press(o, "hand-over")
	p.refusal(o, "hand-over", "less than the amount due")
	p.picture("orders-refused")
	p.do(chromedp.Evaluate[chromedp.Void](o.in("[name=tender]") + `.value = "cash"`))
	p.fill(o, "[name=amount]", "30.00")
	p.press(o, "hand-over")
	const handed = `document.getElementById("handed").innerText`
	p.await(soon, "the receipt is shown", handed+`.includes("receipt a1-") && `+handed+`.includes("Change £4.10")`)
	p.await(soon, "the order is off the list", `document.querySelectorAll("article.card").length === 0`)
	p.picture("orders-done")
	p.stayed()

	line(t, m, proxy.Pass)
	var at order
	if err := m.Get(t.Context(), "/v1/orders/"+o.ID, &at); err != nil || at.StoreState != "picked_up" || !strings.Contains(get[string](p, handed), at.ReceiptNo) {
		t.Errorf("the agent has %+v, %v", at, err)
	}
	p.await(15*soon, "the hub has everything", equal(chipText, "Online"))
	recount(t)
}

// TestTakeAnother lets a clerk scan something else for what is not there: the page
// keeps both within what was ordered, and shows what is in the bag.
func TestTakeAnother(t *testing.T) {
	m := machine(highStreet)
	var o order
	post(t, chain.Hub.Client, "/v1/orders", "", map[string]any{
		"store": highStreet, "method": "in_store", "payment": map[string]any{"status": "paid"}, "substitutes": true,
		"lines": []map[string]any{{"code": pen.GTIN, "qty": 3}}, "shopper": map[string]any{"name": "Ayla", "phone": "+994501234567"},
	}, &o)
	p := open(t, m.URL("/orders"))
	p.await(soon, "the order is there", o.stage("new")+" && "+o.in(".how")+`.innerText.includes("Substitutes allowed")`)
	p.write("staff", "s7")
	p.press(o, "accept")
	p.await(soon, "it is to be picked", o.stage("pick"))
	p.press(o, "pick")
	p.await(soon, "it is being picked", o.stage("picking"))
	p.fill(o, "[data-instead]", roller.GTIN+kb.Enter)
	const focused = `document.activeElement.matches("[data-instead-qty]")`
	p.await(soon, "the scan leads to the quantity", focused+` && document.activeElement.value === "1" && `+o.in("[data-line]")+`.value === "2"`)
	p.do(chromedp.KeyEvent("2"))
	p.await(soon, "what was found is less by that", o.in("[data-line]")+`.value === "1" && `+o.in(".short")+`.innerText === ""`)
	p.picture("orders-instead")
	p.press(o, "pick")
	p.await(soon, "it is picked", o.stage("picked"))
	text := strings.Join(strings.Fields(get[string](p, o.in(".lines")+".innerText")), " ")
	if text != "1 × "+pen.Name+" "+pen.SKU+" 2 × "+roller.Name+" "+roller.SKU+" instead of "+pen.Name {
		t.Errorf("in the bag: %q", text)
	}
	p.picture("orders-instead-picked")
	p.fill(o, "[name=pickup_code]", o.PickupCode)
	p.press(o, "hand-over")
	p.await(soon, "the order is off the list", `document.querySelectorAll("article.card").length === 0`)
	recount(t)
}

// recount gives the shop back the pens that the tests of orders took.
func recount(t *testing.T) {
	t.Helper()
	if err := count(t.Context(), highStreet, pens[highStreet]); err != nil {
		t.Fatal(err)
	}
}

// TestScanAtTheDesk finds orders with a scanner and by hand, and puts back what
// was canceled after it was picked.
func TestScanAtTheDesk(t *testing.T) {
	m := machine(highStreet)
	first, second := place(t, "first", "paid", 1), place(t, "second", "paid", 1)
	p := open(t, m.URL("/orders"))
	for _, o := range []order{first, second} {
		p.await(soon, "the order is there", o.stage("new"))
		for _, body := range []map[string]any{{"lines": []map[string]any{{"line": 1, "qty": 1}}}, {"shelf": "A1"}} {
			action := map[bool]string{true: "pick", false: "ready"}[body["lines"] != nil]
			body["staff"] = "s7"
			post(t, m.Client, "/v1/orders/"+o.ID+"/"+action, o.ID+action, body, nil)
		}
		p.await(soon, "what another till did shows up", o.stage("ready"))
	}
	p.write("staff", "s7")
	const found = `document.getElementById("found").innerText`
	p.write("q", second.Number)
	p.do(chromedp.KeyEvent(kb.Enter))
	p.await(soon, "the number finds it", equal(found, "Order "+second.Number+".")+` && [...document.querySelectorAll("article.card")].filter(e => !e.hidden).length === 1`)
	p.write("q", persian("4567"))
	p.do(chromedp.KeyEvent(kb.Enter))
	p.await(soon, "the phone finds both", found+`.startsWith("2 orders")`)
	p.write("q", "nobody")
	p.do(chromedp.KeyEvent(kb.Enter))
	p.await(soon, "nothing fits", found+`.startsWith("No open order fits")`)
	p.write("q", first.PickupCode)
	p.do(chromedp.KeyEvent(kb.Enter))
	p.await(soon, "a code alone is told apart", found+`.includes("If it is a pickup code")`)

	// A scanner types the token wherever the focus is, and Enter.
	p.do(chromedp.Evaluate[chromedp.Void]("document.activeElement.blur()"), chromedp.KeyEvent(first.Token+kb.Enter))
	p.await(soon, "the token finds its order", found+`.startsWith("Order `+first.Number+`.")`)
	p.picture("orders-scanned")
	p.do(chromedp.KeyEvent(kb.Enter))
	p.await(soon, "Enter hands it over", `document.getElementById("handed").innerText.includes("`+first.Number+`")`)

	post(t, chain.Hub.Client, "/v1/orders/"+second.ID+"/cancel", "", map[string]any{"reason": "changed my mind"}, nil)
	p.await(soon, "it is to be put back", second.stage("put-back"))
	p.picture("orders-put-back")
	p.press(second, "put-back")
	p.await(soon, "nothing is left to do", `document.querySelectorAll("article.card").length === 0`)
	recount(t)
}

// act does something about an order over HTTP, as another till does.
func (o order) act(t *testing.T, action string, body map[string]any) {
	t.Helper()
	body["staff"] = "s7"
	post(t, machine(highStreet).Client, "/v1/orders/"+o.ID+"/"+action, o.ID+action, body, nil)
}

// TestOrdersPageLooks shows orders in several stages: at each width, in both
// colours, by keyboard and to a screen reader.
func TestOrdersPageLooks(t *testing.T) {
	m := machine(highStreet)
	p := open(t, m.URL("/orders"), media("light"))
	all := []order{place(t, "new", "paid", 1), place(t, "picking", "due", 2), place(t, "ready", "due", 3), place(t, "back", "paid", 1)}
	for _, o := range all {
		p.await(soon, "the order is there", o.stage("new"))
	}
	lines := func(n int) map[string]any {
		return map[string]any{"lines": []map[string]any{{"line": 1, "qty": n}}}
	}
	all[1].act(t, "accept", map[string]any{})
	all[1].act(t, "pick", map[string]any{})
	all[2].act(t, "pick", lines(3))
	all[2].act(t, "ready", map[string]any{"shelf": "B4"})
	all[2].act(t, "arrive", map[string]any{"bay": "3", "car": "red Golf"})
	all[3].act(t, "pick", lines(1))
	post(t, chain.Hub.Client, "/v1/orders/"+all[3].ID+"/cancel", "", map[string]any{"reason": "changed my mind"}, nil)
	for i, stage := range []string{"new", "picking", "outside", "put-back"} {
		p.await(soon, "it is "+stage, all[i].stage(stage))
	}
	p.do(chromedp.Evaluate[chromedp.Void](`for (const e of document.querySelectorAll("details")) e.open = true`))
	if got := check[[]string](p, "unlabelled()"); len(got) > 0 {
		t.Errorf("without a label: %q", got)
	}
	if n := get[int](p, `document.querySelectorAll("style, [style], script:not([src])").length`); n != 0 {
		t.Errorf("%d styles or scripts stand in the page itself", n)
	}
	for _, scheme := range []string{"light", "dark"} {
		p.do(media(scheme))
		for _, width := range widths {
			p.do(chromedp.EmulateViewport(width, windowHeight))
			p.fits()
			p.readable(scheme, 20)
			p.picture(fmt.Sprintf("orders-%s-%d", scheme, width))
		}
		if small := get[[]string](p, `[...document.querySelectorAll("button, summary, nav a, input:not([type=checkbox]), select")].filter(e => e.checkVisibility() && e.getBoundingClientRect().height < 44).map(e => e.outerHTML)`); len(small) > 0 {
			t.Errorf("too small to be touched: %q", small)
		}
	}
	p.do(chromedp.Evaluate[chromedp.Void](`document.activeElement.blur()`))
	for range check[int](p, "focusable()") {
		p.do(chromedp.KeyEvent(kb.Tab))
		focus := check[struct {
			Name          string
			Body, Visible bool
			Contrast      float64
		}](p, "focus()")
		if !focus.Body && (!focus.Visible || focus.Contrast < ringMin) {
			t.Errorf("the focus cannot be seen: %+v", focus)
		}
	}
	for _, o := range all[:2] {
		o.act(t, "reject", map[string]any{"reason": "closing"})
	}
	all[2].act(t, "hand-over", map[string]any{"check": map[string]any{"phone_digits": "4567"}, "tenders": []map[string]any{{"type": "card", "amount_minor": 3 * pen.Price}}})
	all[3].act(t, "put-back", map[string]any{})
	p.await(soon, "nothing is left to do", `document.querySelectorAll("article.card").length === 0`)
	recount(t)
}
