package console_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rivo/uniseg"

	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/runner"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var at = time.Date(2026, 7, 4, 15, 9, 39, 971036000, time.FixedZone("", 2*60*60))

// story returns the events of a build with everything that a sink has to show.
func story() []runner.Event {
	e := func(kind runner.Kind, phase runner.PhaseType, change ...func(*runner.Event)) runner.Event {
		event := runner.Event{Kind: kind, Phase: phase, Time: at}
		for _, f := range change {
			f(&event)
		}
		return event
	}
	text := func(s string) func(*runner.Event) { return func(e *runner.Event) { e.Text = s } }
	line := func(n int) func(*runner.Event) {
		return func(e *runner.Event) { e.Line, e.Attempt, e.At = n, 1, fmt.Sprintf("build:%d", n-5) }
	}
	output := func(s string) func(*runner.Event) { return func(e *runner.Event) { e.Output = []byte(s) } }
	ended := func(s runner.Status, c runner.Context) func(*runner.Event) {
		return func(e *runner.Event) { e.Status, e.Context, e.Duration = s, c, 1500*time.Millisecond }
	}
	failed := func(e *runner.Event) {
		e.Exit, e.Duration = 127, 1234*time.Millisecond
		e.Problem = &diag.Problem{File: "buildspec.yml", Line: 7, Column: 9, Width: 4, Excerpt: "      - make",
			Message: "command failed with exit status 127"}
		e.Problem.Hint, e.Why = "make: not found", "install make in the install phase, or use an image that has it"
		e.Hints = []string{"hint: " + e.Why}
	}
	record := &runner.Record{
		Status: runner.Failed, Start: at, End: at.Add(72 * time.Second),
		Phases: []runner.PhaseRecord{
			{Type: runner.Submitted, Status: runner.Succeeded},
			{Type: runner.Provisioning, Status: runner.Succeeded, Duration: 212 * time.Millisecond},
			{Type: runner.Install, Status: runner.Succeeded},
			{Type: runner.Build, Status: runner.Failed, Duration: 71 * time.Second},
			{Type: runner.UploadArtifacts, Status: runner.Succeeded, Duration: 20 * time.Millisecond},
		},
		Commands: []runner.CommandRecord{
			{Phase: runner.Build, At: "build:1", Text: "npm ci", Milliseconds: 65000,
				Used: &runner.Used{PeakMemory: 115 << 20, CPU: 3.8}},
			{Phase: runner.Build, At: "build:2", Text: strings.Repeat("long ", 40), Exit: 127, Milliseconds: 1234},
		},
		Artifacts: []runner.Output{{Dir: "artifacts", Files: []runner.File{{Path: "a", Size: 1}, {Path: "b\x1b[31m",
			Size: 2000}}},
			{
				Name: "docs",
				Dir:  "secondary-artifacts/docs",
				Files: []runner.File{{Path: "1"}, {Path: "2"}, {Path: "3"},
					{Path: "4"}, {Path: "5"}, {Path: "6"}, {Path: "7"}},
			}},
		Reports: []runner.Output{{Name: "unit", Dir: "reports/unit", Files: []runner.File{{Path: "junit.xml",
			Size: 12345678}}}},
		Exported: []runner.NameValue{{Name: "TAG", Value: "v1\nv2"}},
	}
	plan := &runner.Plan{Image: "image:1", Identity: runner.Identity{Project: "demo", Number: 7, UUID: "uuid"},
		Sources: []runner.Source{{Note: "3 files that git ignores left out"}}}
	return []runner.Event{
		e(runner.BuildBegan, "", func(e *runner.Event) { e.Plan = plan }),
		e(runner.PhaseBegan, runner.Submitted), e(runner.PhaseEnded, runner.Submitted, ended(runner.Succeeded,
			runner.Context{})),
		e(runner.PhaseBegan, runner.Provisioning),
		e(runner.Pulled, runner.Provisioning, func(e *runner.Event) {
			e.Pull = runner.Pull{Image: "image:1",
				Status: "Pulling from image"}
		}),
		e(runner.Pulled, runner.Provisioning, func(e *runner.Event) {
			e.Pull = runner.Pull{
				Image:   "image:1",
				Layer:   "abc",
				Status:  "Downloading",
				Current: 1 << 20,
				Total:   4 << 20,
			}
		}),
		e(runner.PhaseEnded, runner.Provisioning, ended(runner.Succeeded, runner.Context{})),
		e(
			runner.Said,
			runner.DownloadSource,
			text("Selecting 'nodejs' runtime version '20' based on manual selections..."),
		),
		e(runner.Said, runner.DownloadSource, text("Phases found in YAML: 1")),
		e(runner.PhaseEnded, runner.DownloadSource, ended(runner.Succeeded, runner.Context{})),
		e(runner.PhaseBegan, runner.Build),
		e(runner.CommandBegan, runner.Build, text("echo ä"), line(6)),
		e(runner.Printed, runner.Build, output("\xc3")), e(runner.Printed, runner.Build, output("\xa4")),
		e(runner.CommandEnded, runner.Build, text("echo ä"), line(6)),
		e(runner.CommandBegan, runner.Build, text("make\nall\n"), line(7)),
		e(runner.Printed, runner.Build, output("sh: make: not found\nbinary \xff\xfe\n")),
		e(runner.CommandEnded, runner.Build, text("make\nall\n"), line(7), failed),
		e(runner.PhaseEnded, runner.Build, ended(runner.Failed, runner.Context{StatusCode: runner.CommandError,
			Message: "Error while executing command: make\nall. Reason: exit status 127"})),
		e(runner.CommandBegan, runner.PostBuild, text("true"), func(e *runner.Event) {
			e.Finally, e.Attempt, e.Line, e.At = true, 2, 9, "post_build:finally:1"
		}),
		e(
			runner.CommandEnded,
			runner.PostBuild,
			text("true"),
			func(e *runner.Event) { e.Duration = 2 * time.Second },
		),
		e(runner.Noted, runner.UploadArtifacts, text("a note")),
		e(runner.Reported, runner.UploadArtifacts, func(e *runner.Event) { e.Reports = someReports() }),
		e(
			runner.PhaseEnded,
			runner.UploadArtifacts,
			ended(runner.Failed, runner.Context{StatusCode: runner.ClientError,
				Message: "no matching artifact paths found"}),
		),
		e(runner.BuildEnded, runner.Completed, func(e *runner.Event) { e.Status, e.Record = runner.Failed, record }),
	}
}

