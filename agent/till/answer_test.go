package till_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"counterpart/agent/till"
	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/sale"
)

func (s *shopTest) sellKeyed(key, body string) (protocol.Answer, error) {
	s.t.Helper()
	return s.till.Sell(context.Background(), saleCall(key, body), request[sale.Request](s.t, body))
}

// TestIdempotency checks that a key counts once, also after the file was
// opened again, and that the key travels in the event.
func TestIdempotency(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.db")
	db := boltDriver(t, path)
	s := open(t, db)
	first, err := s.sellKeyed("key-1", exampleSale)
	if err != nil {
		t.Fatal(err)
	}
	other := strings.Replace(exampleSale, `"s7"`, `"s8"`, 1)
	repeat := func(when string) {
		t.Helper()
		again, err := s.sellKeyed("key-1", exampleSale)
		if err != nil || again.Status != 201 || string(again.Body) != string(first.Body) {
			t.Errorf("%s: %v, %s", when, err, again.Body)
		}
		_, err = s.sellKeyed("key-1", other)
		wantCode(t, err, protocol.IdempotencyMismatch)
	}
	repeat("at once")
	if _, err := s.tryReturn(`{"receipt_no":"a1-1-1-1","lines":[{"line":1,"qty":1}],"tenders":[{"type":"cash","amount_minor":225}]}`); err != nil {
		t.Fatal(err)
	}
	repeat("after a return")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	clock := s.clock
	s = bare(t, boltDriver(t, path), originA, clock)
	repeat("after opening again")

	events := s.events()
	if len(events) != 2 {
		t.Fatalf("%d events", len(events))
	}
	if k := events[0].Idempotency; k == nil || k.Key != "key-1" || k.Route != "POST /v1/sales" || k.Body == 0 {
		t.Errorf("the event's key is %+v", k)
	}
	if events[1].Idempotency != nil {
		t.Error("a call without a key has one in its event")
	}
	if n := s.appended.Load(); n != 0 {
		t.Errorf("a repeat called Appended %d times", n)
	}

	// A refusal is no answer: the same key may try again.
	if _, err := s.sellKeyed("key-2", `{"lines":[{"code":"NO-SUCH","qty":1}]}`); err == nil {
		t.Error("sold an unknown code")
	}
	if _, err := s.sellKeyed("key-2", other); err != nil {
		t.Error(err)
	}
	// Another route has keys of its own.
	body := `{"lines":[{"code":"CUP","qty":1}],"reason":"unwanted","tenders":[{"type":"card","amount_minor":999}]}`
	if _, err := s.till.Return(context.Background(), keyed("POST /v1/returns", "key-1", body), request[sale.ReturnRequest](t, body)); err != nil {
		t.Error(err)
	}
	s.verify()
}

// TestKeys checks what may be a key.
func TestKeys(t *testing.T) {
	s := memory(t)
	for _, key := range []string{" ", "a b", "a\x00b", "ключ", strings.Repeat("k", 129), "a\x7f"} {
		_, err := s.sellKeyed(key, exampleSale)
		wantCode(t, err, protocol.OutOfRangeCode)
	}
	if _, err := s.sellKeyed(strings.Repeat("~", 128), exampleSale); err != nil {
		t.Error(err)
	}
}

// held is a driver whose Update waits inside until it is let go.
type held struct {
	ledger.Driver
	entered, release chan struct{}
}

func (d held) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	return d.Driver.Update(ctx, func(tx ledger.Tx) error {
		close(d.entered)
		<-d.release
		return fn(tx)
	})
}

// TestInProgress checks that a second call with the key of a running one does
// not wait, and that the key is free afterwards.
func TestInProgress(t *testing.T) {
	s := memory(t)
	d := held{s.driver, make(chan struct{}), make(chan struct{})}
	s.till = till.New(till.Options{Driver: d, Origin: originA, Series: "1", Now: s.clock.Now})
	done := make(chan error)
	go func() {
		_, err := s.till.Sell(context.Background(), saleCall("k", exampleSale), sale.Request{})
		done <- err
	}()
	<-d.entered
	_, err := s.sellKeyed("k", exampleSale)
	wantCode(t, err, protocol.InProgress)
	close(d.release)
	wantCode(t, <-done, protocol.OutOfRangeCode) // a request without lines
	d.entered = make(chan struct{})
	s.till = till.New(till.Options{Driver: d, Origin: originA, Series: "1", Now: s.clock.Now})
	if _, err := s.sellKeyed("k", exampleSale); err != nil {
		t.Error(err)
	}
}

// TestAnswersPruned checks that answers stay for seven days and not for ever.
func TestAnswersPruned(t *testing.T) {
	s := memory(t)
	count := func() int {
		n := 0
		err := s.driver.View(context.Background(), func(r ledger.Reader) error {
			return r.Scan(ledger.Notes, "answer\x00", "answer\x01", func(string, []byte) (bool, error) { n++; return true, nil })
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	sell := func(from, to int) {
		for i := from; i < to; i++ {
			if _, err := s.sellKeyed(fmt.Sprint(i), exampleSale); err != nil {
				t.Fatal(err)
			}
		}
	}
	sell(0, 128)
	s.clock.set("2026-11-28T10:02:12Z")
	sell(128, 256)
	if n := count(); n != 256 {
		t.Errorf("%d answers after seven days, want all 256", n)
	}
	s.clock.set("2026-11-28T10:02:13Z")
	sell(256, 320)
	s.clock.set("2026-12-30T10:00:00Z")
	sell(320, 640)
	if n := count(); n > 400 {
		t.Errorf("%d answers are kept of 640", n)
	}
}
