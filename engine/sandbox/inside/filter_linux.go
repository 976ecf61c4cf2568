package inside

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// abi has the system call numbers of one kind of program. A host runs two kinds: its own
// and, usually, that of its 32-bit predecessor.
type abi struct {
	arch    uint32 // AUDIT_ARCH_*
	pointer int    // bytes
	x32     bool   // numbers with x32Bit are a third kind

	connect, sendto, sendmsg, sendmmsg, socket, socketcall uint32
	addKey, requestKey, keyctl                             uint32
	ptrace, readMemory, writeMemory                        uint32
}

// Numbers that are the same for all kinds, because these calls are new.
const (
	ioUringSetup, ioUringEnter, ioUringRegister = 425, 426, 427
	pidfdGetfd                                  = 438
)

// x32Bit marks calls of programs with 32-bit pointers on amd64. Few kernels support them,
// and they are refused.
const x32Bit = 0x40000000

// none is not a system call.
const none = ^uint32(0)

// abis returns the kinds of programs that this host runs, or nil on architectures without a
// filter. The numbers are those of the kernel's system call tables
// (arch/x86/entry/syscalls, arch/arm/tools/syscall.tbl, asm-generic/unistd.h).
func abis() []abi {
	switch runtime.GOARCH {
	case "amd64":
		return []abi{
			{
				arch: unix.AUDIT_ARCH_X86_64, pointer: 8, x32: true, connect: 42, sendto: 44, sendmsg: 46,
				sendmmsg: 307, socket: 41, socketcall: none, addKey: 248, requestKey: 249, keyctl: 250,
				ptrace: 101, readMemory: 310, writeMemory: 311,
			},
			{
				arch: unix.AUDIT_ARCH_I386, pointer: 4, connect: 362, sendto: 369, sendmsg: 370,
				sendmmsg: 345, socket: 359, socketcall: 102, addKey: 286, requestKey: 287, keyctl: 288,
				ptrace: 26, readMemory: 347, writeMemory: 348,
			},
		}
	case "arm64":
		return []abi{
			{
				arch: unix.AUDIT_ARCH_AARCH64, pointer: 8, connect: 203, sendto: 206, sendmsg: 211,
				sendmmsg: 269, socket: 198, socketcall: none, addKey: 217, requestKey: 218, keyctl: 219,
				ptrace: 117, readMemory: 270, writeMemory: 271,
			},
			{
				arch: unix.AUDIT_ARCH_ARM, pointer: 4, connect: 283, sendto: 290, sendmsg: 296,
				sendmmsg: 374, socket: 281, socketcall: 102, addKey: 309, requestKey: 310, keyctl: 311,
				ptrace: 26, readMemory: 376, writeMemory: 377,
			},
		}
	}
	return nil
}

// rule is the action for a system call whose arguments meet all conditions.
type rule struct {
	number uint32
	action uint32
	when   []condition
}

// condition is met by an argument that, after the mask, is one of the values, or with not,
// differs from all of them.
type condition struct {
	argument int
	mask     uint32
	not      bool
	values   []uint32
}

// given is met by an argument that is not null. It is the only condition that compares all
// 64 bits, because the lower half of a valid pointer may be zero.
func given(argument int) condition { return condition{argument: argument} }

// is is met by an argument that is one of the values. It compares the lower 32 bits, which
// is all that the kernel uses of an int.
func is(argument int, values ...uint32) condition {
	return condition{argument: argument, mask: none, values: values}
}

func isNot(argument int, values ...uint32) condition {
	return condition{argument: argument, mask: none, not: true, values: values}
}

func refused(e unix.Errno) uint32 { return unix.SECCOMP_RET_ERRNO | uint32(e) }

// asked returns the rules of the system calls that can send data to an address: the kernel
// reports them. io_uring, which does the same without being reported, is refused.
func asked(a abi) []rule {
	const ask, missing = unix.SECCOMP_RET_USER_NOTIF, unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
	return []rule{
		{a.connect, ask, nil},
		{a.sendto, ask, []condition{given(4)}}, // send, which is frequent, is sendto without an address
		{a.sendmsg, ask, nil},
		{a.sendmmsg, ask, nil},
		{a.socketcall, ask, nil},
		{ioUringSetup, missing, nil},
		{ioUringEnter, missing, nil},
		{ioUringRegister, missing, nil},
	}
}

