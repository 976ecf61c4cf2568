package cmd_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"
	"testing"
)

// filteredSource returns a repository with files of the filter of Git LFS that have given sizes.
// Each has other contents on this host, so a build gets a layer with those of the repository.
func filteredSource(t *testing.T, sizes map[string]int) string {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{
		"buildspec.yml":  "version: 0.2\nphases: {build: {commands: ['echo it began; touch f; sleep 600']}}\n",
		".gitattributes": "*.bin filter=lfs -text\n",
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	fill := func(size func(in int) int) {
		for name, n := range sizes {
			if err := os.WriteFile(filepath.Join(dir, name), bytes.Repeat([]byte("x"), size(n)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	fill(func(n int) int { return n })
	author := []string{"-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "filter.lfs.clean=",
		"-c", "filter.lfs.required=false"}
	for _, args := range [][]string{{"init", "-q"}, {"add", "."}, {"commit", "-q", "-m", "one"}} {
		c := exec.Command("git", slices.Concat([]string{"-C", dir}, author, args)...)
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("git %s: %v: %s", args[0], err, out)
		}
	}
	fill(func(int) int { return 1 })
	return dir
}

// TestRun_DiskFullWhileSourceIsPrepared gives builds a small temporary directory: for a large
// object of the repository, and for a layer of many small ones.
func TestRun_DiskFullWhileSourceIsPrepared(t *testing.T) {
	if !hasSandbox(t) {
		t.Skip("no sandbox can be made here")
	}
	many := map[string]int{}
	for i := range 600 {
		many[string(rune('a'+i%26))+string(rune('a'+i/26))+".bin"] = 4000
	}
	for name, sizes := range map[string]map[string]int{"large object": {"large.bin": 2 << 20}, "layer": many} {
		dir, tmp := filteredSource(t, sizes), smallDisk(t)
		c := exec.Command("buildlocal", "run", "-C", dir, "--engine", "host")
		c.Env = append(os.Environ(), "TMPDIR="+tmp)
		var stderr bytes.Buffer
		c.Stderr = &stderr
		err := c.Run()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 4 {
			t.Errorf("%s: the build ends with %v; want exit code 4\n%s", name, err, stderr.String())
		}
		want := regexp.MustCompile(`(?m)^error: .*no space left in ` + tmp + `/buildlocal-\S+: \S+ free; ` +
			`files of the source need \d\S+\nhint: free space there, or set TMPDIR to another directory$`)
		if !want.MatchString(stderr.String()) {
			t.Errorf("%s: got %s", name, stderr.String())
		}
		if left, _ := os.ReadDir(tmp); len(left) > 0 {
			t.Errorf("%s: left is %v", name, left)
		}
		if builds, _ := filepath.Glob(filepath.Join(dir, ".buildlocal", "builds", "*")); len(builds) > 0 {
			t.Errorf("%s: there is a build: %v", name, builds)
		}
	}
}

// smallDisk returns an empty file system of 1 MiB.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		if os.Geteuid() == 0 && os.Getenv("BUILDLOCAL_REQUIRE_ENGINE") != "" {
			t.Fatal(err)
		}
		t.Skipf("no small disk can be made: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}
