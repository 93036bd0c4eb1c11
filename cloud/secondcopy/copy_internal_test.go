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
	"syscall"
	"testing"
	"testing/synctest"
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
	when []time.Time // of each telling
	news chan struct{}
}

func newShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{t: t, db: ledger.NewMemory(), disk: &disk{room: 1 << 40}, told: map[protocol.Inc]protocol.Seq{}}
	s.tune = tuned()
	s.tune.open = s.disk.open
	s.o = Options{
		Path: filepath.Join(t.TempDir(), "copy"), ID: ownID, Driver: s.db, Epoch: func() uint64 { return 77 }, Log: slog.New(slog.DiscardHandler),
		Synced: func(_ context.Context, list []protocol.StreamPos) {
			s.when = append(s.when, time.Now())
			for _, p := range list {
				if p.Seq <= s.told[p.Inc] {
					t.Errorf("told %d of a stream of which %d was told before", p.Seq, s.told[p.Inc])
				}
				s.told[p.Inc] = p.Seq
			}
			if s.news != nil {
				s.news <- struct{}{}
			}
		},
	}
	return s
}

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

// disk is a disk whose files it counts, fails and loses.
type disk struct {
	room     int64 // bytes of one file that fit
	failSync bool
	gone     bool
	syncs    int
	durable  []byte // the file as of its last sync
}

func (d *disk) open(path string) (file, error) {
	if d.gone {
		return nil, syscall.EIO
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return &diskFile{File: f, disk: d}, nil
}

type diskFile struct {
	*os.File
	disk *disk
}

func (f *diskFile) WriteAt(b []byte, at int64) (int, error) {
	if fits := f.disk.room - at; int64(len(b)) > fits {
		n, err := f.File.WriteAt(b[:max(fits, 0)], at)
		return n, errors.Join(syscall.ENOSPC, err)
	}
	return f.File.WriteAt(b, at)
}

// Sync fails as disks do: what was not synced may be anything afterwards, and a
// second call would say that all is well.
func (f *diskFile) Sync() error {
	if f.disk.failSync {
		info, err := f.Stat()
		if err != nil {
			return err
		}
		if lost := info.Size() - int64(len(f.disk.durable)); lost > 0 {
			if _, err := f.File.WriteAt(bytes.Repeat([]byte{0x55}, int(lost)), int64(len(f.disk.durable))); err != nil {
				return err
			}
		}
		return syscall.EIO
	}
	f.disk.syncs++
	b, err := os.ReadFile(f.Name())
	f.disk.durable = b
	return err
}

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

// TestRunSyncsAtMostOnceASecond: the first event of a quiet hub is safe at
// once; when many come they share a sync.
func TestRunSyncsAtMostOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		s.news = make(chan struct{})
		s.start()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- s.copy.Run(ctx) }()
		began := time.Now()
		before := s.disk.syncs
		for n := range 5 {
			s.commit(till1, 3)
			if n == 0 {
				<-s.news
				continue
			}
			synctest.Wait()
		}
		<-s.news
		s.commit(till1, 1)
		<-s.news
		cancel()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		for i, at := range s.when {
			if want := time.Duration(i) * time.Second; at.Sub(began) != want {
				t.Errorf("told the %d. time after %v, want %v", i+1, at.Sub(began), want)
			}
		}
		if n := s.disk.syncs - before; n > 4 || s.told[till1.Inc] != 16 {
			t.Errorf("%d syncs, told %v", n, s.told)
		}
		s.news = nil
		s.stop()
	})
}

