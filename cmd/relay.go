package cmd

import (
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/internal/relay"
)

// isRelay reports whether this process is the relay beside a build's container, which
// forwards connections from its network to services of buildlocal on the host. The program
// has another name there.
func isRelay(args []string) bool { return len(args) > 0 && filepath.Base(args[0]) == relay.Name }

// runRelay runs the relay and returns its exit code. All connections share one stream, the
// standard input and output; the relay ends when the stream is closed, and so never
// outlives the build.
func runRelay(args []string) int {
	stream := struct {
		io.Reader
		io.WriteCloser
	}{os.Stdin, os.Stdout}
	if len(args) == 3 && args[1] == relay.ConnectWord {
		return runConnect(stream, args[2])
	}
	if err := relay.Listen(stream, args[1:]); err != nil {
		_, _ = io.WriteString(os.Stderr, err.Error()+"\n")
		return cli.ExitFault
	}
	return cli.ExitSucceeded
}

// runConnect makes one connection to a port of the build, for forward.
func runConnect(stream io.ReadWriteCloser, port string) int {
	err := relay.Connect(stream, port)
	if err == nil {
		return cli.ExitSucceeded
	}
	_, _ = io.WriteString(os.Stderr, err.Error()+"\n")
	if errors.Is(err, relay.ErrNoAnswer) {
		return relay.NoAnswer
	}
	return cli.ExitFault
}
