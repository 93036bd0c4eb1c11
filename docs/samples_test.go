package docs_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// A sample is a small tree for one rule. The rule must find exactly the places
// in want, each the start of a finding's text; no want means that it must pass.
type sample struct {
	rule  string
	name  string
	files map[string]string
	want  []string
}

// sampleTable is the import table of the samples.
const sampleTable = "# A\n\n## Import table\n\nWords.\n\n" +
	"| package | may import (project packages) | may import (outside) |\n|---|---|---|\n" +
	"| `@pure` | — | `std`, `!net/**`, `!os/**` |\n" +
	"| `@tests` | `a/seam` | `std`, `example.org/check` |\n" +
	"| `a` | `a/*` | `std` |\n" +
	"| `a/*` | — | `@pure`, `example.org/lib/**` |\n" +
	"| `a/api/**` | `a/web` | `@pure` |\n\n## After\n\n| no | table |\n"

// one is a tree of a single file.
func one(path, text string) map[string]string { return map[string]string{path: text} }

// with is the tree of the import table and one more file.
func with(path, text string) map[string]string {
	return map[string]string{architecture: sampleTable, path: text}
}

var importSamples = []sample{
	{"import-table", "root wires", with("a/a.go", `package a; import _ "counterpart/a/till"`), nil},
	{"import-table", "sibling", with("a/till/x.go", `package till; import _ "counterpart/a/uplink"`), []string{"a/till/x.go:1: import-table: a/till may not import counterpart/a/uplink"}},
	{"import-table", "sibling in a test", with("a/till/x_test.go", `package till; import _ "counterpart/a/uplink"`), []string{"a/till/x_test.go:1"}},
	{"import-table", "seam in a test", with("a/till/x_test.go", `package till_test; import (_ "counterpart/a/seam"; _ "counterpart/a/till"; _ "net"; _ "example.org/check")`), nil},
	{"import-table", "the seam outside tests", with("a/till/x.go", "package till\nimport _ \"counterpart/a/seam\""), []string{"a/till/x.go:2"}},
	{"import-table", "the more specific row", with("a/api/x.go", `package api; import _ "counterpart/a/web"`), nil},
	{"import-table", "and it alone", with("a/api/x.go", `package api; import _ "example.org/lib"`), []string{"a/api/x.go:1"}},
	{"import-table", "the root from below", with("a/till/x.go", `package till; import _ "counterpart/a"`), []string{"a/till/x.go:1"}},
	{"import-table", "taken away", with("a/till/x.go", "package till\nimport (\n_ \"net\"\n_ \"net/http\"\n_ \"os\"\n_ \"fmt\")"), []string{"a/till/x.go:3", "a/till/x.go:4", "a/till/x.go:5"}},
	{"import-table", "library below", with("a/till/x.go", `package till; import _ "example.org/lib/v2/part"`), nil},
	{"import-table", "library unknown", with("a/till/x.go", `package till; import _ "example.org/library"`), []string{"a/till/x.go:1"}},
	{"import-table", "another system's file", with("a/till/x_windows.go", `package till; import _ "os"`), []string{"a/till/x_windows.go:1"}},
	{"import-table", "no row", with("b/x.go", `package b`), []string{"b/x.go: import-table: package b has no row"}},
	{"import-table", "no row, with imports", with("a/till/deep/x.go", `package deep; import _ "fmt"`), []string{"a/till/deep/x.go:1: import-table: package a/till/deep has no row"}},
	{"import-table", "dot import", with("a/a.go", `package a; import . "fmt"`), []string{"a/a.go:1: import-table: a dot import"}},
	{"import-table", "testdata is no package", with("a/testdata/x.go", `package x; import _ "example.org/any"`), nil},
	{"import-table", "no heading", one(architecture, "# A\n"), []string{architecture + ": import-table: no heading"}},
	{"import-table", "no table", one(architecture, "## Import table\n\nSoon.\n"), []string{architecture + ": import-table: no table"}},
	{"import-table", "two rows", one(architecture, strings.Replace(sampleTable, "`a/api/**`", "`a/*`", 1)), []string{architecture + ": import-table: row"}},
	{"import-table", "bare word", one(architecture, strings.Replace(sampleTable, "`a/web`", "a/web", 1)), []string{architecture + ": import-table: row"}},
	{"import-table", "unknown list", one(architecture, strings.Replace(sampleTable, "| `@pure` |", "| `@clean` |", 1)), []string{architecture + ": import-table: no row @pure"}},
	{"import-table", "circle", one(architecture, strings.Replace(sampleTable, "`std`, `!net/**`", "`@pure`", 1)), []string{architecture + ": import-table: @pure takes over itself"}},
}

