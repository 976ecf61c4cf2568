// Package main_test keeps the rules of docs/architecture.md: it reads every Go
// file of the project and says what stands where it should not.
package main_test

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	module   = "github.com/buildlocal/buildlocal"
	contract = "engine/enginetest"       // the tests of every engine
	bench    = "internal/bench"          // a program beside the house, on no floor
	baseline = "internal/bench/baseline" // a program to compare with: only dependencies
	inside   = "engine/sandbox/inside"
	awstest  = "aws/awstest" // stands for AWS in tests
)

// floors says how high each package stands.
var floors = map[string]int{
	"main": 5, "cmd": 4,
	"console": 3, "page": 3, "lsp": 3, "runner": 2, "lint": 2, "aws": 2,
	"buildspec": 1, "project": 1, "source": 1, "secrets": 1, "runtimes": 1,
	"artifacts": 1, "reports": 1, "cache": 1, "builds": 1, "internal/config": 1, "internal/trust": 1,
	"engine/docker": 1, "engine/images": 1, "engine/sandbox": 2, contract: 1,
	awstest: 1, "engine": 0, "compute": 0, "internal/relay": 0, "runner/shell": 0, "internal/tree": 0, "internal/untar": 0, "internal/layer": 0, "internal/cgroup": 0, "engine/docker/gate": 0, "internal/sax": 0, "internal/diag": 0, "internal/regular": 0, "internal/atomicfile": 0,
	inside: 1, baseline: 0,
}

// doors names the packages through which a module from outside comes in. Tests
// need no door, and a module without any is for them.
var doors = map[string][]string{
	"github.com/spf13/cobra":                 {"cmd"},
	"github.com/spf13/pflag":                 {"cmd"},
	"github.com/docker/docker":               {"engine/docker"},
	"github.com/docker/cli":                  {"engine/docker"},
	"github.com/docker/go-connections":       {"engine/docker"},
	"github.com/containerd/errdefs":          {"engine/docker"},
	"github.com/distribution/reference":      {"engine/docker"},
	"github.com/opencontainers/image-spec":   {"engine/docker"},
	"github.com/google/go-containerregistry": {"engine/images"},
	"github.com/klauspost/compress":          {"engine/images", "cache"},
	"golang.org/x/sys":                       {"engine/docker", "engine/images", "engine/sandbox", inside, "internal/untar", "internal/layer", "internal/relay", "cmd"},
	"gopkg.in/yaml.v3":                       {"buildspec", "project", "runtimes", "secrets", "internal/config", "cmd"}, // cmd: the template of a secrets file
	"github.com/aws/aws-sdk-go-v2":           {"aws"},
	"github.com/aws/smithy-go":               {"aws"},
	"github.com/hashicorp/yamux":             {"internal/relay"},
	"github.com/fatih/color":                 {"console"},
	"golang.org/x/text":                      {"internal/sax"},
	"github.com/docker/go-units":             {"console", "cache", "internal/tree"},
	"github.com/moby/term":                   {"console"},
	"github.com/moby/sys/atomicwriter":       {"internal/atomicfile"},
	"github.com/mattn/go-isatty":             {"console", "cmd"},
	"github.com/bmatcuk/doublestar":          {"internal/tree"},
	"github.com/agnivade/levenshtein":        {"internal/diag"},
	"mvdan.cc/sh":                            {"lint"},
	"github.com/owenrumney/go-sarif":         nil,
	"github.com/aymanbagabas/go-udiff":       {"cmd"},
	"github.com/sourcegraph/jsonrpc2":        {"lsp"},
	"github.com/tliron/glsp":                 {"lsp"},
	"github.com/santhosh-tekuri/jsonschema":  nil,
	"github.com/google/uuid":                 {"cmd"},
	"github.com/gofrs/flock":                 {"cmd", "cache"},
	"github.com/rogpeppe/go-internal":        nil,
	"github.com/google/go-cmp":               {contract}, // which is tests, in a file that is none
}

// host is what of the standard library reads or writes the host.
var host = regexp.MustCompile(`^(time\.Now|fmt\.(Print|Scan)(f|ln)?|(log|crypto/rand|math/rand|math/rand/v2)\..+|` +
	`os\.(Getenv|LookupEnv|Environ|ExpandEnv|Setenv|Unsetenv|Clearenv|Args|Stdin|Stdout|Stderr|Exit|` +
	`UserHomeDir|UserCacheDir|UserConfigDir|TempDir|Hostname|Getwd))$`)

