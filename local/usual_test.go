package local

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/builds"
	"github.com/buildlocal/buildlocal/runner"
)

func TestUsualDurations_MedianOfSuccessfulBuilds(t *testing.T) {
	t.Parallel()
	store, err := builds.Open(builds.Options{Dir: filepath.Join(t.TempDir(), "out")})
	if err != nil {
		t.Fatal(err)
	}
	// The oldest is beyond the newest five of the project; two others do not count.
	for i, b := range []struct {
		project string
		status  runner.Status
		seconds int64
	}{
		{"shop", runner.Succeeded, 900}, {"shop", runner.Succeeded, 5}, {"shop", runner.Succeeded, 9},
		{"other", runner.Succeeded, 100}, {"shop", runner.Failed, 200}, {"shop", runner.Succeeded, 7},
		{"shop", runner.Succeeded, 300}, {"shop", runner.Succeeded, 6},
	} {
		dir, err := store.Create(i+1, newUUID(), fmt.Sprintf("run-%d", i))
		if err != nil {
			t.Fatal(err)
		}
		record := &runner.Record{Project: b.project, Status: b.status, Commands: []runner.CommandRecord{
			{Text: "npm test", Milliseconds: b.seconds * 1000},
		}}
		if err := finish(dir, record); err != nil {
			t.Fatal(err)
		}
	}
	broken := store.All()[0]
	if err := os.WriteFile(filepath.Join(broken.Path, "build.json"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	got := usualDurations(store, "shop")
	if want := 9 * time.Second; len(got) != 1 || got["npm test"] != want {
		t.Errorf("got %v, want %v for npm test alone", got, want)
	}
}
