package browser_test

import (
	"context"
	_ "embed"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"counterpart/test/process"
)

const (
	// actPatience bounds one action of the browser, and soon whatever a page
	// shows by itself. Both are generous, because tests share the machine.
	actPatience = 30 * time.Second
	soon        = 20 * time.Second
)

// checks are functions that look at a whole page from the inside.
//
//go:embed testdata/checks.js
var checks string

// A tab is one page in the browser, with a record of what it did.
type tab struct {
	*testing.T
	ctx    context.Context
	origin string

	mu       sync.Mutex
	requests []string // addresses
	faults   []string // what no page may do
}

// open opens a tab at the page of a process. Options come before the page is
// loaded. When the test ends, the tab is closed, and the test fails if the page
// ever asked for anything elsewhere, ran into an error, or opened a dialog.
func open(t *testing.T, address string, steps ...chromedp.Action[chromedp.Void]) *tab {
	t.Helper()
	at, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	p := &tab{T: t, origin: at.Scheme + "://" + at.Host}
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext(), chromedp.WithListener(p.see))
	p.ctx = ctx
	t.Cleanup(func() {
		cancel()
		p.judge()
	})
	// The first action opens the tab, which would end with a deadline.
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("open a tab: %v", err)
	}
	p.do(steps...)
	p.do(chromedp.Navigate(address))
	return p
}

// see notes an event of the browser.
func (p *tab) see(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		p.requests = append(p.requests, e.Request.URL)
	case *page.EventJavascriptDialogOpening:
		p.faults = append(p.faults, "opened a dialog: "+e.Message)
	case *runtime.EventExceptionThrown:
		p.faults = append(p.faults, fmt.Sprintf("ran into an error: %s %v", e.ExceptionDetails.Text, e.ExceptionDetails.Exception))
	case *log.EventEntryAdded:
		// A line that is cut is told as well, and is no fault of the page.
		if e.Entry.Level == log.EntryLevelError && e.Entry.Source != log.EntrySourceNetwork {
			p.faults = append(p.faults, "was told off by the browser: "+e.Entry.Text)
		}
	}
}

// judge fails the test for what the page did and should not have done.
func (p *tab) judge() {
	for _, fault := range p.faultsSeen() {
		p.Errorf("%s %s", p.origin, fault)
	}
	asked := p.asked()
	if len(asked) == 0 {
		p.Errorf("no request of %s was seen, so nothing is known about it", p.origin)
	}
	for _, address := range asked {
		if at, err := url.Parse(address); err != nil || at.Scheme+"://"+at.Host != p.origin {
			p.Errorf("%s asked for %s", p.origin, address)
		}
	}
}

func (p *tab) faultsSeen() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.faults)
}

// asked are the addresses of all requests so far.
func (p *tab) asked() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.requests)
}

// do runs actions.
func (p *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, actPatience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.Fatalf("%s: %v %v", p.origin, err, p.faultsSeen())
	}
}

// get is the value of an expression on the page.
func get[T any](p *tab, expression string) T {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, actPatience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		p.Fatalf("%s: %s: %v %v", p.origin, expression, err, p.faultsSeen())
	}
	return value
}

// check runs one of the functions of checks.js.
func check[T any](p *tab, call string) T {
	p.Helper()
	return get[T](p, "("+strings.TrimSpace(checks)+")."+call)
}

// await waits until an expression is true. It is asked from here and not by the
// page, so that it works without scripts and across reloads.
func (p *tab) await(within time.Duration, what, expression string) {
	p.Helper()
	ctx, cancel := context.WithTimeoutCause(p.ctx, within, fmt.Errorf("not within %s: %s", within, what))
	defer cancel()
	trouble := error(nil) // of the last answer; that the time is over says nothing
	err := process.Await(ctx, askEvery, func(ctx context.Context) (string, error) {
		yes, err := chromedp.Run(ctx, chromedp.Evaluate[bool](expression))
		if ctx.Err() == nil {
			trouble = err
		}
		if err != nil || yes {
			return "", err
		}
		return "no", nil
	})
	if err != nil {
		p.Fatalf("%s: %v: %s: %v %v\n%s", p.origin, context.Cause(ctx), expression, trouble, p.faultsSeen(), get[string](p, "document.body.innerText"))
	}
}

// stay marks the page, so that stayed can tell whether it was loaded again.
func (p *tab) stay() { p.Helper(); p.do(chromedp.Evaluate[chromedp.Void]("window.stayed = true")) }

func (p *tab) stayed() {
	p.Helper()
	if !get[bool](p, "window.stayed === true") {
		p.Error("the page was loaded again: what it shows did not come by itself")
	}
}

// write types into the field with that identifier as a keyboard does, in the
// place of what is there.
func (p *tab) write(id, text string) {
	p.Helper()
	p.do(chromedp.Focus(chromedp.ID(id)), chromedp.Evaluate[chromedp.Void]("document.activeElement.select()"), chromedp.KeyEvent(text))
	if got := get[string](p, "document.activeElement.value"); got != text {
		p.Fatalf("the field %s holds %q after %q was typed", id, got, text)
	}
}

// noScripts keeps the page's own scripts from running.
func noScripts() chromedp.Action[chromedp.Void] {
	return command(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
}

// media shows the page as somebody set it up who wants those colours, and
// without movement, so that colours are never seen half way.
func media(scheme string) chromedp.Action[chromedp.Void] {
	return command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
}

// command is a command of the browser's protocol as an action.
func command[P any](c cdp.Command[P, cdp.Empty], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, params)
		return err
	})
}

// picture keeps a screenshot of the whole page where the test's artifacts go.
func (p *tab) picture(name string) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, actPatience)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		p.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.ArtifactDir(), name+".png"), png, 0o644); err != nil {
		p.Fatal(err)
	}
}

// awaitRequest waits until the page has asked for a path.
func (p *tab) awaitRequest(path string) {
	p.Helper()
	ctx, cancel := context.WithTimeoutCause(p.ctx, soon, fmt.Errorf("%s was not asked for", path))
	defer cancel()
	err := process.Await(ctx, askEvery, func(context.Context) (string, error) {
		if asked := p.asked(); !slices.Contains(asked, p.origin+path) {
			return fmt.Sprintf("asked for %q", asked), nil
		}
		return "", nil
	})
	if err != nil {
		p.Error(err)
	}
}
