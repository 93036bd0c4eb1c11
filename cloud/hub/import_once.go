package hub

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"sync"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// File is a file of rows as it arrives.
type File struct {
	Table  Table
	Format string           // FormatCSV or FormatNDJSON
	Store  protocol.StoreID // of stock
	Key    string           // the caller's Idempotency-Key, empty for none
	Body   io.Reader
}

// keeper keeps what became of a file in the transaction that makes it so; nil
// keeps nothing.
type keeper func(tx ledger.Tx, report Report) error

// Import takes a file in. One that comes again under its key is not taken in
// again, but gets the first report; another file under that key is refused.
// What was refused as a whole left nothing and may come again.
func (h *Hub) Import(ctx context.Context, f File) (Report, error) {
	if f.Key == "" {
		return h.importFile(ctx, f, nil)
	}
	name := []string{noteReport, f.route(), f.Key}
	if !h.uploads.enter(name[1] + "\n" + name[2]) {
		return Report{}, protocol.Refuse(protocol.InProgress, "The same request is still being worked on. It is recorded at most once. Ask again in a moment for its answer.")
	}
	defer h.uploads.leave(name[1] + "\n" + name[2])
	first, err := h.keptReport(ctx, name)
	if err != nil {
		return Report{}, err
	}
	sum := sha256.New()
	if first != nil {
		if _, err := io.Copy(sum, f.Body); err != nil {
			return Report{}, err
		}
		if !bytes.Equal(sum.Sum(nil), first.sum) {
			return Report{}, protocol.Refuse(protocol.IdempotencyMismatch, "This Idempotency-Key was used before for another file. "+
				"What was recorded then stands; nothing was recorded now. Send it with a new key if it is meant.")
		}
		return first.report, nil
	}
	f.Body = io.TeeReader(f.Body, sum)
	keep := func(tx ledger.Tx, report Report) error {
		b, err := keptReport{atMs: h.running().Milliseconds(), sum: sum.Sum(nil), report: report}.encode()
		if err != nil {
			return err
		}
		return ledger.SetNote(tx, b, name...)
	}
	report, err := h.importFile(ctx, f, keep)
	if err != nil || report.LoadID != nil {
		return report, err // A load kept its report together with its rows.
	}
	return report, h.driver.Update(ctx, func(tx ledger.Tx) error { return keep(tx, report) })
}

// route is what a key belongs to: one key for two stores is two requests.
func (f *File) route() string {
	if f.Table == StockTable {
		return "PUT /v1/stock?store=" + string(f.Store)
	}
	return "PUT /v1/" + string(f.Table)
}

func (h *Hub) importFile(ctx context.Context, f File, keep keeper) (Report, error) {
	rows, err := ReadRows(f.Table, f.Format, f.Body)
	if err != nil {
		return Report{}, err
	}
	switch f.Table {
	case StoresTable:
		return h.ImportStores(ctx, rows)
	case PricesTable:
		return h.ImportPrices(ctx, rows)
	case TaxesTable:
		return h.ImportTaxes(ctx, rows)
	case PromotionsTable:
		return h.ImportPromotions(ctx, rows)
	case StockTable:
		return h.StockLoad(ctx, f.Store, rows, keep)
	}
	return h.ImportItems(ctx, rows)
}

// noteReport begins the names of kept reports; route and key follow.
const noteReport = "answer"

// reportKeptFor is how long a report is kept at least (HTTP.md).
const reportKeptFor = 7 * 24 * time.Hour

// keptReport is the note of what became of a file.
type keptReport struct {
	atMs   int64  // running time
	sum    []byte // SHA-256 of the file
	report Report
}

const keptHeaderBytes = 8 + sha256.Size

func (k keptReport) encode() ([]byte, error) {
	report, err := json.Marshal(k.report)
	b := binary.BigEndian.AppendUint64(make([]byte, 0, keptHeaderBytes+len(report)), uint64(k.atMs))
	return append(append(b, k.sum...), report...), err
}

var errReportNote = errors.New("the note of a report is cut off")

// keptReport finds what became of the first file under a key, nil for none.
func (h *Hub) keptReport(ctx context.Context, name []string) (*keptReport, error) {
	var k *keptReport
	err := h.view(ctx, func(r ledger.Reader) error {
		b, err := ledger.Note(r, name...)
		if err != nil || b == nil {
			return err
		}
		if len(b) < keptHeaderBytes {
			return errReportNote
		}
		k = &keptReport{atMs: int64(binary.BigEndian.Uint64(b)), sum: bytes.Clone(b[8:keptHeaderBytes])}
		return json.Unmarshal(b[keptHeaderBytes:], &k.report)
	})
	return k, err
}

// keyedUploads are the calls with a key that are being worked on.
type keyedUploads struct {
	mu      sync.Mutex
	running map[string]bool
}

// enter lets a file in unless one with the same name is inside.
func (k *keyedUploads) enter(name string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.running[name] {
		return false
	}
	if k.running == nil {
		k.running = map[string]bool{}
	}
	k.running[name] = true
	return true
}

func (k *keyedUploads) leave(name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.running, name)
}

// pruneRows is how many kept answers each Tick looks through.
const pruneRows = 500

// pruneReports deletes some of the answers that are older than they need be, in
// running time, so that no clock makes the hub forget one early (I17). It is
// Tick's alone.
func (h *Hub) pruneReports(ctx context.Context) error {
	from := max(h.pruneFrom, noteReport+"\x00")
	before := (h.running() - reportKeptFor).Milliseconds()
	var old []ledger.Row
	next, seen := "", 0
	err := h.view(ctx, func(r ledger.Reader) error {
		return r.Scan(ledger.Notes, from, noteReport+"\x01", func(id string, v []byte) (bool, error) {
			if seen++; seen > pruneRows {
				next = id
				return false, nil
			}
			if len(v) >= keptHeaderBytes && int64(binary.BigEndian.Uint64(v)) < before {
				old = append(old, ledger.Row{Key: ledger.Key{Table: ledger.Notes, ID: id}})
			}
			return true, nil
		})
	})
	if err == nil && len(old) > 0 {
		err = h.driver.Update(ctx, func(tx ledger.Tx) error { return tx.Write(old) })
	}
	if err == nil {
		h.pruneFrom = next
	}
	return err
}