// columns returns the width of a terminal, for Options.Width.
func columns(n int) func() int { return func() int { return n } }

// checkWidth reports lines that are wider than the terminal. Output of commands may be.
func checkWidth(t *testing.T, name, printed string, limit int) {
	t.Helper()
	escapes := regexp.MustCompile(`\x1b\[[0-9;]*m|\x1b\]8;;[^\x1b]*\x1b\\`)
	for line := range strings.Lines(printed) {
		if line = escapes.ReplaceAllString(strings.TrimRight(line, "\n"), ""); uniseg.StringWidth(line) > limit {
			t.Errorf("%s: the line has %d columns, of %d: %q", name, uniseg.StringWidth(line), limit, line)
		}
	}
}

// golden compares the output of a sink with a file of testdata/console.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := "../testdata/console/" + name
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s: %s", name, diff)
	}
}

func TestText_Build(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]console.Options{
		"plain.txt": {}, "quiet.txt": {Quiet: true}, "verbose.txt": {Verbose: true},
		"terminal.txt": {Color: true, Width: columns(80)}, "wide.txt": {Width: columns(160)},
		"ascii.txt": {ASCII: true, Width: columns(80)},
	} {
		var b bytes.Buffer
		o.Logs, o.Dir, o.Source, o.SourceDir, o.Links = "buildlocal logs", "out/7", "../demo", "/home/me/demo", o.Color
		o.DirPath = "/home/me/demo/out/7"
		v := console.NewText(&b, o)
		for _, e := range story() {
			v.Notify(e)
		}
		golden(t, name, b.String())
		if v.Err() != nil {
			t.Error(v.Err())
		}
		if o.Width != nil {
			checkWidth(t, name, b.String(), o.Width())
		}
		if name != "terminal.txt" && strings.Contains(b.String(), "\x1b") {
			t.Errorf("%s: an escape where there is no terminal", name)
		}
	}
}

func TestService_Log(t *testing.T) {
	t.Parallel()
	var b, file bytes.Buffer
	s, f := console.NewService(&b), console.NewServiceFile(&file)
	for _, e := range story() {
		s.Notify(e)
		f.Notify(e)
	}
	golden(t, "service.txt", b.String())
	if diff := cmp.Diff(b.String(), file.String()); diff != "" {
		t.Errorf("the file differs: %s", diff)
	}
}

