//go:build linux

package disk_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"sync"
	"testing"
)

// syncs are the system calls that make data durable.
const syncs = "fsync,fdatasync"

// TestI19_SlowDisk lets each sync of both programs take a second. Everything
// takes longer and nothing else changes.
func TestI19_SlowDisk(t *testing.T) {
	s := open(t)
	s.sell(5)
	lives := [...]int{s.agent.PID(), s.hub.PID()}
	const second = "delay_enter=1000000"
	atAgent, atHub := inject(t, lives[0], syncs, second), inject(t, lives[1], syncs, second)
	var tills sync.WaitGroup
	for range 4 {
		tills.Go(func() {
			for range 3 {
				if err := s.try(s.next()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	tills.Wait()
	s.settle()
	status, err := s.status(t.Context())
	s.must(err)
	if status.Disk.State != "ok" || len(s.refused) > 0 {
		t.Errorf("the disk is %s, %d sales were refused", status.Disk.State, len(s.refused))
	}
	atAgent.end()
	atHub.end()
	s.sell(5)
	s.settle()
	if lives != [...]int{s.agent.PID(), s.hub.PID()} {
		t.Error("a program was started anew")
	}
	s.end()
}

// TestI19_FailedSyncStopsTheAgent fails one sync. Nobody knows what is on the
// disk then, so the process ends, and the next one reads what is there.
func TestI19_FailedSyncStopsTheAgent(t *testing.T) {
	s := open(t)
	for _, at := range []string{"when=1", "when=2"} {
		s.sell(10)
		f := inject(t, s.agent.PID(), "fdatasync", "error=EIO:"+at, s.database())
		unknown := s.next()
		for s.try(unknown) == nil {
			unknown = s.next()
		}
		if _, ok := s.refused[unknown.Key]; ok {
			t.Errorf("%s: a failed sync was answered as a full disk", at)
		}
		s.awaitEnd(s.agent.Process)
		f.end()
		s.must(s.agent.Verify(t.Context()))
		s.must(s.agent.Restart(t.Context()))
		s.must(s.try(unknown))
	}
	s.sell(5)
	s.settle()
	s.end()
}

// TestI19_FailedSyncStopsTheHub fails a sync of the hub. What it did not
// acknowledge is at the store and comes again.
func TestI19_FailedSyncStopsTheHub(t *testing.T) {
	s := open(t)
	s.sell(5)
	s.settle()
	f := inject(t, s.hub.PID(), "fdatasync", "error=EIO", s.hubDatabase())
	s.sell(5)
	s.awaitEnd(s.hub.Process)
	f.end()
	s.sell(5)
	s.must(s.hub.Restart(t.Context()))
	s.settle()
	s.end()
}

// TestI19_ReadOnlyDisk starts both programs on a disk that may not be written,
// for its mount or for the rights of a folder. They refuse, change nothing, and
// start when the disk may be written.
func TestI19_ReadOnlyDisk(t *testing.T) {
	at := newPlace(t)
	atAgent, atHub := mount(t, at.agentData(), "48m"), mount(t, at.hubData(), "48m")
	s := open(t)
	s.sell(10)
	s.settle()
	s.must(s.agent.Stop())
	s.must(s.hub.Stop())
	before, hubBefore := s.read(s.database()), s.read(s.hubDatabase())
	lock := func(yes bool) (wrap []string) {
		folders := []string{s.agentData(), s.hubData()}
		files := []string{s.database(), s.hubDatabase()}
		mode, fileMode := os.FileMode(0o755), os.FileMode(0o644)
		if yes {
			mode, fileMode = 0o555, 0o444
		}
		for i := range folders {
			s.must(os.Chmod(files[i], fileMode))
			s.must(os.Chmod(folders[i], mode))
		}
		if os.Geteuid() == 0 { // Rights do not bind root.
			wrap = []string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"}
			s.must(os.Chmod(host.Dir(), 0o755))
		}
		return wrap
	}
	wrap := lock(true)
	refusesToStart(t, "read-only", wrap, host.Agent(), s.agentArguments()...)
	refusesToStart(t, "read-only", wrap, host.Hub(), s.hubArguments()...)
	lock(false)
	if atAgent != nil && atHub != nil {
		atAgent.writable(false)
		atHub.writable(false)
		refusesToStart(t, "read-only", nil, host.Agent(), s.agentArguments()...)
		refusesToStart(t, "read-only", nil, host.Hub(), s.hubArguments()...)
		atAgent.writable(true)
		atHub.writable(true)
	}
	if !bytes.Equal(before, s.read(s.database())) || !bytes.Equal(hubBefore, s.read(s.hubDatabase())) {
		t.Error("a refused start changed the database")
	}
	s.must(s.hub.Restart(t.Context()))
	s.must(s.agent.Restart(t.Context()))
	s.sell(5)
	s.settle()
	s.end()
}

func (s *shop) read(path string) []byte {
	s.t.Helper()
	b, err := os.ReadFile(path)
	s.must(err)
	return b
}

// TestDamagedDatabaseIsRefusedAndKept damages a page that no start reads, below
// programs that were killed. Both refuse to start and leave the file alone.
func TestDamagedDatabaseIsRefusedAndKept(t *testing.T) {
	s := open(t)
	s.sell(100)
	s.settle()
	s.must(s.agent.Kill())
	s.must(s.hub.Kill())
	for _, p := range []struct {
		database, program string
		args              []string
	}{
		{s.database(), host.Agent(), s.agentArguments()},
		{s.hubDatabase(), host.Hub(), s.hubArguments()},
	} {
		content := s.read(p.database)
		broken := bytes.Clone(content)
		clear(broken[leafOf(t, content):][16:48])
		s.must(os.WriteFile(p.database, broken, 0o600))
		refusesToStart(t, "damaged", nil, p.program, p.args...)
		if !bytes.Equal(broken, s.read(p.database)) {
			t.Errorf("%s was changed", p.database)
		}
		s.must(os.WriteFile(p.database, content, 0o600))
	}
	s.must(s.hub.Restart(t.Context()))
	s.must(s.agent.Restart(t.Context()))
	s.settle()
	s.end()
}

// leafOf is where a page begins that holds at least 20 rows and is in use: no
// start reads it, and whoever checks the whole file does. A page that is free
// still has the header that it had in use. The layout is that of bbolt's pages:
// number (8 bytes), kind, count (2 each), pages that follow (4), content.
func leafOf(t *testing.T, file []byte) (offset int) {
	t.Helper()
	const pageBytes, headerBytes, leaf, rowsMin = 4096, 16, 2, 20
	word := binary.LittleEndian.Uint64
	// Of the two meta pages the one with the higher transaction holds.
	meta := file[headerBytes:]
	const freelist, end, transaction = 32, 40, 48
	if other := file[pageBytes+headerBytes:]; word(other[transaction:]) > word(meta[transaction:]) {
		meta = other
	}
	list := file[word(meta[freelist:])*pageBytes:]
	free := map[uint64]bool{}
	for i := range binary.LittleEndian.Uint16(list[10:]) {
		free[word(list[headerBytes+8*int(i):])] = true
	}
	for at := 2 * pageBytes; at < int(word(meta[end:]))*pageBytes; at += pageBytes {
		if free[uint64(at/pageBytes)] {
			continue
		}
		if binary.LittleEndian.Uint16(file[at+8:]) == leaf && binary.LittleEndian.Uint16(file[at+10:]) >= rowsMin {
			return at
		}
		at += pageBytes * int(binary.LittleEndian.Uint32(file[at+12:]))
	}
	t.Fatal("there is no page to damage")
	return 0
}
