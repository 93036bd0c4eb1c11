package uplink_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"counterpart/agent/uplink"
	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

var (
	errFault   = errors.New("a row that nobody thought of")
	errStopped = errors.New("the process has ended")
)

// faulty is a driver in which writing a row of one name goes wrong.
type faulty struct {
	ledger.Driver
	name    string
	how     string // error, panic, full or crash
	stopped bool   // the process ended; nothing is done any more
	updates int
}

func (d *faulty) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	d.updates++
	if d.stopped {
		return errStopped
	}
	return d.Driver.Update(ctx, func(tx ledger.Tx) error { return fn(faultyTx{tx, d}) })
}

type faultyTx struct {
	ledger.Tx
	d *faulty
}

func (tx faultyTx) Write(rows []ledger.Row) error {
	for _, r := range rows {
		if r.Key.Table != ledger.States || r.Value == nil || !strings.HasSuffix(r.Key.ID, "\x00"+tx.d.name) {
			continue
		}
		switch tx.d.how {
		case "error":
			return errFault
		case "panic":
			panic("a row that nobody thought of")
		case "full":
			return errFull
		case "crash":
			tx.d.stopped = true
			return errStopped
		}
	}
	return tx.Tx.Write(rows)
}

// machine is an agent whose engine runs over a database with a fault; the test
// is its hub.
type machine struct {
	*engineRig
	t     *testing.T
	db    *faulty
	feed  protocol.FeedID
	tries int // Applies that were carried out
}

func newMachine(t *testing.T, db *faulty, feed protocol.FeedID) *machine {
	m := &machine{t: t, db: db, feed: feed}
	m.start()
	return m
}

// start begins a process over the database.
func (m *machine) start() {
	m.db.stopped = false
	m.engineRig = newEngineRig(m.t, 0, nil, m.cursor())
	m.open(1, verdictOf(protocol.VerdictTail, m.feed, 1, m.cursor().Offset))
	m.answerBeats()
	beats := m.answer
	m.answer = func(out any) {
		a, ok := out.(uplink.Apply)
		if !ok {
			beats(out)
			return
		}
		m.tries++
		in := uplink.ApplyDelta(m.t.Context(), m.db, a)
		if !m.db.stopped {
			m.step(in)
		}
	}
}

