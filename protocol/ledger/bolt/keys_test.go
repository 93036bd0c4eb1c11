package bolt_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/ledger/bolt"
)

func openKeys(t *testing.T, dir, machine string) *bolt.Keys {
	t.Helper()
	keys, err := bolt.OpenKeys(t.Context(), bolt.KeysOptions{Dir: dir, MachineID: machine})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = keys.Close() })
	return keys
}

// TestKeysFollowTheMachine opens a folder again, a copy of it on another
// machine, and one whose salt is lost.
func TestKeysFollowTheMachine(t *testing.T) {
	dir := t.TempDir()
	first := openKeys(t, dir, "one")
	if err := first.Put(t.Context(), map[string]protocol.SubjectKey{"m-1": {7}}); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	salt := filepath.Join(dir, "keys.salt")
	if info, err := os.Stat(salt); err != nil || info.Mode().Perm() != 0o600 || info.Size() != 32 {
		t.Errorf("the salt: %v (%v)", info, err)
	}
	kept := contents(t, salt)
	look := func(machine string, locked bool) {
		t.Helper()
		k := openKeys(t, dir, machine)
		key, ok, err := k.Key(t.Context(), "m-1")
		if k.Locked() != locked || ok == locked || !locked && key != (protocol.SubjectKey{7}) || locked && !errors.Is(err, ledger.ErrLocked) {
			t.Errorf("machine %s: locked %v, there %v (%v)", machine, k.Locked(), ok, err)
		}
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	}
	look("one", false)
	look("two", true)
	look("", true)
	look("one", false)
	if err := os.WriteFile(salt, kept[:31], 0o600); err != nil {
		t.Fatal(err)
	}
	look("one", true)
	if now := contents(t, salt); len(now) != 32 || bytes.Equal(now, kept) {
		t.Errorf("the new salt is %x", now)
	}
	if err := os.WriteFile(salt, kept, 0o600); err != nil {
		t.Fatal(err)
	}
	look("one", false)
}

// TestKeysAreNoOtherStore refuses a database of an agent under the ring's name,
// a ring in use, and the ring under an agent's.
func TestKeysAreNoOtherStore(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "keys.db")
	db := open(t, path, agent)
	closeDB(t, db)
	if _, err := bolt.OpenKeys(t.Context(), bolt.KeysOptions{Dir: dir}); !errors.Is(err, bolt.ErrForeign) {
		t.Errorf("an agent's database: %v", err)
	}
	dir = t.TempDir()
	keys := openKeys(t, dir, "one")
	if _, err := bolt.OpenKeys(t.Context(), bolt.KeysOptions{Dir: dir}); !errors.Is(err, bolt.ErrLocked) {
		t.Errorf("a ring in use: %v", err)
	}
	if err := keys.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := bolt.Open(filepath.Join(dir, "keys.db"), agent); !errors.Is(err, bolt.ErrForeign) {
		t.Errorf("a ring as an agent's database: %v", err)
	}
}
