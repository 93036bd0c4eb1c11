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

// lines are what the report shows, each beside what it is held against.
func lines() []line {
	const sells, opens = "agent/till BenchmarkFloor/", "protocol/ledger/bolt BenchmarkOpen/"
	const places = "cloud/hub BenchmarkOrders/clients=64 "
	list := []line{
		{part: "w1", name: "sale in process, 1 till, p50", unit: "us", key: sells + "tills=1 p50-us", floors: []string{sells + "tills=1 bare-p50-us"}, ratioMax: 1.1},
		{part: "w1", name: "  p99", unit: "us", key: sells + "tills=1 p99-us", floors: []string{sells + "tills=1 bare-p99-us"}},
		{part: "w1", name: "  sales", unit: "/s", key: sells + "tills=1 sales/s", floors: []string{sells + "tills=1 bare-sales/s"}},
		{part: "w1", name: "sale in process, 8 tills", unit: "/s", key: sells + "tills=8 sales/s", floors: []string{sells + "tills=8 bare-sales/s"}, ratioMin: 0.9},
		{part: "w1", name: "  p50", unit: "us", key: sells + "tills=8 p50-us", floors: []string{sells + "tills=8 bare-p50-us"}},
		{part: "w1", name: "rows that a sale puts", unit: "", key: sells + "tills=1 puts"},
		{part: "w1", name: "sale over HTTP, 1 till, p99", unit: "ms", key: "http tills=1 p99", floors: []string{"floor http tills=1 p99"}, ratioMax: 3},
		{part: "w1", name: "  p50", unit: "ms", key: "http tills=1 p50", floors: []string{"floor http tills=1 p50"}},
		{part: "w1", name: "  sales", unit: "/s", key: "http tills=1 /s", floors: []string{"floor http tills=1 /s"}},
		{part: "w1", name: "sale over HTTP, 8 tills, p99", unit: "ms", key: "http tills=8 p99", floors: []string{"floor http tills=8 p99"}},
		{part: "w1", name: "  p50", unit: "ms", key: "http tills=8 p50", floors: []string{"floor http tills=8 p50"}},
		{part: "w1", name: "  sales", unit: "/s", key: "http tills=8 /s", floors: []string{"floor http tills=8 /s"}},
		{part: "w2", name: "events, from the line's return to durable and folded", unit: "/s", key: "drain /s", floors: []string{"drain floor /s"}, ratioMin: 0.5},
		{part: "w2", name: "bytes on the wire per event", unit: "B", key: "drain bytes", floors: []string{"drain floor bytes"}, valueMax: 80},
		{part: "w2", name: "CPU per event, both sides", unit: "us", key: "drain cpu", floors: []string{"drain floor cpu"}, valueMax: 15},
		{part: "w2", name: "most memory, agent", unit: "MiB", key: "drain agent MiB", valueMax: 80},
		{part: "w2", name: "most memory, hub with its broker", unit: "MiB", key: "drain hub MiB", valueMax: 150},
		{part: "w2", name: "first event of the backlog", unit: "s", key: "drain first", floors: []string{"drain floor first"}, valueMax: 1},
		{part: "w2", name: "first event after a short outage", unit: "s", key: "first after short", valueMax: 1},
		{part: "w2", name: "first event after a long outage", unit: "s", key: "first after long", valueMax: 1},
		{part: "w2", name: "first event after a line that swallowed packets", unit: "s", key: "first after swallowed", valueMax: 1},
		{part: "w3", name: "events of all agents to durable and folded", unit: "/s", key: "herd /s", floors: []string{"herd floor /s"}, ratioMin: 0.7},
		{part: "w3", name: "CPU of the hub per event", unit: "us", key: "herd cpu", floors: []string{"herd floor cpu"}, valueMax: 12},
		{part: "w3", name: "most memory, hub with its broker", unit: "MiB", key: "herd hub MiB"},
		{part: "w3", name: "batches sent again", unit: "", key: "herd again"},
		{part: "w4", name: "sale to durable at the sibling, p50", unit: "ms", key: "sibling p50", floors: []string{"sibling floor p50"}, ratioMax: 1.3},
		{part: "w4", name: "sale to durable at the sibling, p99", unit: "ms", key: "sibling p99", floors: []string{"sibling floor p99"}, ratioMax: 1.6},
		{part: "w4", name: "of which until A has answered, p50", unit: "ms", key: "sibling request p50"},
		{part: "s", name: "start of the agent to first lookup", unit: "ms", key: "start lookup", floors: []string{"start version"}, valueMax: 25},
		{part: "s", name: "  until it says ready", unit: "ms", key: "start ready"},
		{part: "s", name: "  of which open and look up, in process", unit: "ns", key: opens + "Quick ns/op", floors: []string{opens + "Bare ns/op"}},
		{part: "s", name: "memory after the start", unit: "MiB", key: "start memory"},
		{part: "s", name: "memory after many sales", unit: "MiB", key: "start warm", valueMax: 35},
		{part: "s", name: "  of which pages of files", unit: "MiB", key: "start mapped"},
		{part: "s", name: "CPU of an idle agent, of one core", unit: "%", key: "start idle", valueMax: 1},
		{part: "orders", name: "orders of one item in process, 64 clients", unit: "/s", key: places + "orders/s", floors: []string{places + "bare-orders/s"}, ratioMin: 0.5},
		{part: "orders", name: "  p50", unit: "us", key: places + "p50-us", floors: []string{places + "bare-p50-us"}},
		{part: "orders", name: "  p99", unit: "us", key: places + "p99-us", floors: []string{places + "bare-p99-us"}},
		{part: "orders", name: "rows that an order puts", unit: "", key: places + "puts"},
		{part: "orders", name: "  bytes in them", unit: "B", key: places + "put-bytes"},
		{part: "orders", name: "availability in 200 stores over HTTP, 8 clients, p99", unit: "ms", key: "lookup p99", floors: []string{"lookup floor p99"}, ratioMax: 3},
		{part: "orders", name: "  p50", unit: "ms", key: "lookup p50", floors: []string{"lookup floor p50"}},
		{part: "orders", name: "  lookups", unit: "/s", key: "lookup /s", floors: []string{"lookup floor /s"}},
		{part: "orders", name: "  CPU of the hub", unit: "us", key: "lookup cpu", floors: []string{"lookup floor cpu"}},
		{part: "orders", name: "  bytes of an answer", unit: "B", key: "lookup bytes"},
		{part: "orders", name: "orders of one item over HTTP, 64 clients", unit: "/s", key: "placed /s"},
		{part: "orders", name: "  p50", unit: "ms", key: "placed p50"},
		{part: "orders", name: "  p99", unit: "ms", key: "placed p99"},
		{part: "orders", name: "  CPU of the hub", unit: "us", key: "placed cpu"},
	}
	list = append(list, memberLines()...)
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

func memberLines() []line {
	const finds, spends = "agent/till BenchmarkMemberLookup/card ", "agent/till BenchmarkMemberSell/tills=1 "
	return []line{
		{part: "members", name: "lookup by card among 100,000 members, p99", unit: "us", key: finds + "p99-us", floors: []string{finds + "bare-p99-us"}, ratioMax: 4},
		{part: "members", name: "  p50", unit: "us", key: finds + "p50-us", floors: []string{finds + "bare-p50-us"}},
		{part: "members", name: "sale that earns points, p50", unit: "us", key: spends + "p50-us", floors: []string{spends + "bare-p50-us"}, ratioMax: 1.3},
		{part: "members", name: "  p99", unit: "us", key: spends + "p99-us", floors: []string{spends + "bare-p99-us"}},
		{part: "members", name: "sale that spends some too, p50", unit: "us", key: spends + "spending-p50-us", floors: []string{spends + "bare-p50-us"}, ratioMax: 1.3},
		{part: "members", name: "  p99", unit: "us", key: spends + "spending-p99-us", floors: []string{spends + "bare-p99-us"}},
	}
}

var titles = map[string]string{
	"w1":      "W1. A durable sale of 3 items; the floor is bare bbolt that puts the same keys and values into as many buckets",
	"w2":      "W2. The backlog of one shop, when the line is back; the floor is a bare outbox, paho, mosquitto and bare bbolt",
	"w3":      "W3. Many agents at once; the floor is as many paho clients, mosquitto and bare bbolt",
	"w4":      "W4. A sale on its way to a sibling; the floor is three bare commits and two hops over mosquitto",
	"s":       "S. The start of an agent; the floors are the program that only says its version, and bare bbolt",
	"orders":  "Orders. Orders of one hot item, and where an item is; the floors are the same rows in bare bbolt and the same bytes from a map over net/http",
	"members": "Members. A member who is looked up, and a sale to one; the floors are bare bbolt that gets one value, and the same sale to nobody",
	"link":    "Link. A sale while the hub is away; the floor is the same sale online",
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

	whole   string  // the name, with that of the line above where it goes on
	held    float64 // what is held against the bar: the ratio or the median
	limit   float64 // the bar
	atLeast bool    // the bar is a lower one
}

func newReport(o options, r *record) *report {
	rep := &report{options: o, record: r, machine: machine()}
	above := ""
	for _, l := range lines() {
		whole := l.name
		if rest, goesOn := strings.CutPrefix(l.name, "  "); goesOn {
			whole = above + ", " + rest
		} else {
			above = l.name
		}
		if values := r.values(l.key); len(values) > 0 {
			s := l.figures(r, values)
			s.whole = whole
			rep.lines = append(rep.lines, s)
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
	met := func(bar string, held, limit float64, atLeast bool) {
		ok := held <= limit
		if atLeast {
			ok = held >= limit
		}
		s.Bar, s.Met, s.held, s.limit, s.atLeast = bar, &ok, held, limit, atLeast
	}
	switch {
	case l.ratioMin > 0 && s.Ratio != nil:
		met(fmt.Sprintf(">= %g x", l.ratioMin), *s.Ratio, l.ratioMin, true)
	case l.ratioMax > 0 && s.Ratio != nil:
		met(fmt.Sprintf("<= %g x", l.ratioMax), *s.Ratio, l.ratioMax, false)
	case l.valueMax > 0:
		met(fmt.Sprintf("<= %g %s", l.valueMax, l.unit), s.Median, l.valueMax, false)
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
