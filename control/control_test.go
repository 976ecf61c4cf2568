package control_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/control"
)

// services is a build that copies bytes, and whose ports are those of this host.
func services() control.Services {
	return control.Services{
		Status: func() control.Status {
			return control.Status{Build: "12-1a2b3c4d", State: control.StateStopped, At: "build:2", Engine: "host",
				Since: time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)}
		},
		Resume: func(_ context.Context, answer string) error {
			if answer != control.AnswerRetry {
				return fmt.Errorf("resume: %w", control.Refusef("%s does not fit", answer))
			}
			return nil
		},
		Shell: func(ctx context.Context, r control.ShellRequest, t control.Terminal) (int, error) {
			columns, rows := t.Size()
			fmt.Fprintf(t.Out, "%s %s %dx%d %s\n", r.User, t.Name, columns, rows, strings.Join(t.ProgramEnv(), ","))
			select {
			case <-t.Resized:
			case <-ctx.Done():
				return 0, context.Cause(ctx)
			}
			columns, rows = t.Size()
			fmt.Fprintf(t.Out, "%dx%d\n", columns, rows)
			return 3, nil
		},
		Exec: func(_ context.Context, r control.ExecRequest, s control.Streams, t *control.Terminal) (int, error) {
			if t != nil {
				s.Stdin, s.Stdout, s.Stderr = t.In, t.Out, t.Out
			}
			_, err := io.Copy(s.Stdout, s.Stdin)
			fmt.Fprint(s.Stderr, r.Args, r.Env, r.NoEnv)
			return 7, err
		},
		CopyIn: func(_ context.Context, dir string, tar io.Reader) error {
			text, err := io.ReadAll(tar)
			if err != nil {
				return err
			}
			return fmt.Errorf("%s: %s", dir, text)
		},
		CopyOut: func(_ context.Context, path string) (io.ReadCloser, error) {
			if path == "/none" {
				return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
			}
			return io.NopCloser(io.MultiReader(strings.NewReader("half"), failing{errors.New("cut off")})), nil
		},
		Dial: func(ctx context.Context, port int) (io.ReadWriteCloser, error) {
			c, err := new(net.Dialer).DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil {
				return nil, control.Refusef("nothing answers at port %d", port)
			}
			context.AfterFunc(ctx, func() { c.Close() })
			return halfClosed{c.(*net.TCPConn)}, nil
		},
		Why: "it was started without --debug",
	}
}

type failing struct{ error }

func (f failing) Read([]byte) (int, error) { return 0, f.error }

type halfClosed struct{ *net.TCPConn }

func (h halfClosed) Close() error { return h.CloseWrite() }

// clients returns a client of a socket, and one in this process.
func clients(t *testing.T) map[string]*control.Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), control.SocketName)
	server, err := control.Listen(path, services())
	if err != nil {
		t.Fatal(err)
	}
	far, err := control.Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	near, err := control.Connect(services())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(far.Close(), near.Close(), server.Close()); err != nil {
			t.Error(err)
		}
	})
	return map[string]*control.Client{"socket": far, "here": near}
}

func TestClient_Calls(t *testing.T) {
	t.Parallel()
	for name, c := range clients(t) {
		t.Run(name, func(t *testing.T) {
			got, err := c.Status(t.Context())
			if err != nil || got.At != "build:2" || !got.Since.Equal(services().Status().Since) {
				t.Errorf("status: %+v, %v", got, err)
			}
			if err := c.Resume(t.Context(), control.AnswerRetry); err != nil {
				t.Error(err)
			}
			var refused control.Refusal
			err = c.Resume(t.Context(), control.AnswerSkip)
			if !errors.As(err, &refused) || refused.Message != "skip does not fit" {
				t.Errorf("resume: %v", err)
			}
			want := "sync does not work: it was started without --debug"
			if _, err := c.Sync(t.Context(), control.SyncRequest{}); !errors.As(err, &refused) || refused.Message != want {
				t.Errorf("sync: %v", err)
			}
		})
	}
}

func TestClient_Exec(t *testing.T) {
	t.Parallel()
	for name, c := range clients(t) {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			r := control.ExecRequest{Args: []string{"a b", "c"}, Env: []string{"N=1"}, NoEnv: true}
			streams := control.Streams{Stdin: strings.NewReader("in"), Stdout: &stdout, Stderr: &stderr}
			exit, err := c.Exec(t.Context(), r, streams, nil)
			if exit != 7 || err != nil || stdout.String() != "in" || stderr.String() != "[a b c] [N=1] true" {
				t.Errorf("got %d, %v, %q, %q", exit, err, &stdout, &stderr)
			}
		})
	}
}

func TestClient_ShellFollowsSize(t *testing.T) {
	t.Parallel()
	for name, c := range clients(t) {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			columns, resized := uint16(80), make(chan struct{}, 1)
			first := make(chan struct{})
			terminal := control.Terminal{
				In: failing{io.EOF}, Out: writerFunc(func(p []byte) (int, error) {
					if out.Len() == 0 {
						close(first)
					}
					return out.Write(p)
				}),
				Size: func() (uint16, uint16) { return columns, 24 }, Resized: resized, Name: "ann@pts/3",
				Env: []string{"TERM=xterm", "LANG=C", "LC_ALL=C"},
			}
			go func() {
				<-first
				columns = 132
				resized <- struct{}{}
			}()
			exit, err := c.Shell(t.Context(), control.ShellRequest{User: "app"}, terminal)
			if want := "app ann@pts/3 80x24 TERM=xterm\n132x24\n"; exit != 3 || err != nil || out.String() != want {
				t.Errorf("got %d, %v, %q; want %q", exit, err, &out, want)
			}
		})
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestClient_Copies(t *testing.T) {
	t.Parallel()
	for name, c := range clients(t) {
		t.Run(name, func(t *testing.T) {
			if err := c.CopyIn(t.Context(), "/dir", strings.NewReader("tar")); err == nil || err.Error() != "/dir: tar" {
				t.Errorf("copy in: %v", err)
			}
			broken := errors.New("broken")
			if err := c.CopyIn(t.Context(), "/dir", failing{broken}); !errors.Is(err, broken) {
				t.Errorf("copy in of a broken stream: %v", err)
			}
			if _, err := c.CopyOut(t.Context(), "/none"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("copy out of nothing: %v", err)
			}
			tar, err := c.CopyOut(t.Context(), "/dir")
			if err != nil {
				t.Fatal(err)
			}
			defer tar.Close()
			if got, err := io.ReadAll(tar); string(got) != "half" || err == nil || err.Error() != "cut off" {
				t.Errorf("a stream that breaks off: %q, %v", got, err)
			}
		})
	}
}

func TestClient_Dial(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			text, _ := io.ReadAll(conn) // ends with the half-close of the client
			fmt.Fprintf(conn, "%d bytes", len(text))
			conn.Close()
		}
	}()
	port := l.Addr().(*net.TCPAddr).Port
	for name, c := range clients(t) {
		conn, err := c.Dial(t.Context(), port)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(make([]byte, 1<<20)); err != nil {
			t.Error(err)
		}
		conn.Close()
		if got, err := io.ReadAll(conn); string(got) != "1048576 bytes" || err != nil {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	l.Close()
	var refused control.Refusal
	for name, c := range clients(t) {
		if _, err := c.Dial(t.Context(), port); !errors.As(err, &refused) {
			t.Errorf("%s: a port without a server: %v", name, err)
		}
	}
}
