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
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// initName is what the first process of a sandbox is called. It is this program,
// run once more.
const initName = "buildlocal-sandbox-init"

// IsInit reports whether the program was run to be the first process of a
// sandbox. The main function asks before anything else.
func IsInit(args []string) bool { return len(args) > 0 && args[0] == initName }

// Init is the first process of a sandbox: it lays the file system, starts what it
// is told to and reaps what ends. It ends, and all in the sandbox with it, when
// whoever started it does. It returns the exit code of the process.
func Init() int {
	runtime.LockOSThread() // what is dropped is dropped by thread, and this one starts all processes
	conn, err := net.FileConn(os.NewFile(3, "socket"))
	if err != nil {
		return 1
	}
	s := &server{conn: conn.(*net.UnixConn), running: map[int]int{}}
	first, files, err := s.receive()
	if err != nil {
		return 1
	}
	closeAll(files)
	if err := lay(*first.Layout); err != nil {
		_ = s.send(answer{Fault: err.Error()})
		return 1
	}
	if err := s.send(answer{}); err != nil {
		return 1
	}
	go s.reap()
	s.serve()
	return 0 // the kernel kills all that is left
}

// request is what the sandbox is told. ID counts up; files come with it.
type request struct {
	Op     string // layout, exec, kill, pack or unpack
	ID     int
	Layout *layout  `json:",omitempty"`
	Args   []string `json:",omitempty"`
	Env    []string `json:",omitempty"`
	Path   string   `json:",omitempty"` // a directory, or what is packed
	User   string   `json:",omitempty"`
	TTY    bool     `json:",omitempty"`
}

// answer is what the sandbox says of a request: that it began, or that it ended.
type answer struct {
	ID      int
	Done    bool
	Exit    int
	Fault   string `json:",omitempty"`
	Missing bool   // the fault is that there is no such file
	Name    string // what is packed, its links followed
}

// server answers one client.
type server struct {
	conn    *net.UnixConn
	sending sync.Mutex

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
		case "exec":
			s.exec(r, files)
			closeAll(files)
		case "kill":
			s.kill(r.ID)
		default:
			go s.copy(r, files[0])
		}
	}
}

// fault answers a request that cannot be done.
func (s *server) fault(id int, err error) {
	_ = s.send(answer{ID: id, Done: true, Fault: err.Error(), Missing: errors.Is(err, fs.ErrNotExist)})
}

func (s *server) exec(r request, files []*os.File) {
	program, err := lookPath(r.Args[0], r.Env, r.Path)
	if err != nil {
		s.fault(r.ID, err)
		return
	}
	attr := &syscall.SysProcAttr{Setsid: true}
	if r.TTY {
		attr.Setctty, attr.Ctty = true, 0
	}
	if attr.Credential, err = credential(r.User); err != nil {
		s.fault(r.ID, err)
		return
	}
	dir := r.Path
	if dir == "" {
		dir = "/"
	}
	s.mu.Lock() // not reaped before it is known
	defer s.mu.Unlock()
	pid, err := syscall.ForkExec(program, r.Args, &syscall.ProcAttr{
		Dir: dir, Env: r.Env, Sys: attr, Files: []uintptr{files[0].Fd(), files[1].Fd(), files[2].Fd()},
	})
	if err != nil {
		s.fault(r.ID, fmt.Errorf("run %s: %w", r.Args[0], err))
		return
	}
	s.running[pid] = r.ID
	_ = s.send(answer{ID: r.ID})
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

// reap waits for all that ends: it is the parent of what has lost its own.
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

// lookPath finds a program as a shell does, with the PATH it will have.
func lookPath(name string, env []string, dir string) (string, error) {
	if strings.Contains(name, "/") {
		if !filepath.IsAbs(name) {
			name = filepath.Join("/", dir, name)
		}
		_, err := os.Stat(name)
		return name, err
	}
	path := ""
	for _, v := range env {
		if value, ok := strings.CutPrefix(v, "PATH="); ok {
			path = value
		}
	}
	for _, dir := range filepath.SplitList(path) {
		file := filepath.Join(dir, name)
		if info, err := os.Stat(file); err == nil && !info.IsDir() && info.Mode()&0o111 != 0 {
			return file, nil
		}
	}
	return "", fmt.Errorf("run %s: %w in PATH", name, fs.ErrNotExist)
}

// credential returns who a process runs as: a name, or numbers as uid[:gid]. Nil
// means root.
func credential(user string) (*syscall.Credential, error) {
	if user == "" || user == "0" || user == "root" {
		return nil, nil
	}
	name, group, _ := strings.Cut(user, ":")
	line, found := passwd("/etc/passwd", name)
	if uid, err := strconv.ParseUint(name, 10, 32); err == nil {
		c := &syscall.Credential{Uid: uint32(uid)}
		if found {
			c.Gid = number(line[3])
		}
		if group != "" {
			c.Gid = number(group)
		}
		return c, nil
	}
	if !found {
		return nil, fmt.Errorf("there is no user %s", name)
	}
	return &syscall.Credential{Uid: number(line[2]), Gid: number(line[3]), Groups: groupsOf(name)}, nil
}

// passwd returns the fields of a user's line, by name or number.
func passwd(file, user string) ([]string, bool) {
	text, _ := os.ReadFile(file)
	for _, line := range strings.Split(string(text), "\n") {
		if fields := strings.Split(line, ":"); len(fields) >= 4 && (fields[0] == user || fields[2] == user) {
			return fields, true
		}
	}
	return nil, false
}

func groupsOf(user string) []uint32 {
	text, _ := os.ReadFile("/etc/group")
	var groups []uint32
	for _, line := range strings.Split(string(text), "\n") {
		fields := strings.Split(line, ":")
		if len(fields) == 4 && strings.Contains(","+fields[3]+",", ","+user+",") {
			groups = append(groups, number(fields[2]))
		}
	}
	return groups
}

func number(text string) uint32 {
	n, _ := strconv.ParseUint(text, 10, 32)
	return uint32(n)
}
