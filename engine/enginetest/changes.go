package enginetest

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/buildlocal/buildlocal/engine"
)

// changes checks the list of changed files.
func (s Suite) changes(t *testing.T) {
	spec, host := s.spec(t), t.TempDir()
	for _, name := range []string{"given", "changed", "removed", "ignored"} {
		if err := os.WriteFile(filepath.Join(host, name), []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if s.Trees {
		spec.Mounts.Trees = []engine.Tree{{Host: host, Path: "/scratch/source", Hide: []string{"ignored"}}}
	}
	c := s.start(t, spec)
	differ, able := c.(engine.Differ)
	if !able {
		t.Skip("the driver does not know the changes")
	}
	if _, err := differ.Changes(t.Context()); errors.Is(err, engine.ErrUnsupported) {
		t.Skip(err)
	}
	run(t, c, `set -e; mkdir -p /var/kept/deep; echo x >/var/kept/deep/file; echo x >/etc/passwd
if cd /scratch/source; then mkdir new; echo x >new/file; echo x >changed; echo x >ignored; rm removed; fi`)
	got, err := differ.Changes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"changed /etc/passwd", "added /var/kept/"}
	if s.Trees {
		want = append(want, "added /scratch/source/ignored", "added /scratch/source/new/", "changed /scratch/source/changed",
			"removed /scratch/source/removed")
	}
	var all []string
	for _, change := range got {
		text := string(change.Kind) + " " + change.Path
		if strings.Contains(text, "/scratch/source") || slices.Contains(want, text) {
			all = append(all, text)
		}
		if change.Kind != engine.FileRemoved && strings.HasPrefix(change.Path, "/scratch/source/") &&
			(change.Files != 1 || change.Bytes != 2 || change.Time.IsZero()) {
			t.Errorf("%s has %d files, %d bytes, %v", text, change.Files, change.Bytes, change.Time)
		}
	}
	slices.Sort(all)
	slices.Sort(want)
	if !slices.Equal(all, want) {
		t.Errorf("the changes are %q, want %q, of all %+v", all, want, got)
	}
}
