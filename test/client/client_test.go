package client_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"counterpart/test/client"
	"counterpart/test/process"
)

// patience bounds every wait for the hub; it is generous, because tests share
// the machine with other tests.
const patience = 60 * time.Second

// shared is the hub of all tests but the one that crashes its own. Each test
// has a store of its own at it.
var (
	host   *process.Host
	shared *process.Hub
	stores atomic.Int64 // counts them, for their names
	// living ends when a hub ends though nobody ended it, so that no test waits
	// for it.
	living, died = context.WithCancelCause(context.Background())
)

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

// run gives the tests a hub and takes care that nothing of it is left behind.
func run(m *testing.M) (status int) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	complain := func(what any) {
		fmt.Fprintln(os.Stderr, what)
		status = 1
	}
	var err error
	if host, err = process.Open(ctx, process.Options{Crashed: died}); err != nil {
		complain(err)
		return status
	}
	if shared, err = host.StartHub(ctx, "hub", "GBP"); err == nil {
		_, err = process.Load(ctx, shared, "items", []item{
			{SKU: "PEN-01", GTIN: "4006381333931", Name: "Pen", Price: 250, TaxCode: "STD"},
			{SKU: "a/b", Name: "Slash", Price: 100},
		})
	}
	if err == nil {
		status = m.Run()
	} else {
		complain(err)
	}
	for _, line := range host.Complaints() {
		complain(line)
	}
	if err := host.Close(); err != nil {
		complain(err)
	}
	return status
}

type item struct {
	SKU     string `json:"sku"`
	GTIN    string `json:"gtin,omitempty"`
	Name    string `json:"name"`
	Price   int64  `json:"price_minor"`
	TaxCode string `json:"tax_code,omitempty"`
}

type store struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Timezone string `json:"timezone"`
	Zone     string `json:"price_zone,omitempty"`
}

type tax struct {
	Zone      string `json:"zone"`
	Code      string `json:"tax_code"`
	Rate      int64  `json:"rate_ppm"`
	Inclusive bool   `json:"prices_include_tax"`
	From      string `json:"valid_from"`
}

type price struct {
	Zone  string `json:"zone"`
	Code  string `json:"code"`
	Minor int64  `json:"price_minor"`
	From  string `json:"valid_from"`
}

// bench is one test with its store, and the hub that it drives.
type bench struct {
	*testing.T
	ctx   context.Context
	hub   *process.Hub
	store string
}

// newBench makes a store for a test at a hub.
func newBench(t *testing.T, hub *process.Hub) *bench {
	t.Helper()
	ctx, cancel := context.WithTimeout(living, patience)
	t.Cleanup(cancel)
	b := &bench{T: t, ctx: ctx, hub: hub, store: fmt.Sprintf("s%d", stores.Add(1))}
	load(b, "stores", store{ID: b.store, Name: "Shop", Timezone: "Europe/London", Zone: "z-" + b.store})
	return b
}

// load puts rows into one of the hub's bulk loads.
func load[T any](b *bench, what string, rows ...T) {
	b.Helper()
	if _, err := process.Load(b.ctx, b.hub, what, rows); err != nil {
		b.Fatal(err)
	}
}

// agent starts an agent with a fresh log.
func (b *bench) agent(name string, feeds ...string) *client.Agent {
	b.Helper()
	return b.start(client.NewLog(client.Stream{Store: b.store, Agent: b.store + name, Inc: client.RandomInc()}), feeds...)
}

func (b *bench) start(l *client.Log, feeds ...string) *client.Agent {
	b.Helper()
	a, err := client.Start(b.ctx, b.hub.URL(""), l, feeds...)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(a.Close)
	return a
}

// open starts an agent and lets it say Hello.
func (b *bench) open(name string, feeds ...string) *client.Agent {
	b.Helper()
	a := b.agent(name, feeds...)
	b.welcome(a)
	return a
}

func (b *bench) welcome(a *client.Agent) client.Message {
	b.Helper()
	in, err := a.Hello(b.ctx)
	b.check(err)
	if in.Kind != client.KindWelcome {
		b.Fatalf("refused: %s: %s", in.Body.Text(3), in.Body.Text(4))
	}
	return in.Body
}

// refused says Hello and wants a Fence with a reason and a time to wait.
func (b *bench) refused(a *client.Agent, reason string, retry uint64) {
	b.Helper()
	in, err := a.Hello(b.ctx)
	b.check(err)
	if in.Kind != client.KindFence || in.Body.Text(3) != reason || in.Body.Uint(5) != 1 || in.Body.Uint(6) != retry || in.Body.Text(4) == "" {
		b.Fatalf("message %d with reason %q, action %d, retry %d; want a fence %q after %d", in.Kind, in.Body.Text(3), in.Body.Uint(5), in.Body.Uint(6), reason, retry)
	}
}

func (b *bench) check(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) await(a *client.Agent, kind int32) client.Message {
	b.Helper()
	for {
		in, err := a.Await(b.ctx, client.KindWelcome, client.KindAck, client.KindNack, client.KindBeat, client.KindFence)
		b.check(err)
		if int32(in.Kind) == kind {
			return in.Body
		}
		b.Fatalf("message %d came, not %d: %q %q", in.Kind, kind, in.Body.Text(3), in.Body.Text(4))
	}
}

