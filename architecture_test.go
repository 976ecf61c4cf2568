// Package main_test checks the rules of docs/architecture.md. It parses every Go
// file of the project and reports each violation with its position.
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
	module     = "github.com/buildlocal/buildlocal"
	contract   = "engine/enginetest"       // the tests of every engine
	bench      = "internal/bench"          // a program of its own, outside the layers
	baseline   = "internal/bench/baseline" // a program to compare with: only dependencies
	testreport = "internal/testreport"
	inside     = "engine/sandbox/inside"
	awstest    = "aws/awstest" // an AWS server for tests

	dockerConn  = "engine/docker/conn"
	dockerImage = "engine/docker/image"
	dockerRelay = "engine/docker/relay"
	dockerShare = "engine/docker/share"
)

// layers has the layer of each package. A package imports only lower layers.
var layers = map[string]int{
	"main":      9,
	"cmd":       8,
	"cmd/build": 7, "cmd/caches": 7, "cmd/configure": 7, "cmd/debug": 7, "cmd/image": 7, "cmd/machine": 7,
	"cmd/explain": 7, "cmd/files": 7, "cmd/repro": 7, "cmd/results": 7,
	"cmd/running": 7, "cmd/secret": 7, "cmd/snapshot": 7, "cmd/editor": 7,
	"cmd/start": 7, "cmd/validate": 7, "cmd/watch": 7,
	"cmd/launch": 6, "cmd/settings": 6, "cmd/clitest": 6, "cmd/tty": 6, "cmd/reach": 6,
	"cmd/cli": 5, "cmd/help": 5, "cmd/claims": 5,
	"dap":   5,
	"local": 4, "debugger": 4,
	"affected": 3, "console": 3, "control": 3, "snapshots": 3, "explain": 3, "repro": 3, "page": 3, "lsp": 3,
	"engine/docker": 3,
	"runner":        2, "lint": 2, "aws": 2, "engine/sandbox": 2, dockerImage: 2, dockerRelay: 2, dockerShare: 2,
	"buildspec": 1, "project": 1, "source": 1, "secrets": 1, "runtimes": 1, "artifacts": 1, "reports": 1, "cache": 1,
	"builds": 1, "starter": 1, "watch": 1, "internal/config": 1, "internal/rundir": 1, "internal/trust": 1,
	dockerConn: 1, "engine/difference": 1, "engine/images": 1, inside: 1, contract: 1, awstest: 1,
	"engine": 0, "engine/docker/apiproxy": 0, "compute": 0, "runner/shell": 0,
	"internal/atomicfile": 0, "internal/cgroup": 0, "internal/control": 0, "internal/diag": 0, "internal/mounts": 0,
	"internal/overlay": 0, "internal/regular": 0, "internal/relay": 0, "internal/sax": 0, "internal/terminal": 0,
	"internal/tree": 0, "internal/treecopy": 0, "internal/untar": 0, baseline: 0, testreport: 0,
	"internal/human": -1,
}

