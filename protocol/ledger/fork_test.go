package ledger_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/stock"
)

// forked is a machine whose log is rolled back, copied and forked, and the hub
// that hears of all of it.
type forked struct {
	t    *testing.T
	rnd  *rand.Rand
	db   ledger.Driver
	hub  ledger.Driver
	o    protocol.Origin
	next int
	// units is what was sold.
	units protocol.Quantity
}

func inc(rnd *rand.Rand) (inc protocol.Inc) {
	for i := range inc {
		inc[i] = byte(rnd.Uint32())
	}
	return inc
}

func newForked(t *testing.T, seed uint64) *forked {
	f := &forked{t: t, rnd: rand.New(rand.NewPCG(seed, 3)), db: ledger.NewMemory(), hub: ledger.NewMemory(), o: protocol.Origin{Store: "s1", Agent: "a1"}}
	f.update(f.db, func(tx ledger.Tx) error {
		id, err := ledger.StartIdentity(tx, inc(f.rnd), "")
		f.o.Inc = id.Inc
		return err
	})
	return f
}

func (f *forked) update(db ledger.Driver, fn func(ledger.Tx) error) {
	f.t.Helper()
	if err := db.Update(context.Background(), fn); err != nil {
		f.t.Fatal(err)
	}
}

// sell logs one sale under the machine's identity.
func (f *forked) sell(db ledger.Driver) {
	f.next++
	sku, q := protocol.SKU(fmt.Sprint("SKU", f.rnd.IntN(4))), protocol.Quantity(1+f.rnd.IntN(3))*1000
	f.units += q
	f.update(db, func(tx ledger.Tx) error {
		id, err := ledger.ReadIdentity(tx)
		if err != nil {
			return err
		}
		o := f.o
		o.Inc = id.Inc
		stream, err := ledger.ReadStream(tx, o)
		if err != nil {
			return err
		}
		till := protocol.TillID(fmt.Sprint(1 + f.rnd.IntN(2)))
		_, err = ledger.Log(tx, o, protocol.Clock{WallMs: int64(f.next)}, &protocol.Event{
			Kind: protocol.KindSale, Moves: []protocol.Move{{SKU: sku, State: protocol.OnHand, Delta: -q}},
			Sale: &protocol.Sale{
				Type: protocol.SaleSale, Till: till, Series: id.Series, Number: stream.LastReceipt(till, id.Series) + 1, BusinessDate: "2026-11-21", Currency: "GBP",
				Lines: []protocol.SaleLine{{Item: protocol.ItemRef{SKU: sku}, Quantity: q, UnitPrice: 100, Amount: 100}}, Total: 100,
				Tenders: []protocol.Tender{{Type: protocol.Card, Amount: 100}},
			},
		})
		return err
	})
}

// poison logs an event that nobody can read.
func (f *forked) poison(db ledger.Driver) {
	f.next++
	f.update(db, func(tx ledger.Tx) error {
		id, err := ledger.ReadIdentity(tx)
		if err != nil {
			return err
		}
		o := f.o
		o.Inc = id.Inc
		stream, err := ledger.ReadStream(tx, o)
		if err != nil {
			return err
		}
		head := ledger.StreamInfo{Origin: o, Stream: stream}.Head()
		_, err = ledger.Apply(tx, ledger.Batch{Origin: o, First: stream.Seq + 1, Prev: head, Records: []protocol.Record{{Body: []byte{0xff, byte(f.next)}}}})
		return err
	})
}

// fork forks and continues, with a sale in between now and then.
func (f *forked) fork(db ledger.Driver, safe protocol.Seq) {
	f.update(db, func(tx ledger.Tx) error {
		_, err := ledger.Fork(tx, f.o, safe, inc(f.rnd), ledger.CauseRestore)
		return err
	})
	for done := false; !done; {
		f.update(db, func(tx ledger.Tx) (err error) {
			done, err = ledger.ContinueFork(tx, f.o, protocol.Clock{WallMs: 1 << 40})
			return err
		})
		if f.rnd.IntN(2) == 0 {
			f.sell(db)
		}
	}
}

