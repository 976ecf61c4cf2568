package console_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/reports"
)

// someReports returns a report of each kind, with hostile texts.
func someReports() *reports.Set {
	up := 1.26
	cases := []reports.Case{
		{Name: "adds", Prefix: "shop.CartTest", Suite: "shop.CartTest", Status: reports.CaseSucceeded,
			Duration: 1500 * time.Millisecond},
		{Name: "charges", Prefix: "shop.CartTest", Suite: "shop.CartTest", Status: reports.CaseFailed,
			Change: reports.NewlyFailing,
			Message: "expected:<2> but was:<1>\njava.lang.AssertionError: expected:<2> but was:<1>\n\tat " +
				"shop.CartTest.charges(CartTest.java:20)", Place: &reports.Place{File: "src/CartTest.java", Line: 20}},
		{Name: "evil \x1b[31m\u202ename", Suite: "pytest", Status: reports.CaseError, Change: reports.Flaky,
			Message: "failed on setup\n@fixture\nE   \x1b]8;;http://evil\x07RuntimeError: no\x1b]8;;\x07"},
		{Name: "TestFail", Prefix: "example.com/calc", Suite: "example.com/calc", Status: reports.CaseFailed,
			Change:  reports.StillFailing,
			Message: "Failed\n=== RUN   TestFail\n    calc_test.go:16: 1\n    calc_test.go:17: 2\n3\n4\n5\n--- FAIL: TestFail",
			Place:   &reports.Place{File: "calc/calc_test.go"}},
	}
	return &reports.Set{Project: "demo", Reports: []*reports.Report{
		{Group: "demo-unit", Files: []string{"a.xml"}, Type: reports.Test, Status: reports.Failed, Cases: cases,
			Slowest: cases[:1], Truncated: true,
			Tests: &reports.TestSummary{Total: 12, Counts: map[reports.CaseStatus]int{reports.CaseSucceeded: 6,
				reports.CaseFailed: 2, reports.CaseError: 1, reports.CaseSkipped: 2, reports.CaseUnknown: 1},
				Duration: 2 * time.Second},
			Changes: &reports.Changes{Build: 6, NewlyFailing: 1, StillFailing: 1, Flaky: 1}},
		{Group: "demo-lines", Type: reports.CodeCoverage, Status: reports.Incomplete,
			Sum: &reports.Sum{
				Lines:    reports.Counts{Covered: 16, Missed: 3},
				Branches: reports.Counts{Covered: 1, Missed: 1},
			},
			Problems: []reports.Problem{
				{File: "cut.xml", Line: 3, Offset: 44, Text: "cannot be read as COBERTURAXML: the " +
					"file ends inside a tag"},
			}, Changes: &reports.Changes{Build: 6, Lines: &up}},
		{Group: "other", Files: []string{"b.xml"}, Type: reports.Test, Status: reports.Succeeded,
			Tests: &reports.TestSummary{}},
	}}
}

func TestReports_NamesAllFailedTests(t *testing.T) {
	t.Parallel()
	set := &reports.Set{Reports: []*reports.Report{{Group: "g", Files: []string{"a.xml"}, Type: reports.Test,
		Tests: &reports.TestSummary{Total: 300, Counts: map[reports.CaseStatus]int{reports.CaseFailed: 300}}}}}
	for i := range 300 {
		set.Reports[0].Cases = append(set.Reports[0].Cases, reports.Case{Name: fmt.Sprintf("test%d", i),
			Status: reports.CaseFailed, Message: "no", Place: &reports.Place{File: "a.go", Line: i + 1}})
	}
	var b bytes.Buffer
	console.NewText(&b, console.Options{}).Reports(set)
	for i := range 300 {
		if !strings.Contains(b.String(), fmt.Sprintf("test%d", i)) ||
			!strings.Contains(b.String(), fmt.Sprintf("a.go:%d\n",
				i+1)) {
			t.Fatalf("test %d is not named, or not where it is:\n%s", i, b.String())
		}
	}
	if lines := strings.Count(b.String(), "\n"); lines > 650 {
		t.Errorf("%d lines of 300 failed tests", lines)
	}
}
