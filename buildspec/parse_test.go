package buildspec_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/buildlocal/buildlocal/buildspec"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestParse_ReportsMistakes reads testdata/buildspec/err: each file
// has an .out beside it with every message.
func TestParse_ReportsMistakes(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../testdata/buildspec/err/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		spec, problems := buildspec.Parse(filepath.Base(file), text)
		got := problems.Error() + "\n"
		for _, p := range problems {
			if p.Service != "" {
				got += "service: " + p.Service + "\n"
			}
		}
		if warning := spec.Warning(); warning != "" {
			got += "service: " + warning + "\n"
		}
		golden := strings.TrimSuffix(file, ".yml") + ".out"
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s:\n%s", file, diff)
		}
	}
}

func parse(t *testing.T, text string) *buildspec.Buildspec {
	t.Helper()
	spec, problems := buildspec.Parse("buildspec.yml", []byte(text))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return spec
}

func TestParse_KeepsScalarSpelling(t *testing.T) {
	t.Parallel()
	spec := parse(t, `version: 0.2
env:
  variables:
    A: 3.10
    B: 010
    C: 1e3
    D: yes
    E: null
    F: 2001-02-03
    G:
    H: "a\nb"
    I: ~
    J: 0x10
    K: 1_000
phases:
  install:
    runtime-versions: {python: 3.10, java: corretto8}
    commands: echo one
`)
	want := []string{"3.10", "010", "1e3", "yes", "null", "2001-02-03", "", "a\nb", "~", "0x10", "1_000"}
	var got []string
	for _, v := range spec.Env.Variables {
		got = append(got, v.Value)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	install, _ := spec.Phase("INSTALL")
	if install.Runtimes[0].Value != "3.10" || len(install.Commands) != 1 {
		t.Errorf("install: %+v", install)
	}
}

func TestParse_ReadsEveryKey(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../testdata/buildspec/ok/everything.yml")
	if err != nil {
		t.Fatal(err)
	}
	spec := parse(t, string(text))
	if spec.RunAs != "builder" || spec.Env.Shell != "bash" || !spec.Env.GitCredentialHelper || spec.Batch == nil {
		t.Errorf("top and env: %+v", spec)
	}
	want := &buildspec.Artifacts{
		Files: []string{"**/*"}, ExcludePaths: []string{"*.tmp"}, BaseDirectory: "dist", Name: "app-$X", S3Prefix: "p",
		DiscardPaths: true, Symlinks: true, Line: 41,
		Secondary: []buildspec.Artifacts{{Identifier: "docs", Files: []string{"docs/*"}, Line: 49}},
	}
	if diff := cmp.Diff(want, spec.Artifacts); diff != "" {
		t.Error(diff)
	}
	groups := []buildspec.ReportGroup{
		{Name: "unit", Files: []string{"junit.xml"}, BaseDirectory: "out", Format: "NUNIT3XML", DiscardPaths: true, Line: 33},
		{Name: "$GROUP", Files: []string{"a", "b"}, Format: "JUNITXML", Line: 38},
	}
	if diff := cmp.Diff(groups, spec.Reports); diff != "" {
		t.Error(diff)
	}
	cache := &buildspec.Cache{Paths: []string{"node_modules/**/*"}, Key: "k", FallbackKeys: []string{"k-"},
		Action: "restore", Line: 53}
	if diff := cmp.Diff(cache, spec.Cache); diff != "" {
		t.Error(diff)
	}
	build, _ := spec.Phase("BUILD")
	wantBuild := buildspec.Phase{
		Name: "BUILD", Path: "phases.build", Line: 22, RunAs: "other", OnFailure: buildspec.OnFailure{Text: "Retry-2-x.*",
			Action: buildspec.Retry, Retries: 2},
		Commands: []buildspec.Command{{Text: "echo a: b", Line: 26, Column: 9, Style: buildspec.Quoted,
			Path: "phases.build.commands[0]"}, {Text: "one\ntwo\n", Line: 28, Column: 9, Style: buildspec.Literal,
			Path: "phases.build.commands[1]"}},
		Finally: []buildspec.Command{{Text: "echo done", Line: 31, Column: 9, Path: "phases.build.finally[0]"}},
	}
	if diff := cmp.Diff(wantBuild, build, cmpopts.IgnoreFields(buildspec.OnFailure{}, "Match")); diff != "" {
		t.Error(diff)
	}
}

func TestParse_UnusualDocuments(t *testing.T) {
	t.Parallel()
	const phases = "\nphases: {build: {commands: [echo]}}\n"
	tests := map[string]struct {
		text   string
		failed bool
	}{
		"json":             {`{"version":"0.2","phases":{"build":{"commands":["echo"]}}}`, false},
		"byte order mark":  {"\xef\xbb\xbfversion: 0.2" + phases, false},
		"carriage returns": {"version: 0.2\r\nphases:\r\n  build:\r\n    commands:\r\n      - echo\r\n", false},
		"anchors and merges": {"version: 0.2\nphases:\n  install: &a\n    commands: [echo]\n  build:\n    <<: *a\n    " +
			"finally: [echo]\n", false},
		"batch only":           {"batch: {build-list: []}\n", false},
		"empty":                {"", true},
		"only a comment":       {"# nothing\n", true},
		"a list":               {"- version\n", true},
		"two documents":        {"version: 0.2" + phases + "---\nmore: 1\n", false},
		"an anchor of itself":  {"version: 0.2\nphases: &p\n  build: *p\n", false},
		"not UTF-8":            {"version: 0.2\nphases: \xff\xfe", true},
		"nothing but brackets": {strings.Repeat("[", 100000), true},
		"an alias bomb":        {bomb(), false},
		"a NUL in a command":   {"version: 0.2\nphases: {build: {commands: [\"a\\0b\"]}}\n", true},
	}
	for name, test := range tests {
		began := time.Now()
		_, problems := buildspec.Parse("buildspec.yml", []byte(test.text))
		if problems.Failed() != test.failed {
			t.Errorf("%s: failed is %v, want %v: %v", name, problems.Failed(), test.failed, problems)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s took %v", name, took)
		}
	}
}

// bomb returns a document whose aliases expand to 10^9 items.
func bomb() string {
	var b strings.Builder
	b.WriteString("version: 0.2\nx0: &x0 [a,a,a,a,a,a,a,a,a,a]\n")
	for i := 1; i < 9; i++ {
		before := strings.Repeat("*x"+string(rune('0'+i-1))+",", 10)
		b.WriteString("x" + string(rune('0'+i)) + ": &x" + string(rune('0'+i)) + " [" + before + "]\n")
	}
	return b.String() + "phases: {build: {commands: *x0}}\n"
}

func TestParseOnFailure_AllForms(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]buildspec.OnFailure{
		"":               {},
		"ABORT":          {Action: buildspec.Abort},
		"continue":       {Action: buildspec.Continue},
		"RETRY":          {Action: buildspec.Retry, Retries: 3},
		"Retry-0":        {Action: buildspec.Retry},
		"RETRY-100":      {Action: buildspec.Retry, Retries: 100},
		"RETRY-a-b":      {Action: buildspec.Retry, Retries: 3},
		"RETRY-2-a.*b-c": {Action: buildspec.Retry, Retries: 2},
	} {
		got, err := buildspec.ParseOnFailure(text)
		want.Text = text
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(buildspec.OnFailure{}, "Match")); diff != "" || err != nil {
			t.Errorf("%q: %v %s", text, err, diff)
		}
	}
	for _, text := range []string{"ABORT-1", "STOP", "RETRY-101", "RETRY-(", "-"} {
		if _, err := buildspec.ParseOnFailure(text); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
	if o, _ := buildspec.ParseOnFailure("RETRY-2-a.*b-c"); !o.Match.MatchString("a x b-c") {
		t.Error("the pattern keeps its dashes")
	}
}

func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("../testdata/buildspec/*/*.yml")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		spec, problems := buildspec.Parse("f", text)
		_ = problems.Error()
		for _, phase := range spec.Phases {
			for _, c := range phase.Commands {
				if strings.ContainsRune(c.Text, 0) {
					t.Errorf("a command holds NUL: %q", c.Text)
				}
			}
		}
	})
}