func TestService_IndexIgnoresOutput(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := console.NewServiceFile(&log)
	for _, e := range []runner.Event{
		{Kind: runner.PhaseBegan, Phase: runner.Build},
		{Kind: runner.CommandBegan, Phase: runner.Build, Text: "make"},
		{Kind: runner.Printed, Output: []byte("[Container] Running command evil\n[Container] Entering phase EVIL\n")},
		{Kind: runner.CommandEnded, Phase: runner.Build, Text: "make", Exit: 2},
		{Kind: runner.CommandBegan, Phase: runner.Build, Text: "sleep"},
		{Kind: runner.Printed, Output: []byte("cut off")},
		{Kind: runner.BuildEnded},
	} {
		s.Notify(e)
	}
	if s.Err() != nil {
		t.Fatal(s.Err())
	}
	index, text := s.Index(), log.String()
	if len(index.Commands) != 2 || len(index.Agent) != 4 {
		t.Fatalf("got %+v", index)
	}
	for i, want := range []string{"Running command make\n[Container] Running command evil", "Running command " +
		"sleep\ncut off"} {
		c := index.Commands[i]
		if got := text[c.Start:c.End]; !strings.HasPrefix(got, "[Container] ") || !strings.Contains(got, want) ||
			!c.Failed {
			t.Errorf("command %d is %q; want %q", i, got, want)
		}
	}
	for _, at := range index.Agent {
		if !strings.HasPrefix(text[at:], "[Container] ") {
			t.Errorf("the agent's line at %d is %q", at, text[at:])
		}
	}
}

func TestJSON_OneLinePerEvent(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	j := console.NewJSON(&b)
	for _, e := range story() {
		j.Notify(e)
	}
	golden(t, "events.jsonl", b.String())
	output := ""
	for _, line := range strings.Split(strings.TrimSpace(b.String()), "\n") {
		var m struct {
			Version      int
			Event        string
			Output       string
			OutputBase64 []byte
		}
		if err := json.Unmarshal([]byte(line), &m); err != nil || m.Version != 1 || m.Event == "" {
			t.Errorf("%s: %v", line, err)
		}
		output += m.Output + string(m.OutputBase64)
	}
	if want := "äsh: make: not found\nbinary \xff\xfe\n"; output != want {
		t.Errorf("output %q, want %q", output, want)
	}
}

// full is a writer without space left.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, os.ErrClosed }

func TestViewers_ReturnWriteErrors(t *testing.T) {
	t.Parallel()
	text, service, events := console.NewText(full{}, console.Options{}), console.NewService(full{}),
		console.NewJSON(full{})
	for _, e := range story() {
		text.Notify(e)
		service.Notify(e)
		events.Notify(e)
	}
	if text.Err() == nil || service.Err() == nil || events.Err() == nil {
		t.Errorf("errors %v, %v, %v", text.Err(), service.Err(), events.Err())
	}
}

// TestText_FailureIsRepeatedAfterOutputOnly has an event between the failure and the end that only
// has positions of error lines.
func TestText_FailureIsRepeatedAfterOutputOnly(t *testing.T) {
	t.Parallel()
	const position = "buildspec.yml:7:9: error: "
	for output, want := range map[string]int{"": 1, "later\n": 2} {
		var b bytes.Buffer
		v := console.NewText(&b, console.Options{})
		for _, e := range []runner.Event{
			{Kind: runner.CommandBegan, At: "build:1", Text: "make", Attempt: 1},
			{Kind: runner.CommandEnded, At: "build:1", Text: "make", Attempt: 1, Exit: 2, Problem: &diag.Problem{
				File: "buildspec.yml", Line: 7, Column: 9, Width: 4, Excerpt: "      - make", Message: "failed"}},
			{Kind: runner.Printed, Output: []byte(output), Errors: []int64{0}},
			{Kind: runner.BuildEnded, Record: &runner.Record{Status: runner.Failed}},
		} {
			v.Notify(e)
		}
		if got := strings.Count(b.String(), position); got != want {
			t.Errorf("after output %q the position is shown %d times, want %d:\n%s", output, got, want, b.String())
		}
	}
}
