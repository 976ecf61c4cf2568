package cmd

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/internal/regular"
	"github.com/buildlocal/buildlocal/internal/tree"
	"github.com/buildlocal/buildlocal/runner"
)

// isHelper reports whether this process is one of the commands that CodeBuild provides in
// a build. The program is copied into the container under their names.
func isHelper(args []string) bool {
	return len(args) > 1 && (args[1] == runner.GlobSearch || args[1] == runner.HashFiles)
}

// runHelper runs the command and returns its exit code. Nothing is written before the search
// has succeeded: a part of a hash in a cache key would be worse than none.
func runHelper(args []string) int {
	var out bytes.Buffer
	err := search(args[1], args[2:], &out)
	if err == nil {
		_, err = os.Stdout.Write(out.Bytes())
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", args[1], err)
		return cli.ExitFailed
	}
	return cli.ExitSucceeded
}

// search prints the files below the working directory that match patterns, or a hash of
// their contents (documented). A glob search without a match succeeds, as in CodeBuild.
func search(name string, patterns []string, to io.Writer) error {
	if len(patterns) == 0 {
		return fmt.Errorf("no pattern given; expected one or more, in quotes: %s '**/*.js'", name)
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
	case len(found) == 0: // a hash of no files would be the same cache key in every build
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
