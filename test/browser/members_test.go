package browser_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"counterpart/test/process"
)

// TestCustomerServiceFindsAMember changes points, writes down and erases at the
// hub's page, which never holds who the member is.
func TestCustomerServiceFindsAMember(t *testing.T) {
	programme(t)
	s := enrolled(t, highStreet, "+994501234561")
	s.puts(t, "1", pen.GTIN, 2, "wrapped, please")
	p := open(t, chain.Hub.URL("/members"))
	person := `(document.querySelector(".person")?.innerText ?? "").replace(/\s+/g, " ")`
	said := `document.getElementById("said").innerText`
	p.write("q", "+994 50 123 45 61")
	p.do(chromedp.KeyEvent(kb.Enter))
	p.await(soon, "the member is found", person+".includes('A•••')")
	if text := get[string](p, "document.documentElement.innerHTML"); strings.Contains(text, "Quliyeva") || strings.Contains(text, "1234561") {
		t.Error("the page holds who the member is")
	}
	if address := get[string](p, "location.href"); strings.Contains(address, "994") {
		t.Errorf("the address holds what was looked for: %s", address)
	}
	p.write("points-n", "900")
	p.write("points-why", "sorry")
	p.do(chromedp.KeyEvent(kb.Enter))
	p.await(soon, "the page asks who does it", said+".includes('Say who you are first')")
	p.write("staff", "s7")
	p.write("points-why", "sorry")
	p.do(chromedp.KeyEvent(kb.Enter))
	p.await(soon, "the points are on the account", said+" === 'The points are changed.' && "+person+".includes('Balance 900')")
	p.write("note", "Asks for a refill")
	p.click("#open")
	p.do(chromedp.KeyEvent(kb.Enter))
	p.await(soon, "it is in the timeline", person+".includes('Asks for a refill')")
	p.click("[data-act=close]")
	p.await(soon, "it is dealt with", `document.querySelector("[data-act=close]") === null && `+person+".includes('Dealt with')")
	for _, width := range widths {
		p.do(chromedp.EmulateViewport(width, windowHeight))
		p.fits()
		p.picture(fmt.Sprintf("members-%d", width))
	}
	p.readable("with a member", 30)
	if got := check[[]string](p, "unlabelled()"); len(got) > 0 {
		t.Errorf("without a label: %q", got)
	}
	p.click("[data-act=erase]")
	p.write("erase-word", "m-1")
	p.do(chromedp.KeyEvent(kb.Enter))
	p.await(soon, "another id erases nobody", `document.querySelector("#erase .refusal").innerText.includes("Nothing was erased")`)
	p.picture("members-erase")
	p.write("erase-word", s.ID)
	p.do(chromedp.KeyEvent(kb.Enter))
	p.await(soon, "the member is erased", person+".includes('State Erased') && "+said+".includes('The member is erased here')")
	ctx, cancel := context.WithTimeoutCause(t.Context(), soon, fmt.Errorf("%s does not hear of the erasure", highStreet))
	defer cancel()
	err := process.Await(ctx, askEvery, func(ctx context.Context) (string, error) {
		var m struct{ Status string }
		if err := machine(highStreet).Get(ctx, "/v1/members/"+s.ID, &m); err != nil || m.Status == "erased" {
			return "", err
		}
		return "the member is " + m.Status, nil
	})
	if err != nil {
		t.Error(err)
	}
}
