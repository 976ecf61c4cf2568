package buildspec_test

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"testing"

	"github.com/buildlocal/buildlocal/buildspec"
)

// TestPublicBuildspecsAreJudgedAsTheServiceJudgesThem reads a corpus of public
// buildspecs with known answers: the directory BUILDLOCAL_CORPUS, else a corpus
// beside the checkout.
func TestPublicBuildspecsAreJudgedAsTheServiceJudgesThem(t *testing.T) {
	t.Parallel()
	corpus := os.Getenv("BUILDLOCAL_CORPUS")
	if beside, _ := filepath.Glob("../../*/corpus"); corpus == "" && len(beside) > 0 {
		corpus = beside[0]
	}
	file, err := os.Open(filepath.Join(corpus, "buildspecs", "dev.tsv"))
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
	for _, row := range rows[1:] {
		name, want := row[column["name"]], row[column["expected"]]
		text, err := os.ReadFile(filepath.Join(corpus, "buildspecs", "dev", name))
		if err != nil {
			t.Error(err)
			continue
		}
		_, problems := buildspec.Parse(name, text)
		if got := problems.Failed(); want == "accept" && got || want == "reject" && !got {
			t.Errorf("%s: want %s (%s), got\n%v", name, want, row[column["reason"]], problems)
		}
	}
}