// allowed says who may use the host, and why: a whole package, or one thing as
// in "runner uses time.Now".
var allowed = map[string]string{
	"main":   "its streams, its exit code and its signals are the program's",
	"cmd":    "hands the host down to everybody else",
	bench:    "a program of its own",
	baseline: "a program of its own",
	inside:   "a program of its own, inside ours: it acts before main, and ends",
	awstest:  "stands for a service elsewhere, which has a clock of its own",
}

// The limits of one thing, so that it can be read in one sitting.
const (
	maxFunction   = 60 // lines
	maxFile       = 500
	maxTestFile   = 700
	maxNesting    = 3
	maxParameters = 5
	maxMethods    = 4
)

var (
	skipped   = regexp.MustCompile(`^([._].+|testdata|examples|generated|vendor|node_modules|bin|dist)$`)
	vague     = regexp.MustCompile(`^(utils?|commons?|types|helpers?|managers?)(_test)?$`)
	explained = regexp.MustCompile(`TODO(\(\S+\))?:[ \t]*\S`)
	required  = regexp.MustCompile(`(?m)^\s*(?:require\s+)?(\S+) v\S+$`) // not those marked indirect
	templates = regexp.MustCompile(`^Set(Usage|Help|Version)Template$`)
	embedded  = regexp.MustCompile(`^(string|\[\]byte|embed\.FS)$`)
)

func TestAPackageImportsOnlyFromFloorsBelow(t *testing.T) { keep(t, floorRule) }
func TestAModuleComesInByItsOwnDoor(t *testing.T)         { keep(t, doorRule) }
func TestEveryRequirementIsImported(t *testing.T)         { keep(t, requirementRule) }
func TestDependencies_AreCheckedByHand(t *testing.T)      { keepDependencies(t) }
func TestTheHostIsReadInMainAndCmd(t *testing.T)          { keep(t, hostRule) }
func TestAPackageSaysWhatItIsFor(t *testing.T)            { keep(t, packageCommentRule) }
func TestAnExportedNameIsDocumented(t *testing.T)         { keep(t, exportedRule) }
func TestAFileAndAFunctionAreShort(t *testing.T)          { keep(t, lengthRule) }
func TestBlocksAreNotDeeplyNested(t *testing.T)           { keep(t, nestingRule) }
func TestSignaturesAndInterfacesAreSmall(t *testing.T)    { keep(t, widthRule) }
func TestNothingHappensBeforeMain(t *testing.T)           { keep(t, initRule) }
func TestPackageVariablesDoNotVary(t *testing.T)          { keep(t, variableRule) }
func TestAPackageIsNamedForWhatItKnows(t *testing.T)      { keep(t, nameRule) }
func TestWhatIsLeftToDoIsExplained(t *testing.T)          { keep(t, todoRule) }

// A rule says where the house breaks it, and what to do.
type (
	rule func(h *house, say say)
	say  func(at ast.Node, format string, args ...any)
)

// house is all Go code of the project.
type house struct {
	fset  *token.FileSet
	files []*file
	goMod string
}

// file is one Go file. Its room is its directory, or "main" for the root.
type file struct {
	*ast.File
	room string
	test bool
}

func keep(t *testing.T, r rule) {
	t.Helper()
	t.Parallel()
	h, err := open(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range h.check(r) {
		t.Error(line)
	}
}

// open reads every Go file but fixtures and what a program has written.
func open(root fs.FS) (*house, error) {
	goMod, err := fs.ReadFile(root, "go.mod")
	if err != nil {
		return nil, err
	}
	h := &house{fset: token.NewFileSet(), goMod: string(goMod)}
	return h, fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && skipped.MatchString(d.Name()):
			return fs.SkipDir
		case d.IsDir() || path.Ext(name) != ".go":
			return nil
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		return h.add(name, text)
	})
}

