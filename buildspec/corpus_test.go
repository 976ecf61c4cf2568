package buildspec_test

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/internal/diag"
)

// corpus is a directory of public buildspecs with known answers: the directory
// BUILDLOCAL_CORPUS, else a corpus beside the checkout.
func corpus() string {
	dir := os.Getenv("BUILDLOCAL_CORPUS")
	if beside, _ := filepath.Glob("../../*/corpus"); dir == "" && len(beside) > 0 {
		dir = beside[0]
	}
	return filepath.Join(dir, "buildspecs")
}

func corpusFiles() []string {
	files, _ := filepath.Glob(filepath.Join(corpus(), "dev", "*"))
	return files
}

// judged is one row of the corpus's table.
type judged struct{ name, expected, reason string }

func corpusTable(t *testing.T) []judged {
	t.Helper()
	file, err := os.Open(filepath.Join(corpus(), "dev.tsv"))
	if err != nil {
		t.Skipf("no corpus of public buildspecs here: %v", err)
	}
	defer file.Close()
	r := csv.NewReader(file)
	r.Comma, r.LazyQuotes = '\t', true
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	var all []judged
	for _, row := range rows[1:] {
		all = append(all, judged{row[column["name"]], row[column["expected"]], row[column["reason"]]})
	}
	return all
}

// TestParse_PublicBuildspecs reads a corpus of public
// buildspecs with known answers, and the reasons for them.
func TestParse_PublicBuildspecs(t *testing.T) {
	t.Parallel()
	for _, row := range corpusTable(t) {
		text, err := os.ReadFile(filepath.Join(corpus(), "dev", row.name))
		if err != nil {
			t.Error(err)
			continue
		}
		_, problems := buildspec.Parse(row.name, text)
		if got := problems.Failed(); row.expected == "accept" && got || row.expected == "reject" && !got {
			t.Errorf("%s: want %s (%s), got\n%v", row.name, row.expected, row.reason, problems)
		}
		if row.expected == "reject" {
			checkReason(t, row, problems)
		}
	}
}

// The reasons of the table.
var (
	yamlReason    = regexp.MustCompile(`yaml: line (\d+): (.*)$`)
	phaseReason   = regexp.MustCompile(`Invalid buildspec phase name: \S+ Expecting: build,install,post_build,pre_build`)
	commandReason = regexp.MustCompile(`Expected Commands\[\d+\] to be of string type: found (subkeys|list) instead`)
	commandLine   = regexp.MustCompile(`instead" \(line (\d+)\)`)
)

// checkReason looks for every reason in CodeBuild's message; a YAML
// error has the line of the table in it.
func checkReason(t *testing.T, row judged, problems diag.List) {
	t.Helper()
	var said []string
	for _, p := range problems {
		said = append(said, p.Service)
	}
	all := strings.Join(said, "\n")
	want := append(phaseReason.FindAllString(row.reason, -1), commandReason.FindAllString(row.reason, -1)...)
	if m := yamlReason.FindStringSubmatch(row.reason); m != nil {
		want = append(want, m[2]+" at line "+m[1])
	}
	if m := commandLine.FindStringSubmatch(row.reason); m != nil {
		want = append(want, "instead at line "+m[1])
	}
	if strings.Contains(row.reason, "wrong number of container tags") {
		want = append(want, "wrong number of container tags, expected 1")
	}
	if len(want) == 0 {
		t.Errorf("%s: the reason is not understood: %s", row.name, row.reason)
	}
	for _, w := range want {
		if !strings.Contains(all, w) {
			t.Errorf("%s: want %q, got\n%s", row.name, w, all)
		}
	}
}
