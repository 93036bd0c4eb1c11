package docs_test

import (
	"fmt"
	"go/ast"
	"path"
	"slices"
	"strings"
)

// The limits on size. Generated code is exempt.
const (
	functionLinesMax    = 70
	fileLinesMax        = 600
	interfaceMethodsMax = 5
)

// longFunctions and longFiles are the exceptions, each with its present size.
// The lists only shrink: an entry that is gone, or has become shorter than it
// says, is a finding too.
var (
	longFunctions = map[string]int{} // "path/file.go: Name" → lines
	longFiles     = map[string]int{} // "path/file.go" → lines
)

// clockNames are the functions of package time that read or await the clock.
var clockNames = []string{"Now", "Since", "Until", "After", "AfterFunc", "NewTicker", "NewTimer", "Sleep", "Tick"}

// impure finds clocks and goroutines in the packages that both sides fold
// with. Their imports (net, os, math/rand) are the import table's business.
func impure(t *tree) []finding {
	var found []finding
	for _, f := range t.gos {
		if f.test || !f.below("protocol") || f.below("protocol/ledger/bolt") || f.below("protocol/ledger/ledgertest") || f.below("protocol/sim") {
			continue
		}
		for _, sel := range f.selections("time", clockNames...) {
			found = append(found, finding{file: f.at(sel.Pos()), why: "time." + sel.Sel.Name + " in a pure package: take the time as an argument"})
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if stmt, ok := n.(*ast.GoStmt); ok {
				found = append(found, finding{file: f.at(stmt.Pos()), why: "a goroutine in a pure package: the caller decides what runs at once"})
			}
			return true
		})
	}
	return found
}

// processGlobals finds what only a program's outermost layer may touch.
// Tests may read the environment: their knobs live there.
func processGlobals(t *tree) []finding {
	var found []finding
	for _, f := range t.gos {
		if f.test || matches("*/cmd/**", f.dir) || f.below("agent/service") || f.below("test") {
			continue
		}
		for imported, names := range map[string][]string{
			"os":  {"Getenv", "LookupEnv", "Environ", "ExpandEnv", "Setenv", "Unsetenv", "Clearenv", "Exit"},
			"log": {"Fatal", "Fatalf", "Fatalln"},
		} {
			for _, sel := range f.selections(imported, names...) {
				found = append(found, finding{file: f.at(sel.Pos()), why: imported + "." + sel.Sel.Name + ": only cmd and service touch the environment and exit codes"})
			}
		}
	}
	return found
}

// emptyNames are package names that say nothing about what is inside.
var emptyNames = []string{
	"util", "utils", "common", "helper", "helpers", "base", "misc", "type", "types", "model", "models", "manager", "managers",
}

func packageNames(t *tree) []finding {
	var found []finding
	for _, f := range t.gos {
		name := strings.TrimSuffix(f.ast.Name.Name, "_test")
		if slices.Contains(emptyNames, name) || slices.Contains(emptyNames, path.Base(f.dir)) {
			found = append(found, finding{file: f.path, why: "package " + name + " in " + f.dir + ": the name says nothing, use a word from the shop floor"})
		}
	}
	return found
}

// packageComments wants one package comment for each package: in one file, so
// that there is one place to look and none to contradict it. A folder of tests
// alone is a package too.
func packageComments(t *tree) []finding {
	all := map[string][]*goFile{} // by folder and package name
	for _, f := range t.gos {
		key := f.dir + " " + f.ast.Name.Name
		all[key] = append(all[key], f)
	}
	var found []finding
	for _, files := range all {
		code := slices.DeleteFunc(slices.Clone(files), func(f *goFile) bool { return f.test })
		if len(code) == 0 && slices.ContainsFunc(t.gos, func(f *goFile) bool { return f.dir == files[0].dir && !f.test }) {
			continue // An external test package explains itself by its subject.
		}
		if len(code) > 0 {
			files = code
		}
		var with []string
		for _, f := range files {
			if f.ast.Doc != nil && strings.TrimSpace(f.ast.Doc.Text()) != "" {
				with = append(with, f.path)
			}
		}
		switch {
		case len(with) == 0:
			found = append(found, finding{file: files[0].dir, why: "no file of package " + files[0].ast.Name.Name + " has a package comment"})
		case len(with) > 1:
			found = append(found, finding{file: with[1], why: "a second package comment; the first is in " + with[0]})
		}
	}
	return found
}