// importers names the packages that may import an external module. Test files may
// import any module listed here; a module without importers is for tests only.
var importers = map[string][]string{
	"github.com/spf13/cobra":                 {"cmd", "cmd/*"},
	"github.com/spf13/pflag":                 {"cmd/cli", "cmd/help", "cmd/configure", "cmd/launch", "cmd/settings"},
	"github.com/docker/docker":               {"engine/docker", "engine/docker/*"},
	"github.com/docker/cli":                  {dockerConn},
	"github.com/docker/go-connections":       {"engine/docker", dockerShare},
	"github.com/containerd/errdefs":          {dockerConn, dockerShare},
	"github.com/distribution/reference":      {dockerImage, dockerShare},
	"github.com/opencontainers/image-spec":   {dockerConn},
	"github.com/google/go-containerregistry": {"engine/images"},
	"github.com/klauspost/compress":          {"engine/images", "cache", "page"},
	"golang.org/x/sys": {
		dockerConn, "engine/images", "engine/sandbox", inside, "internal/untar", "internal/overlay", "internal/relay",
		"internal/control", "cmd/configure", "cmd/clitest", "cmd/tty",
	},
	"gopkg.in/yaml.v3": {
		"buildspec",
		"project",
		"runtimes",
		"secrets",
		"internal/config",
		"cmd/secret",
	},
	"github.com/aws/aws-sdk-go-v2":          {"aws"},
	"github.com/aws/smithy-go":              {"aws"},
	"github.com/hashicorp/yamux":            {"internal/control", "internal/relay"},
	"github.com/fatih/color":                {"console"},
	"golang.org/x/text":                     {"internal/sax"},
	"github.com/docker/go-units":            {"internal/human"},
	"github.com/moby/term":                  {"internal/terminal", "cmd/cli", "cmd/tty"},
	"github.com/rivo/uniseg":                {"console", "cmd/clitest"},
	"github.com/moby/sys/atomicwriter":      {"internal/atomicfile"},
	"github.com/moby/sys/mountinfo":         {"internal/mounts"},
	"github.com/fsnotify/fsnotify":          {"watch"},
	"github.com/moby/sys/user":              {inside},
	"github.com/mattn/go-isatty":            {"internal/terminal"},
	"github.com/bmatcuk/doublestar":         {"internal/tree"},
	"github.com/agnivade/levenshtein":       {"internal/diag"},
	"mvdan.cc/sh":                           {"lint"},
	"github.com/owenrumney/go-sarif":        nil,
	"github.com/aymanbagabas/go-udiff":      {"cmd/build", "cmd/files", "cmd/results", "cmd/validate", "explain"},
	"github.com/sourcegraph/jsonrpc2":       {"lsp"},
	"golang.org/x/term":                     {"debugger"},
	"github.com/tliron/glsp":                {"lsp"},
	"github.com/santhosh-tekuri/jsonschema": nil,
	"github.com/google/go-dap":              {"dap"},
	"github.com/google/uuid":                {"local"},
	"github.com/gofrs/flock":                {"internal/rundir", "cache"},
	"github.com/rogpeppe/go-internal":       nil,
	"github.com/google/go-cmp":              {contract}, // tests in a file without _test suffix
}

// host matches the names in the standard library that read or write the host.
var host = regexp.MustCompile(`^(time\.Now|fmt\.(Print|Scan)(f|ln)?|(log|crypto/rand|math/rand|math/rand/v2)\..+|` +
	`os\.(Getenv|LookupEnv|Environ|ExpandEnv|Setenv|Unsetenv|Clearenv|Args|Stdin|Stdout|Stderr|Exit|` +
	`UserHomeDir|UserCacheDir|UserConfigDir|TempDir|Hostname|Getwd))$`)

// allowed lists the packages that may use the host, with the reason. A key is a
// package or a single use, such as "runner uses time.Now".
var allowed = map[string]string{
	"main":                                  "owns the streams, the exit code and the signals",
	"cmd":                                   "handles the signals and runs the helpers that have no App",
	"cmd/cli":                               "reads the host and passes values to other packages",
	"internal/rundir uses crypto/rand.Text": "names of resources are never reused",
	"local uses crypto/rand.Text":           "makes what no build can guess",
	"local uses crypto/rand.Int":            "makes what no build can guess",
	"local uses crypto/rand.Reader":         "makes what no build can guess",
	testreport:                              "a program of its own",
	bench:                                   "a program of its own",
	baseline:                                "a program of its own",
	inside:                                  "a separate program in the same binary: it runs before main, and exits",
	awstest:                                 "a remote service with its own clock",
}

// Size limits.
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

func TestImports_OnlyLowerLayers(t *testing.T)          { keep(t, layerRule) }
func TestImports_ExternalModules(t *testing.T)          { keep(t, moduleRule) }
func TestGoMod_EveryRequirementIsImported(t *testing.T) { keep(t, requirementRule) }
func TestDependencies_AreListed(t *testing.T)           { keepDependencies(t) }
func TestHost_OnlyMainAndCmd(t *testing.T)              { keep(t, hostRule) }
func TestPackage_HasComment(t *testing.T)               { keep(t, packageCommentRule) }
func TestExported_HasComment(t *testing.T)              { keep(t, exportedRule) }
func TestLength_FilesAndFunctions(t *testing.T)         { keep(t, lengthRule) }
func TestNesting_Limit(t *testing.T)                    { keep(t, nestingRule) }
func TestWidth_ParametersAndMethods(t *testing.T)       { keep(t, widthRule) }
func TestInit_NotUsed(t *testing.T)                     { keep(t, initRule) }
func TestPackageVariables_Constant(t *testing.T)        { keep(t, variableRule) }
func TestPackageName_NotVague(t *testing.T)             { keep(t, nameRule) }
func TestTODO_Explained(t *testing.T)                   { keep(t, todoRule) }

