package explain_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/buildlocal/buildlocal/explain"
	"github.com/buildlocal/buildlocal/runner"
)

var start = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// record returns a build of the branch main, which was changed by change. Its number is also the
// hour in which it started.
func record(number int, status runner.Status, change ...func(*runner.Record)) *runner.Record {
	began := start.Add(time.Duration(number) * time.Hour)
	r := &runner.Record{
		Number: number, Project: "shop", Status: status, Start: began, End: began.Add(12 * time.Second),
		Commit:    &runner.Commit{ID: strings.Repeat("1", 40), Branch: "main"},
		Contents:  &runner.Contents{Tree: "t1"},
		Buildspec: &runner.BuildspecText{File: "buildspec.yml", Text: spec("dev", "npm test")},
		Environment: runner.Environment{
			Image: "node:22", ImageID: "sha256:aaaaaaaaaaaaaaaa",
			Variables: []runner.EnvironmentVariable{
				{Name: "CODEBUILD_BUILD_NUMBER", Value: itoa(number), Origin: runner.ServiceOrigin},
				{Name: "STAGE", Value: "dev", Type: "PLAINTEXT", Origin: "buildspec.yml:4"},
				{Name: "TOKEN", Value: "/shop/token", Type: "PARAMETER_STORE", Origin: "buildspec.yml:6", Hash: "h1"},
			},
		},
		Phases: []runner.PhaseRecord{
			{Type: runner.Install, Status: runner.Succeeded, Start: began, End: began.Add(2 * time.Second)},
			{Type: runner.Build, Status: status, Start: began.Add(2 * time.Second), End: began.Add(12 * time.Second)},
			{Type: runner.Completed, Start: began.Add(12 * time.Second)},
		},
		Commands: []runner.CommandRecord{
			{Phase: runner.Install, At: "install:1", Text: "npm ci", Milliseconds: 2000},
			{Phase: runner.Build, At: "build:1", Text: "npm test", Line: 9, Milliseconds: 10000,
				Used: &runner.Used{PeakMemory: 400 << 20}},
		},
		Cache: &runner.CacheUse{Paths: []string{"node_modules"}, Restored: &runner.CacheEntry{}},
	}
	for _, f := range change {
		f(r)
	}
	return r
}

func itoa(n int) string { return string(rune('0' + n)) }

func spec(stage, test string) string {
	return "version: 0.2\nenv:\n  variables:\n    STAGE: " + stage +
		"\nphases:\n  build:\n    commands:\n      - " + test + "\n"
}

// failed makes a build fail at its last command.
func failed(output ...string) func(*runner.Record) {
	return func(r *runner.Record) {
		r.Commands[1].Exit = 137
		f := runner.Failure{Command: 1, Explanation: runner.Explanation{
			File: "buildspec.yml", Line: 8, Column: 9, Width: 8, Excerpt: []string{"      - npm test"}, First: 8,
			Hints: []string{"lint: npm test | tee hides a failure (lost-status)", "hint: give the engine more memory"},
		}}
		for _, line := range output {
			f.Output = append(f.Output, runner.OutputLine{Text: line})
		}
		r.Failures = []runner.Failure{f}
	}
}

// differ makes everything of a build differ from the others.
func differ(r *runner.Record) {
	r.Contents = &runner.Contents{Tree: "t2"}
	r.Changes = &runner.Changes{Build: 2, Count: 3, Files: []string{"a.js", "src/price.js", "z.js"},
		Named: []string{"src/price.js"}}
	r.Buildspec.Text = spec("prod-value", "npm test -- --all")
	r.Environment.ImageID = "sha256:bbbbbbbbbbbbbbbb"
	r.Environment.Variables[1].Value = "prod-value"
	r.Environment.Variables[2].Hash = "h2"
	r.Environment.Variables = append(r.Environment.Variables, runner.EnvironmentVariable{Name: "NEW", Value: "new-value"})
	r.Cache.Restored = nil
	r.Commands[1].Used.PeakMemory = 800 << 20
}

func explainOf(r *runner.Record, earlier ...*runner.Record) *explain.Report {
	return explain.New(r, slices.Values(earlier))
}

