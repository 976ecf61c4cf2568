package local

import (
	"cmp"
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/buildlocal/buildlocal/builds"
	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/control"
	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/runner"
)

// lookInto serves the calls of other processes that look into a build, from the moment at which
// its container exists. It costs a socket and a goroutine.
type lookInto struct {
	session *Session

	mu     sync.Mutex
	server io.Closer // nil before the container exists, or if the host has no such sockets
}

// begin starts to serve. A build that cannot be looked into is a build all the same: exec and others
// then report that it has no socket.
func (l *lookInto) begin(live *runner.Live) {
	s := l.session
	server, err := control.Listen(filepath.Join(s.inputs.run.Path, control.SocketName), s.services(live))
	if err != nil {
		if s.Debugger != nil { // whose stops can be answered from elsewhere
			s.inputs.host.Warnf("warning: the build cannot be reached from other terminals: %v", err)
		}
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.server = server
}

// end interrupts all calls.
func (l *lookInto) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.server != nil {
		_ = l.server.Close() // the directory of the run is removed next
	}
}

// services returns the calls of a build that runs.
func (s *Session) services(live *runner.Live) control.Services {
	plan := s.Plan
	e := &environment{
		live: live, host: s.inputs.host, hostNetwork: !s.engine.ownNetwork(),
		platform: cmp.Or(plan.Platform, NativePlatform()),
	}
	e.current, _ = s.Debugger.(stops)
	calls := e.services()
	calls.Why = "the build was started without --debug"
	calls.Status = func() control.Status {
		return control.Status{
			Build: s.Dir.Name, Project: plan.Identity.Project, State: control.StateRunning, At: placeOf(s.Dir.Build),
			Engine: string(s.engine.kind), HostNetwork: e.hostNetwork, SourceDir: plan.Sources[0].Path,
		}
	}
	if s.Debugger != nil { // else the files of the source were not examined when the build began
		calls.Sync = func(ctx context.Context, r control.SyncRequest) (control.SyncReport, error) {
			sync := s.Sync
			if r.Force {
				sync = s.sync
			}
			done, err := sync(ctx, live)
			if n := len(done.Copied) + len(done.Removed); n > 0 {
				live.ByHand(runner.HandSync, human.Count(n, "file"))
			}
			return done, e.ended(ctx, err)
		}
	}
	if s.Extend != nil {
		calls = s.Extend(live, calls)
	}
	return calls
}

// placeOf returns the command that a build runs, or its phase; "" if it is not known.
func placeOf(b builds.Build) string {
	journal, err := b.OpenJournal()
	if err != nil {
		return ""
	}
	defer journal.Close()
	return console.PlaceIn(journal).At
}

// stops is a debugger that knows where the build is stopped.
type stops interface {
	Current() (stop *runner.Stop, since time.Time)
}

// environment serves calls about the environment of a build.
type environment struct {
	live        *runner.Live
	host        *Host
	hostNetwork bool   // its ports are those of the host
	platform    string // such as linux/amd64
	current     stops  // nil without a debugger

	connector sync.Mutex // held while the program that connects to ports is installed
	installed bool
}

// services returns all calls that need no debugger.
func (e *environment) services() control.Services {
	return control.Services{
		Exec: e.exec, Dial: e.dial,
		CopyIn: func(ctx context.Context, dir string, tar io.Reader) error {
			err := e.live.CopyIn(ctx, dir, tar)
			if err == nil {
				e.live.ByHand(runner.HandCopy, dir)
			}
			return e.ended(ctx, err)
		},
		CopyOut: func(ctx context.Context, path string) (io.ReadCloser, error) {
			tar, err := e.live.CopyOut(ctx, path)
			return tar, e.ended(ctx, err)
		},
		Changes: func(ctx context.Context) (control.Changes, error) {
			changes, err := changesOf(ctx, e.live)
			return changes, e.ended(ctx, err)
		},
	}
}

