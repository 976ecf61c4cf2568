package main_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// codeReference is a reference to code in a document: a file, and names in it.
var codeReference = regexp.MustCompile("`([a-z][a-zA-Z0-9_/]*/[a-zA-Z0-9_]+\\.(?:go|sh))`" +
	"((?:, `[A-Za-z][A-Za-z0-9.]*`)*)")

// TestFidelity_ReferencesExist checks that each file that docs/fidelity.md names exists
// and declares the names that follow it.
func TestFidelity_ReferencesExist(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("docs/fidelity.md")
	if err != nil {
		t.Fatal(err)
	}
	wrong, found := brokenReferences(string(text))
	for _, line := range wrong {
		t.Error(line)
	}
	if found < 100 {
		t.Errorf("only %d references found; the pattern does not match the document", found)
	}
}

// TestFidelity_BrokenReferencesAreFound proves the check.
func TestFidelity_BrokenReferencesAreFound(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"`runner/runner.go`, `Run`":             0,
		"`runner/shell/driver.sh`, `run`":       0,
		"`runner/nowhere.go`":                   1,
		"`runner/runner.go`, `Run`, `nowhere`":  1,
		"`runner/shell/driver.sh`, `nowhere`":   1,
		"`runner/no.go`; `runner/neither.go`":   2,
		"`buildspec/read.go`, `mapping.set`":    0,
		"`buildspec/read.go`, `mapping.absent`": 1,
	} {
		if wrong, _ := brokenReferences(text); len(wrong) != want {
			t.Errorf("%s: %d problems %q, want %d", text, len(wrong), wrong, want)
		}
	}
}

// brokenReferences returns the references of a text that lead nowhere, and how many
// references it has.
func brokenReferences(text string) (wrong []string, found int) {
	for _, m := range codeReference.FindAllStringSubmatch(text, -1) {
		found++
		content, err := os.ReadFile(m[1])
		if err != nil {
			wrong = append(wrong, err.Error())
			continue
		}
		for _, name := range strings.Fields(strings.NewReplacer(",", " ", "`", " ").Replace(m[2])) {
			if !declares(m[1], content, name) {
				wrong = append(wrong, fmt.Sprintf("%s does not declare %s", m[1], name))
			}
		}
	}
	return wrong, found
}

// declares reports whether a file declares a name: a function, a type, a variable, a
// constant, a field or a method, which may be written as Type.method. A script declares functions.
func declares(file string, content []byte, name string) bool {
	if path.Ext(file) != ".go" {
		return strings.Contains(string(content), name+"() {")
	}
	tree, err := parser.ParseFile(token.NewFileSet(), file, content, parser.SkipObjectResolution)
	if err != nil {
		return false
	}
	found := false
	ast.Inspect(tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			found = found || n.Name.Name == name || n.Recv != nil && receiver(n)+"."+n.Name.Name == name
		case *ast.TypeSpec:
			found = found || n.Name.Name == name
		case *ast.Field:
			found = found || slices.ContainsFunc(n.Names, func(id *ast.Ident) bool { return id.Name == name })
		case *ast.ValueSpec:
			found = found || slices.ContainsFunc(n.Names, func(id *ast.Ident) bool { return id.Name == name })
		}
		return !found
	})
	return found
}

// receiver returns the name of the type of a method.
func receiver(f *ast.FuncDecl) string {
	kind := f.Recv.List[0].Type
	if star, is := kind.(*ast.StarExpr); is {
		kind = star.X
	}
	if name, is := kind.(*ast.Ident); is {
		return name.Name
	}
	return ""
}
