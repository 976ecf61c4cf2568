package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/hashicorp/yamux"
)

// Handler serves the calls of one method. It answers with Accept; if it returns before that,
// its error, or a result of null, is the answer. An error after it only ends the stream.
type Handler func(ctx context.Context, c *Call) error

// Options configure a server.
type Options struct {
	Handlers map[string]Handler // by method
	// Allows decides which users may connect. Nil allows the user of this process, and root.
	Allows func(uid int) bool
}

// Server serves calls until it is closed.
type Server struct {
	options  Options
	path     string
	listener net.Listener    // nil for a Pair
	trusted  net.Conn        // from this process
	ctx      context.Context // of all calls
	end      context.CancelCauseFunc
	calls    tracker
	clients  sync.WaitGroup // connections, and the goroutine that accepts them

	mu    sync.Mutex
	conns map[net.Conn]bool // closed by Close
}

const (
	greetingTimeout = 20 * time.Second // of a client
	endTimeout      = 2 * time.Second  // for the last messages to clients
)

// Listen serves calls on a Unix socket at path, whose directory only this user may write to.
// A socket that a dead process left there is replaced.
func Listen(path string, o Options) (*Server, error) {
	l, err := listen(path)
	if err != nil {
		return nil, fmt.Errorf("listen for calls at %s: %w", path, err)
	}
	s := newServer(o)
	s.path, s.listener = path, l
	s.clients.Go(s.accept)
	return s, nil
}

// Pair returns a server and its only client, which are connected in this process. Both must be
// closed.
func Pair(o Options) (*Server, *Client, error) {
	s := newServer(o)
	near, far := net.Pipe()
	s.trusted = far
	s.clients.Go(func() { s.serve(far) })
	c, err := newClient(near)
	if err != nil {
		near.Close()
		return nil, nil, errors.Join(err, s.Close())
	}
	return s, c, nil
}

func newServer(o Options) *Server {
	s := &Server{options: o, conns: map[net.Conn]bool{}, calls: tracker{idle: make(chan struct{})}}
	s.ctx, s.end = context.WithCancelCause(context.Background())
	return s
}

