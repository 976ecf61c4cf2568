package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/buildlocal/buildlocal/internal/untar"
)

// initName is what the process of a sandbox that lays and serves it is called. It
// is this program, run once more.
const initName = "buildlocal-sandbox-init"

// IsInit reports whether the program was run to serve a sandbox. The main function
// asks before anything else.
func IsInit(args []string) bool { return len(args) > 0 && args[0] == initName }

// Init serves a sandbox: it lays the file system, starts what it is told to and
// reaps what ends. It ends, and all in the sandbox with it, when whoever started
// it does. It returns the exit code of the process.
func Init() int {
	runtime.LockOSThread() // capabilities and namespaces are a thread's, and this one starts all processes
	socket := os.NewFile(3, "socket")
	conn, err := net.FileConn(socket)
	if err != nil {
		return 1
	}
	s := &server{conn: conn.(*net.UnixConn), running: map[int]int{}}
	r, files, err := s.receive()
	if err == nil && r.Op == "again" {
		_ = syscall.Exec("/proc/self/exe", os.Args, nil)
		return 1
	}
	socket.Close()
	if err != nil {
		return 1
	}
	if r.Op == "warm" {
		s.unguarded = guard(func(address string) { _ = s.send(answer{Touched: address}) })
		if err = s.startFirst(); err == nil {
			r, files, err = s.receive()
		}
		if err != nil {
			s.fault(0, err)
			return 1
		}
	}
	switch r.Op {
	case "layer":
		err = untar.Unpack(r.Path, files[0], untar.Unpacking{Opaque: r.Opaque, Owners: r.Owners})
	case "remove":
		err = os.RemoveAll(r.Path)
	case "layout":
		s.layout, s.groups = r.Layout, files
		return s.serveLayout()
	}
	s.done(0, err)
	return 0
}

// serveLayout lays a sandbox and serves it.
func (s *server) serveLayout() int {
	l := s.layout
	defer l.remove()
	if err := l.lay(s.awaitFirst); err != nil {
		s.fault(0, err)
		return 1
	}
	go s.reap()
	if !l.Main {
		if err := s.idle(); err != nil {
			s.fault(0, err)
			return 1
		}
	}
	a := answer{Done: true, Memory: l.memory}
	if s.unguarded != nil {
		a.Unguarded = s.unguarded.Error()
	}
	if err := s.send(a); err != nil {
		return 1
	}
	s.serve()
	s.end()
	return 0
}

// request is what the process is told. ID counts up; files come with it.
type request struct {
	Op     string // again, layer, remove; warm, layout, main, exec, kill, pack or unpack
	ID     int
	Layout *layout  `json:",omitempty"`
	Args   []string `json:",omitempty"`
	Env    []string `json:",omitempty"`
	Path   string   `json:",omitempty"` // a directory, or what is packed
	User   string   `json:",omitempty"`
	TTY    bool     `json:",omitempty"`
	Opaque string   `json:",omitempty"`
	Owners bool     `json:",omitempty"`
}

// answer is what the sandbox says of a request: that it began, or that it ended.
type answer struct {
	ID        int
	Done      bool
	Exit      int
	Fault     string `json:",omitempty"`
	Errno     int    `json:",omitempty"` // of the fault, where the kernel said it
	Escape    bool   // the fault is a name that leaves its directory
	Memory    bool   // what is written is kept in memory
	Unguarded string `json:",omitempty"` // why the machine's metadata is not out of reach
	Touched   string `json:",omitempty"` // what was kept out of reach, tried for the first time
}

// fault returns the error an answer tells, which errors.Is knows as it was.
func (a answer) fault() error {
	switch {
	case a.Fault == "":
		return nil
	case a.Escape:
		return &told{a.Fault, untar.ErrEscape}
	case a.Errno != 0:
		return &told{a.Fault, syscall.Errno(a.Errno)}
	}
	return errors.New(a.Fault)
}

// told is an error that came over a socket.
type told struct {
	text string
	err  error
}

func (t *told) Error() string { return t.text }
func (t *told) Unwrap() error { return t.err }

