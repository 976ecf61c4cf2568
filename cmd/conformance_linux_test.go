package cmd_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/buildlocal/buildlocal/cmd"
)

// TestConformance_Host runs the conformance table with the host engine: the results and the
// logs are the same. Cases about images are left out.
func TestConformance_Host(t *testing.T) {
	t.Parallel()
	if !hasSandbox(t) {
		t.Skip("this machine makes no sandboxes")
	}
	for name, file := range cases(t) {
		if aboutImages.MatchString(name) || isNonRoot() && aboutUsers.MatchString(name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conformOn(t, file, "host", nil)
		})
	}
}

// TestConformance_Sandbox runs the table in images of the sandbox store.
func TestConformance_Sandbox(t *testing.T) {
	t.Parallel()
	if !hasSandbox(t) {
		t.Skip("this machine makes no sandboxes")
	}
	cache := newImageStore(t)
	for name, file := range cases(t) {
		if aboutDocker.MatchString(name) || isNonRoot() && aboutRoot.MatchString(name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conformOn(t, file, "sandbox", map[string]string{"XDG_CACHE_HOME": cache})
		})
	}
}

// TestConformance_NonRootUser runs both as a non-root user, in a copy of this test binary.
func TestConformance_NonRootUser(t *testing.T) {
	t.Parallel()
	if !hasSandbox(t) || isNonRoot() {
		t.Skip("root starts this test, on a machine that makes sandboxes")
	}
	u, err := user.Lookup("buildlocal-tester")
	if err != nil && os.Getenv("BUILDLOCAL_REQUIRE_ENGINE") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	dir := copyTestsFor(t, uid, gid)
	c := exec.Command(
		filepath.Join(dir, "cmd", "cmd.test"),
		"-test.run=^(TestConformance_Host|TestConformance_Sandbox)$",
		"-test.v",
		"-update="+strconv.FormatBool(false),
	)
	c.Dir = filepath.Join(dir, "cmd")
	c.Env = append(
		os.Environ(),
		"TMPDIR="+filepath.Join(dir, "tmp"),
		"HOME="+filepath.Join(dir, "tmp"),
		"BUILDLOCAL_TEST_IMAGES="+savedImages(t),
	)
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	out, err := c.CombinedOutput()
	passed := strings.Count(string(out), "    --- PASS")
	const atLeast = 400 // of both tables
	if err != nil || passed < atLeast {
		t.Errorf("%v: %d passed\n%s", err, passed, onlyFailures(string(out)))
	}
}

// onlyFailures removes the lines of tests that passed or were skipped.
func onlyFailures(output string) string {
	lines := slices.DeleteFunc(strings.Split(output, "\n"), func(l string) bool {
		return strings.HasPrefix(l, "=== ") || strings.Contains(l, "--- PASS")
	})
	return strings.Join(lines, "\n")
}

// copyTestsFor copies the test binary and its data to a directory that another user can read.
func copyTestsFor(t *testing.T, uid, gid int) string {
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
	binary, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	temp := filepath.Join(dir, "tmp")
	err = errors.Join(
		os.Chmod(dir, 0o755), os.Mkdir(temp, 0o700), os.Chown(temp, uid, gid), os.Mkdir(filepath.Join(dir, "cmd"), 0o755),
		os.WriteFile(filepath.Join(dir, "cmd", "cmd.test"), binary, 0o755),
		os.CopyFS(filepath.Join(dir, "testdata", "conformance"), os.DirFS("../testdata/conformance")),
	)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// isNonRoot reports whether the test runs as a non-root user.
func isNonRoot() bool { return os.Geteuid() != 0 }

// Cases that an engine does not support, or for which it has another result.
var (
	aboutImages = regexp.MustCompile(`^(image-|runtimes-|project-image|variables-of-identity)`)
	aboutUsers  = regexp.MustCompile(`^(run-as|lambda-)`)
	aboutRoot   = regexp.MustCompile(`^project-privileged`)
	aboutDocker = regexp.MustCompile(`^(image-that-does-not-exist|privileged-)`)
)

// savedImages returns a directory with the images of the tests as archives of docker save.
func savedImages(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("BUILDLOCAL_TEST_IMAGES"); dir != "" {
		return dir
	}
	needEngine(t)
	dir := t.TempDir()
	// The tests of the non-root user read them.
	if err := errors.Join(os.Chmod(dir, 0o755), os.Chmod(filepath.Dir(dir), 0o755)); err != nil {
		t.Fatal(err)
	}
	for _, name := range imageNames {
		file := filepath.Join(dir, name+".tar")
		if out, err := exec.Command("docker", "save", "-o", file, "buildlocal-test/"+name).CombinedOutput(); err != nil {
			t.Fatalf("docker save: %v: %s", err, out)
		}
		if err := os.Chmod(file, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// imageNames are the images of the tests.
var imageNames = []string{"base", "node", "busybox", "sh-only", "no-sh", "odd", "curated"}

// newImageStore returns a cache directory whose sandbox store has all images of the tests.
func newImageStore(t *testing.T) string {
	t.Helper()
	saved := savedImages(t)
	cache := t.TempDir()
	variables := map[string]string{"XDG_CACHE_HOME": cache}
	t.Cleanup(func() { // borrowed numbers own files of it
		app, _, stderr := newApp(t, variables)
		if exit := cmd.Main(context.Background(), []string{"images", "prune", "--all"}, app); exit != 0 {
			t.Errorf("exit %d: %s", exit, stderr)
		}
	})
	app, _, stderr := newApp(t, variables)
	args := []string{"images", "pull"}
	for _, name := range imageNames {
		args = append(args, "tar:"+filepath.Join(saved, name+".tar"))
	}
	if exit := cmd.Main(t.Context(), args, app); exit != 0 {
		t.Fatalf("exit %d: %s", exit, stderr)
	}
	return cache
}
