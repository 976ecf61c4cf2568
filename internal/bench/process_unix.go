//go:build unix

package main

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// isolate starts a program in a process group of its own. The terminal sends Ctrl-C to the
// foreground group, so without it the program would be interrupted twice: by the terminal
// and by interrupt, and many programs exit without cleaning up on the second. If user is
// not nil, the program runs as that user, which requires root.
func isolate(cmd *exec.Cmd, user *credential) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if user != nil {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(user.uid), Gid: uint32(user.gid)}
	}
}

// interrupt signals the whole group, because a shell does not forward signals.
func interrupt(p *os.Process) error {
	return syscall.Kill(-p.Pid, syscall.SIGINT)
}

// peakKiB returns the maximum resident set size of a process that has exited, see
// getrusage(2). The unit of ru_maxrss is KiB, except on macOS.
func peakKiB(state *os.ProcessState) int64 {
	usage, ok := state.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	if runtime.GOOS == "darwin" { // bytes
		return int64(usage.Maxrss) / 1024
	}
	return int64(usage.Maxrss)
}
