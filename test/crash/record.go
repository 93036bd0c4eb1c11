package main

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/ledger/bolt"
	"counterpart/test/process"
)

const (
	// store, agent and sibling are who is recorded, and who sells beside it.
	store   = "s1"
	agent   = "a1"
	sibling = "a2"
	// database is the file of an agent, and databaseBytesMax how long it may get.
	database         = "agent.db"
	databaseBytesMax = 16 << 30
	// tracePatience bounds how long strace may take to write down an end.
	tracePatience = 30 * time.Second
	lookEvery     = 10 * time.Millisecond
)

// agentOptions are those with which an agent opens its store after an unclean
// stop.
func agentOptions() bolt.Options {
	return bolt.Options{Kind: "agent", Owner: store + "/" + agent, SizeMax: databaseBytesMax, Verify: true}
}

// isStore tells which files of the data folder make up the store, names that it
// has while it is being made included.
func isStore(base string) bool { return strings.HasPrefix(base, database) }

// A recorder runs a chain in which one agent is traced.
type recorder struct {
	host      *process.Host
	hub       *process.Hub
	agent     *process.Agent
	sibling   *process.Agent
	trace     string
	runs      []runEnd
	confirmed []confirmation
}

// A runEnd is what one run of the agent left behind.
type runEnd struct {
	process string
	killed  bool
	files   map[string][]byte
}

// A confirmation is what a till was answered.
type confirmation struct {
	EventID   string `json:"event_id"`
	ReceiptNo string `json:"receipt_no"`
}

// record runs a chain, with real processes, and returns what its agent did.
func record(ctx context.Context, host *process.Host, scale int) (*recording, error) {
	if _, err := exec.LookPath("strace"); err != nil {
		return nil, fmt.Errorf("a recording needs strace, which `make setup` installs on Debian: %w", err)
	}
	r := &recorder{host: host, trace: filepath.Join(host.Dir(), "trace")}
	if err := r.open(ctx); err != nil {
		return nil, err
	}
	if err := r.live(ctx, scale); err != nil {
		return nil, err
	}
	rec, err := r.build()
	if err != nil {
		return nil, err
	}
	return rec, r.complete(ctx, rec)
}

// wrap is the command that runs the agent's. The agent stays our child and can
// be killed by its number; strace ends with it.
func (r *recorder) wrap() []string {
	return []string{
		"strace", "-D", "-f", "-q", "-A", "-o", r.trace, "--seccomp-bpf", "-y", "-xx", "-s", strconv.Itoa(8 << 20),
		"-e", "signal=kill", "-e", "trace=" + traced,
	}
}

// end ends a run of the agent and waits until all of it is in the trace.
func (r *recorder) end(ctx context.Context, killed bool) error {
	pid := strconv.Itoa(r.agent.PID())
	stop := r.agent.Stop
	if killed {
		stop = r.agent.Kill
	}
	if err := stop(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, tracePatience, errors.New("strace does not end"))
	defer cancel()
	if err := process.Await(ctx, lookEvery, func(context.Context) (string, error) {
		ended, err := endsWith(r.trace, pid)
		if err != nil || ended {
			return "", err
		}
		return "the trace does not hold the end of process " + pid, nil
	}); err != nil {
		return err
	}
	run := runEnd{process: pid, killed: killed, files: map[string][]byte{}}
	entries, err := os.ReadDir(r.agent.Data())
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !isStore(e.Name()) {
			continue
		}
		if run.files[e.Name()], err = os.ReadFile(filepath.Join(r.agent.Data(), e.Name())); err != nil {
			return err
		}
	}
	r.runs = append(r.runs, run)
	return nil
}

// endsWith tells whether the end of a process is among the last lines of a
// trace.
func endsWith(path, process string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	last := make([]byte, min(info.Size(), 8<<10))
	if _, err := f.ReadAt(last, info.Size()-int64(len(last))); err != nil {
		return false, err
	}
	for line := range strings.Lines(string(last)) {
		if thread, text, _ := strings.Cut(line, " "); thread == process && strings.HasPrefix(strings.TrimLeft(text, " "), "+++ ") && strings.HasSuffix(line, "\n") {
			return true, nil
		}
	}
	return false, nil
}

// build replays the trace, run by run.
func (r *recorder) build() (*recording, error) {
	f, err := os.Open(r.trace)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	t, err := readTrace(f)
	if err != nil {
		return nil, err
	}
	data, err := filepath.EvalSymlinks(r.agent.Data())
	if err != nil {
		return nil, err
	}
	b := newBuilder(data, isStore)
	next := 0
	for _, run := range r.runs {
		end := t.end
		for _, e := range t.exits {
			if e.process == run.process {
				end = e.at
			}
		}
		for ; next < len(t.calls) && t.calls[next].begin < end; next++ {
			if err := b.call(&t.calls[next]); err != nil {
				return nil, fmt.Errorf("line %d of the trace: %w", t.calls[next].begin+1, err)
			}
		}
		if err := b.endRun(end, run.files); err != nil {
			return nil, err
		}
		b.rec.Told.Runs++
		if run.killed {
			b.rec.Told.Kills++
		}
	}
	b.rec.End, b.rec.Owner = t.end, store+"/"+agent
	return b.rec, b.rec.check()
}

// complete adds what the log holds in the end, and checks that the trace shows
// every answer that a till got.
func (r *recorder) complete(ctx context.Context, rec *recording) (err error) {
	path := filepath.Join(r.agent.Data(), database)
	db, err := bolt.Open(path, agentOptions())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	rec.Told.SizeBytes = db.SizeBytes()
	rec.Hashes = map[string][][32]byte{}
	inTrace := map[string]bool{}
	for _, s := range rec.Shown {
		inTrace[s.Inc+"-"+strconv.FormatUint(s.Seq, 10)] = true
	}
	rec.Told.Confirmed = len(r.confirmed)
	return db.View(ctx, func(reader ledger.Reader) error {
		report, err := ledger.Verify(reader)
		if err != nil || !report.OK() {
			return errors.Join(err, fmt.Errorf("the recorded agent's own store: %v", report))
		}
		streams, err := ledger.AllStreams(reader)
		if err != nil {
			return err
		}
		for _, s := range streams {
			inc := s.Origin.Inc.String()
			if s.Origin.Agent == agent {
				rec.Inc = inc
			}
			if err := ledger.ScanEvents(reader, s.Origin.Inc, 1, func(_ protocol.Seq, h protocol.Hash, _ protocol.Record) (bool, error) {
				rec.Hashes[inc] = append(rec.Hashes[inc], h)
				return true, nil
			}); err != nil {
				return err
			}
		}
		for _, c := range r.confirmed {
			if !inTrace[c.EventID] {
				return fmt.Errorf("event %s was confirmed to a till and the trace does not show it", c.EventID)
			}
			if c.ReceiptNo == "" {
				continue
			}
			if receipt, err := ledger.ReadReceipt(reader, protocol.ReceiptNo(c.ReceiptNo)); err != nil || receipt.Event.String() != c.EventID {
				return fmt.Errorf("receipt %s is not of event %s: %w", c.ReceiptNo, c.EventID, err)
			}
		}
		return nil
	})
}

// save and loadRecording keep a recording in a file.
func (r *recording) save(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(gob.NewEncoder(f).Encode(r), f.Close())
}

func loadRecording(path string) (*recording, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := &recording{}
	if err := gob.NewDecoder(f).Decode(r); err != nil {
		return nil, fmt.Errorf("recording %s: %w", path, err)
	}
	return r, r.check()
}
