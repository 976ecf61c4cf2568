// Package control lets other processes of a user look into a build that runs: open a shell in
// it, run commands, copy files, reach its ports, and end its stops.
//
// The process of the build fills [Services], and serves them with [Listen] on a socket in the
// directory of its run. Commands such as exec are a [Client], which [Dial] connects. Package
// internal/control has the protocol; the calls and their meaning are here.
package control

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/engine"
	wire "github.com/buildlocal/buildlocal/internal/control"
	"github.com/buildlocal/buildlocal/internal/human"
)

// SocketName is the name of the socket in the directory of a run.
const SocketName = "control.sock"

// Terminal is that of a user, here or at the other end.
type Terminal struct {
	In      io.Reader
	Out     io.Writer
	Size    func() (columns, rows uint16)
	Resized <-chan struct{} // receives after the size has changed; may be nil
	Env     []string        // TERM, NO_COLOR, COLORTERM and LANG, as NAME=VALUE
	Name    string          // user@tty, which is shown to others
}

// ProgramEnv returns the variables of the terminal for a program. The locale is the build's.
func (t Terminal) ProgramEnv() []string {
	return slices.DeleteFunc(slices.Clone(t.Env), func(v string) bool {
		return strings.HasPrefix(v, "LANG=") || strings.HasPrefix(v, "LC_")
	})
}

// States of a build.
const (
	StateRunning = "running"
	StateStopped = "stopped" // at a stop point
	StateKept    = "kept"    // it has ended, and its container was kept
)

// Status describes a build.
type Status struct {
	Build   string    `json:"build"` // its name, such as 12-1a2b3c4d
	Project string    `json:"project,omitempty"`
	State   string    `json:"state"`            // running, stopped or kept
	At      string    `json:"at,omitempty"`     // the place, such as build:2
	Reason  string    `json:"reason,omitempty"` // of the stop
	Since   time.Time `json:"since,omitzero"`   // of the stop
	Holder  string    `json:"holder,omitempty"` // the terminal that has the prompt
	Watches []string  `json:"watches,omitempty"`
	// Engine is the name of the engine. HostNetwork reports that the build's ports are those of
	// the host.
	Engine      string `json:"engine"`
	HostNetwork bool   `json:"hostNetwork,omitempty"`
	// SourceDir is the directory of the source in the build.
	SourceDir string `json:"sourceDir,omitempty"`
}

// ShellRequest configures a shell. Keep and Drop decide without a question whether a changed
// environment becomes that of the build.
type ShellRequest struct {
	User  string `json:"user,omitempty"`
	Shell string `json:"shell,omitempty"` // the program; "" for the best one of the image
	NoEnv bool   `json:"noEnv,omitempty"` // without the variables of the build
	Keep  bool   `json:"keep,omitempty"`
	Drop  bool   `json:"drop,omitempty"`
	NoTTY bool   `json:"noTTY,omitempty"` // the shell gets plain streams
}

// ExecRequest configures a command: either Args or Script.
type ExecRequest struct {
	Args   []string `json:"args,omitempty"`
	Script string   `json:"script,omitempty"` // runs as a command of the build, and keeps its state
	TTY    bool     `json:"tty,omitempty"`
	User   string   `json:"user,omitempty"`
	Dir    string   `json:"dir,omitempty"`
	Env    []string `json:"env,omitempty"`   // NAME=VALUE
	NoEnv  bool     `json:"noEnv,omitempty"` // without the variables of the build
}

// SyncRequest configures a copy of changed files of the source.
type SyncRequest struct {
	Force bool `json:"force,omitempty"` // also if the build is of a commit
}

// SyncReport lists the files that were changed in the build, with slash-separated names relative to the
// source.
type SyncReport struct {
	Copied    []string `json:"copied,omitempty"`
	Removed   []string `json:"removed,omitempty"`
	Conflicts []string `json:"conflicts,omitempty"` // changed on both sides; the other version is NAME.build
}

// Text sums a sync up: "synced 2 files, removed 1", or "" if nothing was changed.
func (r SyncReport) Text() string {
	copied, removed := len(r.Copied), len(r.Removed)
	switch {
	case copied > 0 && removed > 0:
		return fmt.Sprintf("synced %s, removed %d", human.Count(copied, "file"), removed)
	case copied > 0:
		return "synced " + human.Count(copied, "file")
	case removed > 0:
		return "removed " + human.Count(removed, "file")
	}
	return ""
}

