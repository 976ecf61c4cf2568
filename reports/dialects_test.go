package reports

import (
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// want is the expected contents of a report that a real tool wrote for known tests.
type want struct {
	Format                                   string
	Root                                     string `json:"report_root"`
	Total, Succeeded, Failed, Error, Skipped *int
	Pending, Undefined, Ambiguous            int
	File                                     *struct {
		Elements, Passed, Failed, Error,
		Skipped int
	} `json:"in_file_testcases"`
	Lines         *int `json:"lines_covered"`
	LinesTotal    int  `json:"lines_total"`
	Branches      int  `json:"branches_covered"`
	BranchesTotal int  `json:"branches_total"`
	Failing       []struct {
		Name, File, Kind string
		Line             int
		Lines            []int
		InReport         *bool `json:"line_in_report"`
	}
}

func wants(t *testing.T) map[string]want {
	t.Helper()
	files, err := filepath.Glob("../testdata/reports/*.want")
	if err != nil || len(files) == 0 {
		t.Fatalf("no reports: %v", err)
	}
	all := map[string]want{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		w := want{}
		if err := json.Unmarshal(text, &w); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		all[strings.TrimSuffix(f, ".want")] = w
	}
	return all
}

func (w want) check(t *testing.T, r *Report) {
	t.Helper()
	equal := func(what string, got, want int) {
		if t.Helper(); got != want {
			t.Errorf("%s: got %d, want %d", what, got, want)
		}
	}
	switch {
	case w.Lines != nil:
		equal("lines covered", r.Sum.Lines.Covered, *w.Lines)
		equal("lines", r.Sum.Lines.Total(), w.LinesTotal)
		equal("branches covered", r.Sum.Branches.Covered, w.Branches)
		equal("branches", r.Sum.Branches.Total(), w.BranchesTotal)
	case w.File != nil: // only the contents of the file can be counted
		equal("total", r.Tests.Total, w.File.Elements)
		equal("failed", r.Tests.Counts[CaseFailed], w.File.Failed)
		equal("error", r.Tests.Counts[CaseError], w.File.Error)
	default:
		equal("total", r.Tests.Total, *w.Total)
		equal("succeeded", r.Tests.Counts[CaseSucceeded], *w.Succeeded)
		equal("failed", r.Tests.Counts[CaseFailed], *w.Failed+w.Undefined+w.Ambiguous)
		equal("skipped", r.Tests.Counts[CaseSkipped], *w.Skipped+w.Pending)
	}
}

func TestRead_ManyTools(t *testing.T) {
	t.Parallel()
	for file, w := range wants(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			r := Read("g", Format(w.Format), []Source{fileSource(file)}, ServiceLimits())
			// Jest counts a file that cannot be loaded as an error, and as no test.
			for _, p := range r.Problems {
				if filepath.Base(file) != "jest-junit-options.xml" || p.Reason != negativeCount {
					t.Fatal(p)
				}
			}
			w.check(t, r)
			in, err := os.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			if like := DetectFormat(in); like != w.Format {
				t.Errorf("looks like %q, want %s", like, w.Format)
			}
		})
	}
}

// TestLocate_FailedCases asks for the file and line that fails, where the
// report has it.
func TestLocate_FailedCases(t *testing.T) {
	t.Parallel()
	for file, w := range wants(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			r := Read("g", Format(w.Format), []Source{fileSource(file)}, ServiceLimits())
			files := []string{"src/other/index.js", "README.md"}
			for _, f := range w.Failing {
				files = append(files, f.File)
			}
			r.Place(NewTree(w.Root, unique(files)))
			for _, f := range w.Failing {
				if f.InReport != nil && !*f.InReport || f.Line == 0 && len(f.Lines) == 0 {
					continue
				}
				found := false
				for _, c := range r.Cases {
					if c.Name != f.Name && !strings.HasSuffix(c.Name, f.Name) || !c.Status.Bad() || c.Place == nil {
						continue
					}
					found = found || c.Place.File == f.File && (c.Place.Line == f.Line || containsInt(f.Lines, c.Place.Line))
				}
				if !found {
					t.Errorf("%s: want %s:%d %v", f.Name, f.File, f.Line, f.Lines)
					for _, c := range r.Cases {
						if c.Name == f.Name {
							t.Logf("  got %+v of %s", c.Place, strconv.Quote(c.Message))
						}
					}
				}
			}
		})
	}
}

func containsInt(all []int, n int) bool {
	for _, m := range all {
		if m == n {
			return true
		}
	}
	return false
}

func unique(files []string) []string {
	seen, all := map[string]bool{}, []string{}
	for _, f := range files {
		if f = path.Clean(f); !seen[f] && f != "." {
			seen[f] = true
			all = append(all, f)
		}
	}
	return all
}
