package sandbox

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/buildlocal/buildlocal/engine"
)

func native() string { return "linux/" + runtime.GOARCH }

// Container is one sandbox. See engine.Container.
type Container struct {
	env  []string
	base string // directory of the host
	init *exec.Cmd
	conn *net.UnixConn

	mu     sync.Mutex
	next   int
	calls  map[int]*call
	closed bool
	gone   chan struct{} // closed when the first process has ended
	main   chan struct{} // closed when Main is told; nil without one
}

// call is a request that has not ended.
type call struct {
	began chan answer // its first answer
	ended chan answer
}

// Start lays a sandbox and starts its first process. See engine.Engine.
func (e *Engine) Start(ctx context.Context, s engine.Spec) (engine.Container, error) {
	if err := refuse(s); err != nil {
		return nil, err
	}
	if s.Privileged && !isRoot() {
		return nil, unsupported("privileged mode of a plain user")
	}
	c, err := e.begin(s)
	if err != nil {
		return nil, err
	}
	if err := c.startMain(ctx, s); err != nil {
		return nil, errors.Join(err, c.Close(context.WithoutCancel(ctx)))
	}
	return c, nil
}

func (e *Engine) begin(s engine.Spec) (*Container, error) {
	base := filepath.Join(s.Temp, "sandbox")
	if err := os.Mkdir(base, 0o700); err != nil {
		return nil, err
	}
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, errors.Join(err, os.Remove(base))
	}
	defer theirs.Close()
	c := &Container{
		env: append([]string{"PATH=" + e.options.Path, "HOSTNAME=" + hostName}, s.Env...), base: base, conn: ours,
		calls: map[int]*call{}, gone: make(chan struct{}),
	}
	c.init = &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{initName, s.Name}, Env: []string{}, ExtraFiles: []*os.File{theirs},
		SysProcAttr: namespaces(),
	}
	if err := c.init.Start(); err != nil {
		return nil, errors.Join(cannot(err), ours.Close(), os.Remove(base))
	}
	go func() {
		_ = c.init.Wait()
		close(c.gone)
	}()
	if err := c.lay(s, e.options); err != nil {
		return nil, errors.Join(err, c.Close(context.Background()))
	}
	go c.listen()
	return c, nil
}

func isRoot() bool { return os.Geteuid() == 0 }

// namespaces are those a sandbox gets. A plain user is root in one of users.
func namespaces() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS, Setsid: true}
	if !isRoot() {
		attr.Cloneflags |= unix.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	return attr
}

// cannot says why there is no sandbox on this machine, and the way out.
func cannot(err error) error {
	way := "In a container run it with --privileged, or use docker."
	if !isRoot() {
		way = "User namespaces are off for you (sysctl user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns): turn them on, run as root, or use docker."
	}
	return &engine.Fault{Kind: engine.NoEngine, Message: "this machine makes no namespaces: " + err.Error(), Way: way, Err: err}
}

func socketPair() (ours *net.UnixConn, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	file := os.NewFile(uintptr(fds[0]), "sandbox")
	defer file.Close()
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, nil, errors.Join(err, unix.Close(fds[1]))
	}
	return conn.(*net.UnixConn), os.NewFile(uintptr(fds[1]), "sandbox"), nil
}

// lay has the file system laid, and waits for it.
func (c *Container) lay(s engine.Spec, o Options) error {
	l := &layout{Base: c.base, Scratch: s.Scratch, Mask: o.Mask, Privileged: s.Privileged, Plain: !isRoot()}
	for _, t := range s.Trees {
		l.Trees = append(l.Trees, layoutTree{t.Host, t.Path, t.Hide})
	}
	if err := c.send(request{Op: "layout", Layout: l}); err != nil {
		return err
	}
	text, err := bufio.NewReaderSize(c.conn, 1).ReadBytes('\n')
	var a answer
	if err == nil {
		err = json.Unmarshal(text, &a)
	}
	if err != nil || a.Fault != "" {
		return cannot(errors.Join(err, errors.New(a.Fault)))
	}
	return nil
}

// send sends a request with the files that belong to it.
func (c *Container) send(r request, files ...*os.File) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if len(text) > maxMessage {
		return fmt.Errorf("the command line is longer than %d bytes", maxMessage)
	}
	var fds []int
	for _, f := range files {
		fds = append(fds, int(f.Fd()))
	}
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	if _, _, err := c.conn.WriteMsgUnix(fmt.Appendf(nil, "%08x", len(text)), rights, nil); err != nil {
		return err
	}
	_, err = c.conn.Write(text)
	return err
}

// listen hands answers to those who wait for them.
func (c *Container) listen() {
	r := bufio.NewReaderSize(c.conn, 1)
	for {
		text, err := r.ReadBytes('\n')
		var a answer
		if err != nil || json.Unmarshal(text, &a) != nil {
			c.drop()
			return
		}
		c.mu.Lock()
		waiting := c.calls[a.ID]
		if a.Done {
			delete(c.calls, a.ID)
		}
		c.mu.Unlock()
		if waiting == nil {
			continue
		}
		if !a.Done {
			waiting.began <- a
			continue
		}
		select {
		case waiting.began <- a:
		default:
		}
		waiting.ended <- a
	}
}

