package hub

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/ledger/bolt"
	"counterpart/protocol/pickup"
	"counterpart/protocol/stock"
	"counterpart/test/bench/floor"
)

const (
	// orderClients is how many order at once.
	orderClients = 64
	// orderTurn is how many orders are placed before the floor has its turn.
	orderTurn = 4 * orderClients
	// orderBody takes one of the item that everybody wants.
	orderBody = `{"store":"s1","method":"in_store","payment":{"status":"paid","reference":"PAY-1"},"shopper":{"name":"J. Doe","phone":"+44 7700 900123"},"lines":[{"code":"PEN","qty":1}]}`
)

// rowRecorder is a driver that keeps the rows which were written last.
type rowRecorder struct {
	ledger.Driver
	rows []ledger.Row
}

func (d *rowRecorder) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	return d.Driver.Update(ctx, func(tx ledger.Tx) error { return fn(&rowRecorderTx{tx, d}) })
}

type rowRecorderTx struct {
	ledger.Tx
	d *rowRecorder
}

func (t *rowRecorderTx) Write(rows []ledger.Row) error {
	t.d.rows = append(t.d.rows, rows...)
	return t.Tx.Write(rows)
}

// orderShop is a hub with one store that has plenty of one item, all of which
// may be promised.
type orderShop struct {
	h       *Hub
	o       protocol.Origin
	request pickup.PlaceRequest
}

