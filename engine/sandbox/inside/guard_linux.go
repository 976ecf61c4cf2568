package inside

import (
	"fmt"
	"runtime"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// address is an internet address; one of version 4 as ::ffff:a.b.c.d.
type address [16]byte

func v4(a, b, c, d byte) address {
	return address{10: 0xff, 11: 0xff, 12: a, 13: b, 14: c, 15: d}
}

func v6(first, second, last uint16) address {
	return address{0: byte(first >> 8), 1: byte(first), 2: byte(second >> 8), 3: byte(second), 14: byte(last >> 8), 15: byte(last)}
}

// metadata are the addresses at which clouds tell a machine its credentials, as a
// person writes them.
var metadata = map[address]string{
	v4(169, 254, 169, 254):     "169.254.169.254", // EC2, GCP, Azure and others
	v4(169, 254, 170, 2):       "169.254.170.2",   // ECS, and CodeBuild
	v4(169, 254, 170, 23):      "169.254.170.23",  // EKS
	v4(100, 100, 100, 200):     "100.100.100.200", // Alibaba
	v6(0xfd00, 0x0ec2, 0x0254): "fd00:ec2::254",   // EC2
	v6(0xfd00, 0x0ec2, 0x0023): "fd00:ec2::23",    // EKS
}

// dns is a port that stays open: a cloud may have its resolver at such an address.
const dns = 53

// architectures are how the kernel calls what this program may be built for.
var architectures = map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64}

// Detour is an address of a service of ours, which the build reaches in place of
// the machine's metadata.
type Detour struct {
	Address string // as the build knows it, such as 169.254.170.2
	Port    int
	Local   int // the port of 127.0.0.1 where it is
}

// gate decides where connections may go.
type gate struct {
	listener int

	mu      sync.Mutex
	open    bool // the machine's metadata too
	detours []Detour
}

// set says where connections may go from now on.
func (g *gate) set(open bool, detours []Detour) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open, g.detours = open, detours
}

// guard keeps what this thread starts from connecting to the machine's metadata:
// the kernel asks here before each connect, and answer says no. Who wants to get
// around it can; a build that looks for credentials by accident finds none.
// touched is told once of each address that was tried.
func guard(touched func(address string)) (*gate, error) {
	listener, err := listenToConnects()
	if err != nil {
		return nil, fmt.Errorf("watch connections: %w", err)
	}
	g := &gate{listener: listener}
	go func() {
		told := map[string]bool{}
		for {
			name, err := g.answerConnect()
			if err != nil {
				return
			}
			if name != "" && !told[name] {
				told[name] = true
				touched(name)
			}
		}
	}()
	return g, nil
}

// listenToConnects has the kernel ask about each connect of this thread and what
// it starts, by the descriptor it returns.
func listenToConnects() (int, error) {
	architecture, known := architectures[runtime.GOARCH]
	if !known {
		return -1, unix.ENOSYS
	}
	const number, arch = 0, 4 // where they stand in what a filter sees
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: arch},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: architecture, Jf: 3},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: number},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_CONNECT, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return -1, errno
	}
	unix.CloseOnExec(int(fd))
	return int(fd), nil
}

// question is what the kernel asks, struct seccomp_notif.
type question struct {
	id         uint64
	pid, flags uint32
	number     int32
	arch       uint32
	ip         uint64
	args       [6]uint64
}

// reply is what it is answered, struct seccomp_notif_resp.
type reply struct {
	id    uint64
	value int64
	error int32
	flags uint32
}

// answerConnect answers one question: it returns the name of the address to which
// a process may not connect. The error is that nobody is left who could ask.
func (g *gate) answerConnect() (name string, err error) {
	var q question
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(g.listener), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(&q)))
	if errno == unix.EINTR || errno == unix.ENOENT { // who asked is gone
		return "", nil
	}
	if errno != 0 {
		return "", errno
	}
	r := reply{id: q.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
	to, port, known := readAddress(int(q.pid), uintptr(q.args[1]), int(q.args[2]))
	detour, forbidden := g.way(to, port, known)
	switch {
	case detour != nil:
		r.flags, r.error = 0, -int32(g.lead(q, detour.Local))
	case forbidden:
		name = metadata[to]
		r.flags, r.error = 0, -int32(unix.EHOSTUNREACH)
	}
	_, _, errno = unix.Syscall(unix.SYS_IOCTL, uintptr(g.listener), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(&r)))
	if errno != 0 && errno != unix.ENOENT && errno != unix.EINTR {
		return name, errno
	}
	return name, nil
}

// way says whether a connection is led elsewhere, or may not be made.
func (g *gate) way(to address, port uint16, known bool) (detour *Detour, forbidden bool) {
	name := metadata[to]
	if !known || name == "" || port == dns {
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
func (g *gate) lead(q question, port int) unix.Errno {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return unix.EHOSTUNREACH
	}
	defer unix.Close(s)
	if err := retry(func() error { return unix.Connect(s, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}) }); err != nil {
		return unix.ECONNREFUSED
	}
	kind, flags := socketOf(int(q.pid), int(q.args[0]))
	if kind != unix.SOCK_STREAM {
		return unix.EHOSTUNREACH
	}
	if flags&unix.O_NONBLOCK != 0 {
		_ = unix.SetNonblock(s, true)
	}
	add := replacement{id: q.id, flags: unix.SECCOMP_ADDFD_FLAG_SETFD, source: uint32(s), target: uint32(q.args[0]), more: unix.O_CLOEXEC}
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

// readAddress reads the internet address a process gave to the kernel.
func readAddress(pid int, at uintptr, length int) (to address, port uint16, known bool) {
	raw := make([]byte, unix.SizeofSockaddrInet6)
	raw = raw[:min(len(raw), max(length, 0))]
	if len(raw) < unix.SizeofSockaddrInet4 {
		return to, 0, false
	}
	n, err := unix.ProcessVMReadv(pid, []unix.Iovec{{Base: &raw[0], Len: uint64(len(raw))}}, []unix.RemoteIovec{{Base: at, Len: len(raw)}}, 0)
	if err != nil || n != len(raw) {
		return to, 0, false
	}
	family := *(*uint16)(unsafe.Pointer(&raw[0]))
	port = uint16(raw[2])<<8 | uint16(raw[3])
	switch {
	case family == unix.AF_INET:
		return v4(raw[4], raw[5], raw[6], raw[7]), port, true
	case family == unix.AF_INET6 && len(raw) >= 24:
		return address(raw[8:24]), port, true
	}
	return to, 0, false
}
