// Package promotion_test sells under promotions with real programs: they are
// imported at the hub, and hold at a till that the hub has left.
package promotion_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"counterpart/test/process"
)

const (
	patience = 2 * time.Minute
	askEvery = 50 * time.Millisecond
)

var host *process.Host

func TestMain(m *testing.M) { os.Exit(withHost(m.Run)) }

func withHost(run func() int) int {
	var err error
	if host, err = process.Open(context.Background(), process.Options{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	status := run()
	if found := host.Complaints(); len(found) > 0 {
		err = fmt.Errorf("the programs complain: %s", strings.Join(found, "\n"))
	}
	if err = errors.Join(err, host.Close()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return status
}

// receipt is the part of a sale's document, or of a quote, that is looked at here.
type receipt struct {
	ReceiptNo  string `json:"receipt_no"`
	TotalMinor int64  `json:"total_minor"`
	Lines      []struct {
		DiscountMinor int64 `json:"discount_minor"`
		AmountMinor   int64 `json:"amount_minor"`
		Discounts     []struct {
			Type, ID string
			Amount   int64 `json:"amount_minor"`
		}
	}
	Warnings []struct{ Code, Message string }
}

// chain is a hub with a store and its agent.
type chain struct {
	t     *testing.T
	hub   *process.Hub
	agent *process.Agent
}

func open(t *testing.T) *chain {
	t.Helper()
	c := &chain{t: t}
	var err error
	c.hub, err = host.StartHub(t.Context(), "hub", "GBP")
	c.must(err)
	t.Cleanup(func() { c.must(c.hub.Kill()) })
	for what, row := range map[string]map[string]any{
		"stores": {"id": "s1", "name": "High Street", "timezone": "Europe/London"},
		"items":  {"sku": "PEN", "name": "Pen", "gtin": "4006381333931", "price_minor": 250, "category": "stationery"},
	} {
		_, err := process.Load(t.Context(), c.hub, what, []map[string]any{row})
		c.must(err)
	}
	_, err = process.Load(t.Context(), c.hub, "items", []map[string]any{{"sku": "CUP", "name": "Cup", "price_minor": 999}})
	c.must(err)
	c.agent, err = host.StartAgent(t.Context(), process.AgentOptions{Agent: "a1", Store: "s1", Hub: c.hub.URL("")})
	c.must(err)
	t.Cleanup(func() { c.must(c.agent.Kill()) })
	c.await("the agent can sell", func(ctx context.Context) (string, error) { return "", c.agent.Selling(ctx) })
	return c
}

func (c *chain) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *chain) await(what string, ask func(context.Context) (string, error)) {
	c.t.Helper()
	ctx, cancel := context.WithTimeoutCause(c.t.Context(), patience, errors.New("waited "+patience.String()+" until "+what))
	defer cancel()
	c.must(process.Await(ctx, askEvery, ask))
}

// post sends a request to the agent.
func (c *chain) post(path string, body map[string]any, into any) error {
	c.t.Helper()
	r, err := process.JSON(http.MethodPost, path, "", body)
	c.must(err)
	answer, err := c.agent.Send(c.t.Context(), r)
	if err == nil {
		err = answer.Into(into)
	}
	return err
}

// quoted waits until a basket is quoted at a total.
func (c *chain) quoted(body map[string]any, total int64) (q receipt) {
	c.t.Helper()
	c.await(fmt.Sprint("the basket comes to ", total), func(context.Context) (string, error) {
		if err := c.post("/v1/sales/quote", body, &q); err != nil || q.TotalMinor != total {
			return "", fmt.Errorf("it comes to %d (%w)", q.TotalMinor, err)
		}
		return "", nil
	})
	return q
}

// importFile runs the hub's command over a file of promotions.
func (c *chain) importFile(text string) (string, error) {
	c.t.Helper()
	file := filepath.Join(c.t.TempDir(), "promotions.csv")
	c.must(os.WriteFile(file, []byte(text), 0o600))
	return host.Run(c.t.Context(), host.Hub(), "import", "--hub", c.hub.URL(""), "promotions", file)
}

// TestPromotions imports promotions, sells under them while the hub is away, and
// finds the same at the hub afterwards.
func TestPromotions(t *testing.T) {
	c := open(t)
	if out, err := c.importFile("zone,id,name,kind,valid_from,coupon,skus,n,price_minor,rate_ppm\n" +
		"default,pens,3 pens for 5,n_for_price,2020-01-01,,4006381333931,3,500,\n" +
		"default,welcome,Welcome,percent,2020-01-01,WELCOME,,,,100000\n"); err != nil || !strings.Contains(out, `"applied":2`) {
		t.Fatalf("import: %v\n%s", err, out)
	}
	if out, err := c.importFile("zone,id,name,kind,valid_from,rate_ppm\ndefault,wrong,Wrong,percent,2020-01-01,2000000\n"); err == nil || !strings.Contains(out, `"field":"rate_ppm"`) {
		t.Errorf("import of a wrong row: %v\n%s", err, out)
	}
	var list struct{ Items []struct{ ID string } }
	c.must(c.hub.Get(t.Context(), "/v1/promotions", &list))
	if len(list.Items) != 2 {
		t.Errorf("the hub lists %+v", list.Items)
	}
	basket := map[string]any{"lines": []map[string]any{{"code": "PEN", "qty": 4}, {"code": "CUP", "qty": 1}}}
	c.quoted(basket, 500+250+999)

	c.must(c.hub.Kill())
	basket["coupons"] = []string{"welcome", "UNKNOWN"}
	q := c.quoted(basket, 500+225+899)
	if len(q.Warnings) != 1 || q.Warnings[0].Code != "coupon_unused" || !strings.Contains(q.Warnings[0].Message, "UNKNOWN") {
		t.Errorf("warnings %+v", q.Warnings)
	}
	basket["tenders"] = []map[string]any{{"type": "card", "amount_minor": q.TotalMinor}}
	var sold, back receipt
	c.must(c.post("/v1/sales", basket, &sold))
	if l := sold.Lines[0]; l.AmountMinor != 725 || l.DiscountMinor != 275 || len(l.Discounts) != 2 || l.Discounts[0].Type != "promotion" || l.Discounts[0].ID != "pens" || l.Discounts[1].ID != "welcome" {
		t.Errorf("sold %+v", l)
	}
	c.must(c.post("/v1/returns", map[string]any{
		"receipt_no": sold.ReceiptNo, "lines": []map[string]any{{"line": 1, "qty": 4}}, "tenders": []map[string]any{{"type": "card", "amount_minor": 725}},
	}, &back))

	c.must(c.hub.Restart(t.Context()))
	var known receipt
	c.await("the hub knows the return", func(ctx context.Context) (string, error) {
		return "", c.hub.Get(ctx, "/v1/sales/"+back.ReceiptNo, &known)
	})
	c.must(c.hub.Get(t.Context(), "/v1/sales/"+sold.ReceiptNo, &known))
	if fmt.Sprint(known.Lines) != fmt.Sprint(sold.Lines) || known.TotalMinor != sold.TotalMinor {
		t.Errorf("the hub knows %+v of %+v", known, sold)
	}
	if out, err := c.importFile("zone,id,kind\ndefault,pens,none\n"); err != nil {
		t.Fatalf("import: %v\n%s", err, out)
	}
	delete(basket, "coupons")
	c.quoted(basket, 1999)
	c.must(c.agent.Stop())
	c.must(c.agent.Verify(t.Context()))
}
