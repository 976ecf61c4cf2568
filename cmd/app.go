// Package cmd is the command line: flags in, exit code out. It is the one place
// that reads the host and wires the rooms together.
package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/runner"
)

// Exit codes. They are never derived from a text.
const (
	exitSucceeded  = 0
	exitFailed     = 1   // the build failed
	exitUsage      = 2   // the command line
	exitText       = 3   // what somebody wrote: a buildspec, a project document
	exitFault      = 4   // the engine, an image, a registry or this program
	exitTimedOut   = 5   // the build's time was up
	exitStopped    = 130 // SIGINT
	exitTerminated = 143 // SIGTERM
)

// App is what the commands know of the host.
type App struct {
	Stdin io.Reader

	// Stdout and Stderr are the program's own. What is printed to them by a command
	// is escaped first: names and values in it may come from a source or an image.
	Stdout, Stderr io.Writer

	// raw are the same without that: for what a build's commands print, for data,
	// and for package console, which escapes by itself.
	raw struct{ out, err io.Writer }

	LookupEnv func(string) (string, bool)
	Now       func() time.Time
	Home      string // the user's home directory; may be empty
	TempDir   string
	Hostname  string
	User      string // the user's name
	UID, PID  int
	Version   string
	Hurry     <-chan struct{} // closed when a build that is stopped is to end at once
}

// Host returns the App of the process.
func Host(version string) *App {
	a := &App{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, LookupEnv: os.LookupEnv, Now: time.Now,
		TempDir: os.TempDir(), UID: os.Getuid(), PID: os.Getpid(), Version: version, User: "unknown",
	}
	a.Home, _ = os.UserHomeDir()
	a.Hostname, _ = os.Hostname()
	if u, err := user.Current(); err == nil {
		a.User = u.Username
	}
	return a
}

func (a *App) env(name string) string {
	value, _ := a.LookupEnv(name)
	return value
}

// usageError is something wrong with the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// textError is something wrong with a text that has no place to show.
type textError struct{ error }

func (e textError) Unwrap() error { return e.error }

// errReadingTimedOut ends a build whose time is up before it has begun.
var errReadingTimedOut = errors.New("timed out while reading the build; nothing was started")

// errFailed is a build that ended other than well; it has been told.
type errFailed struct{ code int }

func (e errFailed) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// exitCode returns the exit code for an error.
func exitCode(err error) int {
	var usage usageError
	var text textError
	var list diag.List
	var told errFailed
	var refused *untrusted
	switch {
	case err == nil:
		return exitSucceeded
	case errors.As(err, &told):
		return told.code
	case errors.Is(err, runner.ErrStopped):
		return exitStopped
	case errors.Is(err, runner.ErrTerminated):
		return exitTerminated
	case errors.Is(err, errReadingTimedOut):
		return exitTimedOut
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &list), errors.As(err, &text), errors.As(err, &refused):
		return exitText
	}
	return exitFault
}

// Main runs the command line args and returns the exit code.
func Main(ctx context.Context, args []string, a *App) int {
	a.raw.out, a.raw.err = a.Stdout, a.Stderr
	a.Stdout, a.Stderr = diag.EscapeWriter(a.raw.out), diag.EscapeWriter(a.raw.err)
	root := newRoot(a)
	root.SetArgs(args)
	root.SetIn(a.Stdin)
	root.SetOut(a.raw.out)
	root.SetErr(a.Stderr)
	err := root.ExecuteContext(ctx)
	var told errFailed
	if err != nil && !errors.As(err, &told) {
		a.tell(err)
	}
	return exitCode(err)
}

// tell writes an error: problems with a text as they are, anything else behind
// a word that says so.
func (a *App) tell(err error) {
	var list diag.List
	var refused *untrusted
	if several, ok := err.(interface{ Unwrap() []error }); ok && (errors.As(err, &list) || errors.As(err, &refused)) {
		for _, err := range several.Unwrap() {
			a.tell(err)
		}
		return
	}
	if errors.As(err, &list) {
		fmt.Fprintln(a.Stderr, list.Error())
		return
	}
	if errors.As(err, &refused) {
		fmt.Fprintln(a.Stderr, refused.Error())
		return
	}
	fmt.Fprintf(a.Stderr, "buildlocal: %s\n", strings.TrimRight(err.Error(), "\n"))
}

func newRoot(a *App) *cobra.Command {
	var version bool
	root := &cobra.Command{
		Use:   "buildlocal",
		Short: "Run AWS CodeBuild builds locally",
		Long: "buildlocal runs AWS CodeBuild builds locally: it reads buildspec.yml and runs its\n" +
			"phases in a container or a sandbox, as CodeBuild would.",
		Example:       "  buildlocal run\n  buildlocal run -i node:22\n  buildlocal validate",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if version {
				_, err := fmt.Fprintln(c.OutOrStdout(), "buildlocal", a.Version)
				return err
			}
			return c.Help()
		},
	}
	root.Flags().BoolVarP(&version, "version", "v", false, "version for buildlocal") // cobra's own needs a template
	root.SetFlagErrorFunc(flagError)
	root.SetUsageFunc(usage)
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(newRun(a, nil), newPlan(a, nil), newValidate(a), newSchema(a), newLSP(a), newConfig(a),
		newSecrets(a), newPs(a), newStop(a), newPrune(a), newArtifacts(a), newReport(a), newCache(a), newImage(a),
		newDoctor(a), newTrust(a))
	return root
}

// noArgs rejects arguments. For a command with subcommands, an argument is a
// misspelt subcommand.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 && c.HasSubCommands() {
		return unknownCommand(c, args[0])
	}
	if len(args) > 0 {
		return usagef("%s takes no arguments, got %q; %s --help lists the flags", c.CommandPath(), args[0], c.CommandPath())
	}
	return nil
}
