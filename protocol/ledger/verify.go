package ledger

import (
	"bytes"
	"context"
	"fmt"

	"counterpart/protocol"
)

// Report is what Verify found.
type Report struct {
	Streams     int
	Events      int64
	Rows        int64
	Differences []string // at most differencesMax, with more only counted
	Different   int64
	// Trimmed streams no longer hold their first events; their chain is
	// checked, but their state cannot be replayed from here.
	Trimmed int
}

const differencesMax = 20

func (r *Report) differ(format string, args ...any) {
	r.Different++
	if len(r.Differences) < differencesMax {
		r.Differences = append(r.Differences, fmt.Sprintf(format, args...))
	}
}

// OK tells whether nothing differed.
func (r *Report) OK() bool { return r.Different == 0 }

// Verify checks the chain of every stream, replays all events into an empty
// ledger, stream by stream, and compares the outcome with the stored state
// (I5, I8). It reads only.
func Verify(r Reader) (*Report, error) {
	rep := &Report{}
	streams, err := AllStreams(r)
	if err != nil {
		return nil, err
	}
	aside, err := eventsAside(r)
	if err != nil {
		return nil, err
	}
	replay := NewMemory()
	for _, info := range streams {
		rep.Streams++
		if err := verifyStream(r, replay, info, aside, rep); err != nil {
			return nil, err
		}
	}
	if rep.Trimmed > 0 {
		return rep, nil
	}
	return rep, replay.View(context.Background(), func(again Reader) error {
		return compareStates(r, again, rep)
	})
}

func verifyStream(r Reader, replay Driver, info StreamInfo, aside map[string]string, rep *Report) error {
	want, prev := protocol.Seq(1), info.Origin.Genesis()
	batch := Batch{Origin: info.Origin, First: 1, Prev: prev}
	flush := func() error {
		if len(batch.Records) == 0 || rep.Trimmed > 0 {
			batch.Records = nil
			return nil
		}
		err := replay.Update(context.Background(), func(tx Tx) error {
			_, err := Apply(tx, batch)
			return err
		})
		batch = Batch{Origin: info.Origin, First: want, Prev: prev}
		return err
	}
	err := ScanEvents(r, info.Origin.Inc, 1, func(seq protocol.Seq, h protocol.Hash, rec protocol.Record) (bool, error) {
		switch {
		case seq != want && want == 1:
			rep.Trimmed++
			want, prev = seq, protocol.Hash{}
		case seq != want:
			rep.differ("stream %s of %s: event %d is missing", info.Origin.Inc, info.Origin.Agent, want)
			return false, nil
		case prev.Next(rec) != h:
			rep.differ("stream %s of %s: event %d does not continue the chain", info.Origin.Inc, info.Origin.Agent, seq)
			return false, nil
		}
		rep.Events++
		rec.Body = bytes.Clone(rec.Body)
		if reason, ok := aside[protocol.EventID{Inc: info.Origin.Inc, Seq: seq}.String()]; ok && rep.Trimmed == 0 {
			if err := flush(); err != nil {
				return false, err
			}
			want, prev, batch = seq+1, h, Batch{Origin: info.Origin, First: seq + 1, Prev: h}
			return true, replay.Update(context.Background(), func(tx Tx) error {
				stream, err := ReadStream(tx, info.Origin)
				if err != nil {
					return err
				}
				return storeDead(tx, StreamInfo{Origin: info.Origin, Stream: stream}, []protocol.Record{rec}, reason)
			})
		}
		batch.Records = append(batch.Records, rec)
		want, prev = seq+1, h
		if len(batch.Records) >= protocol.FrameEventsMax {
			return true, flush()
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	if want != info.Seq+1 && !(want == 1 && info.Seq > 0) || want > 1 && prev != info.Hash {
		rep.differ("stream %s of %s: the cursor says %d, the events end at %d", info.Origin.Inc, info.Origin.Agent, info.Seq, want-1)
	}
	if want == 1 && info.Seq > 0 {
		rep.Trimmed++
	}
	return flush()
}

func compareStates(stored, replayed Reader, rep *Report) error {
	chain, err := Streams(stored, protocol.ChainStore, protocol.HubAgent)
	if err != nil {
		return err
	}
	relevant := func(id string) bool { return len(chain) > 0 || !fromFeeds(id) }
	err = stored.Scan(States, "", "", func(id string, v []byte) (bool, error) {
		if !relevant(id) {
			return true, nil
		}
		rep.Rows++
		values, err := replayed.Load([]Key{{States, id}})
		if err == nil && !bytes.Equal(values[0], v) {
			rep.differ("row %q is stored as %x, the events give %x", id, v, values[0])
		}
		return true, err
	})
	if err != nil {
		return err
	}
	return replayed.Scan(States, "", "", func(id string, v []byte) (bool, error) {
		values, err := stored.Load([]Key{{States, id}})
		if err == nil && values[0] == nil {
			rep.differ("row %q is missing, the events give %x", id, v)
		}
		return true, err
	})
}
