package control

import (
	"context"
	"errors"
	"io"

	wire "github.com/buildlocal/buildlocal/internal/control"
)

// Client makes the calls of a build. See Services for their meaning.
type Client struct {
	client *wire.Client
	server *wire.Server // of Connect, else nil
}

// ErrNoServer is wrapped by the error of Dial if no process listens at the path.
var ErrNoServer = wire.ErrNoServer

// Dial connects to the build that listens at path.
func Dial(ctx context.Context, path string) (*Client, error) {
	c, err := wire.Dial(ctx, path)
	if err != nil {
		return nil, err
	}
	return &Client{client: c}, nil
}

// Close disconnects.
func (c *Client) Close() error {
	err := c.client.Close()
	if c.server != nil {
		err = errors.Join(err, c.server.Close())
	}
	return err
}

// Wait waits until the build or ctx ends, and returns the reason.
func (c *Client) Wait(ctx context.Context) error { return c.client.Wait(ctx) }

// Status describes the build.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var s Status
	err := c.client.Do(ctx, methodStatus, nil, &s)
	return s, decoded(err)
}

// Attach runs the prompt on a terminal.
func (c *Client) Attach(ctx context.Context, t Terminal, watch, take bool) error {
	_, err := c.onTerminal(ctx, methodAttach, attachParams{t.params(), watch, take}, t)
	return err
}

// Resume ends a stop.
func (c *Client) Resume(ctx context.Context, answer string) error {
	return decoded(c.client.Do(ctx, methodResume, answer, nil))
}

// Shell runs a shell on a terminal.
func (c *Client) Shell(ctx context.Context, r ShellRequest, t Terminal) (exit int, err error) {
	return c.onTerminal(ctx, methodShell, shellParams{t.params(), r}, t)
}

// Exec runs a command, on a terminal if it is not nil, else with streams.
func (c *Client) Exec(ctx context.Context, r ExecRequest, s Streams, t *Terminal) (exit int, err error) {
	if t != nil {
		params := t.params()
		return c.onTerminal(ctx, methodExec, execParams{&params, r}, *t)
	}
	return c.run(ctx, methodExec, execParams{nil, r}, wire.Streams{Stdin: s.Stdin, Stdout: s.Stdout, Stderr: s.Stderr})
}

// CopyIn unpacks a tar stream in the build.
func (c *Client) CopyIn(ctx context.Context, dir string, tar io.Reader) error {
	_, err := c.run(ctx, methodCopyIn, dir, wire.Streams{Stdin: tar})
	return err
}

// CopyOut returns a file or directory of the build as a tar stream. A read returns an error if
// the stream is incomplete.
func (c *Client) CopyOut(ctx context.Context, path string) (io.ReadCloser, error) {
	stream, err := c.client.Call(ctx, methodCopyOut, path, nil)
	if err != nil {
		return nil, decoded(err)
	}
	r, w := io.Pipe()
	go func() {
		defer stream.Close()
		_, err := stream.Run(ctx, wire.Streams{Stdout: w})
		w.CloseWithError(decoded(err)) // of nil: the end
	}()
	return r, nil
}

// Dial connects to a TCP port of the build. Its Close ends the output.
func (c *Client) Dial(ctx context.Context, port int) (io.ReadWriteCloser, error) {
	stream, err := c.client.Call(ctx, methodDial, port, nil)
	if err != nil {
		return nil, decoded(err)
	}
	return stream, nil
}

// DAP connects to the debugger of the build for an editor.
func (c *Client) DAP(ctx context.Context) (io.ReadWriteCloser, error) {
	stream, err := c.client.Call(ctx, methodDAP, nil, nil)
	if err != nil {
		return nil, decoded(err)
	}
	return stream, nil
}

// Changes returns the changes of the build.
func (c *Client) Changes(ctx context.Context) (Changes, error) {
	var changes Changes
	err := c.client.Do(ctx, methodChanges, nil, &changes)
	return changes, decoded(err)
}

// Sync copies changed files of the source.
func (c *Client) Sync(ctx context.Context, r SyncRequest) (SyncReport, error) {
	var report SyncReport
	err := c.client.Do(ctx, methodSync, r, &report)
	return report, decoded(err)
}

// run makes a call that runs a process.
func (c *Client) run(ctx context.Context, method string, params any, streams wire.Streams) (int, error) {
	stream, err := c.client.Call(ctx, method, params, nil)
	if err != nil {
		return 0, decoded(err)
	}
	defer stream.Close()
	exit, err := stream.Run(ctx, streams)
	return exit, decoded(err)
}

// params returns the terminal for a call.
func (t Terminal) params() terminalParams {
	columns, rows := t.Size()
	return terminalParams{Size: wire.Size{Columns: columns, Rows: rows}, Env: t.Env, Name: t.Name}
}

// onTerminal makes a call that runs a process on a terminal.
func (c *Client) onTerminal(ctx context.Context, method string, params any, t Terminal) (int, error) {
	sizes := make(chan wire.Size)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		for {
			select {
			case <-t.Resized:
			case <-ctx.Done():
				return
			}
			columns, rows := t.Size()
			select {
			case sizes <- wire.Size{Columns: columns, Rows: rows}:
			case <-ctx.Done():
				return
			}
		}
	}()
	return c.run(ctx, method, params, wire.Streams{Stdin: t.In, Stdout: t.Out, Stderr: t.Out, Resized: sizes})
}
