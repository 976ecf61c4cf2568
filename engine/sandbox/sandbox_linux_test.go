package sandbox_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/enginetest"
	"github.com/buildlocal/buildlocal/engine/sandbox"
)

// tester is the plain user that scripts/setup makes for the tests.
const tester = "buildlocal-tester"

// need skips a test for what is missing, or fails it where it has to be there.
func need(t *testing.T, missing error) {
	t.Helper()
	if missing == nil {
		return
	}
	if os.Getenv("BUILDLOCAL_REQUIRE_ENGINE") == "" {
		t.Skip(missing)
	}
	t.Fatal(missing)
}

// engineOf returns the engine of a shape as who runs the test.
func engineOf(t *testing.T, shape sandbox.Shape) *sandbox.Engine {
	t.Helper()
	o := sandbox.Options{Shape: shape, Path: os.Getenv("PATH"), Store: os.Getenv(storeVariable), Now: time.Now}
	if u, err := user.Current(); err == nil {
		o.User = u.Username
	}
	if o.Store == "" {
		o.Store = t.TempDir()
	}
	e := sandbox.New(o)
	t.Cleanup(func() { e.Close() })
	return e
}

// Variables of a test that is run as a plain user.
const (
	imageVariable = "BUILDLOCAL_TEST_IMAGE" // a file that docker save wrote
	storeVariable = "BUILDLOCAL_TEST_STORE" // where images are kept
)

func TestTheHostsOwnFilesKeepTheContract(t *testing.T) {
	e := engineOf(t, sandbox.Host)
	probe, err := e.Start(t.Context(), engine.Spec{Name: "probe", Mounts: engine.Mounts{Temp: t.TempDir()}})
	need(t, err)
	if err := probe.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	enginetest.Run(t, enginetest.Suite{
		Engine: e, Trees: true, Bare: true, Single: os.Geteuid() != 0,
		Left: func(_ context.Context, label string) (int, error) { return left(label) },
	})
}

func TestAnImageKeepsTheContract(t *testing.T) {
	e := engineOf(t, sandbox.Images)
	enginetest.Run(t, enginetest.Suite{
		Engine: e, Image: "tar:" + savedImage(t), Trees: true, Single: os.Getenv("BUILDLOCAL_TEST_SINGLE") != "",
		Left: func(_ context.Context, label string) (int, error) { return left(label) },
	})
}

// savedImage returns the file of an image.
func savedImage(t *testing.T) string {
	t.Helper()
	if file := os.Getenv(imageVariable); file != "" {
		return file
	}
	file := filepath.Join(t.TempDir(), "base.tar")
	out, err := exec.Command("docker", "save", "-o", file, "buildlocal-test/base").CombinedOutput()
	if err != nil {
		need(t, errors.New("no image to test with: "+string(out)))
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestAPlainUsersSandboxesKeepTheContract runs the tests above as users who are
// not root: one who may borrow numbers, and one who has his own only.
func TestAPlainUsersSandboxesKeepTheContract(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("this is a plain user already")
	}
	image := savedImage(t)
	t.Run("with borrowed numbers", func(t *testing.T) {
		u, err := user.Lookup(tester)
		need(t, err)
		uid, err := strconv.Atoi(u.Uid)
		if err != nil {
			t.Fatal(err)
		}
		asUser(t, uid, "TestAnImageKeepsTheContract", imageVariable+"="+image)
	})
	t.Run("with one number", func(t *testing.T) {
		asUser(t, 20123, "TestTheHostsOwnFilesKeepTheContract|TestAnImageKeepsTheContract", imageVariable+"="+image, "BUILDLOCAL_TEST_SINGLE=1")
	})
}

// asUser runs tests of this binary as another user.
func asUser(t *testing.T, uid int, tests string, variables ...string) {
	t.Helper()
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
	program, temp := filepath.Join(dir, "sandbox.test"), filepath.Join(dir, "tmp")
	if err := errors.Join(os.WriteFile(program, binary, 0o755), os.Chmod(dir, 0o755), os.Mkdir(temp, 0o700), os.Chown(temp, uid, uid)); err != nil {
		t.Fatal(err)
	}
	for _, v := range variables { // the image is in a directory of root's
		if file, is := strings.CutPrefix(v, imageVariable+"="); is {
			if err := errors.Join(os.Chmod(filepath.Dir(file), 0o755), os.Chmod(filepath.Dir(filepath.Dir(file)), 0o755)); err != nil {
				t.Fatal(err)
			}
		}
	}
	c := exec.Command(program, "-test.run=^("+tests+")$", "-test.v")
	c.Dir = "/"
	c.Env = append(os.Environ(), append(variables, "TMPDIR="+temp, "HOME="+temp)...)
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	out, err := c.CombinedOutput()
	if err != nil || strings.Count(string(out), "\n--- PASS") != strings.Count(tests, "Test") {
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
