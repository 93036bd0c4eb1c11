package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"counterpart/test/process"
)

// fullLength tells whether the tests may take hours.
func fullLength() bool { return os.Getenv("COUNTERPART_FULL") == "1" }

// TestI1_I6_CrashStates records an agent and checks a sample of the states that
// a power cut could have left. Then it spoils the recording in the ways in
// which a store or an agent could be wrong, and wants each to be found.
func TestI1_I6_CrashStates(t *testing.T) {
	host, err := process.Open(t.Context(), process.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := host.Close(); err != nil {
			t.Error(err)
		}
	}()
	rec, err := record(t.Context(), host, recordingScale)
	if err != nil {
		t.Fatal(err)
	}
	if rec.Told.Kills == 0 || rec.Told.Confirmed < recordingScale || rec.Told.Sent < recordingScale/4 || len(rec.Hashes) < 3 {
		t.Errorf("the recording is too quiet: %+v, %d streams", rec.Told, len(rec.Hashes))
	}
	worker := buildWorker(t)
	t.Run("sample", func(t *testing.T) { sample(t, rec, worker, host.Agent()) })
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) { caught(t, rec, worker, m) })
	}
}

// buildWorker builds the program that checks states. It is never built with the
// race detector, as this test may be: a worker does one thing at a time, and
// would take ten times as long for it.
func buildWorker(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "crash")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the worker: %v\n%s", err, out)
	}
	return path
}

// planOf is how the tests check a recording.
func planOf(rec *recording, worker string, states int) *plan {
	return &plan{
		recording: rec, states: states, seed: 1, workers: runtime.GOMAXPROCS(0), self: []string{worker},
		verifyOneIn: 200, programOneIn: 500,
	}
}

func sample(t *testing.T, rec *recording, worker, program string) {
	p := planOf(rec, worker, 5_000)
	if fullLength() {
		p.states = 250_000
	}
	p.program = program
	r, err := p.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var table bytes.Buffer
	r.table(&table, rec, p.seed)
	t.Logf("\n%s%s", table.String(), powerCuts())
	for _, report := range r.Reports {
		t.Error(report)
	}
	if r.total() < p.states || r.Verified == 0 || r.Programs == 0 || slices.Contains(r.States[:], 0) {
		t.Errorf("%d of %d states, by kind %v, %d replayed, %d given to the agent's program", r.total(), p.states, r.States, r.Verified, r.Programs)
	}
}

// A mutant is a fault of a store or an agent, done to a recording of a sound
// one, and words of what has to be found then.
type mutant struct {
	name  string
	spoil func(*recording) error
	found string
}

var mutants = []mutant{
	{"syncs ignored", ignoreSyncs, "neither what was there before"},
	{"confirmed before the commit", confirmEarly, "was told of event"},
	{"named before it is whole", nameEarly, "does not open"},
	{"folder never synced", forgetFolder, "the store is gone"},
	{"a write lost", loseWrite, "window"},
	{"another event", changeHash, "is not the one that was recorded"},
}

// caught wants a mutant's fault to be found.
func caught(t *testing.T, rec *recording, worker string, m mutant) {
	spoiled := *rec
	spoiled.Ops, spoiled.Shown = slices.Clone(rec.Ops), slices.Clone(rec.Shown)
	if err := m.spoil(&spoiled); err != nil {
		t.Fatal(err)
	}
	r, err := planOf(&spoiled, worker, 1_500).run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d of %d states are bad", r.Bad, r.total())
	if !slices.ContainsFunc(r.Reports, func(report string) bool { return strings.Contains(report, m.found) }) {
		t.Errorf("%d bad states, none because %q: %.1000q", r.Bad, m.found, r.Reports)
	}
}

// cuts are the moments at which something becomes durable.
func (r *recording) cuts() []int {
	var list []int
	for _, w := range r.windows() {
		list = append(list, w.From)
	}
	return append(list, r.End)
}

// ignoreSyncs lets what was synced become durable two syncs later, as a disk
// does that lies about them.
func ignoreSyncs(r *recording) error {
	cuts := r.cuts()
	for i := range r.Ops {
		if o := &r.Ops[i]; o.Durable != never {
			at, _ := slices.BinarySearch(cuts, o.Durable)
			o.Durable = cuts[min(at+2, len(cuts)-1)]
		}
	}
	return nil
}

// confirmEarly lets the agent answer before its commit, which takes two syncs.
func confirmEarly(r *recording) error {
	cuts := r.cuts()
	for i := range r.Shown {
		at, _ := slices.BinarySearch(cuts, r.Shown[i].At)
		r.Shown[i].At = cuts[max(0, at-3)]
	}
	return nil
}

// nameEarly makes the store under its own name instead of another one.
func nameEarly(r *recording) error {
	made := slices.IndexFunc(r.Ops, func(o op) bool { return o.Kind == opName && o.Name.Folder == folderData })
	named := slices.IndexFunc(r.Ops, func(o op) bool { return o.Kind == opName && o.Name.Base == database })
	if made < 0 || named < 0 {
		return fmt.Errorf("no store is made: ops %d and %d", made, named)
	}
	folder := slices.IndexFunc(r.Ops, func(o op) bool { return o.Kind == opName && o.Name.Folder == folderAbove })
	for _, i := range []int{folder, made} {
		r.Ops[i].Durable = r.Ops[i].End
	}
	r.Ops[made].Name = r.Ops[named].Name
	r.Ops = slices.Delete(r.Ops, named, named+1)
	return nil
}

// forgetFolder never syncs the folder that holds the data folder.
func forgetFolder(r *recording) error {
	for i := range r.Ops {
		if o := &r.Ops[i]; o.isName() && o.Name.Folder == folderAbove {
			o.Durable = never
			return nil
		}
	}
	return fmt.Errorf("no folder is made")
}

// loseWrite leaves out a write behind the middle that is not the last of its
// commit: the longest of those that nothing was written over later, since a page
// that was free soon is missed by nobody.
func loseWrite(r *recording) error {
	type place struct {
		node int
		at   int64
	}
	last := map[place]int{}
	for i, o := range r.Ops {
		if o.Kind == opWrite {
			last[place{o.Node, o.At}] = i
		}
	}
	lost := -1
	for i := len(r.Ops) / 2; i+1 < len(r.Ops); i++ {
		a, b := &r.Ops[i], &r.Ops[i+1]
		if a.Kind != opWrite || b.Kind != opWrite || a.Durable != b.Durable || last[place{a.Node, a.At}] != i {
			continue
		}
		if lost < 0 || len(a.Data) > len(r.Ops[lost].Data) {
			lost = i
		}
	}
	if lost < 0 {
		return fmt.Errorf("no commit writes twice")
	}
	r.Ops = slices.Delete(r.Ops, lost, lost+1)
	return nil
}

// changeHash expects another event in the middle of the agent's own log.
func changeHash(r *recording) error {
	hashes := map[string][][32]byte{}
	for inc, list := range r.Hashes {
		hashes[inc] = slices.Clone(list)
	}
	own := hashes[r.Inc]
	own[len(own)/2][0] ^= 1
	r.Hashes = hashes
	return nil
}
