package ledger

import (
	"bytes"
	"context"
	"fmt"
	"strings"

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

// Verify checks the chain of every stream and the sums of moves against the
// levels (I9), replays all events into an empty
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
	if err := verifySums(r, streams, rep); err != nil || rep.Trimmed > 0 {
		return rep, err
	}
	return rep, replay.View(context.Background(), func(again Reader) error {
		return compareStates(r, again, rep)
	})
}

// streamCheck walks along one stream.
type streamCheck struct {
	replay Driver
	info   StreamInfo
	aside  map[string]string // events that this machine could not fold
	gaps   map[protocol.Seq]Gap
	rep    *Report
	want   protocol.Seq  // the next event
	prev   protocol.Hash // before it
	batch  Batch         // read and not yet replayed
}

func verifyStream(r Reader, replay Driver, info StreamInfo, aside map[string]string, rep *Report) error {
	gaps, err := gapsOf(r, info.Origin)
	if err != nil {
		return err
	}
	c := &streamCheck{replay: replay, info: info, aside: aside, gaps: gaps, rep: rep, want: 1, prev: info.Origin.Genesis()}
	c.batch = Batch{Origin: info.Origin, First: 1, Prev: c.prev}
	if err := ScanEvents(r, info.Origin.Inc, 1, c.step); err != nil {
		return err
	}
	c.skip(info.Seq + 1)
	if c.want != info.Seq+1 && !(c.want == 1 && info.Seq > 0) || c.want > 1 && c.prev != info.Hash {
		rep.differ("stream %s of %s: the cursor says %d, the events end at %d", info.Origin.Inc, info.Origin.Agent, info.Seq, c.want-1)
	}
	if c.want == 1 && info.Seq > 0 {
		rep.Trimmed++
	}
	return c.flush()
}

func (c *streamCheck) step(seq protocol.Seq, h protocol.Hash, rec protocol.Record) (bool, error) {
	if !c.follows(seq, h, rec) {
		return false, nil
	}
	c.rep.Events++
	rec.Body = bytes.Clone(rec.Body)
	reason, ok := c.aside[protocol.EventID{Inc: c.info.Origin.Inc, Seq: seq}.String()]
	if !ok || c.rep.Trimmed > 0 {
		c.batch.Records = append(c.batch.Records, rec)
		c.want, c.prev = seq+1, h
		if len(c.batch.Records) >= protocol.FrameEventsMax {
			return true, c.flush()
		}
		return true, nil
	}
	if err := c.flush(); err != nil {
		return false, err
	}
	c.want, c.prev, c.batch = seq+1, h, Batch{Origin: c.info.Origin, First: seq + 1, Prev: h}
	return true, c.replay.Update(context.Background(), func(tx Tx) error {
		stream, err := ReadStream(tx, c.info.Origin)
		if err != nil {
			return err
		}
		return storeDead(tx, StreamInfo{Origin: c.info.Origin, Stream: stream}, []protocol.Record{rec}, reason)
	})
}

// follows tells whether an event continues the chain. What was trimmed, and
// what lies in a gap, cannot be replayed.
func (c *streamCheck) follows(seq protocol.Seq, h protocol.Hash, rec protocol.Record) bool {
	o := c.info.Origin
	if seq != c.want {
		_, gap := c.gaps[c.want]
		if c.want == 1 && !gap {
			c.rep.Trimmed++
			c.want = seq
			return true
		}
		if c.skip(seq); c.want != seq {
			c.rep.differ("stream %s of %s: event %d is missing", o.Inc, o.Agent, c.want)
			return false
		}
	}
	if c.prev.Next(rec) != h {
		c.rep.differ("stream %s of %s: event %d does not continue the chain", o.Inc, o.Agent, seq)
		return false
	}
	return true
}

// skip goes over gaps and holes up to an event.
func (c *streamCheck) skip(to protocol.Seq) {
	for c.want < to {
		g, ok := c.gaps[c.want]
		if !ok || g.To >= to {
			return
		}
		c.rep.Trimmed++
		c.want, c.prev = g.To+1, g.Hash
	}
}

// flush replays what was read.
func (c *streamCheck) flush() error {
	if len(c.batch.Records) == 0 || c.rep.Trimmed > 0 {
		c.batch.Records = nil
		return nil
	}
	err := c.replay.Update(context.Background(), func(tx Tx) error {
		_, err := Apply(tx, c.batch)
		return err
	})
	c.batch = Batch{Origin: c.info.Origin, First: c.want, Prev: c.prev}
	return err
}

// gapsOf are the gaps and holes of one stream by the first event that is lost.
func gapsOf(r Reader, o protocol.Origin) (map[protocol.Seq]Gap, error) {
	list, err := Gaps(r, o.Store)
	if err != nil {
		return nil, err
	}
	gaps := map[protocol.Seq]Gap{}
	for _, g := range list {
		if g.Origin == o {
			gaps[g.From] = g
		}
	}
	holes, err := holesOf(r, o.Inc)
	for _, h := range holes {
		gaps[h.From] = h
	}
	return gaps, err
}

func compareStates(stored, replayed Reader, rep *Report) error {
	chain, err := Streams(stored, protocol.ChainStore, protocol.HubAgent)
	if err != nil {
		return err
	}
	if len(chain) > 0 {
		if err := verifyMemberRows(stored, rep); err != nil {
			return err
		}
	}
	relevant := func(id string) bool { return !ofMemberFeed(id) && (len(chain) > 0 || !fromFeeds(id)) }
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
		if err == nil && values[0] == nil && !strings.HasPrefix(id, sumKind+sep) {
			rep.differ("row %q is missing, the events give %x", id, v)
		}
		return true, err
	})
}

// verifySums compares the levels of each store with the sums of its agents,
// where those are known. It needs no events, so it also sees what was trimmed.
func verifySums(r Reader, streams []StreamInfo, rep *Report) error {
	for i, s := range streams {
		if i > 0 && streams[i-1].Origin.Store == s.Origin.Store {
			continue
		}
		audit, err := AuditSums(r, s.Origin.Store)
		if err != nil {
			return err
		}
		if len(audit.Buckets) > 0 {
			rep.differ("store %s: the levels are not the sums of the moves, in parts %v of %d", s.Origin.Store, audit.Buckets, protocol.SumBuckets)
		}
	}
	return nil
}