// TestRunOutlastsItsDisk: the disk fills up and is taken away for a day. Safe
// stands still and the state says why; when the disk is back all follows.
func TestRunOutlastsItsDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		s.news = make(chan struct{})
		s.start()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- s.copy.Run(ctx) }()
		s.commit(till1, 2)
		<-s.news
		s.disk.room = int64(len(s.disk.durable)) + 5
		began := time.Now()
		s.commit(till1, 3)
		<-time.After(12 * time.Hour)
		state := s.copy.State()
		if state.Trouble == nil || !errors.Is(state.Trouble.Err, syscall.ENOSPC) || state.Trouble.Since.Sub(began) > 2*time.Second || state.Behind != 3 {
			t.Errorf("with a full disk the state is %+v", state)
		}
		s.disk.gone, s.disk.room = true, 1<<40
		s.commit(other, 1)
		<-time.After(12 * time.Hour)
		if state := s.copy.State(); state.Trouble == nil || !errors.Is(state.Trouble.Err, syscall.EIO) || state.Behind != 4 || s.told[till1.Inc] != 2 {
			t.Errorf("without its disk the state is %+v, told %v", state, s.told)
		}
		s.disk.gone = false
		back := time.Now()
		<-s.news
		if wait := time.Since(back); wait > retryDelayMax+time.Second || s.told[till1.Inc] != 5 || s.told[other.Inc] != 1 || s.copy.State().Trouble != nil {
			t.Errorf("%v after the disk came back %v is told, state %+v", wait, s.told, s.copy.State())
		}
		cancel()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		s.news = nil
		s.stop()
		s.whole()
	})
}

// TestFileThatWasSwapped: while the disk was away somebody put another file, a
// shorter one or none in its place. The copy does not write into it.
func TestFileThatWasSwapped(t *testing.T) {
	for name, swap := range map[string]func(*shop) error{
		"none":    func(s *shop) error { return os.Remove(s.o.Path) },
		"shorter": func(s *shop) error { return os.Truncate(s.o.Path, int64(len(s.bytes())-1)) },
		"another": func(s *shop) error { return os.WriteFile(s.o.Path, header(ID{9}), 0o600) },
		"changed": func(s *shop) error {
			b := s.bytes()
			b[len(b)-1] ^= 1
			return os.WriteFile(s.o.Path, b, 0o600)
		},
	} {
		s := newShop(t)
		s.start()
		s.commit(till1, 2)
		if _, err := s.copy.round(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.copy.giveUp()
		if err := swap(s); err != nil {
			t.Fatal(err)
		}
		before, _ := os.ReadFile(s.o.Path)
		s.commit(till1, 1)
		if _, err := s.copy.round(t.Context()); err == nil {
			t.Errorf("%s: the copy went on", name)
		}
		if after, _ := os.ReadFile(s.o.Path); !bytes.Equal(before, after) {
			t.Errorf("%s: the file was changed", name)
		}
		if got := s.copy.State().Behind; got != 1 {
			t.Errorf("%s: %d events are behind", name, got)
		}
	}
}

// FuzzScanner: whatever stands behind the header, the records are read in
// order, each once, and the scan ends.
func FuzzScanner(f *testing.F) {
	one, err := appendRecord(nil, record{protocol.PeerEvents{Origin: till1, FirstSeq: 1, Count: 1, Frame: []byte("frame")}, 77})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(one, uint(0), byte(0))
	f.Add(append(bytes.Clone(one), one...), uint(3), byte(1))
	f.Add([]byte{0, 0, 0, 1, 0, 0, 0, 0, 0}, uint(0), byte(0))
	f.Fuzz(func(t *testing.T, body []byte, at uint, flip byte) {
		if len(body) > 0 {
			body[at%uint(len(body))] ^= flip
		}
		b := append(header(ownID), body...)
		b = append(b, one...)
		s := newScanner(bytes.NewReader(b), int64(len(b)))
		for {
			before := s.at
			rec, err := s.next()
			if err == io.EOF {
				break
			}
			var damage *damageError
			if errors.As(err, &damage) {
				if _, err = s.skip(); err != nil {
					t.Fatal(err)
				}
			} else if err != nil {
				t.Fatal(err)
			} else {
				again, err := appendRecord(nil, rec)
				if err != nil || int64(len(again)) > s.size {
					t.Fatalf("a record that was read cannot be written: %v", err)
				}
			}
			if s.at <= before {
				t.Fatalf("the scan stands still at %d", before)
			}
		}
		if s.at != s.size {
			t.Errorf("the scan ends at %d of %d bytes", s.at, s.size)
		}
	})
}