// log appends events to an agent's log.
func (b *bench) log(a *client.Agent, events ...client.Event) {
	for _, e := range events {
		a.Log.Append(client.Record{Wall: time.Now().UnixMilli(), Running: int64(a.Log.Last()) + 1, Body: e.Encode()})
	}
}

func (b *bench) batch(a *client.Agent, first, count uint64) client.Batch {
	b.Helper()
	batch, err := a.Batch(first, count)
	b.check(err)
	return batch
}

// upload sends events and checks the acknowledgement against the own log.
func (b *bench) upload(a *client.Agent, first, count uint64) client.Message {
	b.Helper()
	b.check(a.SendBatch(b.ctx, b.batch(a, first, count)))
	return b.acked(a, first+count-1)
}

func (b *bench) acked(a *client.Agent, seq uint64) client.Message {
	b.Helper()
	m := b.await(a, int32(client.KindAck))
	if m.Uint(3) != seq || client.Inc(m.Bytes(2)) != a.Log.Inc || client.Hash(m.Bytes(4)) != a.Log.Hash(seq) || m.Uint(6) == 0 || m.Uint(5) > seq {
		b.Fatalf("acknowledged %d with hash %x, safe %d, credit %d; want %d, %x", m.Uint(3), m.Bytes(4), m.Uint(5), m.Uint(6), seq, a.Log.Hash(seq))
	}
	return m
}

// sales are the receipts of the test's store at the hub, as lines of text.
func (b *bench) sales() []string {
	b.Helper()
	var list []string
	b.check(b.hub.Sales(b.ctx, b.store, func(d *process.SaleDocument) error {
		list = append(list, fmt.Sprintf("%s %s %d lines %d", d.Type, d.ReceiptNo, len(d.Lines), d.Total))
		return nil
	}))
	return list
}

// wantSales compares receipts: the type, what follows the agent in the number,
// the lines and the total.
func (b *bench) wantSales(a *client.Agent, want ...string) {
	b.Helper()
	got := strings.ReplaceAll(strings.Join(b.sales(), "; "), a.Log.Agent+"-", "")
	if got != strings.Join(want, "; ") {
		b.Errorf("the hub lists %q, want %q", got, want)
	}
}

// wantStock compares what is on hand, in thousandths.
func (b *bench) wantStock(sku string, want int64) {
	b.Helper()
	levels, err := b.hub.Stock(b.ctx, b.store)
	b.check(err)
	if got := int64(levels[sku].OnHand); got != want {
		b.Errorf("%d of %s on hand at the hub, want %d", got, sku, want)
	}
}

// stream is what the hub shows of an agent's stream.
type stream struct {
	Inc  string `json:"inc"`
	Seq  uint64 `json:"seq"`
	Hash string `json:"hash"`
}

// streams are an agent's streams at the hub; nil if it does not know the agent.
func (b *bench) streams(agent string) []stream {
	b.Helper()
	var page struct {
		Items []struct {
			Agent   string   `json:"agent"`
			Streams []stream `json:"streams"`
		} `json:"items"`
	}
	b.check(b.hub.Get(b.ctx, "/v1/agents?limit=1000", &page))
	for _, row := range page.Items {
		if row.Agent == agent {
			return row.Streams
		}
	}
	return nil
}

// wantStream checks that the hub holds exactly the first seq events of a log.
func (b *bench) wantStream(l *client.Log, seq uint64) {
	b.Helper()
	hash := l.Hash(seq)
	for _, s := range b.streams(l.Agent) {
		if s.Inc == hex.EncodeToString(l.Inc[:]) {
			if s.Seq != seq || s.Hash != hex.EncodeToString(hash[:]) {
				b.Errorf("the hub is at %d %s, want %d %x", s.Seq, s.Hash, seq, hash)
			}
			return
		}
	}
	if seq > 0 {
		b.Errorf("the hub has no stream of %s", l.Agent)
	}
}

// deadLetters are what the hub counts.
func (b *bench) deadLetters() int64 {
	b.Helper()
	status, err := b.hub.Status(b.ctx)
	b.check(err)
	return status.DeadLetters
}

// pens is a sale of whole pens at 2.50, with 20 % tax in the price where tax
// is given.
func pens(number uint64, pieces int64) client.Sale {
	total := 250 * pieces
	tax := (total*200_000*2 + 1_200_000) / (2 * 1_200_000)
	return client.Sale{
		Type: client.SaleSale, Currency: "GBP", Inclusive: true, BusinessDate: 20261121, Till: "1", Series: "1", Number: number,
		Lines: []client.Line{{Quantity: 1000 * pieces, Price: 250}},
		Taxes: []client.Tax{{Code: "STD", Rate: 200_000, Net: total - tax, Tax: tax}}, Total: total,
	}
}

// TestClientIsIndependent keeps the client free of the code that it checks.
func TestClientIsIndependent(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) < 6 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range file.Imports {
			path := strings.Trim(spec.Path.Value, `"`)
			if strings.HasPrefix(path, "counterpart/") && (path != "counterpart/test/client" && path != "counterpart/test/process" || !strings.HasSuffix(name, "_test.go")) {
				t.Errorf("%s imports %s", name, path)
			}
		}
	}
}
