//go:build unix

package local

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/rundir"
)

// below returns all names below a directory.
func below(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(name string, _ os.DirEntry, err error) error {
		if name != dir {
			all = append(all, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// pruneRuns removes everything of runs that have ended, without Docker.
func pruneRuns(ctx context.Context, h *Host) error {
	c := &Cleaner{host: h}
	c.addDirs(nil)
	var errs []error
	for _, l := range c.All {
		errs = append(errs, c.Remove(ctx, l))
	}
	return errors.Join(append(errs, c.Close())...)
}

// TestPruneRuns_WhileRunsStart creates and removes directories of runs while other
// goroutines prune: no directory disappears before its owner removes it, and nothing is
// left.
func TestPruneRuns_WhileRunsStart(t *testing.T) {
	t.Parallel()
	h := testHost(t.TempDir())
	done := make(chan struct{})
	var pruning, creating sync.WaitGroup
	for range 2 {
		pruning.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if err := pruneRuns(t.Context(), h); err != nil {
					t.Errorf("prune: %v", err)
					return
				}
			}
		})
	}
	for range 4 {
		creating.Go(func() {
			for range 100 {
				createAndRemove(t, h)
			}
		})
	}
	creating.Wait()
	close(done)
	pruning.Wait()
	if left := below(t, h.TempDir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func createAndRemove(t *testing.T, h *Host) {
	d, err := h.Runs().New(h.PID)
	if err != nil {
		t.Error(err)
		return
	}
	defer d.Remove()
	if !strings.HasPrefix(filepath.Base(d.Path), "run-") {
		t.Errorf("the directory is %s", d.Path)
	}
	if _, alive := rundir.Alive(d.Path); !alive {
		t.Errorf("%s does not count as running", d.Path)
	}
	if err := os.WriteFile(filepath.Join(d.Path, "f"), nil, 0o600); err != nil {
		t.Error(err)
	}
}

func TestPruneRuns_StateFilesBlock(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"lock", "pid", "kept", "sandbox.json"} {
		for kind, put := range map[string]func(name string) error{
			"pipe":      func(name string) error { return syscall.Mkfifo(name, 0o600) },
			"zeros":     func(name string) error { return os.Symlink("/dev/zero", name) },
			"directory": func(name string) error { return os.Mkdir(name, 0o700) },
		} {
			h := testHost(t.TempDir())
			dir := filepath.Join(h.Runs().Path, "run-1")
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := put(filepath.Join(dir, file)); err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() {
				h.sandboxes()
				done <- pruneRuns(t.Context(), h)
			}()
			select {
			case err := <-done:
				if left := below(t, h.TempDir); err != nil || len(left) > 0 {
					t.Errorf("%s as %s: %v; left %v", file, kind, err, left)
				}
			case <-time.After(time.Minute):
				t.Fatalf("%s as %s: prune does not end", file, kind)
			}
		}
	}
}

func TestKeepUnfinished_SparesLivingBuild(t *testing.T) {
	made := func(alive bool, labels ...string) Resource {
		l := engine.Resource{Labels: map[string]string{}}
		for i := 0; i+1 < len(labels); i += 2 {
			l.Labels[labels[i]] = labels[i+1]
		}
		return Resource{Resource: l, Alive: alive}
	}
	all := []Resource{
		made(true, LabelBuild, "1-a", LabelHost, "h", LabelTemp, "/t"),
		made(false, LabelBuild, "2-b", LabelHost, "h", LabelTemp, "/u"),
		made(false, LabelBuild, "1-a", LabelHost, "h"), // the builder has not added the others yet
		made(false, LabelBuild, "1-a"),
		made(false, LabelBuild, "2-b", LabelHost, "h"),
		made(false, LabelBuild, "3-c"),
		made(false, LabelBuild, "1-a", LabelHost, "h", LabelTemp, "/gone"), // another run's
	}
	keepUnfinished(all)
	for i, want := range []bool{true, false, true, true, false, false, false} {
		if all[i].Alive != want {
			t.Errorf("%d: %v is alive: %t; want %t", i, all[i].Labels, all[i].Alive, want)
		}
	}
}
