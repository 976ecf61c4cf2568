package enginetest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/buildlocal/buildlocal/engine"
)

// binds checks that a directory of the host is shared in both directions, and that the container
// cannot write to one that is read-only.
func (s Suite) binds(t *testing.T) {
	if !s.Trees {
		return // the engine is elsewhere
	}
	shared, fixed := t.TempDir(), t.TempDir()
	for _, dir := range []string{shared, fixed} {
		if err := os.WriteFile(filepath.Join(dir, "host"), []byte("of the host"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	spec := s.spec(t)
	spec.Mounts.Binds = []engine.Bind{
		{Host: shared, Path: "/mnt/shared"}, {Host: fixed, Path: "/mnt/fixed", ReadOnly: true},
	}
	c := s.start(t, spec)
	_, said, _ := sh(t, c, "cat /mnt/shared/host /mnt/fixed/host; echo build >/mnt/shared/build; "+
		"echo no >/mnt/fixed/host; echo $?")
	if !strings.HasPrefix(said, "of the hostof the host") || strings.HasSuffix(said, "\n0\n") {
		t.Errorf("the container prints %q", said)
	}
	if text, err := os.ReadFile(filepath.Join(shared, "build")); err != nil || string(text) != "build\n" {
		t.Errorf("the host has %q, %v", text, err)
	}
	if text, _ := os.ReadFile(filepath.Join(fixed, "host")); string(text) != "of the host" {
		t.Errorf("the read-only file is %q", text)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(shared, "build")); err != nil {
		t.Errorf("after Close: %v", err)
	}
}

// network checks additional names and the network none. A driver that has no networks refuses both.
func (s Suite) network(t *testing.T) {
	spec := s.spec(t)
	spec.Network.Hosts = []engine.HostName{{Name: "db.example", IP: "192.0.2.7"}}
	spec.Network.Name = "none"
	c, err := s.Engine.Start(t.Context(), spec)
	if errors.Is(err, engine.ErrUnsupported) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	_, said, _ := sh(t, c, "ls /sys/class/net; cat /etc/hosts")
	if strings.Contains(said, "eth0") {
		t.Errorf("interfaces without a network: %q", said)
	}
	_ = c.Close(t.Context())
	spec = s.spec(t)
	spec.Network.Hosts = []engine.HostName{{Name: "db.example", IP: "192.0.2.7"}}
	_, said, _ = sh(t, s.start(t, spec), "cat /etc/hosts")
	if !strings.Contains(said, "192.0.2.7\tdb.example") {
		t.Errorf("/etc/hosts: %q", said)
	}
}