func newOrderShop(b *testing.B, driver ledger.Driver) *orderShop {
	start, random := time.Now(), rand.NewChaCha8([32]byte{1})
	s := &orderShop{o: stream("s1", "a1", 9)}
	var err error
	s.h, err = New(b.Context(), Options{
		Driver: driver, Currency: "GBP", Keys: newRing(b), Now: time.Now, Mono: func() time.Duration { return time.Since(start) },
		Random: func(p []byte) { _, _ = random.Read(p) }, Send: func(string, []byte, bool) {}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	mustTakeIn(b, s.h, StoresTable, "id,name,timezone,lat,lon,currency,primary_agent\ns1,One,Europe/London,51.50,-0.10,GBP,a1\n")
	mustTakeIn(b, s.h, ItemsTable, "sku,name,price_minor\nPEN,Pen,250\n")
	safety := protocol.Quantity(0)
	if _, err := s.h.SetPolicy(b.Context(), stock.PolicyRequest{SafetyStock: &safety}); err != nil {
		b.Fatal(err)
	}
	if err := driver.Update(b.Context(), func(tx ledger.Tx) error {
		_, err := ledger.Log(tx, s.o, protocol.Clock{WallMs: 1}, movement("PEN", 9_000_000_000))
		return err
	}); err != nil {
		b.Fatal(err)
	}
	if err := json.Unmarshal([]byte(orderBody), &s.request); err != nil {
		b.Fatal(err)
	}
	return s
}

// hear makes the store heard just now, as its beats do.
func (s *orderShop) hear() { seen(s.h, s.o, linkOnline, time.Now(), time.Now(), 1) }

func (s *orderShop) place(i int) error {
	c := protocol.Call{Route: "POST /v1/orders", Key: fmt.Sprintf("order-%08d", i), Body: []byte(orderBody)}
	answer, err := s.h.PlaceOrder(context.Background(), c, s.request)
	if err == nil && answer.Status != 201 {
		err = fmt.Errorf("answer %d: %s", answer.Status, answer.Body)
	}
	return err
}

// orderTwin is the same shop on no disk: it tells which rows an order writes,
// with the very keys and values.
type orderTwin struct {
	*orderShop
	recorder *rowRecorder
}

// place orders and returns what that wrote, in the order in which the driver
// puts it.
func (t *orderTwin) place(b *testing.B, i int) []floor.Row {
	t.recorder.rows = nil
	if err := t.orderShop.place(i); err != nil {
		b.Fatal(err)
	}
	slices.SortStableFunc(t.recorder.rows, func(a, b ledger.Row) int {
		return cmp.Or(cmp.Compare(a.Key.Table, b.Key.Table), cmp.Compare(a.Key.ID, b.Key.ID))
	})
	var list []floor.Row
	for _, r := range t.recorder.rows {
		if r.Value == nil {
			continue // nothing was there to be taken away
		}
		list = append(list, floor.Row{Bucket: tableBucket(r.Key.Table), Key: []byte(r.Key.ID), Value: bytes.Clone(r.Value)})
	}
	return list
}

func tableBucket(t ledger.Table) []byte { return fmt.Appendf(nil, "table%d", t) }

// bareOrders is bare bbolt with the same buckets and the twin's content, whose
// Batch takes as many callers as the hub's driver does.
func bareOrders(b *testing.B, t *orderTwin) *floor.Store {
	var names []string
	var content []floor.Row
	err := t.recorder.View(b.Context(), func(r ledger.Reader) error {
		for table := range ledger.TableCount {
			names = append(names, string(tableBucket(table)))
			err := r.Scan(table, "", "", func(id string, value []byte) (bool, error) {
				content = append(content, floor.Row{Bucket: tableBucket(table), Key: []byte(id), Value: bytes.Clone(value)})
				return true, nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	store, err := floor.Open(filepath.Join(b.TempDir(), "bare.db"), names...)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = store.Close() })
	store.Share(orderClients)
	if err := store.Update(content); err != nil {
		b.Fatal(err)
	}
	return store
}

// BenchmarkOrders places orders of one hot item, with an idempotency key each
// and by 64 clients at once, and, in turns in one run, has as many callers put
// what each of them wrote into bare bbolt with Batch: the same keys and values
// into as many buckets.
func BenchmarkOrders(b *testing.B) {
	db, err := bolt.Open(filepath.Join(b.TempDir(), "hub.db"), bolt.Options{Kind: "hub", SizeMax: 1 << 40, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	recorder := &rowRecorder{Driver: ledger.NewMemory()}
	shop, twin := newOrderShop(b, db), &orderTwin{orderShop: newOrderShop(b, recorder), recorder: recorder}
	store, placed := bareOrders(b, twin), 0
	b.Run(fmt.Sprintf("clients=%d", orderClients), func(b *testing.B) {
		b.StopTimer()
		var ours, bare []float64
		var spentOurs, spentBare time.Duration
		puts, size := 0, 0
		for done := 0; done < b.N; {
			n, first := min(orderTurn, b.N-done), placed
			shop.hear()
			twin.hear()
			rows := make([][]floor.Row, n)
			for i := range rows {
				rows[i] = twin.place(b, first+i)
				puts += len(rows[i])
				for j := range rows[i] {
					size += len(rows[i][j].Key) + len(rows[i][j].Value)
				}
			}
			b.StartTimer()
			spentOurs += atOnce(b, n, &ours, func(i int) error { return shop.place(first + i) })
			b.StopTimer()
			spentBare += atOnce(b, n, &bare, func(i int) error { return store.Batch(rows[i]) })
			done, placed = done+n, placed+n
		}
		b.ReportMetric(float64(puts)/float64(b.N), "puts")
		b.ReportMetric(float64(size)/float64(b.N), "put-bytes")
		for name, took := range map[string][]float64{"": ours, "bare-": bare} {
			slices.Sort(took)
			b.ReportMetric(took[(len(took)-1)*50/100], name+"p50-us")
			b.ReportMetric(took[(len(took)-1)*99/100], name+"p99-us")
		}
		b.ReportMetric(float64(b.N)/spentOurs.Seconds(), "orders/s")
		b.ReportMetric(float64(b.N)/spentBare.Seconds(), "bare-orders/s")
	})
}

// atOnce makes n calls by all clients together and adds how many microseconds
// each took.
func atOnce(b *testing.B, n int, took *[]float64, call func(int) error) time.Duration {
	var next atomic.Int64
	var mu sync.Mutex
	var all sync.WaitGroup
	begin := time.Now()
	for range orderClients {
		all.Go(func() {
			var mine []float64
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				start := time.Now()
				if err := call(i); err != nil {
					b.Error(err)
				}
				mine = append(mine, float64(time.Since(start).Nanoseconds())/1e3)
			}
			mu.Lock()
			defer mu.Unlock()
			*took = append(*took, mine...)
		})
	}
	all.Wait()
	return time.Since(begin)
}
