package sandbox_test

import (
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/sandbox"
)

func TestSweep_RemovesGroupsOfRunsThatAreGone(t *testing.T) {
	e := engineOf(t, sandbox.Host)
	spec := engine.Spec{Name: "sweep", Mounts: engine.Mounts{Temp: t.TempDir()}}
	c, err := e.Start(t.Context(), spec)
	need(t, err)
	defer c.Close(t.Context())
	var own, gone, alive []string
	for _, pattern := range []string{"/sys/fs/cgroup/*:sweep", "/sys/fs/cgroup/*/*:sweep", "/sys/fs/cgroup/*/*/*:sweep"} {
		found, _ := filepath.Glob(pattern)
		own = append(own, found...)
	}
	own = slices.DeleteFunc(own, func(dir string) bool { return !strings.Contains(dir, url.QueryEscape(spec.Mounts.Temp)) })
	if len(own) == 0 {
		t.Skip("this machine has no control groups to make")
	}
	for _, dir := range own {
		gone = append(gone, strings.Replace(dir, url.QueryEscape(spec.Mounts.Temp), url.QueryEscape("/run that is gone"), 1))
		alive = append(alive, strings.Replace(dir, url.QueryEscape(spec.Mounts.Temp), url.QueryEscape("/run that is starting"), 1))
	}
	for _, dir := range slices.Concat(gone, alive) {
		t.Cleanup(func() { os.Remove(dir) })
		future := time.Now().Add(24 * time.Hour)
		if err := errors.Join(os.Mkdir(dir, 0o755), os.Chtimes(dir, future, future)); err != nil {
			t.Fatal(err)
		}
	}
	e.Sweep(func(temp string) bool { return temp != "/run that is gone" })
	for _, dir := range slices.Concat(own, alive) {
		if _, err := os.Stat(dir); err != nil {
			t.Errorf("a group of a run that is alive was removed: %v", err)
		}
	}
	for _, dir := range gone {
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s was not removed", dir)
		}
	}
}
