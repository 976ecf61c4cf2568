//go:build unix

package rundir

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// Variables that turn TestDir_KilledAtStep into a process that is killed.
const (
	stepVariable = "BUILDLOCAL_TEST_STEP"
	stepDir      = "BUILDLOCAL_TEST_STEP_DIR"
)

// lifeOf returns the steps of a directory's life, from its creation to its removal. The
// additional step is a removal that was interrupted after the lock's file.
func lifeOf(d *Dir) []func() error {
	steps := append(d.creation(), d.retire)
	steps = append(steps, func() error { return os.Remove(filepath.Join(d.Path, lockName)) })
	return append(steps, d.removal()[1:]...)
}

// TestDir_KilledAtStep is the child process of the test below.
func TestDir_KilledAtStep(t *testing.T) {
	count, err := strconv.Atoi(os.Getenv(stepVariable))
	if err != nil {
		return // not a child process
	}
	d := &Dir{root: RootOf(os.Getenv(stepDir), os.Getuid()), pid: os.Getpid()}
	for _, step := range lifeOf(d)[:count] {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

func TestRetire_RunKilledAtAnyStep(t *testing.T) {
	t.Parallel()
	for count := range len(lifeOf(&Dir{})) + 1 {
		for _, age := range []time.Duration{-time.Hour, 0, 24 * time.Hour} { // of a clock that was changed
			t.Run(fmt.Sprintf("%d steps, clock %v", count, age), func(t *testing.T) {
				dir := t.TempDir()
				child := exec.Command(os.Args[0], "-test.run=^TestDir_KilledAtStep$")
				child.Env = append(os.Environ(), stepVariable+"="+strconv.Itoa(count), stepDir+"="+dir)
				if out, _ := child.CombinedOutput(); child.ProcessState.ExitCode() != -1 {
					t.Fatalf("the child was not killed: %s", out)
				}
				setTimes(t, dir, time.Now().Add(age))
				removeAll(t, RootOf(dir, os.Getuid()))
				if left := below(t, dir); len(left) > 0 {
					t.Errorf("left: %v", left)
				}
			})
		}
	}
}

// removeAll removes the directories of all runs that have ended.
func removeAll(t *testing.T, r Root) {
	t.Helper()
	for _, dir := range r.All() {
		gone, err := Retire(dir, "")
		if err == nil && gone != "" {
			err = os.RemoveAll(gone)
		}
		if err != nil {
			t.Error(err)
		}
	}
	r.RemoveIfEmpty()
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
