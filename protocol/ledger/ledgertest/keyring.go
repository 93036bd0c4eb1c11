package ledgertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// ringDisk is a database for a key ring, and how it is seen from outside.
type ringDisk struct {
	ledger.Scrubber
	file func() []byte // what its files hold; nil where there are none
}

// TestKeyRing holds the key ring to what it says over a driver. open returns an
// empty store, which the suite closes, and what reads its files as they are; nil
// where there are none.
func TestKeyRing(t *testing.T, open func(t *testing.T) (d ledger.Scrubber, file func() []byte)) {
	cases := []struct {
		name string
		run  func(*testing.T, ringDisk)
	}{
		{"KeepsKeys", keepsKeys},
		{"KeepsSecrets", keepsSecrets},
		{"RefusesAnotherKey", refusesAnotherKey},
		{"RefusesWhatIsNoKey", refusesNoKey},
		{"ErasesForGood", erasesForGood},
		{"ForgetsForNow", forgetsForNow},
		{"ListsTheErased", listsErased},
		{"LocksUnderAnotherWrapKey", locksRing},
		{"BeginsAnewWhenLocked", beginsAnew},
		{"NoticesMovedRows", noticesMovedRows},
		{"LeavesNoTrace", leavesNoTrace},
		{"HoldsAllOrNothingAfterACrash", ringSurvives},
		{"ForgetsBesideReaders", forgetsBesideReaders},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			d, file := open(t)
			c.run(t, ringDisk{d, file})
			if err := d.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
}

var (
	wrapOne = ledger.MachineWrapKey([]byte("machine 1"), []byte("salt"))
	wrapTwo = ledger.MachineWrapKey([]byte("machine 2"), []byte("salt"))
)

// drawn gives bytes that never come again within a test.
type drawn struct {
	mu sync.Mutex
	n  uint64
}

func (d *drawn) fill(b []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range b {
		d.n = d.n*6364136223846793005 + 1442695040888963407
		b[i] = byte(d.n >> 56)
	}
}

func openRing(t *testing.T, d ledger.Scrubber, wrap [32]byte, seed uint64) *ledger.KeyRing {
	t.Helper()
	r, err := ledger.OpenKeyRing(t.Context(), d, wrap, (&drawn{n: seed}).fill)
	if err != nil {
		t.Fatalf("OpenKeyRing: %v", err)
	}
	return r
}

// newKeys makes a key for each subject, the same for the same subject.
func newKeys(subjects ...string) map[string]protocol.SubjectKey {
	keys := map[string]protocol.SubjectKey{}
	for _, s := range subjects {
		source := drawn{}
		for _, c := range []byte(s) {
			source.n = source.n*31 + uint64(c)
		}
		keys[s] = protocol.NewSubjectKey(source.fill)
	}
	return keys
}

func putKeys(t *testing.T, r *ledger.KeyRing, keys map[string]protocol.SubjectKey) {
	t.Helper()
	if err := r.Put(t.Context(), keys); err != nil {
		t.Fatalf("Put: %v", err)
	}
}

// expectKeys demands exactly these keys of the subjects.
func expectKeys(t *testing.T, r *ledger.KeyRing, subjects []string, want map[string]protocol.SubjectKey) {
	t.Helper()
	for range 2 { // from the rows, then from memory
		got, err := r.Keys(t.Context(), subjects)
		if err != nil || !maps.Equal(got, want) {
			t.Errorf("keys of %v, want %v (%v)", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)), err)
		}
	}
	for _, s := range subjects {
		if key, ok, err := r.Key(t.Context(), s); err != nil || key != want[s] || ok == key.IsZero() {
			t.Errorf("the key of %s is there: %v (%v)", s, ok, err)
		}
	}
}

func expectErased(t *testing.T, r *ledger.KeyRing, want ...string) {
	t.Helper()
	if got, err := r.Erased(t.Context(), "", 1000); err != nil || !slices.Equal(got, want) {
		t.Errorf("erased are %q, want %q (%v)", got, want, err)
	}
}

