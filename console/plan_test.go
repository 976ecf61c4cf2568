package console_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/runner"
	"github.com/buildlocal/buildlocal/secrets"
)

// planOf returns the plan of a build with all sections of a buildspec, two sources and a secret
// that replaces a variable.
func planOf(t *testing.T) *runner.Plan {
	t.Helper()
	text, err := os.ReadFile("../testdata/buildspec/ok/everything.yml")
	if err != nil {
		t.Fatal(err)
	}
	spec, problems := buildspec.Parse("buildspec.yml", text)
	if problems.Failed() {
		t.Fatal(problems)
	}
	spec.Phases[0].Commands = append(spec.Phases[0].Commands, buildspec.Command{
		Line: 100, Text: "deploy --token hidden " + strings.Repeat("--flag value ", 20) + "\nsecond line\n"})
	plan, err := runner.NewPlan(runner.Inputs{
		Spec: spec, Location: "buildspec.yml", Image: "image:1", CachePlace: "/home/me/.cache/buildlocal/cache",
		Engine: "docker at unix:///var/run/docker.sock",
		Identity: runner.Identity{Project: "demo", UUID: "00000000-0000-0000-0000-000000000000", Number: 7,
			Region: "eu-west-1", Account: "000000000000", Initiator: "me", Start: at},
		Project: project.Project{Name: "demo",
			Environment: project.Environment{Variables: []project.Variable{{Name: "A", Value: "project's", Line: 3}}}},
		ProjectFile: "project.json",
		Overrides:   []runner.Override{{Origin: "-e", Variables: []project.Variable{{Name: "B", Value: "hidden"}}}},
		Sources: []runner.Source{
			{Digits: "123456789", Tree: engine.Tree{Host: "/home/me/demo"}},
			{ID: "other", Digits: "987654321", Tree: engine.Tree{Host: "/o"}, Note: strings.Repeat("a long note ", 15)},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func TestPlan_Golden(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]console.Options{
		"plan.txt": {}, "plan-80.txt": {Width: columns(80)}, "plan-160.txt": {Width: columns(160), Color: true},
		"plan-ascii.txt": {Width: columns(60), ASCII: true},
	} {
		var b bytes.Buffer
		view := console.PlanView{Plan: planOf(t), Whole: name == "plan.txt",
			SecretOrigin: func(secrets.Request) string { return console.Missing },
			CacheEntry:   "80 files, 12MB, saved 20 min ago by #11",
			Path:         func(p string) string { return strings.Replace(p, "/home/me", "~", 1) }}
		console.NewScreen(&b, o).Plan(view)
		golden(t, name, b.String())
		if o.Width != nil {
			checkWidth(t, name, b.String(), o.Width())
		}
		for _, word := range []string{"hidden", "00000000-0000"} {
			if strings.Contains(b.String(), word) {
				t.Errorf("%s: %s is printed", name, word)
			}
		}
	}
}
