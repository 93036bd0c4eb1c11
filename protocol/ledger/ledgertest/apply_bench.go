package ledgertest

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

const (
	benchSKUs    = 50_000
	benchEvents  = 100 // of a batch
	benchBatches = 8   // of a transaction
	benchLines   = 3   // of a sale
)

// BenchmarkApply measures what a hub does with events that arrive: unpack the
// frames of several batches, and decode, hash, fold and store their events in
// one transaction. Events are sales of three lines, in batches of 100. One
// stream is a long backlog of one agent, many are a herd of agents that come
// back at once. open returns an empty store; the benchmark closes it.
func BenchmarkApply(b *testing.B, open func(b *testing.B) ledger.Driver) {
	for _, streams := range []int{1, 1000} {
		b.Run(fmt.Sprintf("streams=%d", streams), func(b *testing.B) {
			d := open(b)
			b.Cleanup(func() { _ = d.Close() })
			benchApply(b, d, streams)
		})
	}
}

func benchApply(b *testing.B, d ledger.Driver, streams int) {
	logs := make([]*benchLog, streams)
	for i := range logs {
		logs[i] = newBenchLog(i)
	}
	b.ReportAllocs()
	for done := 0; b.Loop(); done++ {
		b.StopTimer()
		frames := make([]benchFrame, benchBatches)
		for i := range frames {
			frames[i] = logs[(done*benchBatches+i)%streams].frame(b)
		}
		b.StartTimer()
		err := d.Update(b.Context(), func(tx ledger.Tx) error {
			group := ledger.NewGroup(tx)
			for _, f := range frames {
				if err := f.apply(group); err != nil {
					return err
				}
			}
			return group.Flush()
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchBatches/benchEvents, "ns/event")
}

// benchFrame is a batch as it arrives.
type benchFrame struct {
	origin protocol.Origin
	first  protocol.Seq
	prev   protocol.Hash
	packed []byte
}

func (f benchFrame) apply(group *ledger.Group) error {
	records, err := protocol.DecodeFrame(f.packed, benchEvents)
	if err != nil {
		return err
	}
	res, err := group.Apply(ledger.Batch{Origin: f.origin, First: f.first, Prev: f.prev, Records: records, Frame: f.packed})
	if err != nil {
		return err
	}
	_, err = group.AppendPeer(f.origin, f.first, res.Applied)
	return err
}

// benchLog writes the sales of one agent with a store of its own.
type benchLog struct {
	rnd    *rand.Rand
	zipf   *rand.Zipf
	origin protocol.Origin
	head   protocol.Hash
	clock  protocol.Clock
	seq    protocol.Seq
}

func newBenchLog(i int) *benchLog {
	l := &benchLog{rnd: rand.New(rand.NewPCG(uint64(i), 7)), clock: protocol.Clock{WallMs: 1_795_252_932_000, MonoMs: 4_211_000}}
	l.zipf = rand.NewZipf(l.rnd, 1.2, 20, benchSKUs-1)
	l.origin = protocol.Origin{Store: protocol.StoreID(fmt.Sprintf("s%d", i)), Agent: protocol.AgentID(fmt.Sprintf("a%d", i))}
	l.origin.Inc = protocol.Inc{0: 0xc0, 1: byte(i >> 8), 2: byte(i), 15: 1}
	l.head = l.origin.Genesis()
	return l
}

// frame logs and packs the next batch.
func (l *benchLog) frame(b *testing.B) benchFrame {
	f := benchFrame{origin: l.origin, first: l.seq + 1, prev: l.head}
	records := make([]protocol.Record, benchEvents)
	for i := range records {
		l.seq++
		body, err := protocol.EncodeEvent(l.sale())
		if err != nil {
			b.Fatal(err)
		}
		pause := 8_000 + l.rnd.Int64N(60_000)
		l.clock.WallMs, l.clock.MonoMs = l.clock.WallMs+pause, l.clock.MonoMs+pause
		records[i] = protocol.Record{Clock: l.clock, Body: body}
		l.head = l.head.Next(records[i])
	}
	var err error
	if f.packed, err = protocol.EncodeFrame(records); err != nil {
		b.Fatal(err)
	}
	return f
}

func (l *benchLog) sale() *protocol.Event {
	s := &protocol.Sale{
		Type: protocol.SaleSale, Till: "1", Series: "1", Number: uint64(l.seq), BusinessDate: "2026-11-21",
		Staff: "s7", Currency: "GBP", PricesIncludeTax: true,
	}
	e := &protocol.Event{Kind: protocol.KindSale, Boot: 3, Sale: s}
	for range benchLines {
		n := l.zipf.Uint64()
		sku, price := protocol.SKU(fmt.Sprint(4_006_380_000_000+n*7919)), protocol.Money(49+50*(n%60))
		s.Lines = append(s.Lines, protocol.SaleLine{
			Item: protocol.ItemRef{SKU: sku, Unit: protocol.Each}, Quantity: 1000, UnitPrice: price, Amount: price, TaxCode: "STD",
		})
		s.Total += price
		e.Moves = append(e.Moves, protocol.Move{SKU: sku, Delta: -1000})
	}
	tax, _ := protocol.MulDiv(int64(s.Total), 200_000, 1_200_000)
	s.Taxes = []protocol.TaxAmount{{Code: "STD", Rate: 200_000, Net: s.Total - tax, Tax: tax}}
	s.Tenders = []protocol.Tender{{Type: protocol.Card, Amount: s.Total}}
	return e
}