func (h *house) add(name string, text []byte) error {
	tree, err := parser.ParseFile(h.fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil || ast.IsGenerated(tree) {
		return err
	}
	room := path.Dir(name)
	if room == "." {
		room = "main"
	}
	h.files = append(h.files, &file{File: tree, room: room, test: strings.HasSuffix(name, "_test.go")})
	return nil
}

// check returns what r says, each line with its place.
func (h *house) check(r rule) []string {
	var lines []string
	r(h, func(at ast.Node, format string, args ...any) {
		p := h.fset.Position(at.Pos())
		lines = append(lines, fmt.Sprintf("%s:%d: %s", p.Filename, p.Line, fmt.Sprintf(format, args...)))
	})
	slices.Sort(lines)
	return lines
}

// code returns the files that are not tests.
func (h *house) code() []*file {
	return slices.DeleteFunc(slices.Clone(h.files), func(f *file) bool { return f.test })
}

// walk visits every node of some files.
func walk(files []*file, visit func(f *file, n ast.Node)) {
	for _, f := range files {
		ast.Inspect(f.File, func(n ast.Node) bool { visit(f, n); return true })
	}
}

func byRoom(files []*file) map[string][]*file {
	rooms := map[string][]*file{}
	for _, f := range files {
		rooms[f.room] = append(rooms[f.room], f)
	}
	return rooms
}

func floorRule(h *house, say say) {
	for _, f := range h.files {
		own, known := floors[f.room]
		if !known && f.room != bench {
			say(f.Name, "package %s: give it a floor, in docs/architecture.md and in the table of house_test.go", f.room)
			continue
		}
		for _, spec := range f.Imports {
			room, ours := strings.CutPrefix(imported(spec), module+"/")
			floor, known := floors[room]
			switch {
			case !ours || !known || f.test && (room == f.room || room == contract):
			case f.room == bench:
				say(spec, "%s imports %s: it stands outside the house; let it run the program as a user does", bench, room)
			case floor >= own:
				say(spec, "%s (floor %d) imports %s (floor %d): only floors below may be imported; "+
					"move down what both need, or let a package above hand it over", f.room, own, room, floor)
			}
		}
	}
}

func imported(spec *ast.ImportSpec) string {
	return strings.Trim(spec.Path.Value, "\"`")
}

func doorRule(h *house, say say) {
	for _, f := range h.files {
		for _, spec := range f.Imports {
			name := imported(spec)
			domain, _, _ := strings.Cut(name, "/")
			in, known := doorsOf(name)
			switch {
			case !f.test && (name == "html/template" || name == "text/template"):
				say(spec, "%s finds methods by name, so the linker keeps all methods of the program: write the text with code", name)
			case !strings.Contains(domain, ".") || strings.HasPrefix(name, module):
			case !known:
				say(spec, "%s has no door: do without it, or give it one in docs/architecture.md and in the table of house_test.go", name)
			case !f.test && f.room != baseline && !slices.Contains(in, f.room):
				say(spec, "%s imports %s, which comes in by %s only: ask there for what you need",
					f.room, name, cmp.Or(strings.Join(in, ", "), "tests"))
			}
		}
	}
}

// doorsOf returns the doors of the module that a package belongs to.
func doorsOf(imported string) (in []string, known bool) {
	for name := imported; name != "."; name = path.Dir(name) {
		if in, known := doors[name]; known {
			return in, true
		}
	}
	return nil, false
}

func requirementRule(h *house, say say) {
	names := " "
	for _, f := range h.files {
		for _, spec := range f.Imports {
			names += imported(spec) + "/ "
		}
	}
	for _, m := range required.FindAllStringSubmatch(h.goMod, -1) {
		if !strings.Contains(names, " "+m[1]+"/") {
			say(h.files[0], "go.mod: nothing imports %s: run go mod tidy", m[1])
		}
	}
}

func hostRule(h *house, say say) {
	walk(h.code(), func(f *file, n ast.Node) {
		s, ok := n.(*ast.SelectorExpr)
		if !ok {
			return
		}
		for _, spec := range f.Imports {
			name := imported(spec) + "." + s.Sel.Name
			use := f.room + " uses " + name
			asks := types.ExprString(s.X) == localName(spec) && host.MatchString(name)
			if asks && allowed[f.room] == "" && allowed[use] == "" {
				say(n, "%s: the host is read in main and cmd; be handed the value, the writer or the function", use)
			}
		}
	})
}

// localName returns what a file calls a package it imports.
func localName(spec *ast.ImportSpec) string {
	if spec.Name != nil {
		return spec.Name.Name
	}
	return path.Base(strings.TrimSuffix(imported(spec), "/v2"))
}

func packageCommentRule(h *house, say say) {
	for room, files := range byRoom(h.code()) {
		text, first := "", files[0].Name
		for _, f := range files {
			text += f.Doc.Text()
		}
		command := "Command " + strings.Replace(path.Base(room), "main", path.Base(module), 1) + " "
		isCommand := first.Name == "main" && strings.HasPrefix(text, command)
		if want := "Package " + first.Name + " "; !isCommand && !strings.HasPrefix(text, want) {
			say(first, "package %s: say what it is for, in a comment that begins with %q", room, want)
		}
	}
}

func exportedRule(h *house, say say) {
	for _, f := range h.code() {
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil || ast.IsExported(strings.TrimLeft(types.ExprString(d.Recv.List[0].Type), "*(")) {
					checkDoc(say, d.Name, d.Doc)
				}
			case *ast.GenDecl:
				checkGroup(say, d)
			}
		}
	}
}

