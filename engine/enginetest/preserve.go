package enginetest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/buildlocal/buildlocal/engine"
)

// preserve checks that files outlive a container that is preserved, twice, and that its processes
// do not.
func (s Suite) preserve(t *testing.T) {
	spec, host := s.spec(t), t.TempDir()
	if err := os.WriteFile(filepath.Join(host, "given"), []byte("given"), 0o644); err != nil {
		t.Fatal(err)
	}
	if s.Trees {
		spec.Mounts.Trees = []engine.Tree{{Host: host, Path: "/scratch/source"}}
	}
	spec.Main = &engine.Process{Args: []string{"sh", "-c", "while :; do sleep 1; done"}}
	for round := range 3 {
		c, err := s.Engine.Start(t.Context(), spec)
		if err != nil {
			t.Fatalf("start %d: %v", round, err)
		}
		keeper, able := c.(engine.Preserver)
		if !able {
			t.Skip("the driver keeps no files")
		}
		s.checkPreserved(t, c, round)
		if exit, _, errs := sh(t, c, `mkdir -p /var/kept /scratch/source && rm -f /scratch/source/given &&
for d in /var/kept /scratch/source; do echo round >>$d/rounds; done
echo x >/scratch/deep/x; sleep 1000 >/dev/null 2>&1 &`); exit != 0 {
			t.Fatalf("write: %d, %s", exit, errs)
		}
		err = keeper.Preserve(t.Context(), 1)
		if !errors.Is(err, engine.ErrTooLarge) && !errors.Is(err, engine.ErrUnsupported) {
			t.Errorf("preserve more than the limit: %v", err)
		}
		err = keeper.Preserve(t.Context(), 1<<30)
		if errors.Is(err, engine.ErrUnsupported) {
			t.Cleanup(func() { _ = c.Close(context.Background()) })
			if exit, _, _ := sh(t, c, "true"); exit != 0 {
				t.Error("a container that was not preserved does not go on")
			}
			t.Skip(err)
		}
		if err != nil {
			t.Fatalf("preserve: %v", err)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Errorf("close a preserved container: %v", err)
		}
		spec.Resume = true
	}
	c := s.start(t, spec)
	s.checkPreserved(t, c, 3)
}

// checkPreserved checks the files and processes of a container that was preserved some times.
func (s Suite) checkPreserved(t *testing.T, c engine.Container, rounds int) {
	t.Helper()
	if rounds == 0 {
		return
	}
	_, out, _ := sh(t, c, "cat /var/kept/rounds; cat /scratch/source/rounds; ls /scratch/deep /scratch/source")
	want := strings.Repeat("round\n", 2*rounds) + "/scratch/deep:\n\n/scratch/source:\nrounds\n"
	if out != want {
		t.Errorf("after %d rounds the files are\n%swant\n%s", rounds, out, want)
	}
	if _, out, _ := sh(t, c, "cat /proc/[0-9]*/cmdline"); strings.Contains(out, "1000") {
		t.Errorf("a process has outlived its container: %q", out)
	}
}
