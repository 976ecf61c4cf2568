package sandbox_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/enginetest"
	"github.com/buildlocal/buildlocal/engine/sandbox"
)

// TestMain lets a sandbox's first process be this test's own binary.
func TestMain(m *testing.M) {
	if sandbox.IsInit(os.Args) {
		os.Exit(sandbox.Init())
	}
	os.Exit(m.Run())
}

func TestTheHostsOwnFilesKeepTheContract(t *testing.T) {
	e := sandbox.New(sandbox.Options{Path: os.Getenv("PATH")})
	probe, err := e.Start(t.Context(), engine.Spec{Name: "probe", Temp: t.TempDir()})
	if err != nil && os.Getenv("BUILDLOCAL_REQUIRE_ENGINE") == "" {
		t.Skipf("this machine makes no sandboxes: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := probe.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	enginetest.Run(t, enginetest.Suite{
		Engine: e, Trees: true, Bare: true, Single: os.Geteuid() != 0,
		Left: func(_ context.Context, label string) (int, error) { return left(label) },
	})
}

// TestAPlainUsersSandboxKeepsTheContract runs the test above as a user who is
// not root.
func TestAPlainUsersSandboxKeepsTheContract(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("this is a plain user already")
	}
	const uid = 20123
	dir, err := os.MkdirTemp("", "plain")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	binary, err := os.ReadFile(self) // go test keeps it where others may not look
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "sandbox.test")
	if err := errors.Join(os.WriteFile(program, binary, 0o755), os.Chmod(dir, 0o755), os.Mkdir(filepath.Join(dir, "tmp"), 0o700), os.Chown(filepath.Join(dir, "tmp"), uid, uid)); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(program, "-test.run=TestTheHostsOwnFilesKeepTheContract", "-test.v")
	c.Dir = "/"
	c.Env = append(os.Environ(), "TMPDIR="+filepath.Join(dir, "tmp"), "HOME="+filepath.Join(dir, "tmp"))
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	out, err := c.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS") {
		t.Errorf("%v\n%s", err, out)
	}
}

// left counts what still has a name: processes, and mounts.
func left(name string) (int, error) {
	n := 0
	processes, err := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range processes {
		text, _ := os.ReadFile(file)
		if strings.Contains(string(text), name) {
			n++
		}
	}
	return n, err
}