// checkGroup lets the comment of a group of values speak for all of them.
func checkGroup(say say, d *ast.GenDecl) {
	group, alone := d.Lparen.IsValid(), d.Doc
	if group {
		alone = nil
	}
	for _, spec := range d.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			checkDoc(say, spec.Name, cmp.Or(alone, spec.Doc))
		case *ast.ValueSpec:
			if !group || d.Doc == nil {
				checkDoc(say, spec.Names[0], cmp.Or(alone, spec.Doc))
			}
		}
	}
}

func checkDoc(say say, name *ast.Ident, doc *ast.CommentGroup) {
	begins := regexp.MustCompile(`^` + name.Name + `\b`)
	if name.IsExported() && !begins.MatchString(doc.Text()) {
		say(name, "%s is exported: give it a comment that begins with %q, or a small letter", name.Name, name.Name)
	}
}

func lengthRule(h *house, say say) {
	for _, f := range h.files {
		limit := map[bool]int{false: maxFile, true: maxTestFile}[f.test]
		if n := h.fset.File(f.Package).LineCount(); n > limit {
			say(f, "the file has %d lines, the limit is %d: divide it by subject", n, limit)
		}
	}
	walk(h.code(), func(_ *file, n ast.Node) {
		switch n.(type) {
		case *ast.FuncDecl, *ast.FuncLit:
			lines := h.fset.Position(n.End()).Line - h.fset.Position(n.Pos()).Line + 1
			if lines > maxFunction {
				say(n, "the function has %d lines, the limit is %d: take a step out of it", lines, maxFunction)
			}
		}
	})
}

func nestingRule(h *house, say say) {
	for _, f := range h.code() {
		ast.PreorderStack(f.File, nil, func(n ast.Node, around []ast.Node) bool {
			deep := depth(append(around, n)) > maxNesting
			if deep {
				say(n, "blocks are nested more than %d deep: return early, or take the inner ones out", maxNesting)
			}
			return !deep
		})
	}
}

// depth counts the blocks of a chain of nodes; an else-if continues its if.
func depth(chain []ast.Node) int {
	depth := 0
	for i, n := range chain {
		switch n := n.(type) {
		case *ast.IfStmt:
			if outer, ok := chain[i-1].(*ast.IfStmt); !ok || outer.Else != n {
				depth++
			}
		case *ast.ForStmt, *ast.RangeStmt, *ast.SwitchStmt, *ast.TypeSwitchStmt, *ast.SelectStmt:
			depth++
		}
	}
	return depth
}

func widthRule(h *house, say say) {
	walk(h.code(), func(_ *file, n ast.Node) {
		switch n := n.(type) {
		case *ast.FuncType:
			if count := n.Params.NumFields(); count > maxParameters {
				say(n, "%d parameters, the limit is %d: take a struct", count, maxParameters)
			}
		case *ast.InterfaceType:
			if count := n.Methods.NumFields(); count > maxMethods {
				say(n, "%d methods, the limit is %d: ask for less, or make two interfaces", count, maxMethods)
			}
		}
	})
}

