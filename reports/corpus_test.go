package reports

import (
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// corpus is where real reports with known answers are: the directory BUILDLOCAL_CORPUS,
// else a corpus beside the checkout.
func corpus() string {
	dir := os.Getenv("BUILDLOCAL_CORPUS")
	if beside, _ := filepath.Glob("../../*/corpus"); dir == "" && len(beside) > 0 {
		dir = beside[0]
	}
	return filepath.Join(dir, "reports", "dev")
}

// explained are the files for which another tool intentionally has other results, by
// repository and name, with our results. docs/reports.md has them as well, with the reasons.
var explained = map[string]string{
	"jenkinsci/mstest-plugin/ReportingOptions.2013.trx":               "3 tests, 3 passed",
	"jenkinsci/mstest-plugin/DataDriven.2013.trx":                     "3 tests, 3 passed",
	"jenkinsci/mstest-plugin/DataDriven.2008.trx":                     "3 tests, 3 passed",
	"jenkinsci/testng-plugin-plugin/testng-same-test-name.xml":        "4 tests, 4 passed",
	"jenkinsci/testng-plugin-plugin/testng-reporter-log-result.xml":   "2 tests, 1 passed, 1 failed",
	"jenkinsci/xunit-plugin/nunit3/testcase2/input.xml":               "3 tests, 1 passed, 1 error, 1 skipped",
	"EnricoMi/publish-unit-test-result-action/NUnit-issue33493.xml":   "2 tests, 1 passed, 1 skipped",
	"EnricoMi/publish-unit-test-result-action/no-cases-but-tests.xml": "0 tests",
	"mikepenz/action-junit-report/flaky_with_classname_file.xml":      "5 tests, 3 passed, 1 failed, 1 error",
	"jenkinsci/coverage-model/clover-declarative.xml":                 "0/5 lines",
	"jenkinsci/coverage-model/merge-duplicate-a.xml":                  "1/2 lines, 2/10 branches",
	"jenkinsci/coverage-model/merge-a.xml":                            "35/50 lines, 10/12 branches",
	"jenkinsci/coverage-model/merge-b.xml":                            "27/50 lines, 10/24 branches",
	"jenkinsci/coverage-model/cobertura-duplicate-methods.xml":        "37/40 lines, 20/26 branches",
	"jenkinsci/coverage-model/cobertura-duplicate-classes.xml":        "37/40 lines, 20/26 branches",
	"jenkinsci/coverage-model/cobertura-cpp.xml":                      "2/2 lines",
	"danielpalme/ReportGenerator/Cobertura_dotnettest_old.xml":        "130/199 lines, 11/14 branches",
	"danielpalme/ReportGenerator/Cobertura_dotnettest.xml":            "158/221 lines, 15/18 branches",
	"danielpalme/ReportGenerator/Cobertura_dotnet-coverage.xml":       "158/221 lines, 15/18 branches",
	"danielpalme/ReportGenerator/Cobertura.xml":                       "70/97 lines, 4/8 branches",
	"danielpalme/ReportGenerator/Clover.xml":                          "57/78 lines, 4/8 branches",
	"coverallsapp/coverage-reporter/clover-unleash.xml":               "109/138 lines, 66/99 branches",
}

// refused are the files whose results count although CodeBuild refuses them, because their numbers
// contradict each other, by repository and name. docs/reports.md has them as well.
var refused = map[string]string{
	"dorny/test-reporter/jest-test-results.xml":               `tests="0", 2 errors`,
	"mikepenz/action-junit-report/test_multiple_failures.xml": `tests="4", 4 failures and 1 skipped`,
}

// oracle reads the table with the known results of each file.
func oracle(t *testing.T) []map[string]string {
	t.Helper()
	f, err := os.Open(filepath.Join(corpus(), "oracle.tsv"))
	if err != nil {
		t.Skipf("no corpus of reports: %v", err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.Comma, r.LazyQuotes, r.FieldsPerRecord = '\t', true, -1
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var all []map[string]string
	for _, row := range rows[1:] {
		m := map[string]string{}
		for i, name := range rows[0] {
			if i < len(row) {
				m[name] = row[i]
			}
		}
		all = append(all, m)
	}
	return all
}

func fileSource(path string) Source {
	return Source{Path: filepath.Base(path), Open: func() (io.ReadCloser, error) { return os.Open(path) }}
}

// figures are the known results of a file, with our names.
func figures(r *Report, row map[string]string) map[string]int {
	all := map[string]int{}
	if r.Tests != nil {
		all["total"] = r.Tests.Total
		all["succeeded"] = r.Tests.Counts[CaseSucceeded]
		all["failed"] = r.Tests.Counts[CaseFailed]
		all["error"] = r.Tests.Counts[CaseError]
		if row["error"] == "" { // the table does not distinguish errors from failures
			all["failed"] += all["error"]
		}
		all["skipped"] = r.Tests.Counts[CaseSkipped]
	}
	if r.Sum != nil {
		all["lines_covered"], all["lines_total"] = r.Sum.Lines.Covered, r.Sum.Lines.Total()
		all["branches_covered"], all["branches_total"] = r.Sum.Branches.Covered, r.Sum.Branches.Total()
	}
	return all
}

// brief summarizes a report.
func brief(r *Report) string {
	if r.Sum != nil {
		text := fmt.Sprintf("%d/%d lines", r.Sum.Lines.Covered, r.Sum.Lines.Total())
		if n := r.Sum.Branches.Total(); n > 0 {
			text += fmt.Sprintf(", %d/%d branches", r.Sum.Branches.Covered, n)
		}
		return text
	}
	text := fmt.Sprintf("%d tests", r.Tests.Total)
	for _, s := range []struct {
		status CaseStatus
		word   string
	}{{CaseSucceeded, "passed"}, {CaseFailed, "failed"}, {CaseError, "error"}, {CaseSkipped, "skipped"}} {
		if n := r.Tests.Counts[s.status]; n > 0 {
			text += fmt.Sprintf(", %d %s", n, s.word)
		}
	}
	return text
}

// explanation returns the expected results of a file in explained.
func explanation(explained, row map[string]string) string {
	for name, text := range explained {
		repo, file := split(name)
		if repo == row["repo"] && strings.HasSuffix("/"+row["path"], "/"+file) {
			return text
		}
	}
	return ""
}

// split cuts a name into the repository and the file.
func split(name string) (repo, file string) {
	parts := strings.SplitN(name, "/", 3)
	return parts[0] + "/" + parts[1], parts[2]
}

func TestRead_RealReports(t *testing.T) {
	t.Parallel()
	for _, row := range oracle(t) {
		t.Run(row["format"]+"/"+row["name"], func(t *testing.T) {
			t.Parallel()
			format, err := ParseFormat(row["format"])
			if err != nil {
				t.Fatal(err)
			}
			r := Read("g", format, []Source{fileSource(filepath.Join(corpus(), row["format"], row["name"]))}, ServiceLimits())
			if row["expect"] == "error" {
				if r.Status != Incomplete || len(r.Problems) != 1 {
					t.Fatalf("got %s, want an error", r.Status)
				}
				return
			}
			if why := explanation(refused, row); why != "" && (len(r.Problems) != 1 || r.Problems[0].Reason != negativeCount) {
				t.Errorf("got %v, want a refusal: %s", r.Problems, why)
			} else if why == "" && len(r.Problems) > 0 {
				t.Fatal(r.Problems)
			}
			compareFigures(t, row, r)
		})
	}
}

// compareFigures compares with the known results, or with the explained ones. Where only our
// own counter knows, there is nothing to compare with.
func compareFigures(t *testing.T, row map[string]string, r *Report) {
	t.Helper()
	var wrong []string
	for name, got := range figures(r, row) {
		if want, err := strconv.Atoi(row[name]); err == nil && got != want {
			wrong = append(wrong, fmt.Sprintf("%s %d, want %d", name, got, want))
		}
	}
	why := explanation(explained, row)
	switch {
	case row["use"] == "computed-only":
	case why == "" && len(wrong) > 0:
		t.Errorf("%s (%s): %s; %s", row["use"], row["oracle"], strings.Join(wrong, "; "), row["notes"])
	case why != "" && len(wrong) == 0:
		t.Errorf("nothing is left to explain: take it out of the table and of docs/reports.md")
	case why != "" && brief(r) != why:
		t.Errorf("got %s, explained is %s", brief(r), why)
	}
}

func TestRead_DifferencesAreExplained(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../docs/reports.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, says := range refused {
		if repo, file := split(name); !strings.Contains(string(doc), fmt.Sprintf("| %s | `%s` | %s |", repo, file, says)) {
			t.Errorf("docs/reports.md does not say of %s: %s", name, says)
		}
	}
	for name, says := range explained {
		repo, file := split(name)
		if !strings.Contains(string(doc), fmt.Sprintf("| %s | `%s` | %s |", repo, file, says)) {
			t.Errorf("docs/reports.md does not say of %s: %s", name, says)
		}
	}
}
