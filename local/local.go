// Package local runs builds on this machine. It is the application without a user
// interface: a Request becomes Inputs, Inputs become a Session with a complete Plan, and
// a Session becomes a Record.
//
//	inputs, err := host.Load(ctx, request)
//	defer inputs.Close()
//	session, err := host.Prepare(ctx, inputs, nil)
//	defer session.Close()
//	result := session.Run(ctx, sink)
//
// Load reads everything that the build is made of and reports all mistakes in it. Prepare
// chooses the engine and decides what will happen, and has no effects that outlive Close.
// Run carries the plan out and writes the results into the output directory. The command
// line is one caller; nothing here knows flags, colors or exit codes.
package local

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/buildlocal/buildlocal/internal/rundir"
)

// Host is this machine and its user. All fields except Hurry are required.
type Host struct {
	Stdin io.Reader // for a buildspec or secrets named "-"

	// Warnf prints one line for the user, outside of the build's own output.
	Warnf func(format string, args ...any)

	// MFA asks the user for the code of an authentication device; it returns nil if
	// there is no terminal to ask on.
	MFA func() func() (string, error)

	LookupEnv func(string) (string, bool)
	Now       func() time.Time
	Home      string // the user's home directory; may be empty
	TempDir   string
	Hostname  string
	User      string // the user's name
	Version   string // of this program
	UID, PID  int    // UID is -1 on Windows

	// Hurry is closed when a build that is being stopped should end at once, without
	// waiting for its commands. It may be nil.
	Hurry <-chan struct{}
}

// Env returns the value of an environment variable of the host, or "".
func (h *Host) Env(name string) string {
	value, _ := h.LookupEnv(name)
	return value
}

// Tilde shortens a path below the user's home directory, for messages.
func (h *Host) Tilde(path string) string {
	below, inside := RelativeTo(h.Home, path)
	switch {
	case h.Home != "" && SameDir(h.Home, path):
		return "~"
	case h.Home != "" && inside:
		return "~/" + below
	}
	return path
}

// Runs returns the place of the directories of this user's runs.
func (h *Host) Runs() rundir.Root { return rundir.RootOf(h.TempDir, h.UID) }

// ConfigDir returns the user's configuration directory, or "" if the user has no home
// directory.
func (h *Host) ConfigDir() string {
	if dir := h.Env("XDG_CONFIG_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "buildlocal")
	}
	if h.Home == "" {
		return ""
	}
	return filepath.Join(h.Home, ".config", "buildlocal")
}

// CacheFile returns a path below the user's cache directory, or "" if the user has no
// home directory. Files in it can be removed at any time.
func (h *Host) CacheFile(parts ...string) string {
	dir := h.Env("XDG_CACHE_HOME")
	if dir == "" && h.Home != "" {
		dir = filepath.Join(h.Home, ".cache")
	}
	if dir == "" {
		return ""
	}
	return filepath.Join(append([]string{dir, "buildlocal"}, parts...)...)
}

// StateFile returns a path below the user's state directory, for data that is kept
// between runs and that must not be read from a source.
func (h *Host) StateFile(parts ...string) (string, error) {
	dir := h.Env("XDG_STATE_HOME")
	if !filepath.IsAbs(dir) {
		if h.Home == "" {
			return "", errors.New("the state directory is unknown without a home directory; set XDG_STATE_HOME")
		}
		dir = filepath.Join(h.Home, ".local", "state")
	}
	return filepath.Join(append([]string{dir, "buildlocal"}, parts...)...), nil
}

// UsageError is a mistake of the caller, such as the name of a directory that does not
// exist.
type UsageError struct{ error }

// Unwrap returns the cause.
func (e UsageError) Unwrap() error { return e.error }

// Usagef returns a UsageError.
func Usagef(format string, args ...any) error { return UsageError{fmt.Errorf(format, args...)} }

// InputError is a mistake in a file that the user wrote, without a position to show. A
// mistake with a position is a diag.List.
type InputError struct{ error }

// Unwrap returns the cause.
func (e InputError) Unwrap() error { return e.error }

// NewInputError returns an InputError with a cause.
func NewInputError(err error) InputError { return InputError{err} }

// SettingError is an invalid value of a setting of a Request.
type SettingError struct {
	Setting string // its name, as in Request.Origins
	Value   string // the value that the message is about; "" for no particular one
	Message string
	Joint   bool // the message continues a sentence that begins with the setting
}

// Error returns the message after the name of the setting.
func (e *SettingError) Error() string { return e.After(e.Setting, " ") }

// After returns the message after a name of the setting, such as a flag. The value follows the
// name after a separator.
func (e *SettingError) After(name, separator string) string {
	if e.Value != "" {
		name += separator + e.Value
	}
	if e.Joint {
		return name + " " + e.Message
	}
	return name + ": " + e.Message
}

func invalid(setting, format string, args ...any) error {
	return &SettingError{Setting: setting, Message: fmt.Sprintf(format, args...)}
}

// wrongValue returns an error about one value of a setting.
func wrongValue(setting, value, format string, args ...any) error {
	return &SettingError{Setting: setting, Value: value, Message: fmt.Sprintf(format, args...)}
}

// BuildspecError is returned by Load if everything except the buildspec could be read.
type BuildspecError struct {
	error
	SourceDir string // of the primary source in the build; empty if it is not known
	Name      string // of the buildspec below it, if the request or the project names one
}

// Unwrap returns the cause.
func (e BuildspecError) Unwrap() error { return e.error }

// ErrReadTimeout is returned by Load if the time of the build is over before everything
// is read.
var ErrReadTimeout = errors.New("timed out while reading the build; nothing was started")
