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
	var done Replayed
	for {
		// A stream may go on behind a gap only after the event that records it,
		// which may stand further back in the file: then another pass finds it.
		p := replay{driver: driver, tornBytes: tornBytes, scan: newScanner(f, size), heads: map[protocol.Origin]protocol.Seq{}}
		err := p.run(ctx)
		p.done.Events += done.Events
		news := p.done.Events > done.Events
		done = p.done
		switch {
		case errors.Is(err, ledger.ErrChain):
			return done, refuse(err, "The second copy %s and the backup hold different events under the same numbers: %v. Nothing was changed. "+
				"Keep both files and call support.", path, err)
		case err != nil:
			return done, fmt.Errorf("second copy %s: %w", path, err)
		case len(done.Missing) == 0 || !news:
			return done, nil
		}
	}
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

// run is one pass over the file.
func (p *replay) run(ctx context.Context) error {
	for more := true; more; {
		var err error
		if more, err = p.gather(); err == nil {
			err = p.commit(ctx)
		}
		if err != nil {
			return err
		}
	}
	return p.findMissing(ctx)
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
			if err := p.leaveOut(at, damage); err != nil {
				return false, err
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

// leaveOut moves behind what is damaged. An end that a crash has torn off is one
// that was never synced: it is short, and its last record is cut off by the end
// of the file or was not written at all. Anything else was changed by the disk,
// and may have been safe.
func (p *replay) leaveOut(at int64, damage *damageError) error {
	left, err := p.scan.skip()
	if err != nil {
		return err
	}
	torn := p.scan.at == p.scan.size && left <= p.tornBytes
	if torn && !damage.cut {
		if torn, err = p.scan.zeros(at); err != nil {
			return err
		}
	}
	if torn {
		p.done.Torn = left
	} else {
		p.done.Damaged += left
	}
	return nil
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

// apply takes events in as the hub does. What cannot be applied yet changes
// nothing.
func apply(tx ledger.Tx, ev protocol.PeerEvents) (applied int, err error) {
	records, err := protocol.DecodeFrame(ev.Frame, ev.Count)
	if err != nil {
		return 0, err
	}
	b := ledger.Batch{Origin: ev.Origin, First: ev.FirstSeq, Prev: ev.PrevHash}
	for len(records) > 0 {
		ready, n, err := untilGap(tx, b.Origin, records)
		if err != nil || !ready {
			return applied, err
		}
		b.Records, records = records[:n], records[n:]
		more, err := applyRun(tx, b)
		applied += more
		if err != nil {
			return applied, err
		}
		b.First += protocol.Seq(n)
		for _, rec := range b.Records {
			b.Prev = b.Prev.Next(rec)
		}
	}
	return applied, nil
}

// untilGap is how many of the first records may be applied together. An event
// that records a gap of another stream lets that one go on, so it must find it
// where the gap begins: ready tells whether it would.
func untilGap(r ledger.Reader, o protocol.Origin, records []protocol.Record) (ready bool, n int, err error) {
	if o.Agent != protocol.HubAgent {
		return true, len(records), nil
	}
	for i := range records {
		ev, err := protocol.DecodeEvent(records[i].Body)
		if err != nil || ev.Gap == nil {
			continue
		}
		if i > 0 {
			return true, i, nil
		}
		s, err := ledger.ReadStream(r, protocol.Origin{Store: o.Store, Agent: ev.Gap.Agent, Inc: ev.Gap.Inc})
		if err != nil || s.Seq+1 < ev.Gap.From {
			return false, 0, err
		}
	}
	return true, len(records), nil
}

// applyRun is the fold, and the feeds of the store and of members.
func applyRun(tx ledger.Tx, b ledger.Batch) (int, error) {
	res, err := ledger.Apply(tx, b)
	if _, gap := errors.AsType[*ledger.GapError](err); gap {
		return 0, nil
	}
	if err == nil {
		_, err = ledger.AppendMembers(tx, res.Members)
	}
	if err != nil || res.Applied == 0 || b.Origin.Store == protocol.ChainStore {
		return res.Applied, err
	}
	_, err = ledger.AppendPeer(tx, b.Origin, res.Stream.Seq-protocol.Seq(res.Applied)+1, res.Applied)
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
