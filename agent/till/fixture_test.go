package till_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"counterpart/agent/till"
	"counterpart/protocol"
	"counterpart/protocol/gtin"
	"counterpart/protocol/ledger"
	"counterpart/protocol/ledger/bolt"
	"counterpart/protocol/sale"
	"counterpart/protocol/stock"
)

var (
	chainOrigin = protocol.Origin{Store: protocol.ChainStore, Agent: protocol.HubAgent, Inc: protocol.Inc{0xc0}}
	hubOrigin   = protocol.Origin{Store: "s1", Agent: protocol.HubAgent, Inc: protocol.Inc{0xc1}}
	originA     = protocol.Origin{Store: "s1", Agent: "a1", Inc: protocol.Inc{0xa1}}
	originB     = protocol.Origin{Store: "s1", Agent: "a2", Inc: protocol.Inc{0xb2}}
)

// shopTest is a store with one machine under test.
type shopTest struct {
	t        testing.TB
	driver   ledger.Driver
	till     *till.Till
	origin   protocol.Origin
	clock    *testClock
	appended atomic.Int64
	mono     atomic.Int64  // running milliseconds that have gone by
	acked    atomic.Uint64 // up to where the hub has what is logged
	unheard  atomic.Bool   // the hub has not confirmed the stream since the start
	visit    func(till.VisitRequest) (till.VisitAnswer, error)
	came     chan struct{}                  // closed by a change; nil never is
	keys     map[string]protocol.SubjectKey // of subjects
}

// testClock is a wall clock that stands still unless it is set.
type testClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *testClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *testClock) set(text string) {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = at
}

func newClock() *testClock {
	c := &testClock{}
	c.set("2026-11-21T10:02:12Z")
	return c
}

func money(m protocol.Money) *protocol.Money     { return &m }
func qty(q protocol.Quantity) *protocol.Quantity { return &q }
func units(n int) *protocol.Quantity             { return qty(protocol.Quantity(n) * 1000) }
func noCall(route string) protocol.Call          { return protocol.Call{Route: route} }
func keyed(route, key, body string) protocol.Call {
	return protocol.Call{Route: route, Key: key, Body: []byte(body)}
}
func saleCall(key string, body string) protocol.Call { return keyed("POST /v1/sales", key, body) }

// catalog is what the test store sells.
func catalog() *protocol.Catalog {
	item := func(sku protocol.SKU, gtin, name string, price protocol.Money) protocol.Item {
		return protocol.Item{SKU: sku, GTIN: gtin, Name: name, Unit: protocol.Each, Price: &price, Currency: "GBP", TaxCode: "STD", Stocked: true}
	}
	pen := item("PEN-01", "04006381333931", "Pen", 250)
	pen.Codes = []protocol.ItemCode{{Code: "14006381333938", Multiplier: 12000}, {Code: "BOX-A", Multiplier: 12000}}
	ham := item("21034", "", "Ham", 1800)
	ham.Unit, ham.TaxCode = protocol.Kg, "ZERO"
	euro := item("EURO", "", "Elsewhere", 100)
	euro.Currency = "EUR"
	bag := item("GIFT-WRAP", "", "Gift wrapping", 100)
	bag.Stocked = false
	return &protocol.Catalog{
		Items: []protocol.Item{
			pen, ham, euro, bag,
			item("CUP", "05000112637922", "Cup", 999),
			item("TWIN-1", "", "Twin one", 1), item("TWIN-2", "", "Twin two", 2),
			item("TEA", "", "Çay Azərçay İRİ", 500), item("PERSIAN", "", "كيك ۱۲", 500),
		},
		Taxes: []protocol.TaxList{
			{Zone: "default", Code: "STD", PricesIncludeTax: true, Rates: []protocol.TaxRate{{Rate: 200000, From: "2020-01-01"}}},
			{Zone: "default", Code: "ZERO", PricesIncludeTax: true, Rates: []protocol.TaxRate{{Rate: 0, From: "2020-01-01"}}},
		},
		Stores: []protocol.StoreRecord{{
			ID: "s1", Name: "High Street", Timezone: "Europe/London", Currency: "GBP", PriceZone: "default", Primary: "a1",
		}},
	}
}