// changesOf returns the changes of a build.
func changesOf(ctx context.Context, live *runner.Live) (c control.Changes, err error) {
	if c.Files, err = live.Changes(ctx); err == nil {
		c.Variables, err = live.VariableChanges(ctx)
	}
	c.Command, c.Phase = live.Began()
	return c, err
}

// ended returns control.ErrEnded instead of an error of an engine whose container was removed
// meanwhile.
func (e *environment) ended(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil {
		return err
	}
	if errors.Is(err, runner.ErrNoEnvironment) {
		return control.ErrEnded
	}
	return cmp.Or(e.gone(ctx), err)
}

// gone returns control.ErrEnded if there is no container any more.
func (e *environment) gone(ctx context.Context) error {
	// The file need not exist: without a container the error is another one.
	probe, err := e.live.CopyOut(ctx, "/codebuild/no-such-file")
	if err == nil {
		_ = probe.Close()
	}
	if errors.Is(err, runner.ErrNoEnvironment) {
		return control.ErrEnded
	}
	return nil
}

// exec runs a command. The user may have changed files with it, so the build counts as changed by
// hand.
func (e *environment) exec(
	ctx context.Context, r control.ExecRequest, s control.Streams, t *control.Terminal,
) (int, error) {
	if r.Script != "" {
		return e.script(ctx, r, s, t)
	}
	if len(r.Args) == 0 {
		return 0, control.Refusef("no command to run")
	}
	p := runner.LiveProcess{NoEnv: r.NoEnv}
	if e.current != nil {
		if stop, _ := e.current.Current(); stop != nil {
			p.At = stop.Breakpoint
		}
	}
	p.Args, p.Env, p.Dir, p.User = r.Args, r.Env, r.Dir, r.User
	p.Stdin, p.Stdout, p.Stderr = s.Stdin, s.Stdout, s.Stderr
	if t != nil {
		p.Env, p.Stdin, p.Stdout = append(t.ProgramEnv(), r.Env...), t.In, t.Out
		tty, end := ttyOf(ctx, *t)
		defer end()
		p.TTY = tty
	}
	e.live.ByHand(runner.HandRun, strings.Join(r.Args, " "))
	exit, err := e.live.Exec(ctx, p)
	if err == nil && exit == killed {
		return exit, e.gone(ctx)
	}
	return exit, e.ended(ctx, err)
}

// killed is the exit status of a process that SIGKILL has ended.
const killed = 137

// script runs a text as a command of the build.
func (e *environment) script(
	ctx context.Context, r control.ExecRequest, s control.Streams, t *control.Terminal,
) (int, error) {
	output := s.Stdout
	if t != nil {
		output = t.Out
	}
	exit, err := e.live.Run(ctx, r.Script, output)
	switch {
	case errors.Is(err, runner.ErrBusy):
		return 0, control.Refusef("%v\n--script runs only while the build is stopped between two commands", err)
	case errors.Is(err, runner.ErrOver):
		return 0, control.Refusef("--script needs a build that is stopped: %v", err)
	case err == nil:
		e.live.ByHand(runner.HandRun, r.Script)
	}
	return exit, e.ended(ctx, err)
}

// ttyOf returns a terminal for a process, whose size follows that of the user's until end is
// called.
func ttyOf(ctx context.Context, t control.Terminal) (tty *engine.TTY, end func()) {
	ctx, cancel := context.WithCancel(ctx)
	sizes := make(chan engine.TTY)
	size := func() engine.TTY {
		columns, rows := t.Size()
		return engine.TTY{Columns: columns, Rows: rows}
	}
	go func() {
		defer close(sizes)
		for {
			select {
			case <-t.Resized:
			case <-ctx.Done():
				return
			}
			select {
			case sizes <- size():
			case <-ctx.Done():
				return
			}
		}
	}()
	first := size()
	first.Resize = sizes
	return &first, cancel
}
