package sandbox_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/sandbox"
)

// probeVariable makes the test's own program a probe that runs in a sandbox.
const probeVariable = "BUILDLOCAL_PROBE"

func TestMain(m *testing.M) {
	if os.Getenv(probeVariable) == "" {
		os.Exit(m.Run())
	}
	for _, p := range probes {
		fmt.Printf("%s: %s\n", p.name, unix.ErrnoName(p.try()))
	}
	if os.Getenv(probeVariable) == "calls" {
		return
	}
	for _, m := range engine.MetadataAddresses() {
		for name, send := range sends {
			fmt.Printf("%s %s: %s\n", name, m.Address, unix.ErrnoName(send(netip.MustParseAddr(m.Address), 80)))
		}
	}
	for name, errno := range foreign() {
		fmt.Printf("%s: %s\n", name, unix.ErrnoName(errno))
	}
	for name, send := range sends {
		fmt.Printf("%s resolver: %s\n", name, unix.ErrnoName(send(netip.MustParseAddr("169.254.169.254"), 53)))
		fmt.Printf("%s mapped: %s\n", name, unix.ErrnoName(send(netip.MustParseAddr("::ffff:169.254.169.254"), 80)))
		fmt.Printf("%s translated: %s\n", name, unix.ErrnoName(send(netip.MustParseAddr("64:ff9b::169.254.169.254"), 80)))
	}
}

// probe is a system call that a build makes.
type probe struct {
	name string
	want unix.Errno
	try  func() unix.Errno
}

func call(number uintptr, arguments ...uintptr) unix.Errno {
	a := append(arguments, 0, 0, 0, 0, 0, 0)
	_, _, errno := unix.Syscall6(number, a[0], a[1], a[2], a[3], a[4], a[5])
	return errno
}

func text(s string) uintptr {
	p, _ := unix.BytePtrFromString(s)
	return uintptr(unsafe.Pointer(p))
}

const session = -3 & (1<<32 - 1) // KEY_SPEC_SESSION_KEYRING

// first is the sandbox's first process.
const first = 1

var word [8]byte

func memory() (local, remote uintptr) {
	v := &unix.Iovec{Base: &word[0], Len: 8}
	return uintptr(unsafe.Pointer(v)), uintptr(unsafe.Pointer(&unix.RemoteIovec{Base: 4096, Len: 8}))
}

