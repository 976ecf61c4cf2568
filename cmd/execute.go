package cmd

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/buildlocal/buildlocal/runner"
)

// Execute runs the command line args in this process and returns the exit code.
// The first signal ends a build in good order, the second without waiting for
// its commands, the third ends the process. What a closed terminal or a reader
// that went away do is no different from the first.
func Execute(args []string, version string) int {
	if isRelay(os.Args) {
		return beRelay(os.Args)
	}
	if isHelper(os.Args) {
		return beHelper(os.Args)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	signal.Ignore(syscall.SIGPIPE) // a write fails instead, and the build is stopped
	signals, hurry := make(chan os.Signal, 3), make(chan struct{})
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		cancel(interrupted(<-signals))
		<-signals
		close(hurry)
		os.Exit(exitCode(interrupted(<-signals)))
	}()
	a := Host(version)
	a.Hurry = hurry
	return Main(ctx, args, a)
}

// packingLimit is the same where a cache is packed on its way to a bucket and parts of it
// wait in memory.
const packingLimit = 44 << 20

// memoryLimit is how much memory, in bytes, is used before more is done to use less: a
// build has the machine, not we.
const memoryLimit = 40 << 20

// interrupted returns why a build ends that a signal ends.
func interrupted(s os.Signal) error {
	if s == os.Interrupt {
		return runner.ErrStopped
	}
	return runner.ErrTerminated
}
