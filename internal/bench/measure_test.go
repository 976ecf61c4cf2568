package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestArm_FailureShowsLastLines(t *testing.T) {
	t.Parallel()
	_, err := shell(t, "seq 1 20; echo why >&2; exit 3", 0).run(t.Context())
	if want := "exit status 3\n17\n18\n19\n20\nwhy"; err == nil || err.Error() != want {
		t.Errorf("error = %v, want %s", err, want)
	}
}

func TestArm_LostOutputFails(t *testing.T) {
	t.Parallel()
	_, err := shell(t, "echo only one", 2).run(t.Context())
	if want := "1 lines of output, expected at least 2\nonly one"; err == nil || err.Error() != want {
		t.Errorf("error = %v, want %s", err, want)
	}
	s, err := shell(t, "echo one; echo two >&2", 2).run(t.Context())
	if err != nil || s.seconds <= 0 {
		t.Errorf("with both lines: %v, %v", s, err)
	}
}

func TestArm_CleansUpWhenStopped(t *testing.T) {
	t.Parallel()
	a := shell(t, "trap ': >cleaned; exit 0' INT; : >ready; while :; do sleep 0.01; done", 0)
	stopped := errors.New("stopped")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		for t.Context().Err() == nil {
			if _, err := os.Stat(filepath.Join(a.dir, "ready")); err == nil {
				break
			}
		}
		cancel(stopped)
	}()
	if _, err := a.run(ctx); !errors.Is(err, stopped) {
		t.Errorf("error = %v, want %v", err, stopped)
	}
	if _, err := os.Stat(filepath.Join(a.dir, "cleaned")); err != nil {
		t.Error(err)
	}
}

func TestOutput_KeepsEnd(t *testing.T) {
	t.Parallel()
	var o output
	for _, text := range []string{strings.Repeat("a line\n", 2*tailSize), "b\n", strings.Repeat("c", tailSize-4),
		"\nd\n"} {
		if n, err := o.Write([]byte(text)); n != len(text) || err != nil {
			t.Fatalf("Write = %d, %v", n, err)
		}
	}
	if want := 2*tailSize + 3; o.lines != want {
		t.Errorf("lines = %d, want %d", o.lines, want)
	}
	if len(o.tail) != tailSize {
		t.Errorf("tail has %d bytes, want %d", len(o.tail), tailSize)
	}
	if got := o.last(1); got != "d" {
		t.Errorf("last line = %q, want d", got)
	}
}

func shell(t *testing.T, script string, lines int) *arm {
	t.Helper()
	if _, err := exec.LookPath("sh"); err != nil || runtime.GOOS == "windows" {
		t.Skip("needs sh and its signals")
	}
	return job{workload: "W0", lines: lines, dir: t.TempDir()}.arm("sh", config{}, "sh", "-c", script)
}
