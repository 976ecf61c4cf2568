package sandbox_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/sandbox"
)

// inside runs a script in a sandbox and returns its output.
func inside(t *testing.T, e *sandbox.Engine, spec engine.Spec, script string) string {
	t.Helper()
	spec.Name, spec.Mounts.Temp = "harm", t.TempDir()
	c, err := e.Start(t.Context(), spec)
	need(t, err)
	defer c.Close(t.Context())
	var out strings.Builder
	if _, err := c.Exec(t.Context(), engine.Process{Args: []string{"sh", "-c", script}, Stdout: &out,
		Stderr: &out}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestSandbox_CannotChangeHost(t *testing.T) {
	const script = `exec 2>/dev/null # refused, in a shell's own words
f=/proc/sys/vm/max_map_count; cat $f >$f && echo settings
mknod /dev/disk b 8 0; mknod /tmp/disk c 1 3
head -c 1 /dev/disk >/dev/null && echo disk
echo x >/tmp/disk && test -c /tmp/disk && echo device
echo ok >/dev/null && echo null`
	if out := inside(t, engineOf(t, sandbox.Host), engine.Spec{}, script); out != "null\n" {
		t.Errorf("got %s", out)
	}
}

func TestUmask_NotInherited(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	out := inside(
		t,
		engineOf(t, sandbox.Host),
		engine.Spec{Mounts: engine.Mounts{Scratch: []string{"/codebuild/output/tmp"}}},
		"umask; stat -c %a /etc/hosts /codebuild /codebuild/output",
	)
	if out != "0022\n644\n755\n755\n" {
		t.Errorf("got %q", out)
	}
}

func TestMasks_FollowLinks(t *testing.T) {
	home, err := os.MkdirTemp("/var/tmp", "home")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	kept := filepath.Join(home, "dotfiles", "aws")
	if err := errors.Join(os.Chmod(home, 0o755), os.MkdirAll(kept, 0o755),
		os.WriteFile(filepath.Join(kept, "credentials"), []byte("secret"), 0o644),
		os.Symlink(kept, filepath.Join(home, ".aws")),
		os.WriteFile(filepath.Join(home, ".netrc"), []byte("secret"), 0o644)); err != nil {
		t.Fatal(err)
	}
	e := sandbox.New(
		sandbox.Options{
			Mode: sandbox.Host,
			Path: os.Getenv("PATH"),
			Mask: []string{home + "/.aws", home + "/.netrc", home + "/.none"},
		},
	)
	out := inside(t, e, engine.Spec{}, "cat "+home+"/.aws/credentials "+kept+"/credentials "+home+"/.netrc")
	if strings.Contains(out, "secret") {
		t.Errorf("got %s", out)
	}
}

func TestImage_DuplicateLayer(t *testing.T) {
	dir := t.TempDir()
	// An archive of docker save that lists its only layer three times.
	double := filepath.Join(dir, "double.tar")
	twice(t, savedImage(t), double)
	if out := inside(t, engineOf(t, sandbox.Images),
		engine.Spec{Image: engine.ImageRef{Names: []string{"tar:" + double}}}, "echo runs"); out != "runs\n" {
		t.Errorf("got %q", out)
	}
}
