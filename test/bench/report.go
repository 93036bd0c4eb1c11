package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// A line is one measurement of the report: what to show of the record, beside
// which floor, and what it should come to.
type line struct {
	part   string
	name   string
	unit   string
	key    string
	floors []string // the first that was measured counts
	// ratioMin and ratioMax bound the ratio to the floor, valueMax the value; 0
	// is no bound.
	ratioMin, ratioMax, valueMax float64
}

// The names of floors in the record.
const (
	boltOne   = "protocol/ledger/bolt BenchmarkFloor/tills=1 /s"
	boltEight = "protocol/ledger/bolt BenchmarkFloor/tills=8 /s"
	bareOne   = "protocol/ledger/bolt BenchmarkAgainstBare/Writer1/Update bare-updates/s"
	bareEight = "protocol/ledger/bolt BenchmarkAgainstBare/Writer8/Batch bare-updates/s"
	bareOpen  = "protocol/ledger/bolt BenchmarkOpen/Bare ns/op"
)

// lines are what the report shows. The floors of W1 are bare bbolt with rows of
// the same number and size, that of S is bare bbolt opening the same file, and
// that of the line is the same sale online.
func lines() []line {
	one, eight := []string{boltOne, bareOne}, []string{boltEight, bareEight}
	list := []line{
		{part: "w1", name: "sale in process, 1 till", unit: "/s", key: "agent/till BenchmarkSell/key=false/tills=1 /s", floors: one, ratioMin: 0.9},
		{part: "w1", name: "sale in process, 8 tills", unit: "/s", key: "agent/till BenchmarkSell/key=false/tills=8 /s", floors: eight, ratioMin: 0.9},
		{part: "w1", name: "the rows of a sale, 1 till", unit: "/s", key: "agent/till BenchmarkBareDriver/tills=1 /s", floors: one},
		{part: "w1", name: "the rows of a sale, 8 tills", unit: "/s", key: "agent/till BenchmarkBareDriver/tills=8 /s", floors: eight},
		{part: "w1", name: "sale over HTTP, 1 till", unit: "/s", key: "http tills=1 /s", floors: one},
		{part: "w1", name: "  p50", unit: "ms", key: "http tills=1 p50"},
		{part: "w1", name: "  p99", unit: "ms", key: "http tills=1 p99"},
		{part: "w1", name: "sale over HTTP, 8 tills", unit: "/s", key: "http tills=8 /s", floors: eight},
		{part: "w1", name: "  p50", unit: "ms", key: "http tills=8 p50"},
		{part: "w1", name: "  p99", unit: "ms", key: "http tills=8 p99"},
		{part: "s", name: "open and look up, in process", unit: "ns", key: "protocol/ledger/bolt BenchmarkOpen/Quick ns/op", floors: []string{bareOpen}, ratioMax: 4},
		{part: "s", name: "start of the agent to first lookup", unit: "ms", key: "start lookup", floors: []string{"start version"}, valueMax: 15},
		{part: "s", name: "  until it says ready", unit: "ms", key: "start ready"},
		{part: "s", name: "memory after it", unit: "MiB", key: "start memory", valueMax: 35},
	}
	names := []string{conditions[0].name}
	for _, c := range conditions[1:] {
		names = append(names, c.name)
	}
	for _, name := range append(names, "DNS hangs") {
		for _, figure := range []string{"p50", "p99"} {
			l := line{part: "link", name: "sale, " + name + ", " + figure, unit: "ms", key: "link " + name + " " + figure}
			if name != conditions[0].name {
				l.floors = []string{"link " + conditions[0].name + " " + figure}
			}
			list = append(list, l)
		}
	}
	return list
}

var titles = map[string]string{
	"w1":   "W1. A durable sale of 3 items; the floor is bare bbolt",
	"s":    "S. The start of an agent; the floors are bare bbolt, and the program that only says its version",
	"link": "Link. A sale while the hub is away; the floor is the same sale online",
}

// A report is a record as it is shown.
type report struct {
	options options
	record  *record
	machine map[string]string
	lines   []shown
}

// shown is a line with its figures.
type shown struct {
	Part   string    `json:"part"`
	Name   string    `json:"name"`
	Unit   string    `json:"unit"`
	Median float64   `json:"median"`
	Values []float64 `json:"values"`
	Floor  *float64  `json:"floor_median"`
	Ratio  *float64  `json:"ratio_median"`
	Bar    string    `json:"bar,omitempty"`
	Met    *bool     `json:"met"`
}

