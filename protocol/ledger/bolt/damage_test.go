package bolt_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	bbolt "go.etcd.io/bbolt"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/ledger/bolt"
)

const damagedRows = 2000

// whole is the content of a sound store: with free pages, with pages of both
// kinds, and with values that need several pages.
func whole(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "whole.db")
	o := agent
	o.SizeMax = 1 << 20 // A low limit makes the file grow in small steps.
	db := open(t, path, o)
	fill(t, db, damagedRows, 60)
	fill(t, db, 5, 20000)
	fill(t, db, 3, 60)
	closeDB(t, db)
	content := read(t, path)
	if len(content) > 1<<20 {
		t.Fatalf("the file has %d bytes", len(content))
	}
	return content
}

// damage opens content as a file. Either it is refused, and then left as it
// was, or it opens; then everything in it can be asked for without a crash. It
// returns the first error that told of the damage.
func damage(t *testing.T, content []byte, o bolt.Options) error {
	t.Helper()
	path := filepath.Join(t.TempDir(), "store.db")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := bolt.Open(path, o)
	if err != nil {
		var e *protocol.Error
		if !errors.As(err, &e) || e.Message == "" {
			t.Errorf("Open = %v, which says nothing to staff", err)
		}
		if !bytes.Equal(read(t, path), content) {
			t.Error("a refused file was changed")
		}
		return err
	}
	defer func() { _ = db.Close() }()
	if err := db.Check(t.Context()); err != nil {
		if !errors.Is(err, bolt.ErrCorrupt) {
			t.Errorf("Check = %v", err)
		}
		return err
	}
	if count, err := rowsOf(t.Context(), db); err != nil || count != damagedRows {
		return fmt.Errorf("%d rows: %w", count, err)
	}
	return put(t.Context(), db, ledger.Row{Key: key(0), Value: []byte{0}})
}

func TestForeignAndBrokenFilesAreRefused(t *testing.T) {
	content := whole(t)
	foreign := filepath.Join(t.TempDir(), "foreign.db")
	b, err := bbolt.Open(foreign, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	firstPages := bytes.Clone(content)
	clear(firstPages[:2*4096])
	cases := map[string]struct {
		content []byte
		want    error
	}{
		"empty":             {nil, bolt.ErrCorrupt},
		"text":              {[]byte(strings.Repeat("This is not a database.\n", 1000)), bolt.ErrForeign},
		"short text":        {[]byte("x"), bolt.ErrForeign},
		"zeros":             {make([]byte, 1<<16), bolt.ErrCorrupt},
		"another program":   {read(t, foreign), bolt.ErrForeign},
		"no meta pages":     {firstPages, bolt.ErrCorrupt},
		"cut to one page":   {content[:4096], bolt.ErrCorrupt},
		"cut to three":      {content[:3*4096], bolt.ErrCorrupt},
		"cut in the middle": {content[:len(content)/8192*4096], bolt.ErrCorrupt},
		"cut in a page":     {content[:100], bolt.ErrCorrupt},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if err := damage(t, c.content, agent); !errors.Is(err, c.want) {
				t.Errorf("Open = %v, want %v", err, c.want)
			}
		})
	}
	t.Run("a folder", func(t *testing.T) {
		_, err := bolt.Open(t.TempDir(), agent)
		refused(t, err, bolt.ErrForeign, protocol.Conflict)
	})
}

// TestZeroedPagesNeverCrash zeroes each of the first pages and some others.
// With Verify every page that is in use is found out before the file is used.
func TestZeroedPagesNeverCrash(t *testing.T) {
	content := whole(t)
	if err := damage(t, content, agent); err != nil {
		t.Fatalf("the sound file: %v", err)
	}
	verify := agent
	verify.Verify = true
	pages := len(content) / 4096
	found := 0
	for page := 0; page < pages; page += 1 + page/16 {
		broken := bytes.Clone(content)
		clear(broken[page*4096 : (page+1)*4096])
		quick := damage(t, broken, agent)
		deep := damage(t, broken, verify)
		if (quick == nil) != (deep == nil) {
			t.Errorf("page %d: %v, but %v with Verify", page, quick, deep)
		}
		if deep != nil {
			found++
		}
	}
	if found == 0 {
		t.Error("no damage was found")
	}
}

// TestBitFlipsNeverCrash flips one bit at 200 places: half of them anywhere,
// half in the headers and tables of pages, where a number leads elsewhere.
func TestBitFlipsNeverCrash(t *testing.T) {
	content := whole(t)
	verify := agent
	verify.Verify = true
	random := rand.New(rand.NewPCG(1, 2))
	refusals, later, unseen := 0, 0, 0
	for i := range 200 {
		at := random.IntN(len(content))
		if i%2 == 0 {
			at = at/4096*4096 + random.IntN(64)
		}
		broken := bytes.Clone(content)
		broken[at] ^= 1 << random.IntN(8)
		quick := damage(t, broken, agent)
		deep := damage(t, broken, verify)
		switch {
		case quick == nil && deep == nil:
			unseen++
		case errors.Is(deep, bolt.ErrCorrupt), errors.Is(deep, bolt.ErrForeign):
			refusals++
		default:
			later++
		}
	}
	t.Logf("%d refused, %d found in a value, %d without effect", refusals, later, unseen)
	if refusals == 0 {
		t.Error("no damage was found")
	}
}

// TestOneTornMetaPageOpens damages one of the two meta pages, as a commit does
// that was cut off.
func TestOneTornMetaPageOpens(t *testing.T) {
	content := whole(t)
	for page := range 2 {
		broken := bytes.Clone(content)
		clear(broken[page*4096+16 : page*4096+40])
		path := filepath.Join(t.TempDir(), "store.db")
		if err := os.WriteFile(path, broken, 0o600); err != nil {
			t.Fatal(err)
		}
		db := open(t, path, agent)
		expectRows(t, db, damagedRows)
		if err := db.Check(t.Context()); err != nil {
			t.Errorf("Check: %v", err)
		}
	}
}

// TestPagesThatAreGoneAreReported cuts the file off below an open store. The
// memory of those pages is then not there, which kills a process that does not
// expect it.
func TestPagesThatAreGoneAreReported(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	db := open(t, path, agent)
	fill(t, db, damagedRows, 200)
	if err := os.Truncate(path, 2*4096); err != nil {
		return // Windows does not let go of pages that are mapped.
	}
	if _, err := rowsOf(t.Context(), db); !errors.Is(err, bolt.ErrCorrupt) {
		t.Errorf("View = %v", err)
	}
	if err := db.Check(t.Context()); !errors.Is(err, bolt.ErrCorrupt) {
		t.Errorf("Check = %v", err)
	}
	for range 2 {
		err := put(t.Context(), db, ledger.Row{Key: key(1), Value: []byte{1}})
		if protocol.CodeOf(err) != protocol.Internal {
			t.Errorf("Update = %v", err)
		}
	}
	_ = db.Close()
}