// server answers one client.
type server struct {
	conn    *net.UnixConn
	sending sync.Mutex
	layout  *layout
	groups  []*os.File    // by which a process joins a control group
	first   int           // the first process
	orders  *net.UnixConn // to it

	unguarded error // why the machine's metadata is not out of reach

	mu      sync.Mutex
	running map[int]int // process to request
}

// maxMessage is how large a request may be, in bytes: a command line may have 2 MiB.
const maxMessage = 8 << 20

// receive returns the next request with its files. Each is its length in eight
// bytes of text, which carry the files, and JSON.
func (s *server) receive() (request, []*os.File, error) {
	head, rights := make([]byte, 8), make([]byte, unix.CmsgSpace(4*4))
	n, oob, _, _, err := s.conn.ReadMsgUnix(head, rights)
	if err != nil || n == 0 {
		return request{}, nil, errors.Join(err, io.EOF)
	}
	if _, err := io.ReadFull(s.conn, head[n:]); err != nil {
		return request{}, nil, err
	}
	length, err := strconv.ParseUint(string(head), 16, 32)
	if err != nil || length > maxMessage {
		return request{}, nil, fmt.Errorf("a request of %q bytes", head)
	}
	text := make([]byte, length)
	if _, err := io.ReadFull(s.conn, text); err != nil {
		return request{}, nil, err
	}
	files, err := filesOf(rights[:oob])
	if err != nil {
		return request{}, nil, err
	}
	var r request
	return r, files, json.Unmarshal(text, &r)
}

func filesOf(rights []byte) ([]*os.File, error) {
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil {
		return nil, err
	}
	var files []*os.File
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			return nil, err
		}
		for _, fd := range fds {
			unix.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "stream"))
		}
	}
	return files, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

func (s *server) send(a answer) error {
	text, err := json.Marshal(a)
	if err != nil {
		return err
	}
	s.sending.Lock()
	defer s.sending.Unlock()
	_, err = s.conn.Write(append(text, '\n'))
	return err
}

// serve answers until the client is gone.
func (s *server) serve() {
	for {
		r, files, err := s.receive()
		if err != nil {
			return
		}
		switch r.Op {
		case "main", "exec":
			s.run(r, files)
			closeAll(files)
		case "kill":
			s.kill(r.ID)
		default:
			go s.copy(r, files[0])
		}
	}
}

// done answers a request that has ended.
func (s *server) done(id int, err error) {
	if err != nil {
		s.fault(id, err)
		return
	}
	_ = s.send(answer{ID: id, Done: true})
}

// fault answers a request that cannot be done.
func (s *server) fault(id int, err error) {
	a := answer{ID: id, Done: true, Fault: err.Error(), Escape: errors.Is(err, untar.ErrEscape)}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		a.Errno = int(errno)
	} else if errors.Is(err, fs.ErrNotExist) {
		a.Errno = int(syscall.ENOENT)
	}
	_ = s.send(a)
}

// end ends all processes but this one, so that what they wrote can be removed.
func (s *server) end() {
	_ = syscall.Kill(-1, syscall.SIGKILL)
	s.mu.Lock() // who reaps waits
	defer s.mu.Unlock()
	for {
		if _, err := syscall.Wait4(-1, nil, 0, nil); err != nil && err != syscall.EINTR {
			return
		}
	}
}

// kill ends a process and its group.
func (s *server) kill(id int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for pid, owner := range s.running {
		if owner == id {
			_ = syscall.Kill(-pid, syscall.SIGKILL)
		}
	}
}

// reap waits for all that ends: it is the parent of what it has started.
func (s *server) reap() {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGCHLD)
	for range ended {
		for s.reapOne() {
		}
	}
}

func (s *server) reapOne() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	var status syscall.WaitStatus
	pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
	if err == syscall.EINTR {
		return true
	}
	if err != nil || pid <= 0 {
		return false
	}
	if id, ours := s.running[pid]; ours && (status.Exited() || status.Signaled()) {
		delete(s.running, pid)
		exit := status.ExitStatus()
		if status.Signaled() {
			exit = 128 + int(status.Signal())
		}
		_ = s.send(answer{ID: id, Done: true, Exit: exit})
	}
	return true
}
