package inside

import (
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Metadata is an address at which a cloud tells this machine its credentials.
type Metadata struct {
	Name    string   // as it is usually written
	Address [16]byte // one of version 4 as ::ffff:a.b.c.d
}

// address is an internet address, as in Metadata.
type address [16]byte

func v4(of [4]byte) address {
	return address{10: 0xff, 11: 0xff, 12: of[0], 13: of[1], 14: of[2], 15: of[3]}
}

// translated is the prefix of addresses that stand for those of version 4 where a
// network translates them (RFC 6052).
var translated = [12]byte{0x00, 0x64, 0xff, 0x9b}

// plain returns an address of version 4 if a stands for one.
func (a address) plain() address {
	if prefix := [12]byte(a[:12]); prefix == translated || prefix == [12]byte{} {
		return v4([4]byte(a[12:]))
	}
	return a
}

// dns is a port that stays open: a cloud may have its resolver at such an address.
const dns = 53

// Detour is an address of a service of ours, which the build reaches in place of
// the machine's metadata.
type Redirect struct {
	Address string // as the build knows it, such as 169.254.170.2
	Port    int
	Local   int // the port of 127.0.0.1 where it is
}

// gate decides where connections may go.
type connectGuard struct {
	listener int
	metadata map[address]string

	mu      sync.Mutex
	open    bool // the machine's metadata too
	detours []Redirect
}

// set says where connections may go from now on.
func (g *connectGuard) set(open bool, detours []Redirect) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open, g.detours = open, detours
}

// guard keeps what this thread starts from reaching the machine's metadata: the kernel
// asks here before each system call that can send something to an address, and answer
// says no. A program that changes the address while it is read gets around it; a build
// that looks for credentials by accident finds none. touched is told once of each
// address that was tried.
func newConnectGuard(metadata []Metadata, touched func(address string)) (*connectGuard, error) {
	listener, err := install(program(asked), unix.SECCOMP_FILTER_FLAG_NEW_LISTENER)
	if err != nil {
		return nil, err
	}
	unix.CloseOnExec(listener)
	// The kernel hands over to the other side at once, where it can (since 6.6).
	_, _, _ = unix.Syscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_SET_FLAGS, syncWakeUp)
	g := &connectGuard{listener: listener, metadata: map[address]string{}}
	for _, m := range metadata {
		g.metadata[m.Address] = m.Name
	}
	go func() {
		told := map[string]bool{}
		for {
			name, err := g.handle()
			if err != nil {
				return
			}
			if name != "" && !told[name] {
				told[name] = true
				go touched(name) // who waits for the other thread, whose sending asks here, would wait forever
			}
		}
	}()
	return g, nil
}

// syncWakeUp is SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP.
const syncWakeUp = 1

// question is what the kernel asks, struct seccomp_notif.
type notification struct {
	id         uint64
	pid, flags uint32
	number     int32
	arch       uint32
	ip         uint64
	args       [6]uint64
}

// reply is what it is answered, struct seccomp_notif_resp.
type notificationReply struct {
	id    uint64
	value int64
	error int32
	flags uint32
}

// answer answers one question: it returns the name of the address that a process may
// not reach. The error is that nobody is left who could ask.
func (g *connectGuard) handle() (name string, err error) {
	var q notification
	_, _, errno := unix.Syscall(
		unix.SYS_IOCTL,
		uintptr(g.listener),
		unix.SECCOMP_IOCTL_NOTIF_RECV,
		uintptr(unsafe.Pointer(&q)),
	)
	if errno == unix.EINTR || errno == unix.ENOENT { // the process that asked is gone
		return "", nil
	}
	if errno != 0 {
		return "", errno
	}
	r := notificationReply{id: q.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
	if e, refusedName, ours := g.decide(q); ours {
		name = refusedName
		r.flags, r.error = 0, -int32(e)
	}
	_, _, errno = unix.Syscall(
		unix.SYS_IOCTL,
		uintptr(g.listener),
		unix.SECCOMP_IOCTL_NOTIF_SEND,
		uintptr(unsafe.Pointer(&r)),
	)
	if errno != 0 && errno != unix.ENOENT && errno != unix.EINTR {
		return name, errno
	}
	return name, nil
}

// decide returns how a system call ends, if it is not the kernel that carries it out,
// and the name of the address for which it was refused.
func (g *connectGuard) decide(q notification) (e unix.Errno, name string, ours bool) {
	c := q.call()
	if c.packet {
		return unix.EPERM, "", true
	}
	for _, to := range c.to {
		a, port, known := readAddress(int(q.pid), to, c.connects)
		if !known {
			continue
		}
		detour, no := g.route(a, port)
		if detour != nil && c.connects {
			return g.redirect(c, q, detour.Local), "", true
		}
		if detour != nil || no {
			return unix.EHOSTUNREACH, g.metadata[a], true
		}
	}
	return 0, "", false
}

// way says whether a connection is led elsewhere, or may not be made.
func (g *connectGuard) route(to address, port uint16) (detour *Redirect, forbidden bool) {
	name := g.metadata[to]
	if name == "" || port == dns {
		return nil, false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, d := range g.detours {
		if d.Address == name && d.Port == int(port) {
			return &d, false
		}
	}
	return nil, !g.open
}

// replacement is struct seccomp_notif_addfd.
type replacement struct {
	id                          uint64
	flags, source, target, more uint32
}

// lead gives a process that connects a socket in the place of its own, which is
// connected to a port of this machine: also one in a network of its own, where that
// port is not. It returns why it cannot, or 0.
func (g *connectGuard) redirect(c call, q notification, port int) unix.Errno {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return unix.EHOSTUNREACH
	}
	defer unix.Close(s)
	if err := retry(func() error { return unix.Connect(s, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}) }); err != nil {
		return unix.ECONNREFUSED
	}
	kind, flags := socketOf(int(q.pid), c.socket)
	if kind != unix.SOCK_STREAM {
		return unix.EHOSTUNREACH
	}
	if flags&unix.O_NONBLOCK != 0 {
		_ = unix.SetNonblock(s, true)
	}
	add := replacement{
		id:     q.id,
		flags:  unix.SECCOMP_ADDFD_FLAG_SETFD,
		source: uint32(s),
		target: uint32(c.socket),
		more:   unix.O_CLOEXEC,
	}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(g.listener), unix.SECCOMP_IOCTL_NOTIF_ADDFD, uintptr(unsafe.Pointer(&add))); errno != 0 {
		return errno
	}
	return 0
}

// socketOf returns the kind and the flags of a process's socket. Where the kernel
// does not let us look, it is one of the common kind that waits.
func socketOf(pid, fd int) (kind, flags int) {
	process, err := unix.PidfdOpen(pid, 0)
	if err == unix.EINVAL || err == unix.ENOENT { // pid may be a thread's, which newer kernels take too
		process, err = unix.PidfdOpen(pid, unix.O_EXCL)
	}
	if err != nil {
		return unix.SOCK_STREAM, 0
	}
	defer unix.Close(process)
	s, err := unix.PidfdGetfd(process, fd, 0)
	if err != nil {
		return unix.SOCK_STREAM, 0
	}
	defer unix.Close(s)
	flags, _ = unix.FcntlInt(uintptr(s), unix.F_GETFL, 0)
	if kind, err = unix.GetsockoptInt(s, unix.SOL_SOCKET, unix.SO_TYPE); err != nil {
		kind = unix.SOCK_STREAM
	}
	return kind, flags
}
