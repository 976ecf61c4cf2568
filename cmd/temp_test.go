//go:build unix

package cmd

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Variables that turn TestTemp_KilledAtStep into a process that is killed.
const (
	stepVariable = "BUILDLOCAL_TEST_STEP"
	stepDir      = "BUILDLOCAL_TEST_STEP_DIR"
)

func tempApp(dir string) *App {
	return &App{TempDir: dir, UID: os.Getuid(), PID: os.Getpid(), Stdout: io.Discard, Stderr: io.Discard, Now: time.Now, LookupEnv: os.LookupEnv}
}

// lifeOf returns the steps of a directory's life, from its creation to its removal.
// A further step stands for a removal that was interrupted after the lock's file.
func lifeOf(t *temp) []func() error {
	steps := append(t.creation(), t.retire)
	steps = append(steps, func() error { return os.Remove(filepath.Join(t.path, lockName)) })
	return append(steps, t.removal()[1:]...)
}

// TestTemp_KilledAtStep is the child process of the test below.
func TestTemp_KilledAtStep(t *testing.T) {
	count, err := strconv.Atoi(os.Getenv(stepVariable))
	if err != nil {
		return // this is no child
	}
	a := tempApp(os.Getenv(stepDir))
	made := &temp{root: a.tempRoot(), uid: a.UID, pid: a.PID}
	for _, step := range lifeOf(made)[:count] {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

func TestPrune_LeavesNothingOfARunKilledAtAnyStep(t *testing.T) {
	t.Parallel()
	for count := range len(lifeOf(&temp{})) + 1 {
		for _, age := range []time.Duration{-time.Hour, 0, 24 * time.Hour} { // of a clock that was changed
			t.Run(fmt.Sprintf("%d steps, clock %v", count, age), func(t *testing.T) {
				dir := t.TempDir()
				child := exec.Command(os.Args[0], "-test.run=^TestTemp_KilledAtStep$")
				child.Env = append(os.Environ(), stepVariable+"="+strconv.Itoa(count), stepDir+"="+dir)
				if out, _ := child.CombinedOutput(); child.ProcessState.ExitCode() != -1 {
					t.Fatalf("the child was not killed: %s", out)
				}
				setTimes(t, dir, time.Now().Add(age))
				if err := tempApp(dir).pruneTemp(t.Context(), ""); err != nil {
					t.Error(err)
				}
				if left := below(t, dir); len(left) > 0 {
					t.Errorf("left after prune: %v", left)
				}
			})
		}
	}
}

func setTimes(t *testing.T, dir string, when time.Time) {
	t.Helper()
	for _, name := range below(t, dir) {
		if err := os.Chtimes(name, when, when); err != nil {
			t.Fatal(err)
		}
	}
}

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

// TestNewTemp_WhileOthersPrune makes and removes directories while other goroutines
// prune: no directory disappears before its owner removes it, and nothing is left.
func TestNewTemp_WhileOthersPrune(t *testing.T) {
	t.Parallel()
	a := tempApp(t.TempDir())
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
				if err := a.pruneTemp(t.Context(), ""); err != nil {
					t.Errorf("prune: %v", err)
					return
				}
			}
		})
	}
	for range 4 {
		creating.Go(func() {
			for range 100 {
				made, err := a.newTemp()
				if err != nil {
					t.Error(err)
					return
				}
				if !strings.HasPrefix(filepath.Base(made.path), runPrefix) {
					t.Errorf("the directory is %s", made.path)
				}
				if _, yes := alive(made.path); !yes {
					t.Errorf("%s does not count as running", made.path)
				}
				if err := os.WriteFile(filepath.Join(made.path, "f"), nil, 0o600); err != nil {
					t.Error(err)
				}
				made.remove()
			}
		})
	}
	creating.Wait()
	close(done)
	pruning.Wait()
	if left := below(t, a.TempDir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestPrune_RemovesRunsWhoseStateBlocks(t *testing.T) {
	t.Parallel()
	for _, file := range []string{lockName, pidName, keptName, sandboxName} {
		for kind, put := range map[string]func(name string) error{
			"pipe":      func(name string) error { return syscall.Mkfifo(name, 0o600) },
			"zeros":     func(name string) error { return os.Symlink("/dev/zero", name) },
			"directory": func(name string) error { return os.Mkdir(name, 0o700) },
		} {
			a := tempApp(t.TempDir())
			dir := filepath.Join(a.tempRoot(), "run-1")
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := put(filepath.Join(dir, file)); err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() {
				a.sandboxes()
				done <- a.pruneTemp(t.Context(), "")
			}()
			select {
			case err := <-done:
				if left := below(t, a.TempDir); err != nil || len(left) > 0 {
					t.Errorf("%s as %s: %v; left %v", file, kind, err, left)
				}
			case <-time.After(time.Minute):
				t.Fatalf("%s as %s: prune does not end", file, kind)
			}
		}
	}
}