var codeSamples = []sample{
	{"parse", "sound", one("a/x.go", "package a"), nil},
	{"parse", "torn", one("a/x.go", "package a\nfunc {"), []string{"a/x.go: parse"}},

	{"pure", "clock", one("protocol/x.go", "package protocol\nimport \"time\"\nvar at = time.Now()"), []string{"protocol/x.go:3: pure: time.Now"}},
	{"pure", "clock as a value", one("protocol/sale/x.go", "package sale\nimport \"time\"\nvar now = time.Now"), []string{"protocol/sale/x.go:3"}},
	{"pure", "clock under another name", one("protocol/x.go", "package protocol\nimport tm \"time\"\nvar at = tm.Now()"), []string{"protocol/x.go:3"}},
	{"pure", "timer", one("protocol/x.go", "package protocol\nimport \"time\"\nvar c = time.After(time.Second)"), []string{"protocol/x.go:3: pure: time.After"}},
	{"pure", "goroutine", one("protocol/ledger/x.go", "package ledger\nfunc f() {\n\tgo f()\n}"), []string{"protocol/ledger/x.go:3: pure: a goroutine"}},
	{"pure", "durations", one("protocol/x.go", "package protocol\nimport \"time\"\nconst d = time.Second"), nil},
	{"pure", "tests", one("protocol/x_test.go", "package protocol\nimport \"time\"\nvar at = time.Now()\nfunc f() { go f() }"), nil},
	{"pure", "driver and simulator", map[string]string{
		"protocol/ledger/bolt/x.go": "package bolt\nimport \"time\"\nvar at = time.Now()",
		"protocol/sim/x.go":         "package sim\nfunc f() { go f() }",
		"agent/x.go":                "package agent\nfunc f() { go f() }",
	}, nil},

	{"process", "environment", one("agent/till/x.go", "package till\nimport \"os\"\nvar v = os.Getenv(\"V\")"), []string{"agent/till/x.go:3: process: os.Getenv"}},
	{"process", "exit", one("cloud/x.go", "package cloud\nimport \"os\"\nfunc f() { os.Exit(1) }"), []string{"cloud/x.go:3: process: os.Exit"}},
	{"process", "hidden exit", one("cloud/x.go", "package cloud\nimport \"log\"\nfunc f() { log.Fatalf(\"\") }"), []string{"cloud/x.go:3: process: log.Fatalf"}},
	{"process", "allowed", map[string]string{
		"cloud/cmd/counterpart-hub/x.go": "package main\nimport \"os\"\nvar v = os.Getenv(\"V\")",
		"agent/service/x.go":             "package service\nimport \"os\"\nfunc f() { os.Exit(1) }",
		"agent/till/x_test.go":           "package till\nimport \"os\"\nvar v = os.Getenv(\"V\")",
		"agent/till/x.go":                "package till\nimport \"os\"\nvar v = os.Args",
	}, nil},

	{"package-name", "banned", one("agent/util/x.go", "package util"), []string{"agent/util/x.go: package-name"}},
	{"package-name", "banned folder", one("agent/helpers/x.go", "package fine"), []string{"agent/helpers/x.go: package-name"}},
	{"package-name", "banned in a test", one("agent/x_test.go", "package types_test"), []string{"agent/x_test.go: package-name"}},
	{"package-name", "spoken", one("agent/till/x.go", "package till"), nil},

	{"package-comment", "none", one("agent/x.go", "package agent"), []string{"agent: package-comment: no file of package agent"}},
	{"package-comment", "only a directive", one("agent/x.go", "//go:build linux\npackage agent"), []string{"agent: package-comment"}},
	{"package-comment", "two", map[string]string{
		"agent/x.go": "// Package agent is.\npackage agent", "agent/y.go": "// Package agent was.\npackage agent",
	}, []string{"agent/y.go: package-comment: a second package comment; the first is in agent/x.go"}},
	{"package-comment", "only in a test", map[string]string{
		"agent/x.go": "package agent", "agent/x_test.go": "// Package agent is.\npackage agent",
	}, []string{"agent: package-comment"}},
	{"package-comment", "one, and tests without", map[string]string{
		"agent/x.go": "// Package agent is.\npackage agent", "agent/y.go": "package agent",
		"agent/x_test.go": "package agent", "agent/y_test.go": "package agent_test",
	}, nil},
	{"package-comment", "tests alone", one("docs/x_test.go", "package docs_test"), []string{"docs: package-comment"}},

	{"length", "short", one("agent/x.go", "package agent\nfunc f() {"+strings.Repeat("\n", 69)+"}"), nil},
	{"length", "function", one("agent/x.go", "package agent\nfunc (t *T) f() {"+strings.Repeat("\n", 70)+"}"), []string{"agent/x.go:2 T.f: length: 71 lines, at most 70"}},
	{"length", "file of the limit", one("agent/x.go", "package agent\n"+strings.Repeat("\n", 599)), nil},
	{"length", "file", one("agent/x.go", "package agent\n"+strings.Repeat("\n", 600)), []string{"agent/x.go: length: 601 lines, at most 600"}},
	{"length", "generated", one("agent/x.pb.go", "// Code generated by x. DO NOT EDIT.\n\npackage agent\n"+strings.Repeat("\n", 700)), nil},

	{"interface-size", "five", one("agent/x.go", "package agent\ntype T interface{ A(); B(); C(); D(); E() }"), nil},
	{"interface-size", "six", one("agent/x.go", "package agent\ntype T interface{ A(); B(); C(); D(); E(); F() }"), []string{"agent/x.go:2: interface-size: interface T has 6"}},

	{"test-sleep", "sleep", one("agent/x_test.go", "package agent\nimport \"time\"\nfunc f() { time.Sleep(1) }"), []string{"agent/x_test.go:3: test-sleep"}},
	{"test-sleep", "suite", one("protocol/ledger/ledgertest/x.go", "package ledgertest\nimport \"time\"\nfunc f() { time.Sleep(1) }"), []string{"protocol/ledger/ledgertest/x.go:3"}},
	{"test-sleep", "program", one("agent/x.go", "package agent\nimport \"time\"\nfunc f() { time.Sleep(1) }"), nil},

	{"test-skip", "skip", one("agent/x_test.go", "package agent\nimport \"testing\"\nfunc TestX(t *testing.T) { t.Skip() }"), []string{"agent/x_test.go:3: test-skip: t.Skip"}},
	{"test-skip", "inner", one("agent/x_test.go", "package agent\nimport \"testing\"\nfunc f(tb testing.TB) { func() { tb.Skipf(\"\") }() }"), []string{"agent/x_test.go:3: test-skip: tb.Skipf"}},
	{"test-skip", "renamed", one("agent/x_test.go", "package agent\nimport check \"testing\"\nfunc BenchmarkX(b *check.B) { b.SkipNow() }"), []string{"agent/x_test.go:3"}},
	{"test-skip", "rapid's draw", one("agent/x_test.go", "package agent\nimport \"testing\"\nfunc TestX(t *testing.T) { rapid.Check(t, func(t *rapid.T) { t.Skip() }) }"), nil},
	{"test-skip", "a decoder", one("agent/x.go", "package agent\nfunc f(d *Decoder) { d.Skip() }"), nil},
}