func keepsKeys(t *testing.T, d ringDisk) {
	r := openRing(t, d, wrapOne, 1)
	keys := newKeys("m-1", "m-2", "o-3")
	all := []string{"m-1", "m-2", "m-22", "o-3", ""}
	expectKeys(t, r, all, map[string]protocol.SubjectKey{})
	putKeys(t, r, keys)
	putKeys(t, r, newKeys("m-1"))
	putKeys(t, r, nil)
	expectKeys(t, r, all, keys)
	r = openRing(t, d, wrapOne, 2)
	if r.Locked() {
		t.Error("locked under its own wrap key")
	}
	expectKeys(t, r, all, keys)
	expectErased(t, r)
}

func keepsSecrets(t *testing.T, d ringDisk) {
	r := openRing(t, d, wrapOne, 1)
	expect := func(name, want string) {
		t.Helper()
		got, ok, err := r.Secret(t.Context(), name)
		if err != nil || string(got) != want || ok != (want != "") {
			t.Errorf("the secret %s is %q: %v (%v)", name, got, ok, err)
		}
	}
	expect("lookup", "")
	for _, secret := range []string{"the first", "the first", "another"} {
		if err := r.SetSecret(t.Context(), "lookup", []byte(secret)); err != nil {
			t.Fatal(err)
		}
		expect("lookup", secret)
	}
	r = openRing(t, d, wrapOne, 2)
	expect("lookup", "another")
	expect("other", "")
	for name, secret := range map[string][]byte{"": []byte("x"), "a b": []byte("x"), "empty": {}, "large": make([]byte, 4097)} {
		if err := r.SetSecret(t.Context(), name, secret); err == nil {
			t.Errorf("%q of %d bytes is stored", name, len(secret))
		}
	}
}

func refusesAnotherKey(t *testing.T, d ringDisk) {
	r := openRing(t, d, wrapOne, 1)
	keys := newKeys("m-2")
	putKeys(t, r, keys)
	wrong := newKeys("m-1", "m-3")
	wrong["m-2"] = wrong["m-1"]
	if err := r.Put(t.Context(), wrong); !errors.Is(err, ledger.ErrOtherKey) {
		t.Errorf("another key: %v", err)
	}
	expectKeys(t, r, []string{"m-1", "m-2", "m-3"}, keys)
}

func refusesNoKey(t *testing.T, d ringDisk) {
	r := openRing(t, d, wrapOne, 1)
	for _, keys := range []map[string]protocol.SubjectKey{{"m-1": {}}, {"": {1}}, {"m\x001": {1}}} {
		if err := r.Put(t.Context(), keys); err == nil {
			t.Errorf("stored: %v", slices.Collect(maps.Keys(keys)))
		}
	}
	if err := r.Erase(t.Context(), []string{"m-1", "m 2"}); err == nil {
		t.Error("erased what is no subject")
	}
	expectErased(t, r)
}

// forgetsForNow lets a key come again that was only no longer needed, and leaves no
// trace of it meanwhile.
func forgetsForNow(t *testing.T, d ringDisk) {
	r := openRing(t, d, wrapOne, 1)
	keys, left := newKeys("m-1", "m-2"), newKeys("m-2")
	putKeys(t, r, keys)
	if err := r.Forget(t.Context(), []string{"m-1", "m-4"}); err != nil {
		t.Fatal(err)
	}
	expectKeys(t, r, []string{"m-1", "m-2"}, left)
	expectErased(t, r)
	putKeys(t, r, keys)
	expectKeys(t, openRing(t, d, wrapOne, 2), []string{"m-1", "m-2"}, keys)
}

func erasesForGood(t *testing.T, d ringDisk) {
	r := openRing(t, d, wrapOne, 1)
	keys := newKeys("m-1", "m-2", "m-3")
	subjects := []string{"m-1", "m-2", "m-3", "m-4"}
	putKeys(t, r, keys)
	expectKeys(t, r, subjects, keys)
	for range 2 {
		if err := r.Erase(t.Context(), []string{"m-1", "m-4", "m-1"}); err != nil {
			t.Fatal(err)
		}
	}
	left := newKeys("m-2", "m-3")
	expectKeys(t, r, subjects, left)
	// It comes again, from a store that was away, with others.
	left["m-5"] = newKeys("m-5")["m-5"]
	putKeys(t, r, newKeys("m-1", "m-4", "m-5"))
	subjects = append(subjects, "m-5")
	expectKeys(t, r, subjects, left)
	r = openRing(t, d, wrapOne, 2)
	expectKeys(t, r, subjects, left)
	expectErased(t, r, "m-1", "m-4")
}

