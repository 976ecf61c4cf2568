package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path"
	"strconv"
	"strings"

	"github.com/buildlocal/buildlocal/control"
	"github.com/buildlocal/buildlocal/internal/relay"
	"github.com/buildlocal/buildlocal/internal/treecopy"
	"github.com/buildlocal/buildlocal/runner"
)

// dial connects to a port of the build. In a container with a network of its own, a copy of this
// program connects there, because a server may listen at 127.0.0.1 only.
func (e *environment) dial(ctx context.Context, port int) (io.ReadWriteCloser, error) {
	if e.hostNetwork {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort("localhost", strconv.Itoa(port)))
		if err != nil {
			return nil, control.Refusef("nothing in the build answers at port %d", port)
		}
		stop := context.AfterFunc(ctx, func() { c.Close() })
		return halfClosed{c.(*net.TCPConn), stop}, nil
	}
	if err := e.installConnector(ctx); err != nil {
		return nil, e.ended(ctx, err)
	}
	return e.connect(ctx, port)
}

// halfClosed is a connection whose Close ends the output only. The end of its context ends it.
type halfClosed struct {
	*net.TCPConn
	stop func() bool
}

// Close ends the output.
func (c halfClosed) Close() error { return c.CloseWrite() }

// connectorPath is the path of this program in a container. Its name makes it a relay.
const connectorPath = "/codebuild/" + relay.Name

// installConnector copies this program into the container, once.
func (e *environment) installConnector(ctx context.Context) error {
	e.connector.Lock()
	defer e.connector.Unlock()
	if e.installed {
		return nil
	}
	_, architecture, _ := strings.Cut(e.platform, "/")
	architecture, _, _ = strings.Cut(architecture, "/")
	program, err := e.host.openProgram(architecture)
	if err != nil {
		return err
	}
	defer program.Close()
	info, err := program.Stat()
	if err != nil {
		return err
	}
	const executable = 0o755
	files := treecopy.Stream(treecopy.File{
		Name: path.Base(connectorPath), Mode: executable, Size: info.Size(), Content: program,
	})
	defer files.Close()
	err = e.live.CopyIn(ctx, path.Dir(connectorPath), files)
	e.installed = err == nil
	return err
}

// connect starts the program that connects to a port, and returns its streams.
func (e *environment) connect(ctx context.Context, port int) (io.ReadWriteCloser, error) {
	ctx, cancel := context.WithCancel(ctx)
	stdin, input := io.Pipe()
	output, stdout := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		defer cancel()
		defer stdin.Close()
		var complaint bytes.Buffer
		p := runner.LiveProcess{NoEnv: true}
		p.Args, p.User = []string{connectorPath, relay.ConnectWord, strconv.Itoa(port)}, "0"
		p.Stdin, p.Stdout, p.Stderr = stdin, stdout, &complaint
		exit, err := e.live.Exec(ctx, p)
		if err == nil && exit != 0 {
			err = control.Refusef("nothing in the build answers at port %d", port)
			if exit != relay.NoAnswer {
				err = fmt.Errorf("connect to port %d: exit status %d: %s", port, exit, strings.TrimSpace(complaint.String()))
			}
		}
		ended <- err
		stdout.CloseWithError(err)
	}()
	// The program sends a byte when it is connected.
	if _, err := io.ReadFull(output, make([]byte, 1)); err != nil {
		cancel()
		if failed := <-ended; failed != nil {
			err = failed
		}
		return nil, e.ended(ctx, err)
	}
	return &connection{output, input}, nil
}

// connection is the connection of a process in the build.
type connection struct {
	io.Reader
	input *io.PipeWriter
}

// Write sends bytes. A connection that was closed on the other side takes no more.
func (c *connection) Write(p []byte) (int, error) {
	n, err := c.input.Write(p)
	if errors.Is(err, io.ErrClosedPipe) {
		err = net.ErrClosed
	}
	return n, err
}

// Close ends the output.
func (c *connection) Close() error { return c.input.Close() }