// bare is a store machine that has received nothing yet.
func bare(t testing.TB, d ledger.Driver, o protocol.Origin, clock *testClock) *shopTest {
	t.Helper()
	s := &shopTest{t: t, driver: d, origin: o, clock: clock}
	var patterns []gtin.Pattern
	for _, text := range []string{"20 XXXXX PPPPP C", "21 XXXXX {NNDDD} C", "22 XXXXX V PPPP C"} {
		p, err := gtin.ParsePattern(text)
		if err != nil {
			t.Fatal(err)
		}
		patterns = append(patterns, p)
	}
	s.till = till.New(till.Options{
		Driver: d, Origin: o, Series: "1", Boot: 1, Patterns: patterns, Now: clock.Now, Mono: func() int64 { return 7 + s.mono.Load() },
		Acked:     func() protocol.Seq { return protocol.Seq(s.acked.Load()) },
		Confirmed: func(inc protocol.Inc) bool { return inc == o.Inc && !s.unheard.Load() },
		Online:    func() bool { return s.visit != nil },
		Visit:     func(_ context.Context, q till.VisitRequest) (till.VisitAnswer, error) { return s.visit(q) },
		Birthday:  func(*protocol.Member) string { return "1990-11-21" },
		Key: func(subject string) (protocol.SubjectKey, bool) {
			key, ok := s.keys[subject]
			return key, ok
		},
		Changed:  func() <-chan struct{} { return s.came },
		Appended: func() { s.appended.Add(1) },
	})
	return s
}

// open is a store machine that has received everything.
func open(t testing.TB, d ledger.Driver) *shopTest {
	t.Helper()
	s := bare(t, d, originA, newClock())
	s.hubLogs(chainOrigin, &protocol.Event{Kind: protocol.KindCatalog, Catalog: catalog()})
	s.tails(protocol.FeedCatalog, protocol.StoreFeed("s1"), protocol.PriceFeed("default"))
	return s
}

func memory(t testing.TB) *shopTest { return open(t, ledger.NewMemory()) }