// Answers of Services.Resume.
const (
	AnswerContinue = "continue"
	AnswerRetry    = "retry"
	AnswerSkip     = "skip"
	AnswerIgnore   = "ignore"
	AnswerAbort    = "abort"
)

// Services are the calls of a build. Each function except Status may be nil; a client then gets
// an error with the reason Why. They may be called concurrently, and end with ctx.
type Services struct {
	Status func() Status
	// Attach runs the prompt on a terminal until the user leaves it (nil) or the build ends
	// (ErrEnded). With watch the terminal shows the build only, and with take the prompt is taken
	// from another terminal.
	Attach func(ctx context.Context, t Terminal, watch, take bool) error
	// Resume ends a stop with an answer.
	Resume func(ctx context.Context, answer string) error
	// Shell runs a shell until it exits.
	Shell func(ctx context.Context, r ShellRequest, t Terminal) (exit int, err error)
	// Exec runs a command. With a terminal, which r.TTY asks for, the streams are not used.
	Exec func(ctx context.Context, r ExecRequest, s Streams, t *Terminal) (exit int, err error)
	// CopyIn and CopyOut transfer files, see engine.Container.
	CopyIn  func(ctx context.Context, dir string, tar io.Reader) error
	CopyOut func(ctx context.Context, path string) (io.ReadCloser, error)
	// Dial connects to a TCP port of the build. Close ends the output, and the connection as
	// soon as the other side has closed it too.
	Dial func(ctx context.Context, port int) (io.ReadWriteCloser, error)
	// Sync copies changed files of the source into the build.
	Sync func(ctx context.Context, r SyncRequest) (SyncReport, error)
	// Changes returns the files and variables that the build has changed.
	Changes func(ctx context.Context) (Changes, error)
	// DAP serves an editor by the Debug Adapter Protocol until the connection ends.
	DAP func(ctx context.Context, conn io.ReadWriter) error

	Why string // the reason for functions that are nil, such as "the build has ended"

	noDAP bool // DAP was nil
}

// Changes are the differences between a build and its image, source and plan.
type Changes struct {
	Files     []engine.Change
	Variables []string  // names
	Command   time.Time // start of the last command; zero without one
	Phase     time.Time // of its phase
}

// Streams are those of a command.
type Streams struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// Refusal is the error for a call that the user should not have made, such as resume while the
// build is not stopped.
type Refusal struct{ Message string }

// Error returns the message.
func (r Refusal) Error() string { return r.Message }

// Refusef returns a Refusal.
func Refusef(format string, args ...any) error { return Refusal{fmt.Sprintf(format, args...)} }

// ErrEnded is wrapped by errors of calls that the end of the build has interrupted.
var ErrEnded = wire.ErrEnded

// complete replaces functions that are nil by ones that return an error.
func (s Services) complete() Services {
	missing := func(what string) error {
		if s.Why == "" {
			return Refusef("%s does not work with this build", what)
		}
		return Refusef("%s does not work: %s", what, s.Why)
	}
	if s.Attach == nil {
		s.Attach = func(context.Context, Terminal, bool, bool) error { return missing("attach") }
	}
	if s.Resume == nil {
		s.Resume = func(context.Context, string) error { return missing("resume") }
	}
	if s.Shell == nil {
		s.Shell = func(context.Context, ShellRequest, Terminal) (int, error) { return 0, missing("shell") }
	}
	if s.Exec == nil {
		s.Exec = func(context.Context, ExecRequest, Streams, *Terminal) (int, error) { return 0, missing("exec") }
	}
	if s.CopyIn == nil {
		s.CopyIn = func(context.Context, string, io.Reader) error { return missing("a copy into the build") }
	}
	if s.CopyOut == nil {
		s.CopyOut = func(context.Context, string) (io.ReadCloser, error) { return nil, missing("a copy out of the build") }
	}
	if s.Dial == nil {
		s.Dial = func(context.Context, int) (io.ReadWriteCloser, error) { return nil, missing("forward") }
	}
	if s.noDAP = s.DAP == nil; s.noDAP {
		s.DAP = func(context.Context, io.ReadWriter) error { return missing("an editor") }
	}
	if s.Changes == nil {
		s.Changes = func(context.Context) (Changes, error) { return Changes{}, missing("diff") }
	}
	if s.Sync == nil {
		s.Sync = func(context.Context, SyncRequest) (SyncReport, error) { return SyncReport{}, missing("sync") }
	}
	return s
}