func TestNew_ComparesWithLastGreen(t *testing.T) {
	t.Parallel()
	r := explainOf(record(4, runner.Failed, failed("price.js:3"), differ), record(3, runner.Failed, failed()),
		record(2, runner.Succeeded), record(1, runner.Succeeded))
	want := []explain.Row{
		{Name: "buildspec", Text: "2 lines of buildspec.yml changed"},
		{Name: "source", Text: "3 files changed; the output names src/price.js; others: a.js, z.js"},
		{Name: "image", Text: "node:22 aaaaaaaaaaaa → node:22 bbbbbbbbbbbb"},
		{Name: "variables", Text: "NEW added, STAGE changed, TOKEN changed"},
		{Name: "cache", Text: "hit → miss"},
		{Name: "duration", Text: "12.0s, was 12.0s"},
		{Name: "memory", Text: "800MiB, was 400MiB"},
	}
	if diff := cmp.Diff(want, r.Since.Rows()); diff != "" {
		t.Error(diff)
	}
	if got, want := r.Since.Head(), "since #2, green 2 h earlier"; got != want {
		t.Errorf("head %q, want %q", got, want)
	}
	wantLines := []string{
		"- 4:     STAGE: …", "+ 4:     STAGE: …", "- 8:       - npm test", "+ 8:       - npm test -- --all",
	}
	if diff := cmp.Diff(wantLines, r.Since.Spec.Changed()); diff != "" {
		t.Error(diff)
	}
	if r.Failure.At != "build:1" || !strings.Contains(r.Failure.Meaning, "SIGKILL") {
		t.Errorf("failure %+v", r.Failure)
	}
	var steps []string
	for _, n := range r.Next {
		steps = append(steps, n.Command)
	}
	wantSteps := []string{"buildlocal debug", "buildlocal logs 4 build:1", "buildlocal validate"}
	if !slices.Equal(steps, wantSteps) {
		t.Errorf("next: %q", steps)
	}
}

