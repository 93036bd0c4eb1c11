package bolt_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	bbolt "go.etcd.io/bbolt"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/ledger/bolt"
	"counterpart/protocol/ledger/ledgertest"
)

var agent = bolt.Options{Kind: "agent", Owner: "7/1", LockTimeout: 100 * time.Millisecond}

func TestBolt(t *testing.T) {
	ledgertest.TestDriver(t, func(t *testing.T) ledger.Driver { return open(t, filepath.Join(t.TempDir(), "store.db"), agent) })
}

// open closes the store when the test ends; closing it earlier is fine.
func open(tb testing.TB, path string, o bolt.Options) *bolt.DB {
	tb.Helper()
	db, err := bolt.Open(path, o)
	if err != nil {
		tb.Fatalf("Open: %v", err)
	}
	tb.Cleanup(func() { _ = db.Close() })
	return db
}

func closeDB(t *testing.T, db *bolt.DB) {
	t.Helper()
	if err := db.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
}

func key(i int) ledger.Key {
	return ledger.Key{Table: ledger.Events, ID: fmt.Sprintf("%08d", i)}
}

func put(ctx context.Context, db ledger.Driver, rows ...ledger.Row) error {
	return db.Update(ctx, func(tx ledger.Tx) error { return tx.Write(rows) })
}

// fill writes count rows of size bytes in a few transactions.
func fill(t *testing.T, db *bolt.DB, count, size int) {
	t.Helper()
	for from := 0; from < count; from += 100 {
		var rows []ledger.Row
		for i := from; i < min(from+100, count); i++ {
			rows = append(rows, ledger.Row{Key: key(i), Value: bytes.Repeat([]byte{byte(i)}, size)})
		}
		if err := put(t.Context(), db, rows...); err != nil {
			t.Fatalf("Update: %v", err)
		}
	}
}

// rowsOf counts the rows and checks that each holds what fill wrote.
func rowsOf(ctx context.Context, db *bolt.DB) (count int, err error) {
	err = db.View(ctx, func(r ledger.Reader) error {
		count = 0
		return r.Scan(ledger.Events, "", "", func(id string, value []byte) (bool, error) {
			i, err := strconv.Atoi(id)
			if err != nil || bytes.Count(value, []byte{byte(i)}) != len(value) {
				return false, fmt.Errorf("row %q is not what was written", id)
			}
			count++
			return true, nil
		})
	})
	return count, err
}

func expectRows(t *testing.T, db *bolt.DB, want int) {
	t.Helper()
	if got, err := rowsOf(t.Context(), db); err != nil || got != want {
		t.Fatalf("%d rows, %v, want %d", got, err, want)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return strings.Join(all, " ")
}

func TestReopenKeepsEverything(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	db := open(t, path, agent)
	fill(t, db, 1000, 200)
	size := db.SizeBytes()
	closeDB(t, db)
	if size != int64(len(read(t, path))) || db.SizeBytes() != 0 {
		t.Errorf("SizeBytes is %d, and %d after Close", size, db.SizeBytes())
	}
	o := agent
	o.Verify = true
	db = open(t, path, o)
	expectRows(t, db, 1000)
	if err := db.Check(t.Context()); err != nil {
		t.Errorf("Check: %v", err)
	}
	closeDB(t, db)
	closeDB(t, db)
}

func TestCreationLeavesOneFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "store.db")
	for _, name := range []string{"store.db.new-123", "store.db.new-abc"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("half a store"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	db := open(t, path, agent)
	if got := names(t, dir); got != "store.db" {
		t.Errorf("the folder holds %s", got)
	}
	fill(t, db, 1, 1)
}

func TestOpenNamesAFolderThatIsMissing(t *testing.T) {
	_, err := bolt.Open(filepath.Join(t.TempDir(), "none", "store.db"), agent)
	if protocol.CodeOf(err) != protocol.Internal || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Open = %v", err)
	}
}

func TestSecondOpenIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	db := open(t, path, agent)
	fill(t, db, 10, 10)
	_, err := bolt.Open(path, agent)
	refused(t, err, bolt.ErrLocked, protocol.Conflict)
	fill(t, db, 20, 10)
	expectRows(t, db, 20)
	closeDB(t, db)
	expectRows(t, open(t, path, agent), 20)
}

// refused checks the sentinel, the code, and that the message says what to do.
func refused(t *testing.T, err, sentinel error, code protocol.Code) {
	t.Helper()
	var e *protocol.Error
	if !errors.Is(err, sentinel) || !errors.As(err, &e) {
		t.Fatalf("Open = %v, want %v", err, sentinel)
	}
	if e.Code != code || strings.Count(e.Message, ". ") < 2 || strings.Contains(e.Message, "bbolt") {
		t.Errorf("code %s, message %q", e.Code, e.Message)
	}
}

func TestWrongKindOwnerOrFormatIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	closeDB(t, open(t, path, agent))
	before := read(t, path)
	hub, other, unknown := agent, agent, agent
	hub.Kind, other.Owner, unknown.Owner = "hub", "7/2", ""
	for _, o := range []bolt.Options{hub, other} {
		_, err := bolt.Open(path, o)
		refused(t, err, bolt.ErrForeign, protocol.Conflict)
	}
	closeDB(t, open(t, path, unknown))
	if !bytes.Equal(before, read(t, path)) {
		t.Error("a refused file was changed")
	}
	b, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = b.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte("meta")).Put([]byte("format"), []byte("2")) })
	if err = errors.Join(err, b.Close()); err != nil {
		t.Fatal(err)
	}
	_, err = bolt.Open(path, agent)
	refused(t, err, bolt.ErrNewer, protocol.Conflict)
	if _, err := bolt.Open(path, bolt.Options{}); err == nil {
		t.Error("a store without a kind was opened")
	}
}

func TestFirstOwnerIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	closeDB(t, open(t, path, bolt.Options{Kind: "agent"}))
	closeDB(t, open(t, path, agent))
	closeDB(t, open(t, path, bolt.Options{Kind: "agent"}))
	_, err := bolt.Open(path, bolt.Options{Kind: "agent", Owner: "7/2"})
	refused(t, err, bolt.ErrForeign, protocol.Conflict)
}

func TestBackupIsACopyOfOneState(t *testing.T) {
	dir := t.TempDir()
	path, copied := filepath.Join(dir, "store.db"), filepath.Join(dir, "copy.db")
	db := open(t, path, agent)
	fill(t, db, 500, 100)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 1000; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if err := put(t.Context(), db, ledger.Row{Key: key(i % 200), Value: bytes.Repeat([]byte{byte(i % 200)}, 50)}); err != nil {
				t.Errorf("Update: %v", err)
				return
			}
		}
	}()
	for range 3 {
		if err := db.Backup(t.Context(), copied); err != nil {
			t.Fatalf("Backup: %v", err)
		}
		o := agent
		o.Verify = true
		backup := open(t, copied, o)
		expectRows(t, backup, 500)
		if err := backup.Check(t.Context()); err != nil {
			t.Errorf("Check: %v", err)
		}
		closeDB(t, backup)
	}
	close(stop)
	<-stopped
	if err := db.Backup(t.Context(), path); protocol.CodeOf(err) != protocol.Conflict {
		t.Errorf("Backup over the store = %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := db.Backup(ctx, copied); !errors.Is(err, context.Canceled) {
		t.Errorf("Backup = %v", err)
	}
	if err := db.Backup(t.Context(), filepath.Join(dir, "none", "copy.db")); protocol.CodeOf(err) != protocol.Internal {
		t.Errorf("Backup = %v", err)
	}
	if got := names(t, dir); got != "copy.db copy.db.clean store.db" {
		t.Errorf("the folder holds %s", got)
	}
}

// TestFullStoreCanBeReadAndTrimmed fills the store to its limit. What was
// confirmed stays, and deleting makes room again.
func TestFullStoreCanBeReadAndTrimmed(t *testing.T) {
	const limit = 2 << 20
	path := filepath.Join(t.TempDir(), "store.db")
	o := agent
	o.SizeMax = limit
	db := open(t, path, o)
	stored := 0
	var err error
	for err == nil {
		err = put(t.Context(), db, ledger.Row{Key: key(stored), Value: bytes.Repeat([]byte{byte(stored)}, 3000)})
		if err == nil {
			stored++
		}
	}
	if protocol.CodeOf(err) != protocol.DiskFull || stored < 200 || db.SizeBytes() > limit {
		t.Fatalf("stored %d rows in %d bytes, then %v", stored, db.SizeBytes(), err)
	}
	expectRows(t, db, stored)
	for i := range stored / 2 {
		if err := put(t.Context(), db, ledger.Row{Key: key(i)}); err != nil {
			t.Fatalf("delete of row %d: %v", i, err)
		}
	}
	expectRows(t, db, stored-stored/2)
	fill(t, db, stored/4, 3000)
	if size := db.SizeBytes(); size > limit+limit/8+256<<10 {
		t.Errorf("the file has %d bytes", size)
	}
	closeDB(t, db)
	db = open(t, path, o)
	expectRows(t, db, stored-stored/2+stored/4)
	if err := db.Check(t.Context()); err != nil {
		t.Errorf("Check: %v", err)
	}
}

// TestFullStoreAnswersEachOfAGroup lets large and small calls share
// transactions in a store with little room: what fits is stored.
func TestFullStoreAnswersEachOfAGroup(t *testing.T) {
	o := agent
	o.SizeMax = 1 << 20
	db := open(t, filepath.Join(t.TempDir(), "store.db"), o)
	fill(t, db, 10, 10)
	together(8, func(i int) {
		for j := range 20 {
			k, size := 100+i*100+j, 20
			if i%2 == 0 {
				size = 2 << 20
			}
			err := put(t.Context(), db, ledger.Row{Key: key(k), Value: bytes.Repeat([]byte{byte(k)}, size)})
			if i%2 == 0 && protocol.CodeOf(err) != protocol.DiskFull {
				t.Errorf("a call that does not fit got %v", err)
			}
			if i%2 != 0 && err != nil {
				t.Errorf("a call that fits got %v", err)
			}
		}
	})
	expectRows(t, db, 10+4*20)
}

func TestFailedDiskStopsTheStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	db := open(t, path, agent)
	fill(t, db, 100, 100)
	select {
	case <-db.Failed():
		t.Fatal("failed without a cause")
	default:
	}
	db.BreakDisk()
	together(8, func(i int) {
		err := put(t.Context(), db, ledger.Row{Key: key(1000 + i), Value: []byte{1}})
		if protocol.CodeOf(err) != protocol.Internal || !strings.Contains(err.Error(), "Restart") {
			t.Errorf("Update = %v", err)
		}
	})
	<-db.Failed()
	if err := db.View(t.Context(), func(ledger.Reader) error { return nil }); protocol.CodeOf(err) != protocol.Internal {
		t.Errorf("View = %v", err)
	}
	_ = db.Close()
	db = open(t, path, agent)
	expectRows(t, db, 100)
}
