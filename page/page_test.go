package page_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/artifacts"
	"github.com/buildlocal/buildlocal/builds"
	"github.com/buildlocal/buildlocal/page"
	"github.com/buildlocal/buildlocal/reports"
	"github.com/buildlocal/buildlocal/runner"
)

const (
	chromium = "chromium"
	// modules is the directory in which make installs the driver of a browser, and axe.
	modules = "../bin/browser/node_modules"
)

// evil is HTML that a build could contain. It has to be visible as text, and must not run.
const evil = "</script><img src=x " +
	"onerror=\"document.title='harmed'\"><script>document.title='harmed'</script>\x1b[31mred\x1b]8;;htt" +
	"ps://evil.example\x07link\x1b]8;;\x07\u202e\x00 & <b>bold</b> {{.Title}}"

// build returns a build with all parts of a page.
func build(log string, cases int) page.Build {
	start := time.Date(2026, 7, 4, 15, 0, 0, 0, time.UTC)
	up := 2.5
	set := &reports.Set{Build: 7, Project: "demo", Past: []reports.Past{{Build: 5}, {Build: 6}},
		Reports: []*reports.Report{
			{Group: "demo-unit" + evil, Type: reports.Test, Status: reports.Failed, Tests: &reports.TestSummary{Total: cases,
				Counts: map[reports.CaseStatus]int{}}, Changes: &reports.Changes{Build: 6, NewlyFailing: 1}},
			{Group: "demo-lines", Type: reports.CodeCoverage, Status: reports.Succeeded,
				Sum: &reports.Sum{Lines: reports.Counts{Covered: 3, Missed: 1}}, Changes: &reports.Changes{Build: 6, Lines: &up},
				Coverage: []reports.Coverage{
					{Path: "src/a.js", Place: "src/a.js", Lines: reports.Counts{Covered: 2, Missed: 1},
						Branches: reports.Counts{Covered: 1, Missed: 1}, Detail: []reports.Line{{Number: 1, Hits: 3, Code: true},
							{Number: 2, Hits: 0, Code: true}, {Number: 3, Hits: 1, Code: true, Branches: reports.Counts{Covered: 1,
								Missed: 1}}}},
					{Path: "src/deep/" + evil + ".js", Lines: reports.Counts{Covered: 1}},
				}},
		}}
	unit := set.Reports[0]
	for i := range cases {
		c := reports.Case{Name: fmt.Sprintf("test %d", i), Prefix: "shop.Cart", Suite: "unit", Status: reports.CaseSucceeded,
			Duration: time.Duration(i) * time.Millisecond, History: "PP"}
		switch {
		case i == 3:
			c.Name, c.Message, c.Status, c.Change, c.History = evil, evil, reports.CaseFailed, reports.NewlyFailing, "P-"
			c.Place, c.Suite, c.Prefix, c.Raw = &reports.Place{File: "src/a.js", Line: 2}, evil, evil, evil
		case i%100 == 50:
			c.Status, c.Message = reports.CaseError, strings.Repeat("a line of a stack\n", 100)
		case i%10 == 9:
			c.Status = reports.CaseSkipped
		}
		unit.Tests.Counts[c.Status]++
		unit.Cases = append(unit.Cases, c)
	}
	return page.Build{
		Reports: set, Log: strings.NewReader(log), Index: indexOf(log), Record: record(start),
		Artifacts: artifacts.Manifest{Artifacts: []artifacts.Set{{Dir: "artifacts", Entries: files()}}},
		Trend:     builtBefore(),
		Source: func(name string) []byte {
			if name == "src/a.js" {
				return []byte("first();\nif (x) <b>second</b>();\nthird();\n")
			}
			return nil
		},
	}
}

// files returns the files of an artifact: a tree, and a hostile name.
func files() []artifacts.Entry {
	all := []artifacts.Entry{{Path: "dist/" + evil, Size: 1234, Mode: "0644", SHA256: strings.Repeat("ab", 32)},
		{Path: "link", Link: evil, SHA256: evil}}
	for i := range 635 {
		all = append(all, artifacts.Entry{Path: fmt.Sprintf("dist/modules/m%d/lib/file%d.js", i/40, i), Size: int64(i * 100),
			Mode: "0644", SHA256: strings.Repeat("cd", 32)})
	}
	return all
}