func boltDriver(t testing.TB, path string) *bolt.DB {
	t.Helper()
	db, err := bolt.Open(path, bolt.Options{Kind: "agent", Owner: "a1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// eachDriver runs a test on every driver that an agent may have.
func eachDriver(t *testing.T, fn func(t *testing.T, s *shopTest)) {
	t.Run("memory", func(t *testing.T) { fn(t, memory(t)) })
	t.Run("bolt", func(t *testing.T) { fn(t, open(t, boltDriver(t, filepath.Join(t.TempDir(), "agent.db")))) })
}

// hubLogs folds an event of the hub, as a feed would bring it.
func (s *shopTest) hubLogs(o protocol.Origin, ev *protocol.Event) {
	s.t.Helper()
	err := s.driver.Update(context.Background(), func(tx ledger.Tx) error {
		_, err := ledger.Log(tx, o, protocol.Clock{WallMs: 1}, ev)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// tails marks feeds as read to their ends.
func (s *shopTest) tails(feeds ...protocol.FeedID) {
	s.t.Helper()
	err := s.driver.Update(context.Background(), func(tx ledger.Tx) error {
		for _, f := range feeds {
			c, err := ledger.ReadCursor(tx, f)
			if err != nil {
				return err
			}
			c.Epoch, c.Offset, c.Tail = 1, c.Offset+1, true
			if err := ledger.WriteCursor(tx, c); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// copyTo brings what other has not yet of this machine's stream.
func (s *shopTest) copyTo(other *shopTest) {
	s.t.Helper()
	var records []protocol.Record
	var prev protocol.Hash
	var first protocol.Seq
	err := other.driver.View(context.Background(), func(r ledger.Reader) error {
		stream, err := ledger.ReadStream(r, s.origin)
		first = stream.Seq + 1
		return err
	})
	if err == nil {
		err = s.driver.View(context.Background(), func(r ledger.Reader) (err error) {
			records, prev, err = ledger.Records(r, s.origin, first, 1000, 1<<20)
			return err
		})
	}
	if err == nil && len(records) > 0 {
		err = other.driver.Update(context.Background(), func(tx ledger.Tx) error {
			_, err := ledger.Apply(tx, ledger.Batch{Origin: s.origin, First: first, Prev: prev, Records: records})
			return err
		})
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// events reads the machine's own stream.
func (s *shopTest) events() []*protocol.Event {
	s.t.Helper()
	var list []*protocol.Event
	err := s.driver.View(context.Background(), func(r ledger.Reader) error {
		return ledger.ScanEvents(r, s.origin.Inc, 1, func(_ protocol.Seq, _ protocol.Hash, rec protocol.Record) (bool, error) {
			ev, err := protocol.DecodeEvent(rec.Body)
			list = append(list, ev)
			return err == nil, err
		})
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return list
}

// verify replays the log and compares.
func (s *shopTest) verify() {
	s.t.Helper()
	err := s.driver.View(context.Background(), func(r ledger.Reader) error {
		report, err := ledger.Verify(r)
		if err == nil && !report.OK() {
			err = fmt.Errorf("verify: %v", report.Differences)
		}
		return err
	})
	if err != nil {
		s.t.Error(err)
	}
}

func (s *shopTest) level(sku protocol.SKU) *stock.Level {
	s.t.Helper()
	var level *stock.Level
	err := s.driver.View(context.Background(), func(r ledger.Reader) (err error) {
		level, err = ledger.ReadLevel(r, "s1", sku)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return level
}

// request reads a request as the API does.
func request[T any](t testing.TB, body string) T {
	t.Helper()
	var r T
	if err := protocol.DecodeJSON([]byte(body), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func document[T any](t failer, a protocol.Answer) T {
	t.Helper()
	var d T
	if err := json.Unmarshal(a.Body, &d); err != nil {
		t.Fatalf("%v in %s", err, a.Body)
	}
	return d
}

func (s *shopTest) sell(body string) sale.Document {
	s.t.Helper()
	a, err := s.trySell(body)
	if err != nil {
		s.t.Fatal(err)
	}
	return document[sale.Document](s.t, a)
}

func (s *shopTest) trySell(body string) (protocol.Answer, error) {
	s.t.Helper()
	return s.till.Sell(context.Background(), noCall("POST /v1/sales"), request[sale.Request](s.t, body))
}

func (s *shopTest) tryReturn(body string) (protocol.Answer, error) {
	s.t.Helper()
	return s.till.Return(context.Background(), noCall("POST /v1/returns"), request[sale.ReturnRequest](s.t, body))
}

func (s *shopTest) tryMove(body string) (protocol.Answer, error) {
	s.t.Helper()
	return s.till.Move(context.Background(), noCall("POST /v1/stock/movements"), request[stock.MovementRequest](s.t, body))
}

func (s *shopTest) move(body string) stock.MovementDocument {
	s.t.Helper()
	a, err := s.tryMove(body)
	if err != nil {
		s.t.Fatal(err)
	}
	if a.Status != 201 {
		s.t.Fatalf("status %d", a.Status)
	}
	return document[stock.MovementDocument](s.t, a)
}

// receive brings an item into the shop.
func (s *shopTest) receive(code string, n int) {
	s.t.Helper()
	s.move(fmt.Sprintf(`{"type":"receipt","lines":[{"code":%q,"qty":%d}]}`, code, n))
}

// wantCode fails unless err has the code.
func wantCode(t failer, err error, code protocol.Code) *protocol.Error {
	t.Helper()
	if protocol.CodeOf(err) != code {
		t.Fatalf("error %v, want code %q", err, code)
	}
	return protocol.AsError(err)
}

// stockUp fills the catalogue with n items.
func (s *shopTest) stockUp(n int) {
	s.t.Helper()
	for first := 0; first < n; first += 1000 {
		c := &protocol.Catalog{}
		for i := first; i < min(n, first+1000); i++ {
			price := protocol.Money(100 + i%1000)
			c.Items = append(c.Items, protocol.Item{
				SKU: protocol.SKU(fmt.Sprintf("SKU-%06d", i)), GTIN: benchGTIN(i), Name: fmt.Sprintf("Item Nº %d of the ləziz kind", i), Brand: fmt.Sprintf("Brand %d", i%97),
				Category: "things", Unit: protocol.Each, Price: &price, Currency: "GBP", TaxCode: "STD", Stocked: true,
			})
		}
		s.hubLogs(chainOrigin, &protocol.Event{Kind: protocol.KindCatalog, Catalog: c})
	}
	s.tails(protocol.FeedCatalog)
}

// benchGTIN is the i-th of a row of sound GTIN-13 in canonical form.
func benchGTIN(i int) string {
	return "0" + withCheckDigit(fmt.Sprintf("590%09d0", i))
}

// failer is what ends a test, or one draw of a property test.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}
