package inside

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
)

// call is a system call that the kernel has reported. The zero value is a call that the
// guard does not restrict.
type call struct {
	socket   int     // file descriptor in the calling process
	connects bool    // connect, as opposed to a call that sends
	packet   bool    // it creates a socket that receives all packets of the host
	to       []place // destinations; sendmmsg has several
}

// place is where a process has an address in its memory, and the length it gives.
type place struct {
	at     uintptr
	length int
}

// Numbers of socketcall, which has the arguments of the other calls in memory
// (linux/net.h).
const (
	callSocket   = 1
	callConnect  = 3
	callSendto   = 11
	callSendmsg  = 16
	callSendmmsg = 20
)

// call decodes a notification. The architecture is that of the call, not of the process: on
// amd64 a 64-bit program can make 32-bit calls with int 0x80.
func (q notification) call() call {
	for _, a := range abis() {
		if a.arch == q.arch {
			return q.callOf(a)
		}
	}
	return call{}
}

func (q notification) callOf(a abi) call {
	number, args := uint32(q.number), q.args
	if number == a.socketcall {
		number, args = q.unpack(a)
	}
	// Lengths are of type int in the kernel, so the upper half of a register is ignored.
	c := call{socket: int(args[0])}
	switch number {
	case a.connect:
		c.connects = true
		c.to = []place{{uintptr(args[1]), int(int32(args[2]))}}
	case a.sendto:
		c.to = []place{{uintptr(args[4]), int(int32(args[5]))}}
	case a.sendmsg:
		c.to = q.messages(a, uintptr(args[1]), 1)
	case a.sendmmsg:
		c.to = q.messages(a, uintptr(args[1]), int(uint32(args[2])))
	case a.socket:
		// Only socketcall is reported with this number: a filter can check the arguments of
		// socket itself, see forbidden. The upper bits of the type are flags such as SOCK_CLOEXEC.
		c.packet = args[0] == unix.AF_PACKET || args[1]&0xf == unix.SOCK_PACKET
	}
	return c
}

// unpack returns the number and the arguments of the call that socketcall makes. A filter
// sees only the address of these arguments, which is why every socketcall is reported. The
// arguments are 32 bits wide: no 64-bit architecture of this list has socketcall.
func (q notification) unpack(a abi) (number uint32, args [6]uint64) {
	numbers := map[uint64]uint32{
		callSocket:   a.socket,
		callConnect:  a.connect,
		callSendto:   a.sendto,
		callSendmsg:  a.sendmsg,
		callSendmmsg: a.sendmmsg,
	}
	counts := map[uint64]int{callSocket: 3, callConnect: 3, callSendto: 6, callSendmsg: 3, callSendmmsg: 4}
	raw := readMemory(int(q.pid), uintptr(q.args[1]), 4*counts[q.args[0]])
	for i := 0; 4*i < len(raw); i++ {
		args[i] = uint64(binary.NativeEndian.Uint32(raw[4*i:]))
	}
	if number = numbers[q.args[0]]; len(raw) == 0 {
		number = none
	}
	return number, args
}

// maxMessages is how many messages the kernel sends in one call (UIO_MAXIOV).
const maxMessages = 1024

// messages returns where the destinations of messages are: at count headers of struct
// mmsghdr, or at one struct msghdr.
func (q notification) messages(a abi, at uintptr, count int) []place {
	// Both structures begin with the address of the destination and its length, and mmsghdr
	// adds a counter. One msghdr is read only once, so its size does not matter.
	size := 64 // of struct mmsghdr with 64-bit pointers
	if a.pointer == 4 {
		size = 32
	}
	var all []place
	for i := range min(count, maxMessages) {
		raw := readMemory(int(q.pid), at+uintptr(i*size), a.pointer+4)
		if raw == nil {
			return all // the kernel stops there too
		}
		// Without a destination the message goes to the peer of a connected socket, which was
		// checked by connect.
		name := uint64(binary.NativeEndian.Uint32(raw))
		if a.pointer == 8 {
			name = binary.NativeEndian.Uint64(raw)
		}
		if name != 0 {
			all = append(all, place{uintptr(name), int(int32(binary.NativeEndian.Uint32(raw[a.pointer:])))})
		}
	}
	return all
}

// readMemory reads the memory of a process. It returns nil if that is not possible, for
// example if a part of the range is not mapped, or if length is not positive. pid is the one
// in the namespace of the server, as in notifications.
func readMemory(pid int, at uintptr, length int) []byte {
	if length <= 0 {
		return nil
	}
	raw := make([]byte, length)
	n, err := unix.ProcessVMReadv(
		pid,
		[]unix.Iovec{{Base: &raw[0], Len: uint64(length)}},
		[]unix.RemoteIovec{{Base: at, Len: length}},
		0,
	)
	if err != nil || n != length {
		return nil
	}
	return raw
}

// readAddress reads the internet address that a process has passed to the kernel. known is
// false for other families and for addresses that the kernel would refuse. When sending,
// some sockets take an address without a family for one of IPv4; connect with AF_UNSPEC
// dissolves an association instead.
func readAddress(pid int, from place, connects bool) (to address, port uint16, known bool) {
	length := min(unix.SizeofSockaddrInet6, from.length)
	if length < unix.SizeofSockaddrInet4 {
		return to, 0, false
	}
	raw := readMemory(pid, from.at, length)
	if raw == nil {
		return to, 0, false
	}
	family := *(*uint16)(unsafe.Pointer(&raw[0]))
	port = binary.BigEndian.Uint16(raw[2:])
	switch {
	case family == unix.AF_INET, family == unix.AF_UNSPEC && !connects:
		return v4([4]byte(raw[4:8])), port, true
	case family == unix.AF_INET6 && len(raw) >= 24: // without the scope, which old programs omit (RFC 2133)
		return address(raw[8:24]).plain(), port, true
	}
	return to, 0, false
}
