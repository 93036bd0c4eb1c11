// Package docs_test holds the code base to its own rules: who may import whom,
// what a pure package may not touch, how long things may grow, and that the
// documents still point at things that exist.
//
// A rule is a function from the tree of files to findings, so each rule is
// tried on small samples (samples_test.go) before it judges the real tree: a
// rule that cannot fail is worth nothing.
package docs_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// A finding is one place that breaks a rule.
type finding struct {
	file string // path from the root, with `:line` where there is one
	rule string // filled in by judge
	why  string
}

func (f finding) String() string { return f.file + ": " + f.rule + ": " + f.why }

// A rule looks at the whole tree and returns what breaks it.
type rule struct {
	name  string
	check func(*tree) []finding
}

// rules are all rules there are. Each needs samples in samples_test.go.
var rules = []rule{
	{"parse", unparsable},
	{"import-table", imports},
	{"pure", impure},
	{"process", processGlobals},
	{"package-name", packageNames},
	{"package-comment", packageComments},
	{"length", func(t *tree) []finding { return lengths(t, longFunctions, longFiles) }},
	{"interface-size", interfaceSizes},
	{"test-sleep", testSleeps},
	{"test-skip", testSkips},
	{"left-over", leftOvers},
	{"link", links},
	{"make-target", makeTargets},
	{"machine-path", machinePaths},
}

// judge runs one rule and names it in its findings.
func (r rule) judge(t *tree) []finding {
	found := r.check(t)
	for i := range found {
		found[i].rule = r.name
	}
	slices.SortFunc(found, func(a, b finding) int { return strings.Compare(a.String(), b.String()) })
	return found
}

// TestTree holds the real tree to every rule.
func TestTree(t *testing.T) {
	real := loadTree(t)
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			for _, f := range r.judge(real) {
				t.Errorf("%v", f)
			}
		})
	}
}

// guards say which packages alone may import something, whatever the table in
// ARCHITECTURE.md says: a careless edit of the table must fail here.
var guards = []struct {
	path string
	only []string // patterns
	// testsToo says that the tests of other packages may not import it either.
	testsToo bool
}{
	{"go.etcd.io/bbolt", []string{"protocol/ledger/bolt", "test/bench/floor"}, true},
	{"github.com/eclipse/paho.mqtt.golang", []string{"agent/uplink", "cloud/broker", "test/client", "test/bench/floor"}, true},
	{"github.com/nats-io/nats-server/v2/server", []string{"cloud/broker"}, true},
	{"github.com/jackc/pgx/v5/pgxpool", []string{"cloud/postgres"}, true},
	{"os/signal", []string{"*/cmd/*", "agent/service", "test/**"}, false},
	{"net/http", []string{"protocol/ledger/bolt", "protocol/sim", "agent/**", "cloud/**", "test/**", "docs"}, false},
	{"net", []string{"protocol/ledger/bolt", "protocol/sim", "agent/**", "cloud/**", "test/**", "docs"}, false},
	{"os", []string{"protocol/ledger/bolt", "protocol/ledger/ledgertest", "protocol/sim", "agent/**", "cloud/**", "test/**", "docs"}, false},
	{"math/rand/v2", []string{"protocol/ledger/bolt", "protocol/ledger/ledgertest", "protocol/sim", "agent/**", "cloud/**", "test/**", "docs"}, false},
	{module + "/protocol/wire", []string{"protocol"}, true},
	{module + "/protocol/sim", []string{"test/**"}, true},
	{module + "/protocol/ledger/ledgertest", []string{"protocol/sim", "test/**"}, false},
	{module + "/agent", []string{"agent/cmd/*"}, true},
	{module + "/agent/api", []string{"agent"}, true},
	{module + "/agent/service", []string{"agent", "agent/cmd/*"}, true},
	{module + "/agent/till", []string{"agent", "protocol/sim"}, true},
	{module + "/agent/uplink", []string{"agent", "protocol/sim"}, true},
	{module + "/agent/web", []string{"agent", "agent/api"}, true},
	{module + "/agent/later", []string{"agent"}, true},
	{module + "/agent/cmd/counterpart-agent", nil, true},
	{module + "/cloud", []string{"cloud/cmd/*"}, true},
	{module + "/cloud/api", []string{"cloud"}, true},
	{module + "/cloud/broker", []string{"cloud"}, true},
	{module + "/cloud/hub", []string{"cloud", "protocol/sim"}, true},
	{module + "/cloud/postgres", []string{"cloud"}, true},
	{module + "/cloud/secondcopy", []string{"cloud"}, true},
	{module + "/cloud/web", []string{"cloud", "cloud/api"}, true},
	{module + "/cloud/webhooks", []string{"cloud"}, true},
	{module + "/cloud/later", []string{"cloud"}, true},
	{module + "/cloud/cmd/counterpart-hub", nil, true},
	{module + "/test/chain", []string{"test/**"}, true},
}

