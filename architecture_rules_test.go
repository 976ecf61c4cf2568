package main_test

import (
	"path"
	"strings"
	"testing"
	"testing/fstest"
)

// violations are examples: the rule, the file, its text after the package clause, and
// the expected message, which is empty if the rule is kept.
var violations = []struct {
	rule             rule
	path, text, want string
}{
	{layerRule, "attic/a.go", ``, "attic/a.go:1: package attic: give it a layer"},
	{layerRule, "runner/a.go", `import "MODULE/lint"`, "runner (layer 2) imports lint (layer 2)"},
	{layerRule, "cache/a_test.go", `import "MODULE/runner"`, "cache (layer 1) imports runner (layer 2)"},
	{layerRule, "cache/a_test.go", `import "MODULE/cache"; import "MODULE/engine/enginetest"`, ""},
	{layerRule, "internal/bench/a.go", `import "MODULE/internal/diag"`, "run the program as a user"},
	{moduleRule, "runner/a.go", `import "github.com/docker/docker/client"`, "only engine/docker, engine/docker/* may"},
	{moduleRule, "runner/a.go", `import "github.com/google/go-cmp/cmp"`, "only engine/enginetest may"},
	{moduleRule, "runner/a.go", `import "github.com/rogpeppe/go-internal/txtar"`, "only tests may"},
	{moduleRule, "runner/a_test.go", `import "example.com/mock"`, "is not listed"},
	{moduleRule, "internal/tree/a.go", `import "github.com/bmatcuk/doublestar/v4"; import "io"`, ""},
	{requirementRule, "runner/a.go", `import "example.com/used/sub"`, "nothing imports example.com/unused"},
	{requirementRule, "runner/a_test.go", `import ("example.com/used"; "example.com/unused")`, ""},
	{hostRule, "runner/a.go", `import clock "time"; var now = clock.Now`, "runner uses time.Now"},
	{hostRule, "runner/a.go", `import "math/rand/v2"; var n = rand.Int()`, "runner uses math/rand/v2.Int"},
	{hostRule, "cmd/a.go", `import "os"; var home = os.Getenv("HOME")`, ""},
	{packageCommentRule, "runner/a.go", ``, "package runner: describe it"},
	{packageCommentRule, "cmd/main.go", "", "package cmd: describe it"},
	{exportedRule, "runner/a.go", "\n// It runs.\nfunc Run() {}", "runner/a.go:3: Run is exported"},
	{
		exportedRule,
		"runner/a.go",
		"type t[K any] int; func (t *t[K]) A() {}; type T[K any] int; func (t *T[K]) B() {}",
		"B is exported",
	},
	{exportedRule, "runner/a.go", "const (A = 1)", "A is exported"},
	{exportedRule, "runner/a.go", "\n// Kinds.\nconst (A = 1)\n// T is.\ntype T int", ""},
	{lengthRule, "runner/a.go", "func f() {" + strings.Repeat("\n", maxFunction) + "}", "the function has 61 lines"},
	{lengthRule, "runner/a.go", strings.Repeat("\n//", maxFile), "the file has 501 lines"},
	{nestingRule, "runner/a.go", `func f() { for { switch { case true: if a { select {} } } } }`, "more than 3 deep"},
	{nestingRule, "runner/a.go", `func f() { for { for { if a { } else if b { } else if c { } } } }`, ""},
	{widthRule, "runner/a.go", `func f(a, b, c, d, e, g int) {}`, "6 parameters"},
	{widthRule, "runner/a.go", `type t interface { a(); b(); c(); d(); e() }`, "5 methods"},
	{initRule, "runner/a.go", `func init() {}`, "init is called implicitly"},
	{
		initRule,
		"cmd/a.go",
		`func f(c *cobra.Command) { c.SetVersionTemplate("") }`,
		"SetVersionTemplate links a template engine",
	},
	{
		moduleRule,
		"page/a.go",
		`import "html/template"; var _ = template.HTML("")`,
		"html/template looks up methods by name",
	},
	{variableRule, "runner/a.go", `var m = map[string]int{}; func f() { m["a"]++ }`, "variable m is changed"},
	{variableRule, "runner/a.go", `import "regexp"; var x = regexp.MustCompile("a")`, "x is compiled at every start"},
	{
		variableRule,
		"runner/a.go",
		`import ("regexp"; "sync"); var x = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile("a") })`,
		"",
	},
	{variableRule, "runner/a.go", `import "sync"; var mu sync.Mutex`, "variable mu is made to be changed"},
	{variableRule, "runner/a.go", `var n = 1; func f() { n := n; n++ }`, ""},
	{nameRule, "internal/util/a.go", ``, "is vague"},
	{todoRule, "runner/a.go", `// TODO`, "remaining work"},
	{todoRule, "runner/a.go", `// TODO: the service does so since May`, ""},
}

func TestRules_FindViolations(t *testing.T) {
	t.Parallel()
	for _, tt := range violations {
		text := "package " + path.Base(path.Dir(tt.path)) + ";" + strings.ReplaceAll(tt.text, "MODULE", module)
		c, err := open(fstest.MapFS{
			tt.path: {Data: []byte(text)},
			"go.mod": {
				Data: []byte(
					"require example.com/used v1.0.0\nrequire (\n\texample.com/unused v1.0.0\n\tx.org/y v1.0.0 // indirect\n)",
				),
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(c.check(tt.rule), "\n")
		if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %s\n got %q\nwant %q", tt.path, text, got, tt.want)
		}
	}
}
