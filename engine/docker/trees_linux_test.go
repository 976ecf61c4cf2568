package docker_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/docker"
)

// unprivileged is the ID of an unprivileged user.
const unprivileged = 65534

// again runs the calling test once more, in a process of its own that attr
// describes, and reports whether the caller is that process.
func again(t *testing.T, attr *syscall.SysProcAttr) bool {
	t.Helper()
	const mark = "BUILDLOCAL_TEST_AGAIN"
	if os.Getenv(mark) == t.Name() {
		return true
	}
	if os.Getuid() != 0 {
		t.Skip("only root may become somebody else")
	}
	dir := shortDir(t)
	program, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "test"), program, 0o755)
	}
	for _, f := range []func() error{
		func() error { return os.Chmod(dir, 0o755) },
		func() error { return os.Mkdir(filepath.Join(dir, "home"), 0o755) },
		func() error { return os.Chown(filepath.Join(dir, "home"), unprivileged, unprivileged) },
	} {
		if err == nil {
			err = f()
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	home := filepath.Join(dir, "home")
	cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "test"), "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Dir, cmd.SysProcAttr = home, attr
	cmd.Env = append(os.Environ(), mark+"="+t.Name(), "HOME="+home, "TMPDIR="+home)
	out, err := cmd.CombinedOutput()
	switch {
	case err != nil:
		t.Errorf("in a process of its own: %v\n%s", err, out)
	case strings.Contains(string(out), "--- SKIP"):
		t.Skipf("in a process of its own:\n%s", out)
	}
	return false
}

// groupOf returns the group that may use the engine.
func groupOf(t *testing.T) uint32 {
	t.Helper()
	info, err := os.Stat(socket(t, connect(t)))
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Gid
}

func TestTree_UnprivilegedUser(t *testing.T) {
	t.Parallel()
	if os.Getuid() == 0 &&
		!again(
			t,
			&syscall.SysProcAttr{Credential: &syscall.Credential{
				Uid: unprivileged, Gid: unprivileged, Groups: []uint32{groupOf(t)},
			}},
		) {
		return
	}
	e := connect(t)
	dir := newTree(t, "plain", map[string]string{
		"keep": "kept", "gone": "hidden", "closed/hidden": "x", "closed/deep/hidden": "x", "closed/deep/seen": "y",
		"own/hidden": "x",
	})
	for name, mode := range map[string]os.FileMode{"closed/deep": 0o555, "closed": 0o555, "own": 0o700} {
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Chmod(filepath.Join(dir, name), 0o755) })
	}
	spec := newSpec(t)
	spec.Mounts.Trees = []engine.Tree{
		{Host: dir, Path: "/src", Hide: []string{"gone", "closed/hidden", "closed/deep/hidden", "own/hidden"}},
	}
	c := mounted(t, e, spec)
	want := ".\n./closed\n./closed/deep\n./closed/deep/seen\n./keep\n./own\n555\n555\n700\n65534\n"
	script := "cd /src && find . | sort && stat -c %a closed closed/deep own && stat -c %u own && echo new " +
		">closed/deep/new && rm -r own"
	if got := sh(t, c, script); os.Getuid() == unprivileged && got != want {
		t.Errorf("inside: %q, want %q", got, want)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(spec.Mounts.Temp); err != nil || len(left) > 0 {
		t.Errorf("left of the driver's own files: %v, %v", left, err)
	}
}

// mount mounts something where the engine sees it, until the test ends.
func mount(t *testing.T, source, target, kind string, flags uintptr, data string) {
	t.Helper()
	if err := unix.Mount(source, target, kind, flags, data); err != nil {
		t.Skipf("mount %s: %v", kind, err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(target, 0); err != nil {
			t.Errorf("unmount %s: %v", target, err)
		}
	})
}

