package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/local"
	"github.com/buildlocal/buildlocal/runner"
)

// Exit codes. They are derived from types of errors, never from messages. 130 and 143 are
// 128 plus the number of the signal, as shells report a program that a signal ended.
const (
	ExitSucceeded  = 0
	ExitFailed     = 1   // the build failed
	ExitUsage      = 2   // a mistake on the command line
	ExitInput      = 3   // a mistake in a buildspec, a project document or a configuration file
	ExitFault      = 4   // of the engine, an image, a registry or this program
	ExitTimedOut   = 5   // the build timed out
	ExitStopped    = 130 // SIGINT
	ExitTerminated = 143 // SIGTERM
)

// ExitError carries an exit code. It is not printed: the command has reported the failure
// already.
type ExitError struct{ Code int }

// Error names the code, for tests.
func (e ExitError) Error() string { return fmt.Sprintf("exit code %d", e.Code) }

// Screen is an error with a message of several lines in the final form, which PrintError
// must not label or wrap.
type Screen interface {
	error
	// ScreenExitCode returns the exit code. The name is not ExitCode, which
	// *exec.ExitError has too.
	ScreenExitCode() int
}

// Usagef returns an error for a mistake on the command line. Lines after the first are hints.
func Usagef(format string, args ...any) error { return local.Usagef(format, args...) }

// ExitCode returns the exit code for an error. If several are joined, the first case that
// one of them matches counts: a usage error hides mistakes in files, because those may only
// have been read because of it.
func ExitCode(err error) int {
	var usage local.UsageError
	var input local.InputError
	var list diag.List
	var exit ExitError
	var screen Screen
	switch {
	case err == nil:
		return ExitSucceeded
	case errors.As(err, &exit):
		return exit.Code
	case errors.Is(err, runner.ErrStopped):
		return ExitStopped
	case errors.Is(err, runner.ErrTerminated):
		return ExitTerminated
	case errors.Is(err, local.ErrReadTimeout):
		return ExitTimedOut
	case errors.As(err, &usage):
		return ExitUsage
	case errors.As(err, &list), errors.As(err, &input):
		return ExitInput
	case errors.As(err, &screen):
		return screen.ScreenExitCode()
	}
	return ExitFault
}

// PrintError prints an error: problems of files and screens as they are, any other error
// after a label, with hints on lines of their own.
func (a *App) PrintError(err error) {
	var list diag.List
	var screen Screen
	// Only a joined error with a special part is split here; labelled splits the others.
	isSpecial := errors.As(err, &list) || errors.As(err, &screen)
	if parts := Parts(err); parts != nil && isSpecial {
		for _, err := range parts {
			a.PrintError(err)
		}
		return
	}
	switch {
	case errors.As(err, &list):
		screen := a.Messages()
		for _, p := range list {
			screen.Problem(p)
		}
	case errors.As(err, &screen):
		fmt.Fprintln(a.Stderr, screen.Error())
	default:
		a.Messages().Message(labelled(err))
	}
}

// ErrorText returns what PrintError prints, without colors.
func (a *App) ErrorText(err error) string {
	var text strings.Builder
	printer := &App{Host: a.Host}
	printer.Raw.Err, printer.Stderr = &text, diag.EscapeWriter(&text)
	printer.PrintError(err)
	return strings.TrimSpace(text.String())
}

// labelled returns the message of an error with labels. The first line of each error is
// the message, the following ones are hints, except for indented lines, which continue the
// message.
func labelled(err error) string {
	var b strings.Builder
	if parts := Parts(err); parts != nil {
		for _, err := range parts {
			b.WriteString(labelled(err))
		}
		return b.String()
	}
	// Messages of other packages end with a full stop in some hints, and begin them with a
	// capital letter, because they are also shown as sentences (in JSON, on the page).
	label := "error: "
	for line := range strings.Lines(strings.TrimRight(human.ErrorText(err), "\n") + "\n") {
		line = human.TrimStop(strings.TrimRight(line, "\n"))
		if strings.HasPrefix(line, "  ") {
			b.WriteString(line + "\n")
			continue
		}
		if label != "error: " {
			line = human.Clause(line)
		}
		b.WriteString(label + line + "\n")
		label = "hint: "
	}
	return b.String()
}

// JoinErrors returns several errors as one: mistakes of the command line first, then the
// problems of files as one sorted list, then a screen. Nil errors are dropped. Only the last
// screen is kept: two questions at once are no help.
func JoinErrors(errs []error) error {
	var problems diag.List
	var screen Screen
	var rest []error
	flat := flatten(errs)
	if len(flat) == 1 {
		return flat[0] // with its type
	}
	for _, err := range flat {
		var list diag.List
		switch {
		case errors.As(err, &list):
			problems = append(problems, list...)
		case errors.As(err, &screen):
		case err != nil:
			rest = append(rest, err)
		}
	}
	problems.Sort()
	if len(problems) > 0 {
		rest = append(rest, problems)
	}
	if screen != nil {
		rest = append(rest, screen)
	}
	if len(rest) == 1 {
		return rest[0]
	}
	return errors.Join(rest...)
}

// flatten replaces joined errors by their parts.
func flatten(errs []error) []error {
	var all []error
	for _, err := range errs {
		if parts := Parts(err); parts != nil {
			all = append(all, flatten(parts)...)
			continue
		}
		if err != nil {
			all = append(all, err)
		}
	}
	return all
}

// Parts returns the errors that errors.Join has joined, or nil for any other error. An
// error that wraps several others in a message of its own (fmt.Errorf with two %w) is not
// joined: its message would be lost.
func Parts(err error) []error {
	several, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return nil
	}
	parts := several.Unwrap()
	if err.Error() != errors.Join(parts...).Error() {
		return nil
	}
	return parts
}
