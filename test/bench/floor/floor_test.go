package floor

import (
	"bytes"
	"encoding/binary"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"
	bbolt "go.etcd.io/bbolt"
)

// TestSaleSize holds the floors to the sale that they are to carry.
func TestSaleSize(t *testing.T) {
	const sales = 10_000
	sum := 0
	for n := range sales {
		sale := NewSale("s1", n+1)
		text, err := sale.JSON()
		if err != nil {
			t.Fatal(err)
		}
		sum += len(text)
	}
	if mean := float64(sum) / sales; mean < 314 || mean > 324 {
		t.Errorf("a sale has %.1f bytes on average, want about 319", mean)
	}
}

// TestFrameIsKeptOnce is what makes the floor's work the same as ours: each
// sale once, however often its frame comes, with three levels.
func TestFrameIsKeptOnce(t *testing.T) {
	store, err := openSales(filepath.Join(t.TempDir(), "sink.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	packer, err := newPacker()
	if err != nil {
		t.Fatal(err)
	}
	decoder, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(decoder.Close)
	var texts [][]byte
	for n := range FrameSales {
		sale := NewSale("s1", n+1)
		text, err := sale.JSON()
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, text)
	}
	frame := packer.pack(texts)
	for _, want := range []int{FrameSales, 0} {
		if fresh, err := store.keepFrame(decoder, frame); err != nil || fresh != want {
			t.Errorf("%d sales were new, want %d: %v", fresh, want, err)
		}
	}
	moved := int64(0)
	count := 0
	err = store.db.View(func(tx *bbolt.Tx) error {
		count = tx.Bucket([]byte(salesBucket)).Stats().KeyN
		return tx.Bucket([]byte(levelsBucket)).ForEach(func(_, v []byte) error {
			moved -= int64(binary.BigEndian.Uint64(v))
			return nil
		})
	})
	if err != nil || count != FrameSales || moved != 3*1000*FrameSales {
		t.Errorf("%d sales and %d thousandths moved: %v", count, moved, err)
	}
}

// TestOutboxReadsAllOnce fills an outbox and reads it as the drain does.
func TestOutboxReadsAllOnce(t *testing.T) {
	store, err := openSales(filepath.Join(t.TempDir(), "edge.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	const sales = 2*FrameSales + 1
	if err := store.fill("s1", sales); err != nil {
		t.Fatal(err)
	}
	read := 0
	for after := uint64(0); ; {
		list, last, err := store.outbox(after)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 {
			break
		}
		first := NewSale("s1", read+1)
		if want, err := first.JSON(); err != nil || !bytes.Equal(list[0], want) {
			t.Fatalf("sale %d is %s: %v", read+1, list[0], err)
		}
		read, after = read+len(list), last
	}
	if read != sales {
		t.Errorf("%d sales were read, want %d", read, sales)
	}
}
