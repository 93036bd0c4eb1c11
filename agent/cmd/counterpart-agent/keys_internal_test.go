package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"counterpart/agent"
	"counterpart/protocol/ledger/bolt"
)

// TestKeysAreNoPartOfTheData verifies and copies a database beside a file of
// keys that nobody can read.
func TestKeysAreNoPartOfTheData(t *testing.T) {
	dir := t.TempDir()
	db, err := bolt.Open(agent.DatabasePath(dir), bolt.Options{Kind: "agent"})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"keys.db", "keys.salt"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("not readable"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"verify", "--data", dir}, {"backup", "--data", dir, filepath.Join(dir, "copy")}} {
		var errs bytes.Buffer
		if exit := run(args, io.Discard, &errs); exit != exitDone {
			t.Errorf("%s: exit %d: %s", args[0], exit, errs.String())
		}
	}
}
