package docker_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/docker"
)

// allocate is a command that needs far more memory than memoryLimit, in bytes.
const (
	allocate    = "dd if=/dev/zero of=/dev/null bs=300M count=1"
	memoryLimit = 48 << 20
)

// limited starts a container with little memory whose first process runs a script. It returns
// its output, and the exit status when it ends.
func limited(t *testing.T, e *docker.Engine, script string) (*docker.Container, *watched, <-chan int) {
	t.Helper()
	spec, output, exited := newSpec(t), &watched{}, make(chan int, 1)
	stdin, hold := io.Pipe() // the shell reads from it until the end of the test
	t.Cleanup(func() { hold.Close() })
	spec.Resources.Limits.Memory = memoryLimit
	spec.Main = &engine.Process{Args: []string{"sh", "-c", script}, Stdin: stdin, Stdout: output, Stderr: io.Discard}
	spec.Hooks.OnExit = func(exit int, _ error) { exited <- exit }
	return start(t, e, spec), output, exited
}

// watched collects output and can be searched while it is written.
type watched struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements io.Writer.
func (b *watched) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// has reports whether the output has a text.
func (b *watched) has(text string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Contains(b.text.String(), text)
}

// await waits until the output has a text.
func (b *watched) await(t *testing.T, text string) {
	t.Helper()
	for t.Context().Err() == nil {
		if b.has(text) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("no %q in the output", text)
}

func TestWhyEnded_OutOfMemory(t *testing.T) {
	t.Parallel()
	c, _, exited := limited(t, connect(t), "exec "+allocate)
	if exit := <-exited; exit == 0 {
		t.Skip("the engine does not limit memory here")
	}
	wantFault(t, c.WhyEnded(t.Context()), engine.Died, "out of memory: the container reached its limit of 48MiB")
}

func TestWhyEnded_KilledAfterOOM(t *testing.T) {
	t.Parallel()
	e := connect(t)
	c, output, exited := limited(t, e, allocate+"; echo exit $?; read x")
	if output.await(t, "exit "); !output.has("exit 137") {
		t.Skip("the engine does not limit memory here")
	}
	if err := c.WhyEnded(t.Context()); err != nil {
		t.Errorf("of a container that runs: %v", err)
	}
	api := daemon(t, e)
	if err := api.ContainerKill(t.Context(), c.ID(), "KILL"); err != nil {
		t.Fatal(err)
	}
	<-exited
	state, err := api.ContainerInspect(t.Context(), c.ID())
	if err != nil {
		t.Fatal(err)
	}
	if !state.State.OOMKilled {
		t.Log("this engine sets the flag only for the first process")
	}
	wantFault(t, c.WhyEnded(t.Context()), engine.Died, "killed by another program")
}

func TestCopyOut_RemovedContainer(t *testing.T) {
	t.Parallel()
	e := connect(t)
	c := start(t, e, newSpec(t))
	if err := daemon(t, e).ContainerRemove(t.Context(), c.ID(), container.RemoveOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
	_, err := c.CopyOut(t.Context(), "/bin")
	wantFault(t, err, engine.Died, "removed by another program")
	if errors.Is(err, fs.ErrNotExist) {
		t.Error("it counts as a missing file, which would be the fault of the buildspec")
	}
}

// TestWhyEnded_EngineStopsAnswering has a socket between the driver and a real engine. For a while
// it accepts connections and passes nothing on, as a daemon that hangs.
func TestWhyEnded_EngineStopsAnswering(t *testing.T) {
	t.Parallel()
	real, path := socket(t, connect(t)), filepath.Join(shortDir(t), "docker.sock")
	var gate sync.RWMutex // locked while the engine hangs
	forwardThrough(t, &gate, listen(t, "unix", path), real)
	c := start(t, connectTo(t, docker.Options{Host: "unix://" + path}), newSpec(t))
	gate.Lock()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	err := c.WhyEnded(ctx)
	gate.Unlock()
	wantFault(t, err, engine.NoEngine, "Docker stopped answering at unix://"+path)
}

// forwardThrough connects each caller of l to a socket, as long as the gate is open.
func forwardThrough(t *testing.T, gate *sync.RWMutex, l net.Listener, socket string) {
	t.Helper()
	join := func(caller net.Conn) {
		defer caller.Close()
		conn, err := net.Dial("unix", socket)
		if err != nil {
			return
		}
		defer conn.Close()
		go func() {
			_, _ = io.Copy(gated{conn, gate}, caller)
			_ = conn.(halfConn).CloseWrite()
		}()
		_, _ = io.Copy(gated{caller, gate}, conn)
	}
	go func() {
		for {
			caller, err := l.Accept()
			if err != nil {
				return
			}
			go join(caller)
		}
	}()
}

// gated is a writer that waits while the gate is locked.
type gated struct {
	io.Writer
	gate *sync.RWMutex
}

// Write implements io.Writer.
func (g gated) Write(p []byte) (int, error) {
	g.gate.RLock()
	defer g.gate.RUnlock()
	return g.Writer.Write(p)
}
