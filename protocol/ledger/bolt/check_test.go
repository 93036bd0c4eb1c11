package bolt_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/ledger/bolt"
)

// checkEnv makes the test's program the one that checks, and says how it ends.
const checkEnv = "COUNTERPART_BOLT_CHECK"

func checkChild(fault, path string) int {
	switch fault {
	case "panic":
		go func() { panic("a page that cannot be") }()
		select {}
	case "fault":
		var nothing *int
		*nothing = 1
	case "killed":
		p, err := os.FindProcess(os.Getpid())
		if err == nil {
			err = p.Kill()
		}
		if err == nil {
			select {}
		}
	}
	if err := bolt.CheckFile(path, slog.New(slog.DiscardHandler)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 3
	}
	return 0
}

// apart checks with the test's own program, which ends in a given way.
func apart(t *testing.T, fault string) func(string) error {
	t.Helper()
	t.Setenv(checkEnv, fault)
	return bolt.CheckApart(t.Context(), os.Args[0])
}

// counted counts the calls of a check.
func counted(check func(string) error, calls *int) func(string) error {
	return func(path string) error {
		*calls++
		return check(path)
	}
}

// TestOnlyUncleanStoresAreChecked demands a check after every stop but an
// orderly one, and none after that.
func TestOnlyUncleanStoresAreChecked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	calls := 0
	o := agent
	o.CheckUnclean = counted(apart(t, "none"), &calls)
	expect := func(when string, want int) {
		t.Helper()
		if calls != want {
			t.Errorf("%s: %d checks, want %d", when, calls, want)
		}
	}
	db := open(t, path, o)
	expect("a new store", 0)
	fill(t, db, 100, 60)
	crashed := read(t, path)
	closeDB(t, db)
	closeDB(t, open(t, path, o))
	expect("closed in order", 0)
	copied := filepath.Join(filepath.Dir(path), "copy.db")
	if err := os.WriteFile(copied, crashed, 0o600); err != nil {
		t.Fatal(err)
	}
	expectRows(t, open(t, copied, o), 100)
	expect("a file without a note", 1)

	db = open(t, path, o)
	note := read(t, path+".clean")
	fill(t, db, 3, 60)
	crashed = read(t, path)
	closeDB(t, db)
	if err := errors.Join(os.WriteFile(path, crashed, 0o600), os.WriteFile(path+".clean", note, 0o600)); err != nil {
		t.Fatal(err)
	}
	db = open(t, path, o)
	expect("a note of an earlier state", 2)
	closeDB(t, db)
	db = open(t, path, o)
	expect("checked, then closed in order", 2)
	closeDB(t, db)
}

// TestStoreThatWasNotCheckedIsNotNotedAsClean opens a crashed store without a
// check, as the commands do that look at it. The next start still checks it.
func TestStoreThatWasNotCheckedIsNotNotedAsClean(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	if err := os.WriteFile(path, whole(t), 0o600); err != nil {
		t.Fatal(err)
	}
	closeDB(t, open(t, path, agent))
	calls := 0
	o := agent
	o.CheckUnclean = counted(apart(t, "none"), &calls)
	closeDB(t, open(t, path, o))
	if calls != 1 {
		t.Errorf("%d checks, want 1", calls)
	}
}

// TestCheckThatDiesRefusesTheFile lets the checking process end in each way. A
// file that kills it is damaged; a check that somebody else ended says nothing.
func TestCheckThatDiesRefusesTheFile(t *testing.T) {
	content := whole(t)
	for _, c := range []struct {
		fault string
		want  error
	}{
		{"panic", bolt.ErrCorrupt},
		{"fault", bolt.ErrCorrupt},
		{"killed", nil},
	} {
		path := filepath.Join(t.TempDir(), "store.db")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		o := agent
		o.CheckUnclean = apart(t, c.fault)
		_, err := bolt.Open(path, o)
		switch {
		case err == nil:
			t.Errorf("%s: the store was opened", c.fault)
		case c.want != nil:
			refused(t, err, c.want, protocol.Internal)
		case runtime.GOOS != "windows" && errors.Is(err, bolt.ErrCorrupt):
			t.Errorf("%s: %v, which says that the file is damaged", c.fault, err)
		}
		if !bytes.Equal(read(t, path), content) {
			t.Errorf("%s: the file was changed", c.fault)
		}
	}
}