// builtBefore returns the trend of a project, with hostile texts.
func builtBefore() []page.Summary {
	covered := 75.0
	day := time.Date(2026, 7, 1, 15, 0, 0, 0, time.UTC)
	return []page.Summary{
		{Name: "5-00000005", Number: 5, Project: "demo", Status: runner.Succeeded, Start: day, Seconds: 80, Passed: 10,
			Branch: "main", Commit: "abcdef0123", Subject: "Begin", Where: "docker, image:1"},
		{Name: "6-00000006", Number: 6, Project: "demo", Status: runner.Failed, Start: day.Add(time.Hour), Seconds: 90,
			Passed: 9, Bad: 1, Newly: 1, Lines: &covered, Branch: evil, Subject: evil, Failed: evil, Where: evil},
		{Name: "7-00000007", Number: 7, Project: "demo", Status: runner.TimedOut, Start: day.Add(2 * time.Hour),
			Seconds: 70, Branch: "main", Failed: "PROVISIONING", Where: "host, no image"},
	}
}

// record returns the record of a build in which two commands failed. Every text that a build
// or its source can choose is hostile.
func record(start time.Time) *runner.Record {
	used := &runner.Used{PeakMemory: 100 << 20, CPU: 1.5}
	series := &runner.Series{StepMilliseconds: 1000}
	for i := range 90 {
		series.CPU, series.Memory = append(series.CPU, float64(i%3)), append(series.Memory, int64(i)<<20)
	}
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	return &runner.Record{
		Project: "demo" + evil, Number: 7, Status: runner.Failed, Start: start, End: at(90), ID: "demo:uuid",
		Phases: []runner.PhaseRecord{
			{Type: runner.Submitted, Status: runner.Succeeded, Start: start, End: start},
			{Type: runner.Provisioning, Status: runner.Succeeded, Start: start, End: at(10)},
			{Type: runner.Build, Status: runner.Failed, Start: at(10), End: at(80),
				Contexts: []runner.Context{{Message: evil}}},
			{Type: runner.PostBuild, Status: runner.Failed, Start: at(80), End: at(90),
				Contexts: []runner.Context{{Message: evil}}},
		},
		Commands: []runner.CommandRecord{
			{Phase: runner.Build, Text: "make all", Line: 6, Start: at(10), Milliseconds: 60_000, Used: used},
			{Phase: runner.Build, Text: "false " + evil + "\nmore\n", Line: 7, Start: at(70), Exit: 1, Milliseconds: 9_000},
			{Phase: runner.PostBuild, Text: evil, Line: 9, Start: at(80), Exit: 2, Attempt: 2, Milliseconds: 13},
		},
		Failures: []runner.Failure{
			{Command: 1, Explanation: runner.Explanation{
				File: evil, Line: 7, Column: 3, Width: 5, First: 6, Excerpt: []string{evil, "ä false " + evil, "c"}, Hint: evil},
				Output: []runner.OutputLine{{Offset: 0, Text: "Error: " + evil, Error: true},
					{Offset: int64(len(failedLine)), Text: "the last line"}}},
			{Command: 2, Explanation: runner.Explanation{Hint: evil}, Output: []runner.OutputLine{{Text: evil}}},
		},
		Commit:  &runner.Commit{ID: "0123456789abcdef", Branch: evil, Subject: evil, Author: evil},
		Machine: &runner.Machine{Engine: "docker", Version: evil, Address: evil, Name: evil, CPUs: 2, Memory: 4 << 30},
		Cache: &runner.CacheUse{Paths: []string{evil}, Key: evil, Result: evil, Problems: []string{evil},
			Restored: &runner.CacheEntry{Files: 3, Bytes: 4000, Key: evil}},
		Usage:   series,
		Changes: &runner.Changes{Build: 5, Files: []string{evil, "b"}, Count: 7},
		Next:    []runner.NextStep{{Command: "buildlocal run " + evil, Purpose: "Run this build again"}},
		Environment: runner.Environment{Image: evil, Variables: []runner.EnvironmentVariable{
			{Name: "TOKEN", Value: "/demo/token", Type: "PARAMETER_STORE", Origin: "buildspec.yml:3"},
			{Name: "EVIL" + evil, Value: evil, Type: "PLAINTEXT", Origin: evil},
			{Name: "CODEBUILD_BUILD_ID", Value: "demo:uuid", Type: "PLAINTEXT", Origin: "the service"},
		}},
		Exported: []runner.NameValue{{Name: "TAG", Value: evil}},
	}
}

