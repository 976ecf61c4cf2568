//go:build !unix

package main

import (
	"os"
	"os/exec"
)

func setApart(*exec.Cmd, *owner) {}

func interrupt(p *os.Process) error { return p.Kill() }

func peakKiB(*os.ProcessState) int64 { return 0 }