func TestTree_FileSystems(t *testing.T) {
	t.Parallel()
	e := connect(t)
	for name, prepare := range map[string]func(dir string){
		"tmpfs": func(dir string) { mount(t, "none", dir, "tmpfs", 0, "mode=755") },
		"overlay": func(dir string) {
			lower, upper, work := shortDir(t), shortDir(t), shortDir(t)
			mount(t, "none", dir, "overlay", 0, "lowerdir="+lower+",upperdir="+upper+",workdir="+work)
		},
	} {
		dir := t.TempDir()
		prepare(dir)
		seesItsTree(t, e, name, newTreeIn(t, dir, someFiles()), newSpec(t))
	}
	spec := newSpec(t)
	mount(t, "none", spec.Mounts.Temp, "tmpfs", 0, "mode=755")
	seesItsTree(t, e, "the driver's files on tmpfs", newTree(t, "tree", someFiles()), spec)
}

func TestTree_ReadOnlyHost(t *testing.T) {
	t.Parallel()
	e := connect(t)
	dir := newTree(t, "closed", someFiles())
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	seesItsTree(t, e, "closed", dir, newSpec(t))
	mount(t, dir, dir, "", unix.MS_BIND, "")
	if err := unix.Mount("", dir, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	seesItsTree(t, e, "read-only", dir, newSpec(t))
}

// withoutTrees wants an engine that cannot mount trees, and says why.
func withoutTrees(t *testing.T, e *docker.Engine, why string) {
	t.Helper()
	spec := newSpec(t)
	spec.Mounts.Trees = []engine.Tree{{Host: t.TempDir(), Path: "/src"}}
	if err := refused(t, e, spec); !errors.Is(err, engine.ErrUnsupported) || !strings.Contains(err.Error(), why) {
		t.Errorf("got %v, want ErrUnsupported and %q", err, why)
	}
}

func TestTree_EngineInVM(t *testing.T) {
	t.Parallel()
	// In another process namespace, the engine's process has no ID.
	if again(t, &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}) {
		withoutTrees(t, connect(t), "a virtual machine or a container")
	}
}

func TestTree_RootlessEngine(t *testing.T) {
	t.Parallel()
	if os.Getuid() == 0 &&
		!again(
			t,
			&syscall.SysProcAttr{Credential: &syscall.Credential{
				Uid: unprivileged, Gid: unprivileged, Groups: []uint32{groupOf(t)},
			}},
		) {
		return
	}
	path := socket(t, connect(t))
	own := filepath.Join(shortDir(t), "own.sock")
	forward(t, listen(t, "unix", own), path)
	withoutTrees(t, connectTo(t, docker.Options{Host: "unix://" + own}), "rootless")
}

func TestTree_EngineSeesOtherFiles(t *testing.T) {
	t.Parallel()
	if !again(t, &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}) {
		return
	}
	e, home := connect(t), os.TempDir()
	src := filepath.Join(home, "src")
	for _, owner := range []string{"the engine's", "ours"} {
		if err := os.Mkdir(src, 0o755); err != nil {
			t.Fatal(err)
		}
		newTreeIn(t, src, map[string]string{"owner": owner})
		if owner == "ours" {
			break
		}
		if err := unix.Mount("none", home, "tmpfs", 0, ""); err != nil { // only we see it
			t.Skipf("mount tmpfs: %v", err)
		}
	}
	spec := newSpec(t)
	spec.Mounts.Trees = []engine.Tree{{Host: src, Path: "/src"}}
	if err := refused(t, e, spec); !errors.Is(err, engine.ErrUnsupported) {
		t.Errorf("got %v, want ErrUnsupported", err)
	}
}

func TestTree_NestedMount(t *testing.T) {
	t.Parallel()
	e := connect(t)
	dir := newTree(t, "a tree", map[string]string{"keep": "kept", "other/x": ""})
	mount(t, "none", filepath.Join(dir, "other"), "tmpfs", 0, "")
	spec := newSpec(t)
	spec.Mounts.Trees = []engine.Tree{{Host: dir, Path: "/src"}}
	if err := refused(t, e, spec); !errors.Is(err, engine.ErrUnsupported) || !strings.Contains(err.Error(), dir+"/other") {
		t.Errorf("got %v, want ErrUnsupported and the place", err)
	}
	spec.Mounts.Trees[0].Hide = []string{"other"}
	if got := sh(t, start(t, e, spec), "ls /src"); got != "keep\n" {
		t.Errorf("without it: %q", got)
	}
}