func TestSince_Line(t *testing.T) {
	t.Parallel()
	changed := func(r *runner.Record) {
		r.Contents = &runner.Contents{Tree: "t2"}
		r.Changes = &runner.Changes{Build: 1, Count: 1, Files: []string{"src/price.js"}}
	}
	for want, change := range map[string]func(*runner.Record){
		"since #1 (green): src/price.js changed; same buildspec, image, variables and cache": changed,
		"since #1 (green): same files, buildspec, image, variables and cache":                func(*runner.Record) {},
		"since #1 (green): another image; same files, buildspec, variables and cache": func(r *runner.Record) {
			r.Environment.ImageID = "sha256:c"
		},
	} {
		r := explainOf(record(2, runner.Failed, failed(), change), record(1, runner.Succeeded))
		if got := r.Since.Line(); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
}

func TestNew_PrefersBranchAndWholeBuilds(t *testing.T) {
	t.Parallel()
	onFeature := func(r *runner.Record) { r.Commit = &runner.Commit{Branch: "feature"} }
	byHand := func(r *runner.Record) { r.ByHand = []runner.HandChange{{}} }
	partial := func(r *runner.Record) { r.Partial = &runner.Partial{} }
	tests := map[string]struct {
		earlier []*runner.Record
		build   int
		branch  string
	}{
		"newest":         {[]*runner.Record{record(3, runner.Succeeded), record(2, runner.Succeeded)}, 3, ""},
		"same branch":    {[]*runner.Record{record(3, runner.Succeeded, onFeature), record(2, runner.Succeeded)}, 2, ""},
		"only other":     {[]*runner.Record{record(3, runner.Succeeded, onFeature)}, 3, "feature"},
		"not by hand":    {[]*runner.Record{record(3, runner.Succeeded, byHand), record(2, runner.Succeeded)}, 2, ""},
		"not partial":    {[]*runner.Record{record(3, runner.Succeeded, partial), record(2, runner.Succeeded)}, 2, ""},
		"not the future": {[]*runner.Record{record(5, runner.Succeeded), record(2, runner.Succeeded)}, 2, ""},
		"never green":    {[]*runner.Record{record(3, runner.Failed, failed())}, 0, ""},
	}
	for name, tt := range tests {
		got := &explain.Since{}
		if s := explainOf(record(4, runner.Failed, failed()), tt.earlier...).Since; s != nil {
			got = s
		}
		if got.Build != tt.build || got.Branch != tt.branch {
			t.Errorf("%s: since %d on %q, want %d on %q", name, got.Build, got.Branch, tt.build, tt.branch)
		}
	}
}

func TestNew_Flaky(t *testing.T) {
	t.Parallel()
	other := func(r *runner.Record) { r.Contents = &runner.Contents{Tree: "t9"} }
	r := explainOf(record(5, runner.Failed, failed()), record(4, runner.Failed, failed()),
		record(3, runner.Succeeded, other), record(2, runner.Succeeded))
	if r.Flaky == nil || !slices.Equal(r.Flaky.Green, []int{2}) || !slices.Equal(r.Flaky.Failed, []int{4}) {
		t.Fatalf("flaky: %+v", r.Flaky)
	}
	if got := r.Flaky.Text(); !strings.HasPrefix(got, "the same files were green in #2 and failed in #4: ") {
		t.Errorf("%q", got)
	}
	if r := explainOf(record(5, runner.Failed, failed()), record(3, runner.Succeeded, other)); r.Flaky != nil {
		t.Errorf("flaky with other files: %+v", r.Flaky)
	}
}

func TestNew_SlowParts(t *testing.T) {
	t.Parallel()
	took := func(ms int64) func(*runner.Record) {
		return func(r *runner.Record) { r.Commands[1].Milliseconds = ms }
	}
	r := explainOf(record(7, runner.Succeeded, took(10000)), record(6, runner.Succeeded, took(1000)),
		record(5, runner.Failed, failed()), record(4, runner.Succeeded, took(2000)),
		record(3, runner.Succeeded, took(3000)))
	if got, want := r.Slow.Head(), "time, by phase and command, and the median of #6, #4, #3"; got != want {
		t.Errorf("head %q, want %q", got, want)
	}
	first := r.Slow.Commands[0]
	if first.Name != "build:1" || first.Usual != 2000 || first.Compared() != "usually 2.0s, slower by 8.0s" {
		t.Errorf("%+v: %s", first, first.Compared())
	}
	if len(r.Slow.Phases) != 2 || r.Slow.Phases[0].Compared() != "usually 2.0s" {
		t.Errorf("phases %+v", r.Slow.Phases)
	}
	if r.Failure != nil || r.Since != nil || len(r.Next) > 0 {
		t.Errorf("a green build has %+v, %+v and %+v", r.Failure, r.Since, r.Next)
	}
}

func TestNamed_WholeNames(t *testing.T) {
	t.Parallel()
	files := []string{"src/price.js", "lib/a.go", "Makefile", "price.jsx", "x/other.py"}
	r := record(1, runner.Failed,
		failed("at test (/codebuild/output/src1/src/src/price.js:3:1)", "xa.go", "Makefile:2: stop"))
	if got, want := explain.Named(files, r), []string{"src/price.js", "Makefile"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestReport_HasNoValues checks that no value of a variable is in a report, in any format.
func TestReport_HasNoValues(t *testing.T) {
	t.Parallel()
	r := explainOf(record(4, runner.Failed, failed("x"), differ), record(2, runner.Succeeded))
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for format, printed := range map[string]string{"markdown": r.Markdown(), "json": string(text)} {
		if !strings.Contains(printed, "STAGE") {
			t.Errorf("%s does not name STAGE:\n%s", format, printed)
		}
		for _, value := range []string{"prod-value", "new-value", "/shop/token", "h2"} {
			if strings.Contains(printed, value) {
				t.Errorf("%s has %q:\n%s", format, value, printed)
			}
		}
	}
}

func TestMarkdown_IsNotInterpreted(t *testing.T) {
	t.Parallel()
	odd := func(r *runner.Record) {
		r.Changes = &runner.Changes{Build: 2, Count: 1, Files: []string{"a|<b>*c*`d`"}}
	}
	output := failed("```", "<img src=x>", "\x1b[31mred\x1b[0m")
	r := explainOf(record(4, runner.Failed, output, odd), record(2, runner.Succeeded))
	got := r.Markdown()
	for _, want := range []string{"\n````text\n```\n<img src=x>\nred\n````\n", `a\|&lt;b>\*c\*\` + "`d"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
}

func TestReport_MatchesSchema(t *testing.T) {
	t.Parallel()
	file, err := os.Open("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	document, err := jsonschema.UnmarshalJSON(file)
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	byPhase := func(r *runner.Record) {
		r.Phases[0].Status, r.Phases[0].Contexts = runner.Fault, []runner.Context{{Message: "no image"}}
	}
	for name, r := range map[string]*explain.Report{
		"failed":  explainOf(record(4, runner.Failed, failed("x"), differ), record(2, runner.Succeeded)),
		"flaky":   explainOf(record(4, runner.Failed, failed("x")), record(2, runner.Succeeded)),
		"first":   explainOf(record(4, runner.Failed, failed("x"))),
		"phase":   explainOf(record(4, runner.Fault, byPhase)),
		"stopped": explainOf(&runner.Record{Number: 1, Project: "p", Status: runner.Stopped}),
		"green":   explainOf(record(4, runner.Succeeded), record(2, runner.Succeeded)),
	} {
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		instance, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(instance); err != nil {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
	}
	if schema.Validate(map[string]any{"version": 1.0}) == nil {
		t.Error("the schema accepts a report without a build")
	}
}
