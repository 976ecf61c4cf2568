package cmd

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/buildlocal/buildlocal/runner"
)

// Execute runs the command line args in this process and returns the exit code.
// The first signal ends a build in good order, the second at once. What a closed
// terminal or a reader that went away do is no different.
func Execute(args []string, version string) int {
	ctx, cancel := context.WithCancelCause(context.Background())
	signal.Ignore(syscall.SIGPIPE) // a write fails instead, and the build is stopped
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		cancel(interrupted(<-signals))
		os.Exit(exitCode(interrupted(<-signals)))
	}()
	return Main(ctx, args, Host(version))
}

// interrupted returns why a build ends that a signal ends.
func interrupted(s os.Signal) error {
	if s == os.Interrupt {
		return runner.ErrStopped
	}
	return runner.ErrTerminated
}