type (
	// rule reports each violation, with how to resolve it.
	rule   func(c *codebase, report report)
	report func(at ast.Node, format string, args ...any)
)

// codebase is all Go code of the project.
type codebase struct {
	fset  *token.FileSet
	files []*file
	goMod string
}

// file is one Go file. Its dir is its directory, or "main" for the root.
type file struct {
	*ast.File
	text []byte
	dir  string
	test bool
}

func keep(t *testing.T, r rule) {
	t.Helper()
	t.Parallel()
	c, err := open(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range c.check(r) {
		t.Error(line)
	}
}

// open reads every Go file except fixtures and generated files.
func open(root fs.FS) (*codebase, error) {
	goMod, err := fs.ReadFile(root, "go.mod")
	if err != nil {
		return nil, err
	}
	c := &codebase{fset: token.NewFileSet(), goMod: string(goMod)}
	return c, fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
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
		return c.add(name, text)
	})
}

func (c *codebase) add(name string, text []byte) error {
	tree, err := parser.ParseFile(c.fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil || ast.IsGenerated(tree) {
		return err
	}
	dir := path.Dir(name)
	if dir == "." {
		dir = "main"
	}
	c.files = append(c.files, &file{File: tree, text: text, dir: dir, test: strings.HasSuffix(name, "_test.go")})
	return nil
}

// check returns the violations of r, one line each, with the position.
func (c *codebase) check(r rule) []string {
	var lines []string
	r(c, func(at ast.Node, format string, args ...any) {
		p := c.fset.Position(at.Pos())
		lines = append(lines, fmt.Sprintf("%s:%d: %s", p.Filename, p.Line, fmt.Sprintf(format, args...)))
	})
	slices.Sort(lines)
	return lines
}

// code returns the files that are not tests.
func (c *codebase) code() []*file {
	return slices.DeleteFunc(slices.Clone(c.files), func(f *file) bool { return f.test })
}

// walk visits every node of some files.
func walk(files []*file, visit func(f *file, n ast.Node)) {
	for _, f := range files {
		ast.Inspect(f.File, func(n ast.Node) bool { visit(f, n); return true })
	}
}

func byDir(files []*file) map[string][]*file {
	dirs := map[string][]*file{}
	for _, f := range files {
		dirs[f.dir] = append(dirs[f.dir], f)
	}
	return dirs
}

func layerRule(c *codebase, report report) {
	for _, f := range c.files {
		own, known := layers[f.dir]
		if !known && f.dir != bench {
			report(f.Name, "package %s: give it a layer in docs/architecture.md and in the table of architecture_test.go", f.dir)
			continue
		}
		for _, spec := range f.Imports {
			dir, ours := strings.CutPrefix(imported(spec), module+"/")
			layer, known := layers[dir]
			switch {
			case !ours || !known || f.test && (dir == f.dir || dir == contract):
			case f.dir == bench:
				report(spec, "%s imports %s: it is outside the layers; run the program as a user does", bench, dir)
			case layer >= own:
				report(spec, "%s (layer %d) imports %s (layer %d): only lower layers may be imported; "+
					"move shared code down, or let a package above pass it in", f.dir, own, dir, layer)
			}
		}
	}
}

func imported(spec *ast.ImportSpec) string {
	return strings.Trim(spec.Path.Value, "\"`")
}

func moduleRule(c *codebase, report report) {
	for _, f := range c.files {
		for _, spec := range f.Imports {
			name := imported(spec)
			domain, _, _ := strings.Cut(name, "/")
			in, known := importersOf(name)
			switch {
			case !f.test && (name == "html/template" || name == "text/template"):
				report(
					spec,
					"%s looks up methods by name, so the linker keeps all methods of the program: write the text with code",
					name,
				)
			case !strings.Contains(domain, ".") || strings.HasPrefix(name, module):
			case !known:
				report(
					spec,
					"%s is not listed: avoid it, or enter it in docs/architecture.md and in the table of architecture_test.go",
					name,
				)
			case !f.test && f.dir != baseline && !mayImport(in, f.dir):
				report(spec, "%s imports %s; only %s may",
					f.dir, name, cmp.Or(strings.Join(in, ", "), "tests"))
			}
		}
	}
}

// importersOf returns the packages that may import the module of a package.
func importersOf(imported string) (in []string, known bool) {
	for name := imported; name != "."; name = path.Dir(name) {
		if in, known := importers[name]; known {
			return in, true
		}
	}
	return nil, false
}

// mayImport reports whether a package is in a list of importers. An entry that ends with
// an asterisk matches the packages of a directory.
func mayImport(in []string, dir string) bool {
	return slices.Contains(in, dir) || slices.Contains(in, path.Dir(dir)+"/*")
}

func requirementRule(c *codebase, report report) {
	names := " "
	for _, f := range c.files {
		for _, spec := range f.Imports {
			names += imported(spec) + "/ "
		}
	}
	for _, m := range required.FindAllStringSubmatch(c.goMod, -1) {
		if !strings.Contains(names, " "+m[1]+"/") {
			report(c.files[0], "go.mod: nothing imports %s: run go mod tidy", m[1])
		}
	}
}

func hostRule(c *codebase, report report) {
	walk(c.code(), func(f *file, n ast.Node) {
		s, ok := n.(*ast.SelectorExpr)
		if !ok {
			return
		}
		for _, spec := range f.Imports {
			name := imported(spec) + "." + s.Sel.Name
			use := f.dir + " uses " + name
			asks := types.ExprString(s.X) == localName(spec) && host.MatchString(name)
			if asks && allowed[f.dir] == "" && allowed[use] == "" {
				report(n, "%s: only main and cmd read the host; take the value, the writer or the function as a parameter", use)
			}
		}
	})
}

// localName returns the name by which a file refers to an imported package.
func localName(spec *ast.ImportSpec) string {
	if spec.Name != nil {
		return spec.Name.Name
	}
	return path.Base(strings.TrimSuffix(imported(spec), "/v2"))
}

func packageCommentRule(c *codebase, report report) {
	for dir, files := range byDir(c.code()) {
		text, first := "", files[0].Name
		for _, f := range files {
			text += f.Doc.Text()
		}
		command := "Command " + strings.Replace(path.Base(dir), "main", path.Base(module), 1) + " "
		isCommand := first.Name == "main" && strings.HasPrefix(text, command)
		if want := "Package " + first.Name + " "; !isCommand && !strings.HasPrefix(text, want) {
			report(first, "package %s: describe it in a comment that begins with %q", dir, want)
		}
	}
}

func exportedRule(c *codebase, report report) {
	for _, f := range c.code() {
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil || ast.IsExported(strings.TrimLeft(types.ExprString(d.Recv.List[0].Type), "*(")) {
					checkDoc(report, d.Name, d.Doc)
				}
			case *ast.GenDecl:
				checkGroup(report, d)
			}
		}
	}
}

