package docs_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// module is the import path of the root.
const module = "counterpart"

// textSizeMax bounds the files whose text is read; a larger one is data.
const textSizeMax = 4 << 20

// A tree is what the rules look at: all files of the project in memory.
type tree struct {
	files  map[string]string // text by path from the root; "" for data
	paths  []string          // the keys of files, sorted
	gos    []*goFile
	broken []finding // Go files that do not parse
}

// A goFile is one parsed Go source file.
type goFile struct {
	path      string
	dir       string // the package's path from the root
	test      bool
	generated bool
	set       *token.FileSet
	ast       *ast.File
}

// newTree parses the Go files among files. As in the Go tool, what lies below
// testdata or a name that starts with `_` or `.` is no package.
func newTree(files map[string]string) *tree {
	t := &tree{files: files}
	for p := range files {
		t.paths = append(t.paths, p)
	}
	slices.Sort(t.paths)
	for _, p := range t.paths {
		if path.Ext(p) != ".go" || slices.ContainsFunc(strings.Split(p, "/"), noPackage) {
			continue
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, p, files[p], parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.broken = append(t.broken, finding{file: p, why: err.Error()})
			continue
		}
		t.gos = append(t.gos, &goFile{
			path: p, dir: path.Dir(p), test: strings.HasSuffix(p, "_test.go"),
			generated: ast.IsGenerated(parsed), set: set, ast: parsed,
		})
	}
	return t
}

func noPackage(name string) bool {
	return name == "testdata" || strings.HasPrefix(name, "_") || strings.HasPrefix(name, ".")
}

func unparsable(t *tree) []finding { return t.broken }

// loadTree reads the project. It walks the folders even where git could list
// the files: the Go test cache sees what a test opens but not what a child
// process reads, so a listing alone would keep a stale "ok" when a file is added.
func loadTree(t *testing.T) *tree {
	t.Helper()
	root := ".."
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Fatalf("the root of the project is not above this folder: %v", err)
	}
	listed := gitFiles(root)
	files := map[string]string{}
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if entry.IsDir() {
			if skipFolder(rel) {
				return filepath.SkipDir
			}
			return nil
		}
		if !entry.Type().IsRegular() || listed != nil && !listed[rel] {
			return nil
		}
		text, err := readText(name)
		if os.IsNotExist(err) {
			return nil // Removed since the folder was read.
		}
		files[rel] = text
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 5 {
		t.Fatalf("found only %d files: the rules would pass on nothing", len(files))
	}
	return newTree(files)
}

// skipFolder leaves out hidden folders except .ci, and what a build leaves.
func skipFolder(rel string) bool {
	name := path.Base(rel)
	hidden := strings.HasPrefix(name, ".") && rel != "." && rel != ".ci"
	return hidden || rel == "bin" || rel == "dist" || name == "node_modules"
}

// gitFiles is the set of files that are tracked or would be, or nil where git
// cannot tell (a source archive, no git).
func gitFiles(root string) map[string]bool {
	cmd := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil || len(out) == 0 {
		return nil
	}
	listed := map[string]bool{}
	for name := range bytes.SplitSeq(out, []byte{0}) {
		listed[string(name)] = true
	}
	return listed
}

// readText returns the file's text, or "" for one that is large or binary.
func readText(name string) (string, error) {
	info, err := os.Stat(name)
	if err != nil || info.Size() > textSizeMax {
		return "", err
	}
	data, err := os.ReadFile(name)
	if err != nil || bytes.IndexByte(data, 0) >= 0 {
		return "", err
	}
	return string(data), nil
}

// at names a place in the file.
func (f *goFile) at(pos token.Pos) string {
	return f.path + ":" + strconv.Itoa(f.set.Position(pos).Line)
}

// lines counts the lines from one position to another, both included.
func (f *goFile) lines(from, to token.Pos) int {
	return f.set.Position(to).Line - f.set.Position(from).Line + 1
}

// below says whether the file's package is dir or lies below it.
func (f *goFile) below(dir string) bool { return matches(dir+"/**", f.dir) }

// importPath is the path that an import names.
func importPath(spec *ast.ImportSpec) string {
	p, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		return spec.Path.Value
	}
	return p
}

// selections returns each `x.Name` in the file where x is the import of a
// standard package with that path, under whatever name it was imported. A use
// counts even without a call: `now = time.Now` reads the clock too.
func (f *goFile) selections(imported string, names ...string) []*ast.SelectorExpr {
	local := ""
	for _, spec := range f.ast.Imports {
		if importPath(spec) != imported {
			continue
		}
		local = path.Base(imported)
		if spec.Name != nil {
			local = spec.Name.Name
		}
	}
	if local == "" {
		return nil
	}
	var found []*ast.SelectorExpr
	ast.Inspect(f.ast, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := sel.X.(*ast.Ident); ok && x.Name == local && slices.Contains(names, sel.Sel.Name) {
			found = append(found, sel)
		}
		return true
	})
	return found
}
