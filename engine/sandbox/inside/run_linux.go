package inside

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/moby/sys/user"
	"golang.org/x/sys/unix"
)

// run starts a process: Main or another one.
func (s *server) run(r Request, files []int) {
	program, err := lookPath(r.Args[0], r.Env, r.Path)
	if err != nil {
		s.fault(r.ID, err)
		return
	}
	who, err := credential(r.User)
	if err != nil {
		s.fault(r.ID, err)
		return
	}
	if r.TTY {
		if files, err = terminal(files[0]); err != nil {
			s.fault(r.ID, fmt.Errorf("open a terminal: %w", err))
			return
		}
		defer closeAll(files[:1])
	}
	dir := r.Path
	if dir == "" {
		dir = "/"
	}
	s.mu.Lock() // it must not be reaped before it is registered
	defer s.mu.Unlock()
	pid := 0
	if r.Op == Main {
		pid = s.first
		err = s.sendInit(execRequest{Program: program, Args: r.Args, Env: r.Env, Dir: dir, User: who}, files)
	} else {
		attr := &syscall.SysProcAttr{Setsid: true, Setctty: r.TTY, Credential: who}
		pid, err = s.start(program, r.Args, &syscall.ProcAttr{Dir: dir, Env: r.Env, Files: numbers(files), Sys: attr})
	}
	if err == syscall.ENOMEM { // from fork after the end of the first process, see pid_namespaces(7)
		err = errors.New("the process that the sandbox lives for has ended")
	}
	if err != nil {
		s.fault(r.ID, fmt.Errorf("run %s: %w", r.Args[0], err))
		return
	}
	s.running[pid] = r.ID
	s.send(Response{ID: r.ID})
}

// start starts a process in the control groups. It is held at its first instruction until
// it has joined them; otherwise it could use resources and start processes before. Where
// ptrace is not permitted, it may do so for a moment.
func (s *server) start(program string, args []string, attr *syscall.ProcAttr) (int, error) {
	if len(s.groups) == 0 {
		return syscall.ForkExec(program, args, attr)
	}
	attr.Sys.Ptrace = true // of this thread, which starts all processes
	pid, err := syscall.ForkExec(program, args, attr)
	if err == syscall.EPERM || err == syscall.EACCES || err == syscall.ENOSYS {
		attr.Sys.Ptrace = false
		if pid, err = syscall.ForkExec(program, args, attr); err == nil {
			s.join(pid)
		}
		return pid, err
	}
	if err != nil {
		return 0, err
	}
	// If it was killed, the reaper must see that: WNOWAIT.
	_ = retry(func() error { return unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WSTOPPED|unix.WNOWAIT, nil) })
	s.join(pid)
	_ = syscall.PtraceDetach(pid)
	return pid, nil
}

// join moves a process into the control groups.
func (s *server) join(pid int) {
	for _, g := range s.groups {
		if pid > 0 {
			_, _ = unix.Write(g, []byte(strconv.Itoa(pid)))
		}
	}
}

// drop drops capabilities of everything that this thread starts.
func drop(capabilities []int) error {
	for _, capability := range capabilities {
		err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(capability), 0, 0, 0)
		if err != nil && err != unix.EINVAL { // unknown to this kernel
			return fmt.Errorf("drop a capability: %w", err)
		}
	}
	return nil
}

func numbers(files []int) []uintptr {
	var all []uintptr
	for _, f := range files {
		all = append(all, uintptr(f))
	}
	return all
}

// terminal opens a terminal in the sandbox and sends its other end over a socket. It
// returns the three streams, which are one descriptor.
func terminal(socket int) ([]int, error) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer master.Close()
	// These are unlockpt(3) and ptsname(3): a new terminal is locked.
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		return nil, err
	}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		return nil, err
	}
	slave, err := unix.Open(fmt.Sprintf("/dev/pts/%d", number), unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.Sendmsg(socket, []byte{0}, unix.UnixRights(int(master.Fd())), nil, 0); err != nil {
		return nil, errors.Join(err, unix.Close(slave))
	}
	return []int{slave, slave, slave}, nil
}

// lookPath finds a program as a shell does, with the PATH of the process.
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

// credential returns the user of a process, given as user[:group], each a name or a number. It
// returns nil for root. The rules are Docker's: names are those of the sandbox, a number need not
// have a line in /etc/passwd, whose group is then 0, and with a group the user is in no other.
func credential(name string) (*syscall.Credential, error) {
	if name == "" || name == "0" || name == "root" {
		return nil, nil
	}
	u, err := user.GetExecUserPath(name, nil, "/etc/passwd", "/etc/group")
	account, group, _ := strings.Cut(name, ":")
	switch {
	case errors.Is(err, user.ErrNoPasswdEntries):
		return nil, fmt.Errorf("there is no user %s", account)
	case errors.Is(err, user.ErrNoGroupEntries):
		return nil, fmt.Errorf("there is no group %s", group)
	case err != nil:
		return nil, err
	}
	c := &syscall.Credential{Uid: uint32(u.Uid), Gid: uint32(u.Gid)}
	for _, id := range u.Sgids {
		c.Groups = append(c.Groups, uint32(id))
	}
	return c, nil
}

// User returns the fields of a user's line in a file such as /etc/passwd, given a name or
// number.
func User(file, user string) ([]string, bool) {
	text, _ := os.ReadFile(file)
	for _, line := range strings.Split(string(text), "\n") {
		if fields := strings.Split(line, ":"); len(fields) >= 4 && (fields[0] == user || fields[2] == user) {
			return fields, true
		}
	}
	return nil, false
}
