package enginetest

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/buildlocal/buildlocal/engine"
)

// observe checks which files of a tree are recorded: those that are opened, and directories that are
// listed, but not files elsewhere or those that are only tested.
func (s Suite) observe(t *testing.T) {
	if !s.Trees {
		t.Skip("the driver mounts no trees")
	}
	host := t.TempDir()
	for _, name := range []string{"a", "sub/b", "sub/tested", "other/c"} {
		file := filepath.Join(host, name)
		err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte("x"), 0o644))
		if err != nil {
			t.Fatal(err)
		}
	}
	spec := s.spec(t)
	const at = "/scratch/source"
	spec.Mounts.Trees = []engine.Tree{{Host: host, Path: at}}
	c := s.start(t, spec)
	observer, able := c.(engine.Observer)
	if !able {
		t.Skip("the driver records no files")
	}
	if _, _, err := observer.Observe("/nowhere"); err == nil {
		t.Error("a path that is no tree can be observed")
	}
	next, stop, err := observer.Observe(at)
	if errors.Is(err, engine.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	for _, step := range []struct {
		script string
		want   engine.Opened
	}{
		{"cat /scratch/source/a /etc/passwd; test -f /scratch/source/sub/tested", engine.Opened{Files: []string{"a"}}},
		{"true", engine.Opened{}},
		{"cd /scratch/source && ls sub >/dev/null && cat sub/b",
			engine.Opened{Files: []string{"sub/b"}, Dirs: []string{"sub"}}},
		{"cd /scratch/source && echo y >>other/c && (cat a &) && ls . >/dev/null; sleep 0.2",
			engine.Opened{Files: []string{"a", "other/c"}, Dirs: []string{"."}}},
	} {
		if exit, _, errs := sh(t, c, step.script); exit != 0 {
			t.Fatalf("%s: exit %d, %s", step.script, exit, errs)
		}
		if diff := cmp.Diff(step.want, next()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.script, diff)
		}
	}
	stop()
	if got := next(); len(got.Files)+len(got.Dirs) > 0 {
		t.Errorf("after the end: %v", got)
	}
}