var tidySamples = []sample{
	{"left-over", "later", one("agent/x.go", "package agent\n// TO"+"DO: later"), []string{"agent/x.go:2: left-over: TO" + "DO"}},
	{"left-over", "other kinds", one("a.html", "HA"+"CK\nFIX"+"ME\n// XX"+"X\nXX"+"X(me): no"), []string{"a.html:1", "a.html:2", "a.html:3", "a.html:4"}},
	{"left-over", "other words", map[string]string{
		"a.md": "HACKING, todo list, mastodon; a pattern 20 XXX RR V PPPP C", "a/testdata/x.txt": "TO" + "DO",
		"a.pb.go": "// Code generated by x. DO NOT EDIT.\n\npackage a\n\n// TO" + "DO",
	}, nil},

	{"link", "sound", map[string]string{
		"docs/A.md": "# The `one` thing!\n[x](B.md) [y](../agent) [z](#the-one-thing) ![i](B.md#b \"title\") [w](https://example.org/no) [m](mailto:a@example.org) [r](/docs/B.md)\n[ref]: ../agent/x.go\n" +
			"```\n[in](code.md)\n```\n`[in](code.md)`\n<a id=\"own\"></a> [o](#own)",
		"docs/B.md": "# B\n", "agent/x.go": "package agent",
	}, nil},
	{"link", "missing", map[string]string{"docs/A.md": "see\n[x](B.md) and [y](../no/)\n[ref]: gone.md\n"}, []string{"docs/A.md:2: link: link ../no/", "docs/A.md:2: link: link B.md", "docs/A.md:3"}},
	{"link", "after code", one("A.md", "```sh\nx\n```\n[x](B.md)"), []string{"A.md:4"}},
	{"link", "outside the tree", one("docs/A.md", "[x](../../elsewhere.md)"), []string{"docs/A.md:1"}},
	{"link", "missing heading", map[string]string{"A.md": "[x](B.md#c) [y](#b)", "B.md": "# B"}, []string{"A.md:1: link: link #b", "A.md:1: link: link B.md#c"}},

	{"make-target", "known", map[string]string{
		"Makefile": "ROUNDS := 3\nbuild test: x\n\tgo\nkill:\nhelp: ## List.\n",
		"A.md":     "Make sure. We make things. `make build test`\n```\n$ make kill ROUNDS=5 && A=b make -j help # make it\nmake -C other thing\n```",
	}, nil},
	{"make-target", "unknown", map[string]string{
		"Makefile": "build:\nROUNDS := 3\n", "A.md": "`make built`\n\n```\ncd x && make build gone\nmake ROUNDS\n```",
	}, []string{"A.md:1: make-target: make built", "A.md:4: make-target: make gone", "A.md:5: make-target: make ROUNDS"}},

	{"machine-path", "paths", one("a.sh", "cd /wo"+"rk/x\nx=\"/ho"+"me/ann/y\"\n(/ro"+"ot/.cache)\n'/Us"+"ers/ann/z'"), []string{"a.sh:1", "a.sh:2", "a.sh:3", "a.sh:4"}},
	{"machine-path", "others", one("a.md", "https://example.org/wo"+"rk/x agent/wo"+"rk/ ~/wo"+"rk/ /var/lib/counterpart/ /homestead/ ../wo"+"rk/"), nil},
}

