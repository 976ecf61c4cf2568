package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

const (
	// limit is how long one run of one arm may take.
	limit = 10 * time.Minute
	// grace is how long a program that was interrupted may clean up.
	grace = 20 * time.Second
)

// sample is one run of an arm.
type sample struct {
	seconds float64
	peakKiB int64 // of the client, or of a process it started if that is larger; 0 when unknown
}

// run starts an arm's program and waits for it to end. It reads the output
// through a pipe, as a program that keeps a log does, and counts the lines. An arm
// that fails is an error, which ends in the last lines of its output. When ctx
// ends, the program is interrupted, and killed if it does not end.
func (a *arm) run(ctx context.Context) (sample, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it took longer than %v", limit))
	defer cancel()
	var out output
	cmd := exec.CommandContext(ctx, a.args[0], a.args[1:]...)
	cmd.Dir = a.dir
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = grace
	cmd.Cancel = func() error { return interrupt(cmd.Process) }
	if len(a.env) > 0 {
		cmd.Env = append(os.Environ(), a.env...)
	}
	setApart(cmd, a.user)

	start := time.Now()
	err := cmd.Run()
	s := sample{seconds: time.Since(start).Seconds()}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err == nil && out.lines < a.lines {
		err = fmt.Errorf("%d lines of output, expected at least %d", out.lines, a.lines)
	}
	if err != nil {
		return s, fmt.Errorf("%w\n%s", err, out.last(5))
	}
	s.peakKiB = peakKiB(cmd.ProcessState)
	return s, nil
}

// output counts lines and keeps the end of the output.
type output struct {
	lines int
	tail  []byte
}

const tailSize = 4096

func (o *output) Write(p []byte) (int, error) {
	o.lines += bytes.Count(p, []byte("\n"))
	o.tail = append(o.tail, p[max(0, len(p)-tailSize):]...)
	if over := len(o.tail) - tailSize; over > 0 {
		o.tail = append(o.tail[:0], o.tail[over:]...)
	}
	return len(p), nil
}

// last returns the last n lines.
func (o *output) last(n int) string {
	lines := strings.Split(strings.TrimSpace(string(o.tail)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
