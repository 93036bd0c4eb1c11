package agent

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"counterpart/protocol"
)

// start opens an agent on a folder, which may be one of before.
func start(t *testing.T, dir string) *Agent {
	t.Helper()
	a, err := New(context.Background(), config(dir), "test", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.db.Close() })
	return a
}

// TestKeysStayOutOfBackups backs up an agent that has a key. Whoever finds the
// backup has nobody's key.
func TestKeysStayOutOfBackups(t *testing.T) {
	dir, copied := t.TempDir(), t.TempDir()
	a := start(t, dir)
	if err := a.db.keys.Put(t.Context(), map[string]protocol.SubjectKey{"m-whose-key-it-is": {1}}); err != nil {
		t.Fatal(err)
	}
	if err := a.db.Backup(t.Context(), filepath.Join(copied, "backup.db")); err != nil {
		t.Fatal(err)
	}
	holds := func(path string) bool {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Contains(b, []byte("m-whose-key-it-is"))
	}
	entries, err := os.ReadDir(copied)
	if err != nil || len(entries) != 1 || holds(filepath.Join(copied, "backup.db")) {
		t.Errorf("the backup is %v and holds the key (%v)", entries, err)
	}
	if !holds(filepath.Join(dir, "keys.db")) {
		t.Error("the key is not where it is looked for")
	}
}

// TestKeysOfAnotherMachine starts a copied folder: the agent sells, and the keys
// are locked until they come again.
func TestKeysOfAnotherMachine(t *testing.T) {
	dir := t.TempDir()
	a := start(t, dir)
	mine := map[string]protocol.SubjectKey{"m-1": {1}}
	if err := a.db.keys.Put(t.Context(), mine); err != nil {
		t.Fatal(err)
	}
	if err := a.db.Close(); err != nil {
		t.Fatal(err)
	}
	here := machine
	defer func() { machine = here }()
	machine = func() string { return "another" }
	a = start(t, dir)
	if !a.db.keys.Locked() {
		t.Error("the keys are readable on another machine")
	}
	if err := a.db.keys.Put(t.Context(), mine); err != nil {
		t.Fatal(err)
	}
	if key, ok, err := a.db.keys.Key(t.Context(), "m-1"); !ok || key != mine["m-1"] || err != nil {
		t.Errorf("a key that came again is there: %v (%v)", ok, err)
	}
}
