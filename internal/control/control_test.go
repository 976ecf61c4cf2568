package control_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/internal/control"
)

// handlers serve processes of this machine, and some calls without bytes.
func handlers() map[string]control.Handler {
	return map[string]control.Handler{
		"echo": func(_ context.Context, c *control.Call) error {
			var text string
			if err := c.Params(&text); err != nil {
				return err
			}
			_, err := c.Accept(text)
			return err
		},
		"fail": func(context.Context, *control.Call) error {
			return fmt.Errorf("in a handler: %w", &control.Error{Code: "busy", Message: "someone else is at it"})
		},
		"wait": func(ctx context.Context, _ *control.Call) error {
			<-ctx.Done()
			return context.Cause(ctx)
		},
		"sh": func(ctx context.Context, c *control.Call) error {
			var script string
			if err := c.Params(&script); err != nil {
				return err
			}
			return c.Run(ctx, func(ctx context.Context, s control.Streams) (int, error) { return sh(ctx, script, s) })
		},
		"bytes": func(_ context.Context, c *control.Call) error {
			conn, err := c.Accept(nil)
			if err != nil {
				return err
			}
			_, err = io.Copy(conn, conn)
			return err
		},
	}
}

// sh runs a script until ctx ends.
func sh(ctx context.Context, script string, s control.Streams) (int, error) {
	c := exec.CommandContext(ctx, "sh", "-c", script)
	c.Stdout, c.Stderr = s.Stdout, s.Stderr
	stdin, err := c.StdinPipe() // with Stdin, Wait waits for the input to end
	if err != nil {
		return 0, err
	}
	go func() {
		_, _ = io.Copy(stdin, s.Stdin)
		stdin.Close()
	}()
	err = c.Run()
	var failed *exec.ExitError
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	if errors.As(err, &failed) {
		return failed.ExitCode(), nil
	}
	return 0, err
}

// serve starts a server, which is closed at the end of the test, and returns its path.
func serve(t testing.TB, o control.Options) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "control.sock")
	if o.Handlers == nil {
		o.Handlers = handlers()
	}
	s, err := control.Listen(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket remains: %v", err)
		}
	})
	return path
}

func dial(t testing.TB, path string) *control.Client {
	t.Helper()
	c, err := control.Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// run runs a script through a client.
func run(t testing.TB, c *control.Client, script string, streams control.Streams) (int, error) {
	t.Helper()
	s, err := c.Call(t.Context(), "sh", script, nil)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	return s.Run(t.Context(), streams)
}

func TestCall_Answers(t *testing.T) {
	t.Parallel()
	c := dial(t, serve(t, control.Options{}))
	var got string
	if err := c.Do(t.Context(), "echo", "line\nof text", &got); err != nil || got != "line\nof text" {
		t.Errorf("got %q, %v", got, err)
	}
	var coded *control.Error
	if err := c.Do(t.Context(), "fail", nil, nil); !errors.As(err, &coded) || coded.Code != "busy" ||
		coded.Message != "someone else is at it" {
		t.Errorf("a failed call: %v", err)
	}
	if err := c.Do(t.Context(), "echo", 5, nil); err == nil || !strings.Contains(err.Error(), "parameters") {
		t.Errorf("wrong parameters: %v", err)
	}
	if err := c.Do(t.Context(), "missing", nil, nil); err == nil || err.Error() != `unknown method "missing"` {
		t.Errorf("an unknown method: %v", err)
	}
}

func TestRun_StreamsAndStatus(t *testing.T) {
	t.Parallel()
	c := dial(t, serve(t, control.Options{}))
	var stdout, stderr bytes.Buffer
	exit, err := run(t, c, "cat; echo e >&2; exit 7",
		control.Streams{Stdin: strings.NewReader("in"), Stdout: &stdout, Stderr: &stderr})
	if exit != 7 || err != nil || stdout.String() != "in" || stderr.String() != "e\n" {
		t.Errorf("got %d, %v, %q, %q", exit, err, &stdout, &stderr)
	}
	if exit, err := run(t, c, "exec 0<&-; exit 3", control.Streams{Stdin: endless{}}); exit != 3 || err != nil {
		t.Errorf("a process that does not read: %d, %v", exit, err)
	}
}

// endless is an input that never ends.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestRun_LargeInputIsEqual(t *testing.T) {
	t.Parallel()
	path := serve(t, control.Options{})
	var group sync.WaitGroup
	for seed := range uint64(2) { // two clients at once
		group.Go(func() {
			want := make([]byte, 10<<20)
			for i, r := 0, rand.New(rand.NewPCG(seed, 1)); i < len(want); i++ {
				want[i] = byte(r.Uint32())
			}
			got := sha256.New()
			exit, err := run(t, dial(t, path), "cat", control.Streams{Stdin: bytes.NewReader(want), Stdout: got})
			if sum := sha256.Sum256(want); exit != 0 || err != nil || !bytes.Equal(got.Sum(nil), sum[:]) {
				t.Errorf("client %d: exit %d, %v, other bytes", seed, exit, err)
			}
		})
	}
	group.Wait()
}