// drop tells all who wait that the sandbox is gone.
func (c *Container) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, waiting := range c.calls {
		close(waiting.ended)
	}
	c.calls = nil
}

// errGone is a sandbox that has ended.
var errGone = &engine.Fault{Kind: engine.Died, Message: "the sandbox has ended"}

// ask sends a request and returns what its answers come by.
func (c *Container) ask(r request, files ...*os.File) (int, *call, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return 0, nil, errGone
	}
	c.next++
	r.ID = c.next
	waiting := &call{began: make(chan answer, 2), ended: make(chan answer, 1)}
	c.calls[r.ID] = waiting
	if err := c.send(r, files...); err != nil {
		delete(c.calls, r.ID)
		return 0, nil, errors.Join(errGone, err)
	}
	return r.ID, waiting, nil
}

func faultOf(a answer, open bool) error {
	switch {
	case !open:
		return errGone
	case a.Missing:
		return fmt.Errorf("%s: %w", a.Fault, fs.ErrNotExist)
	case a.Fault != "":
		return errors.New(a.Fault)
	}
	return nil
}

// Exec runs one more process. See engine.Container.
func (c *Container) Exec(ctx context.Context, p engine.Process) (int, error) {
	if err := context.Cause(ctx); err != nil {
		return 0, err
	}
	id, waiting, streams, err := c.run(p)
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

// killed ends a process and its group, and waits until they are gone.
func (c *Container) killed(id int, waiting *call) {
	for {
		c.mu.Lock()
		_ = c.send(request{Op: "kill", ID: id})
		c.mu.Unlock()
		select {
		case <-waiting.ended:
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (c *Container) run(p engine.Process) (int, *call, *streams, error) {
	switch {
	case len(p.Args) == 0:
		return 0, nil, nil, errors.New("no program to run")
	case !isRoot() && p.User != "" && p.User != "root" && p.User != "0":
		return 0, nil, nil, errOneUser
	}
	s, err := openStreams(p)
	if err != nil {
		return 0, nil, nil, err
	}
	env := slices.Concat(c.env, p.Env)
	id, waiting, err := c.ask(request{Op: "exec", Args: p.Args, Env: last(env), Path: p.Dir, User: p.User, TTY: p.TTY != nil}, s.theirs...)
	closeAll(s.theirs)
	if err != nil {
		s.finish()
		return 0, nil, nil, err
	}
	s.begin(p)
	return id, waiting, s, nil
}

// last keeps of each variable what was said last.
func last(env []string) []string {
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

// startMain starts the process the sandbox lives for.
func (c *Container) startMain(ctx context.Context, s engine.Spec) error {
	if s.Main == nil {
		return context.Cause(ctx)
	}
	_, waiting, streams, err := c.run(*s.Main)
	if err != nil {
		return err
	}
	select {
	case a := <-waiting.began:
		if a.Fault != "" {
			streams.finish()
			return faultOf(a, true)
		}
	case <-c.gone:
		return errGone
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	c.main = make(chan struct{})
	go func() {
		defer close(c.main)
		a, open := <-waiting.ended
		streams.finish()
		if s.Ended != nil {
			s.Ended(a.Exit, faultOf(a, open))
		}
	}()
	return nil
}

// CopyIn unpacks a tar stream. See engine.Container.
func (c *Container) CopyIn(ctx context.Context, dir string, from io.Reader) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	_, waiting, err := c.ask(request{Op: "unpack", Path: dir}, r)
	r.Close()
	if err != nil {
		return errors.Join(err, w.Close())
	}
	stop := context.AfterFunc(ctx, func() { w.Close() })
	defer stop()
	_, err = io.Copy(w, from)
	err = errors.Join(err, w.Close())
	a, open := <-waiting.ended
	if fault := faultOf(a, open); fault != nil {
		return fault // it says more than the broken pipe it leaves
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// CopyOut packs what stands at a path. See engine.Container.
func (c *Container) CopyOut(_ context.Context, path string) (io.ReadCloser, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	_, waiting, err := c.ask(request{Op: "pack", Path: path}, w)
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
	}
	return &packed{r, waiting}, nil
}

// packed is a stream whose end is told: a fault of the packing is not an end.
type packed struct {
	*os.File
	waiting *call
}

func (p *packed) Read(b []byte) (int, error) {
	n, err := p.File.Read(b)
	if err == io.EOF && p.waiting != nil {
		a, open := <-p.waiting.ended
		p.waiting = nil
		if fault := faultOf(a, open); fault != nil {
			return n, fault
		}
	}
	return n, err
}

// Close ends all in the sandbox and removes it. See engine.Container.
func (c *Container) Close(ctx context.Context) error {
	_ = c.conn.Close() // with it the first process ends, and the kernel kills the others
	_ = c.init.Process.Kill()
	select {
	case <-c.gone:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if c.main != nil {
		select {
		case <-c.main:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return os.RemoveAll(c.base)
}

var _ engine.Container = (*Container)(nil)