func listsErased(t *testing.T, d ringDisk) {
	r := openRing(t, d, wrapOne, 1)
	var want []string
	for i := range 25 {
		want = append(want, fmt.Sprintf("m-%02d", i))
	}
	if err := r.Erase(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	var got []string
	last := ""
	for range 4 {
		page, err := r.Erased(t.Context(), last, 10)
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, page...); len(page) > 0 {
			last = page[len(page)-1]
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("erased are %q, want %q", got, want)
	}
	if none, err := r.Erased(t.Context(), "", 0); err != nil || len(none) != 0 {
		t.Errorf("none at most are %q (%v)", none, err)
	}
	for subject, want := range map[string]bool{"m-07": true, "m-": false, "m-070": false, "": false} {
		if got, err := r.IsErased(t.Context(), subject); err != nil || got != want {
			t.Errorf("%q is erased: %v (%v)", subject, got, err)
		}
	}
}

func locksRing(t *testing.T, d ringDisk) {
	r := openRing(t, d, wrapOne, 1)
	putKeys(t, r, newKeys("m-1", "m-2"))
	if err := r.SetSecret(t.Context(), "lookup", []byte("secret")); err != nil {
		t.Fatal(err)
	}
	r = openRing(t, d, wrapTwo, 2)
	if !r.Locked() {
		t.Fatal("not locked")
	}
	if key, ok, err := r.Key(t.Context(), "m-1"); !errors.Is(err, ledger.ErrLocked) || ok || !key.IsZero() {
		t.Errorf("a key is read: %v (%v)", ok, err)
	}
	if keys, err := r.Keys(t.Context(), []string{"m-3"}); !errors.Is(err, ledger.ErrLocked) || len(keys) > 0 {
		t.Errorf("keys are read: %v (%v)", keys, err)
	}
	if secret, ok, err := r.Secret(t.Context(), "lookup"); !errors.Is(err, ledger.ErrLocked) || ok || secret != nil {
		t.Errorf("a secret is read: %q (%v)", secret, err)
	}
	// Erasing needs no key.
	if err := r.Erase(t.Context(), []string{"m-1"}); err != nil {
		t.Fatal(err)
	}
	expectErased(t, r, "m-1")
	if !r.Locked() {
		t.Error("erasing unlocks")
	}
	// Back where it was written.
	r = openRing(t, d, wrapOne, 3)
	if r.Locked() {
		t.Error("it stays locked")
	}
	expectKeys(t, r, []string{"m-1", "m-2"}, newKeys("m-2"))
}

func beginsAnew(t *testing.T, d ringDisk) {
	r := openRing(t, d, wrapOne, 1)
	putKeys(t, r, newKeys("m-1", "m-2", "m-3"))
	if err := errors.Join(r.SetSecret(t.Context(), "lookup", []byte("secret")), r.Erase(t.Context(), []string{"m-1"})); err != nil {
		t.Fatal(err)
	}
	old := ringRow(t, d, "key", "m-3")
	r = openRing(t, d, wrapTwo, 2)
	subjects := []string{"m-1", "m-2", "m-3", "m-4"}
	came := newKeys("m-2", "m-4")
	putKeys(t, r, newKeys("m-1", "m-2", "m-4"))
	for range 2 {
		if r.Locked() {
			t.Error("locked after it was begun anew")
		}
		expectKeys(t, r, subjects, came)
		expectErased(t, r, "m-1")
		if _, ok, err := r.Secret(t.Context(), "lookup"); ok || err != nil {
			t.Errorf("the secret of before: %v (%v)", ok, err)
		}
		r = openRing(t, d, wrapTwo, 3)
	}
	if d.file != nil && bytes.Contains(d.file(), old) {
		t.Error("what was written under the other wrap key is in the file still")
	}
	if r = openRing(t, d, wrapOne, 4); !r.Locked() {
		t.Error("it opens under the wrap key of before")
	}
}

// ringRow reads a row of a ring as it lies in the database.
func ringRow(t *testing.T, d ledger.Driver, kind, name string) (value []byte) {
	t.Helper()
	err := d.View(t.Context(), func(r ledger.Reader) error {
		v, err := ledger.Note(r, kind, name)
		value = bytes.Clone(v)
		return err
	})
	if err != nil || value == nil {
		t.Fatalf("no row %s of %s (%v)", kind, name, err)
	}
	return value
}

// A wrapped key opens in its own row alone.
func noticesMovedRows(t *testing.T, d ringDisk) {
	putKeys(t, openRing(t, d, wrapOne, 1), newKeys("m-1", "m-2"))
	moved := ringRow(t, d, "key", "m-1")
	damaged := bytes.Clone(moved)
	damaged[len(damaged)-1] ^= 1
	for _, value := range [][]byte{moved, damaged[:1], {}} {
		if err := d.Update(t.Context(), func(tx ledger.Tx) error { return ledger.SetNote(tx, value, "key", "m-2") }); err != nil {
			t.Fatal(err)
		}
		r := openRing(t, d, wrapOne, 2)
		if key, ok, err := r.Key(t.Context(), "m-2"); err == nil || ok || !key.IsZero() || errors.Is(err, ledger.ErrLocked) {
			t.Errorf("%x is read: %v (%v)", value, ok, err)
		}
		expectKeys(t, r, []string{"m-1"}, newKeys("m-1"))
	}
}

// After Erase neither the key nor its row is in the file.
func leavesNoTrace(t *testing.T, d ringDisk) {
	r := openRing(t, d, wrapOne, 1)
	var subjects []string
	for i := range 400 {
		subjects = append(subjects, fmt.Sprintf("m-%03d", i))
	}
	keys := newKeys(subjects...)
	// One by one, as they come: each commit leaves its pages behind.
	for i := 0; i < len(subjects); i += 20 {
		putKeys(t, r, newKeys(subjects[i:i+20]...))
	}
	if err := r.SetSecret(t.Context(), "lookup", []byte("the secret of before")); err != nil {
		t.Fatal(err)
	}
	secret := ringRow(t, d, "secret", "lookup")
	if err := r.SetSecret(t.Context(), "lookup", []byte("the secret of now")); err != nil {
		t.Fatal(err)
	}
	absent := func(what string, b []byte) {
		t.Helper()
		if d.file != nil && bytes.Contains(d.file(), b) {
			t.Errorf("%s is in the file still", what)
		}
	}
	absent("a secret that was replaced", secret)
	for _, gone := range [][]string{{"m-007"}, subjects[100:300], {"m-000", "m-399"}} {
		var rows [][]byte
		for _, s := range gone {
			rows = append(rows, ringRow(t, d, "key", s))
		}
		if d.file != nil && !bytes.Contains(d.file(), rows[0]) {
			t.Fatal("the file does not hold the row that is there: the search is blind")
		}
		if err := r.Erase(t.Context(), gone); err != nil {
			t.Fatal(err)
		}
		for i, s := range gone {
			key := keys[s]
			absent("the key of "+s, key[:])
			absent("the wrapped key of "+s, rows[i][13:])
			delete(keys, s)
		}
	}
	expectKeys(t, openRing(t, d, wrapOne, 2), subjects, keys)
}

// A ring is read while keys of it are erased. Whoever asks after the erasure
// finds nothing, neither in the rows nor in memory.
func forgetsBesideReaders(t *testing.T, d ringDisk) {
	r := openRing(t, d, wrapOne, 1)
	var subjects []string
	for i := range 40 {
		subjects = append(subjects, fmt.Sprintf("m-%02d", i))
	}
	putKeys(t, r, newKeys(subjects...))
	ctx, stop := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for ctx.Err() == nil {
				if _, err := r.Keys(ctx, subjects); err != nil && ctx.Err() == nil {
					t.Errorf("Keys: %v", err)
				}
			}
		})
	}
	for i, s := range subjects {
		if err := r.Erase(t.Context(), []string{s}); err != nil {
			t.Fatal(err)
		}
		keys, err := r.Keys(t.Context(), subjects)
		if err != nil || len(keys) != len(subjects)-i-1 {
			t.Errorf("%d keys after %d erasures of %d (%v)", len(keys), i+1, len(subjects), err)
		}
	}
	stop()
	readers.Wait()
}
