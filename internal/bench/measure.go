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
	// maxRunTime bounds one run of one arm. It is for programs that hang.
	maxRunTime = 10 * time.Minute
	// cleanUpTime is the time between the interruption of a program and its kill, in which
	// it can remove its containers.
	cleanUpTime = 20 * time.Second
)

// sample is one run of an arm.
type sample struct {
	seconds float64
	peakKiB int64 // largest peak of the client and of its children that it has waited for; 0 if unknown
}

// run runs an arm's program once. It reads the output through a pipe, as a CI system does,
// and counts the lines: a program that loses output is not faster, but wrong. The error of
// a failed run ends with the last lines of the output. If ctx is done, the program is
// interrupted, and killed after cleanUpTime.
func (a *arm) run(ctx context.Context) (sample, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, maxRunTime, fmt.Errorf("it took longer than %v", maxRunTime))
	defer cancel()
	var out output
	cmd := exec.CommandContext(ctx, a.args[0], a.args[1:]...)
	cmd.Dir = a.dir
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = cleanUpTime
	cmd.Cancel = func() error { return interrupt(cmd.Process) }
	if len(a.env) > 0 {
		cmd.Env = append(os.Environ(), a.env...)
	}
	isolate(cmd, a.user)

	start := time.Now()
	err := cmd.Run()
	s := sample{seconds: time.Since(start).Seconds()}
	if ctx.Err() != nil { // even if the program exited with 0 after the interrupt
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

// output counts lines and keeps the end of the output: W4 writes 80 MB.
type output struct {
	lines int
	tail  []byte
}

// tailSize is the number of bytes of output that are kept for an error.
const tailSize = 4096

// Write implements io.Writer. exec.Cmd calls it from one goroutine, because Stdout and
// Stderr are the same writer.
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
