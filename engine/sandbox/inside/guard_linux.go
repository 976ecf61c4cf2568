package inside

import (
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Metadata is an address that is blocked because a cloud publishes credentials there.
type Metadata struct {
	Name    string   // in its usual notation
	Address [16]byte // an IPv4 address as ::ffff:a.b.c.d
}

// address is an internet address, as in Metadata.
type address [16]byte

func v4(of [4]byte) address {
	return address{10: 0xff, 11: 0xff, 12: of[0], 13: of[1], 14: of[2], 15: of[3]}
}

// translated is the prefix of IPv6 addresses that represent IPv4 addresses in networks with
// address translation (RFC 6052).
var translated = [12]byte{0x00, 0x64, 0xff, 0x9b}

// plain returns the IPv4 address that a represents, or else a. Addresses in ::/96 are
// "IPv4-compatible" (RFC 4291, deprecated).
func (a address) plain() address {
	if prefix := [12]byte(a[:12]); prefix == translated || prefix == [12]byte{} {
		return v4([4]byte(a[12:]))
	}
	return a
}

// dns is a port that is not blocked: the resolver of a cloud may have such an address.
const dns = 53

// Redirect is the address of a service of this program, which may be a metadata address.
type Redirect struct {
	Address string // as the build knows it, such as 169.254.170.2
	Port    int
	Local   int // its port of 127.0.0.1
}

// connectGuard decides about connections. It runs in the server, outside the process
// namespace of the build, which therefore cannot kill it.
type connectGuard struct {
	listener int                // file descriptor of the notifications
	metadata map[address]string // names of the blocked addresses

	mu      sync.Mutex
	open    bool // metadata addresses are allowed
	detours []Redirect
}

// set changes the decisions. They are known only when the build has been read, after the
// filter was installed. A nil guard is that of a kernel without notifications.
func (g *connectGuard) set(open bool, detours []Redirect) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open, g.detours = open, detours
}

// newConnectGuard makes the kernel report, for everything that this thread starts, each
// system call that can send data to an address. handle refuses those to metadata addresses.
// A program that changes the address while it is being read evades that: it stops builds
// that look for credentials in the usual way, not attackers. touched is called once for
// each address that was tried.
func newConnectGuard(metadata []Metadata, touched func(address string)) (*connectGuard, error) {
	listener, err := install(program(asked), unix.SECCOMP_FILTER_FLAG_NEW_LISTENER)
	if err != nil {
		return nil, err
	}
	unix.CloseOnExec(listener)
	// The kernel may switch to the other thread immediately, since 6.6.
	_, _, _ = unix.Syscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_SET_FLAGS, syncWakeUp)
	g := &connectGuard{listener: listener, metadata: map[address]string{}}
	for _, m := range metadata {
		g.metadata[m.Address] = m.Name
	}
	go func() {
		reported := map[string]bool{}
		for {
			name, err := g.handle()
			if err != nil {
				return
			}
			if name != "" && !reported[name] {
				reported[name] = true
				go touched(name) // its sending is reported too, so waiting for it here would block forever
			}
		}
	}()
	return g, nil
}

// syncWakeUp is SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP.
const syncWakeUp = 1

// notification is struct seccomp_notif.
type notification struct {
	id         uint64
	pid, flags uint32
	number     int32
	arch       uint32
	ip         uint64
	args       [6]uint64
}

// notificationReply is struct seccomp_notif_resp.
type notificationReply struct {
	id    uint64
	value int64
	error int32
	flags uint32
}

// handle handles one notification. It returns the name of the metadata address that was
// refused. An error means that no process is left that could cause notifications.
func (g *connectGuard) handle() (name string, err error) {
	var q notification
	_, _, errno := unix.Syscall(
		unix.SYS_IOCTL,
		uintptr(g.listener),
		unix.SECCOMP_IOCTL_NOTIF_RECV,
		uintptr(unsafe.Pointer(&q)),
	)
	if errno == unix.EINTR || errno == unix.ENOENT { // the process is gone
		return "", nil
	}
	if errno != 0 {
		return "", errno
	}
	// The thread that made the call waits for the reply. Without a decision the kernel
	// continues with the call as it is.
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

// decide returns the result of a system call that the kernel does not carry out (ours is
// true), and the name of the address for which it was refused.
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
		// Programs take "no route to host" for a machine without metadata and go on, whereas a
		// timeout would cost them seconds. Redirects are for TCP: they are not for sending.
		if detour != nil || no {
			return unix.EHOSTUNREACH, g.metadata[a], true
		}
	}
	return 0, "", false
}

// route returns whether a connection is redirected or forbidden. Redirects also apply if
// metadata addresses are allowed: 169.254.170.2 is then still a service of this program.
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

// redirect replaces the socket of a process that connects by one that is connected to a
// port of the host. That also works for a process in its own network namespace, which
// cannot reach that port. It returns the error for the process, or 0.
func (g *connectGuard) redirect(c call, q notification, port int) unix.Errno {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return unix.EHOSTUNREACH
	}
	defer unix.Close(s)
	if err := retry(func() error {
		return unix.Connect(s,
			&unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
	}); err != nil {
		return unix.ECONNREFUSED
	}
	kind, flags := socketOf(int(q.pid), c.socket)
	if kind != unix.SOCK_STREAM {
		return unix.EHOSTUNREACH
	}
	// The new socket is connected already. That is a valid result for a non-blocking one too,
	// which its process then uses with the same flag.
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
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(g.listener), unix.SECCOMP_IOCTL_NOTIF_ADDFD,
		uintptr(unsafe.Pointer(&add))); errno != 0 {
		return errno
	}
	return 0
}

// socketOf returns the type and the flags of a process's socket. If the kernel does not
// allow that, it returns those of a blocking stream socket.
func socketOf(pid, fd int) (kind, flags int) {
	process, err := unix.PidfdOpen(pid, 0)
	if err == unix.EINVAL || err == unix.ENOENT { // pid may be that of a thread, which only newer kernels accept
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
