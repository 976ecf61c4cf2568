package control

import (
	"context"
	"io"
	"sync"
	"sync/atomic"

	wire "github.com/buildlocal/buildlocal/internal/control"
)

// Listen serves the calls of a build on a socket at path until it is closed. Close interrupts
// calls, and returns after them.
func Listen(path string, s Services) (io.Closer, error) {
	return wire.Listen(path, wire.Options{Handlers: handlers(s)})
}

// Connect returns a client of services in this process, which must be closed.
func Connect(s Services) (*Client, error) {
	server, client, err := wire.Pair(wire.Options{Handlers: handlers(s)})
	if err != nil {
		return nil, err
	}
	return &Client{client: client, server: server}, nil
}

// service serves one method. Its error gets a code for the client.
type service func(ctx context.Context, c *wire.Call) error

// handlers returns the handlers of all methods.
func handlers(s Services) map[string]wire.Handler {
	s = s.complete()
	all := map[string]wire.Handler{}
	for method, serve := range map[string]service{
		methodStatus: s.serveStatus, methodAttach: s.serveAttach, methodResume: s.serveResume,
		methodShell: s.serveShell, methodExec: s.serveExec, methodCopyIn: s.serveCopyIn,
		methodCopyOut: s.serveCopyOut, methodDial: s.serveDial, methodSync: s.serveSync,
		methodChanges: s.serveChanges,
		methodDAP:     s.serveDAP,
	} {
		all[method] = func(ctx context.Context, c *wire.Call) error { return coded(serve(ctx, c)) }
	}
	return all
}

func (s Services) serveStatus(_ context.Context, c *wire.Call) error {
	_, err := c.Accept(s.Status())
	return err
}

func (s Services) serveAttach(ctx context.Context, c *wire.Call) error {
	var p attachParams
	if err := c.Params(&p); err != nil {
		return err
	}
	return onTerminal(ctx, c, p.Terminal, func(ctx context.Context, t Terminal) (int, error) {
		return 0, s.Attach(ctx, t, p.Watch, p.Take)
	})
}

func (s Services) serveResume(ctx context.Context, c *wire.Call) error {
	var answer string
	if err := c.Params(&answer); err != nil {
		return err
	}
	return s.Resume(ctx, answer)
}

func (s Services) serveShell(ctx context.Context, c *wire.Call) error {
	var p shellParams
	if err := c.Params(&p); err != nil {
		return err
	}
	return onTerminal(ctx, c, p.Terminal, func(ctx context.Context, t Terminal) (int, error) {
		return s.Shell(ctx, p.Request, t)
	})
}

func (s Services) serveExec(ctx context.Context, c *wire.Call) error {
	var p execParams
	if err := c.Params(&p); err != nil {
		return err
	}
	if p.Terminal != nil {
		return onTerminal(ctx, c, *p.Terminal, func(ctx context.Context, t Terminal) (int, error) {
			return s.Exec(ctx, p.Request, Streams{}, &t)
		})
	}
	return process(ctx, c, func(ctx context.Context, streams wire.Streams) (int, error) {
		return s.Exec(ctx, p.Request, Streams{streams.Stdin, streams.Stdout, streams.Stderr}, nil)
	})
}

func (s Services) serveCopyIn(ctx context.Context, c *wire.Call) error {
	var dir string
	if err := c.Params(&dir); err != nil {
		return err
	}
	return process(ctx, c, func(ctx context.Context, streams wire.Streams) (int, error) {
		return 0, s.CopyIn(ctx, dir, streams.Stdin)
	})
}

func (s Services) serveCopyOut(ctx context.Context, c *wire.Call) error {
	var path string
	if err := c.Params(&path); err != nil {
		return err
	}
	tar, err := s.CopyOut(ctx, path) // before the call is accepted, so that its error is the answer
	if err != nil {
		return err
	}
	defer tar.Close()
	return process(ctx, c, func(_ context.Context, streams wire.Streams) (int, error) {
		_, err := io.Copy(streams.Stdout, tar)
		return 0, err
	})
}

func (s Services) serveDial(ctx context.Context, c *wire.Call) error {
	var port int
	if err := c.Params(&port); err != nil {
		return err
	}
	to, err := s.Dial(ctx, port)
	if err != nil {
		return err
	}
	from, err := c.Accept(nil)
	if err != nil {
		return err
	}
	var both sync.WaitGroup
	both.Go(func() {
		_, _ = io.Copy(to, from)
		_ = to.Close()
	})
	_, err = io.Copy(from, to)
	_ = from.Close()
	both.Wait()
	return err
}

// serveDAP serves an editor. Without a debugger the refusal is the answer.
func (s Services) serveDAP(ctx context.Context, c *wire.Call) error {
	if s.noDAP {
		return s.DAP(ctx, nil)
	}
	conn, err := c.Accept(nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	return s.DAP(ctx, conn)
}

func (s Services) serveSync(ctx context.Context, c *wire.Call) error {
	var r SyncRequest
	if err := c.Params(&r); err != nil {
		return err
	}
	report, err := s.Sync(ctx, r)
	if err != nil {
		return err
	}
	_, err = c.Accept(report)
	return err
}

func (s Services) serveChanges(ctx context.Context, c *wire.Call) error {
	changes, err := s.Changes(ctx)
	if err != nil {
		return err
	}
	_, err = c.Accept(changes)
	return err
}

// process runs a process whose error gets a code.
func process(ctx context.Context, c *wire.Call, run func(context.Context, wire.Streams) (int, error)) error {
	return c.Run(ctx, func(ctx context.Context, streams wire.Streams) (int, error) {
		exit, err := run(ctx, streams)
		return exit, coded(err)
	})
}

// onTerminal runs a process on the terminal of the client.
func onTerminal(
	ctx context.Context, c *wire.Call, p terminalParams, run func(context.Context, Terminal) (int, error),
) error {
	return process(ctx, c, func(ctx context.Context, streams wire.Streams) (int, error) {
		size := atomic.Pointer[wire.Size]{}
		size.Store(&p.Size)
		resized := make(chan struct{}, 1)
		ctx, cancel := context.WithCancel(ctx)
		var follower sync.WaitGroup
		follower.Go(func() { followSize(ctx, streams.Resized, &size, resized) })
		defer follower.Wait()
		defer cancel()
		return run(ctx, Terminal{
			In: streams.Stdin, Out: streams.Stdout, Resized: resized, Env: p.Env, Name: p.Name,
			Size: func() (uint16, uint16) { s := size.Load(); return s.Columns, s.Rows },
		})
	})
}

// followSize stores each new size, and reports it.
func followSize(ctx context.Context, sizes <-chan wire.Size, last *atomic.Pointer[wire.Size], resized chan<- struct{}) {
	for {
		select {
		case size := <-sizes:
			last.Store(&size)
			select {
			case resized <- struct{}{}:
			default: // the last change was not noticed yet
			}
		case <-ctx.Done():
			return
		}
	}
}
