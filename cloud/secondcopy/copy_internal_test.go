package secondcopy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

var ownID = ID{1, 2, 3}

// shop is a hub's database with a copy of it, and what the copy said.
type shop struct {
	t    *testing.T
	db   ledger.Driver
	disk *disk
	o    Options
	tune tuning
	copy *Copy
	told map[protocol.Inc]protocol.Seq
	when []time.Time       // of each telling
	news chan protocol.Seq // what all streams were told together, after each telling
}

func newShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{t: t, db: ledger.NewMemory(), disk: &disk{room: 1 << 40}, told: map[protocol.Inc]protocol.Seq{}}
	s.tune = tuned()
	s.tune.open = s.disk.open
	s.o = Options{
		Path: filepath.Join(t.TempDir(), "copy"), ID: ownID, Driver: s.db, Epoch: func() uint64 { return 77 }, Log: quiet(),
		Synced: func(_ context.Context, list []protocol.StreamPos) {
			s.when = append(s.when, time.Now())
			for _, p := range list {
				if p.Seq <= s.told[p.Inc] {
					t.Errorf("told %d of a stream of which %d was told before", p.Seq, s.told[p.Inc])
				}
				s.told[p.Inc] = p.Seq
			}
			if s.news != nil {
				sum := protocol.Seq(0)
				for _, seq := range s.told {
					sum += seq
				}
				s.news <- sum
			}
		},
	}
	return s
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// start opens the copy.
func (s *shop) start() {
	s.t.Helper()
	clear(s.told)
	var err error
	if s.copy, err = open(s.t.Context(), s.o, s.tune); err != nil {
		s.t.Fatal(err)
	}
}

