package bolt_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"counterpart/protocol/ledger"
	"counterpart/protocol/ledger/bolt"
)

// crashEnv names the store that a child process of the kill test writes to.
const crashEnv = "COUNTERPART_BOLT_CRASH_STORE"

const crashWriters = 4

func TestMain(m *testing.M) {
	if fault := os.Getenv(checkEnv); fault != "" {
		os.Exit(checkChild(fault, os.Args[len(os.Args)-1]))
	}
	if path := os.Getenv(crashEnv); path != "" {
		if err := crashChild(path); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// crashChild commits numbered rows for ever and prints each number after its
// Update returned.
func crashChild(path string) error {
	db, err := bolt.Open(path, bolt.Options{Kind: "agent"})
	if err != nil {
		return err
	}
	ctx := context.Background()
	// The rows of the last run may have gaps, since writers overlap.
	first := 0
	err = db.View(ctx, func(r ledger.Reader) error {
		return r.Scan(ledger.Events, "", "", func(id string, _ []byte) (bool, error) {
			i, err := strconv.Atoi(id)
			first = max(first, i+1)
			return true, err
		})
	})
	if err != nil {
		return err
	}
	errs := make([]error, crashWriters)
	var wg sync.WaitGroup
	for w := range crashWriters {
		wg.Go(func() {
			for i := first + w; errs[w] == nil; i += crashWriters {
				errs[w] = put(ctx, db, ledger.Row{Key: key(i), Value: bytes.Repeat([]byte{byte(i)}, 300)})
				if errs[w] == nil {
					_, errs[w] = fmt.Fprintf(os.Stdout, "%d\n", i)
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// TestKilledProcessKeepsWhatItConfirmed kills a writing process 20 times and
// looks for every row that it had reported.
func TestKilledProcessKeepsWhatItConfirmed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	random := rand.New(rand.NewPCG(3, 4))
	confirmed := map[string]bool{}
	for round := range 20 {
		killAfter(t, path, random.IntN(120), confirmed)
		o := agent
		o.Verify = true
		db := open(t, path, o)
		if err := db.Check(t.Context()); err != nil {
			t.Fatalf("Check: %v", err)
		}
		stored := map[string]bool{}
		err := db.View(t.Context(), func(r ledger.Reader) error {
			return r.Scan(ledger.Events, "", "", func(id string, value []byte) (bool, error) {
				stored[id] = len(value) == 300
				return true, nil
			})
		})
		if err != nil {
			t.Fatal(err)
		}
		for id := range confirmed {
			if !stored[id] {
				t.Fatalf("round %d: row %s was confirmed and is not there", round, id)
			}
		}
		closeDB(t, db)
	}
	t.Logf("%d rows confirmed", len(confirmed))
}

// killAfter starts the child and kills it when it has confirmed count rows. It
// notes all rows that the child confirmed, also between the decision and the
// kill.
func killAfter(t *testing.T, path string, count int, confirmed map[string]bool) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), crashEnv+"="+path)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	for seen := 0; ; seen++ {
		if seen == count {
			_ = child.Process.Kill()
		}
		line, err := lines.ReadString('\n')
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrClosed) {
				t.Errorf("read: %v", err)
			}
			break
		}
		i, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			t.Fatalf("the child says %q", line)
		}
		confirmed[key(i).ID] = true
	}
	_ = child.Wait()
}