// failedLine is the first line of the second command's output.
const failedLine = "Error: boom\n"

// indexOf returns the structure of a test's log. In a build it is recorded with the log.
func indexOf(log string) builds.LogIndex {
	var index builds.LogIndex
	at, before := int64(0), int64(0)
	end := func(failed bool) {
		if last := len(index.Commands) - 1; last >= 0 && index.Commands[last].End == 0 {
			index.Commands[last].End, index.Commands[last].Failed = at, failed
		}
	}
	for line := range strings.Lines(log) {
		if strings.HasPrefix(line, "[Container] ") {
			end(strings.Contains(line, "did not exit successfully"))
			index.Agent = append(index.Agent, at)
		}
		if strings.HasPrefix(line, "[Container] ") && strings.Contains(line, " Running command ") {
			phase := "BUILD"
			if len(index.Commands) == 2 {
				phase = "POST_BUILD"
			}
			index.Commands = append(index.Commands,
				builds.LogCommand{Start: at, Output: at + int64(len(line)), Phase: phase})
		}
		if strings.Contains(line, "Error: ") {
			index.Errors = append(index.Errors, at)
		}
		if len(index.Times) < 1000 {
			index.Times = append(index.Times, int64(min(1, len(index.Times)))*before, 700)
		}
		before = int64(len(line))
		at += before
	}
	end(false)
	return index
}

// smallLog has three commands, colors that go on in the next line, and a progress bar.
const smallLog = "[Container] 2026/07/04 15:00:00.000000 Entering phase BUILD\n" +
	"[Container] 2026/07/04 15:00:00.000000 Running command make all\n" +
	"plain \x1b[31mred\nstill red\x1b[0m plain\n10%\r50%\r100%\n" + evil + "\n\n" +
	"[Container] 2026/07/04 15:00:01.000000 Running command false\n" + failedLine + "the last line\nmore\n\n" +
	"[Container] 2026/07/04 15:00:01.000000 Command did not exit successfully false exit status 1\n" +
	"[Container] 2026/07/04 15:00:02.000000 Running command " + evil + "\n" + evil + "\n\n" +
	"[Container] 2026/07/04 15:00:02.000000 Command did not exit successfully " + evil + " exit status 2\n"

// green returns a build that succeeded, on the tools of the host.
func green() page.Build {
	b := build(smallLog, 300)
	r := b.Record
	r.Status, r.Failures, r.Environment.Place = runner.Succeeded, nil, "this machine's own files"
	for i := range r.Commands {
		r.Commands[i].Exit = 0
	}
	for i := range r.Phases {
		r.Phases[i].Status = runner.Succeeded
	}
	for i := range b.Reports.Reports[0].Cases {
		b.Reports.Reports[0].Cases[i].Status = reports.CaseSucceeded
	}
	for i := range b.Index.Commands {
		b.Index.Commands[i].Failed = false
	}
	b.Reports.Reports[0].Tests.Counts = map[reports.CaseStatus]int{reports.CaseSucceeded: 300}
	return b
}

// old returns the build of a version that recorded less.
func old() page.Build {
	b := build(smallLog, 3)
	b.Index.Errors, b.Index.Times, b.Index.Version = nil, nil, 1
	r := b.Record
	r.Failures, r.Commit, r.Machine, r.Cache, r.Usage, r.Next = nil, nil, nil, nil, nil, nil
	for i := range b.Index.Commands {
		b.Index.Commands[i].Output = 0
		r.Commands[i].Start, r.Commands[i].Used = time.Time{}, nil
	}
	return b
}

