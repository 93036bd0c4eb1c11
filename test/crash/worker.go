package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"

	"counterpart/protocol/ledger"
)

// badShown bounds how many bad states of a window are described.
const badShown = 5

// A job is what a worker is given: a stretch of a recording's windows.
type job struct {
	Recording string
	Dir       string // of its own, empty
	Progress  string // file in which it notes which state comes next
	From, To  int    // windows
	Quotas    []int  // of the windows from From on
	Seed      uint64
	Program   string // the agent's; empty for none
	// VerifyOneIn and ProgramOneIn say how many states there are to one that is
	// also replayed, and to one that the agent's own program looks at.
	VerifyOneIn, ProgramOneIn int
	// Fatal are the states that have ended a worker.
	Fatal []fatal
}

// A fatal state has ended a worker.
type fatal struct {
	At  spot
	Why string
}

// A spot is a state's place: its window, and its number there.
type spot struct{ Window, State int }

// chosen picks one spot in n, spread over windows and states alike.
func (s spot) chosen(n int) bool {
	const odd = 0x9E3779B97F4A7C15
	x := (uint64(s.Window)<<32 + uint64(s.State) + 1) * odd
	return n > 0 && (x^x>>32)*odd>>33%uint64(n) == 0
}

// An outcome is what a worker found in one window. It prints one a line.
type outcome struct {
	Window   int
	States   [stateKinds]int
	Absent   int // states without a store, where there may be none
	Verified int
	Programs int
	Bad      int
	Reports  []string
}

func (o *outcome) bad(at spot, s *state, err error) {
	o.Bad++
	if len(o.Reports) < badShown {
		o.Reports = append(o.Reports, fmt.Sprintf("window %d, state %d (%s): %v", at.Window, at.State, s.kind, err))
	}
}

// A worker checks states. It is a process of its own, because a store that is
// damaged enough can end the process that looks at it.
type worker struct {
	job      job
	rec      *recording
	image    *image
	progress *os.File
}

// work does a job and prints its outcomes.
func work(ctx context.Context, in io.Reader, out io.Writer) (err error) {
	w := &worker{}
	if err := json.NewDecoder(in).Decode(&w.job); err != nil {
		return err
	}
	// Each state opens and closes a store and leaves maps and buffers behind.
	debug.SetGCPercent(400)
	if w.rec, err = loadRecording(w.job.Recording); err != nil {
		return err
	}
	if w.image, err = newImage(w.job.Dir); err != nil {
		return err
	}
	if w.progress, err = os.Create(w.job.Progress); err != nil {
		return err
	}
	lines := json.NewEncoder(out)
	return w.windows(func(n int, win *window, durable *volume) error {
		o, err := w.window(ctx, n, win, durable)
		if err != nil {
			return fmt.Errorf("window %d: %w", n, err)
		}
		return lines.Encode(o)
	})
}

// windows calls see for the windows of the job with what is durable at the
// beginning of each, which the image then holds.
func (w *worker) windows(see func(int, *window, *volume) error) error {
	durable := newVolume()
	next := map[int][]*op{}
	for i := range w.rec.Ops {
		o := &w.rec.Ops[i]
		next[o.Durable] = append(next[o.Durable], o)
	}
	for n, win := range w.rec.windows() {
		ops := next[win.From]
		for _, o := range ops {
			durable.apply(o)
		}
		switch {
		case n >= w.job.To:
			return nil
		case n < w.job.From:
			continue
		case n == w.job.From:
			ops = whole(durable)
		}
		if err := w.image.advance(durable, ops); err != nil {
			return err
		}
		if err := see(n, &win, durable); err != nil {
			return err
		}
	}
	return nil
}

// whole is how an empty disk becomes a volume.
func whole(v *volume) []*op {
	var ops []*op
	for node, content := range v.Files {
		ops = append(ops, &op{Kind: opWrite, Node: node, Data: content}, &op{Kind: opResize, Node: node, Size: int64(len(content))})
	}
	return ops
}

// window checks the states of one window.
func (w *worker) window(ctx context.Context, n int, win *window, durable *volume) (*outcome, error) {
	o := &outcome{Window: n}
	changes := win.changes(durable)
	ends, err := w.ends(ctx, changes)
	if err != nil {
		return nil, err
	}
	at := spot{Window: n}
	newGenerator(w.job.Seed, n, changes).each(w.job.Quotas[n-w.job.From], func(s *state) {
		if err == nil {
			err = w.state(ctx, at, s, changes, func(sum uint64) error { return ends.allow(sum, win.required) }, o)
		}
		at.State++
	})
	if n+1 == w.job.To {
		err = errors.Join(err, w.image.intact())
	}
	return o, err
}

// An end is what a window begins or ends with.
type end struct {
	content
	err error
}

type ends []end

// ends looks at the two states between which a window lies: nothing of it is on
// the disk, or all of it. Changes of stores are atomic, so whatever part of it
// is there has to look like one of the two. An end that is bad allows nothing
// and is found again among the window's states.
func (w *worker) ends(ctx context.Context, changes []change) (ends, error) {
	var list ends
	for _, all := range []bool{false, true} {
		s := empty(changes)
		for i := range changes {
			if all {
				s.set(i, true)
			}
		}
		if err := w.image.show(changes, &s); err != nil {
			return nil, err
		}
		e := end{}
		sum, err := look(ctx, w.image.path(name{folderData, database}), func(r ledger.Reader) error {
			e.heads, e.err = w.rec.streams(r)
			return nil
		})
		if err == nil {
			e.digest = sum
			list = append(list, e)
		}
		if err := w.image.undo(); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// allow tells whether a state may hold what it was found to hold.
func (l ends) allow(digest uint64, required map[string]uint64) error {
	for _, e := range l {
		if e.digest == digest {
			return errors.Join(e.err, e.misses(required))
		}
	}
	if digest == absent {
		return errors.New("the store is gone")
	}
	return errors.New("it holds neither what was there before the change nor what is there after it")
}

// state checks one state. An error means that it could not be checked.
func (w *worker) state(ctx context.Context, at spot, s *state, changes []change, allow func(uint64) error, o *outcome) error {
	o.States[s.kind]++
	if i := slices.IndexFunc(w.job.Fatal, func(f fatal) bool { return f.At == at }); i >= 0 {
		o.bad(at, s, errors.New("it ends the process that opens it: "+w.job.Fatal[i].Why))
		return nil
	}
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], uint64(at.Window))
	binary.LittleEndian.PutUint64(b[8:], uint64(at.State))
	if _, err := w.progress.WriteAt(b[:], 0); err != nil {
		return err
	}
	if err := w.image.show(changes, s); err != nil {
		return err
	}
	sum, err := look(ctx, w.image.path(name{folderData, database}), func(ledger.Reader) error { return nil })
	if err == nil {
		err = allow(sum)
	}
	if err == nil && sum == absent {
		o.Absent++
	}
	if err == nil && at.chosen(w.job.VerifyOneIn) {
		o.Verified++
		err = w.image.verify(ctx, filepath.Join(w.job.Dir, "verified.db"))
	}
	if err == nil && w.job.Program != "" && at.chosen(w.job.ProgramOneIn) {
		o.Programs++
		err = w.image.program(ctx, w.job.Program)
	}
	if err != nil {
		o.bad(at, s, err)
	}
	return w.image.undo()
}