func initRule(h *house, say say) {
	walk(h.files, func(f *file, n ast.Node) {
		// The room inside has to act before the packages that take long to begin.
		if d, ok := n.(*ast.FuncDecl); ok && d.Recv == nil && d.Name.Name == "init" && f.room != inside {
			say(d, "init runs unasked: use a table, or a function that main calls")
		}
		// They parse text/template, see doorRule.
		if x, ok := n.(*ast.SelectorExpr); ok && templates.MatchString(x.Sel.Name) && f.room == "cmd" {
			say(x, "%s links a template engine: use the function in its place", x.Sel.Name)
		}
	})
}

// variableRule wants package variables to be tables and sentinels, with a value
// from the beginning that nobody changes.
func variableRule(h *house, say say) {
	for room, files := range byRoom(h.code()) {
		var trees []*ast.File
		for _, f := range files {
			trees = append(trees, f.File)
		}
		info := types.Info{Uses: map[*ast.Ident]types.Object{}}
		blind := types.Config{Error: func(error) {}} // finds no import, and needs none
		pkg, _ := blind.Check(room, h.fset, trees, &info)
		changed := changes(files)
		for id, used := range info.Uses {
			if v, ok := used.(*types.Var); ok && v.Parent() == pkg.Scope() && changed[id.Pos()] {
				say(id, "the package variable %s is changed: keep it in a struct, or in the function that needs it", id.Name)
			}
		}
		for _, f := range files {
			checkInitial(f, say)
		}
	}
}

// checkStart refuses regular expressions that are compiled at every start of the program.
func checkStart(spec *ast.ValueSpec, say say) {
	for _, value := range spec.Values {
		ast.Inspect(value, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok && types.ExprString(call.Fun) == "regexp.MustCompile" {
				say(call, "%s is compiled at every start: wrap it in sync.OnceValue", spec.Names[0])
			}
			_, function := n.(*ast.FuncLit)
			return !function // its body runs later
		})
	}
}

// changes returns where statements begin to name what they change: at a for
// a.b[c] = d.
func changes(files []*file) map[token.Pos]bool {
	at := map[token.Pos]bool{}
	walk(files, func(_ *file, n ast.Node) {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for _, x := range n.Lhs {
				at[x.Pos()] = true
			}
		case *ast.IncDecStmt:
			at[n.X.Pos()] = true
		case *ast.UnaryExpr:
			at[n.X.Pos()] = at[n.X.Pos()] || n.Op == token.AND
		}
	})
	return at
}

// checkInitial looks for variables made to be filled later; what is embedded
// has no value either.
func checkInitial(f *file, say say) {
	for _, d := range f.Decls {
		d, ok := d.(*ast.GenDecl)
		if !ok || d.Tok != token.VAR {
			continue
		}
		for _, spec := range d.Specs {
			spec := spec.(*ast.ValueSpec)
			if len(spec.Values) == 0 && !embedded.MatchString(types.ExprString(spec.Type)) {
				say(spec, "the package variable %s is made to be changed: keep it in a struct, or in the function that needs it", spec.Names[0])
			}
			checkStart(spec, say)
		}
	}
}

func nameRule(h *house, say say) {
	for _, f := range h.files {
		if vague.MatchString(path.Base(f.room)) || vague.MatchString(f.Name.Name) {
			say(f.Name, "%q says nothing: name the package for what it knows, or put its code where it is used", f.Name.Name)
		}
	}
}

func todoRule(h *house, say say) {
	for _, f := range h.code() {
		for _, group := range f.Comments {
			if strings.Contains(explained.ReplaceAllString(group.Text(), ""), "TODO") {
				say(group, "TODO: write after a colon what is left to do, and why it is not done")
			}
		}
	}
}

// keepDependencies compares the versions in go.mod with those in docs/dependencies.md.
func keepDependencies(t *testing.T) {
	t.Helper()
	goMod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^\t(\S+) (v\S+)`).FindAllStringSubmatch(string(goMod), -1) {
		if row := fmt.Sprintf("| `%s` | %s |", m[1], m[2]); !strings.Contains(string(page), row) {
			t.Errorf("docs/dependencies.md has no row %s: look at the version, and enter it with the date", row)
		}
	}
}
