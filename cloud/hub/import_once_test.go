package hub

import (
	"io"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"counterpart/protocol"
)

// keyedHub is a hub with two stores and an item.
func keyedHub(t *testing.T) *Hub {
	t.Helper()
	h := importHub(t)
	mustTakeIn(t, h, StoresTable, "id,name,timezone\ns1,High Street,UTC\ns2,Bridge,UTC\n")
	mustTakeIn(t, h, ItemsTable, "sku,name\nP,Pen\n")
	return h
}

// keyed sends a CSV file under a key.
func keyed(t *testing.T, h *Hub, table Table, store protocol.StoreID, key, file string) (Report, error) {
	t.Helper()
	return h.Import(t.Context(), File{Table: table, Format: FormatCSV, Store: store, Key: key, Body: strings.NewReader(file)})
}

func TestImportUnderAKeyIsTakenInOnce(t *testing.T) {
	for name, tt := range map[string]struct {
		table        Table
		first, other string
	}{
		"stock":               {StockTable, "code,on_hand\nP,5\nNO,1\n", "code,on_hand\nP,6\n"},
		"stock, nothing good": {StockTable, "code,on_hand\nNO,5\n", "code,on_hand\nP,6\n"},
		"items":               {ItemsTable, "sku,name\nQ,Quill\nR,\n", "sku,name\nQ,Quill\n"},
		"stores":              {StoresTable, "id,name,timezone\ns3,Station,UTC\n", "id,name,timezone\ns3,Station,CET\n"},
	} {
		t.Run(name, func(t *testing.T) {
			h := keyedHub(t)
			first, err := keyed(t, h, tt.table, "s1", "k-1", tt.first)
			if err != nil || first.Read == 0 {
				t.Fatalf("first: %+v, %v", first, err)
			}
			if tt.table != StockTable {
				if _, err := keyed(t, h, tt.table, "s1", "", tt.other); err != nil {
					t.Fatal(err)
				}
			}
			again, err := keyed(t, h, tt.table, "s1", "k-1", tt.first)
			if err != nil || !reflect.DeepEqual(again, first) {
				t.Errorf("again: %+v, %v, want %+v", again, err, first)
			}
			if _, err := keyed(t, h, tt.table, "s1", "k-1", tt.other); protocol.CodeOf(err) != protocol.IdempotencyMismatch {
				t.Errorf("another file: %v", err)
			}
			restarted, err := New(t.Context(), Options{
				Driver: h.driver, Currency: "GBP", Now: h.now, Mono: h.mono, Random: h.random, Send: h.send, Log: slog.New(slog.DiscardHandler),
			})
			if err != nil {
				t.Fatal(err)
			}
			if again, err = keyed(t, restarted, tt.table, "s1", "k-1", tt.first); err != nil || !reflect.DeepEqual(again, first) {
				t.Errorf("after a restart: %+v, %v", again, err)
			}
			if tt.table != StockTable {
				return
			}
			if other, err := keyed(t, h, StockTable, "s2", "k-1", tt.first); err != nil || other.LoadID != nil && *other.LoadID == *first.LoadID {
				t.Errorf("the key of another store: %+v, %v", other, err)
			}
		})
	}
}

func TestImportUnderAKeyThatWasRefusedMayComeAgain(t *testing.T) {
	h := keyedHub(t)
	if _, err := keyed(t, h, StockTable, "s1", "k", "code,colour\nP,5\n"); protocol.CodeOf(err) != protocol.UnknownField {
		t.Fatal(err)
	}
	if report, err := keyed(t, h, StockTable, "s1", "k", "code,on_hand\nP,5\n"); err != nil || report.LoadID == nil {
		t.Errorf("%+v, %v", report, err)
	}
}

// TestImportUnderAKeyThatIsRunning sends the same request again while its first
// body is still on the way.
func TestImportUnderAKeyThatIsRunning(t *testing.T) {
	h := keyedHub(t)
	asked := false
	body := readerFunc(func([]byte) (int, error) {
		asked = true
		if _, err := keyed(t, h, StockTable, "s1", "k", "code,on_hand\nP,5\n"); protocol.CodeOf(err) != protocol.InProgress {
			t.Errorf("while it runs: %v", err)
		}
		return 0, io.ErrUnexpectedEOF
	})
	if _, err := h.Import(t.Context(), File{Table: StockTable, Format: FormatCSV, Store: "s1", Key: "k", Body: body}); err == nil || !asked {
		t.Errorf("a broken body: %v", err)
	}
	if report, err := keyed(t, h, StockTable, "s1", "k", "code,on_hand\nP,5\n"); err != nil || report.LoadID == nil {
		t.Errorf("afterwards: %+v, %v", report, err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// TestI17_KeysAreForgottenAfterAWeek counts the week in running time, whatever
// the clock says.
func TestI17_KeysAreForgottenAfterAWeek(t *testing.T) {
	h := keyedHub(t)
	clock, mono := h.now, h.mono
	h.now = func() time.Time { return clock().AddDate(10, 0, 0) }
	first, err := keyed(t, h, StockTable, "s1", "k", "code,on_hand\nP,5\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, kept := range []bool{true, false} {
		after := reportKeptFor - time.Second
		if !kept {
			after = reportKeptFor + time.Second
		}
		h.mono = func() time.Duration { return mono() + after }
		if err := h.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
		again, err := keyed(t, h, StockTable, "s1", "k", "code,on_hand\nP,5\n")
		if err != nil || (*again.LoadID == *first.LoadID) != kept {
			t.Errorf("after %v: %+v, %v", after, again, err)
		}
	}
}
