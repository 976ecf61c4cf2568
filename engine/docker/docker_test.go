package docker_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/client"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/docker"
	"github.com/buildlocal/buildlocal/engine/enginetest"
	"github.com/buildlocal/buildlocal/internal/relay"
)

// TestMain lets an engine run this test's own binary beside its containers.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == relay.Name {
		stream := struct {
			io.Reader
			io.WriteCloser
		}{os.Stdin, os.Stdout}
		if err := relay.Far(stream, os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// busybox is an image that is there.
const busybox = "buildlocal-test/busybox:latest"

// soon is how long what should take no time may take on a busy machine.
const soon = 20 * time.Second

// connect returns the machine's engine. Without one the test is skipped, or
// fails where BUILDLOCAL_REQUIRE_ENGINE says that there has to be one.
func connect(t *testing.T) *docker.Engine {
	t.Helper()
	e, err := docker.Connect(docker.Options{
		Host: os.Getenv("DOCKER_HOST"), Home: os.Getenv("HOME"), Relay: func(string) (string, error) { return os.Executable() },
	})
	if err == nil {
		err = e.Ping(t.Context())
	}
	if err != nil && os.Getenv("BUILDLOCAL_REQUIRE_ENGINE") == "" {
		t.Skipf("no Docker engine: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// connectTo returns the engine that o describes, which answers.
func connectTo(t *testing.T, o docker.Options) *docker.Engine {
	t.Helper()
	e, err := docker.Connect(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	if err := e.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	return e
}

// daemon returns a plain client of the engine, for what only a test does to it.
func daemon(t *testing.T, e *docker.Engine) *client.Client {
	t.Helper()
	api, err := client.NewClientWithOpts(client.WithHost(e.Host()), client.WithAPIVersionNegotiation())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { api.Close() })
	return api
}

// newSpec returns the spec of a container of busybox.
func newSpec(t *testing.T) engine.Spec {
	t.Helper()
	temp := t.TempDir()
	name := "buildlocal-docker" + strings.Map(nameRune, temp[max(0, len(temp)-60):]) // unique, as the end of temp is
	return engine.Spec{Name: name, Image: engine.ImageRef{Names: []string{busybox}, Pull: engine.PullNever}, Labels: map[string]string{name: "1"}, Mounts: engine.Mounts{Temp: temp}}
}

func nameRune(r rune) rune {
	if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
		return r
	}
	return '-'
}

// start starts a container that is closed at the end, and then nothing is left.
func start(t *testing.T, e *docker.Engine, spec engine.Spec) *docker.Container {
	t.Helper()
	t.Cleanup(func() { nothingLeft(t, e, spec) })
	c, err := e.Start(t.Context(), spec)
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return c.(*docker.Container)
}

// refused starts what cannot be started and returns the error; nothing is left.
func refused(t *testing.T, e *docker.Engine, spec engine.Spec) error {
	t.Helper()
	c, err := e.Start(t.Context(), spec)
	if err == nil {
		c.Close(context.Background())
		t.Fatal("it started")
	}
	nothingLeft(t, e, spec)
	return err
}

func nothingLeft(t *testing.T, e *docker.Engine, spec engine.Spec) {
	t.Helper()
	left, err := e.List(context.Background(), spec.Name)
	if err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// sh runs a script, which succeeds, and returns what it prints.
func sh(t *testing.T, c engine.Container, script string) string {
	t.Helper()
	var out bytes.Buffer
	exit, err := c.Exec(t.Context(), engine.Process{Args: []string{"sh", "-c", script}, Stdout: &out, Stderr: &out})
	if err != nil || exit != 0 {
		t.Fatalf("run %q: exit status %d, %v\n%s", script, exit, err, out.String())
	}
	return out.String()
}

// wantFault wants a fault with a way out, and says in its text.
func wantFault(t *testing.T, err error, kind engine.Kind, says ...string) {
	t.Helper()
	var f *engine.Fault
	if !errors.As(err, &f) {
		t.Errorf("got %v, want a fault of kind %s", err, kind)
		return
	}
	if f.Kind != kind || f.Hint == "" {
		t.Errorf("got a fault of kind %s with the way out %q, want kind %s and a way out: %s", f.Kind, f.Hint, kind, f.Message)
	}
	for _, part := range says {
		if !strings.Contains(f.Error(), part) {
			t.Errorf("got %.1000q, want it to say %q", f.Error(), part)
		}
	}
}

// base is an image that is there, for the contract.
const base = "buildlocal-test/base:latest"

func TestContract(t *testing.T) {
	t.Parallel()
	keepsContract(t, connect(t))
}

func keepsContract(t *testing.T, e *docker.Engine) {
	t.Helper()
	enginetest.Run(t, enginetest.Suite{
		Engine: e, Image: base, Trees: true,
		Left: func(ctx context.Context, label string) (int, error) {
			left, err := e.List(ctx, label)
			return len(left), err
		},
	})
}

var _ engine.Engine = (*docker.Engine)(nil)
