package protocol_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"counterpart/protocol"
)

// declaredCodes are the constants of type Code as error.go declares them.
func declaredCodes(t *testing.T) []protocol.Code {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "error.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var codes []protocol.Code
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if name, ok := spec.Type.(*ast.Ident); ok && name.Name == "Code" {
			value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			codes = append(codes, protocol.Code(value))
		}
		return true
	})
	slices.Sort(codes)
	return codes
}

// Every code has its status and title, and keeps them for ever.
func TestGoldenCodes(t *testing.T) {
	var b strings.Builder
	for _, code := range declaredCodes(t) {
		if code.Title() == protocol.Internal.Title() && code != protocol.Internal {
			t.Errorf("%s has no title", code)
		}
		fmt.Fprintf(&b, "%-20s %d %s\n", code, code.Status(), code.Title())
	}
	golden(t, filepath.Join(goldenDir, "codes.txt"), []byte(b.String()))
	if later := protocol.Code("later"); later.Status() != 500 || later.Title() != protocol.Internal.Title() {
		t.Error("a code of a later version is not internal")
	}
}

func TestAsError(t *testing.T) {
	refused := protocol.Refuse(protocol.OverReturn, "Two were sold.")
	if got := protocol.AsError(fmt.Errorf("apply: %w", refused)); got != refused {
		t.Errorf("got %v", got)
	}
	cause := errors.New("disk on fire")
	got := protocol.AsError(cause)
	if got.Code != protocol.Internal || strings.Contains(got.Message, "fire") || !errors.Is(got, cause) {
		t.Errorf("got %+v", got)
	}
	if !strings.Contains(got.Error(), "disk on fire") {
		t.Errorf("the log reads %q", got.Error())
	}
	if protocol.CodeOf(nil) != "" || protocol.CodeOf(refused) != protocol.OverReturn || protocol.CodeOf(cause) != protocol.Internal {
		t.Error("CodeOf is wrong")
	}
}

// With leaves the error that it was called on alone.
func TestErrorWith(t *testing.T) {
	refused := protocol.OutOfRange("qty", "1e9", "too large")
	more := refused.With("line", 3)
	if more.Members["line"] != 3 || more.Members["field"] != "qty" || more.Members["value"] != "1e9" {
		t.Errorf("got %v", more.Members)
	}
	if len(refused.Members) != 2 {
		t.Errorf("the first error has now %v", refused.Members)
	}
}