func write(t *testing.T, name string, b page.Build) string {
	t.Helper()
	var out bytes.Buffer
	if err := page.Write(&out, b); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// longLog returns a log of the given number of lines, in color.
func longLog(lines int) string {
	var log strings.Builder
	log.WriteString("[Container] 2026/07/04 15:00:00.000000 Running command seq\n")
	for i := range lines {
		const text = "\x1b[32mline %d\x1b[0m of a log that is longer than anybody reads, with words that differ: %x\n"
		fmt.Fprintf(&log, text, i, i*2654435761)
	}
	log.WriteString("the last line of all\n")
	return log.String()
}

// failedPhase returns a build that failed without a command.
func failedPhase() page.Build {
	why := &runner.Explanation{
		Message: "no value for <b>bold</b>", Service: "Decrypted Variables Error: parameter does not exist: /a",
		File: "buildspec.yml", Line: 2, Column: 3, Width: 5, Excerpt: []string{"env:", "  TOKEN: /a"}, First: 1,
		Hint: "-e TOKEN=VALUE", Hints: []string{"hint: -e TOKEN=VALUE"},
	}
	return page.Build{Title: "Build 8", Record: &runner.Record{
		ID: "demo:8", Number: 8, Status: runner.Failed, Phases: []runner.PhaseRecord{{
			Type: runner.DownloadSource, Status: runner.Failed, Failure: why, Contexts: []runner.Context{{Message: "not shown"}},
		}},
	}}
}

// TestPage_InBrowser runs headless Chromium with testdata/page.js, which has the expected
// results.
func TestPage_InBrowser(t *testing.T) {
	needBrowser(t)
	var index bytes.Buffer
	last := build(smallLog, 300).Reports
	if err := page.WriteIndex(&index, page.Index{Builds: builtBefore(), Latest: last}); err != nil {
		t.Fatal(err)
	}
	small := write(t, "builds/7-00000007/report.html", build(smallLog, 300))
	top := filepath.Dir(filepath.Dir(filepath.Dir(small)))
	if err := os.WriteFile(filepath.Join(top, "index.html"), index.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	files, err := json.Marshal(map[string]string{
		"small": small,
		"index": filepath.Join(top, "index.html"),
		"green": write(t, "report.html", green()),
		"phase": write(t, "phase.html", failedPhase()),
		"old":   write(t, "report.html", old()),
		"large": write(t, "large.html", build(longLog(800_000), 20_000)),
		"files": write(t, "files.html", page.Build{Title: "Reports", Reports: build("", 5).Reports}),
		"shots": os.Getenv("BUILDLOCAL_SCREENSHOTS"), // a directory, to look at them
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	path, err := exec.LookPath(chromium)
	if err != nil {
		t.Fatal(err)
	}
	installed, err := filepath.Abs(modules)
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(ctx, "node", "testdata/page.js", string(files), path, installed)
	out, err := c.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
}

// needBrowser skips a test if there is no browser; in CI it fails.
func needBrowser(t *testing.T) {
	t.Helper()
	missing := ""
	for _, command := range []string{chromium, "node"} {
		if _, err := exec.LookPath(command); err != nil {
			missing = command
		}
	}
	for _, module := range []string{"playwright-core", "axe-core"} {
		if _, err := os.Stat(filepath.Join(modules, module)); err != nil {
			missing = module + " (make bin/browser/node_modules/axe-core)"
		}
	}
	switch {
	case missing == "":
	case os.Getenv("BUILDLOCAL_REQUIRE_ENGINE") != "":
		t.Fatalf("%s is missing", missing)
	default:
		t.Skipf("%s is missing", missing)
	}
}

func TestPage_DataHasNoMarkup(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(write(t, "report.html", build(smallLog, 10)))
	if err != nil {
		t.Fatal(err)
	}
	for _, harm := range []string{"<img src=x", "document.title='harmed'", "<b>bold", "src=\"http", "href=\"http", "\x1b",
		"\u202e", "url("} {
		if i := bytes.Index(text, []byte(harm)); i >= 0 {
			t.Errorf("%q stands in the page: %s", harm, text[max(0, i-100):i+100])
		}
	}
}
