package inside

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"os"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/buildlocal/buildlocal/internal/overlay"
	"github.com/buildlocal/buildlocal/internal/untar"
)

func init() {
	switch {
	case len(os.Args) == 0:
	case os.Args[0] == ServerName:
		os.Exit(serve())
	case os.Args[0] == firstName:
		os.Exit(runInit())
	}
}

// server serves one client. When the client disconnects it exits, and so do all processes
// of the sandbox.
type server struct {
	sending sync.Mutex
	layout  *Rootfs
	groups  []int // files by which a process joins a control group
	first   int   // the first process
	orders  int   // socket to it

	guard     *connectGuard // nil if connections cannot be intercepted
	unguarded error         // why metadata addresses are not blocked

	mu      sync.Mutex
	running map[int]int // request by process
}

// serve is the main function of the server. It returns its exit code.
func serve() int {
	runtime.LockOSThread() // capabilities and namespaces are those of a thread, and this one starts all processes
	unix.CloseOnExec(Socket)
	// Files that the parent has left open are not for the build. Kernels before 5.11 do not
	// support this.
	_ = unix.CloseRange(Socket+1, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC)
	unix.Umask(0o022) // that of a container, not of the user
	s := &server{running: map[int]int{}}
	var r Request
	files, err := receive(Socket, &r)
	// IDs were mapped after this process had started. Only a program that is executed as root
	// of the namespace gets its capabilities.
	if err == nil && r.Op == Again {
		_, _ = unix.FcntlInt(Socket, unix.F_SETFD, 0)
		_ = syscall.Exec("/proc/self/exe", os.Args, nil)
		return 1
	}
	if err == nil && r.Op == Warm {
		s.guard, s.unguarded = newConnectGuard(r.Metadata, func(address string) { s.send(Response{Touched: address}) })
		if err = s.startFirst(); err == nil {
			files, err = receive(Socket, &r)
		}
	}
	switch {
	case err != nil:
	case r.Op == Layer:
		err = untar.Unpack(r.Path, stream(files[0]), untar.Unpacking{Opaque: r.Opaque, Owners: r.Owners})
	case r.Op == Remove:
		err = os.RemoveAll(r.Path)
	case r.Op == Link:
		err = overlay.LinkTo(context.Background(), r.Path, r.Target)
	case r.Op == Lay:
		s.layout, s.groups = r.Layout, files
		if err = send(s.orders, execRequest{Join: true}, files); err == nil {
			return s.serveLayout()
		}
	}
	s.done(0, err)
	return 0
}

// serveLayout sets up a sandbox and serves it.
func (s *server) serveLayout() int {
	l := s.layout
	s.guard.set(l.Metadata, l.Redirects)
	defer l.remove()
	l.keep = l.Resume // until the sandbox has taken them over
	if err := l.setup(s.awaitFirst); err != nil {
		s.fault(0, err)
		return 1
	}
	l.keep = false
	go s.reap()
	if !l.Main {
		if err := s.idle(); err != nil {
			s.fault(0, err)
			return 1
		}
	}
	a := Response{Done: true, Memory: l.memory, Volatile: l.inMemoryOnly()}
	if s.unguarded != nil {
		a.Unguarded = s.unguarded.Error()
	}
	s.send(a)
	s.handle()
	s.end()
	return 0
}

// send sends a response. Errors are ignored: that the client is gone is noticed when the
// next request is read.
func (s *server) send(a Response) {
	s.sending.Lock()
	defer s.sending.Unlock()
	_ = send(Socket, a, nil)
}

// handle handles requests until the client disconnects.
func (s *server) handle() {
	for {
		var r Request
		files, err := receive(Socket, &r)
		if err != nil {
			return
		}
		switch r.Op {
		case Main, Exec:
			s.run(r, files)
			closeAll(files)
		case Kill:
			s.kill(r.ID)
		case Preserve:
			s.layout.keep = true
		case Snapshot:
			go s.snapshot(r, files)
		default: // a copy may take long, and may wait for the client
			go s.copy(r, openFile(files[0]))
		}
	}
}

// done reports the end of a request.
func (s *server) done(id int, err error) {
	if err != nil {
		s.fault(id, err)
		return
	}
	s.send(Response{ID: id, Done: true})
}

// fault reports that a request has failed.
func (s *server) fault(id int, err error) {
	a := Response{
		ID:     id,
		Done:   true,
		Fault:  err.Error(),
		Escape: errors.Is(err, untar.ErrEscape),
		Tree:   errors.Is(err, ErrTree) && !errors.Is(err, unix.ENOSPC),
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		a.Errno = int(errno)
	} else if errors.Is(err, fs.ErrNotExist) {
		a.Errno = int(syscall.ENOENT)
	}
	s.send(a)
}

// end kills all other processes, so that their files can be removed. The server is the
// first process of an outer namespace, so -1 does not reach the host.
func (s *server) end() {
	_ = syscall.Kill(-1, syscall.SIGKILL)
	s.mu.Lock() // the reaper waits
	defer s.mu.Unlock()
	for {
		if _, err := syscall.Wait4(-1, nil, 0, nil); err != nil && err != syscall.EINTR {
			return
		}
	}
}

// kill kills a process and its process group.
func (s *server) kill(id int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for pid, owner := range s.running {
		if owner == id {
			_ = syscall.Kill(-pid, syscall.SIGKILL)
		}
	}
}

// reap reaps all processes that end; this one is their parent.
func (s *server) reap() {
	for {
		err := retry(func() error { return unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOWAIT, nil) })
		if err != nil {
			return // no process is left, and none can be started
		}
		s.reapOne()
	}
}

// reapOne reaps one process. reap has only looked at it (WNOWAIT), so its ID is not used
// again before it is removed from s.running, and Kill cannot hit another process.
func (s *server) reapOne() {
	s.mu.Lock() // started processes are registered
	defer s.mu.Unlock()
	var status syscall.WaitStatus
	pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
	if err != nil || pid <= 0 {
		return
	}
	if id, ours := s.running[pid]; ours {
		delete(s.running, pid)
		exit := status.ExitStatus()
		if status.Signaled() {
			exit = 128 + int(status.Signal())
		}
		s.send(Response{ID: id, Done: true, Exit: exit})
	}
}
