package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"counterpart/cloud"
	"counterpart/protocol"
	"counterpart/protocol/ledger/bolt"
)

// TestForeignSalt starts a hub whose keys.salt is another one. The hub's keys
// are the only whole copy, so it refuses instead of beginning anew; what does not
// need keys goes on.
func TestForeignSalt(t *testing.T) {
	dir := t.TempDir()
	db, err := bolt.Open(cloud.DatabasePath(dir), bolt.Options{Kind: "hub"})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	keys, err := bolt.OpenKeys(t.Context(), bolt.KeysOptions{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := keys.Put(t.Context(), map[string]protocol.SubjectKey{"m-1": {1}}); err != nil {
		t.Fatal(err)
	}
	if err := keys.Close(); err != nil {
		t.Fatal(err)
	}
	salt := filepath.Join(dir, "keys.salt")
	right, err := os.ReadFile(salt)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(salt); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second start finds a salt
		var errs bytes.Buffer
		exit := run([]string{"serve", "--data", dir, "--listen", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--insecure-dev"}, io.Discard, &errs)
		if exit != exitRefused || !strings.Contains(errs.String(), "keys.salt") {
			t.Errorf("exit %d: %s", exit, errs.String())
		}
	}
	for _, args := range [][]string{{"verify", "--data", dir}, {"backup", "--data", dir, filepath.Join(dir, "copy")}} {
		var errs bytes.Buffer
		if exit := run(args, io.Discard, &errs); exit != exitDone {
			t.Errorf("%s: exit %d: %s", args[0], exit, errs.String())
		}
	}
	if err := os.WriteFile(salt, right, 0o600); err != nil {
		t.Fatal(err)
	}
	if keys, err = bolt.OpenKeys(t.Context(), bolt.KeysOptions{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	defer keys.Close()
	if _, ok, err := keys.Key(t.Context(), "m-1"); !ok || err != nil {
		t.Errorf("the key is there with its salt: %v (%v)", ok, err)
	}
}
