package cmd

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"github.com/buildlocal/buildlocal/internal/relay"
)

// isRelay tells a start of this program beside a build's container from one by a
// person: it has another name there.
func isRelay(args []string) bool { return len(args) > 0 && filepath.Base(args[0]) == relay.Name }

// beRelay is the whole program beside a build's container. It returns its exit code.
func beRelay(args []string) int {
	stream := struct {
		io.Reader
		io.WriteCloser
	}{os.Stdin, os.Stdout}
	if err := relay.Listen(stream, args[1:]); err != nil {
		_, _ = io.WriteString(os.Stderr, err.Error()+"\n")
		return exitFault
	}
	return exitSucceeded
}

// relayVariable names a program for Linux where this one is for another system.
const relayVariable = variablePrefix + "LINUX_PROGRAM"

// relay returns the file of this program for Linux on an architecture: itself, or
// the one that stands beside it.
func (a *App) relay(architecture string) (string, error) {
	if file := a.env(relayVariable); file != "" {
		return file, nil
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	if runtime.GOOS == "linux" && runtime.GOARCH == architecture {
		return self, nil
	}
	name := "buildlocal-linux-" + architecture
	beside := filepath.Join(filepath.Dir(self), name)
	if _, err := os.Stat(beside); err == nil {
		return beside, nil
	}
	return "", fmt.Errorf("containers need a linux/%[1]s build of buildlocal, and %[2]s is not beside %[3]s\nBuild it with GOOS=linux GOARCH=%[1]s CGO_ENABLED=0 go build -o %[2]s, or set %[4]s to its path", architecture, name, self, relayVariable)
}
