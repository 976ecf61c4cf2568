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

// browser is the directory in which make installs the browser driver of the tests.
const (
	chromium = "chromium"
	driver   = "../bin/browser/node_modules/playwright-core"
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
			{Group: "demo-unit", Type: reports.Test, Status: reports.Failed, Tests: &reports.TestSummary{Total: cases,
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
			c.Place = &reports.Place{File: "src/a.js", Line: 2}
		case i%100 == 50:
			c.Status, c.Message = reports.CaseError, strings.Repeat("a line of a stack\n", 100)
		case i%10 == 9:
			c.Status = reports.CaseSkipped
		}
		unit.Tests.Counts[c.Status]++
		unit.Cases = append(unit.Cases, c)
	}
	covered := 75.0
	return page.Build{
		Reports: set, Log: strings.NewReader(log), Index: indexOf(log),
		Record: &runner.Record{
			Project: "demo" + evil, Number: 7, Status: runner.Failed, Start: start, End: start.Add(90 * time.Second),
			ID: "demo:uuid",
			Phases: []runner.PhaseRecord{
				{Type: runner.Provisioning, Status: runner.Succeeded, Start: start, End: start.Add(10 * time.Second)},
				{Type: runner.Build, Status: runner.Failed, Start: start.Add(10 * time.Second), End: start.Add(90 * time.Second),
					Contexts: []runner.Context{{Message: evil}}},
			},
			Environment: runner.Environment{Image: "image:1", Variables: []runner.EnvironmentVariable{{Name: "TOKEN",
				Value: "***", Origin: "-e"}, {Name: "EVIL", Value: evil}}},
		},
		Artifacts: artifacts.Manifest{Artifacts: []artifacts.Set{{Dir: "artifacts",
			Entries: []artifacts.Entry{{Path: "dist/" + evil, Size: 1234, Mode: "0644", SHA256: strings.Repeat("ab", 32)}}}}},
		Trend: []page.Point{{Number: 5, Status: runner.Succeeded, Seconds: 80, Passed: 10}, {Number: 6,
			Status: runner.Failed, Seconds: 90, Passed: 9, Bad: 1, Lines: &covered}},
		Source: func(name string) []byte {
			if name == "src/a.js" {
				return []byte("first();\nif (x) <b>second</b>();\nthird();\n")
			}
			return nil
		},
	}
}

// smallLog has two commands, colours that go on in the next line, and a progress bar.
// indexOf returns the structure of a test's log. In a build it is recorded with the log.
func indexOf(log string) builds.LogIndex {
	var index builds.LogIndex
	at := int64(0)
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
			index.Commands = append(index.Commands, builds.LogCommand{Start: at, Phase: "BUILD"})
		}
		at += int64(len(line))
	}
	end(false)
	return index
}

const smallLog = "[Container] 2026/07/04 15:00:00.000000 Entering phase BUILD\n" +
	"[Container] 2026/07/04 15:00:00.000000 Running command make all\n" +
	"plain \x1b[31mred\nstill red\x1b[0m plain\n10%\r50%\r100%\n" + evil + "\n\n" +
	"[Container] 2026/07/04 15:00:01.000000 Running command false\n\n" +
	"[Container] 2026/07/04 15:00:01.000000 Command did not exit successfully false exit status 1\n"

func write(t *testing.T, name string, b page.Build) string {
	t.Helper()
	var out bytes.Buffer
	if err := page.Write(&out, b); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestPage_InBrowser runs headless Chromium with testdata/page.js, which has the expected
// results.
func TestPage_InBrowser(t *testing.T) {
	needBrowser(t)
	var log strings.Builder
	log.WriteString("[Container] 2026/07/04 15:00:00.000000 Running command seq\n")
	for i := range 800_000 {
		fmt.Fprintf(&log, "\x1b[32mline %d\x1b[0m of a log that is longer than anybody reads, number %d\n", i, i)
	}
	log.WriteString("the last line of all\n")
	files, err := json.Marshal(map[string]string{
		"small": write(t, "report.html", build(smallLog, 300)),
		"large": write(t, "large.html", build(log.String(), 20_000)),
		"files": write(t, "files.html", page.Build{Title: "Reports", Reports: build("", 5).Reports}),
		"shots": shots(t),
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
	modules, err := filepath.Abs(driver)
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(ctx, "node", "testdata/page.js", string(files), path, modules)
	out, err := c.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
}

// shots returns the directory for screenshots, which can be kept for inspection.
func shots(t *testing.T) string {
	if dir := os.Getenv("BUILDLOCAL_SCREENSHOTS"); dir != "" {
		return dir
	}
	return t.TempDir()
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
	if _, err := os.Stat(driver); err != nil {
		missing = "playwright-core (make bin/browser)"
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
