// Command buildlocal runs AWS CodeBuild builds on the machine in front of you.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/buildlocal/buildlocal/cmd"
)

// version is set when the program is linked.
var version = "dev"

func main() {
	ctx, cancel := context.WithCancelCause(context.Background())
	signal.Ignore(syscall.SIGPIPE) // a build whose output nobody reads ends in good order
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		first := <-signals
		cancel(cmd.Interrupted(first))
		second := <-signals
		os.Exit(cmd.ExitCode(cmd.Interrupted(second)))
	}()
	os.Exit(cmd.Main(ctx, os.Args[1:], cmd.Host(version)))
}
