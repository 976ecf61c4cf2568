package sandbox

import (
	"context"
	"syscall"
	"time"

	"github.com/buildlocal/buildlocal/engine"
)

// exitKilled is the exit status of a process that SIGKILL has ended.
const exitKilled = 128 + 9

// serverEnd is how long the exit of the server may take after its connection has ended.
const serverEnd = time.Second

// WhyEnded explains why the sandbox no longer runs. See engine.Mortal. The first process of the build
// cannot be killed from inside: it is the first one of its namespace.
func (c *Container) WhyEnded(ctx context.Context) error {
	if c.main == nil {
		return nil
	}
	select {
	case <-c.main:
	case <-ctx.Done():
		return nil
	case <-time.After(serverEnd): // it runs
		return nil
	}
	if c.mainExit.Load() != exitKilled && !c.serverKilled() {
		return nil
	}
	if used, err := c.Usage(ctx); err == nil && used.Killed > 0 {
		return engine.OutOfMemory(c.memory)
	}
	return engine.Killed()
}

// serverKilled reports whether a signal has ended the server, and with it all processes.
func (c *Container) serverKilled() bool {
	select {
	case <-c.gone:
	case <-time.After(serverEnd):
		return false
	}
	status, ok := c.command.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled()
}