// TestRulesOnSamples shows that each rule trips where it should, and only there.
func TestRulesOnSamples(t *testing.T) {
	byName := map[string]rule{}
	trips, passes := map[string]bool{}, map[string]bool{}
	for _, r := range rules {
		byName[r.name] = r
	}
	for _, s := range slices.Concat(importSamples, codeSamples, tidySamples) {
		r, ok := byName[s.rule]
		if !ok {
			t.Fatalf("sample %q is for no rule: %s", s.name, s.rule)
		}
		trips[r.name] = trips[r.name] || len(s.want) > 0
		passes[r.name] = passes[r.name] || len(s.want) == 0
		t.Run(s.rule+"/"+s.name, func(t *testing.T) {
			expect(t, r.judge(newTree(s.files)), s.want)
		})
	}
	for _, r := range rules {
		if !trips[r.name] || !passes[r.name] {
			t.Errorf("rule %s needs a sample that trips it and one that does not", r.name)
		}
	}
}

// expect compares findings with the starts of their texts, both in order.
func expect(t *testing.T, found []finding, want []string) {
	t.Helper()
	for i := range max(len(found), len(want)) {
		switch {
		case i >= len(want):
			t.Errorf("found too much: %v", found[i])
		case i >= len(found):
			t.Errorf("did not find: %s", want[i])
		case !strings.HasPrefix(found[i].String(), want[i]):
			t.Errorf("found %v\n want %s", found[i], want[i])
		}
	}
}