func newReport(o options, r *record) *report {
	rep := &report{options: o, record: r, machine: machine()}
	for _, l := range lines() {
		if values := r.values(l.key); len(values) > 0 {
			rep.lines = append(rep.lines, l.figures(r, values))
		}
	}
	return rep
}

// figures are a line's figures, and whether it reaches its bar.
func (l line) figures(r *record, values []float64) shown {
	s := shown{Part: l.part, Name: l.name, Unit: l.unit, Values: values, Median: median(values)}
	for _, floor := range l.floors {
		ratios := r.ratios(l.key, floor)
		if len(ratios) == 0 {
			continue
		}
		under, ratio := median(r.values(floor)), median(ratios)
		s.Floor, s.Ratio = &under, &ratio
		break
	}
	met := func(bar string, ok bool) { s.Bar, s.Met = bar, &ok }
	switch {
	case l.ratioMin > 0 && s.Ratio != nil:
		met(fmt.Sprintf(">= %g x", l.ratioMin), *s.Ratio >= l.ratioMin)
	case l.ratioMax > 0 && s.Ratio != nil:
		met(fmt.Sprintf("<= %g x", l.ratioMax), *s.Ratio <= l.ratioMax)
	case l.valueMax > 0:
		met(fmt.Sprintf("<= %g %s", l.valueMax, l.unit), s.Median <= l.valueMax)
	}
	return s
}

// text is the report as a table.
func (r *report) text() string {
	var out strings.Builder
	for _, fact := range []string{"time", "commit", "machine", "go", "load"} {
		if r.machine[fact] != "" {
			fmt.Fprintf(&out, "%s: %s\n", fact, r.machine[fact])
		}
	}
	fmt.Fprintf(&out, "%d rounds; median [least-most]; ratios are medians of the ratios within a round\n", r.options.rounds)
	part := ""
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	for _, l := range r.lines {
		if l.Part != part {
			part = l.Part
			fmt.Fprintf(table, "\n%s\n\tmeasured\tunit\tfloor\tratio\tbar\t\n", titles[part])
		}
		floor, ratio, verdict := "", "", ""
		if l.Floor != nil {
			floor, ratio = figure(*l.Floor), fmt.Sprintf("%.2f", *l.Ratio)
		}
		if l.Met != nil {
			verdict = map[bool]string{true: "met", false: "MISSED"}[*l.Met]
		}
		fmt.Fprintf(table, "%s\t%s [%s-%s]\t%s\t%s\t%s\t%s\t%s\n", l.Name, figure(l.Median),
			figure(slices.Min(l.Values)), figure(slices.Max(l.Values)), l.Unit, floor, ratio, l.Bar, verdict)
	}
	// A strings.Builder takes everything.
	if err := table.Flush(); err != nil {
		return err.Error()
	}
	for _, note := range r.record.notes {
		fmt.Fprintf(&out, "\n%s\n", note)
	}
	return out.String()
}

// figure writes a number with three digits that count.
func figure(f float64) string {
	if f == 0 {
		return "0"
	}
	digits := max(0, 2-int(math.Floor(math.Log10(math.Abs(f)))))
	return fmt.Sprintf("%.*f", digits, f)
}

// json is the report with everything that was measured.
func (r *report) json() ([]byte, error) {
	return json.MarshalIndent(map[string]any{
		"machine": r.machine, "rounds": r.options.rounds, "results": r.lines, "measured": r.record.rounds, "notes": r.record.notes,
	}, "", "  ")
}

// machine are the facts without which figures mean nothing. What cannot be
// learnt is left out.
func machine() map[string]string {
	facts := map[string]string{
		"time": time.Now().Format(time.RFC3339), "go": runtime.Version(),
		"machine": fmt.Sprintf("%s/%s, %d CPUs", runtime.GOOS, runtime.GOARCH, runtime.NumCPU()),
	}
	if commit, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output(); err == nil {
		facts["commit"] = strings.TrimSpace(string(commit))
	}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, ok := strings.Cut(string(text), "model name"); ok {
			model, _, _ := strings.Cut(rest, "\n")
			facts["machine"] += ", " + strings.Trim(model, "\t :")
		}
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		facts["load"] = strings.Join(strings.Fields(string(text))[:3], " ") + " when it ended (a busy machine measures its neighbours)"
	}
	return facts
}
