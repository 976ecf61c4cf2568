package cmd_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestKill_HostBuildLeavesNothing kills builds without an engine in several states.
// After prune none of their directories and mounts exists.
func TestKill_HostBuildLeavesNothing(t *testing.T) {
	if !hasSandbox(t) {
		t.Skip("no sandbox can be made here")
	}
	dir := filteredSource(t, map[string]int{"large.bin": 32 << 20, "small.bin": 100})
	found := func(pattern string) func(int, string, string) bool {
		return func(_ int, tmp, _ string) bool {
			names, _ := filepath.Glob(filepath.Join(tmp, pattern))
			return len(names) > 0
		}
	}
	for name, moment := range map[string]func(pid int, tmp, out string) bool{
		"started":             moments[0],
		"root directory made": found("buildlocal-*"),
		"directory locked":    moments[1],
		"object written":      found("buildlocal-*/run-*/objects-*/*"),
		"layer made":          found("buildlocal-*/run-*/layer-*"),
		"sandbox described":   found("buildlocal-*/run-*/sandbox.json"),
		"command runs":        moments[3],
	} {
		for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
			killAt(t, dir, name, moment, signal)
		}
	}
}

// killAt sends a build a signal when it has reached a state, and checks that nothing is left
// after prune.
func killAt(t *testing.T, dir, name string, moment func(pid int, tmp, out string) bool, signal syscall.Signal) {
	t.Helper()
	tmp, out := t.TempDir(), filepath.Join(t.TempDir(), "out")
	file, err := os.Create(out)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	c := exec.Command("buildlocal", "run", "-C", dir, "--engine", "host", "-v")
	c.Env = append(os.Environ(), "TMPDIR="+tmp)
	c.Stdout, c.Stderr = file, file
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = c.Wait(); close(ended) }()
	waitFor(func() bool { return moment(c.Process.Pid, tmp, out) }, ended)
	_ = c.Process.Signal(signal)
	<-ended
	prune := exec.Command("buildlocal", "prune")
	prune.Env = append(os.Environ(), "TMPDIR="+tmp)
	if out, err := prune.CombinedOutput(); err != nil {
		t.Errorf("%s, %v: prune: %v\n%s", name, signal, err, out)
	}
	if left, _ := os.ReadDir(tmp); len(left) > 0 {
		t.Errorf("%s, %v: left after prune: %v", name, signal, left)
	}
	if mounts, err := os.ReadFile("/proc/self/mounts"); err != nil || strings.Contains(string(mounts), tmp) {
		t.Errorf("%s, %v: a mount is left (%v)", name, signal, err)
	}
}
