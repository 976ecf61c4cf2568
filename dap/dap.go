// Package dap lets editors debug a build, by the Debug Adapter Protocol.
//
// A session is a front end of package debugger: it keeps no state of the build, so a prompt on a
// terminal and several editors can debug the same one. Serve runs a session on a connection. The
// build is started in this process (launch), or the connection is passed on to the process of a build
// that runs (attach), which runs the session there.
//
// The protocol's types are those of google/go-dap. Its names for parts of a program mean: the thread
// is the build, a frame is a command, its phase or the build, an exception is a failed command.
package dap

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/buildlocal/buildlocal/debugger"
	"github.com/buildlocal/buildlocal/runner"
)

// Options connect a session with the program.
type Options struct {
	// Launch prepares a build from the arguments of a launch request. Everything that is wrong is
	// reported in the error. Lines for the user, such as warnings, are written to messages. The build
	// can use ctx until it has ended.
	Launch func(ctx context.Context, arguments map[string]json.RawMessage, messages io.Writer) (*Build, error)
	// Attach connects to the session of another process, in which a build runs.
	Attach func(ctx context.Context, build string) (Attached, error)
	// Outline returns a plan with the commands of a buildspec, for breakpoints that are set before the
	// build is launched.
	Outline func(ctx context.Context, file string) (*runner.Plan, error)
	// Build is the build of this process to which the client attaches; nil if Launch and Attach are set.
	Build *Build
	// Shell returns the command that opens a shell in a build.
	Shell func(build string) []string
}

// Attached is the connection to a session of another process.
type Attached struct {
	io.ReadWriteCloser
	// Ended returns the exit code of the build after the connection has ended.
	Ended func(ctx context.Context) int
}

// Build is a build that can be debugged.
type Build struct {
	*debugger.Debugger
	Source Source
	Hub    *Hub
	// View returns a sink that writes the build as text, in colors if the client shows them.
	View func(w io.Writer, color bool) Viewer
	// Run runs the build and returns its exit code. It is nil for a build that runs already.
	Run func(ctx context.Context) int
	// Stop stops the build.
	Stop func()
	// Close releases a build, whether it was run or not. It may be called twice, and may be nil.
	Close func()
	// ExitCode returns the exit code of a status.
	ExitCode func(runner.Status) int
}

// Viewer shows events.
type Viewer interface {
	Notify(runner.Event)
}

// Source is the buildspec of a build.
type Source struct {
	Name string // as the user spells it
	Path string // absolute; "" for a buildspec that is not a file
	Text string // of a buildspec that is not a file
}

// Hub passes the events of a build to the sessions that show it. The zero value is ready to use.
type Hub struct {
	mu      sync.Mutex
	members map[*member]bool
}

// member is a session that gets events.
type member struct {
	events chan runner.Event
	gone   chan struct{} // closed when the session gets no more events
	once   sync.Once
}

// Limits of a client that does not read: after maxUnread events it delays the build, but not longer
// than maxStall.
const (
	maxUnread = 512
	maxStall  = 10 * time.Second
)

// Notify passes an event on.
func (h *Hub) Notify(e runner.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for m := range h.members {
		select {
		case m.events <- e:
			continue
		case <-m.gone:
			continue
		default:
		}
		timer := time.NewTimer(maxStall)
		select {
		case m.events <- e:
		case <-m.gone:
		case <-timer.C:
			m.leave()
			delete(h.members, m)
		}
		timer.Stop()
	}
}

// Err returns nil: a client that has gone does not stop the build.
func (h *Hub) Err() error { return nil }

// join adds a session.
func (h *Hub) join() *member {
	m := &member{events: make(chan runner.Event, maxUnread), gone: make(chan struct{})}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.members == nil {
		h.members = map[*member]bool{}
	}
	h.members[m] = true
	return m
}

// remove removes a session.
func (h *Hub) remove(m *member) {
	m.leave() // first, because Notify may wait for it with the lock
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.members, m)
}

// leave ends the wait for the session.
func (m *member) leave() { m.once.Do(func() { close(m.gone) }) }

// Serve runs one session until the client disconnects or the connection ends. A build that was
// launched goes on if the client wants that, or is gone; Serve returns after it has ended. The error is
// about input that is not of the protocol.
func Serve(ctx context.Context, conn io.ReadWriter, o Options) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s := &session{
		Options: o, ctx: ctx, in: bufio.NewReader(conn), out: conn, queue: make(chan request, maxQueue),
		marks: map[string][]*mark{}, running: map[int]context.CancelFunc{}, over: make(chan struct{}),
		relayed: make(chan bool, 1),
	}
	go s.read()
	err := s.handleAll()
	s.leave()
	return err
}

// maxQueue is how many requests may wait.
const maxQueue = 64

// errDisconnected ends a session.
var errDisconnected = errors.New("disconnected")
