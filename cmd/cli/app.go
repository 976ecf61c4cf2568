// Package cli has the parts that all commands share: the App with the streams and the
// host, exit codes, the format of errors, and tables.
//
// A command is an options struct and two functions. NewX(app, runF) returns the cobra
// command, which fills the options and calls runF, or if that is nil the function that
// does the work. Tests pass a runF to look at the options (see package clitest).
package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/regular"
	"github.com/buildlocal/buildlocal/internal/terminal"
	"github.com/buildlocal/buildlocal/local"
)

// App is everything that a command uses of the process.
type App struct {
	local.Host

	// Stdout and Stderr escape control characters, because messages contain names and
	// values from sources and images.
	Stdout, Stderr io.Writer

	// Raw has the same streams without escaping: for the output of a build's commands,
	// for data, and for package console, which escapes by itself.
	Raw struct{ Out, Err io.Writer }

	Version string // as buildlocal --version prints it

	// Environ returns all variables of the environment as NAME=VALUE; nil for none.
	Environ func() []string

	// ColorMode, CIMode and Progress are the values of --color, --ci and --progress; "" is auto.
	ColorMode string
	CIMode    string
	Progress  console.Progress
	Quiet     bool // print no notes and no warnings

	// Started is set when a build is started: errors before it refuse the build.
	Started bool

	raw rawState // of the user's terminal

	// onSignal handles a signal instead of stopping the command; see HandleSignals.
	onSignal atomic.Pointer[func(ctx context.Context, s os.Signal) bool]
}

// HandleSignals lets a command handle signals. handle returns false for one that should stop the
// command as usual. A nil function ends that.
func (a *App) HandleSignals(handle func(ctx context.Context, s os.Signal) bool) {
	if handle == nil {
		a.onSignal.Store(nil)
		return
	}
	a.onSignal.Store(&handle)
}

// Handles passes a signal to the command, and reports whether the command has handled it.
func (a *App) Handles(ctx context.Context, s os.Signal) bool {
	handle := a.onSignal.Load()
	return handle != nil && (*handle)(ctx, s)
}

// NewHost returns an App for the current process, with its streams and environment. It is
// the only place where these are read: tests construct an App with others, and several run
// at the same time. Values that the system does not have are empty; commands that need them
// report it.
func NewHost(version string) *App {
	a := &App{Stdout: os.Stdout, Stderr: os.Stderr, Version: version, Environ: os.Environ}
	a.Host = local.Host{
		Stdin: os.Stdin, LookupEnv: os.LookupEnv, Now: time.Now, TempDir: os.TempDir(),
		Version: version, UID: os.Getuid(), PID: os.Getpid(), User: "unknown",
	}
	a.Home, _ = os.UserHomeDir()
	a.Hostname, _ = os.Hostname()
	if u, err := user.Current(); err == nil {
		a.User = u.Username
	}
	return a
}

// EnvNames returns the names of the environment's variables, sorted.
func (a *App) EnvNames() []string {
	if a.Environ == nil {
		return nil
	}
	var names []string
	for _, v := range a.Environ() {
		name, _, _ := strings.Cut(v, "=")
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Open makes the streams escape, and connects the host to them. It must be called once
// before a command is run.
func (a *App) Open(ctx context.Context) {
	a.Raw.Out, a.Raw.Err = a.Stdout, a.Stderr
	a.Stdout, a.Stderr = diag.EscapeWriter(a.Raw.Out), diag.EscapeWriter(a.Raw.Err)
	a.Warnf = func(format string, args ...any) {
		if !a.Quiet {
			a.Messages().Message(fmt.Sprintf(format, args...))
		}
	}
	a.MFA = func() func() (string, error) { return a.askMFA(ctx) }
}

// askMFA returns a function that asks on the terminal for the code of an authentication
// device, or nil if there is no terminal. The prompt is on stderr, so that both streams have
// to be terminals: a prompt in a log file would never be answered.
func (a *App) askMFA(ctx context.Context) func() (string, error) {
	in, isFile := a.Stdin.(*os.File)
	out, shown := a.Raw.Err.(*os.File)
	if !isFile || !shown || !terminal.Is(in) || !terminal.Is(out) {
		return nil
	}
	return func() (string, error) {
		fmt.Fprint(a.Stderr, "MFA code: ")
		// A read of a terminal cannot be interrupted; on Ctrl-C it is abandoned.
		line, err := regular.WithContext(ctx, func() ([]byte, error) { return bufio.NewReader(in).ReadBytes('\n') })
		if err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		if code := strings.TrimSpace(string(line)); code != "" {
			return code, nil
		}
		return "", errors.New("no MFA code entered")
	}
}

// StdinTerminal returns the standard input if it is a terminal, to ask the user a
// question.
func (a *App) StdinTerminal() (*os.File, bool) {
	in, isFile := a.Stdin.(*os.File)
	return in, isFile && terminal.Is(in)
}

// WriteJSON prints a value to the standard output, with invisible characters escaped.
func (a *App) WriteJSON(value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	_, err = io.WriteString(a.Raw.Out, diag.EscapeJSON(string(text))+"\n")
	return err
}
