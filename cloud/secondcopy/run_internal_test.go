package secondcopy

import (
	"bytes"
	"context"
	"errors"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"counterpart/protocol"
)

// disk is a disk whose files it counts, fails and loses.
type disk struct {
	mu       sync.Mutex
	room     int64 // bytes of one file that fit
	failSync bool
	gone     bool
	syncs    int
	durable  []byte // the file as of its last sync
}

// change changes the disk while it is in use.
func (d *disk) change(fn func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	fn()
}

func (d *disk) open(path string) (file, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
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
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if fits := f.disk.room - at; int64(len(b)) > fits {
		n, err := f.File.WriteAt(b[:max(fits, 0)], at)
		return n, errors.Join(syscall.ENOSPC, err)
	}
	return f.File.WriteAt(b, at)
}

// Sync fails as disks do: what was not synced may be anything afterwards, and a
// second call would say that all is well.
func (f *diskFile) Sync() error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
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

// inBubble runs a test on a clock that moves only when everybody waits. What
// packs frames is made outside, because it outlives the test.
func inBubble(t *testing.T, test func(*testing.T)) {
	t.Helper()
	frame, _, err := protocol.CutFrame([]protocol.Record{{Body: []byte("x")}})
	if err == nil {
		_, err = protocol.DecodeFrame(frame, 1)
	}
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, test)
}

// TestRunSyncsAtMostOnceASecond: the first event of a quiet hub is safe at
// once; when many come they share a sync.
func TestRunSyncsAtMostOnceASecond(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newShop(t)
		s.news = make(chan protocol.Seq, 100)
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
			}
			synctest.Wait()
		}
		for <-s.news < 15 {
		}
		cancel()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		for i, at := range s.when {
			if want := time.Duration(i) * time.Second; at.Sub(began) != want {
				t.Errorf("told the %d. time after %v, want %v", i+1, at.Sub(began), want)
			}
		}
		if n := s.disk.syncs - before; len(s.when) != 3 || n != 3 || s.told[till1.Inc] != 15 {
			t.Errorf("%d syncs, told %v in %d times", n, s.told, len(s.when))
		}
		s.news = nil
		s.stop()
	})
}

// TestRunOutlastsItsDisk: the disk fills up and is taken away for a day. Safe
// stands still and the state says why; when the disk is back all follows.
func TestRunOutlastsItsDisk(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newShop(t)
		s.news = make(chan protocol.Seq, 100)
		s.start()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- s.copy.Run(ctx) }()
		s.commit(till1, 2)
		if n := <-s.news; n != 2 {
			t.Errorf("told of %d", n)
		}
		s.disk.change(func() { s.disk.room = int64(len(s.disk.durable)) + 5 })
		began := time.Now()
		s.commit(till1, 3)
		<-time.After(12 * time.Hour)
		state := s.copy.State()
		if state.Trouble == nil || !errors.Is(state.Trouble.Err, syscall.ENOSPC) || state.Trouble.Since.Sub(began) > 2*time.Second || state.Behind != 3 {
			t.Errorf("with a full disk the state is %+v", state)
		}
		s.disk.change(func() { s.disk.gone, s.disk.room = true, 1<<40 })
		s.commit(other, 1)
		<-time.After(12 * time.Hour)
		if state := s.copy.State(); state.Trouble == nil || !errors.Is(state.Trouble.Err, syscall.EIO) || state.Behind != 4 || len(s.news) > 0 {
			t.Errorf("without its disk the state is %+v", state)
		}
		s.disk.change(func() { s.disk.gone = false })
		back := time.Now()
		if n, wait := <-s.news, time.Since(back); wait > retryDelayMax+time.Second || n != 6 || s.copy.State().Trouble != nil {
			t.Errorf("%v after the disk came back %d is told, state %+v", wait, n, s.copy.State())
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
