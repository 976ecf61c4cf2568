package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/engine"
)

// TestAMountThatFailsLeavesNothing has each mount fail, and has the process that
// lays the sandbox killed before each.
func TestAMountThatFailsLeavesNothing(t *testing.T) {
	for _, die := range []bool{false, true} {
		t.Run(fmt.Sprintf("the process is killed %v", die), func(t *testing.T) {
			started, failed := false, 0
			for at := 1; !started; at++ {
				temp := t.TempDir()
				tree := t.TempDir()
				e := New(Options{Shape: Host, Path: os.Getenv("PATH"), failAt: at, die: die})
				spec := engine.Spec{
					Name: fmt.Sprintf("buildlocal-fault-%v-%d-%d", die, at, os.Getpid()), Mounts: engine.Mounts{Temp: temp, Scratch: []string{"/scratch"},
						Trees: []engine.Tree{{Host: tree, Path: "/src"}}}, Resources: engine.Resources{Limits: engine.Limits{CPUs: 0.5, Memory: 1 << 30}},
				}
				c, err := e.Start(t.Context(), spec)
				started = err == nil && at > 10 // a mount that may fail may fail
				if err == nil {
					err = c.Close(context.Background())
					if err != nil {
						t.Errorf("mount %d: close: %v", at, err)
					}
				} else {
					failed++
					var f *engine.Fault
					if !errors.Is(err, engine.ErrUnsupported) && (!errors.As(err, &f) || f.Hint == "") {
						t.Errorf("mount %d: %v, want a fault with a way out", at, err)
					}
				}
				nothingLeft(t, at, spec.Name, temp)
				if at > 200 {
					t.Fatal("it never starts")
				}
			}
			if failed < 10 {
				t.Errorf("%d mounts failed, want many", failed)
			}
		})
	}
}

// nothingLeft looks for a process, a mount, a directory and a control group.
func nothingLeft(t *testing.T, at int, name, temp string) {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil || bytes.Contains(mounts, []byte(temp)) {
		t.Errorf("mount %d: a mount is left, %v", at, err)
	}
	for _, pattern := range []string{temp + "/*", "/sys/fs/cgroup/*" + name, "/sys/fs/cgroup/*/*" + name} {
		if left, err := filepath.Glob(pattern); err != nil || left != nil {
			t.Errorf("mount %d: left %v, %v", at, left, err)
		}
	}
	for range 100 { // the kernel may take a moment
		if !running(name) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("mount %d: a process is left", at)
}

func running(name string) bool {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		text, _ := os.ReadFile(file)
		if strings.Contains(string(text), name) {
			return true
		}
	}
	return false
}

// TestAKilledServerIsToldAndLeavesNothing kills the process that serves a sandbox.
func TestAKilledServerIsToldAndLeavesNothing(t *testing.T) {
	temp := t.TempDir()
	e := New(Options{Shape: Host, Path: os.Getenv("PATH")})
	spec := engine.Spec{Name: fmt.Sprintf("buildlocal-killed-%d", os.Getpid()), Mounts: engine.Mounts{Temp: temp}}
	c, err := e.Start(t.Context(), spec)
	if err != nil {
		t.Skip(err) // another test says so
	}
	word := fmt.Sprintf("left-behind-%d", os.Getpid())
	go func() {
		for !running(word) {
			time.Sleep(10 * time.Millisecond)
		}
		_ = c.(*Container).command.Process.Kill()
	}()
	_, err = c.Exec(t.Context(), engine.Process{Args: []string{"sh", "-c", "mkdir -p /d/e; chmod 0 /d; setsid sh -c ': " + word + "; sleep 1000' & sleep 1000"}})
	var f *engine.Fault
	if !errors.As(err, &f) || f.Kind != engine.Died {
		t.Errorf("got %v", err)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
	nothingLeft(t, 0, word, temp)
}

// TestAFullDiskIsCalledSo fills what the sandbox writes to.
func TestAFullDiskIsCalledSo(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs a small file system")
	}
	small := t.TempDir()
	l := &layoutOfTest{small}
	if err := l.mount(); err != nil {
		t.Skip(err)
	}
	defer l.unmount()
	e := New(Options{Shape: Host, Path: os.Getenv("PATH")})
	c, err := e.Start(t.Context(), engine.Spec{Name: "full", Mounts: engine.Mounts{Temp: small}})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	exit, err := c.Exec(t.Context(), engine.Process{Args: []string{"sh", "-c", "head -c 100000000 /dev/zero >/big"}, Stderr: &out})
	if err != nil || exit == 0 || !strings.Contains(out.String(), "No space left on device") {
		t.Errorf("exit %d, %v: %s", exit, err, out.String())
	}
	err = c.CopyIn(t.Context(), "/in", bigTar(t))
	if !isFull(err) {
		t.Errorf("copied in: %v", err)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(small + "/*"); left != nil {
		t.Errorf("left: %v", left)
	}
	if err := os.WriteFile(filepath.Join(small, "big"), make([]byte, 9<<20), 0o600); err == nil {
		t.Log("it was not quite full")
	}
	fill(small)
	if c, err = e.Start(t.Context(), engine.Spec{Name: "full", Mounts: engine.Mounts{Temp: small}}); err == nil {
		t.Error("it starts on a full disk")
		_ = c.Close(t.Context())
	} else if !isFull(err) {
		t.Errorf("start: %v", err)
	}
}
