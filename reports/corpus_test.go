package reports

import (
	"encoding/csv"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// corpus is where real reports with known answers are, if they are.
const corpus = "../../shared/corpus/reports/dev"

// differs are the files of which other tools say something else than we do, on purpose;
// docs/reports.md says why.
var differs = map[string]string{}

// oracle reads the table of what is known of each file.
func oracle(t *testing.T) []map[string]string {
	t.Helper()
	f, err := os.Open(filepath.Join(corpus, "oracle.tsv"))
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

// figures are what the table says of a file, in our words.
func figures(r *Report, row map[string]string) map[string]int {
	all := map[string]int{}
	if r.Tests != nil {
		all["total"] = r.Tests.Total
		all["succeeded"] = r.Tests.Counts[CaseSucceeded]
		all["failed"] = r.Tests.Counts[CaseFailed]
		all["error"] = r.Tests.Counts[CaseError]
		if row["error"] == "" { // who wrote it down tells no errors from failures
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

func TestRealReportsAreCountedAsTheirProjectsCountThem(t *testing.T) {
	t.Parallel()
	for _, row := range oracle(t) {
		t.Run(row["format"]+"/"+row["name"], func(t *testing.T) {
			t.Parallel()
			format, err := ParseFormat(row["format"])
			if err != nil {
				t.Fatal(err)
			}
			r := Read("g", format, []Source{fileSource(filepath.Join(corpus, row["format"], row["name"]))}, ServiceLimits())
			if row["expect"] == "error" {
				if r.Status != Incomplete || len(r.Problems) != 1 {
					t.Fatalf("got %s, want an error", r.Status)
				}
				return
			}
			for _, p := range r.Problems {
				t.Fatal(p)
			}
			var wrong []string
			for name, got := range figures(r, row) {
				if want, err := strconv.Atoi(row[name]); err == nil && got != want {
					wrong = append(wrong, name+" "+strconv.Itoa(got)+", want "+strconv.Itoa(want))
				}
			}
			if len(wrong) > 0 {
				t.Errorf("%s (%s): %s; computed %s; %s", row["use"], row["oracle"], strings.Join(wrong, "; "), row["computed"], row["notes"])
			}
		})
	}
}
