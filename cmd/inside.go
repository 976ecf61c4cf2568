package cmd

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/buildlocal/buildlocal/internal/regular"
	"github.com/buildlocal/buildlocal/internal/tree"
	"github.com/buildlocal/buildlocal/runner"
)

// isHelper tells a start of this program inside of a build, as one of the service's
// commands, from one by a person.
func isHelper(args []string) bool {
	return len(args) > 1 && (args[1] == runner.GlobSearch || args[1] == runner.HashFiles)
}

// beHelper is the whole program inside of a build. It returns its exit code.
func beHelper(args []string) int {
	var out bytes.Buffer
	err := help(args[1], args[2:], &out)
	if err == nil {
		_, err = os.Stdout.Write(out.Bytes())
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", args[1], err)
		return exitFailed
	}
	return exitSucceeded
}

// help does what the commands do (documented): they look below the working
// directory.
func help(name string, patterns []string, to io.Writer) error {
	if len(patterns) == 0 {
		return fmt.Errorf("no pattern is given; expected one or more, in quotes: %s '**/*.js'", name)
	}
	here := regular.FS(".", 0)
	found, err := tree.Glob(here, patterns, nil)
	if err != nil {
		return err
	}
	switch {
	case len(found) == 0 && name == runner.GlobSearch:
		_, err = fmt.Fprintf(to, "No files matched: %s\n", strings.Join(patterns, " "))
		return err
	case len(found) == 0: // a key of nothing would be that of every such build
		return fmt.Errorf("no file matches %s", strings.Join(patterns, " "))
	case name == runner.GlobSearch:
		_, err = io.WriteString(to, strings.Join(found, "\n")+"\n")
		return err
	}
	hash, err := tree.Hash(here, found)
	if err != nil {
		return err
	}
	_, err = io.WriteString(to, hash+"\n")
	return err
}
