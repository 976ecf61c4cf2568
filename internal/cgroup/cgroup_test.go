package cgroup_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/internal/cgroup"
)

func TestMeter_CountsWork(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("control groups are Linux's")
	}
	m, err := cgroup.ForProcess(os.Getpid(), "/")
	if err != nil {
		t.Skipf("this machine has no control groups: %v", err)
	}
	before, err := m.Read()
	if err != nil {
		t.Fatal(err)
	}
	held := make([]byte, 64<<20)
	for began := time.Now(); time.Since(began) < 50*time.Millisecond; {
		held[time.Now().UnixNano()%int64(len(held))]++
	}
	after, err := m.Read()
	if err != nil {
		t.Fatal(err)
	}
	if used := after.CPU - before.CPU; used < 20*time.Millisecond {
		t.Errorf("%v of processor time were counted for 50 ms of work", used)
	}
	if before.Memory <= 0 && after.Memory <= 0 {
		t.Errorf("no memory is in use: %v, %v", before, after)
	}
	runtime.KeepAlive(held)
}

func TestForProcess_MissingProcess(t *testing.T) {
	if _, err := cgroup.ForProcess(1<<30, "/"); err == nil {
		t.Error("no error for a process that is not there")
	}
	if _, err := cgroup.ForProcess(os.Getpid(), "no such group"); err == nil {
		t.Error("no error for a group that is not there")
	}
}

func TestMount_Directory(t *testing.T) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || !strings.Contains(string(text), " - cgroup") {
		t.Skip("no control groups are mounted here")
	}
	for version, controller := range map[int]string{1: "memory", 2: "memory"} {
		if dir := cgroup.ReadMounts().Find(version, controller); dir != "" && !filepath.IsAbs(dir) {
			t.Errorf("version %d is at %q", version, dir)
		}
	}
	if dir := cgroup.ReadMounts().Find(1, "no-such-controller"); dir != "" {
		t.Errorf("a controller that is not there is at %q", dir)
	}
}
