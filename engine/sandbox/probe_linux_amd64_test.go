package sandbox_test

import (
	"encoding/binary"
	"os"
	"runtime/debug"
	"unsafe"

	"golang.org/x/sys/unix"
)

// foreignWant is how system calls of 32-bit and x32 programs end.
var foreignWant = map[string]unix.Errno{
	"i386 keyctl": unix.EPERM, "i386 add_key": unix.EPERM, "i386 request_key": unix.EPERM, "i386 ptrace": unix.EPERM,
	"i386 io_uring_setup": unix.ENOSYS, "i386 packet socket": unix.EPERM, "i386 socketcall packet socket": unix.EPERM,
	"i386 connect": unix.EHOSTUNREACH, "i386 sendto": unix.EHOSTUNREACH, "i386 sendmsg": unix.EHOSTUNREACH,
	"i386 sendmmsg":           unix.EHOSTUNREACH,
	"i386 socketcall connect": unix.EHOSTUNREACH, "i386 socketcall sendto": unix.EHOSTUNREACH,
	"i386 socketcall sendmsg": unix.EHOSTUNREACH,
	"x32 keyctl":              unix.ENOSYS, "x32 connect": unix.ENOSYS,
}

// enter makes a system call as a 32-bit program does: code that is called with its
// arguments in the registers of Go's calling convention.
var enter = []byte{
	0x55,       // push %rbp
	0x89, 0xfa, // mov %edi, %edx
	0x44, 0x89, 0xc7, // mov %r8d, %edi
	0x44, 0x89, 0xcd, // mov %r9d, %ebp
	0xcd, 0x80, // int $0x80
	0x5d, // pop %rbp
	0xc3, // ret
}

// low is memory below 4 GiB, which a 32-bit program can address: code and its arguments.
type low struct {
	memory []byte
	used   int
}

func (l *low) put(b []byte) uint32 {
	at := uintptr(unsafe.Pointer(&l.memory[l.used]))
	copy(l.memory[l.used:], b)
	l.used += (len(b) + 15) &^ 15
	return uint32(at)
}

func words(all ...uint32) []byte {
	var b []byte
	for _, w := range all {
		b = binary.LittleEndian.AppendUint32(b, w)
	}
	return b
}

// foreign makes system calls of other kinds of programs. A kernel without support for
// 32-bit programs kills this one.
func foreign() map[string]unix.Errno {
	debug.SetGCPercent(-1)
	memory, err := unix.Mmap(
		-1,
		0,
		os.Getpagesize(),
		unix.PROT_READ|unix.PROT_WRITE|unix.PROT_EXEC,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_32BIT,
	)
	if err != nil {
		return nil
	}
	l := &low{memory: memory}
	code := uintptr(l.put(enter))
	table := &code
	kernel := *(*func(number, a, b, c, d, e, f uintptr) int32)(unsafe.Pointer(&table))
	i386 := func(number uintptr, arguments ...uint32) unix.Errno {
		a := append(arguments, 0, 0, 0, 0, 0, 0)
		return unix.Errno(
			max(0, -kernel(number, uintptr(a[0]), uintptr(a[1]), uintptr(a[2]), uintptr(a[3]), uintptr(a[4]), uintptr(a[5]))),
		)
	}
	fd, _ := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	s, length := uint32(fd), uint32(unix.SizeofSockaddrInet4)
	to := l.put([]byte{unix.AF_INET, 0, 0, 80, 169, 254, 169, 254, 0, 0, 0, 0, 0, 0, 0, 0})
	data := l.put([]byte("x"))
	vector := l.put(words(data, 1))
	header := l.put(words(to, length, vector, 1, 0, 0, 0, 0))
	name := l.put([]byte("user\x00"))
	return map[string]unix.Errno{
		"i386 keyctl":                   i386(288, 0, session, 0),
		"i386 add_key":                  i386(286, name, name, data, 1, session),
		"i386 request_key":              i386(287, name, name, 0, session),
		"i386 ptrace":                   i386(26, unix.PTRACE_SEIZE, first),
		"i386 io_uring_setup":           i386(425, 1, 0),
		"i386 packet socket":            i386(359, unix.AF_PACKET, unix.SOCK_RAW, 0),
		"i386 socketcall packet socket": i386(102, 1, l.put(words(unix.AF_PACKET, unix.SOCK_RAW, 0))),
		"i386 connect":                  i386(362, s, to, length),
		"i386 sendto":                   i386(369, s, data, 1, 0, to, length),
		"i386 sendmsg":                  i386(370, s, header, 0),
		"i386 sendmmsg":                 i386(345, s, header, 1, 0),
		"i386 socketcall connect":       i386(102, 3, l.put(words(s, to, length))),
		"i386 socketcall sendto":        i386(102, 11, l.put(words(s, data, 1, 0, to, length))),
		"i386 socketcall sendmsg":       i386(102, 16, l.put(words(s, header, 0))),
		"x32 keyctl":                    call(0x40000000+unix.SYS_KEYCTL, 0, session, 0),
		"x32 connect":                   call(0x40000000+unix.SYS_CONNECT, uintptr(s), uintptr(to), uintptr(length)),
	}
}
