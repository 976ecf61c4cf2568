package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"syscall"

	"github.com/hashicorp/yamux"
)

// Conn is a stream of bytes in both directions. Close ends the output; reads continue until
// the other side closes its own.
type Conn interface {
	io.ReadWriteCloser
}

// Client is a connection to a server.
type Client struct{ session *yamux.Session }

// Dial connects to the server at path. Its calls end with the client.
func Dial(ctx context.Context, path string) (*Client, error) {
	conn, err := shortened(path, func(short string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", short)
	})
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, fmt.Errorf("%w: %w", ErrNoServer, err)
	}
	if err != nil {
		return nil, err
	}
	// A server that hangs must not keep the user from pressing Ctrl-C.
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	c, err := newClient(conn)
	if err != nil {
		conn.Close()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, fmt.Errorf("connect to the build: %w", err)
	}
	return c, nil
}

// newClient exchanges greetings.
func newClient(conn net.Conn) (*Client, error) {
	if err := writeLine(conn, greeting{Service: service, Version: protocol}); err != nil {
		return nil, err
	}
	var g greeting
	if err := readLine(singleBytes{conn}, &g); err != nil {
		return nil, fmt.Errorf("it does not answer: %w", err)
	}
	// The version first: another one may have other errors.
	if err := g.check("build"); err != nil {
		return nil, err
	}
	if g.Error != nil {
		return nil, g.Error
	}
	session, err := yamux.Client(conn, settings())
	if err != nil {
		return nil, err
	}
	return &Client{session: session}, nil
}

// Close disconnects, which ends the calls.
func (c *Client) Close() error { return c.session.Close() }

// Wait waits until the server disconnects the client, or ctx ends, and returns the reason.
func (c *Client) Wait(ctx context.Context) error {
	select {
	case <-c.session.CloseChan():
		return c.lost(io.EOF)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Call makes a call and waits for the answer, whose result it stores in a value that may be
// nil. The stream is for the bytes of the call; the caller closes it. The end of ctx
// interrupts the call only until it is answered, but Run has a context of its own.
func (c *Client) Call(ctx context.Context, method string, params, result any) (*Stream, error) {
	text, err := json.Marshal(params)
	if err != nil {
		return nil, err
	}
	opened, err := c.session.OpenStream()
	if err != nil {
		return nil, c.lost(err)
	}
	s := &Stream{channel: newChannel(opened), client: c}
	stop := context.AfterFunc(ctx, s.interrupt)
	var a answer
	if err = writeLine(s.channel, call{Method: method, Params: text}); err == nil {
		err = readLine(s.channel.reader, &a)
	}
	switch {
	case !stop(): // also if the answer came at the same moment
		err = context.Cause(ctx)
	case err != nil:
		err = c.lost(err)
	case a.Error != nil:
		err = a.Error.received()
	case result != nil:
		err = json.Unmarshal(a.Result, result)
	}
	if err != nil {
		return nil, errors.Join(err, opened.Close())
	}
	return s, nil
}

// Do makes a call that has no bytes of its own.
func (c *Client) Do(ctx context.Context, method string, params, result any) error {
	s, err := c.Call(ctx, method, params, result)
	if err != nil {
		return err
	}
	return s.Close()
}

// lost returns the error for a call that the end of the connection has interrupted.
func (c *Client) lost(err error) error {
	if c.session.IsClosed() || errors.Is(err, io.EOF) || errors.Is(err, yamux.ErrSessionShutdown) {
		return fmt.Errorf("%w: the connection to it was lost", ErrEnded)
	}
	return err
}

// Stream is the client's end of a call that was answered.
type Stream struct {
	*channel
	client *Client
}
