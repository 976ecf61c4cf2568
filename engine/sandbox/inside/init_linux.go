package inside

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// firstName is the name of the program that becomes the first process.
const firstName = "buildlocal-sandbox-first"

// execRequest is the message to the first process. Its three streams come with it, or the
// files of the control groups to join.
type execRequest struct {
	Join    bool     // join control groups, and wait for the next request
	Drop    []int    // capabilities that no process gets
	Program string   // path of the program to execute; empty to wait for the end of the sandbox
	Args    []string // of the program, with its name
	Env     []string
	Dir     string
	User    *syscall.Credential // nil for root
}

// ready is sent when the process no longer needs the host's files.
const ready = '+'

// startFirst starts the first process of a process namespace, in which all processes of the
// build run. There, kill -9 -1 of the build does not hit the server, and only a process in
// the namespace can mount its /proc. It starts before the file system is mounted, in which
// this program may lack its shared libraries, and then waits for its request.
func (s *server) startFirst() error {
	if err := unix.Unshare(unix.CLONE_NEWPID); err != nil {
		return fmt.Errorf("make a namespace of processes: %w", err)
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(pair[1])
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	s.orders = pair[0]
	// This program's environment is not passed on: the build can read /proc/1/environ.
	s.first, err = syscall.ForkExec("/proc/self/exe", []string{firstName}, &syscall.ProcAttr{
		Env: []string{}, Files: []uintptr{null.Fd(), null.Fd(), null.Fd(), uintptr(pair[1])},
		Sys: &syscall.SysProcAttr{Setsid: true},
	})
	return err
}

// awaitFirst waits until the first process has been loaded: until then it needs the
// libraries of the host.
func (s *server) awaitFirst() error {
	if _, err := io.ReadFull(stream(s.orders), make([]byte, 1)); err != nil {
		return fmt.Errorf("start the first process: %w", err)
	}
	return nil
}

// sendInit sends its request to the first process, and drops capabilities of all processes
// that are started afterwards.
func (s *server) sendInit(o execRequest, files []int) error {
	defer unix.Close(s.orders)
	o.Drop = s.layout.removedCapabilities()
	if err := send(s.orders, o, files); err != nil {
		return err
	}
	// The socket is closed by exec, or by a first process that waits: then nothing is read.
	complaint, err := io.ReadAll(stream(s.orders))
	if err == nil && len(complaint) > 0 {
		err = errors.New(string(complaint))
	}
	if err == nil && len(o.Drop) > 0 {
		err = installFilter()
	}
	return errors.Join(err, drop(o.Drop))
}

// installFilter refuses system calls that an unprivileged build does not need, for
// everything that this thread starts. On kernels without filters the build runs without it.
func installFilter() error {
	_, err := install(program(forbidden), 0)
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) {
		return nil
	}
	return err
}

// private are the files of the first process in /proc through which others could read its
// memory or write to its streams.
var private = []string{"/proc/1/mem", "/proc/1/fd", "/proc/1/map_files", "/proc/1/task"}

// hide mounts something empty over the private files. Errors are ignored: it is a
// precaution that is not possible everywhere, for example if /proc is the host's.
func hide() {
	for _, name := range private {
		if syscall.Mount("/dev/null", name, "", syscall.MS_BIND, "") != nil { // it is a directory
			_ = syscall.Mount(
				"tmpfs",
				name,
				"tmpfs",
				syscall.MS_RDONLY|syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC,
				"size=4k,mode=555",
			)
		}
	}
}

// idle makes the first process wait, if the build has none of its own.
func (s *server) idle() error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	fd := int(null.Fd())
	return s.sendInit(execRequest{}, []int{fd, fd, fd})
}

// runInit is the main function of the first process. It returns its exit code if it does
// not execute another program.
func runInit() int {
	unix.CloseOnExec(Socket)
	_, _ = stream(Socket).Write([]byte{ready})
	var o execRequest
	streams, err := receive(Socket, &o)
	if err == nil && o.Join {
		joinGroups(streams)
		o = execRequest{}
		streams, err = receive(Socket, &o)
	}
	if err == nil {
		err = o.follow(streams)
	}
	_, _ = stream(Socket).Write([]byte(err.Error()))
	return 1
}

// joinGroups moves this thread, which will execute the build's program, into control groups.
// In version 1 the files move single threads. Then the kernel need not wait until all
// processors have passed a quiescent state (RCU), which takes about 10 ms when another
// process or a whole process is moved. In version 2 they move the process, while the
// server mounts the file system.
func joinGroups(files []int) {
	for _, f := range files {
		_, _ = unix.Write(f, []byte("0"))
		_ = unix.Close(f)
	}
}

// settings are the files with which root changes the host instead of the sandbox. They are
// read-only for unprivileged builds, as in Docker.
var settings = []string{"/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs"}

// follow carries out the request. It returns only on errors. The user is changed last,
// because mounts and restrictions require the capabilities of root. Dropped capabilities are
// lost with the next exec only, see PR_CAPBSET_DROP in prctl(2).
func (o execRequest) follow(streams []int) error {
	// In a container, where parts of /proc are masked, mounting a new one is refused, and the
	// old one stays.
	const plain = syscall.MS_NOSUID | syscall.MS_NODEV | syscall.MS_NOEXEC
	own := syscall.Mount("proc", "/proc", "proc", plain, "") == nil
	for _, name := range settings {
		if len(o.Drop) > 0 && syscall.Mount(name, name, "", syscall.MS_BIND, "") == nil {
			_ = syscall.Mount("none", name, "", syscall.MS_REMOUNT|syscall.MS_BIND|syscall.MS_RDONLY|plain, "")
		}
	}
	if own && len(o.Drop) > 0 {
		hide()
	}
	if err := o.restrict(); err != nil {
		return err
	}
	for i, s := range streams {
		if err := syscall.Dup3(s, i, 0); err != nil {
			return err
		}
	}
	if o.Program == "" {
		_ = syscall.Close(Socket)
		wait()
	}
	if err := setUser(o.User); err != nil {
		return fmt.Errorf("become another user: %w", err)
	}
	if err := os.Chdir(o.Dir); err != nil {
		return err
	}
	return syscall.Exec(o.Program, o.Args, o.Env)
}

// restrict drops the privileges that an unprivileged build does not get.
func (o execRequest) restrict() error {
	if len(o.Drop) == 0 {
		return nil
	}
	return errors.Join(drop(o.Drop), installFilter())
}

// setUser changes the user of all threads of this process. Setuid is last, because another
// user than root may not change groups.
func setUser(user *syscall.Credential) error {
	if user == nil {
		return nil
	}
	groups := make([]int, 0, len(user.Groups))
	for _, g := range user.Groups {
		groups = append(groups, int(g))
	}
	return errors.Join(syscall.Setgroups(groups), syscall.Setgid(int(user.Gid)), syscall.Setuid(int(user.Uid)))
}

// wait waits forever, and reaps orphaned processes: their new parent is the first process
// of the namespace.
func wait() {
	for {
		if _, err := syscall.Wait4(-1, nil, 0, nil); err == syscall.ECHILD {
			time.Sleep(time.Second)
		}
	}
}
