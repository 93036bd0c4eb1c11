// Package browser_test looks at the pages of a real hub and real agents with a
// real browser, as the people in the shops do. One chain and one browser serve
// all tests, so the tests run one after the other and leave the chain as they
// found it.
package browser_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"counterpart/protocol"
	"counterpart/test/fleet"
	"counterpart/test/process"
	"counterpart/test/retail"
)

const (
	// browserPath is where Debian's package puts the browser.
	browserPath = "/usr/bin/chromium"
	// startPatience bounds how long the chain and the browser may take to start.
	startPatience = 5 * time.Minute
	// askEvery is how often something is asked that is awaited.
	askEvery = 50 * time.Millisecond
	seed     = 1
	piece    = protocol.Quantity(1000)
)

// The stores: two with an agent, one that never came, and one that never came
// and has an odd name.
const (
	highStreet = "s1"
	station    = "s2"
	neverSeen  = "s3"
	oddStore   = "s4"
)

// pen is what the tests look for. Its code is one that tills in some countries
// send with 12 digits.
var pen = retail.Item{
	SKU: "PEN-01", GTIN: "0012345678905", Name: "Cornflower fountain pen", Brand: "Inkwell", Category: "Stationery",
	Unit: "each", Price: 1295, TaxCode: retail.TaxStandard,
}

// roller is what a clerk takes in the place of a pen.
var roller = retail.Item{
	SKU: "ROLL-02", GTIN: "4006381333931", Name: "Turquoise rollerball", Brand: "Inkwell", Category: "Stationery", Unit: "each", Price: 1495, TaxCode: retail.TaxStandard,
}

// pens is how many of them each store has counted.
var pens = map[string]int64{highStreet: 1042, station: 7}

// oddNames are what a catalogue must not be able to do to a page. All begin
// with the same word, by which they are found.
var oddNames = []string{
	`Odd <script>window.ran = 1; alert(1)</script><img src=x onerror="window.ran = 2"> & "'`,
	"Odd \u202eyad eno\u2066 turned",
	"Odd 🥐👩‍👩‍👧‍👦🇬🇧🏳️‍🌈 croissant",
	"Odd " + strings.Repeat("W", 116),
}

// oddStoreName is all of it at once.
var oddStoreName = `<script>window.ran = 3</script>` + "\u202e🥐 " + strings.Repeat("W", 120)

// The chain and the browser that all tests share.
var (
	chain   *fleet.Fleet
	stores  []retail.Store
	browser context.Context
)

func TestMain(m *testing.M) {
	status, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "browser:", err)
		status = 1
	}
	os.Exit(status)
}

// run starts everything, runs the tests and stops everything.
func run(m *testing.M) (status int, err error) {
	if _, err := os.Stat(browserPath); err != nil {
		return 1, fmt.Errorf("there is no browser to look at the pages with; `make setup` installs it: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), startPatience, fmt.Errorf("not started after %s", startPatience))
	defer cancel()
	crashes := make(chan error, 16)
	host, err := process.Open(ctx, process.Options{Crashed: func(err error) { crashes <- err }})
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, host.Close()) }()
	if err := startChain(ctx, host); err != nil {
		return 1, err
	}
	stop, err := startBrowser()
	if err != nil {
		return 1, err
	}
	status = m.Run()
	err = errors.Join(stop(), chain.Stop())
	close(crashes)
	for crash := range crashes {
		err = errors.Join(err, crash)
	}
	for _, complaint := range host.Complaints() {
		err = errors.Join(err, errors.New(complaint))
	}
	return status, err
}

// startChain starts a hub and two stores, each behind a line of its own.
func startChain(ctx context.Context, host *process.Host) error {
	items, err := retail.Items(seed, 20)
	if err != nil {
		return err
	}
	items = append(items, pen, roller)
	for i, name := range oddNames {
		odd := items[i]
		odd.SKU, odd.GTIN, odd.Name = fmt.Sprintf("ODD-%d", i+1), "", name
		items = append(items, odd)
	}
	stores = retail.Stores(seed, 4)
	stores[0].PrimaryAgent, stores[1].PrimaryAgent = "a1", "b1"
	// Nobody who looks for an item near the others is to be sent there.
	stores[2].Latitude, stores[2].Longitude = 0, 0
	stores[3].Latitude, stores[3].Longitude = 0, 0
	stores[3].Name = oddStoreName
	chain, err = fleet.Start(ctx, host, fleet.Options{
		Currency: "GBP", Stores: stores, Taxes: retail.Taxes(),
		Agents: []fleet.Seat{{Agent: "a1", Store: highStreet}, {Agent: "b1", Store: station}},
	}, func(ctx context.Context, hub *process.Hub) error {
		_, err := process.Load(ctx, hub, "items", items)
		return err
	})
	if err != nil {
		return err
	}
	for store, n := range pens {
		if err := count(ctx, store, n); err != nil {
			return err
		}
	}
	return chain.Converge(ctx)
}

// count tells a store what it has on hand, and waits until it knows.
func count(ctx context.Context, store string, n int64) error {
	type row struct {
		Code   string            `json:"code"`
		OnHand protocol.Quantity `json:"on_hand"`
	}
	rows := []row{{pen.SKU, protocol.Quantity(n) * piece}, {"ODD-1", 0}}
	if _, err := process.Load(ctx, chain.Hub, "stock?store="+store, rows); err != nil {
		return err
	}
	return process.Await(ctx, askEvery, func(ctx context.Context) (string, error) {
		level, err := machine(store).Level(ctx, pen.SKU)
		if err != nil || level.OnHand == rows[0].OnHand {
			return "", err
		}
		return fmt.Sprintf("%s has %s pens", store, level.OnHand), nil
	})
}

// machine is the agent of a store.
func machine(store string) *fleet.Machine { return chain.In(store)[0] }

// startBrowser starts the browser with a profile that nobody used before, and
// with no way to look up any name: a page that needs the internet fails.
func startBrowser() (stop func() error, err error) {
	options := []chromedp.ExecAllocatorOption{chromedp.ExecPath(browserPath), chromedp.Headless}
	for _, name := range []string{
		"no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking", "disable-component-update",
		"disable-sync", "disable-dev-shm-usage", "disable-extensions",
	} {
		options = append(options, chromedp.Flag(name, true))
	}
	options = append(options, chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"))
	allocator, end := chromedp.NewExecAllocator(context.Background(), options...)
	var closeBrowser context.CancelFunc
	browser, closeBrowser = chromedp.NewContext(allocator)
	stop = func() error {
		defer end()
		defer closeBrowser()
		ctx, cancel := context.WithTimeout(browser, actPatience)
		defer cancel()
		return chromedp.Cancel(ctx)
	}
	if err := chromedp.Do(browser); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", browserPath, err), stop())
	}
	return stop, nil
}
