package docker_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"golang.org/x/sys/unix"

	"github.com/buildlocal/buildlocal/engine/docker"
)

// podman speaks Docker's API, and is another program.
func TestContract_Podman(t *testing.T) {
	e := podman(t)
	saved, err := daemon(t, connect(t)).ImageSave(t.Context(), []string{base})
	if err != nil {
		t.Fatal(err)
	}
	defer saved.Close()
	loaded, err := daemon(t, e).ImageLoad(t.Context(), saved)
	if err != nil {
		t.Fatal(err)
	}
	loaded.Body.Close()
	keepsContract(t, e)
	t.Run("ContainersOfOthersStay", func(t *testing.T) { othersStay(t, e) })
}

// othersStay checks that containers of other programs are not removed. Podman refuses to
// remove a container whose network another one uses.
func othersStay(t *testing.T, e *docker.Engine) {
	t.Helper()
	spec, api := newSpec(t), daemon(t, e)
	spec.Image.Names = []string{base}
	c, err := e.Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	other, err := api.ContainerCreate(t.Context(), &container.Config{Image: base, Cmd: []string{"true"}},
		&container.HostConfig{NetworkMode: container.NetworkMode("container:" + c.(*docker.Container).ID())}, nil, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(t.Context()); err == nil || !strings.Contains(err.Error(), other.ID) {
		t.Errorf("close: %v, want the other container named", err)
	}
	if err := api.ContainerRemove(t.Context(), other.ID, container.RemoveOptions{}); err != nil {
		t.Errorf("the other container: %v", err)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Errorf("close again: %v", err)
	}
	nothingLeft(t, e, spec)
}

// podman starts one that has nothing yet, and ends it with the test.
func podman(t *testing.T) *docker.Engine {
	t.Helper()
	path, err := exec.LookPath("podman")
	if os.Geteuid() != 0 || err != nil && os.Getenv("BUILDLOCAL_REQUIRE_ENGINE") == "" {
		t.Skipf("podman is started as root, where there is one: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	dir := shortDir(t)
	socket := filepath.Join(dir, "podman.sock")
	at := func(name string) string { return filepath.Join(dir, name) }
	var printed bytes.Buffer
	c := exec.Command(
		path,
		"--root",
		at("root"),
		"--runroot",
		at("run"),
		"--tmpdir",
		at("tmp"),
		"--network-config-dir",
		at("networks"),
		"--storage-driver",
		"overlay",
		"system",
		"service",
		"--time",
		"0",
		"unix://"+socket,
	)
	if err := os.Mkdir(at("temporary"), 0o700); err != nil { // it leaves copies of images there
		t.Fatal(err)
	}
	c.Env = append(os.Environ(), "CONTAINERS_CONF="+podmanConfig(t, dir), "TMPDIR="+at("temporary"))
	c.Stdout, c.Stderr, c.Dir = &printed, &printed, dir // where its helpers leave files
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		all := exec.Command(
			path,
			append(c.Args[1:9:9], "rm", "--all", "--force", "--time", "0")...) // left by a failed test
		all.Env = c.Env
		_ = all.Run()
		_ = c.Process.Kill()
		_ = c.Wait()
		_ = unix.Unmount(at("root/overlay"), unix.MNT_DETACH) // podman's own, so that it is private
		if t.Failed() {
			t.Logf("podman printed %s", printed.String())
		}
	})
	for end := time.Now().Add(3 * soon); ; time.Sleep(50 * time.Millisecond) {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			conn.Close()
			return connectTo(t, docker.Options{Host: "unix://" + socket, Relay: self})
		}
		if time.Now().After(end) {
			t.Fatalf("podman does not listen: %v", err)
		}
	}
}

// podmanConfig gives containers no more than this machine may give away: see
// scripts/engine. podman itself would raise their limits.
func podmanConfig(t *testing.T, dir string) string {
	t.Helper()
	runtime := "/usr/local/lib/buildlocal/runc-without-sys-resource"
	if _, err := os.Stat(runtime); err != nil {
		if runtime, err = exec.LookPath("runc"); err != nil {
			t.Fatal(err)
		}
	}
	ulimits := ""
	for name, which := range map[string]int{"nofile": unix.RLIMIT_NOFILE, "nproc": unix.RLIMIT_NPROC} {
		var limit unix.Rlimit
		if err := unix.Getrlimit(which, &limit); err != nil {
			t.Fatal(err)
		}
		ulimits += fmt.Sprintf("%q,", fmt.Sprintf("%s=%d:%[2]d", name, min(limit.Cur, limit.Max, 1<<14)))
	}
	file := filepath.Join(dir, "containers.conf")
	text := fmt.Sprintf(
		"[containers]\ndefault_ulimits = [%s]\n[engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = "+
			"\"file\"\nruntime = \"ours\"\n[engine.runtimes]\nours = [%q]\n",
		ulimits,
		runtime,
	)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}