// lengths finds functions and files over the limits, and exceptions that are
// no longer true.
func lengths(t *tree, functions, files map[string]int) []finding {
	var found []finding
	seen := map[string]int{}
	measure := func(key, at string, n, limit int, allowed map[string]int) {
		seen[key] = n
		most, listed := allowed[key]
		switch {
		case listed && n <= limit:
			found = append(found, finding{file: at, why: fmt.Sprintf("%d lines: no exception any more, remove it from the list", n)})
		case listed && n < most:
			found = append(found, finding{file: at, why: fmt.Sprintf("%d lines: lower its exception from %d", n, most)})
		case n > max(limit, most):
			found = append(found, finding{file: at, why: fmt.Sprintf("%d lines, at most %d", n, max(limit, most))})
		}
	}
	for _, f := range t.gos {
		if f.generated {
			continue
		}
		measure(f.path, f.path, f.lines(f.ast.FileStart, f.ast.FileEnd-1), fileLinesMax, files)
		for _, decl := range f.ast.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok {
				name := f.path + ": " + functionName(fn)
				measure(name, f.at(fn.Pos())+" "+functionName(fn), f.lines(fn.Type.Pos(), fn.End()), functionLinesMax, functions)
			}
		}
	}
	for _, allowed := range []map[string]int{functions, files} {
		for key := range allowed {
			if _, ok := seen[key]; !ok {
				found = append(found, finding{file: key, why: "an exception for what is not there, remove it from the list"})
			}
		}
	}
	return found
}

// functionName is `Name`, or `Type.Name` for a method.
func functionName(fn *ast.FuncDecl) string {
	if fn.Recv == nil || len(fn.Recv.List) == 0 {
		return fn.Name.Name
	}
	receiver := fn.Recv.List[0].Type
	for {
		switch of := receiver.(type) {
		case *ast.StarExpr:
			receiver = of.X
		case *ast.IndexExpr:
			receiver = of.X
		case *ast.IndexListExpr:
			receiver = of.X
		case *ast.Ident:
			return of.Name + "." + fn.Name.Name
		default:
			return fn.Name.Name
		}
	}
}

// interfaceSizes finds interfaces that ask for more than a seam needs.
func interfaceSizes(t *tree) []finding {
	var found []finding
	for _, f := range t.gos {
		if f.generated {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if list, ok := spec.Type.(*ast.InterfaceType); ok && list.Methods.NumFields() > interfaceMethodsMax {
				found = append(found, finding{
					file: f.at(spec.Pos()),
					why:  fmt.Sprintf("interface %s has %d methods, at most %d", spec.Name.Name, list.Methods.NumFields(), interfaceMethodsMax),
				})
			}
			return true
		})
	}
	return found
}

// testSleeps finds sleeps in tests: slow where the machine is fast, and wrong
// where it is slow.
func testSleeps(t *tree) []finding {
	var found []finding
	for _, f := range t.gos {
		if !f.test && !strings.HasSuffix(f.dir, "test") {
			continue
		}
		for _, sel := range f.selections("time", "Sleep") {
			found = append(found, finding{file: f.at(sel.Pos()), why: "time.Sleep in a test: wait for the condition"})
		}
	}
	return found
}

// testSkips finds skipped tests: a skipped test looks like a passed one.
func testSkips(t *tree) []finding {
	var found []finding
	for _, f := range t.gos {
		local := "testing"
		for _, spec := range f.ast.Imports {
			if importPath(spec) == "testing" && spec.Name != nil {
				local = spec.Name.Name
			}
		}
		v := skipVisitor{file: f, local: local, found: &found}
		ast.Walk(v, f.ast)
	}
	return found
}

// A skipVisitor walks a file and knows which names in scope are a test.
type skipVisitor struct {
	file  *goFile
	local string // what package testing is called here
	tests map[string]bool
	found *[]finding
}

func (v skipVisitor) Visit(n ast.Node) ast.Visitor {
	switch n := n.(type) {
	case *ast.FuncDecl:
		return v.inside(n.Type)
	case *ast.FuncLit:
		return v.inside(n.Type)
	case *ast.SelectorExpr:
		x, ok := n.X.(*ast.Ident)
		if ok && v.tests[x.Name] && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, n.Sel.Name) {
			*v.found = append(*v.found, finding{file: v.file.at(n.Pos()), why: x.Name + "." + n.Sel.Name + ": a skipped test looks like a passed one"})
		}
	}
	return v
}

// inside returns the visitor for a function's body: its parameters hide outer
// names, so rapid's *rapid.T may still skip a draw.
func (v skipVisitor) inside(fn *ast.FuncType) ast.Visitor {
	inner := map[string]bool{}
	for name, is := range v.tests {
		inner[name] = is
	}
	for _, field := range fn.Params.List {
		kind := field.Type
		if star, ok := kind.(*ast.StarExpr); ok {
			kind = star.X
		}
		sel, ok := kind.(*ast.SelectorExpr)
		from := ""
		if ok {
			if x, ok := sel.X.(*ast.Ident); ok {
				from = x.Name
			}
		}
		for _, name := range field.Names {
			inner[name.Name] = from == v.local
		}
	}
	v.tests = inner
	return v
}