// TestExceptionsOnlyShrink shows that the lists of exceptions cannot go stale.
func TestExceptionsOnlyShrink(t *testing.T) {
	long := newTree(one("a/x.go", "package a\nfunc f() {"+strings.Repeat("\n", 79)+"}"+strings.Repeat("\n", 600)))
	short := newTree(one("a/x.go", "package a\nfunc f() {\n}\n"))
	for _, c := range []struct {
		name             string
		tree             *tree
		functions, files map[string]int
		want             []string
	}{
		{"exact", long, map[string]int{"a/x.go: f": 80}, map[string]int{"a/x.go": 680}, nil},
		{"grown", long, map[string]int{"a/x.go: f": 79}, map[string]int{"a/x.go": 679}, []string{"a/x.go: length: 680 lines, at most 679", "a/x.go:2 f: length: 80 lines, at most 79"}},
		{"shrunk", long, map[string]int{"a/x.go: f": 81}, map[string]int{"a/x.go": 681}, []string{"a/x.go: length: 680 lines: lower", "a/x.go:2 f: length: 80 lines: lower"}},
		{"mended", short, map[string]int{"a/x.go: f": 80}, map[string]int{"a/x.go": 680}, []string{"a/x.go: length: 3 lines: no exception", "a/x.go:2 f: length: 2 lines: no exception"}},
		{"gone", short, map[string]int{"a/x.go: g": 80}, map[string]int{"a/y.go": 680}, []string{"a/x.go: g: length: an exception", "a/y.go: length: an exception"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := rule{"length", func(t *tree) []finding { return lengths(t, c.functions, c.files) }}
			expect(t, r.judge(c.tree), c.want)
		})
	}
}

// TestGuardsTrip opens each row of the real table in turn and wants the guards
// to notice.
func TestGuardsTrip(t *testing.T) {
	table, err := parseImportTable(loadTree(t).files[architecture])
	if err != nil {
		t.Fatal(err)
	}
	if lines := breaches(table, designed); len(lines) > 0 {
		t.Fatalf("the table is open before anything opened it: %s", lines[0])
	}
	for pattern := range table.rows {
		opened := importTable{rows: maps.Clone(table.rows)}
		opened.rows[pattern] = importRow{
			project: []string{"protocol/**", "agent/**", "cloud/**"},
			outside: []string{"std", "go.etcd.io/**", "github.com/**"},
		}
		// A list that other rows have already taken over is no package's row.
		if strings.HasPrefix(pattern, "@") && pattern != "@tests" {
			continue
		}
		if len(breaches(opened, designed)) == 0 {
			t.Errorf("no guard notices when the row of %s allows everything", pattern)
		}
	}
}
