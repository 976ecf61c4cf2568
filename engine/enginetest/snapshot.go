package enginetest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/engine"
)

// snapshot checks that containers start with the files of a snapshot, which neither its own container
// nor they change.
func (s Suite) snapshot(t *testing.T) {
	spec, host := s.spec(t), t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(host, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"given", "changed", "removed", "ignored"} {
		write(name, "of the host\n")
	}
	if s.Trees {
		spec.Mounts.Trees = []engine.Tree{{Host: host, Path: "/scratch/source", Hide: []string{"ignored"}}}
	}
	first := s.start(t, spec)
	run(t, first, `set -e; mkdir -p /var/kept /scratch/source/new; cd /scratch/source
echo first >/var/kept/file; echo first >new/file; echo first >changed; echo first >ignored; rm -f removed`)
	one := s.takeSnapshot(t, first, spec, "")
	run(t, first, "echo later >/var/kept/file; echo later >/scratch/source/new/file; rm -r /scratch/source/ignored")
	write("given", "edited\n")

	const look = "cd /scratch/source && cat /var/kept/file new/file changed ignored && ls"
	const files = "first\nfirst\nfirst\nfirst\nchanged\ngiven\nignored\nnew\n"
	second, third := s.fromSnapshot(t, one), s.fromSnapshot(t, one)
	for _, c := range []engine.Container{second, third} {
		want := files
		if !s.Trees {
			want = "first\nfirst\nfirst\nfirst\nchanged\nignored\nnew\n"
		}
		if _, out, errs := sh(t, c, look); out != want {
			t.Errorf("the files are\n%swant\n%s%s", out, want, errs)
		}
		run(t, c, "echo more >>/var/kept/file; echo more >>/scratch/source/new/file")
		if _, out, _ := sh(t, c, "cat /var/kept/file /scratch/source/new/file"); out != "first\nmore\nfirst\nmore\n" {
			t.Errorf("after a change the files are\n%s", out)
		}
	}
	if _, out, _ := sh(t, second, "cat /scratch/source/given"); s.Trees && out != "edited\n" {
		t.Errorf("the file that the build has not changed is %q", out)
	}
	// A snapshot of a container that has one itself does not need that one.
	two := s.takeSnapshot(t, second, spec, "")
	three := s.takeSnapshot(t, second, spec, two.Snapshot)
	for _, dir := range []string{one.Snapshot, two.Snapshot} {
		if err := s.Engine.(engine.Restorer).RemoveSnapshot(t.Context(), dir); err != nil && dir == two.Snapshot {
			t.Errorf("remove a snapshot: %v", err)
		}
	}
	fourth := s.fromSnapshot(t, three)
	_, out, errs := sh(t, fourth, "cat /var/kept/file /scratch/source/new/file; ls /scratch/source/removed")
	if out != "first\nmore\nfirst\nmore\n" {
		t.Errorf("after two snapshots the files are\n%s%s", out, errs)
	}
}

// run runs a script that must succeed.
func run(t *testing.T, c engine.Container, script string) {
	t.Helper()
	if exit, out, errs := sh(t, c, script); exit != 0 {
		t.Fatalf("%s: exit %d, %s%s", script, exit, out, errs)
	}
}

// takeSnapshot takes a snapshot and returns the spec of a container with its files.
func (s Suite) takeSnapshot(t *testing.T, c engine.Container, spec engine.Spec, earlier string) engine.Spec {
	t.Helper()
	taker, able := c.(engine.Snapshotter)
	if !able {
		t.Skip("the driver takes no snapshots")
	}
	dir := filepath.Join(t.TempDir(), "snapshot")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	restorer := s.Engine.(engine.Restorer)
	t.Cleanup(func() { _ = restorer.RemoveSnapshot(context.Background(), dir) })
	size, err := taker.Changed(t.Context(), 1<<30)
	var copied int64
	if err == nil {
		copied, err = taker.Snapshot(t.Context(), engine.SnapshotTo{
			Dir: dir, Name: strings.ToLower(s.spec(t).Name), Labels: spec.Labels, Earlier: earlier, Since: time.Unix(1<<31, 0),
		})
	}
	if errors.Is(err, engine.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatalf("take a snapshot: %v", err)
	}
	if size == 0 || copied == 0 && earlier == "" {
		t.Errorf("a snapshot of %d bytes copied %d", size, copied)
	}
	if err := restorer.CheckSnapshot(t.Context(), dir, spec.Image); err != nil {
		t.Errorf("check a snapshot: %v", err)
	}
	next := s.spec(t)
	next.Mounts.Trees, next.Snapshot = spec.Mounts.Trees, dir
	return next
}

// fromSnapshot starts a container with the files of a snapshot.
func (s Suite) fromSnapshot(t *testing.T, spec engine.Spec) engine.Container {
	t.Helper()
	next := s.spec(t)
	next.Mounts.Trees, next.Snapshot = spec.Mounts.Trees, spec.Snapshot
	return s.start(t, next)
}
