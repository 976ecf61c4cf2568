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

// firstName is what the process is called that becomes the first one.
const firstName = "buildlocal-sandbox-first"

// order is what it is told; the three streams come with it.
type execRequest struct {
	Drop    []int    // capabilities no process gets
	Program string   // path of what it becomes; empty to wait for its end
	Args    []string // of it, its name first
	Env     []string
	Dir     string
	User    *syscall.Credential // nil for root
}

// ready is what it writes when it needs nothing more of the machine's files.
const ready = '+'

// startFirst starts the first process of a namespace of processes, in which all is
// that is started from here. A process there is not hurt by kill -9 -1, and only
// one that is there can mount its /proc. It is started before the sandbox is laid,
// in which the program may have no libraries to run with, and waits for its order.
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
	s.first, err = syscall.ForkExec("/proc/self/exe", []string{firstName}, &syscall.ProcAttr{
		Env: []string{}, Files: []uintptr{null.Fd(), null.Fd(), null.Fd(), uintptr(pair[1])}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	return err
}

// awaitFirst waits until the first process no longer needs the machine's files: a
// program that is just being loaded may lack its libraries in an image.
func (s *server) awaitFirst() error {
	if _, err := io.ReadFull(stream(s.orders), make([]byte, 1)); err != nil {
		return fmt.Errorf("start the first process: %w", err)
	}
	return nil
}

// tell tells the first process what to become, and takes capabilities from all who
// come after it.
func (s *server) sendInit(o execRequest, files []int) error {
	defer unix.Close(s.orders)
	o.Drop = s.layout.removedCapabilities()
	s.join(s.first)
	if err := send(s.orders, o, files); err != nil {
		return err
	}
	complaint, err := io.ReadAll(stream(s.orders))
	if err == nil && len(complaint) > 0 {
		err = errors.New(string(complaint))
	}
	if err == nil && len(o.Drop) > 0 {
		err = installFilter()
	}
	return errors.Join(err, drop(o.Drop))
}

// forbid keeps what this thread starts from system calls that an unprivileged build has
// no business with. Where the kernel has no filters, the build runs without.
func installFilter() error {
	_, err := install(program(forbidden), 0)
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) {
		return nil
	}
	return err
}

// private is what of the first process's files in /proc would let others read its
// memory, and write to its streams.
var private = []string{"/proc/1/mem", "/proc/1/fd", "/proc/1/map_files", "/proc/1/task"}

// hide puts something empty in the place of the private files. It is a help, as where
// /proc is the machine's: what fails is left.
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

// idle makes the first process none of the build's.
func (s *server) idle() error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	fd := int(null.Fd())
	return s.sendInit(execRequest{}, []int{fd, fd, fd})
}

// beFirst is the whole program of the first process, where nothing becomes of it.
// It returns its exit code.
func runInit() int {
	unix.CloseOnExec(Socket)
	_, _ = stream(Socket).Write([]byte{ready})
	var o execRequest
	streams, err := receive(Socket, &o)
	if err == nil {
		err = o.follow(streams)
	}
	_, _ = stream(Socket).Write([]byte(err.Error()))
	return 1
}

// settings are where root changes the machine itself, not only the sandbox. A
// build that is not privileged reads them, as in Docker.
var settings = []string{"/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs"}

// follow does what it is told. It returns why it could not.
func (o execRequest) follow(streams []int) error {
	// Where some of /proc is hidden from this machine, as in a container, a new
	// one is refused, and the old one stays.
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

// restrict takes from this process what a build that is not privileged does not get.
func (o execRequest) restrict() error {
	if len(o.Drop) == 0 {
		return nil
	}
	return errors.Join(drop(o.Drop), installFilter())
}

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

// wait stays, and reaps those who lost their parent.
func wait() {
	for {
		if _, err := syscall.Wait4(-1, nil, 0, nil); err == syscall.ECHILD {
			time.Sleep(time.Second)
		}
	}
}