// TestDamageDeepInTheFileIsFound zeroes pages that Open alone does not read.
func TestDamageDeepInTheFileIsFound(t *testing.T) {
	content := whole(t)
	quick, deep := 0, 0
	for page := 4; page < len(content)/4096; page += 9 {
		broken := bytes.Clone(content)
		clear(broken[page*4096 : (page+1)*4096])
		path := filepath.Join(t.TempDir(), "store.db")
		if err := os.WriteFile(path, broken, 0o600); err != nil {
			t.Fatal(err)
		}
		if db, err := bolt.Open(path, agent); err == nil {
			quick++
			closeDB(t, db)
		}
		o := agent
		o.CheckUnclean = apart(t, "none")
		if db, err := bolt.Open(path, o); err == nil {
			closeDB(t, db)
			continue
		} else if !errors.Is(err, bolt.ErrCorrupt) {
			t.Errorf("page %d: %v", page, err)
		}
		deep++
		if !bytes.Equal(read(t, path), broken) {
			t.Errorf("page %d: the refused file was changed", page)
		}
	}
	if deep == 0 || quick == 0 {
		t.Errorf("%d damaged files were refused by the check, %d opened without", deep, quick)
	}
}

// TestCheckThatCannotRunIsDoneHere demands that a missing program neither stops
// the store nor leaves it unchecked.
func TestCheckThatCannotRunIsDoneHere(t *testing.T) {
	content := whole(t)
	o := agent
	o.CheckUnclean = bolt.CheckApart(context.Background(), filepath.Join(t.TempDir(), "no-such-program"))
	path := filepath.Join(t.TempDir(), "store.db")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	expectRows(t, open(t, path, o), damagedRows)
	path = filepath.Join(t.TempDir(), "store.db")
	refusals := 0
	for page := 4; page < len(content)/4096; page += 9 {
		broken := bytes.Clone(content)
		clear(broken[page*4096 : (page+1)*4096])
		if err := os.WriteFile(path, broken, 0o600); err != nil {
			t.Fatal(err)
		}
		db, err := bolt.Open(path, o)
		if err == nil {
			closeDB(t, db)
			continue
		}
		refused(t, err, bolt.ErrCorrupt, protocol.Internal)
		refusals++
	}
	if refusals == 0 {
		t.Error("no damage was found")
	}
}

// mostlyFree makes a store of more than 64 MiB of which little is in use.
func mostlyFree(t *testing.T, path string) {
	t.Helper()
	db := open(t, path, agent)
	const rows, size = 1200, 64 << 10
	fill(t, db, rows, size)
	for from := 0; from < rows-200; from += 100 {
		var gone []ledger.Row
		for i := from; i < from+100; i++ {
			gone = append(gone, ledger.Row{Key: key(i)})
		}
		if err := put(t.Context(), db, gone...); err != nil {
			t.Fatal(err)
		}
	}
	closeDB(t, db)
}

// TestStoreThatIsMostlyFreeIsCompacted opens one with room, without room, and
// after a compaction that was cut off.
func TestStoreThatIsMostlyFreeIsCompacted(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "store.db")
	mostlyFree(t, path)
	before := int64(len(read(t, path)))
	o := agent
	o.CheckUnclean = apart(t, "none")
	o.Room = func(string) int64 { return 1 << 20 }
	db := open(t, path, o)
	if db.SizeBytes() != before {
		t.Errorf("without room the file went from %d to %d bytes", before, db.SizeBytes())
	}
	closeDB(t, db)
	if err := os.WriteFile(path+".new-1", read(t, path)[:before/2], 0o600); err != nil {
		t.Fatal(err)
	}
	o.Room = func(string) int64 { return 1 << 40 }
	db = open(t, path, o)
	if size := db.SizeBytes(); size > before/2 {
		t.Errorf("the file went from %d to %d bytes", before, size)
	}
	expectRows(t, db, 200)
	if err := db.Check(t.Context()); err != nil {
		t.Errorf("Check: %v", err)
	}
	fill(t, db, 100, 200)
	closeDB(t, db)
	if got := names(t, dir); got != "store.db store.db.clean" {
		t.Errorf("the folder holds %s", got)
	}
}

// TestLockOfAReplacedFileIsNotTaken replaces the file while another Open waits
// for its lock, as a compaction does. The lock that it then gets is that of a
// file which has no name any more: what it wrote there would be lost.
func TestLockOfAReplacedFileIsNotTaken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	db := open(t, path, agent)
	fill(t, db, 10, 60)
	if err := os.WriteFile(path+".other", read(t, path), 0o600); err != nil {
		t.Fatal(err)
	}
	o := agent
	o.LockTimeout = time.Minute
	opened := make(chan error)
	go func() {
		late, err := bolt.Open(path, o)
		if err == nil {
			err = late.Close()
		}
		opened <- err
	}()
	stacks := make([]byte, 1<<20)
	for !bytes.Contains(stacks[:runtime.Stack(stacks, true)], []byte("bbolt.flock(")) {
		runtime.Gosched()
	}
	renamed := os.Rename(path+".other", path)
	closeDB(t, db)
	err := <-opened
	if renamed != nil {
		return // Windows does not replace a file that is open.
	}
	if !errors.Is(err, bolt.ErrLocked) {
		t.Errorf("the lock of the old file was taken: %v", err)
	}
}
