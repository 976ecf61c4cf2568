package local

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/buildlocal/buildlocal/builds"
	"github.com/buildlocal/buildlocal/page"
	"github.com/buildlocal/buildlocal/runner"
)

// storeWith returns a store with builds that have ended.
func storeWith(t *testing.T, records ...*runner.Record) *builds.Store {
	t.Helper()
	store, err := builds.Open(builds.Options{Dir: filepath.Join(t.TempDir(), "out")})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		d, err := store.Create(r.Number, "0000000"+string(rune('0'+r.Number))+"-1", "")
		if err == nil {
			err = finish(d, r)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return store
}

func TestReadSummaries_StoredOnesAndRecords(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 7, 4, 15, 0, 0, 0, time.UTC)
	record := func(n int) *runner.Record {
		return &runner.Record{
			ID: "demo:1", Number: n, Project: "demo", Status: runner.Failed, Start: start, End: start.Add(time.Minute),
			Commands: []runner.CommandRecord{{Text: "true"}, {Text: "make\nall", Exit: 2}},
			Commit:   &runner.Commit{ID: "abc", Subject: "Begin", Branch: "main"}, Machine: &runner.Machine{Engine: "docker"},
			Environment: runner.Environment{Image: "aws/codebuild/standard:7.0"},
		}
	}
	store := storeWith(t, record(1), record(2), record(3))
	want := page.Summary{
		Name: "2-00000002", Number: 2, Project: "demo", Status: runner.Failed, Start: start, Seconds: 60, Commit: "abc",
		Subject: "Begin", Branch: "main", Where: "docker, standard:7.0", Failed: "make",
	}
	all := readSummaries(store)
	if len(all) != 3 || all[0].Number != 1 {
		t.Fatalf("from records: %+v", all)
	}
	if diff := cmp.Diff(want, all[1]); diff != "" {
		t.Error(diff)
	}
	// A stored summary is used; one of a build that was removed, or of another build, is not.
	stored := []page.Summary{{Name: "1-00000001", Number: 1, Subject: "stored"}, {Name: "9-00000009", Number: 9},
		{Name: "3-00000003", Number: 4, Subject: "another"}}
	text, err := json.Marshal(stored)
	if err == nil {
		err = store.WriteFile(summariesName, text)
	}
	if err != nil {
		t.Fatal(err)
	}
	all = readSummaries(store, page.Summary{Name: "2-00000002", Number: 2, Subject: "known"})
	var subjects []string
	for _, s := range all {
		subjects = append(subjects, s.Subject)
	}
	if diff := cmp.Diff([]string{"stored", "known", "Begin"}, subjects); diff != "" {
		t.Error(diff)
	}
	for _, damaged := range []string{"", "{}", "[1]"} {
		if err := os.WriteFile(filepath.Join(store.Dir(), summariesName), []byte(damaged), 0o644); err != nil {
			t.Fatal(err)
		}
		if all := readSummaries(store); len(all) != 3 || all[0].Subject != "Begin" {
			t.Errorf("damaged %q: %+v", damaged, all)
		}
	}
}
