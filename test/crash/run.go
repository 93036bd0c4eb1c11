package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// windowPatience bounds how long a worker may take for one window.
	windowPatience = 5 * time.Minute
	// fatalMax bounds how many workers may be lost before a run gives up.
	fatalMax = 50
	// shareWindows is how many windows a worker takes at a time.
	shareWindows = 24
	// spareOneIn is how many states there are to one that is asked for besides.
	spareOneIn = 50
	// outcomeBytes bounds a line of what a worker tells.
	outcomeBytes = 1 << 20
	// complaintShown bounds what is repeated of a worker's last words.
	complaintShown = 600
)

// A plan says how many states of a recording to check, and how.
type plan struct {
	recording *recording
	states    int
	seed      uint64
	workers   int
	program   string
	// verifyOneIn and programOneIn are those of job.
	verifyOneIn, programOneIn int
	// self is the command that runs a worker.
	self []string
	// shown, if set, is told how many states are done.
	shown func(done int)
}

// A result is what a run found.
type result struct {
	outcome
	windows int
	took    time.Duration
}

// total is how many states were checked.
func (o *outcome) total() int {
	n := 0
	for _, states := range o.States {
		n += states
	}
	return n
}

// run shares the windows of a recording among workers.
func (p *plan) run(ctx context.Context) (r *result, err error) {
	dir, err := os.MkdirTemp(fastFolder(), "counterpart-crash-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	file := filepath.Join(dir, "recording")
	if err := p.recording.save(file); err != nil {
		return nil, err
	}
	windows := p.recording.windows()
	// Where states are drawn, some come twice, so that a window gives a little less
	// than it is asked for.
	q := quotas(p.capacities(windows), p.states+p.states/spareOneIn)
	r = &result{windows: len(windows)}
	start := time.Now()
	var mu sync.Mutex
	shares := make(chan job)
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(shares)
		for from := 0; from < len(windows); from += shareWindows {
			to := min(from+shareWindows, len(windows))
			j := job{
				Recording: file, From: from, To: to, Quotas: q[from:to], Seed: p.seed, Program: p.program,
				VerifyOneIn: p.verifyOneIn, ProgramOneIn: p.programOneIn,
			}
			select {
			case shares <- j:
			case <-groupCtx.Done():
				return nil
			}
		}
		return nil
	})
	for i := range p.workers {
		group.Go(func() error {
			for j := range shares {
				if err := p.share(groupCtx, j, filepath.Join(dir, strconv.Itoa(i)), func(o *outcome) {
					mu.Lock()
					defer mu.Unlock()
					r.add(o)
					if p.shown != nil {
						p.shown(r.total())
					}
				}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err = group.Wait()
	r.took = time.Since(start)
	return r, err
}

// fastFolder is a folder in memory if the machine has one, because nothing that
// is checked here depends on the disk below.
func fastFolder() string {
	const memory = "/dev/shm"
	probe, err := os.MkdirTemp(memory, "counterpart-probe-")
	if err != nil {
		return ""
	}
	if os.Remove(probe) != nil {
		return ""
	}
	return memory
}

func (r *result) add(o *outcome) {
	for k := range o.States {
		r.States[k] += o.States[k]
	}
	r.Absent += o.Absent
	r.Verified += o.Verified
	r.Programs += o.Programs
	r.Bad += o.Bad
	r.Reports = append(r.Reports, o.Reports...)
}

// capacities are how many states each window has.
func (p *plan) capacities(windows []window) []int {
	durable := newVolume()
	list := make([]int, len(windows))
	for i := range windows {
		p.recording.became(durable, windows[i].From)
		list[i] = capacity(windows[i].changes(durable))
	}
	return list
}

// share has a worker do a share. A worker that dies is followed by another,
// which begins at the window where the first one ended and leaves out the state
// that was its end.
func (p *plan) share(ctx context.Context, j job, dir string, see func(*outcome)) error {
	first := j.From
	all := j.Quotas
	for range fatalMax {
		if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700)); err != nil {
			return err
		}
		j.Dir, j.Progress, j.Quotas = dir, dir+".progress", all[j.From-first:]
		at, err := p.attempt(ctx, j, func(o *outcome) {
			j.From = o.Window + 1
			see(o)
		})
		if err == nil || at == nil {
			return err
		}
		j.Fatal = append(j.Fatal, fatal{*at, err.Error()})
	}
	return fmt.Errorf("%d states ended the process that opened them; the last: %v", fatalMax, j.Fatal[fatalMax-1])
}

// attempt runs one worker. Where a state was its end it returns which one.
func (p *plan) attempt(ctx context.Context, j job, see func(*outcome)) (at *spot, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	input, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	var complaints bytes.Buffer
	cmd := exec.CommandContext(ctx, p.self[0], p.self[1:]...)
	cmd.Env = append(os.Environ(), workerEnv+"=1")
	cmd.Stdin, cmd.Stderr = bytes.NewReader(input), &complaints
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	held := time.AfterFunc(windowPatience, cancel)
	defer held.Stop()
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, outcomeBytes)
	for lines.Scan() {
		o := &outcome{}
		if err := json.Unmarshal(lines.Bytes(), o); err != nil {
			return nil, errors.Join(fmt.Errorf("worker: %q: %w", lines.Text(), err), cmd.Process.Kill(), cmd.Wait())
		}
		held.Reset(windowPatience)
		see(o)
	}
	err = errors.Join(lines.Err(), cmd.Wait())
	if err == nil {
		return nil, nil
	}
	words, _, _ := strings.Cut(strings.TrimSpace(complaints.String()), "\n\n") // Without the stack.
	err = fmt.Errorf("%w: %s", err, words[:min(len(words), complaintShown)])
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() == workerFailed || ctx.Err() != nil && held.Stop() {
		return nil, fmt.Errorf("worker: %w", err)
	}
	return lastSpot(j.Progress, err)
}

// lastSpot reads at which state a worker ended.
func lastSpot(progress string, cause error) (*spot, error) {
	b, err := os.ReadFile(progress)
	if err != nil || len(b) < 16 {
		return nil, errors.Join(cause, err)
	}
	return &spot{int(binary.LittleEndian.Uint64(b)), int(binary.LittleEndian.Uint64(b[8:]))}, cause
}

// table prints what was found.
func (r *result) table(out io.Writer, rec *recording, seed uint64) {
	t := rec.Told
	fmt.Fprintf(out, "recorded: %d runs of an agent (%d killed), %d confirmations, %d messages to the hub, %d writes and %d syncs of its store of %d KiB\n",
		t.Runs, t.Kills, t.Confirmed, t.Sent, t.Writes, t.Syncs, t.SizeBytes>>10)
	fmt.Fprintf(out, "%-10s %10s\n", "states", "checked")
	for k := stateKind(0); k < stateKinds; k++ {
		fmt.Fprintf(out, "%-10s %10d\n", k, r.States[k])
	}
	fmt.Fprintf(out, "%-10s %10d in %s, %.0f states/s, seed %d, %d windows\n", "all", r.total(), r.took.Round(time.Second/10),
		float64(r.total())/r.took.Seconds(), seed, r.windows)
	fmt.Fprintf(out, "opened %d, rebuilt 0, no store yet %d, bad %d; replayed and written to %d, checked by the agent's program %d\n",
		r.total()-r.Absent-r.Bad, r.Absent, r.Bad, r.Verified, r.Programs)
}