// designed are the packages that the guards try besides those that exist.
var designed = []string{
	"protocol", "protocol/wire", "protocol/gtin", "protocol/sale", "protocol/stock", "protocol/loyalty", "protocol/pickup", "protocol/cart",
	"protocol/ledger", "protocol/ledger/bolt", "protocol/ledger/ledgertest", "protocol/sim",
	"agent", "agent/till", "agent/uplink", "agent/api", "agent/web", "agent/service", "agent/later", "agent/cmd/counterpart-agent",
	"cloud", "cloud/hub", "cloud/postgres", "cloud/broker", "cloud/secondcopy", "cloud/api", "cloud/web", "cloud/webhooks", "cloud/later", "cloud/cmd/counterpart-hub",
	"test/bench/floor", "test/chain", "test/client", "test/replay", "docs",
}

// TestImportTableKeepsTheGuards asks the table in ARCHITECTURE.md about every
// guarded import from every package, so that no row can open a door quietly.
func TestImportTableKeepsTheGuards(t *testing.T) {
	real := loadTree(t)
	table, err := parseImportTable(real.files[architecture])
	if err != nil {
		t.Fatal(err)
	}
	packages := slices.Clone(designed)
	for _, f := range real.gos {
		packages = append(packages, f.dir)
	}
	slices.Sort(packages)
	for _, line := range breaches(table, slices.Compact(packages)) {
		t.Error(line)
	}
}

// breaches lists the guarded imports that the table lets through.
func breaches(table importTable, packages []string) []string {
	var lines []string
	for _, g := range guards {
		for _, pkg := range packages {
			if slices.ContainsFunc(g.only, func(p string) bool { return matches(p, pkg) }) || g.path == module+"/"+pkg {
				continue
			}
			if table.why(pkg, g.path, false) == "" {
				lines = append(lines, fmt.Sprintf("the import table lets %s import %s", pkg, g.path))
			} else if g.testsToo && table.why(pkg, g.path, true) == "" {
				lines = append(lines, fmt.Sprintf("the import table lets the tests of %s import %s", pkg, g.path))
			}
		}
	}
	return lines
}

// TestImportTableOpensWhatTheDesignNeeds is the other half: a table that
// allows nothing would keep every guard.
func TestImportTableOpensWhatTheDesignNeeds(t *testing.T) {
	table, err := parseImportTable(loadTree(t).files[architecture])
	if err != nil {
		t.Fatal(err)
	}
	for _, need := range [][2]string{
		{"protocol", module + "/protocol/wire"},
		{"protocol/wire", "google.golang.org/protobuf/proto"},
		{"protocol/ledger", module + "/protocol/stock"},
		{"protocol/ledger/bolt", "go.etcd.io/bbolt"},
		{"protocol/sim", module + "/cloud/hub"},
		{"agent", module + "/agent/till"},
		{"agent/api", module + "/agent/web"},
		{"agent/uplink", "github.com/eclipse/paho.mqtt.golang"},
		{"agent/cmd/counterpart-agent", module + "/agent"},
		{"agent/service", "os/signal"},
		{"cloud", module + "/cloud/broker"},
		{"cloud/broker", "github.com/nats-io/nats-server/v2/server"},
		{"cloud/postgres", "github.com/jackc/pgx/v5"},
		{"cloud/hub", module + "/protocol/ledger"},
		{"test/chain", module + "/protocol"},
		{"test/chain", "os/exec"},
		{"test/client", "github.com/eclipse/paho.mqtt.golang"},
	} {
		if why := table.why(need[0], need[1], false); why != "" {
			t.Errorf("%s cannot import %s: %s", need[0], need[1], why)
		}
	}
}