// checkGroup accepts the comment of a group of values for all of them.
func checkGroup(report report, d *ast.GenDecl) {
	group, alone := d.Lparen.IsValid(), d.Doc
	if group {
		alone = nil
	}
	for _, spec := range d.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			checkDoc(report, spec.Name, cmp.Or(alone, spec.Doc))
		case *ast.ValueSpec:
			if !group || d.Doc == nil {
				checkDoc(report, spec.Names[0], cmp.Or(alone, spec.Doc))
			}
		}
	}
}

func checkDoc(report report, name *ast.Ident, doc *ast.CommentGroup) {
	begins := regexp.MustCompile(`^` + name.Name + `\b`)
	if name.IsExported() && !begins.MatchString(doc.Text()) {
		report(name, "%s is exported: give it a comment that begins with %q, or make it unexported", name.Name, name.Name)
	}
}

func lengthRule(c *codebase, report report) {
	for _, f := range c.files {
		limit := map[bool]int{false: maxFile, true: maxTestFile}[f.test]
		if n := c.fset.File(f.Package).LineCount(); n > limit {
			report(f, "the file has %d lines, the limit is %d: split it by subject", n, limit)
		}
	}
	walk(c.code(), func(_ *file, n ast.Node) {
		switch n.(type) {
		case *ast.FuncDecl, *ast.FuncLit:
			lines := c.fset.Position(n.End()).Line - c.fset.Position(n.Pos()).Line + 1
			if lines > maxFunction {
				report(n, "the function has %d lines, the limit is %d: extract a step", lines, maxFunction)
			}
		}
	})
}

