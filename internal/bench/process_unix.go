//go:build unix

package main

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// setApart gives a program a process group of its own: Ctrl-C at the terminal
// then reaches it once, from interrupt, and not twice. It may be another user's.
func setApart(cmd *exec.Cmd, user *owner) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if user != nil {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(user.uid), Gid: uint32(user.gid)}
	}
}

func interrupt(p *os.Process) error {
	return syscall.Kill(-p.Pid, syscall.SIGINT)
}

// peakKiB is the most memory a process that has ended had at once.
func peakKiB(state *os.ProcessState) int64 {
	usage, ok := state.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	if runtime.GOOS == "darwin" { // counts bytes
		return int64(usage.Maxrss) / 1024
	}
	return int64(usage.Maxrss)
}
