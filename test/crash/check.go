package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/ledger/bolt"
)

// digestSeed is the same for all digests of a process.
var digestSeed = maphash.MakeSeed()

// absent is the digest of no store.
const absent = 0

// A content is what a state was found to hold: the digest of all rows, and the
// heads of the streams.
type content struct {
	digest uint64
	heads  map[string]uint64
}

// look opens the store of a state, as an agent does, and digests all rows.
// Where there is no store the digest is absent.
func look(ctx context.Context, path string, each func(ledger.Reader) error) (sum uint64, err error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return absent, nil
	}
	db, err := bolt.Open(path, agentOptions())
	if err != nil {
		return absent, fmt.Errorf("it does not open: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return sum, db.View(ctx, func(r ledger.Reader) error {
		if sum, err = digest(r); err != nil {
			return err
		}
		return each(r)
	})
}

// digest hashes every row of every table.
func digest(r ledger.Reader) (uint64, error) {
	var h maphash.Hash
	h.SetSeed(digestSeed)
	var head [9]byte
	for t := range ledger.TableCount {
		head[0] = byte(t)
		if err := r.Scan(t, "", "", func(id string, value []byte) (bool, error) {
			binary.LittleEndian.PutUint32(head[1:], uint32(len(id)))
			binary.LittleEndian.PutUint32(head[5:], uint32(len(value)))
			_, _ = h.Write(head[:])
			_, _ = h.WriteString(id)
			_, _ = h.Write(value)
			return true, nil
		}); err != nil {
			return 0, err
		}
	}
	return max(h.Sum64(), absent+1), nil
}

// streams reads every stream, checks its chain, and compares it with the log
// of the end, of which it must be a beginning.
func (r *recording) streams(reader ledger.Reader) (map[string]uint64, error) {
	heads := map[string]uint64{}
	all, err := ledger.AllStreams(reader)
	if err != nil {
		return nil, err
	}
	for _, s := range all {
		inc := s.Origin.Inc.String()
		hashes := r.Hashes[inc]
		head, prev := protocol.Seq(0), s.Origin.Genesis()
		err := ledger.ScanEvents(reader, s.Origin.Inc, 1, func(seq protocol.Seq, h protocol.Hash, record protocol.Record) (bool, error) {
			switch {
			case seq != head+1:
				return false, fmt.Errorf("event %d follows event %d", seq, head)
			case prev.Next(record) != h:
				return false, fmt.Errorf("event %d does not continue the chain", seq)
			case int(seq) > len(hashes) || hashes[seq-1] != h:
				return false, fmt.Errorf("event %d is not the one that was recorded", seq)
			}
			head, prev = seq, h
			return true, nil
		})
		if err != nil {
			return nil, fmt.Errorf("stream %s: %w", inc, err)
		}
		if s.Seq != head || s.Head() != prev {
			return nil, fmt.Errorf("stream %s: the cursor says %d, the events end at %d", inc, s.Seq, head)
		}
		heads[inc] = uint64(head)
	}
	return heads, nil
}

// misses says what a content lacks of what was told to a till or to the hub.
func (c *content) misses(required map[string]uint64) error {
	for inc, seq := range required {
		if c.heads[inc] < seq {
			return fmt.Errorf("a till or the hub was told of event %s-%d, the log ends at %d", inc, seq, c.heads[inc])
		}
	}
	return nil
}

// verify replays the log and compares it with the state; then it writes to a
// copy of the store and opens it again.
func (m *image) verify(ctx context.Context, scratch string) error {
	if ok, err := m.copyTo(database, scratch); err != nil || !ok {
		return err
	}
	db, err := bolt.Open(scratch, agentOptions())
	if err != nil {
		return err
	}
	if err := errors.Join(verifyAndWrite(ctx, db), db.Close()); err != nil {
		return err
	}
	var mark []byte
	_, err = look(ctx, scratch, func(r ledger.Reader) error {
		note, err := ledger.Note(r, markNote)
		mark = bytes.Clone(note)
		return err
	})
	if err == nil && string(mark) != markNote {
		err = errors.New("what was written after the crash is gone")
	}
	return err
}

const markNote = "crash-check"

func verifyAndWrite(ctx context.Context, db *bolt.DB) error {
	if err := db.Check(ctx); err != nil {
		return err
	}
	if err := db.View(ctx, func(r ledger.Reader) error {
		report, err := ledger.Verify(r)
		if err == nil && !report.OK() {
			err = fmt.Errorf("the log gives another state: %v", report.Differences)
		}
		return err
	}); err != nil {
		return err
	}
	return db.Update(ctx, func(tx ledger.Tx) error { return ledger.SetNote(tx, []byte(markNote), markNote) })
}

// program runs the agent's own check over a state.
func (m *image) program(ctx context.Context, program string) error {
	if _, err := os.Stat(filepath.Join(m.data(), database)); err != nil {
		return nil // There is nothing that it could check.
	}
	if out, err := exec.CommandContext(ctx, program, "verify", "--data", m.data()).CombinedOutput(); err != nil {
		return fmt.Errorf("the agent's verify: %w: %s", err, out)
	}
	return nil
}
