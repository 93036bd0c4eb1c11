package till

import (
	"context"
	"encoding/binary"
	"errors"
	"strconv"
	"sync"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// noteAnswer begins the names of kept answers; route and key follow.
const noteAnswer = "answer"

// answerKeptFor is how long an answer is kept at least (HTTP.md).
const answerKeptFor = 7 * 24 * time.Hour

// keyBytesMax bounds an Idempotency-Key.
const keyBytesMax = 128

// runningCalls are the keyed calls that have not been answered yet.
type runningCalls struct {
	mu    sync.Mutex
	calls map[string]struct{}
}

// enter lets a call in unless one with the same key is running. Whoever was
// let in calls release.
func (r *runningCalls) enter(c protocol.Call) (release func(), err error) {
	if c.Key == "" {
		return func() {}, nil
	}
	if !validKey(c.Key) {
		return nil, protocol.OutOfRange("Idempotency-Key", "", "not 1 to "+strconv.Itoa(keyBytesMax)+" visible ASCII characters")
	}
	name := c.Route + "\n" + c.Key
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, busy := r.calls[name]; busy {
		return nil, protocol.Refuse(protocol.InProgress, "The same request is still being worked on. It is recorded at most once. Ask again in a moment for its answer.")
	}
	if r.calls == nil {
		r.calls = map[string]struct{}{}
	}
	r.calls[name] = struct{}{}
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.calls, name)
	}, nil
}

func validKey(key string) bool {
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return false
		}
	}
	return key != "" && len(key) <= keyBytesMax
}

// keptAnswer is the note of an answered call.
type keptAnswer struct {
	sum    uint64
	atMs   int64
	event  protocol.EventID // zero where the call led to none
	answer protocol.Answer
}

const keptHeaderBytes = 8 + 8 + 16 + 8 + 2

func (k keptAnswer) encode() []byte {
	b := make([]byte, 0, keptHeaderBytes+len(k.answer.Body))
	b = binary.BigEndian.AppendUint64(b, k.sum)
	b = binary.BigEndian.AppendUint64(b, uint64(k.atMs))
	b = append(b, k.event.Inc[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(k.event.Seq))
	b = binary.BigEndian.AppendUint16(b, uint16(k.answer.Status))
	return append(b, k.answer.Body...)
}

var errAnswerNote = errors.New("the note of an answer is cut off")

// decodeAnswer copies what it keeps, since b is valid in the transaction only.
func decodeAnswer(b []byte) (*keptAnswer, error) {
	if len(b) < keptHeaderBytes {
		return nil, errAnswerNote
	}
	k := &keptAnswer{sum: binary.BigEndian.Uint64(b), atMs: int64(binary.BigEndian.Uint64(b[8:]))}
	copy(k.event.Inc[:], b[16:])
	k.event.Seq = protocol.Seq(binary.BigEndian.Uint64(b[32:]))
	k.answer.Status = int(binary.BigEndian.Uint16(b[40:]))
	k.answer.Body = append([]byte(nil), b[keptHeaderBytes:]...)
	return k, nil
}

// readAnswer finds the first answer to a call, nil where it is the first time,
// and refuses the key for another body.
func readAnswer(r ledger.Reader, c protocol.Call, sum uint64) (*keptAnswer, error) {
	if c.Key == "" {
		return nil, nil
	}
	b, err := ledger.Note(r, noteAnswer, c.Route, c.Key)
	if err != nil || b == nil {
		return nil, err
	}
	k, err := decodeAnswer(b)
	if err != nil {
		return nil, err
	}
	if k.sum != sum {
		return nil, errOtherBody()
	}
	return k, nil
}

func errOtherBody() error {
	return protocol.Refuse(protocol.IdempotencyMismatch, "This Idempotency-Key was used before for another request. "+
		"What was recorded then stands; nothing was recorded now. Send it with a new key if it is meant.")
}

func keepAnswer(tx ledger.Tx, c protocol.Call, k keptAnswer) error {
	return ledger.SetNote(tx, k.encode(), noteAnswer, c.Route, c.Key)
}

// Old answers are pruned in small steps, so that no sale waits for it.
const (
	pruneEvery = 64  // kept answers between two steps
	pruneRows  = 256 // rows that a step looks at
)

// answersFrom and answersTo enclose the notes of answers.
const (
	answersFrom = noteAnswer + "\x00"
	answersTo   = noteAnswer + "\x01"
)

// prunePosition is where the next step begins.
type prunePosition struct {
	mu   sync.Mutex
	from string
}

// pruneAnswers now and then deletes answers that are older than they need be.
// It has its own transaction; that it fails is not the caller's business.
func (t *Till) pruneAnswers(ctx context.Context, c protocol.Call, now time.Time) {
	if c.Key == "" || t.keyed.Add(1)%pruneEvery != 0 || !t.prune.mu.TryLock() {
		return
	}
	defer t.prune.mu.Unlock()
	from := max(t.prune.from, answersFrom)
	before := now.Add(-answerKeptFor).UnixMilli()
	var old []ledger.Row
	next, seen := "", 0
	err := t.o.Driver.View(ctx, func(r ledger.Reader) error {
		return r.Scan(ledger.Notes, from, answersTo, func(id string, v []byte) (bool, error) {
			if seen++; seen > pruneRows {
				next = id
				return false, nil
			}
			if k, err := decodeAnswer(v); err == nil && k.atMs < before {
				old = append(old, ledger.Row{Key: ledger.Key{Table: ledger.Notes, ID: id}})
			}
			return true, nil
		})
	})
	if err == nil && len(old) > 0 {
		err = t.o.Driver.Update(ctx, func(tx ledger.Tx) error { return tx.Write(old) })
	}
	if err != nil {
		t.o.Log.Warn("old answers were not pruned", "error", err)
		return
	}
	t.prune.from = next
}