func TestRun_InputErrorIsNoEnd(t *testing.T) {
	t.Parallel()
	seen := make(chan error, 1)
	path := serve(t, control.Options{Handlers: map[string]control.Handler{
		"read": func(ctx context.Context, c *control.Call) error {
			return c.Run(ctx, func(_ context.Context, s control.Streams) (int, error) {
				_, err := io.Copy(io.Discard, s.Stdin)
				seen <- err
				return 0, err
			})
		},
	}})
	s, err := dial(t, path).Call(t.Context(), "read", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("the disk is broken")
	_, err = s.Run(t.Context(), control.Streams{Stdin: io.MultiReader(strings.NewReader("half"), failing{broken})})
	s.Close()
	if !errors.Is(err, broken) {
		t.Errorf("client: %v", err)
	}
	if err := <-seen; err == nil {
		t.Error("the process has seen a complete input")
	}
}

type failing struct{ error }

func (f failing) Read([]byte) (int, error) { return 0, f.error }

func TestRun_Resize(t *testing.T) {
	t.Parallel()
	seen := make(chan control.Size, 1)
	path := serve(t, control.Options{Handlers: map[string]control.Handler{
		"tty": func(ctx context.Context, c *control.Call) error {
			// The input is never read: a new size must not wait for it.
			return c.Run(ctx, func(ctx context.Context, s control.Streams) (int, error) {
				select {
				case size := <-s.Resized:
					seen <- size
				case <-ctx.Done():
				}
				return 0, context.Cause(ctx)
			})
		},
	}})
	s, err := dial(t, path).Call(t.Context(), "tty", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	sizes := make(chan control.Size)
	typed := &counting{}
	go func() {
		for typed.count() < 1<<18 { // all that the client may send
			runtime.Gosched()
		}
		sizes <- control.Size{Columns: 132, Rows: 50}
	}()
	if _, err := s.Run(t.Context(), control.Streams{Stdin: typed, Resized: sizes}); err != nil {
		t.Error(err)
	}
	if got := <-seen; got != (control.Size{Columns: 132, Rows: 50}) {
		t.Errorf("got %v", got)
	}
}

// counting is an endless input that counts its bytes.
type counting struct {
	mu sync.Mutex
	n  int
}

func (c *counting) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n += len(p)
	return len(p), nil
}

func (c *counting) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

func TestCall_BytesHalfClose(t *testing.T) {
	t.Parallel()
	c := dial(t, serve(t, control.Options{}))
	s, err := c.Call(t.Context(), "bytes", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := bytes.Repeat([]byte("0123456789"), 300_000)
	go func() {
		_, _ = s.Write(want)
		s.Close()
	}()
	if got, err := io.ReadAll(s); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
}

// TestClient_Killed kills a client, a process of its own, while its command runs.
func TestClient_Killed(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	path := serve(t, control.Options{Handlers: map[string]control.Handler{
		"sh": func(ctx context.Context, c *control.Call) error {
			return c.Run(ctx, func(ctx context.Context, s control.Streams) (int, error) {
				fmt.Fprintln(s.Stdout, "running")
				<-ctx.Done()
				ended <- context.Cause(ctx)
				return 0, context.Cause(ctx)
			})
		},
	}})
	child, output := startClient(t, path, nil)
	if _, err := io.ReadFull(output, make([]byte, len("running\n"))); err != nil {
		t.Fatal(err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	if err := <-ended; !errors.Is(err, control.ErrClientGone) {
		t.Errorf("the context ended with %v", err)
	}
}

// clientVariable turns TestClient_Process into a client of the socket that it names.
const clientVariable = "BUILDLOCAL_TEST_CONTROL_SOCKET"

// TestClient_Process is the process that startClient starts.
func TestClient_Process(t *testing.T) {
	path := os.Getenv(clientVariable)
	if path == "" {
		return
	}
	c, err := control.Dial(t.Context(), path)
	if err != nil {
		fmt.Println("refused:", err)
		os.Exit(9)
	}
	exit, err := run(t, c, "echo running", control.Streams{Stdout: os.Stdout})
	fmt.Println("ended:", exit, err)
	os.Exit(0)
}

// startClient starts a process that connects to a socket.
func startClient(t *testing.T, path string, configure func(*exec.Cmd)) (*exec.Cmd, io.Reader) {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestClient_Process$")
	child.Env = append(os.Environ(), clientVariable+"="+path)
	if configure != nil {
		configure(child)
	}
	output, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	return child, output
}

func TestServer_EndTellsClients(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "control.sock")
	s, err := control.Listen(path, control.Options{Handlers: handlers()})
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, path)
	started, writer := io.Pipe()
	results := make(chan error, 2)
	go func() {
		_, err := run(t, c, "echo started; exec sleep 1000", control.Streams{Stdout: writer})
		results <- err
	}()
	if _, err := io.ReadFull(started, make([]byte, len("started"))); err != nil {
		t.Fatal(err)
	}
	go io.Copy(io.Discard, started)
	go func() { results <- c.Do(t.Context(), "wait", nil, nil) }()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := <-results; !errors.Is(err, control.ErrEnded) {
			t.Errorf("got %v", err)
		}
	}
	if _, err := control.Dial(t.Context(), path); !errors.Is(err, control.ErrNoServer) {
		t.Errorf("a client of a server that has ended: %v", err)
	}
}

// TestServer_EndsDespiteStalledClient closes a server whose client reads no output.
func TestServer_EndsDespiteStalledClient(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "control.sock")
	s, err := control.Listen(path, control.Options{Handlers: handlers()})
	if err != nil {
		t.Fatal(err)
	}
	stalled, writer := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		_, err := run(t, dial(t, path), "exec cat /dev/zero", control.Streams{Stdout: writer})
		ended <- err
	}()
	if _, err := stalled.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	stalled.CloseWithError(errors.New("enough"))
	<-ended
}

