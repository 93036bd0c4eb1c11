package main

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// TestBench is the whole program with everything small, without the Go
// benchmarks of other packages.
func TestBench(t *testing.T) {
	dir := t.TempDir()
	var out, complaints strings.Builder
	status := command(t.Context(), []string{"-quick", "-out", dir}, &out, &complaints)
	t.Log("\n" + out.String())
	if status != 0 {
		t.Fatalf("status %d: %s", status, complaints.String())
	}
	for _, want := range []string{
		"sale over HTTP, 1 till", "sale over HTTP, 8 tills", "start of the agent to first lookup",
		"events, from the line's return", "bytes on the wire per event", "CPU per event, both sides", "most memory, agent", "first event after a long outage",
		"events of all agents", "CPU of the hub per event", "sale to durable at the sibling, p99", "memory after many sales", "CPU of an idle agent",
		"availability in 200 stores over HTTP, 8 clients, p99", "orders of one item over HTTP, 64 clients",
		"sale, hub unreachable, p99", "sale, hub hangs, p99", "sale, broker accepts, answers nothing, p99", "sale, every second packet lost, p99",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q was not measured", want)
		}
	}
	if !strings.Contains(out.String(), "sale, DNS hangs, p99") && !strings.Contains(out.String(), "Not measured: DNS hangs") {
		t.Error("DNS that hangs was neither measured nor said not to be")
	}
	text, err := os.ReadFile(filepath.Join(dir, "bench.txt"))
	if err != nil || string(text) != out.String() {
		t.Errorf("bench.txt is not what was printed: %v", err)
	}
	var document struct {
		Results []result `json:"results"`
	}
	text, err = os.ReadFile(filepath.Join(dir, "bench.json"))
	if err == nil {
		err = json.Unmarshal(text, &document)
	}
	if err != nil || len(document.Results) < 30 {
		t.Errorf("bench.json has %d results: %v", len(document.Results), err)
	}
	plausible(t, document.Results)
	chart, err := os.ReadFile(filepath.Join(dir, "bench.svg"))
	if err == nil {
		err = xml.Unmarshal(chart, new(struct{}))
	}
	if err != nil {
		t.Errorf("bench.svg is no picture: %v", err)
	}
}

// result is a line of bench.json.
type result struct {
	Part, Name string
	Median     float64
	Floor      *float64 `json:"floor_median"`
}

// plausible fails on figures that no machine can have: they would be a mistake
// in the measuring. What takes no time at all on a fast machine is left out.
func plausible(t *testing.T, results []result) {
	t.Helper()
	bounds := map[string][2]float64{
		"events, from the line's return to durable and folded": {1, 1e7},
		"bytes on the wire per event":                          {20, 2_000},
		"most memory, agent":                                   {1, 1_000},
		"most memory, hub with its broker":                     {1, 2_000},
		"first event of the backlog":                           {1e-4, 60},
		"events of all agents to durable and folded":           {1, 1e7},
		"sale to durable at the sibling, p50":                  {0.05, 60_000},
		"start of the agent to first lookup":                   {0.5, 60_000},
		"availability in 200 stores over HTTP, 8 clients, p99": {0.05, 60_000},
		"orders of one item over HTTP, 64 clients":             {1, 1e6},
	}
	for _, r := range results {
		bound, known := bounds[r.Name]
		if known && (r.Median < bound[0] || r.Median > bound[1]) {
			t.Errorf("%s, %s: %g is not between %g and %g", r.Part, r.Name, r.Median, bound[0], bound[1])
		}
		if known && r.Floor == nil && (r.Part == "w2" || r.Part == "w3" || r.Part == "w4" || strings.HasPrefix(r.Name, "availability")) && !strings.HasPrefix(r.Name, "most memory") {
			t.Errorf("%s, %s: there is no floor", r.Part, r.Name)
		}
	}
}

// TestMain makes this program a worker where the benchmarks start it as one.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == workerArg {
		os.Exit(work(context.Background(), os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

func TestParseBenchmarks(t *testing.T) {
	got := parseBenchmarks(`goos: linux
BenchmarkSell/tills=1-2         	    1000	   2000000 ns/op	  227606 B/op
BenchmarkAgainstBare/Writer1/Update-2	  20	    559085 ns/op	      1801 bare-updates/s
BenchmarkBroken
PASS
`)
	want := map[string]float64{
		"BenchmarkSell/tills=1 ns/op": 2e6, "BenchmarkSell/tills=1 /s": 500, "BenchmarkSell/tills=1 B/op": 227606,
		"BenchmarkAgainstBare/Writer1/Update ns/op": 559085, "BenchmarkAgainstBare/Writer1/Update /s": 1e9 / 559085,
		"BenchmarkAgainstBare/Writer1/Update bare-updates/s": 1801,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("parsed %v", got)
	}
}

func TestPercentile(t *testing.T) {
	values := []float64{5, 1, 4, 2, 3}
	for p, want := range map[float64]float64{0: 1, 20: 1, 21: 2, 50: 3, 99: 5, 100: 5} {
		if got := percentile(values, p); got != want {
			t.Errorf("percentile %g is %g, want %g", p, got, want)
		}
	}
	if !math.IsNaN(median(nil)) {
		t.Error("nothing has a median")
	}
}

// TestRatiosAreWithinARound would fail if a slow round were held against the
// floor of a fast one.
func TestRatiosAreWithinARound(t *testing.T) {
	r := &record{}
	for _, round := range [][2]float64{{90, 100}, {9, 10}, {900, 1_000}} {
		r.begin()
		r.add("ours", round[0])
		r.add("floor", round[1])
	}
	r.begin()
	r.add("ours", 1)
	if got := r.ratios("ours", "floor"); !reflect.DeepEqual(got, []float64{0.9, 0.9, 0.9}) {
		t.Errorf("ratios %v", got)
	}
	for _, c := range []struct {
		line line
		bar  string
		met  bool
	}{
		{line{key: "ours", floors: []string{"none", "floor"}, ratioMin: 0.9}, ">= 0.9 x", true},
		{line{key: "ours", floors: []string{"floor"}, ratioMin: 0.95}, ">= 0.95 x", false},
		{line{key: "ours", floors: []string{"floor"}, ratioMax: 0.5}, "<= 0.5 x", false},
		{line{key: "ours", unit: "ms", valueMax: 9}, "<= 9 ms", true},
		{line{key: "ours", unit: "ms", valueMax: 8}, "<= 8 ms", false},
	} {
		got := c.line.figures(r, r.values("ours"))
		if got.Met == nil || got.Bar != c.bar || *got.Met != c.met {
			t.Errorf("%+v gives %+v", c.line, got)
		}
	}
}

func TestFigures(t *testing.T) {
	for f, want := range map[float64]string{0: "0", 0.01234: "0.0123", 1.234: "1.23", 12.34: "12.3", 123.4: "123", 12_345: "12345"} {
		if got := figure(f); got != want {
			t.Errorf("%g is written %s, want %s", f, got, want)
		}
	}
}

func TestParse(t *testing.T) {
	for _, args := range [][]string{{"-rounds", "0"}, {"-workloads", "w1,w9"}, {"-items", "1"}, {"x"}, {"-no-such-flag"}} {
		if status := command(t.Context(), args, new(strings.Builder), new(strings.Builder)); status != 2 {
			t.Errorf("%v gives status %d, want 2", args, status)
		}
	}
}
