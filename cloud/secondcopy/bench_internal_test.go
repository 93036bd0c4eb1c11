package secondcopy

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/ledger/bolt"
)

// benchEvents are the events of a benchmark, in batches as agents send them.
const benchEvents = 400 * protocol.FrameEventsMax

// stocked is a hub's database on disk with sales of four tills.
func stocked(b *testing.B) ledger.Driver {
	b.Helper()
	db, err := bolt.Open(b.TempDir()+"/hub.db", bolt.Options{Kind: "hub"})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := db.Close(); err != nil {
			b.Error(err)
		}
	})
	random := rand.New(rand.NewPCG(1, 2))
	move := func() protocol.Move {
		return protocol.Move{SKU: protocol.SKU(fmt.Sprintf("GRO-%05d", random.IntN(5000))), Delta: -protocol.Quantity(1+random.IntN(3)) * 1000}
	}
	for n := range benchEvents / protocol.FrameEventsMax {
		o := origin("s1", "a1", byte(1+n%4))
		err := db.Update(b.Context(), func(tx ledger.Tx) error {
			s, err := ledger.ReadStream(tx, o)
			if err != nil {
				return err
			}
			batch := ledger.Batch{Origin: o, First: s.Seq + 1, Prev: ledger.StreamInfo{Origin: o, Stream: s}.Head()}
			for i := range protocol.FrameEventsMax {
				body, err := protocol.EncodeEvent(&protocol.Event{Kind: "x.sale", Moves: []protocol.Move{move(), move(), move()}})
				if err != nil {
					return err
				}
				batch.Records = append(batch.Records, protocol.Record{Clock: protocol.Clock{WallMs: int64(i)*60_000 + random.Int64N(60_000)}, Body: body})
			}
			_, err = ledger.Apply(tx, batch)
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	return db
}

// BenchmarkCatchUp is what the copy costs for each event, on top of the hub.
func BenchmarkCatchUp(b *testing.B) {
	s := &shop{db: stocked(b)}
	s.o = Options{Driver: s.db, Epoch: func() uint64 { return 1 }, Log: quiet(), Synced: func(context.Context, []protocol.StreamPos) {}}
	folder := b.TempDir()
	for n := 0; b.Loop(); n++ {
		s.o.Path = fmt.Sprintf("%s/copy-%d", folder, n)
		c, err := Open(b.Context(), s.o)
		if err == nil {
			err = c.Close(b.Context())
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchEvents, "ns/event")
	info, err := os.Stat(s.o.Path)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(info.Size())/benchEvents, "bytes/event")
}

// BenchmarkScan is what a start of the hub reads of the copy.
func BenchmarkScan(b *testing.B) {
	o := Options{Path: b.TempDir() + "/copy", Driver: stocked(b), Epoch: func() uint64 { return 1 }, Log: quiet(), Synced: func(context.Context, []protocol.StreamPos) {}}
	c, err := Open(b.Context(), o)
	if err == nil {
		err = c.Close(b.Context())
	}
	if err != nil {
		b.Fatal(err)
	}
	f, size, err := openForReading(o.Path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	b.SetBytes(size)
	for b.Loop() {
		s := newScanner(f, size)
		for err = nil; err == nil; {
			_, err = s.next()
		}
		if err != io.EOF {
			b.Fatal(err)
		}
	}
}
