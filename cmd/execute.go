package cmd

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/runner"
)

// Execute runs the command line args in this process and returns the exit code. The same
// program is also copied into containers as a relay or a helper, and does the work of those
// if its arguments say so; this is decided before anything else is set up.
//
// The first signal stops a build in good order, the second without waiting for its
// commands, and the third ends the process. A closed terminal and a closed pipe stop a
// build as the first signal does.
func Execute(args []string, version string) int {
	if isRelay(os.Args) {
		return runRelay(os.Args)
	}
	if isHelper(os.Args) {
		return runHelper(os.Args)
	}
	if os.Getenv("GOMEMLIMIT") == "" && os.Getenv("GOGC") == "" { // else the user has chosen limits
		debug.SetMemoryLimit(memoryLimit)
		debug.SetGCPercent(gcPercent)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	signal.Ignore(syscall.SIGPIPE) // a write fails instead, and the build is stopped
	signals, hurry := make(chan os.Signal, 3), make(chan struct{})
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	a := cli.NewHost(version)
	go func() {
		for s := range signals {
			if !a.Handles(ctx, s) {
				cancel(interrupted(s))
				break
			}
		}
		<-signals
		close(hurry)
		// The user has had enough. Leftover resources are removed by the next build or prune.
		last := <-signals
		a.RestoreTerminal()
		os.Exit(cli.ExitCode(interrupted(last)))
	}()
	a.Hurry = hurry
	return Main(ctx, args, a)
}

// The garbage collector runs rarely below the memory limit, in bytes, because a short build
// is over before memory matters. Above it the collector works harder: the memory of the
// machine is for the build.
const (
	memoryLimit = 40 << 20
	gcPercent   = 400
)

// interrupted returns the reason why a signal stops a build.
func interrupted(s os.Signal) error {
	if s == os.Interrupt {
		return runner.ErrStopped
	}
	return runner.ErrTerminated
}
