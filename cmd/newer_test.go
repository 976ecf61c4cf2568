package cmd_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestEngine_NewerVersion runs a build on the Docker engine in the curated test image. It is
// newer than that of the host, and cannot access the host's files, so the source is copied.
func TestEngine_NewerVersion(t *testing.T) {
	t.Parallel()
	needEngine(t)
	sockets, source := t.TempDir(), t.TempDir()
	id := dockerCLI(
		t,
		"",
		"run",
		"-d",
		"--privileged",
		"-v",
		sockets+":/var/run",
		"buildlocal-test/curated",
		"sleep",
		"600",
	)
	t.Cleanup(func() { dockerCLI(t, "", "rm", "-f", "-v", id) })
	host := "unix://" + filepath.Join(sockets, "docker.sock")
	deadline := time.Now().Add(time.Minute)
	for exec.Command("docker", "-H", host, "version").Run() != nil {
		if time.Now().After(deadline) {
			t.Fatalf("the engine inside does not answer:\n%s", dockerCLI(t, "", "logs", id))
		}
		time.Sleep(100 * time.Millisecond)
	}
	archive := filepath.Join(sockets, "image.tar")
	dockerCLI(t, "", "save", "-o", archive, "buildlocal-test/busybox")
	dockerCLI(t, host, "load", "-i", archive)
	spec := "version: 0.2\nphases: {build: {commands: ['cat note; ls -l run', echo out >out]}}\nartifacts: {files: " +
		"[out]}\n"
	for name, text := range map[string]string{"buildspec.yml": spec, "note": "copied\n", "run": "#!/bin/sh\n"} {
		if err := os.WriteFile(filepath.Join(source, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	c := exec.Command("buildlocal", "run", "-C", source, "-i", "buildlocal-test/busybox", "--pull", "never")
	c.Env = append(os.Environ(), "DOCKER_HOST="+host)
	out, err := c.CombinedOutput()
	for _, want := range []string{"copied\n", "-rwxr-xr-x", "SUCCEEDED in", "the source is copied"} {
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%v; want %q in\n%s", err, want, out)
		}
	}
	if left := dockerCLI(t, host, "ps", "-aq") + dockerCLI(t, host, "volume", "ls", "-q"); left != "" {
		t.Errorf("left behind: %s", left)
	}
}

// dockerCLI runs the docker client and returns its output.
func dockerCLI(t *testing.T, host string, args ...string) string {
	t.Helper()
	if host != "" {
		args = append([]string{"-H", host}, args...)
	}
	out, err := exec.Command("docker", args...).Output()
	if err != nil {
		t.Errorf("docker %v: %v", args, err)
	}
	return strings.TrimSpace(string(out))
}
