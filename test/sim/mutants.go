package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// mutant is a fault that the production code does not have. The simulator must
// find it; an invariant that no mutant breaks is not known to be audited.
type mutant struct {
	name      string
	invariant string
	edits     []edit
}

// edit replaces a text that occurs exactly once in a file.
type edit struct{ file, old, new string }

// verdict is what seeds made of a mutant.
type verdict struct {
	mutant
	seeds uint64 // that were run until one failed
	found string // what that one said; empty: none did
	took  time.Duration
}

// errEscaped says that a mutant was not caught.
var errEscaped = errors.New("mutants escaped")

// mutants runs seeds against each mutant until one fails, and prints a table.
func mutants(ctx context.Context, o options, out io.Writer) error {
	fmt.Fprintf(out, "%-34s %-10s %8s %8s  %s\n", "mutant", "invariant", "seeds", "seconds", "found by")
	escaped := 0
	for _, m := range slices.Concat(table, orderMutants, promiseMutants, memberMutants) {
		if !strings.Contains(m.name, o.mutant) {
			continue
		}
		v, err := try(ctx, m, o)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			escaped++
			v.found = "NOT TRIED: " + err.Error()
		case v.found == "":
			escaped++
			v.found = "ESCAPED"
		}
		fmt.Fprintf(out, "%-34s %-10s %8d %8.1f  %s\n", v.name, v.invariant, v.seeds, v.took.Seconds(), v.found)
	}
	if escaped > 0 {
		return fmt.Errorf("%w: %d", errEscaped, escaped)
	}
	return nil
}

// try builds this program with a mutant in it and runs seeds.
func try(ctx context.Context, m mutant, o options) (v verdict, err error) {
	v.mutant = m
	dir, err := os.MkdirTemp("", "sim-mutant-")
	if err != nil {
		return v, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	overlay, err := m.write(o.root, dir)
	if err != nil {
		return v, err
	}
	program := filepath.Join(dir, "sim")
	build := exec.CommandContext(ctx, "go", "build", "-overlay", overlay, "-o", program, "./test/sim")
	build.Dir = o.root
	if text, err := build.CombinedOutput(); err != nil {
		return v, fmt.Errorf("%w: %s", err, text)
	}
	started := time.Now()
	var text bytes.Buffer
	run := exec.CommandContext(ctx, program, "-seeds", strconv.FormatUint(o.seeds, 10), "-cores", strconv.FormatUint(o.cores, 10))
	run.Stdout, run.Stderr = &text, io.Discard
	err = run.Run()
	v.took = time.Since(started)
	v.seeds, v.found = read(text.String())
	var exit *exec.ExitError
	if err == nil || errors.As(err, &exit) && v.found != "" {
		return v, nil
	}
	return v, fmt.Errorf("%w: %s", err, text.String())
}

// write puts the changed files and the overlay that names them into dir.
func (m mutant) write(root, dir string) (overlay string, err error) {
	texts := map[string]string{}
	for _, e := range m.edits {
		path, err := filepath.Abs(filepath.Join(root, filepath.FromSlash(e.file)))
		if err != nil {
			return "", err
		}
		text, ok := texts[path]
		if !ok {
			b, err := os.ReadFile(path)
			if err != nil {
				return "", err
			}
			text = string(b)
		}
		if n := strings.Count(text, e.old); n != 1 {
			return "", fmt.Errorf("%s holds %q %d times, not once", e.file, e.old, n)
		}
		texts[path] = strings.Replace(text, e.old, e.new, 1)
	}
	replace := map[string]string{}
	for path, text := range texts {
		changed := filepath.Join(dir, strconv.Itoa(len(replace))+"-"+filepath.Base(path))
		if err := os.WriteFile(changed, []byte(text), 0o600); err != nil {
			return "", err
		}
		replace[path] = changed
	}
	b, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay = filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, b, 0o600)
}

// read finds in a run's output how many seeds it took and what failed.
func read(text string) (seeds uint64, found string) {
	for line := range strings.Lines(text) {
		if n, _, ok := strings.Cut(line, " seeds in "); ok {
			if count, err := strconv.ParseUint(n, 10, 64); err == nil {
				seeds = count
			}
		}
		if _, what, ok := strings.Cut(line, " # "); ok && found == "" {
			found = strings.TrimSpace(what)
		}
	}
	return seeds, found
}