var probes = []probe{
	{"add_key", unix.EPERM, func() unix.Errno {
		return call(unix.SYS_ADD_KEY, text("user"), text("buildlocal-probe"), text("x"), 1, session)
	}},
	{"request_key", unix.EPERM, func() unix.Errno {
		return call(unix.SYS_REQUEST_KEY, text("user"), text("buildlocal-probe"), 0, session)
	}},
	{"keyctl", unix.EPERM, func() unix.Errno { return call(unix.SYS_KEYCTL, 0, session, 0) }},
	{"io_uring_setup", unix.ENOSYS, func() unix.Errno { return call(unix.SYS_IO_URING_SETUP, 1, 0) }},
	{"ptrace", unix.EPERM, func() unix.Errno { return call(unix.SYS_PTRACE, unix.PTRACE_SEIZE, first) }},
	{"process_vm_readv", unix.EPERM, func() unix.Errno {
		local, remote := memory()
		return call(unix.SYS_PROCESS_VM_READV, first, local, 1, remote, 1)
	}},
	{"process_vm_writev", unix.EPERM, func() unix.Errno {
		local, remote := memory()
		return call(unix.SYS_PROCESS_VM_WRITEV, first, local, 1, remote, 1)
	}},
	{"pidfd_getfd", unix.EPERM, func() unix.Errno {
		fd, _ := unix.PidfdOpen(first, 0)
		return call(unix.SYS_PIDFD_GETFD, uintptr(fd), 0, 0)
	}},
	{"packet socket", unix.EPERM, func() unix.Errno { return call(unix.SYS_SOCKET, unix.AF_PACKET, unix.SOCK_RAW, 0) }},
	{"old packet socket", unix.EPERM, func() unix.Errno { return call(unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_PACKET, 1) }},
	{"raw socket", unix.EPERM, func() unix.Errno {
		return call(unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	}},
	{"ping's socket", 0, func() unix.Errno { return call(unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP) }},
	{"first process's memory", 0, func() unix.Errno { return readable("/proc/1/mem") }},
	{"first process's thread's memory", unix.ENOENT, func() unix.Errno { return readable("/proc/1/task/1/mem") }},
	{"first process's input", unix.ENOENT, func() unix.Errno { return readable("/proc/1/fd/0") }},
	{"first process's thread's input", unix.ENOENT, func() unix.Errno { return readable("/proc/1/task/1/fd/0") }},
}

// readable opens a file and reads it at an address that no program has: what is hidden
// is empty.
func readable(name string) unix.Errno {
	fd, err := unix.Open(name, unix.O_RDWR|unix.O_NONBLOCK, 0)
	if err == nil {
		_, err = unix.Pread(fd, make([]byte, 1), 4096)
	}
	errno, _ := err.(unix.Errno)
	return errno
}

func socketAddress(to netip.Addr, port uint16) (family int, raw []byte) {
	raw = make([]byte, unix.SizeofSockaddrInet6)
	raw[2], raw[3] = byte(port>>8), byte(port)
	if to.Is4() {
		*(*uint16)(unsafe.Pointer(&raw[0])) = unix.AF_INET
		copy(raw[4:], to.AsSlice())
		return unix.AF_INET, raw[:unix.SizeofSockaddrInet4]
	}
	*(*uint16)(unsafe.Pointer(&raw[0])) = unix.AF_INET6
	copy(raw[8:], to.AsSlice())
	return unix.AF_INET6, raw
}

// sends are the ways to send something to an address.
var sends = map[string]func(to netip.Addr, port uint16) unix.Errno{
	"connect TCP": func(to netip.Addr, port uint16) unix.Errno {
		return with(to, port, unix.SOCK_STREAM, func(s uintptr, to []byte) unix.Errno { return call(unix.SYS_CONNECT, s, at(to), uintptr(len(to))) })
	},
	"connect UDP": func(to netip.Addr, port uint16) unix.Errno {
		return with(to, port, unix.SOCK_DGRAM, func(s uintptr, to []byte) unix.Errno { return call(unix.SYS_CONNECT, s, at(to), uintptr(len(to))) })
	},
	"fast open": func(to netip.Addr, port uint16) unix.Errno {
		return with(to, port, unix.SOCK_STREAM, func(s uintptr, to []byte) unix.Errno {
			return call(unix.SYS_SENDTO, s, text("x"), 1, unix.MSG_FASTOPEN, at(to), uintptr(len(to)))
		})
	},
	"sendto": func(to netip.Addr, port uint16) unix.Errno {
		return with(to, port, unix.SOCK_DGRAM, func(s uintptr, to []byte) unix.Errno {
			return call(unix.SYS_SENDTO, s, text("x"), 1, 0, at(to), uintptr(len(to)))
		})
	},
	"sendmsg": func(to netip.Addr, port uint16) unix.Errno {
		return with(to, port, unix.SOCK_DGRAM, func(s uintptr, to []byte) unix.Errno {
			return call(unix.SYS_SENDMSG, s, uintptr(unsafe.Pointer(message(to))), 0)
		})
	},
	"sendmmsg": func(to netip.Addr, port uint16) unix.Errno {
		return with(to, port, unix.SOCK_DGRAM, func(s uintptr, to []byte) unix.Errno {
			type many struct {
				unix.Msghdr
				sent uint32
			}
			all := []many{{Msghdr: *message(to)}}
			return call(unix.SYS_SENDMMSG, s, uintptr(unsafe.Pointer(&all[0])), 1, 0)
		})
	},
	"sendto without a family": func(to netip.Addr, port uint16) unix.Errno {
		if !to.Is4() {
			return unix.EHOSTUNREACH // it means another thing there
		}
		return with(to, port, unix.SOCK_DGRAM, func(s uintptr, to []byte) unix.Errno {
			to[0], to[1] = 0, 0
			return call(unix.SYS_SENDTO, s, text("x"), 1, 0, at(to), uintptr(len(to)))
		})
	},
}

func at(b []byte) uintptr { return uintptr(unsafe.Pointer(&b[0])) }

func message(to []byte) *unix.Msghdr {
	return &unix.Msghdr{Name: &to[0], Namelen: uint32(len(to)), Iov: &unix.Iovec{Base: &word[0], Len: 1}, Iovlen: 1}
}

func with(to netip.Addr, port uint16, kind int, do func(s uintptr, to []byte) unix.Errno) unix.Errno {
	family, raw := socketAddress(to, port)
	s, err := unix.Socket(family, kind, 0)
	if err != nil {
		return err.(unix.Errno)
	}
	defer unix.Close(s)
	return do(uintptr(s), raw)
}

// TestBuild_SystemCallsThatLeadOut runs the probe in a network namespace with nothing
// in it, where the kernel says ENETUNREACH of every address.
func TestBuild_SystemCallsThatLeadOut(t *testing.T) {
	got := probed(t, "all", "unshare", "--user", "--map-root-user", "--net")
	check := func(name string, want unix.Errno) {
		t.Helper()
		if got[name] != unix.ErrnoName(want) {
			t.Errorf("%s: got %q, want %q", name, got[name], unix.ErrnoName(want))
		}
	}
	for _, p := range probes {
		check(p.name, p.want)
	}
	for name, want := range foreignWant {
		check(name, want)
	}
	for name := range sends {
		for _, m := range engine.MetadataAddresses() {
			check(name+" "+m.Address, unix.EHOSTUNREACH)
		}
		check(name+" resolver", unix.ENETUNREACH)
		check(name+" mapped", unix.EHOSTUNREACH)
		if name != "sendto without a family" {
			check(name+" translated", unix.EHOSTUNREACH)
		}
	}
}

// TestBuild_SystemCallsOfTheFirstProcessesUser makes the calls that send nothing, as
// the same user as the first process.
func TestBuild_SystemCallsOfTheFirstProcessesUser(t *testing.T) {
	got := probed(t, "calls")
	for _, p := range probes {
		if got[p.name] != unix.ErrnoName(p.want) {
			t.Errorf("%s: got %q, want %q", p.name, got[p.name], unix.ErrnoName(p.want))
		}
	}
}

// probed returns what the probes saw in a sandbox, run by a command.
func probed(t *testing.T, which string, by ...string) map[string]string {
	t.Helper()
	// The first process has to be a program with the rights of all others.
	spec := engine.Spec{Name: "probe", Mounts: engine.Mounts{Temp: t.TempDir()}, Main: &engine.Process{Args: []string{"sleep", "infinity"}}}
	c, err := engineOf(t, sandbox.Host).Start(t.Context(), spec)
	need(t, err)
	t.Cleanup(func() { c.Close(t.Context()) })
	copyProgram(t, c)
	var out, complaints strings.Builder
	exit, err := c.Exec(t.Context(), engine.Process{
		Args: append(by, "/probe/program"), Env: []string{probeVariable + "=" + which}, Stdout: &out, Stderr: &complaints,
	})
	if err != nil || exit != 0 {
		t.Fatalf("the probe: exit status %d, %v: %s", exit, err, complaints.String())
	}
	got := map[string]string{}
	for line := range strings.Lines(out.String()) {
		name, errno, _ := strings.Cut(strings.TrimRight(line, "\n"), ": ")
		got[name] = errno
	}
	return got
}

// copyProgram copies this program into a sandbox, as /probe/program.
func copyProgram(t *testing.T, c engine.Container) {
	t.Helper()
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(own)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "program", Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(data))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Close(), c.CopyIn(t.Context(), "/probe", &b)); err != nil {
		t.Fatal(err)
	}
}