func TestCall_ContextEnds(t *testing.T) {
	t.Parallel()
	c := dial(t, serve(t, control.Options{}))
	stop := errors.New("stopped by the user")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(10*time.Millisecond, func() { cancel(stop) })
	if err := c.Do(ctx, "wait", nil, nil); !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
}

func TestListen_LongPath(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), strings.Repeat("a", 200))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "control.sock")
	s, err := control.Listen(path, control.Options{Handlers: handlers()})
	if runtime.GOOS != "linux" {
		if err == nil || !strings.Contains(err.Error(), "Set TMPDIR") {
			t.Errorf("got %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("got %v, %v", info, err)
	}
	if err := dial(t, path).Do(t.Context(), "echo", "", nil); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestListen_Refusals(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := control.Listen(filepath.Join(dir, "s"), control.Options{}); err == nil ||
		!strings.Contains(err.Error(), "other users may write") {
		t.Errorf("a directory of everyone: %v", err)
	}
	if _, err := control.Listen(filepath.Join(dir, "none", "s"), control.Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
}

func TestGreeting_Refusals(t *testing.T) {
	t.Parallel()
	path := serve(t, control.Options{})
	for sent, want := range map[string]string{
		`{"service":"buildlocal-control","version":0}`: "the client is an older version of buildlocal",
		`{"service":"buildlocal-control","version":9}`: "the client is a newer version of buildlocal",
		`{"jsonrpc":"2.0"}`:                            "the client does not speak the protocol",
		`GET / HTTP/1.1`:                               "invalid character",
	} {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, sent+"\n"); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(conn); err != nil || !strings.Contains(string(got), want) {
			t.Errorf("%s: got %s, %v", sent, got, err)
		}
		conn.Close()
	}
}

func TestDial_OtherServer(t *testing.T) {
	t.Parallel()
	for sent, want := range map[string]string{
		`{"service":"buildlocal-control","version":9}`: "the build is a newer version of buildlocal (protocol 9, expected 1)",
		`hello`: "invalid character",
		``:      "it does not answer",
	} {
		path := filepath.Join(t.TempDir(), "s")
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			if conn, err := l.Accept(); err == nil {
				_, _ = conn.Read(make([]byte, 1000))
				_, _ = io.WriteString(conn, sent+"\n")
				conn.Close()
			}
		}()
		if sent == "" {
			l.Close()
			want = control.ErrNoServer.Error()
		}
		if _, err := control.Dial(t.Context(), path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", sent, err)
		}
		l.Close()
	}
}

// FuzzServer sends garbage as a greeting, as frames of the connection, as a call and as
// the frames of a process. The server must still serve the next client.
func FuzzServer(f *testing.F) {
	hello := `{"service":"buildlocal-control","version":1}` + "\n"
	f.Add([]byte("garbage"), []byte(`{"method":"sh","params":"cat"}`+"\n\x01\x00\x00\x00\x01x"))
	f.Add([]byte(hello+"\x00\x01\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00"), []byte("\xff\xff"))
	f.Add([]byte(hello+"\x00\x00\x00\x04\x00\x00\x00\x01\xff\xff\xff\xff"), []byte(`{"method":"bytes"}`+"\nx"))
	f.Add([]byte{}, []byte(`{"method":"sh","params":"cat"}`+
		"\n\x03\x00\x00\x00\x02{}\x02\x00\x00\x00\x00\x02\x00\x00\x00\x00"))
	options := control.Options{Handlers: handlers()}
	options.Handlers["sh"] = func(ctx context.Context, c *control.Call) error {
		return c.Run(ctx, func(_ context.Context, s control.Streams) (int, error) {
			_, err := io.Copy(s.Stdout, s.Stdin)
			return 0, err
		})
	}
	path := serve(f, options)
	f.Fuzz(func(t *testing.T, connection, call []byte) {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write(connection) // the server may have refused it already
		conn.Close()
		c := dial(t, path)
		if err := control.SendRaw(c, call); err != nil {
			t.Fatal(err)
		}
		if err := c.Do(t.Context(), "echo", "still there", nil); err != nil {
			t.Fatal(err)
		}
		c.Close()
	})
}