func (m *machine) cursor() (c ledger.Cursor) {
	m.t.Helper()
	err := m.db.View(m.t.Context(), func(r ledger.Reader) (err error) {
		c, err = ledger.ReadCursor(r, m.feed)
		return err
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return c
}

func (m *machine) asides() (list []ledger.Aside) {
	m.t.Helper()
	err := m.db.View(m.t.Context(), func(r ledger.Reader) (err error) {
		list, err = ledger.Asides(r)
		return err
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return list
}

// item is a row of the catalogue.
func item(t testing.TB, offset uint64, sku protocol.SKU) protocol.FeedRow {
	t.Helper()
	b, err := protocol.EncodeItem(&protocol.Item{SKU: sku, Name: "item " + string(sku), Unit: protocol.Each})
	if err != nil {
		t.Fatal(err)
	}
	return protocol.FeedRow{Offset: offset, Key: "item/" + string(sku), Value: b}
}

func items(t testing.TB, d ledger.Driver) (names string) {
	t.Helper()
	err := d.View(context.Background(), func(r ledger.Reader) error {
		return ledger.ScanItems(r, "", func(it *protocol.Item) (bool, error) {
			names += string(it.SKU) + " "
			return true, nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func rowsDelta(t testing.TB) *protocol.Delta {
	return &protocol.Delta{Session: engineSession, Feed: protocol.FeedCatalog, Epoch: 1, Upto: 9, Rows: []protocol.FeedRow{item(t, 3, "A"), item(t, 5, "BAD"), item(t, 9, "C")}}
}

// TestI18_PoisonDelaysAFeedByThreeTries: what fails is set aside as it came, the
// rows beside it are applied, and the feed goes on.
func TestI18_PoisonDelaysAFeedByThreeTries(t *testing.T) {
	for _, how := range []string{"error", "panic"} {
		t.Run(how, func(t *testing.T) {
			m := newMachine(t, &faulty{Driver: ledger.NewMemory(), name: "BAD", how: how}, protocol.FeedCatalog)
			for range 3 {
				m.hears(rowsDelta(t))
				if c := m.cursor(); c.Offset != 0 || items(t, m.db) != "" || len(m.asides()) > 0 {
					t.Fatalf("after %d tries the cursor is %+v, and %v is aside", m.tries, c, m.asides())
				}
				m.pass(4 * time.Second)
			}
			m.hears(rowsDelta(t))
			if c := m.cursor(); c.Offset != 9 || !c.Tail || m.tries != 4 {
				t.Errorf("after %d tries the cursor is %+v", m.tries, c)
			}
			list := m.asides()
			if len(list) != 1 || len(list[0].Delta.Rows) != 1 || string(list[0].Delta.Rows[0].Value) != string(rowsDelta(t).Rows[1].Value) || list[0].Delta.Upto != 5 {
				t.Errorf("aside is %+v", list)
			}
			if got := items(t, m.db); got != "A C " {
				t.Errorf("the items are %q", got)
			}
			m.hears(&protocol.Delta{Session: engineSession, Feed: protocol.FeedCatalog, Epoch: 1, After: 9, Upto: 10, Rows: []protocol.FeedRow{item(t, 10, "D")}})
			if f := m.engineRig.feed(); f.State != "tail" || f.Offset != 10 {
				t.Errorf("then the feed shows %+v", f)
			}
		})
	}
}

// TestI18_CrashLoopEnds: a row that ends the process each time is found and left
// alone, and costs no other row its place.
func TestI18_CrashLoopEnds(t *testing.T) {
	m := newMachine(t, &faulty{Driver: ledger.NewMemory(), name: "BAD", how: "crash"}, protocol.FeedCatalog)
	crashes := 0
	for m.hears(rowsDelta(t)); m.db.stopped; m.hears(rowsDelta(t)) {
		if crashes++; crashes > 3 {
			t.Fatal("the process ends for the fourth time")
		}
		m.start()
	}
	if c := m.cursor(); crashes != 3 || c.Offset != 9 || items(t, m.db) != "A C " {
		t.Errorf("after %d crashes the cursor is %+v and the items are %q", crashes, c, items(t, m.db))
	}
	if list := m.asides(); len(list) != 1 || list[0].Delta.Upto != 5 {
		t.Errorf("aside is %+v", list)
	}
}

// TestI18_CrashesElsewhereCostNothing: a machine that is switched off between
// other steps, however often, sets nothing aside.
func TestI18_CrashesElsewhereCostNothing(t *testing.T) {
	m := newMachine(t, &faulty{Driver: ledger.NewMemory(), name: "-"}, protocol.FeedCatalog)
	rnd := rand.New(rand.NewPCG(1, 1))
	for offset := uint64(1); offset <= 60; offset++ {
		m.hears(&protocol.Delta{Session: engineSession, Feed: protocol.FeedCatalog, Epoch: 1, After: offset - 1, Upto: offset, Rows: []protocol.FeedRow{item(t, offset, protocol.SKU(fmt.Sprint("I", offset)))}})
		if rnd.IntN(2) == 0 {
			m.start()
		}
	}
	if c := m.cursor(); c.Offset != 60 || len(m.asides()) > 0 {
		t.Errorf("the cursor is %+v, aside is %+v", c, m.asides())
	}
}

// TestEmptyDeltaAfterACrash: a Delta that only tells where the feed ends has
// nothing to be taken apart, and is applied all the same.
func TestEmptyDeltaAfterACrash(t *testing.T) {
	m := newMachine(t, &faulty{Driver: ledger.NewMemory(), name: "-"}, protocol.FeedCatalog)
	err := m.db.Update(t.Context(), func(tx ledger.Tx) error {
		return ledger.WriteAttempt(tx, protocol.FeedCatalog, ledger.Attempt{Epoch: 1, Tries: 1})
	})
	if err != nil {
		t.Fatal(err)
	}
	m.start()
	m.hears(&protocol.Delta{Session: engineSession, Feed: protocol.FeedCatalog, Epoch: 1})
	if c, f := m.cursor(), m.engineRig.feed(); !c.Tail || f.State != "tail" || f.Feed != protocol.FeedCatalog {
		t.Errorf("the cursor is %+v, the feed shows %+v", c, f)
	}
}

// TestI18_FullDiskSetsNothingAside: a disk that is full speaks against no row.
func TestI18_FullDiskSetsNothingAside(t *testing.T) {
	m := newMachine(t, &faulty{Driver: ledger.NewMemory(), name: "BAD", how: "full"}, protocol.FeedCatalog)
	for range 12 {
		m.hears(rowsDelta(t))
		m.pass(4 * time.Second)
	}
	if c := m.cursor(); c.Offset != 0 || len(m.asides()) > 0 {
		t.Fatalf("the cursor is %+v, aside is %+v", c, m.asides())
	}
	m.db.how = ""
	m.hears(rowsDelta(t))
	if c := m.cursor(); c.Offset != 9 || items(t, m.db) != "A BAD C " {
		t.Errorf("with room the cursor is %+v and the items are %q", c, items(t, m.db))
	}
}

// TestStepCostsOneTransaction: only the first step of a feed after a start, and
// those after a failure, are noted before they are tried.
func TestStepCostsOneTransaction(t *testing.T) {
	m := newMachine(t, &faulty{Driver: ledger.NewMemory(), name: "-"}, protocol.FeedCatalog)
	for i, want := range []int{2, 1, 1, 1} {
		before, offset := m.db.updates, uint64(i+1)
		m.hears(&protocol.Delta{Session: engineSession, Feed: protocol.FeedCatalog, Epoch: 1, After: offset - 1, Upto: offset, Rows: []protocol.FeedRow{item(t, offset, "A")}})
		if got := m.db.updates - before; got != want {
			t.Errorf("step %d took %d transactions, want %d", i, got, want)
		}
	}
}

// siblingDelta carries the log of another machine of the store, in which each
// event moves one item, from a number on.
func siblingDelta(t testing.TB, after uint64, first int, skus ...protocol.SKU) *protocol.Delta {
	t.Helper()
	o := protocol.Origin{Store: engineOrigin.Store, Agent: "b1", Inc: protocol.Inc{9}}
	all := ledger.NewMemory()
	var records []protocol.Record
	var prev protocol.Hash
	err := all.Update(context.Background(), func(tx ledger.Tx) error {
		for i, sku := range skus {
			ev := &protocol.Event{Kind: "noted", Moves: []protocol.Move{{SKU: sku, State: protocol.OnHand, Delta: -1000}}}
			if _, err := ledger.Log(tx, o, protocol.Clock{WallMs: int64(i)}, ev); err != nil {
				return err
			}
		}
		var err error
		records, prev, err = ledger.Records(tx, o, protocol.Seq(first), len(skus), 1<<20)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	frame, n, err := protocol.CutFrame(records)
	if err != nil || n != len(skus)-first+1 {
		t.Fatalf("%d of %d events fit: %v", n, len(skus)-first+1, err)
	}
	return &protocol.Delta{
		Session: engineSession, Feed: peer, Epoch: 1, After: after, Upto: after + uint64(n),
		Events: []protocol.PeerEvents{{Origin: o, FirstSeq: protocol.Seq(first), PrevHash: prev, Count: uint32(n), Frame: frame}},
	}
}

func onHand(t testing.TB, d ledger.Driver, sku protocol.SKU) (q protocol.Quantity) {
	t.Helper()
	err := d.View(context.Background(), func(r ledger.Reader) error {
		level, err := ledger.ReadLevel(r, engineOrigin.Store, sku)
		q = level.Quantity(protocol.OnHand)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// TestI18_EventThatCannotBeFoldedIsADeadLetter: it keeps its place in its
// stream, whether folding it fails or ends the process.
func TestI18_EventThatCannotBeFoldedIsADeadLetter(t *testing.T) {
	for _, how := range []string{"panic", "crash"} {
		t.Run(how, func(t *testing.T) {
			m := newMachine(t, &faulty{Driver: ledger.NewMemory(), name: "BAD", how: how}, peer)
			delta := siblingDelta(t, 0, 1, "PEN", "BAD", "PEN")
			for range 5 {
				m.hears(delta)
				m.pass(4 * time.Second)
				if m.db.stopped {
					m.start()
				}
			}
			m.hears(siblingDelta(t, 3, 4, "PEN", "BAD", "PEN", "PEN"))
			if c := m.cursor(); c.Offset != 4 || onHand(t, m.db, "PEN") != -3000 || onHand(t, m.db, "BAD") != 0 {
				t.Errorf("the cursor is %+v, %d pens", c, onHand(t, m.db, "PEN"))
			}
			err := m.db.View(t.Context(), func(r ledger.Reader) error {
				dead, err := ledger.DeadLetters(r)
				if len(dead) != 1 || dead[protocol.EventID{Inc: protocol.Inc{9}, Seq: 2}.String()] == "" {
					t.Errorf("dead letters are %v", dead)
				}
				rep, verifyErr := ledger.Verify(r)
				if verifyErr != nil || !rep.OK() || rep.Events != 4 {
					t.Errorf("verified as %+v, %v", rep, verifyErr)
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// TestI18_MissingEventsAreFetchedOnce: a run behind a gap makes the feed begin
// anew once; if that does not bring what is missing, the run is set aside.
func TestI18_MissingEventsAreFetchedOnce(t *testing.T) {
	for _, healed := range []bool{true, false} {
		t.Run(fmt.Sprint("healed=", healed), func(t *testing.T) {
			m := newMachine(t, &faulty{Driver: ledger.NewMemory(), name: "-"}, peer)
			carry, resets := m.answer, 0
			m.answer = func(out any) {
				if r, ok := out.(uplink.Reset); ok {
					resets++
					m.step(uplink.ResetFeed(t.Context(), m.db, r))
					return
				}
				carry(out)
			}
			five := []protocol.SKU{"PEN", "PEN", "PEN", "PEN", "PEN"}
			gap := siblingDelta(t, 2, 4, five...)
			m.hears(siblingDelta(t, 0, 1, five[:2]...))
			for range 12 {
				switch {
				case resets == 0:
					m.hears(gap)
				case healed:
					m.hears(siblingDelta(t, 0, 1, five...))
				default:
					// The same once more, cut in other places.
					m.hears(siblingDelta(t, 0, 1, five[:1]...))
					d := siblingDelta(t, 1, 2, five[:2]...)
					d.Events, d.Upto = append(d.Events, gap.Events...), gap.Upto
					m.hears(d)
				}
				m.pass(4 * time.Second)
			}
			want, aside := protocol.Quantity(-5000), 0
			if !healed {
				want, aside = -2000, 1
			}
			list := m.asides()
			if got := onHand(t, m.db, "PEN"); resets != 1 || got != want || len(list) != aside {
				t.Errorf("begun anew %d times; %d pens; aside is %+v", resets, got, list)
			}
			if aside > 0 && list[0].Delta.Events[0].Count != 2 {
				t.Errorf("aside is %+v, not the run as it came", list[0].Delta)
			}
		})
	}
}

// TestI18_PoisonInASnapshot: the snapshot becomes live without it.
func TestI18_PoisonInASnapshot(t *testing.T) {
	for _, how := range []string{"error", "panic", "crash"} {
		t.Run(how, func(t *testing.T) {
			db := &faulty{Driver: ledger.NewMemory(), name: "BAD", how: how}
			snap, body := snapshotOf(t, protocol.FeedCatalog, 7, rowsOf(t, 250, "BAD"))
			tried, tries := uplink.Tried{First: true}, 0
			for ; tries < 10; tries++ {
				db.stopped = false
				in := uplink.LoadSnapshot(t.Context(), db, snap, strings.NewReader(body), tried)
				if in.Err == nil {
					if in.Cursor.Offset != snap.Offset || in.Cursor.Epoch != 7 {
						t.Errorf("the cursor is %+v", in.Cursor)
					}
					break
				}
				if tried = (uplink.Tried{First: true}); !db.stopped {
					tried = uplink.Tried{Failures: tries + 1}
				}
			}
			if tries > 4 {
				t.Errorf("it took %d tries", tries)
			}
			if got := strings.Count(items(t, db), " "); got != 249 || strings.Contains(items(t, db), "BAD") {
				t.Errorf("%d items are live", got)
			}
			m := &machine{t: t, db: db}
			if list := m.asides(); len(list) != 1 || list[0].Delta.Rows[0].Key != "item/BAD" {
				t.Errorf("aside is %+v", list)
			}
		})
	}
}

var discard = slog.New(slog.DiscardHandler)
