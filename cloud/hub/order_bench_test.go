package hub

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/ledger/bolt"
	"counterpart/protocol/pickup"
)

func BenchmarkHotItem(b *testing.B) {
	db, err := bolt.Open(b.TempDir()+"/hub.db", bolt.Options{Kind: "hub", SizeMax: 1 << 40, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	start := time.Now()
	n := byte(0)
	h, err := New(b.Context(), Options{
		Driver: db, Currency: "GBP", Now: time.Now, Mono: func() time.Duration { return time.Since(start) },
		Random: func(p []byte) {
			n++
			for i := range p {
				p[i] = n
			}
		}, Send: func(string, []byte, bool) {}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	mustTakeIn(b, h, StoresTable, "id,name,timezone,lat,lon,currency,primary_agent\ns1,One,Europe/London,51.50,-0.10,GBP,a1\n")
	mustTakeIn(b, h, ItemsTable, "sku,name,price_minor\nPEN,Pen,250\n")
	o := stream("s1", "a1", 9)
	if err := db.Update(b.Context(), func(tx ledger.Tx) error {
		_, err := ledger.Log(tx, o, protocol.Clock{WallMs: 1}, movement("PEN", 9_000_000_000))
		return err
	}); err != nil {
		b.Fatal(err)
	}
	seen(h, o, linkOnline, time.Now(), time.Now(), 1)
	body := []byte(`{"store":"s1","method":"in_store","payment":{"status":"paid"},"lines":[{"code":"PEN","qty":1}]}`)
	var r pickup.PlaceRequest
	if err := json.Unmarshal(body, &r); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	var wg sync.WaitGroup
	per := b.N/64 + 1
	for c := range 64 {
		wg.Go(func() {
			for i := range per {
				if _, err := h.PlaceOrder(b.Context(), protocol.Call{Route: "POST /v1/orders", Key: fmt.Sprint(c, "-", i), Body: body}, r); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}