// carry applies streams of one database to another, as far as they fit there.
func (f *forked) carry(from, to ledger.Driver) {
	f.t.Helper()
	err := from.View(context.Background(), func(r ledger.Reader) error {
		streams, err := ledger.AllStreams(r)
		if err != nil {
			return err
		}
		for _, s := range streams {
			var first protocol.Seq
			f.update(to, func(tx ledger.Tx) error {
				there, err := ledger.ReadStream(tx, s.Origin)
				first = there.Seq + 1
				return err
			})
			if first > s.Seq {
				continue
			}
			records, prev, err := ledger.Records(r, s.Origin, first, int(s.Seq-first)+1, 1<<30)
			if err != nil {
				return err
			}
			f.update(to, func(tx ledger.Tx) error {
				_, err := ledger.Apply(tx, ledger.Batch{Origin: s.Origin, First: first, Prev: prev, Records: records})
				return err
			})
		}
		return nil
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *forked) sold(db ledger.Driver) (sold protocol.Quantity) {
	err := db.View(context.Background(), func(r ledger.Reader) error {
		return ledger.ScanLevels(r, "s1", func(_ protocol.SKU, l *stock.Level) (bool, error) {
			sold -= l.OnHand()
			return true, nil
		})
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return sold
}

func (f *forked) verify(what string, db ledger.Driver) {
	f.t.Helper()
	err := db.View(context.Background(), func(r ledger.Reader) error {
		rep, err := ledger.Verify(r)
		if err == nil && !rep.OK() {
			err = fmt.Errorf("%s: %v", what, rep.Differences)
		}
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

// TestI3_I8_Fork sells, tells the hub a part, forks (twice, now and then), and
// demands that both hold every sale once and that each state is its log's
// replay.
func TestI3_I8_Fork(t *testing.T) {
	for seed := range uint64(60) {
		f := newForked(t, seed)
		for range f.rnd.IntN(450) {
			f.sell(f.db)
			if f.rnd.IntN(100) == 0 {
				f.carry(f.db, f.hub)
			}
		}
		f.checkFork(seed, f.db)
		if seed%2 == 0 {
			f.sell(f.db)
			f.checkFork(seed, f.db)
		}
		if got := f.sold(f.hub); got != f.units {
			t.Fatalf("seed %d: the hub counts %d, %d were sold", seed, got, f.units)
		}
	}
}

// checkFork forks at what the hub has, at most, and lets both hear all.
func (f *forked) checkFork(seed uint64, db ledger.Driver) {
	f.t.Helper()
	f.fork(db, f.hubSeq(db))
	f.verify(fmt.Sprint("machine of seed ", seed), db)
	f.carry(db, f.hub)
	f.verify(fmt.Sprint("hub of seed ", seed), f.hub)
	f.carry(f.hub, db)
	f.verify(fmt.Sprint("machine after the hub's news, seed ", seed), db)
	if a, b := f.sold(db), f.sold(f.hub); a != b {
		f.t.Fatalf("seed %d: the machine counts %d, the hub %d", seed, a, b)
	}
}

// hubSeq is a number up to which the hub has the machine's present stream.
func (f *forked) hubSeq(db ledger.Driver) (seq protocol.Seq) {
	o := f.o
	f.update(db, func(tx ledger.Tx) error {
		id, err := ledger.ReadIdentity(tx)
		o.Inc = id.Inc
		return err
	})
	f.update(f.hub, func(tx ledger.Tx) error {
		s, err := ledger.ReadStream(tx, o)
		seq = s.Seq
		return err
	})
	if f.rnd.IntN(3) == 0 {
		seq /= 2
	}
	return seq
}

// TestI3_Copies lets a copy of a machine sell on under the same numbers. Both
// fork or one does; nothing is lost, and a person hears of every number that
// was used twice. One that nobody can read counts for nothing, and so is no
// second use, whichever of the two comes first (I8).
func TestI3_Copies(t *testing.T) {
	for seed := range uint64(30) {
		f := newForked(t, seed)
		for range 1 + f.rnd.IntN(30) {
			f.sell(f.db)
		}
		if seed%3 > 0 {
			f.carry(f.db, f.hub)
		}
		twin := ledger.NewMemory()
		f.copyTo(twin)
		common, twice := f.next, 0
		for range 1 + f.rnd.IntN(20) {
			one, other := f.sell, f.sell
			switch f.rnd.IntN(8) {
			case 0:
				one = f.poison
			case 1:
				other = f.poison
			default:
				twice++
			}
			one(f.db)
			other(twin)
		}
		f.carry(f.db, f.hub)
		safe := protocol.Seq(0)
		if seed%3 > 0 {
			safe = protocol.Seq(common)
		}
		f.fork(twin, safe)
		f.carry(twin, f.hub)
		f.carry(f.hub, twin)
		f.carry(f.hub, f.db)
		for what, db := range map[string]ledger.Driver{"hub": f.hub, "original": f.db, "copy": twin} {
			f.verify(what, db)
			if got := f.sold(db); got != f.units {
				t.Fatalf("seed %d: the %s counts %d, %d were sold", seed, what, got, f.units)
			}
			if n := f.exceptions(db, ledger.ExceptionEventTwice); n != twice {
				t.Fatalf("seed %d: the %s shows %d numbers used twice, not %d", seed, what, n, twice)
			}
			if a, b := f.states(f.hub), f.states(db); !maps.Equal(a, b) {
				t.Fatalf("seed %d: the %s holds another state than the hub", seed, what)
			}
		}
	}
}

func (f *forked) exceptions(db ledger.Driver, kind string) (n int) {
	err := db.View(context.Background(), func(r ledger.Reader) error {
		list, err := ledger.Exceptions(r)
		for _, e := range list {
			if e.Kind == kind {
				n++
			}
		}
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return n
}

// states are the rows that the fold made.
func (f *forked) states(db ledger.Driver) map[string]string {
	rows := map[string]string{}
	err := db.View(context.Background(), func(r ledger.Reader) error {
		return r.Scan(ledger.States, "", "", func(id string, v []byte) (bool, error) {
			rows[id] = string(v)
			return true, nil
		})
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return rows
}

// copyTo makes another database equal to the machine's.
func (f *forked) copyTo(to ledger.Driver) {
	var rows []ledger.Row
	err := f.db.View(context.Background(), func(r ledger.Reader) error {
		for table := range ledger.TableCount {
			err := r.Scan(table, "", "", func(id string, v []byte) (bool, error) {
				rows = append(rows, ledger.Row{Key: ledger.Key{Table: table, ID: id}, Value: append([]byte(nil), v...)})
				return true, nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		f.t.Fatal(err)
	}
	f.update(to, func(tx ledger.Tx) error { return tx.Write(rows) })
}

// TestI9_Fork: a machine that forked, and the hub that heard of it in parts,
// make the same sums of the same events.
func TestI9_Fork(t *testing.T) {
	for seed := range uint64(20) {
		f := newForked(t, seed)
		for range 1 + f.rnd.IntN(60) {
			f.sell(f.db)
			if f.rnd.IntN(20) == 0 {
				f.carry(f.db, f.hub)
			}
		}
		for range 1 + seed%3 {
			f.checkFork(seed, f.db)
			f.sell(f.db)
		}
		f.carry(f.db, f.hub)
		var batch ledger.Batch
		f.update(f.db, func(tx ledger.Tx) error {
			id, err := ledger.ReadIdentity(tx)
			if err != nil {
				return err
			}
			o := f.o
			o.Inc = id.Inc
			d, err := ledger.Digest(tx, o)
			if err != nil {
				return err
			}
			res, err := ledger.Log(tx, o, protocol.Clock{}, &protocol.Event{Kind: protocol.KindDigest, Digest: d})
			if err != nil {
				return err
			}
			batch = ledger.Batch{Origin: o, First: res.Stream.Seq}
			batch.Records, batch.Prev, err = ledger.Records(tx, o, batch.First, 1, 1<<20)
			return err
		})
		f.update(f.hub, func(tx ledger.Tx) error {
			res, err := ledger.Apply(tx, batch)
			if err == nil && (len(res.Digests) != 1 || len(res.Digests[0].Buckets) > 0) {
				t.Fatalf("seed %d: the digest is compared as %v", seed, res.Digests)
			}
			return err
		})
	}
}
