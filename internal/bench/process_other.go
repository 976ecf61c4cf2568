//go:build !unix

package main

import (
	"os"
	"os/exec"
)

// isolate does nothing. Arms of another user exist on Linux only.
func isolate(*exec.Cmd, *credential) {}

// interrupt kills the process: Windows has no interrupt for another process.
func interrupt(p *os.Process) error { return p.Kill() }

func peakKiB(*os.ProcessState) int64 { return 0 }
