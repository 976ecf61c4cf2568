package console

import (
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/reports"
)

// Limits of failed tests; with Verbose everything is shown. A broken build can have thousands of
// failures, and the reason is nearly always in the first ones.
const (
	maxFullFailures = 20  // failures with their messages; others have their names only
	maxMessageLines = 4   // lines of a message
	maxLineWidth    = 160 // of a line of a message, in characters
)

// PageName is the file in a build's directory that shows all of it in a browser.
const PageName = "report.html"

// barWidth is the width of a coverage bar, in characters.
const barWidth = 20

// Reports shows test and coverage reports: failures first, then the sums of each report.
func (t *Text) Reports(set *reports.Set) {
	t.failures(set)
	t.groups(set)
}

// failures shows every failed test: those that a change probably broke first, and last those
// that failed before too. Tests without a comparison are between the two.
func (t *Text) failures(set *reports.Set) {
	var all []reports.Case
	for _, r := range set.Reports {
		for _, c := range r.Cases {
			if c.Status.Bad() {
				all = append(all, c)
			}
		}
	}
	rank := map[reports.Change]int{reports.NewlyFailing: 0, reports.Flaky: 1, "": 2, reports.StillFailing: 3}
	slices.SortStableFunc(all, func(a, b reports.Case) int { return rank[a.Change] - rank[b.Change] })
	for i, c := range all {
		t.failure(c, t.o.Verbose || i < maxFullFailures)
	}
}

// changeWords are the changes in words. Fixed tests are only counted, not listed.
var changeWords = map[reports.Change]string{
	reports.NewlyFailing: "newly failing", reports.StillFailing: "still failing", reports.Fixed: "fixed",
	reports.Flaky: "flaky",
}

// failure shows a failed test: its name, and unless there are too many, its message and the
// line of the source.
func (t *Text) failure(c reports.Case, whole bool) {
	var word, place styled
	if text := changeWords[c.Change]; text != "" {
		word = " " + t.styles.yellow.Sprint("("+text+")")
	}
	if c.Place != nil {
		place = t.link(*c.Place)
	}
	head := formatted("%s %s%s", t.styles.red.Sprint(c.Status), t.styles.bold.Sprint(caseName(c)), word)
	if !whole {
		t.line("%s", styled(strings.TrimSpace(string(head+"  "+place))))
		return
	}
	t.line("%s", head)
	for _, line := range t.excerpt(c.Message) {
		t.line("  %s", line)
	}
	if place != "" {
		t.line("  %s", place)
	}
}

// caseName returns the name of a test for people. Formats and frameworks fill suite, prefix
// and name in different ways; parts that repeat another one are left out: the suite if the
// prefix contains it, and the prefix if the name begins with it.
func caseName(c reports.Case) string {
	parts := []string{c.Suite, c.Prefix, c.Name}
	if strings.Contains(c.Prefix, c.Suite) {
		parts = parts[1:]
	}
	if strings.HasPrefix(c.Name, c.Prefix) && len(parts) > 1 && c.Prefix != "" {
		parts = slices.Delete(parts, len(parts)-2, len(parts)-1)
	}
	parts = slices.DeleteFunc(parts, func(p string) bool { return strings.TrimSpace(p) == "" })
	return cut(diag.EscapeLine(strings.Join(parts, " › ")), maxLineWidth)
}

// stackLine matches lines of stack traces, which do not explain a failure: of JavaScript and
// Java (at), Python (File), Ruby (from), Go (RUN, FAIL), vitest (❯), and a bare file:line.
var stackLine = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(
		`^\s*(at .*[(:]|File ".*", line \d+|from .*:\d+:in |Traceback \(most recent|=== RUN |--- FAIL: |❯ ` +
			`.*:\d+:\d+$|\[?[\w./-]*:\d+\]?:?$)`,
	)
})

// maxSearchedLines is the number of lines of a message that are searched for useful ones.
// Some frameworks put the whole output of a test into its message.
const maxSearchedLines = 200

