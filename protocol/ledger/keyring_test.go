package ledger_test

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/ledger/ledgertest"
)

func TestKeyRing(t *testing.T) {
	ledgertest.TestKeyRing(t, func(*testing.T) (ledger.Scrubber, func() []byte) { return ledger.NewMemory(), nil })
}

// The wrap key follows from the machine and from the file, and stays what it is:
// another release must open the ring.
func TestMachineWrapKey(t *testing.T) {
	one := ledger.MachineWrapKey([]byte("machine"), []byte("salt"))
	if got := hex.EncodeToString(one[:]); got != "fb434f6129d45b451590ecb8d14e8bcd729f3bd94d0945cd34b4ea0a58ce0517" {
		t.Errorf("the wrap key is %s", got)
	}
	for _, other := range [][32]byte{
		ledger.MachineWrapKey([]byte("machine2"), []byte("salt")), ledger.MachineWrapKey([]byte("machine"), []byte("2salt")), ledger.MachineWrapKey(nil, []byte("salt")),
	} {
		if other == one {
			t.Error("another machine or another file has the same wrap key")
		}
	}
}

// A ring of a newer release is refused and left alone.
func TestKeyRingOfANewerRelease(t *testing.T) {
	d := ledger.NewMemory()
	random := func(b []byte) { clear(b) }
	r, err := ledger.OpenKeyRing(t.Context(), d, [32]byte{1}, random)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Put(t.Context(), map[string]protocol.SubjectKey{"m-1": {1}}); err != nil {
		t.Fatal(err)
	}
	if err := d.Update(t.Context(), func(tx ledger.Tx) error { return ledger.SetNote(tx, []byte{2, 3}, "ring") }); err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.OpenKeyRing(t.Context(), d, [32]byte{1}, random); err == nil || errors.Is(err, ledger.ErrLocked) {
		t.Errorf("opened: %v", err)
	}
	if err := r.Put(t.Context(), map[string]protocol.SubjectKey{"m-2": {1}}); err == nil {
		t.Error("written to")
	}
}

// reading is a driver that does something between what a view has read and its
// end.
type reading struct {
	*ledger.Memory
	then func()
}

func (d *reading) View(ctx context.Context, fn func(ledger.Reader) error) error {
	err := d.Memory.View(ctx, fn)
	if then := d.then; then != nil {
		d.then = nil
		then()
	}
	return err
}

// A key that is erased while it is read is not remembered.
func TestKeyRingErasesWhileItIsRead(t *testing.T) {
	d := &reading{Memory: ledger.NewMemory()}
	open := func() *ledger.KeyRing {
		r, err := ledger.OpenKeyRing(t.Context(), d, [32]byte{1}, func(b []byte) { clear(b) })
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if err := open().Put(t.Context(), map[string]protocol.SubjectKey{"m-1": {1}}); err != nil {
		t.Fatal(err)
	}
	r := open()
	d.then = func() {
		if err := r.Erase(t.Context(), []string{"m-1"}); err != nil {
			t.Error(err)
		}
	}
	if _, ok, err := r.Key(t.Context(), "m-1"); !ok || err != nil || d.then != nil {
		t.Fatalf("nothing was read: %v (%v)", ok, err)
	}
	if _, ok, err := r.Key(t.Context(), "m-1"); ok || err != nil {
		t.Errorf("the key is still there: %v (%v)", ok, err)
	}
}

// More keys than are kept in memory are read all the same.
func TestKeyRingBeyondItsMemory(t *testing.T) {
	r, err := ledger.OpenKeyRing(t.Context(), ledger.NewMemory(), [32]byte{1}, func(b []byte) { clear(b) })
	if err != nil {
		t.Fatal(err)
	}
	const many = 25_000
	keys := make(map[string]protocol.SubjectKey, many)
	subjects := make([]string, many)
	for i := range many {
		subjects[i] = "m-" + hex.EncodeToString([]byte{byte(i >> 8), byte(i)})
		keys[subjects[i]] = protocol.SubjectKey{1, byte(i >> 8), byte(i)}
	}
	if err := r.Put(t.Context(), keys); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for from := 0; from < many; from += 1000 {
			got, err := r.Keys(t.Context(), subjects[from:from+1000])
			if err != nil || len(got) != 1000 {
				t.Fatalf("%d keys (%v)", len(got), err)
			}
			for s, key := range got {
				if key != keys[s] {
					t.Fatalf("another key of %s", s)
				}
			}
		}
		if kept := r.Kept(); kept > 10_000 || kept < 5_000 {
			t.Fatalf("%d keys in memory", kept)
		}
	}
}

// Secrets and subjects are listed by how they begin, and a secret that is dropped is
// gone for whoever opens the ring again.
func TestKeyRingLists(t *testing.T) {
	d := ledger.NewMemory()
	random := func(b []byte) { clear(b) }
	r, err := ledger.OpenKeyRing(t.Context(), d, [32]byte{1}, random)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"lookup", "orders-1", "orders-2", "orders-30"} {
		if err := r.SetSecret(t.Context(), name, []byte(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Put(t.Context(), map[string]protocol.SubjectKey{"m-1": {1}, "o-1": {1}, "o-2": {1}, "o-3": {1}}); err != nil {
		t.Fatal(err)
	}
	expect := func(what string, got []string, err error, want ...string) {
		t.Helper()
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v, %v", what, got, want, err)
		}
	}
	list, err := r.Subjects(t.Context(), "o-", "", 2)
	expect("the first subjects", list, err, "o-1", "o-2")
	list, err = r.Subjects(t.Context(), "o-", "o-2", 2)
	expect("those behind", list, err, "o-3")
	list, err = r.Secrets(t.Context(), "orders-", "", 10)
	expect("secrets", list, err, "orders-1", "orders-2", "orders-30")
	if err := r.DropSecrets(t.Context(), []string{"orders-1", "orders-2"}); err != nil {
		t.Fatal(err)
	}
	if r, err = ledger.OpenKeyRing(t.Context(), d, [32]byte{1}, random); err != nil {
		t.Fatal(err)
	}
	list, err = r.Secrets(t.Context(), "", "", 10)
	expect("what stays", list, err, "lookup", "orders-30")
	if _, ok, err := r.Secret(t.Context(), "orders-1"); ok || err != nil {
		t.Errorf("a secret that was dropped is there: %t, %v", ok, err)
	}
	other, err := ledger.OpenKeyRing(t.Context(), d, [32]byte{2}, random)
	if err != nil {
		t.Fatal(err)
	}
	if err := other.DropSecrets(t.Context(), []string{"orders-30"}); !errors.Is(err, ledger.ErrLocked) {
		t.Errorf("a locked ring drops: %v", err)
	}
}