// forbidden returns the rules of a build that is not privileged. It has no keyrings, which
// belong to the user and outlive it. It cannot inspect the first process, whose memory has
// the results of commands. And it neither sends raw packets, which would bypass the rules
// above, nor receives those of others: the network is the host's.
func forbidden(a abi) []rule {
	deny := refused(unix.EPERM)
	// The first process has the ID 1 in the namespace of the build. PTRACE_TRACEME (0) has no
	// process argument, so its second argument may be 1 by chance.
	const first, traceMe, socketKind = 1, 0, 0xf
	return []rule{
		{a.addKey, deny, nil},
		{a.requestKey, deny, nil},
		{a.keyctl, deny, nil},
		{a.ptrace, deny, []condition{isNot(0, traceMe), is(1, first)}},
		{a.readMemory, deny, []condition{is(0, first)}},
		{a.writeMemory, deny, []condition{is(0, first)}},
		{pidfdGetfd, deny, nil},
		{a.socket, deny, []condition{is(0, unix.AF_PACKET)}},
		// SOCK_PACKET is the obsolete form of AF_PACKET, which exists in other families.
		{a.socket, deny, []condition{{argument: 1, mask: socketKind, values: []uint32{unix.SOCK_PACKET}}}},
		// ping uses raw sockets, but only of ICMP.
		{a.socket, deny, []condition{
			is(0, unix.AF_INET, unix.AF_INET6), {argument: 1, mask: socketKind, values: []uint32{unix.SOCK_RAW}},
			isNot(2, unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6),
		}},
	}
}

// Offsets in struct seccomp_data.
const (
	dataNumber    = 0
	dataArch      = 4
	dataArguments = 16
)

func load(at uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at}
}

func result(action uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: action}
}

// jump compares the loaded value. yes and no are the numbers of instructions to skip.
func jump(test uint16, value uint32, yes, no int) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | test | unix.BPF_K, K: value, Jt: uint8(yes), Jf: uint8(no)}
}

// code returns the instructions of a rule. They fall through if it does not apply.
//
// Jumps of BPF go forward only and are relative, so the code is built from its end: each
// condition needs the length of the instructions that it has to skip.
func (r rule) code() []unix.SockFilter {
	rest := []unix.SockFilter{result(r.action)}
	for i := len(r.when) - 1; i >= 0; i-- {
		rest = append(r.when[i].code(len(rest)), rest...)
	}
	return append([]unix.SockFilter{load(dataNumber), jump(unix.BPF_JEQ, r.number, 0, len(rest))}, rest...)
}

// code returns the instructions of a condition. They skip the rest of its rule if it is not
// met.
func (c condition) code(rest int) []unix.SockFilter {
	// All supported architectures are little-endian: the lower half is first.
	low := uint32(dataArguments + 8*c.argument)
	if c.values == nil {
		return []unix.SockFilter{load(low), jump(unix.BPF_JEQ, 0, 0, 2), load(low + 4), jump(unix.BPF_JEQ, 0, rest, 0)}
	}
	code := []unix.SockFilter{load(low), {Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: c.mask}}
	for i, v := range c.values {
		left := len(c.values) - 1 - i
		switch {
		case c.not:
			code = append(code, jump(unix.BPF_JEQ, v, left+rest, 0))
		case left > 0:
			code = append(code, jump(unix.BPF_JEQ, v, left, 0))
		default:
			code = append(code, jump(unix.BPF_JEQ, v, 0, rest))
		}
	}
	return code
}

// program returns a filter with the rules for each kind of program. System calls of other
// kinds fail with ENOSYS. Each kind needs a check of its own, because the same number is a
// different call in each; a filter that checks numbers only can be evaded.
func program(rules func(abi) []rule) []unix.SockFilter {
	code := []unix.SockFilter{load(dataArch)}
	for _, a := range abis() {
		var block []unix.SockFilter
		if a.x32 {
			block = append(block, load(dataNumber), jump(unix.BPF_JGE, x32Bit, 0, 1), result(refused(unix.ENOSYS)))
		}
		for _, r := range rules(a) {
			if r.number != none {
				block = append(block, r.code()...)
			}
		}
		block = append(block, result(unix.SECCOMP_RET_ALLOW))
		code = append(append(code, jump(unix.BPF_JEQ, a.arch, 0, len(block))), block...)
	}
	return append(code, result(refused(unix.ENOSYS)))
}

// install adds a filter to this thread and everything that it starts. It returns the file
// descriptor of the listener if flags ask for one. Without no_new_privs, which would break
// sudo in builds, it requires CAP_SYS_ADMIN in the user namespace.
func install(code []unix.SockFilter, flags uintptr) (int, error) {
	if len(abis()) == 0 {
		return -1, unix.ENOSYS
	}
	filter := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&filter)))
	if errno != 0 {
		return -1, fmt.Errorf("install a filter of system calls: %w", errno)
	}
	return int(fd), nil
}