// relevantLines returns the lines of a message that explain a failure. pytest marks them
// with an E; in other formats they are around the stack trace. A first line such as Go's
// "Failed" says nothing. Repeated lines are dropped: several formats have the message again
// at the beginning of the trace, with the type of the error before it.
func relevantLines(message string) []string {
	var lines, marked []string
	seen := map[string]bool{}
	all := strings.SplitN(message, "\n", maxSearchedLines+1)
	for _, line := range all[:min(len(all), maxSearchedLines)] {
		line = strings.TrimRight(line, " \t\r")
		if text, found := strings.CutPrefix(line, "E   "); found {
			marked = append(marked, strings.TrimPrefix(text, "    "))
		}
		again := seen[line] || len(lines) > 0 && strings.HasSuffix(line, ": "+lines[0])
		if line != "" && !again && !stackLine().MatchString(cut(line, maxLineWidth)) {
			lines = append(lines, line)
			seen[line] = true
		}
	}
	switch {
	case len(marked) > 0:
		return marked
	case len(lines) > 1 && (lines[0] == "Failed" || strings.HasPrefix(lines[0], "No message")):
		return lines[1:]
	}
	return lines
}

// excerpt returns the relevant lines of a message, or with Verbose all of it, as lines that
// are safe on a terminal.
func (t *Text) excerpt(message string) []string {
	if t.o.Verbose {
		lines := strings.Split(strings.TrimRight(message, "\n"), "\n")
		for i, line := range lines {
			lines[i] = safeLine(line)
		}
		if strings.TrimSpace(message) == "" {
			return nil // Split returns one line for it
		}
		return lines
	}
	lines := relevantLines(message)
	more := len(lines) > maxMessageLines
	lines = lines[:min(len(lines), maxMessageLines)]
	for i, line := range lines {
		lines[i] = cut(safeLine(line), maxLineWidth)
	}
	if more {
		lines[maxMessageLines-1] += " …"
	}
	return lines
}

// safeLine escapes control characters of a line. Tabs become spaces, which do not depend on
// the column, and trailing spaces and the CR of Windows are dropped.
func safeLine(line string) string {
	return strings.TrimRight(diag.EscapeLine(strings.ReplaceAll(strings.TrimRight(line, "\r"), "\t", "    ")), " ")
}

// link returns a line of the source as file:line, relative to the working directory. Many
// terminals and editors open such texts on a click; those with Links get a hyperlink too
// (OSC 8), whose target is absolute.
func (t *Text) link(p reports.Place) styled {
	text := diag.EscapeLine(path.Join(t.o.Source, p.File))
	if p.Line > 0 {
		text += fmt.Sprintf(":%d", p.Line)
	}
	if !t.o.Links {
		return styled(text)
	}
	// On Windows SourceDir begins with a drive, which a file URL has after a slash. The line
	// is in the fragment; a terminal that does not know this form opens the file.
	target := url.URL{Scheme: "file", Path: "/" + strings.TrimPrefix(path.Join(t.o.SourceDir, p.File), "/")}
	if p.Line > 0 {
		target.Fragment = fmt.Sprint(p.Line)
	}
	return styled("\x1b]8;;" + target.String() + "\x1b\\" + text + "\x1b]8;;\x1b\\")
}

// groups shows the sums of each report, below its name.
func (t *Text) groups(set *reports.Set) {
	for _, r := range set.Reports {
		name := "report " + diag.EscapeLine(t.groupName(set, r))
		lines := t.sums(r)
		if t.o.Verbose {
			lines = append(lines, t.slowestTests(r)...)
		}
		if r.Truncated {
			lines = append(lines, formatted("%d of %d test cases kept, as in CodeBuild; --full-reports "+
				"keeps all", len(r.Cases), r.Tests.Total))
		}
		for _, p := range r.Problems {
			lines = append(lines, t.styles.red.Sprint(reports.Incomplete)+formatted(" %s", diag.EscapeLine(p.Error())))
		}
		for i, line := range lines {
			if i > 0 {
				name = ""
			}
			t.line("  %-26s  %s", name, line)
		}
	}
}

