package watch

import (
	"context"
	"fmt"
	"strings"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/tty"
	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/local"
	"github.com/buildlocal/buildlocal/runner"
)

// screen shows what happens between builds.
type screen struct {
	app      *cli.App
	o        *Options
	terminal bool // text on a terminal that understands sequences
	brief    bool // each build is one line

	lost   bool           // the output cannot be written
	files  []string       // that have caused the build
	name   string         // of the project
	status runner.Status  // of the last build that has ended by itself; "" before
	green  *runner.Record // the last one that succeeded; nil before
}

func newScreen(a *cli.App, o *Options) *screen {
	text := o.Format == "text"
	return &screen{
		app: a, o: o, terminal: text && a.IsTerminal() && a.Env("TERM") != "dumb",
		brief: text && !a.IsTerminal() && !o.Verbose,
	}
}

// Sequences of terminals.
const (
	saveTitle    = "\x1b[22;2t"
	restoreTitle = "\x1b[23;2t"
	clearScreen  = "\x1b[H\x1b[2J\x1b[3J"
)

// open and close keep the title of the terminal.
func (s *screen) open()  { s.sequence(saveTitle) }
func (s *screen) close() { s.sequence(restoreTitle) }

// sequence writes a sequence to the terminal, if there is one.
func (s *screen) sequence(text string) {
	if s.terminal {
		fmt.Fprint(s.app.Raw.Out, text)
	}
}

// title sets the title of the terminal.
func (s *screen) title(state string) {
	s.sequence("\x1b]2;" + diag.EscapeLine(strings.TrimSpace(state+" "+s.name)) + "\x07")
}

// note prints a line about the watch itself.
func (s *screen) note(text string) {
	s.app.Warnf("note: %s", text)
	if s.terminal { // which is raw while keys are read, so the next line has to begin at the left
		fmt.Fprint(s.app.Raw.Err, "\r")
	}
}

// before shows why a build begins.
func (s *screen) before(why action, files []string) {
	s.files = files
	if why == retry {
		return
	}
	if why != first && s.o.Clear {
		s.sequence(clearScreen)
	}
	if why != change {
		return
	}
	switch {
	case s.o.Format == cli.FormatJSON:
		console.NewJSON(s.app.Raw.Out).Changed(s.app.Now(), files)
	case s.o.Format == "text" && !s.brief && !s.o.Quiet:
		out := s.app.Screen()
		if !s.o.Clear {
			out.Line()
		}
		out.Line(console.Accent("changed"), console.Plain(": "+someOf(files)))
	}
}

// someOf names up to three files, and counts the others.
func someOf(files []string) string {
	const most = 3
	if len(files) <= most {
		return human.Series(files)
	}
	return strings.Join(files[:most], ", ") + " and " + human.Count(len(files)-most, "other file")
}

// sink returns the sink of a build that is shown as one line; nil for the usual one.
func (s *screen) sink() local.Sink {
	if !s.brief {
		return nil
	}
	return silent{}
}

// silent shows nothing of a build.
type silent struct{}

// Notify implements local.Sink.
func (silent) Notify(runner.Event) {}

// Err implements local.Sink.
func (silent) Err() error { return nil }

// began shows that a build is running.
func (s *screen) began(session *local.Session) {
	s.name = session.Plan.Identity.Project
	s.title("building")
}

// finished shows the result of a build.
func (s *screen) finished(r *runner.Record) {
	if r.Status == runner.Stopped { // by a change, or by the user
		return
	}
	before := s.status
	s.status = r.Status
	s.title(strings.ToLower(string(r.Status)))
	if before != "" && (before == runner.Succeeded) != (r.Status == runner.Succeeded) {
		s.notify(r)
	}
	if s.brief {
		reason := ""
		if len(s.files) > 0 {
			reason = ": " + someOf(s.files) + " changed"
		}
		_, err := fmt.Fprintf(s.app.Stdout, "#%d %s%s\n", r.Number, console.Verdict(r), reason)
		s.lost = err != nil
	}
	if r.Status == runner.Succeeded {
		s.green = r
	}
}

// notify calls the user's attention to a build that is not as the one before.
func (s *screen) notify(r *runner.Record) {
	switch s.o.Notify {
	case notifyBell:
		s.sequence("\a")
	case notifyMessage:
		s.sequence("\x1b]9;" + diag.EscapeLine(s.name+" "+console.Verdict(r)) + "\x07")
	}
}

// refused shows why a build could not be started.
func (s *screen) refused(err error) {
	s.title("cannot build")
	s.app.PrintError(err)
	if n := cli.CountErrors(err); n > 1 {
		s.app.Messages().Printf("%d errors; nothing started", n)
	}
	if s.o.Format == cli.FormatJSON {
		_ = s.app.WriteErrorJSON(err, true)
	}
}

// waiting shows which keys the user can type, and returns those that they type. stop ends that.
func (s *screen) waiting(ctx context.Context, l *loop) (keys <-chan byte, stop func()) {
	nothing := func() {}
	if s.o.Format != "text" || !s.app.IsTerminal() {
		return nil, nothing
	}
	// Keys are read before their names are shown, so that none is shown by the terminal.
	if tty.Prompt(s.app) != nil {
		keys, stop = tty.Keys(ctx, s.app)
	}
	if stop == nil {
		stop = nothing
	}
	if s.status != runner.Succeeded && s.green != nil {
		s.line(console.Weak(fmt.Sprintf("last green %s, build %d", human.When(s.green.End, s.app.Now()), s.green.Number)))
	}
	if l.partlyGreen() {
		s.line(console.Weak("green from " + strings.ToUpper(l.from) + "; press Enter for a full build"))
	}
	subject, options := "waiting for changes", "r rerun · f from the start · q quit"
	if l.gone {
		subject = "waiting for the engine and changes"
	}
	if l.red {
		options = "d debug · " + options
	}
	if keys == nil {
		options = "Ctrl-C to quit"
	}
	s.line(console.Strong(subject), console.Weak(": "+options))
	return keys, stop
}

// line prints a line while the terminal is raw, in which the next one would not begin at the left.
func (s *screen) line(spans ...console.Span) {
	s.app.Screen().Line(spans...)
	s.sequence("\r")
}
