package cmd_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/docker"
)

// TestRuns_HundredLeaveNothing runs builds that succeed, fail, time out and
// are stopped or killed in several states, several at once, in one repository. After
// prune none of their resources exists, and no other build was disturbed.
func TestRuns_HundredLeaveNothing(t *testing.T) {
	needEngine(t)
	dir, tmp := t.TempDir(), t.TempDir()
	spec := "version: 0.2\nphases:\n  build:\n    commands:\n      - echo it began; sleep $LONG & wait\n      - exit " +
		"$CODE\n"
	if err := os.WriteFile(filepath.Join(dir, "buildspec.yml"), []byte(spec), 0o644); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	turns := make(chan int)
	for range 3 {
		group.Go(func() {
			for i := range turns {
				mixedRun(t, dir, tmp, i)
			}
		})
	}
	for i := range 100 {
		turns <- i
	}
	close(turns)
	group.Wait()
	prune := exec.Command("buildlocal", "prune")
	prune.Env = append(os.Environ(), "TMPDIR="+tmp)
	if out, err := prune.CombinedOutput(); err != nil {
		t.Errorf("prune: %v\n%s", err, out)
	}
	for _, name := range leftoversOf(t, dir) {
		t.Errorf("left behind: %s", name)
	}
	if left, _ := filepath.Glob(filepath.Join(tmp, "buildlocal-*")); len(left) > 0 {
		t.Errorf("temporary directories are left: %v", left)
	}
}

// TestStop_AnyMomentLeavesNothing stops builds at every moment of their start,
// also while the engine is creating resources that the build does not know yet.
func TestStop_AnyMomentLeavesNothing(t *testing.T) {
	needEngine(t)
	dir, tmp := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "buildspec.yml"), []byte("version: 0.2\nphases: {build: {commands: "+
		"[sleep 30]}}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for i := range 30 {
		c := exec.Command("buildlocal", "run", "-C", dir, "-i", "buildlocal-test/base", "--pull", "never")
		c.Env = append(os.Environ(), "TMPDIR="+tmp, "GORACE=atexit_sleep_ms=0")
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(15+i*10) * time.Millisecond)
		_ = c.Process.Signal(syscall.SIGINT)
		_ = c.Wait()
	}
	for _, name := range leftoversOf(t, dir) {
		t.Errorf("left behind: %s", name)
	}
}

// mixedRun runs one build, and checks its exit code if that does not depend on timing.
func mixedRun(t *testing.T, dir, tmp string, i int) {
	kind := i % 6
	long, code, want := "0", "0", 0
	var signal syscall.Signal
	args := []string{"run", "-C", dir, "-i", "buildlocal-test/base", "--pull", "never"}
	switch kind {
	case 1:
		code, want = "3", 1
	case 2:
		long, want = "30", 5
		args = append(args, "--timeout", "500ms")
	case 3:
		long, signal, want = "30", syscall.SIGINT, 130
	case 4:
		long, signal, want = "30", syscall.SIGTERM, 143
	case 5:
		long, signal, want = "30", syscall.SIGKILL, -1
	}
	out := filepath.Join(t.TempDir(), "out")
	file, err := os.Create(out)
	if err != nil {
		t.Error(err)
		return
	}
	defer file.Close()
	c := exec.Command("buildlocal", append(args, "-e", "LONG="+long, "-e", "CODE="+code)...)
	c.Env = append(os.Environ(), "TMPDIR="+tmp)
	c.Stdout, c.Stderr = file, file
	if err := c.Start(); err != nil {
		t.Error(err)
		return
	}
	ended := make(chan struct{})
	go func() { _ = c.Wait(); close(ended) }()
	if signal != 0 {
		moment := moments[i/6%len(moments)]
		waitFor(func() bool { return moment(c.Process.Pid, tmp, out) }, ended)
		_ = c.Process.Signal(signal)
	}
	<-ended
	early := signal != 0 && c.ProcessState.ExitCode() == -1 // the signal came before the program could listen
	if got := c.ProcessState.ExitCode(); got != want && !early {
		text, _ := os.ReadFile(out)
		t.Errorf("run %d (%d): exit code %d, want %d\n%s", i, kind, got, want, text)
	}
}

// moments are the states of a run at which it is stopped, in their order.
var moments = []func(pid int, tmp, out string) bool{
	func(int, string, string) bool { return true },
	func(pid int, tmp, _ string) bool { // its directory is there, perhaps not yet under its final name
		files, _ := filepath.Glob(filepath.Join(tmp, "buildlocal-*", "*", "pid"))
		return slices.ContainsFunc(files, func(name string) bool {
			text, _ := os.ReadFile(name)
			return string(text) == strconv.Itoa(pid)
		})
	},
	func(pid int, _, _ string) bool { // the engine has something of it
		all, _ := listResources()
		return slices.ContainsFunc(all, func(l engine.Resource) bool {
			text, _ := os.ReadFile(filepath.Join(l.Labels["dev.buildlocal.temp"], "pid"))
			return string(text) == strconv.Itoa(pid)
		})
	},
	func(_ int, _, out string) bool { // its command runs
		text, _ := os.ReadFile(out)
		return strings.Contains(string(text), "\nit began")
	},
}

// waitFor waits until a state is reached, or a process has ended.
func waitFor(reached func() bool, ended <-chan struct{}) {
	for !reached() {
		select {
		case <-ended:
			return
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// leftoversOf lists the resources with the label of a source.
func leftoversOf(t *testing.T, dir string) []string {
	t.Helper()
	all, err := listResources()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, l := range all {
		if l.Labels["dev.buildlocal.source"] == dir {
			names = append(names, fmt.Sprintf("%s %s (%s)", l.Kind, l.Name, l.Labels["dev.buildlocal.build"]))
		}
	}
	return names
}

// listResources returns the resources of all builds.
func listResources() ([]engine.Resource, error) {
	e, err := docker.Connect(docker.Options{Host: os.Getenv("DOCKER_HOST"), Home: os.Getenv("HOME")})
	if err != nil {
		return nil, err
	}
	defer e.Close()
	return e.List(context.Background(), "dev.buildlocal.source")
}
