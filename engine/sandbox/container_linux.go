package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/images"
	"github.com/buildlocal/buildlocal/engine/sandbox/inside"
	"github.com/buildlocal/buildlocal/internal/cgroup"
	"github.com/buildlocal/buildlocal/internal/overlay"
)

// Container is one sandbox. See engine.Container.
type Container struct {
	*server
	id       identity
	env      []string
	base     string        // directory of the host for the sandbox's files
	trees    []engine.Tree // nil if changes to them are kept in memory
	layers   []string      // of the snapshot, the lowest first
	snapshot string        // see Spec.Snapshot
	image    *images.Image
	limits   []group
	meter    *cgroup.Meter // created at the first call of Usage
	services []net.Listener
	warnf    func(format string, args ...any)
	volatile bool // some changes are in memory only
	kept     bool // the files on the disk are not removed: they were preserved, or not resumed yet

	mu     sync.Mutex
	next   int
	calls  map[int]*call
	closed bool
	main   chan struct{} // closed when OnExit was called; nil without Main

	mainExit atomic.Int64 // exit status of Main, once main is closed
	memory   int64        // limit in bytes; 0 for unlimited
}

// call is a request in progress.
type call struct {
	began chan inside.Response // its first response
	ended chan inside.Response
}

// diskFull returns a fault for an error that means a full disk, and else wraps it.
func diskFull(err error, doing string) error {
	if !errors.Is(err, unix.ENOSPC) && !errors.Is(err, unix.EDQUOT) {
		return err
	}
	return &engine.Fault{Kind: engine.DiskFull, Err: err, Message: fmt.Sprintf("%s: %v", doing, err),
		Hint: "Free up space in the temporary directory, or set TMPDIR to another directory."}
}

// listen passes responses to the calls that wait for them. It ends with the server.
func (c *Container) listen() {
	for {
		a, err := c.receive()
		if err != nil {
			c.drop()
			return
		}
		// A message of the connection guard, which belongs to no call.
		if a.Touched != "" {
			c.warnf("Access to the metadata endpoint %s was blocked.", a.Touched)
			continue
		}
		c.mu.Lock()
		waiting := c.calls[a.ID]
		if a.Done {
			delete(c.calls, a.ID)
		}
		c.mu.Unlock()
		// Errors of the server itself have the ID 0. Its end follows, and drop reports that.
		if waiting == nil {
			continue
		}
		if !a.Done {
			waiting.began <- a
			continue
		}
		select {
		// A call that failed at once has a single response, and run waits for it on began. The
		// channel has room for it, except when nothing reads it: then ended is enough.
		case waiting.began <- a:
		default:
		}
		waiting.ended <- a
	}
}

// drop ends all calls because the server is gone.
func (c *Container) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, waiting := range c.calls {
		close(waiting.ended)
	}
	c.calls = nil
}

// errOneUser is the error for a process of another user if the sandbox has a single one.
var errOneUser = &engine.Fault{Kind: engine.Refused, Err: engine.ErrUnsupported,
	Message: "the sandbox of a non-root user has only the user root",
	Hint: "Omit run-as, run buildlocal as root, or use docker. --engine sandbox has more users if /etc/subuid and " +
		"/etc/subgid assign a range and the package uidmap is installed."}

// errGone is the error of a sandbox that has ended.
var errGone = &engine.Fault{Kind: engine.Died, Message: "the sandbox has ended"}

// call sends a request. Its responses arrive on the channels of the result.
func (c *Container) call(r inside.Request, files ...*os.File) (int, *call, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return 0, nil, errGone
	}
	c.next++
	r.ID = c.next
	waiting := &call{began: make(chan inside.Response, 2), ended: make(chan inside.Response, 1)}
	c.calls[r.ID] = waiting
	// The lock is held while sending: two requests must not be mixed on the socket, and the
	// response may arrive before this function returns.
	if err := c.send(r, files...); err != nil {
		delete(c.calls, r.ID)
		return 0, nil, errors.Join(errGone, err)
	}
	return r.ID, waiting, nil
}

// faultOf returns the error of the last response of a call. open is false if the server ended
// without one.
func faultOf(a inside.Response, open bool) error {
	if !open {
		return errGone
	}
	return a.Err()
}

// Exec runs another process. See engine.Container.
func (c *Container) Exec(ctx context.Context, p engine.Process) (int, error) {
	if err := context.Cause(ctx); err != nil {
		return 0, err
	}
	id, waiting, streams, err := c.run(p, false)
	if err != nil {
		return 0, err
	}
	defer streams.finish()
	select {
	case a, open := <-waiting.ended:
		return a.Exit, faultOf(a, open)
	case <-ctx.Done():
		c.killed(id, waiting)
		return 0, context.Cause(ctx)
	}
}

