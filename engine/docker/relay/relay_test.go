package relay_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/docker/conn"
	"github.com/buildlocal/buildlocal/engine/docker/relay"
	tunnel "github.com/buildlocal/buildlocal/internal/relay"
)

// TestMain makes this test binary the program of the relay's image.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) != tunnel.Name {
		os.Exit(m.Run())
	}
	stream := struct {
		io.Reader
		io.WriteCloser
	}{os.Stdin, os.Stdout}
	if err := tunnel.Listen(stream, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// connect returns the host's engine. Without one the test is skipped, unless
// BUILDLOCAL_REQUIRE_ENGINE is set.
func connect(t *testing.T) *conn.Engine {
	t.Helper()
	e, err := conn.Connect(conn.Options{Host: os.Getenv("DOCKER_HOST"), Home: os.Getenv("HOME")})
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

func images(e *conn.Engine) *relay.Images {
	return &relay.Images{Conn: e, Program: func(string) (string, error) { return os.Executable() }}
}

// build is a running container with its network.
type build struct {
	*relay.Network
	conn *conn.Engine
	id   string
}

// start starts a container. It is removed at the end of the test, with all of its relays.
func start(t *testing.T, network engine.Network) *build {
	t.Helper()
	e := connect(t)
	name := "buildlocal-relay-test-" + strings.ReplaceAll(t.Name(), "/", "-")
	spec := engine.Spec{Name: name, Labels: map[string]string{name: "1"}, Network: network}
	spec.Hooks.OnWarning = func(format string, args ...any) { t.Logf(format, args...) }
	b := &build{Network: relay.NewNetwork(t.Context(), images(e), spec), conn: e}
	made, err := b.Create(t.Context(), conn.Creation{
		Name: name, Host: &container.HostConfig{},
		Config: &container.Config{Image: "buildlocal-test/base:latest", Cmd: []string{"sleep", "600"}, Labels: spec.Labels},
	})
	if err != nil {
		t.Fatal(err)
	}
	b.id = made.ID
	t.Cleanup(func() { b.remove(t, name) })
	b.Prepare(t.Context())
	if err := e.API.ContainerStart(t.Context(), b.id, container.StartOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := b.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}

// remove removes the container and its relays, and checks that nothing is left.
func (b *build) remove(t *testing.T, label string) {
	ctx := context.Background()
	for _, id := range append(b.Seal(), b.id) {
		if err := b.conn.RemoveContainer(ctx, id); err != nil {
			t.Error(err)
		}
	}
	if left, err := b.conn.List(ctx, label); len(left) > 0 || err != nil {
		t.Errorf("left: %v, %v", left, err)
	}
}

// get requests a path from an address in the container, as ADDRESS/PORT, and returns the
// body of the response or the message of bash, the only client in the image.
func (b *build) get(t *testing.T, address, path string) string {
	t.Helper()
	const script = `exec 3<>"/dev/tcp/$0" && printf 'GET %s HTTP/1.0\r\n\r\n' "$1" >&3 && cat <&3`
	made, err := b.conn.API.ContainerExecCreate(t.Context(), b.id, container.ExecOptions{
		Cmd: []string{"timeout", "20", "bash", "-c", script, address, path}, AttachStdout: true, AttachStderr: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	stream, err := b.conn.API.ContainerExecAttach(t.Context(), made.ID, container.ExecAttachOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	var out bytes.Buffer
	if _, err := stdcopy.StdCopy(&out, &out, stream.Reader); err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(out.String(), "\r\n\r\n")
	return cmp.Or(body, out.String())
}

// echo serves the path of each request.
func echo(l net.Listener) error {
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "served "+r.URL.Path)
	}))
}

func TestNetwork_ServiceIsReachable(t *testing.T) {
	t.Parallel()
	for _, metadata := range []bool{false, true} { // with it, only the service's address is the container's own
		t.Run(fmt.Sprintf("metadata_%v", metadata), func(t *testing.T) {
			b := start(t, engine.Network{
				Metadata: metadata, Services: []engine.Service{{Address: "169.254.170.2:80", Serve: echo}},
			})
			if got := b.get(t, "169.254.170.2/80", "/some/path"); got != "served /some/path" {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestNetwork_MetadataIsBlocked(t *testing.T) {
	t.Parallel()
	b := start(t, engine.Network{})
	if !b.Applied() {
		t.Log("the engine does not assign addresses, so a relay takes them")
	}
	for _, address := range engine.LinkLocalMetadata() {
		if got := b.get(t, address+"/80", "/"); !strings.Contains(got, "refused") {
			t.Errorf("%s: got %q, want a refused connection", address, got)
		}
	}
}

func TestNetwork_ListenInTheContainer(t *testing.T) {
	t.Parallel()
	b := start(t, engine.Network{})
	r, err := b.Listen(t.Context(), "port-8080", []string{"127.0.0.1:8080"})
	if err != nil {
		t.Fatal(err)
	}
	if r.Addresses[0] != "127.0.0.1:8080" {
		t.Errorf("it listens at %s", r.Addresses[0])
	}
	go func() { _ = echo(r.Listeners[0]) }()
	if got := b.get(t, "127.0.0.1/8080", "/x"); got != "served /x" {
		t.Errorf("got %q", got)
	}
	taken, err := b.Listen(t.Context(), "port-again", []string{"127.0.0.1:8080"})
	if err != nil {
		t.Fatal(err)
	}
	if taken.Addresses[0] == r.Addresses[0] {
		t.Error("two relays listen at the same address")
	}
}

func TestNetwork_NoRelayAfterSeal(t *testing.T) {
	t.Parallel()
	b := start(t, engine.Network{})
	b.Seal()
	if r, err := b.Listen(t.Context(), "late", []string{"127.0.0.1:8080"}); err == nil {
		t.Errorf("a relay was started: %+v", r)
	}
}

func TestImages_GetIsRepeatable(t *testing.T) {
	t.Parallel()
	e := connect(t)
	var names []string
	for range 2 {
		name, err := images(e).Get(t.Context(), t.Logf)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	if names[0] != names[1] {
		t.Errorf("the names are %v", names)
	}
	if _, err := e.API.ImageInspect(t.Context(), names[0]); err != nil {
		t.Error(err)
	}
}

func TestImages_ProgramIsRequired(t *testing.T) {
	t.Parallel()
	e := connect(t)
	if _, err := (&relay.Images{Conn: e}).Get(t.Context(), t.Logf); !errors.Is(err, engine.ErrUnsupported) {
		t.Errorf("no program: got %v, want ErrUnsupported", err)
	}
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	of := &relay.Images{Conn: e, Program: func(string) (string, error) { return script, nil }}
	if name, err := of.Get(t.Context(), t.Logf); err == nil {
		t.Errorf("a script became the image %s", name)
	}
}
