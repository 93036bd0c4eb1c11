package secondcopy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// Missing is a stretch of a stream that cannot be brought back.
type Missing struct {
	Origin   protocol.Origin
	From, To protocol.Seq
}

// Events is how many events are missing.
func (m Missing) Events() uint64 { return uint64(m.To-m.From) + 1 }

// Replayed says what Replay did.
type Replayed struct {
	Events uint64 // that the database lacked, and has now
	// Missing are events that the file holds, but behind others that are
	// damaged, so that they cannot be used.
	Missing []Missing
	// Damaged is how many bytes of the file are not what was written, its torn
	// end left out. Whose events stood there is not known.
	Damaged int64
	// Torn is how many bytes at the end are no whole record. They were never
	// synced, so nobody was told that they are safe.
	Torn int64
	// Epoch is the highest that any record names.
	Epoch uint64
}

// ReadID finds whose copy a file is.
func ReadID(path string) (ID, error) {
	f, size, err := openForReading(path)
	if err != nil {
		return ID{}, err
	}
	defer f.Close()
	id, err := readHeader(f, size)
	if err != nil {
		return id, refuse(err, "The file %s is not a second copy. Nothing was changed. Correct --second-copy.", path)
	}
	return id, nil
}

func openForReading(path string) (*os.File, int64, error) {
	size, err := regularSize(path)
	if err != nil {
		return nil, 0, unusable(path, err)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, unusable(path, err)
	}
	return f, size, nil
}

// replayEvents bounds the events of one transaction.
const replayEvents = 4096

// Replay puts the events of a copy into a database that lacks some of them, in
// the way in which they first came in. The file is only read. What is there
// already is verified: a copy of another history changes nothing and is
// refused. What is damaged is left out and reported.
func Replay(ctx context.Context, path string, driver ledger.Driver) (Replayed, error) {
	return replayFile(ctx, path, driver, tuned().tornBytes)
}

func replayFile(ctx context.Context, path string, driver ledger.Driver, tornBytes int64) (Replayed, error) {
	f, size, err := openForReading(path)
	if err != nil {
		return Replayed{}, err
	}
	defer f.Close()
	p := replay{driver: driver, tornBytes: tornBytes, scan: newScanner(f, size), heads: map[protocol.Origin]protocol.Seq{}}
	for more := true; more; {
		if more, err = p.gather(); err == nil {
			err = p.commit(ctx)
		}
		if errors.Is(err, ledger.ErrChain) {
			return p.done, refuse(err, "The second copy %s and the backup hold different events under the same numbers: %v. Nothing was changed. "+
				"Keep both files and call support.", path, err)
		}
		if err != nil {
			return p.done, fmt.Errorf("second copy %s: %w", path, err)
		}
	}
	return p.done, p.findMissing(ctx)
}

// replay is a replay that is under way.
type replay struct {
	driver    ledger.Driver
	tornBytes int64
	scan      *scanner
	part      []record
	heads     map[protocol.Origin]protocol.Seq // as the file has them
	done      Replayed
}

// gather reads the records of the next transaction; more is false at the end.
func (p *replay) gather() (more bool, err error) {
	p.part = p.part[:0]
	for events := 0; events < replayEvents; {
		at := p.scan.at
		rec, err := p.scan.next()
		var damage *damageError
		switch {
		case err == io.EOF:
			return false, nil
		case errors.As(err, &damage):
			left, err := p.scan.skip()
			if err != nil {
				return false, err
			}
			if p.scan.at == p.scan.size && p.scan.size-at <= p.tornBytes {
				p.done.Torn = left
			} else {
				p.done.Damaged += left
			}
			continue
		case err != nil:
			return false, err
		}
		events += int(rec.Count)
		p.part = append(p.part, rec)
		p.heads[rec.Origin] = max(p.heads[rec.Origin], rec.FirstSeq+protocol.Seq(rec.Count)-1)
		p.done.Epoch = max(p.done.Epoch, rec.epoch)
	}
	return true, nil
}

// commit applies what was gathered, in one transaction.
func (p *replay) commit(ctx context.Context) error {
	if len(p.part) == 0 {
		return ctx.Err()
	}
	applied := uint64(0)
	err := p.driver.Update(ctx, func(tx ledger.Tx) error {
		applied = 0
		for _, rec := range p.part {
			n, err := apply(tx, rec.PeerEvents)
			if err != nil {
				return fmt.Errorf("stream %s of %s, event %d: %w", rec.Origin.Inc, rec.Origin.Agent, rec.FirstSeq, err)
			}
			applied += uint64(n)
		}
		return nil
	})
	p.done.Events += applied
	return err
}

// apply takes events in as the hub does: the fold, and the store's event feed.
// What stands behind a hole changes nothing.
func apply(tx ledger.Tx, ev protocol.PeerEvents) (int, error) {
	records, err := protocol.DecodeFrame(ev.Frame, ev.Count)
	if err != nil {
		return 0, err
	}
	res, err := ledger.Apply(tx, ledger.Batch{Origin: ev.Origin, First: ev.FirstSeq, Prev: ev.PrevHash, Records: records})
	if _, gap := errors.AsType[*ledger.GapError](err); gap {
		return 0, nil
	}
	if err != nil || res.Applied == 0 || ev.Origin.Store == protocol.ChainStore {
		return res.Applied, err
	}
	_, err = ledger.AppendPeer(tx, ev.Origin, res.Stream.Seq-protocol.Seq(res.Applied)+1, res.Applied)
	return res.Applied, err
}

// findMissing compares what the file holds with what the database has now.
func (p *replay) findMissing(ctx context.Context) error {
	err := p.driver.View(ctx, func(r ledger.Reader) error {
		p.done.Missing = p.done.Missing[:0]
		for o, head := range p.heads {
			s, err := ledger.ReadStream(r, o)
			if err != nil {
				return err
			}
			if s.Seq < head {
				p.done.Missing = append(p.done.Missing, Missing{Origin: o, From: s.Seq + 1, To: head})
			}
		}
		return nil
	})
	slices.SortFunc(p.done.Missing, func(a, b Missing) int { return slices.Compare(a.Origin.Inc[:], b.Origin.Inc[:]) })
	return err
}