// groupName returns the name of a report group in the buildspec. CodeBuild prefixes it with
// the name of the project.
func (t *Text) groupName(set *reports.Set, r *reports.Report) string {
	if name, found := strings.CutPrefix(r.Group, set.Project+"-"); found && set.Project != "" {
		return name
	}
	return r.Group
}

// sums returns the counts of tests, the comparison with the last build, and the coverage.
func (t *Text) sums(r *reports.Report) []styled {
	var lines []styled
	if r.Tests != nil && len(r.Files) > 0 {
		lines = append(lines, t.tests(r.Tests))
	}
	if text := r.Changes.String(); text != "" {
		lines = append(lines, t.styles.yellow.Sprint(text))
	}
	if r.Sum != nil {
		lines = append(lines, t.bar("lines", r.Sum.Lines, change(r.Changes, true)))
		if r.Sum.Branches.Total() > 0 {
			lines = append(lines, t.bar("branches", r.Sum.Branches, change(r.Changes, false)))
		}
	}
	return lines
}

// tests returns the counts of a report that are not zero, and the time of all tests.
func (t *Text) tests(s *reports.TestSummary) styled {
	var parts []string
	for _, p := range []struct {
		status     reports.CaseStatus
		one, other string
	}{
		{reports.CaseSucceeded, "passed", "passed"}, {reports.CaseFailed, "failed", "failed"}, {reports.CaseError, "error",
			"errors"},
		{reports.CaseSkipped, "skipped", "skipped"}, {reports.CaseUnknown, "unknown", "unknown"},
	} {
		// With these words a sum reads as "3 passed, 1 failed, 2 errors".
		n := s.Counts[p.status]
		if n == 0 {
			continue
		}
		word := p.other
		if n == 1 {
			word = p.one
		}
		text := formatted("%d %s", n, word)
		if p.status.Bad() {
			text = t.styles.red.Sprint(text)
		}
		parts = append(parts, string(text))
	}
	if len(parts) == 0 {
		return "no tests"
	}
	if s.Duration > 0 {
		return formatted("%s in %s", styled(strings.Join(parts, ", ")), human.Duration(s.Duration))
	}
	return styled(strings.Join(parts, ", "))
}

// change returns the change of the covered lines or branches in percentage points, or nil if
// there is nothing to compare with.
func change(c *reports.Changes, lines bool) *float64 {
	switch {
	case c == nil:
		return nil
	case lines:
		return c.Lines
	}
	return c.Branches
}

// bar returns a coverage as a bar and in numbers. A change that would be shown as 0.0 is left
// out. The bar is rounded down, so only full coverage fills it.
func (t *Text) bar(what string, c reports.Counts, change *float64) styled {
	filled := max(0, min(barWidth, int(c.Percent()/100*barWidth)))
	bar := t.styles.green.Sprint(strings.Repeat("█", filled)) + t.styles.faint.Sprint(strings.Repeat("░", barWidth-filled))
	text := formatted("%-8s %s %5.1f%% (%d/%d)", what, bar, c.Percent(), c.Covered, c.Total())
	if change != nil && (*change >= 0.05 || *change <= -0.05) {
		text += formatted(" %+.1f", *change)
	}
	return text
}

// slowestTests lists the slowest tests, including those over the limit of kept test cases.
func (t *Text) slowestTests(r *reports.Report) []styled {
	var lines []styled
	for _, c := range r.Slowest {
		if c.Duration > time.Millisecond {
			lines = append(lines, formatted("%8s  %s", human.Duration(c.Duration), caseName(c)))
		}
	}
	if len(lines) > 0 {
		lines = append([]styled{"slowest:"}, lines...)
	}
	return lines
}
