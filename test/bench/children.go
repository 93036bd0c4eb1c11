package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"counterpart/test/process"
)

// A benchmarked package is one whose benchmarks are run. They measure in process
// what these programs may not import.
type benchmarked struct {
	path     string
	pattern  string
	workload string
}

var packages = []benchmarked{
	{"agent/till", "^BenchmarkFloor$", "w1"},
	{"protocol/ledger/bolt", "^BenchmarkOpen$", "s"},
	{"cloud/hub", "^BenchmarkOrders$", "orders"},
	{"agent/till", "^BenchmarkMember(Lookup|Sell)$", "members"},
}

// rowsVariable is where a benchmark finds the file for the rows that a sale
// writes.
const rowsVariable = "COUNTERPART_FLOOR_ROWS"

// rowsPath is that file.
func rowsPath(host *process.Host) string { return filepath.Join(host.Dir(), "data", "floor-rows") }

// children runs the Go benchmarks of the packages as child processes.
type children struct {
	options
	host *process.Host
}

// open builds the benchmarks, so that the rounds do not measure the compiler.
func (c *children) open(ctx context.Context) error {
	root, err := process.Root()
	if err != nil {
		return err
	}
	for _, p := range packages {
		cmd := exec.CommandContext(ctx, "go", "test", "-c", "-o", c.program(p), "./"+p.path)
		cmd.Dir = root
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build the benchmarks of %s: %w\n%s", p.path, err, out)
		}
	}
	return nil
}

func (c *children) program(p benchmarked) string {
	return c.host.Program(strings.ReplaceAll(p.path, "/", "-") + ".test")
}

// round runs each benchmark once.
func (c *children) round(ctx context.Context, r *record) error {
	for _, p := range packages {
		if !c.measures(p.workload) {
			continue
		}
		cmd := exec.CommandContext(ctx, c.program(p), "-test.run=^$", "-test.bench="+p.pattern, "-test.benchtime="+c.benchTime)
		cmd.Env = append(os.Environ(), rowsVariable+"="+rowsPath(c.host))
		cmd.Dir = filepath.Join(c.host.Dir(), "data")
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("benchmarks of %s: %w\n%s", p.path, err, out)
		}
		for name, value := range parseBenchmarks(string(out)) {
			r.add(p.path+" "+name, value)
		}
	}
	return nil
}

var processors = regexp.MustCompile(`-\d+$`)

// parseBenchmarks reads what Go benchmarks print: a name, how often it ran, and
// pairs of a value and its unit. The result is keyed by name and unit; the
// number of processors behind a name is dropped.
func parseBenchmarks(text string) map[string]float64 {
	found := map[string]float64{}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 4 || !strings.HasPrefix(words[0], "Benchmark") {
			continue
		}
		name := processors.ReplaceAllString(words[0], "")
		for i := 2; i+1 < len(words); i += 2 {
			value, err := strconv.ParseFloat(words[i], 64)
			if err != nil {
				continue
			}
			found[name+" "+words[i+1]] = value
			if words[i+1] == "ns/op" && value > 0 {
				found[name+" /s"] = 1e9 / value
			}
		}
	}
	return found
}