// listen creates the socket. The peer's user is checked too: modes of sockets mean nothing on
// some systems.
func listen(path string) (net.Listener, error) {
	if !peersAreKnown {
		return nil, fmt.Errorf("not supported on %s: the user of a client cannot be checked", runtime.GOOS)
	}
	info, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o022 != 0 {
		return nil, errors.New("other users may write to the directory")
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := shortened(path, func(short string) (*net.UnixListener, error) {
		return net.ListenUnix("unix", &net.UnixAddr{Name: short, Net: "unix"})
	})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // it knows only the short path
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// accept serves each client.
func (s *Server) accept() {
	for {
		conn, err := s.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // such as too many open files
			select {
			case <-time.After(100 * time.Millisecond):
			case <-s.ctx.Done():
			}
			continue
		}
		s.clients.Go(func() { s.serve(conn) })
	}
}

// serve serves one client until it disconnects.
func (s *Server) serve(conn net.Conn) {
	defer conn.Close()
	if !s.add(conn) {
		return
	}
	defer s.remove(conn)
	if err := s.greet(conn); err != nil {
		return
	}
	session, err := yamux.Server(conn, settings())
	if err != nil {
		return
	}
	ctx, cancel := context.WithCancelCause(s.ctx)
	defer cancel(ErrClientGone)
	for {
		stream, err := session.AcceptStream()
		if err != nil {
			return
		}
		if !s.calls.begin() {
			_ = stream.Close()
			continue
		}
		go func() {
			defer s.calls.end()
			defer stream.Close()
			s.handle(ctx, newChannel(stream))
		}()
	}
}

// add remembers a connection, and reports false if the server has ended.
func (s *Server) add(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns == nil {
		return false
	}
	s.conns[conn] = true
	return true
}

func (s *Server) remove(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
}

// greet checks the client, and sends it an error.
func (s *Server) greet(conn net.Conn) error {
	late := time.AfterFunc(greetingTimeout, func() { conn.Close() })
	defer late.Stop()
	// The greeting is read from every client: with unread data, a closed socket loses the answer.
	var g greeting
	err := readLine(singleBytes{conn}, &g)
	if err == nil {
		err = s.checkPeer(conn)
	}
	if err == nil {
		err = g.check("client")
	}
	return errors.Join(err, writeLine(conn, greeting{Service: service, Version: protocol, Error: asError(err)}))
}

// checkPeer returns an error for a client of another user.
func (s *Server) checkPeer(conn net.Conn) error {
	if conn == s.trusted {
		return nil
	}
	uid, err := peerUser(conn)
	if err != nil {
		return fmt.Errorf("the user of the client is not known: %w", err)
	}
	allows := s.options.Allows
	if allows == nil {
		allows = func(uid int) bool { return uid == os.Getuid() || uid == 0 }
	}
	if !allows(uid) {
		return fmt.Errorf("the build belongs to another user than %d", uid)
	}
	return nil
}

// handle serves one call.
func (s *Server) handle(ctx context.Context, stream *channel) {
	// A client that says nothing must not keep the server from ending.
	defer context.AfterFunc(ctx, stream.interrupt)()
	var request call
	if err := readLine(stream.reader, &request); err != nil {
		_ = writeLine(stream, answer{Error: &Error{Message: "the call cannot be read: " + err.Error()}})
		return
	}
	c := &Call{params: request.Params, stream: stream}
	handler, known := s.options.Handlers[request.Method]
	if !known {
		_ = c.answer(nil, fmt.Errorf("unknown method %q", request.Method))
		return
	}
	if err := handler(ctx, c); !c.answered {
		_ = c.answer(nil, err)
	}
}

// Close ends all calls with ErrEnded, disconnects the clients, and removes the socket. It
// waits until all handlers have returned.
func (s *Server) Close() error {
	var err error
	if s.listener != nil {
		err = errors.Join(s.listener.Close(), os.Remove(s.path))
	}
	s.end(ErrEnded)
	idle := s.calls.close()
	select {
	case <-idle:
	case <-time.After(endTimeout): // a client is suspended, and its streams are full
	}
	s.mu.Lock()
	for conn := range s.conns {
		conn.Close()
	}
	s.conns = nil
	s.mu.Unlock()
	s.clients.Wait()
	<-idle
	return err
}

// Call is one call that a handler serves.
type Call struct {
	params   json.RawMessage
	stream   *channel
	answered bool
}

// Params stores the parameters in a value.
func (c *Call) Params(value any) error {
	if len(c.params) == 0 {
		return nil
	}
	if err := json.Unmarshal(c.params, value); err != nil {
		return fmt.Errorf("parameters: %w", err)
	}
	return nil
}

// Accept sends the result, and returns the stream for the bytes of the call. Its Close ends
// the output only.
func (c *Call) Accept(result any) (Conn, error) {
	return c.stream, c.answer(result, nil)
}

// answer sends the answer.
func (c *Call) answer(result any, fault error) error {
	c.answered = true
	text, err := json.Marshal(result)
	if err != nil {
		fault = errors.Join(fault, err)
	}
	return writeLine(c.stream, answer{Error: asError(fault), Result: text})
}

// tracker counts calls, and knows when the last one has ended.
type tracker struct {
	mu     sync.Mutex
	count  int
	closed bool
	idle   chan struct{} // closed when the tracker is, and no call is left
}

// begin counts a call, unless the tracker is closed.
func (t *tracker) begin() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	t.count++
	return true
}

func (t *tracker) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count--
	if t.closed && t.count == 0 {
		close(t.idle)
	}
}

func (t *tracker) close() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed && t.count == 0 {
		close(t.idle)
	}
	t.closed = true
	return t.idle
}
