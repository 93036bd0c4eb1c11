package webhooks

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"counterpart/protocol/ledger"
)

// Notes. An endpoint's cursor says that every message up to it is done, or has a
// row of its own: one that failed, or waits for one that did, is open; one that
// failed for the last time is dead.
const (
	noteEndpoint = "webhook"
	noteCursor   = "webhook-cursor"
	noteOpen     = "webhook-open"
	noteDead     = "webhook-dead"
)

// deadKeptFor is how much running time a dead letter is kept for: as long as its
// message is.
const deadKeptFor = 30 * 24 * time.Hour

// open is a message that is not done although the cursor has passed it.
type open struct {
	Position uint64 `json:"-"`
	Key      string `json:"key"`
	Attempts int    `json:"attempts"`
	DueMs    int64  `json:"due_ms"` // running time
	Error    string `json:"error"`
	sending  bool
}

// dead is a message that failed for the last time.
type dead struct {
	Position uint64 `json:"-"`
	ID       string `json:"id"`
	Type     string `json:"type"`
	Key      string `json:"key"`
	Attempts int    `json:"attempts"`
	Error    string `json:"error"`
	AtMs     int64  `json:"at_ms"`
	DeadMs   int64  `json:"dead_ms"`
	RanMs    int64  `json:"ran_ms"`
}

func (d *dead) document() DeadDocument {
	return DeadDocument{ID: d.ID, Type: d.Type, Subject: d.Key, Attempts: d.Attempts, Error: d.Error, At: timeText(d.AtMs), DeadAt: timeText(d.DeadMs)}
}

// rowName is the name of a message's row of an endpoint.
func rowName(note, endpoint string, position uint64) []string {
	return []string{note, endpoint, positionText(position)}
}

func positionText(position uint64) string { return fmt.Sprintf("%016x", position) }

// scanRows calls fn for the rows of an endpoint behind a position.
func scanRows(r ledger.Reader, note, endpoint string, behind uint64, fn func(position uint64, v []byte) (bool, error)) error {
	prefix := note + "\x00" + endpoint + "\x00"
	return r.Scan(ledger.Notes, prefix+positionText(behind+1), note+"\x00"+endpoint+"\x01", func(id string, v []byte) (bool, error) {
		var position uint64
		if _, err := fmt.Sscanf(id[len(prefix):], "%016x", &position); err != nil {
			return false, fmt.Errorf("row %q: %w", id, err)
		}
		return fn(position, v)
	})
}

func readCursor(r ledger.Reader, endpoint string) (uint64, error) {
	b, err := ledger.Note(r, noteCursor, endpoint)
	if err != nil || len(b) != 8 {
		return 0, err
	}
	return binary.BigEndian.Uint64(b), nil
}

func writeCursor(tx ledger.Tx, endpoint string, position uint64) error {
	return ledger.SetNote(tx, binary.BigEndian.AppendUint64(nil, position), noteCursor, endpoint)
}

func decodeOpen(position uint64, v []byte) (*open, error) {
	o := &open{Position: position}
	if err := json.Unmarshal(v, o); err != nil {
		return nil, fmt.Errorf("webhook: open message: %w", err)
	}
	o.Attempts = max(0, o.Attempts)
	return o, nil
}

func decodeDead(position uint64, v []byte) (dead, error) {
	d := dead{Position: position}
	if err := json.Unmarshal(v, &d); err != nil {
		return d, fmt.Errorf("webhook: dead letter: %w", err)
	}
	return d, nil
}

// readProgress is how far an endpoint is.
func readProgress(r ledger.Reader, endpoint string) (cursor uint64, list map[uint64]*open, err error) {
	if cursor, err = readCursor(r, endpoint); err != nil {
		return 0, nil, err
	}
	list = map[uint64]*open{}
	err = scanRows(r, noteOpen, endpoint, 0, func(position uint64, v []byte) (bool, error) {
		o, err := decodeOpen(position, v)
		list[position] = o
		return err == nil, err
	})
	return cursor, list, err
}

// rewind puts an endpoint's cursor back, and forgets what became of the messages
// behind it.
func rewind(tx ledger.Tx, endpoint string, cursor uint64) error {
	before, err := readCursor(tx, endpoint)
	if err != nil || cursor > before {
		return err // What it has not come to yet is sent anyway.
	}
	return forget(tx, endpoint, cursor, writeCursor)
}

// forget deletes the rows of an endpoint behind a position, and then sets its
// cursor.
func forget(tx ledger.Tx, endpoint string, behind uint64, set func(ledger.Tx, string, uint64) error) error {
	for _, note := range []string{noteOpen, noteDead} {
		var rows []ledger.Row
		err := scanRows(tx, note, endpoint, behind, func(position uint64, _ []byte) (bool, error) {
			rows = append(rows, ledger.Row{Key: ledger.Key{Table: ledger.Notes, ID: note + "\x00" + endpoint + "\x00" + positionText(position)}})
			return true, nil
		})
		if err != nil {
			return err
		}
		if err := tx.Write(rows); err != nil {
			return err
		}
	}
	return set(tx, endpoint, behind)
}