// stop closes the copy, which must then be complete.
func (s *shop) stop() {
	s.t.Helper()
	if err := s.copy.Close(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

func origin(store, agent string, n byte) protocol.Origin {
	return protocol.Origin{Store: protocol.StoreID(store), Agent: protocol.AgentID(agent), Inc: protocol.Inc{n, 7}}
}

// log commits events of a stream, without telling the copy.
func (s *shop) log(o protocol.Origin, count int) protocol.Seq {
	s.t.Helper()
	last := protocol.Seq(0)
	for range count {
		err := s.db.Update(s.t.Context(), func(tx ledger.Tx) error {
			res, err := ledger.Log(tx, o, protocol.Clock{WallMs: 1_795_252_932_000}, &protocol.Event{
				Kind: "x.test", Moves: []protocol.Move{{SKU: "PEN-01", State: protocol.OnHand, Delta: 1000}},
			})
			last = res.Stream.Seq
			return err
		})
		if err != nil {
			s.t.Fatal(err)
		}
	}
	return last
}

// commit logs events and tells the copy.
func (s *shop) commit(o protocol.Origin, count int) {
	s.t.Helper()
	s.copy.Committed(o, s.log(o, count))
}

// heads are the streams of a database.
func heads(t *testing.T, db ledger.Driver) map[protocol.Inc]protocol.Seq {
	t.Helper()
	list := map[protocol.Inc]protocol.Seq{}
	err := db.View(t.Context(), func(r ledger.Reader) error {
		all, err := ledger.AllStreams(r)
		for _, info := range all {
			list[info.Origin.Inc] = info.Seq
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// replayed is an empty database into which a file was replayed.
func replayed(t *testing.T, file []byte, tornBytes int64) (ledger.Driver, Replayed) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "replayed")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	db := ledger.NewMemory()
	done, err := replayFile(t.Context(), path, db, tornBytes)
	if err != nil {
		t.Fatal(err)
	}
	return db, done
}

// whole demands that a replay of the file gives the database again.
func (s *shop) whole() {
	s.t.Helper()
	db, done := replayed(s.t, s.bytes(), s.tune.tornBytes)
	if want, got := heads(s.t, s.db), heads(s.t, db); !equal(want, got) || len(done.Missing) > 0 || done.Damaged > 0 || done.Torn > 0 || done.Epoch != 77 {
		s.t.Errorf("the file gives %v (%+v), the database has %v", got, done, want)
	}
	err := db.View(s.t.Context(), func(r ledger.Reader) error {
		rep, err := ledger.Verify(r)
		if err == nil && !rep.OK() {
			s.t.Errorf("the replayed database differs from its events: %v", rep.Differences)
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

func equal(a, b map[protocol.Inc]protocol.Seq) bool {
	for inc, seq := range a {
		if b[inc] != seq {
			return false
		}
	}
	return len(a) == len(b)
}

func (s *shop) bytes() []byte {
	s.t.Helper()
	b, err := os.ReadFile(s.o.Path)
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

var (
	till1 = origin("s1", "a1", 1)
	till2 = origin("s1", "a2", 2)
	other = origin("s2", "b1", 3)
	hub1  = origin("s1", "hub", 4)
	chain = origin("", "hub", 5)
)

// TestI7_SafeIsWhatAPowerCutLeaves plays random days on which the copy's disk
// fills up, fails and comes back. At every moment the file as of the last sync
// gives back whatever was told to be safe; in the end everything is safe.
func TestI7_SafeIsWhatAPowerCutLeaves(t *testing.T) {
	streams := []protocol.Origin{till1, till2, other, hub1, chain}
	for seed := range uint64(25) {
		random := rand.New(rand.NewPCG(seed, 7))
		s := newShop(t)
		s.tune.roundBytes = 300
		s.start()
		for range 40 {
			switch random.IntN(6) {
			case 0:
				s.disk.room = int64(len(s.disk.durable)) + random.Int64N(400)
			case 1:
				s.disk.failSync = true
			case 2:
				s.disk.room, s.disk.failSync = 1<<40, false
			default:
				s.commit(streams[random.IntN(len(streams))], 1+random.IntN(4))
			}
			_, err := s.copy.round(t.Context())
			s.copy.tell(t.Context())
			if err == nil {
				s.copy.recovered()
			} else {
				s.copy.failed(err)
			}
			left, _ := replayed(t, s.disk.durable, s.tune.tornBytes)
			have := heads(t, left)
			for inc, seq := range s.told {
				if have[inc] < seq {
					t.Fatalf("seed %d: %d of %x is told to be safe, and %d would be left", seed, seq, inc[:1], have[inc])
				}
			}
		}
		s.disk.room, s.disk.failSync = 1<<40, false
		for more, err := true, error(nil); more; {
			if more, err = s.copy.round(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		s.copy.recovered()
		s.copy.tell(t.Context())
		if state := s.copy.State(); !equal(s.told, heads(t, s.db)) || state.Behind != 0 || state.Trouble != nil {
			t.Fatalf("seed %d: when the disk is well again %v is told of %v, state %+v", seed, s.told, heads(t, s.db), state)
		}
		s.whole()
		s.stop()
	}
}

// TestCopyOfAGrownDatabase: what was there before the copy, and what came while
// it was closed, is copied too, each event once.
func TestCopyOfAGrownDatabase(t *testing.T) {
	s := newShop(t)
	s.log(till1, 600)
	s.log(chain, 3)
	s.start()
	if len(s.told) > 0 {
		t.Errorf("%v is told to be safe before anything was written", s.told)
	}
	s.stop()
	s.whole()
	size := len(s.bytes())
	s.log(till1, 1)
	s.log(other, 2)
	s.start()
	if s.told[till1.Inc] != 600 || s.told[other.Inc] != 0 {
		t.Errorf("told %v of what the file holds", s.told)
	}
	s.stop()
	s.whole()
	if grown := len(s.bytes()) - size; grown > 600 {
		t.Errorf("the file grew by %d bytes for three events", grown)
	}
	s.start()
	s.stop()
	s.whole()
}

// TestEndTornAtEveryByte cuts a file off at every byte, with nothing, zeros or
// garbage behind the cut. The copy opens, keeps each whole record, and is
// complete again afterwards.
func TestEndTornAtEveryByte(t *testing.T) {
	s := newShop(t)
	s.start()
	var ends []int // of records
	var seqs []map[protocol.Inc]protocol.Seq
	for _, o := range []protocol.Origin{till1, chain, till2, till1} {
		s.commit(o, 2)
		if _, err := s.copy.round(t.Context()); err != nil {
			t.Fatal(err)
		}
		ends, seqs = append(ends, len(s.bytes())), append(seqs, heads(t, s.db))
	}
	s.stop()
	good := s.bytes()
	zeros, garbage := make([]byte, 50), bytes.Repeat([]byte{0, 0, 0, 9}, 12)
	for cut := range len(good) {
		for _, tail := range [][]byte{nil, zeros, garbage} {
			if cut < headerBytes && tail != nil {
				continue // TestRefused: it is not a copy.
			}
			if err := os.WriteFile(s.o.Path, append(bytes.Clone(good[:cut]), tail...), 0o600); err != nil {
				t.Fatal(err)
			}
			want := map[protocol.Inc]protocol.Seq{}
			for i, end := range ends {
				if end <= cut {
					want = seqs[i]
				}
			}
			s.start()
			if !equal(s.told, want) {
				t.Fatalf("cut at %d of %d: told %v, the file holds %v", cut, len(good), s.told, want)
			}
			s.stop()
		}
	}
	s.whole()
}

// lose puts a stream into the database of which the events 4 to 9 and 13 to 15
// are lost for ever, with the hub's events that record it. till1 stands before
// the hub's stream in every listing, and late behind it.
func (s *shop) lose(o protocol.Origin) {
	s.t.Helper()
	from := newShop(s.t)
	from.log(o, 17)
	run := func(first, last protocol.Seq) (b ledger.Batch) {
		err := from.db.View(s.t.Context(), func(r ledger.Reader) (err error) {
			b.Origin, b.First = o, first
			b.Records, b.Prev, err = ledger.Records(r, o, first, int(last-first)+1, 1<<20)
			return err
		})
		if err != nil {
			s.t.Fatal(err)
		}
		return b
	}
	apply := func(b ledger.Batch) {
		last := protocol.Seq(0)
		if err := s.db.Update(s.t.Context(), func(tx ledger.Tx) error {
			res, err := ledger.Apply(tx, b)
			last = res.Stream.Seq
			return err
		}); err != nil {
			s.t.Fatal(err)
		}
		if s.copy != nil {
			s.copy.Committed(o, last)
		}
	}
	gap := func(first, last protocol.Seq) {
		o, event := hub1, &protocol.Event{Kind: protocol.KindGap, Gap: &protocol.Gap{
			Agent: o.Agent, Inc: o.Inc, From: first, To: last, Hash: run(last+1, last+1).Prev, Part: 1, Parts: 1,
			Moves: []protocol.Move{{SKU: "PEN-01", State: protocol.OnHand, Delta: 1000 * protocol.Quantity(last-first+1)}},
		}}
		if err := s.db.Update(s.t.Context(), func(tx ledger.Tx) error {
			res, err := ledger.Log(tx, o, protocol.Clock{}, event)
			if s.copy != nil {
				s.copy.Committed(o, res.Stream.Seq)
			}
			return err
		}); err != nil {
			s.t.Fatal(err)
		}
	}
	apply(run(1, 3))
	gap(4, 9)
	apply(run(10, 12))
	gap(13, 15)
	apply(run(16, 17))
}

var late = origin("s1", "z9", 9)

// TestI5_GapsAreCopied: a stream goes on behind events that no disk holds. The
// copy follows there, and brings it back in whatever order it was written.
func TestI5_GapsAreCopied(t *testing.T) {
	for name, before := range map[string]bool{"while they arise": true, "afterwards": false} {
		s := newShop(t)
		if before {
			s.start()
		}
		s.lose(till1)
		s.lose(late)
		if !before {
			s.start()
		}
		s.stop()
		s.start()
		if !equal(s.told, heads(t, s.db)) {
			t.Errorf("%s: told %v of %v", name, s.told, heads(t, s.db))
		}
		s.commit(late, 2)
		s.stop()
		s.whole()
		db, _ := replayed(t, s.bytes(), s.tune.tornBytes)
		if err := db.View(t.Context(), func(r ledger.Reader) error {
			level, err := ledger.ReadLevel(r, "s1", "PEN-01")
			if err == nil && level.OnHand() != 36_000 {
				t.Errorf("%s: %v on hand after a replay", name, level.OnHand())
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(*shop)
		says  string
	}{
		{"of another database", func(s *shop) { s.o.ID[0] ^= 1 }, "another hub's database"},
		{"the database is older", func(s *shop) {
			s.db = ledger.NewMemory()
			s.o.Driver = s.db
			s.log(till1, 4)
		}, "holds 1 events that the database lacks"},
		{"the database is empty", func(s *shop) { s.o.Driver = ledger.NewMemory() }, "restore BACKUP --second-copy"},
		{"other events", func(s *shop) {
			s.db = ledger.NewMemory()
			s.o.Driver = s.db
			if err := s.db.Update(t.Context(), func(tx ledger.Tx) error {
				_, err := ledger.Log(tx, till1, protocol.Clock{}, &protocol.Event{Kind: "x.other"})
				return err
			}); err != nil {
				s.t.Fatal(err)
			}
			s.log(till1, 6)
		}, "other events than the database"},
		{"a text", func(s *shop) {
			s.write([]byte("dear diary, today was a long day in the shop, and nobody bought a pen"))
		}, "is not a second copy"},
		{"a short text", func(s *shop) { s.write([]byte("dear diary")) }, "is not a second copy"},
		{"a damaged header", func(s *shop) {
			b := s.bytes()
			b[20] ^= 1
			s.write(b)
		}, "is not a second copy"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newShop(t)
			s.start()
			s.commit(till1, 2)
			if _, err := s.copy.round(t.Context()); err != nil {
				t.Fatal(err)
			}
			s.commit(till1, 3)
			s.stop()
			c.spoil(s)
			before := s.bytes()
			_, err := Open(t.Context(), s.o)
			if !errors.Is(err, ErrRefused) || !strings.Contains(protocol.AsError(err).Message, c.says) {
				t.Errorf("opened with %v", err)
			}
			if !bytes.Equal(before, s.bytes()) {
				t.Error("the refused file was changed")
			}
		})
	}
	s := newShop(t)
	s.o.Path = t.TempDir()
	if _, err := Open(t.Context(), s.o); err == nil || errors.Is(err, ErrRefused) {
		t.Errorf("a folder: %v", err)
	}
}

func (s *shop) write(b []byte) {
	s.t.Helper()
	if err := os.WriteFile(s.o.Path, b, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// TestDamageInTheMiddle: a copy whose disk changed what it was given is kept
// aside, and a new one is written. A replay uses all that can be read of it and
// says what cannot.
func TestDamageInTheMiddle(t *testing.T) {
	s := newShop(t)
	s.tune.tornBytes = 200
	s.start()
	for range 6 {
		for _, o := range []protocol.Origin{till1, till2} {
			s.commit(o, 1)
			if _, err := s.copy.round(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.stop()
	bad := s.bytes()
	scan := newScanner(bytes.NewReader(bad), int64(len(bad)))
	for range 2 {
		if _, err := scan.next(); err != nil {
			t.Fatal(err)
		}
	}
	bad[scan.at+2] ^= 1 // the size of till1's second record
	s.write(bad)

	db, done := replayed(t, bad, s.tune.tornBytes)
	want := []Missing{{Origin: till1, From: 2, To: 6}}
	if got := heads(t, db); got[till1.Inc] != 1 || got[till2.Inc] != 6 || len(done.Missing) != 1 || done.Missing[0] != want[0] || done.Damaged == 0 || done.Torn != 0 || done.Events != 7 {
		t.Errorf("the damaged file gives %v and reports %+v", got, done)
	}

	s.start()
	if len(s.told) > 0 {
		t.Errorf("a new copy holds %v at once", s.told)
	}
	s.stop()
	s.whole()
	if aside, err := os.ReadFile(s.o.Path + ".damaged-1"); err != nil || !bytes.Equal(aside, bad) {
		t.Errorf("the damaged file was not kept as it was: %v", err)
	}
}

// TestI18_OneUnreadableStreamDelaysNoOther: the database does not give the
// events of one stream.
func TestI18_OneUnreadableStreamDelaysNoOther(t *testing.T) {
	s := newShop(t)
	s.o.Driver = unreadable{s.db, till1.Inc}
	s.start()
	s.commit(till1, 1)
	s.commit(till2, 1)
	if more, err := s.copy.round(t.Context()); err == nil || !more {
		t.Errorf("round: more is %t, %v", more, err)
	}
	s.copy.tell(t.Context())
	if s.told[till2.Inc] != 1 || s.told[till1.Inc] != 0 {
		t.Errorf("told %v", s.told)
	}
	s.copy.o.Driver = s.db
	s.stop()
	s.whole()
}

// unreadable is a database that does not give the events of a stream.
type unreadable struct {
	ledger.Driver
	inc protocol.Inc
}

func (u unreadable) View(ctx context.Context, fn func(ledger.Reader) error) error {
	return u.Driver.View(ctx, func(r ledger.Reader) error { return fn(unreadableReader{r, u.inc}) })
}

type unreadableReader struct {
	ledger.Reader
	inc protocol.Inc
}

func (r unreadableReader) Scan(t ledger.Table, from, to string, fn func(string, []byte) (bool, error)) error {
	if t == ledger.Events && strings.HasPrefix(from, string(r.inc[:])) {
		return io.ErrUnexpectedEOF
	}
	return r.Reader.Scan(t, from, to, fn)
}

// TestI7_StreamThatGrowsWhileItIsCopied: events are committed while the copy
// reads those before them. Each is written once.
func TestI7_StreamThatGrowsWhileItIsCopied(t *testing.T) {
	s := newShop(t)
	grow := 3
	s.o.Driver = growing{s.db, func() {
		if s.copy != nil && grow > 0 {
			grow--
			s.commit(till1, 1)
		}
	}}
	s.start()
	s.commit(till1, 2)
	if _, err := s.copy.round(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.stop()
	s.whole()
	s.start()
	s.stop()
}

// growing is a database in which something happens after each look.
type growing struct {
	ledger.Driver
	then func()
}

func (g growing) View(ctx context.Context, fn func(ledger.Reader) error) error {
	err := g.Driver.View(ctx, fn)
	g.then()
	return err
}
