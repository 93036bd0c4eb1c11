package docs_test

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// architecture holds the import table, under tableHeading.
const (
	architecture = "docs/ARCHITECTURE.md"
	tableHeading = "## Import table"
)

var tableColumns = []string{"package", "may import (project packages)", "may import (outside)"}

// An importTable says what each package may import: what no row allows is
// forbidden, so a new dependency shows in the document before it is used.
type importTable struct {
	rows map[string]importRow // by pattern; names with @ are lists for other rows
}

type importRow struct {
	project []string // patterns, the last match wins, `!` takes away
	outside []string
}

// parseImportTable reads the table from the document's text.
func parseImportTable(doc string) (importTable, error) {
	_, section, ok := strings.Cut("\n"+doc, "\n"+tableHeading+"\n")
	if !ok {
		return importTable{}, fmt.Errorf("no heading %q", tableHeading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var lines [][]string
	for line := range strings.Lines(section) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "|") {
			cells := strings.Split(strings.Trim(line, "|"), "|")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			lines = append(lines, cells)
		}
	}
	if len(lines) < 3 || !slices.Equal(lines[0], tableColumns) {
		return importTable{}, fmt.Errorf("no table with the columns %q under %q", tableColumns, tableHeading)
	}
	raw := map[string]importRow{}
	for _, cells := range lines[2:] {
		if err := addRow(raw, cells); err != nil {
			return importTable{}, fmt.Errorf("row %q: %w", strings.Join(cells, " | "), err)
		}
	}
	table := importTable{rows: map[string]importRow{}}
	for pattern := range raw {
		row, err := expandRow(raw, pattern, nil)
		if err != nil {
			return importTable{}, err
		}
		table.rows[pattern] = row
	}
	return table, nil
}

// addRow files one line of the table under each pattern of its first cell.
func addRow(rows map[string]importRow, cells []string) error {
	if len(cells) != len(tableColumns) {
		return fmt.Errorf("%d cells, want %d", len(cells), len(tableColumns))
	}
	var lists [3][]string
	for i, cell := range cells {
		list, err := parseCell(cell)
		if err != nil {
			return err
		}
		lists[i] = list
	}
	if len(lists[0]) == 0 {
		return fmt.Errorf("names no package")
	}
	for _, pattern := range lists[0] {
		if _, twice := rows[pattern]; twice {
			return fmt.Errorf("%s has a row already", pattern)
		}
		rows[pattern] = importRow{project: lists[1], outside: lists[2]}
	}
	return nil
}

var codeSpan = regexp.MustCompile("`([^`]+)`")

// parseCell reads a list such as "`a/**`, `!a/b`"; "—" is the empty list.
func parseCell(cell string) ([]string, error) {
	var list []string
	for _, m := range codeSpan.FindAllStringSubmatch(cell, -1) {
		list = append(list, m[1])
	}
	rest := strings.Trim(codeSpan.ReplaceAllString(cell, ""), ", ")
	if len(list) == 0 && rest == "—" {
		return nil, nil
	}
	if len(list) == 0 || rest != "" {
		return nil, fmt.Errorf("cell %q: want patterns in backticks, or —", cell)
	}
	return list, nil
}

// expandRow replaces each @name by that row's own lists.
func expandRow(rows map[string]importRow, pattern string, within []string) (importRow, error) {
	if slices.Contains(within, pattern) {
		return importRow{}, fmt.Errorf("%s takes over itself", pattern)
	}
	row, ok := rows[pattern]
	if !ok {
		return importRow{}, fmt.Errorf("no row %s", pattern)
	}
	within = append(within, pattern)
	var out importRow
	for _, p := range row.project {
		if !strings.HasPrefix(p, "@") {
			out.project = append(out.project, p)
			continue
		}
		taken, err := expandRow(rows, p, within)
		if err != nil {
			return importRow{}, err
		}
		out.project = append(out.project, taken.project...)
	}
	for _, p := range row.outside {
		if !strings.HasPrefix(p, "@") {
			out.outside = append(out.outside, p)
			continue
		}
		taken, err := expandRow(rows, p, within)
		if err != nil {
			return importRow{}, err
		}
		out.outside = append(out.outside, taken.outside...)
	}
	return out, nil
}

// matches says whether pattern covers the import path p: `a/b` is itself, a
// `*` any one element, a last `**` the path so far and all below, and `std`
// the standard library.
func matches(pattern, p string) bool {
	if pattern == "std" {
		return standard(p)
	}
	want, have := strings.Split(pattern, "/"), strings.Split(p, "/")
	for i, w := range want {
		if w == "**" {
			return true
		}
		if i >= len(have) || w != "*" && w != have[i] {
			return false
		}
	}
	return len(want) == len(have)
}

// standard says whether p is of the standard library: as in the Go tool, a
// path whose first element has no dot, and which is not ours.
func standard(p string) bool {
	first, _, _ := strings.Cut(p, "/")
	return first != module && !strings.Contains(first, ".")
}

// allows walks a list; the last match wins.
func allows(list []string, p string) bool {
	allowed := false
	for _, pattern := range list {
		if negated, no := strings.CutPrefix(pattern, "!"); matches(negated, p) {
			allowed = !no
		}
	}
	return allowed
}

// row finds the most specific row for a package: the pattern with the most
// elements spelled out, and of two such the one with fewer stars.
func (table importTable) row(pkg string) (importRow, bool) {
	best, bestRank := "", -1
	for pattern := range table.rows {
		if strings.HasPrefix(pattern, "@") || !matches(pattern, pkg) {
			continue
		}
		spelled := 0
		for element := range strings.SplitSeq(pattern, "/") {
			if !strings.HasPrefix(element, "*") {
				spelled++
			}
		}
		if rank := 100*spelled - strings.Count(pattern, "*"); rank > bestRank {
			best, bestRank = pattern, rank
		}
	}
	return table.rows[best], bestRank >= 0
}

// why says why pkg may not import p, or "" when it may.
func (table importTable) why(pkg, p string, test bool) string {
	row, ok := table.row(pkg)
	if !ok {
		return fmt.Sprintf("package %s has no row in the import table", pkg)
	}
	more := importRow{}
	if test {
		more = table.rows["@tests"]
	}
	inside, ours := strings.CutPrefix(p, module+"/")
	switch {
	case ours && inside == pkg:
		return ""
	case ours && (allows(row.project, inside) || allows(more.project, inside)):
		return ""
	case !ours && (allows(row.outside, p) || allows(more.outside, p)):
		return ""
	}
	return fmt.Sprintf("%s may not import %s (see the import table in %s)", pkg, p, architecture)
}

// imports checks every import against the table.
func imports(t *tree) []finding {
	table, err := parseImportTable(t.files[architecture])
	if err != nil {
		return []finding{{file: architecture, why: err.Error()}}
	}
	var found []finding
	for _, f := range t.gos {
		if len(f.ast.Imports) == 0 {
			if _, ok := table.row(f.dir); !ok {
				found = append(found, finding{file: f.path, why: table.why(f.dir, "", false)})
			}
		}
		for _, spec := range f.ast.Imports {
			if why := table.why(f.dir, importPath(spec), f.test); why != "" {
				found = append(found, finding{file: f.at(spec.Pos()), why: why})
			}
			if spec.Name != nil && spec.Name.Name == "." {
				found = append(found, finding{file: f.at(spec.Pos()), why: "a dot import hides where a name comes from: " + path.Base(importPath(spec))})
			}
		}
	}
	return found
}
