package sandbox_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
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
	if os.Geteuid() != 0 {
		t.Skip("so far only root has sandboxes")
	}
	probe, err := sandbox.New(sandbox.Options{}).Start(t.Context(), engine.Spec{Name: "probe", Temp: t.TempDir()})
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
		Engine: sandbox.New(sandbox.Options{Path: os.Getenv("PATH")}), Trees: true, Bare: true,
		Left: func(_ context.Context, label string) (int, error) { return left(label) },
	})
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
