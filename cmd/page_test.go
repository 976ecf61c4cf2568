package cmd

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/buildlocal/buildlocal/builds"
	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/runner"
)

// TestLeave_UnwritablePageIsAWarning puts a directory where the page belongs.
func TestLeave_UnwritablePageIsAWarning(t *testing.T) {
	t.Parallel()
	store, err := builds.Open(builds.Options{Dir: filepath.Join(t.TempDir(), "out")})
	if err != nil {
		t.Fatal(err)
	}
	dir, err := store.Create(newUUID(), "run-1")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir.Path, console.PageName, "in the way"), 0o755); err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	a := &attempt{App: &App{Stderr: &stderr}, flags: &runFlags{keepBuilds: 20}, found: &found{store: store}, dir: dir}
	if err := a.leave(&runner.Record{Status: runner.Succeeded}); err != nil {
		t.Errorf("a page that cannot be written fails the build: %v", err)
	}
	if got := stderr.String(); !strings.HasPrefix(got, "warning: write the page: ") || strings.Count(got, "\n") != 1 {
		t.Errorf("got %q, want one warning", got)
	}
	if _, err := os.Stat(filepath.Join(dir.Path, "build.json")); err != nil {
		t.Errorf("the record is missing: %v", err)
	}
}
