package apiproxy_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// decision is the entry in testdata/routes for an operation of the API.
type decision struct{ route, versions, verdict string }

// decisions reads testdata/routes.
func decisions(t *testing.T) []decision {
	t.Helper()
	text, err := os.ReadFile("testdata/routes")
	if err != nil {
		t.Fatal(err)
	}
	var all []decision
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		if len(words) != 4 || !slices.Contains([]string{"allow", "refuse"}, words[3]) {
			t.Fatalf("testdata/routes: %q is not METHOD PATH VERSIONS allow|refuse", line)
		}
		all = append(all, decision{words[0] + " " + words[1], words[2], words[3]})
	}
	return all
}

// placeholder matches a name in a path of the API.
var placeholder = regexp.MustCompile(`\{[^}]*\}`)

// apiRoutes returns the operations in the engine's source: those of its routers, which
// serve all API versions since 1.24, and those of its specification.
func apiRoutes(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/docker/docker").Output()
	if err != nil {
		t.Fatalf("find the engine's source: %v", err)
	}
	dir := strings.TrimSpace(string(out))
	return append(
		routerRoutes(t, filepath.Join(dir, "api", "server")),
		swaggerRoutes(t, filepath.Join(dir, "api", "swagger.yaml"))...)
}

func routerRoutes(t *testing.T, dir string) (all []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*", "*", "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	middle, err := filepath.Glob(filepath.Join(dir, "*", "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(files, middle...) {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok && len(call.Args) > 1 {
				if route := routeOf(call); route != "" {
					all = append(all, route)
				}
			}
			return true
		})
	}
	return all
}

// routeOf returns the route of a call such as router.NewGetRoute("/info", ...).
func routeOf(call *ast.CallExpr) string {
	function, ok := call.Fun.(*ast.SelectorExpr)
	path, isText := call.Args[0].(*ast.BasicLit)
	if !ok || !isText {
		return ""
	}
	name, isNew := strings.CutPrefix(function.Sel.Name, "New")
	method, isRoute := strings.CutSuffix(name, "Route")
	if !isNew || !isRoute || method == "" {
		return ""
	}
	text, _ := strconv.Unquote(path.Value)
	return strings.ToUpper(method) + " " + placeholder.ReplaceAllString(text, "{}")
}

func swaggerRoutes(t *testing.T, name string) (all []string) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	_, text2, _ := strings.Cut(string(text), "\npaths:\n")
	path := ""
	for line := range strings.Lines(text2) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "  /"):
			path = strings.TrimSuffix(strings.TrimSpace(line), ":")
		case slices.Contains([]string{"    get:", "    head:", "    post:", "    put:", "    delete:"}, line):
			all = append(all, strings.ToUpper(strings.Trim(line, " :"))+" "+placeholder.ReplaceAllString(path, "{}"))
		}
	}
	return all
}

func TestRoutes_CoverAPI(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, d := range decisions(t) {
		if known[d.route] {
			t.Errorf("testdata/routes has %s twice", d.route)
		}
		known[d.route] = true
	}
	all := apiRoutes(t)
	if len(all) < 200 {
		t.Fatalf("the engine's source has only %d routes; is it read rightly?", len(all))
	}
	for _, route := range all {
		if !known[route] {
			t.Errorf("%s: no decision in testdata/routes", route)
		}
	}
}

// TestRoutes_DecisionsHold requests each operation in each API version, for objects of the
// build and of others, and checks the requests that reach the engine.
func TestRoutes_DecisionsHold(t *testing.T) {
	t.Parallel()
	for _, d := range decisions(t) {
		first, last, _ := strings.Cut(d.versions, "-")
		for _, version := range []string{"", "/v1.24", "/v1." + first, "/v1." + last, "/v1.51"} {
			checkDecision(t, d, version)
		}
		for _, version := range []string{"/v1.23", "/v1.0", "/v1.99", "/v2.0", "/v01.41", "/v1.041", "/v1.41.0", "/v1",
			"/%761.41", "/V1.41"} {
			method, path, _ := strings.Cut(d.route, " ")
			if reached := reaches(t, method, version+strings.ReplaceAll(path, "{}", "mine")); len(reached) > 0 {
				t.Errorf("%s in %s reaches the engine: %v", d.route, version, reached)
			}
		}
	}
}

func checkDecision(t *testing.T, d decision, version string) {
	t.Helper()
	method, path, _ := strings.Cut(d.route, " ")
	reached := reaches(t, method, version+strings.ReplaceAll(path, "{}", "mine")+queryOf(d.route))
	if (len(reached) > 0) != (d.verdict == "allow") {
		t.Errorf("%s in %q: %d requests reach the engine, and the decision is %s", d.route, version, len(reached), d.verdict)
	}
	object := strings.HasPrefix(path, "/containers/{}") || strings.HasPrefix(path, "/exec/{}") ||
		strings.HasPrefix(path, "/volumes/{}") ||
		strings.HasPrefix(path, "/networks/{}") ||
		method == http.MethodDelete
	if !object {
		return
	}
	if reached := reaches(t, method, version+strings.ReplaceAll(path, "{}", "others")+queryOf(d.route)); len(reached) > 0 {
		t.Errorf("%s in %q reaches the engine for what is somebody else's: %v", d.route, version, reached)
	}
	for _, r := range reached {
		if want := version + strings.ReplaceAll(path, "{}", mine); !strings.HasPrefix(path, "/volumes/") &&
			!strings.HasPrefix(path, "/images/") &&
			r.path != want {
			t.Error(cmp.Diff(want, r.path))
		}
	}
}

// queryOf returns required parameters.
func queryOf(route string) string {
	return map[string]string{"POST /commit": "?container=mine", "POST /images/create": "?fromImage=x",
		"POST /images/{}/tag": "?repo=x"}[route]
}

func reaches(t *testing.T, method, target string) []received {
	t.Helper()
	g, engine := newEngine(t)
	body := ""
	if strings.HasSuffix(target, "connect") {
		body = `{"Container": "mine"}`
	}
	ask(t, g, method, target, body)
	return engine.take()
}