// killed kills a process and its process group, and waits until they are gone. The signal is
// repeated, because the group may have started a process while the first one was delivered.
func (c *Container) killed(id int, waiting *call) {
	for {
		c.mu.Lock()
		_ = c.send(inside.Request{Op: inside.Kill, ID: id})
		c.mu.Unlock()
		select {
		case <-waiting.ended:
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// run starts a process and copies its streams. The caller calls finish on them when the process
// has ended.
func (c *Container) run(p engine.Process, main bool) (int, *call, *streams, error) {
	switch {
	case len(p.Args) == 0:
		return 0, nil, nil, errors.New("no program to run")
	case c.id.kind == idsSingle && p.User != "" && p.User != "root" && p.User != "0":
		return 0, nil, nil, errOneUser
	}
	s, err := openStreams(p)
	if err != nil {
		return 0, nil, nil, err
	}
	env := slices.Concat(c.env, p.Env)
	op := inside.Exec
	if main {
		op = inside.Main
	}
	id, waiting, err := c.call(
		inside.Request{Op: op, Args: p.Args, Env: uniqueEnv(env), Path: p.Dir, User: p.User, TTY: p.TTY != nil},
		s.theirs...)
	// The server has its own copies now. As long as this process keeps the ends of the pipes
	// open, their readers see no end of file.
	closeAll(s.theirs)
	if err != nil {
		s.finish()
		return 0, nil, nil, err
	}
	select {
	case a := <-waiting.began:
		if err := a.Err(); err != nil {
			s.finish()
			return 0, nil, nil, err
		}
	case <-c.gone:
		s.finish()
		return 0, nil, nil, errGone
	}
	if err := s.begin(p); err != nil {
		s.finish()
		return 0, nil, nil, err
	}
	return id, waiting, s, nil
}

// uniqueEnv keeps the last value of each variable, as the kernel would show several.
func uniqueEnv(env []string) []string {
	at := map[string]int{}
	var all []string
	for _, v := range env {
		name, _, _ := strings.Cut(v, "=")
		if i, there := at[name]; there {
			all[i] = v
			continue
		}
		at[name] = len(all)
		all = append(all, v)
	}
	return all
}

// startMain starts Main.
func (c *Container) startMain(ctx context.Context, s engine.Spec) error {
	if s.Main == nil {
		return context.Cause(ctx)
	}
	_, waiting, streams, err := c.run(*s.Main, true)
	if errors.Is(err, fs.ErrNotExist) && s.Main.Args[0] == "sh" {
		name := s.Image.Alias
		if len(s.Image.Names) > 0 {
			name = s.Image.Names[0]
		}
		return &engine.Fault{Kind: engine.NoShell, Err: err, Message: engine.NoShellMessage(name), Hint: engine.NoShellHint}
	}
	if err != nil {
		return err
	}
	c.main, c.memory = make(chan struct{}), s.Resources.Limits.Memory
	go func() {
		defer close(c.main)
		a, open := <-waiting.ended
		streams.finish()
		c.mainExit.Store(int64(a.Exit))
		s.Hooks.ReportExit(a.Exit, faultOf(a, open))
	}()
	return nil
}

// CopyIn unpacks a tar stream. See engine.Container.
func (c *Container) CopyIn(ctx context.Context, dir string, from io.Reader) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	_, waiting, err := c.call(inside.Request{Op: inside.Unpack, Path: dir}, r)
	r.Close()
	if err != nil {
		return errors.Join(err, w.Close())
	}
	// The server then sees a truncated stream, and its response ends the wait below.
	stop := context.AfterFunc(ctx, func() { w.Close() })
	defer stop()
	_, err = io.Copy(w, from)
	err = errors.Join(err, w.Close())
	a, open := <-waiting.ended
	if fault := faultOf(a, open); fault != nil {
		// the server's reason is better than the broken pipe that it causes here
		return diskFull(fault, "copy into the sandbox")
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// CopyOut returns a file or directory as a tar stream. See engine.Container.
func (c *Container) CopyOut(ctx context.Context, path string) (io.ReadCloser, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	_, waiting, err := c.call(inside.Request{Op: inside.Pack, Path: path}, w)
	w.Close()
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	select {
	case a := <-waiting.began:
		if fault := faultOf(a, true); fault != nil {
			return nil, errors.Join(fault, r.Close())
		}
	case <-c.gone:
		return nil, errors.Join(errGone, r.Close())
	case <-ctx.Done():
		return nil, errors.Join(context.Cause(ctx), r.Close())
	}
	// Closing the pipe is what interrupts a Read that is waiting for the server.
	return &tarStream{r, ctx, context.AfterFunc(ctx, func() { r.Close() }), waiting}, nil
}

// tarStream is a stream of the server. Its end is an error if packing failed, so that a
// truncated stream is not taken for a complete one.
type tarStream struct {
	*os.File
	ctx     context.Context // the stream is closed when it ends
	forget  func() bool
	waiting *call
}

// Close ends the stream.
func (p *tarStream) Close() error {
	if p.forget() {
		return p.File.Close()
	}
	return nil // ctx has ended and closed it
}

// Read implements io.Reader. At the end of the stream it waits for the response, because a
// server that failed closes the pipe too.
func (p *tarStream) Read(b []byte) (int, error) {
	n, err := p.File.Read(b)
	if err != nil && p.ctx.Err() != nil {
		return n, context.Cause(p.ctx)
	}
	if err == io.EOF && p.waiting != nil {
		a, open := <-p.waiting.ended
		p.waiting = nil
		if fault := faultOf(a, open); fault != nil {
			return n, fault
		}
	}
	return n, err
}

// Close kills all processes and removes the sandbox. See engine.Container.
//
// It also works for a sandbox that Start could not complete, so any field may be empty.
func (c *Container) Close(ctx context.Context) error {
	c.unlisten()
	if c.server != nil {
		_ = c.conn.Close() // the server then kills all other processes, removes their files, and exits
		select {
		case <-c.gone:
		case <-ctx.Done():
			_ = c.command.Process.Kill()
			return context.Cause(ctx)
		}
	}
	if c.main != nil {
		select {
		case <-c.main:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	// Not earlier: while a process runs, the layers of the image must not be removed.
	if c.image != nil {
		_ = c.image.Close()
	}
	if c.meter != nil {
		c.meter.Close()
	}
	var err error
	if !c.kept {
		err = c.id.remove(ctx, c.base)
	}
	for _, g := range c.limits {
		err = errors.Join(err, g.remove())
	}
	c.limits = nil
	return err
}

// Untouched reports whether nothing in a tree has changed. See engine.Watcher. Changes that
// are kept in memory are not visible on the host, so the result is then false.
func (c *Container) Untouched(path string) bool {
	for i, t := range c.trees {
		if len(c.layers) > 0 {
			return false // the snapshot may have changes
		}
		if name, in := overlay.Below(t.Path, path); in {
			return overlay.Untouched(inside.Upper(c.base, i), name)
		}
	}
	return false
}

// Written returns where the host stores a file that was written. See engine.Watcher.
func (c *Container) Written(path string) (dir, name string) {
	if c.trees == nil {
		return "", ""
	}
	// Each tree is an overlay with an upper directory of its own. All other files are in that
	// of the root directory.
	upper, name := inside.RootUpper(c.base), strings.TrimPrefix(path, "/")
	for i, t := range c.trees {
		if below, in := overlay.Below(t.Path, path); in {
			upper, name = inside.Upper(c.base, i), below
		}
	}
	if !overlay.Written(upper, name) {
		return "", ""
	}
	return upper, name
}

// MayHaveWritten searches the changes to a tree. See engine.Watcher.
func (c *Container) MayHaveWritten(path string, match func(name string) bool) bool {
	for i, t := range c.trees {
		if name, in := overlay.Below(t.Path, path); in && len(c.layers) == 0 {
			return overlay.MayHave(inside.Upper(c.base, i), name, match)
		}
	}
	return true
}

// View opens the root directory of the sandbox. See engine.Viewer.
func (c *Container) View() (*os.Root, error) {
	// The kernel resolves this name in the mount namespace of the process, and os.Root keeps
	// links of the build from leaving it.
	return os.OpenRoot(fmt.Sprintf("/proc/%d/root", c.command.Process.Pid))
}

// Usage returns the consumption of the sandbox. See engine.Metered.
func (c *Container) Usage(context.Context) (engine.Usage, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	// Builds without resource figures do not pay for opening the files of the control groups.
	if c.meter == nil {
		var dirs []string
		for _, g := range c.limits {
			dirs = append(dirs, g.dir)
		}
		m, err := cgroup.ForDirs(dirs...)
		if err != nil {
			return engine.Usage{}, fmt.Errorf("%w: %w", engine.ErrUnsupported, err)
		}
		c.meter = m
	}
	u, err := c.meter.Read()
	return engine.Usage(u), err
}

var (
	_ engine.Container = (*Container)(nil)
	_ engine.Metered   = (*Container)(nil)
	_ engine.Mortal    = (*Container)(nil)
	_ engine.Preserver = (*Container)(nil)
	_ engine.Viewer    = (*Container)(nil)
	_ engine.Watcher   = (*Container)(nil)
)