func nestingRule(c *codebase, report report) {
	for _, f := range c.code() {
		ast.PreorderStack(f.File, nil, func(n ast.Node, around []ast.Node) bool {
			deep := depth(append(around, n)) > maxNesting
			if deep {
				report(n, "blocks are nested more than %d deep: return early, or extract the inner ones", maxNesting)
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

func widthRule(c *codebase, report report) {
	walk(c.code(), func(_ *file, n ast.Node) {
		switch n := n.(type) {
		case *ast.FuncType:
			if count := n.Params.NumFields(); count > maxParameters {
				report(n, "%d parameters, the limit is %d: use a struct", count, maxParameters)
			}
		case *ast.InterfaceType:
			if count := n.Methods.NumFields(); count > maxMethods {
				report(n, "%d methods, the limit is %d: ask for less, or split the interface", count, maxMethods)
			}
		}
	})
}

func initRule(c *codebase, report report) {
	walk(c.files, func(f *file, n ast.Node) {
		// engine/sandbox/inside must run before packages with a slow initialization.
		if d, ok := n.(*ast.FuncDecl); ok && d.Recv == nil && d.Name.Name == "init" && f.dir != inside {
			report(d, "init is called implicitly: use a table, or a function that main calls")
		}
		// They parse text/template, see moduleRule.
		if x, ok := n.(*ast.SelectorExpr); ok && templates.MatchString(x.Sel.Name) && f.dir == "cmd" {
			report(x, "%s links a template engine: use the function instead", x.Sel.Name)
		}
	})
}

// variableRule allows only package variables that are tables or sentinels: they have
// an initial value that is never changed.
func variableRule(c *codebase, report report) {
	for dir, files := range byDir(c.code()) {
		var trees []*ast.File
		for _, f := range files {
			trees = append(trees, f.File)
		}
		info := types.Info{Uses: map[*ast.Ident]types.Object{}}
		blind := types.Config{Error: func(error) {}} // imports are not resolved, and not needed
		pkg, _ := blind.Check(dir, c.fset, trees, &info)
		changed := changes(files)
		for id, used := range info.Uses {
			if v, ok := used.(*types.Var); ok && v.Parent() == pkg.Scope() && changed[id.Pos()] {
				report(id, "the package variable %s is changed: keep it in a struct, or in the function that needs it", id.Name)
			}
		}
		for _, f := range files {
			checkInitial(f, report)
		}
	}
}

// checkStart refuses regular expressions that are compiled at every start of the program.
func checkStart(spec *ast.ValueSpec, report report) {
	for _, value := range spec.Values {
		ast.Inspect(value, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok && types.ExprString(call.Fun) == "regexp.MustCompile" {
				report(call, "%s is compiled at every start: wrap it in sync.OnceValue", spec.Names[0])
			}
			_, function := n.(*ast.FuncLit)
			return !function // its body runs later
		})
	}
}

// changes returns the positions at which the changed operands of statements begin: of
// a in a.b[c] = d.
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

// checkInitial reports variables without an initial value. Embedded files are exempt.
func checkInitial(f *file, report report) {
	for _, d := range f.Decls {
		d, ok := d.(*ast.GenDecl)
		if !ok || d.Tok != token.VAR {
			continue
		}
		for _, spec := range d.Specs {
			spec := spec.(*ast.ValueSpec)
			if len(spec.Values) == 0 && !embedded.MatchString(types.ExprString(spec.Type)) {
				report(
					spec,
					"the package variable %s is made to be changed: keep it in a struct, or in the function that needs it",
					spec.Names[0],
				)
			}
			checkStart(spec, report)
		}
	}
}

func nameRule(c *codebase, report report) {
	for _, f := range c.files {
		if vague.MatchString(path.Base(f.dir)) || vague.MatchString(f.Name.Name) {
			report(f.Name, "%q is vague: name the package for its subject, or move the code to its caller", f.Name.Name)
		}
	}
}

func todoRule(c *codebase, report report) {
	for _, f := range c.code() {
		for _, group := range f.Comments {
			if strings.Contains(explained.ReplaceAllString(group.Text(), ""), "TODO") {
				report(group, "TODO: write after a colon the remaining work, and why it is not done")
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
			t.Errorf("docs/dependencies.md has no row %s: review the version, and enter it with the date", row)
		}
	}
}
