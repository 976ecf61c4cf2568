package debugger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/runner"
)

// holder is the front end that has the prompt.
type holder struct {
	name string
	lost chan string // receives the name of the terminal that has taken the prompt over
}

// front is a prompt on a terminal.
type front struct {
	*Debugger
	t      *Terminal
	in     *input
	editor *lineEditor
	out    io.Writer // for lines that end with a newline
	self   *holder   // nil for one that only watches

	stop   *stopped
	again  string      // the command that an empty line repeats
	failed func(error) // receives errors instead of the terminal; may be nil
}

// ErrDetached is returned by Attach if the user has left the prompt.
var ErrDetached = errors.New("detached")

// ErrTaken is returned by Attach if another front end has taken the prompt over.
var ErrTaken = errors.New("the prompt was taken over")

// Attach shows a prompt on a terminal at each stop, until the build ends (nil), the user detaches
// (ErrDetached), someone takes the prompt over (ErrTaken), or ctx is done. With watch it only shows where the
// build stops. With take it takes the prompt over without asking.
func (d *Debugger) Attach(ctx context.Context, t *Terminal, watch, take bool) error {
	f := &front{Debugger: d, t: t, in: newInput(t.In), out: t.Out}
	defer f.in.close()
	if t.Raw == nil {
		f.out = crlf{t.Out}
	}
	f.editor = newLineEditor(t, f.in, d.History, d.Now)
	f.editor.lines.hide = f.isSecret
	if !watch {
		if err := f.hold(ctx, take); err != nil {
			return err
		}
		defer f.release()
	}
	for {
		w, turn, ended := f.waiting()
		switch {
		case ended:
			return nil
		case w != nil && w != f.stop:
			f.stop = w
			if err := f.serve(ctx, w); err != nil {
				return err
			}
			continue
		}
		select {
		case <-turn:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-f.in.gone:
			return errHangup
		case who := <-f.losing():
			f.printf("%s has taken the prompt over; buildlocal attach takes it back", who)
			return ErrTaken
		}
	}
}

// isSecret reports whether a line contains a secret, so that it is not kept in the history.
func (f *front) isSecret(line string) bool {
	f.mu.Lock()
	live := f.live
	f.mu.Unlock()
	return live != nil && live.Mask(line) != line
}

// waiting returns the stop that waits for an answer (one that is new to this front end is used by it
// from now on), a channel that is closed when that changes, and
// whether the build has ended.
func (f *front) waiting() (*stopped, <-chan struct{}, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.stops) == 0 {
		return nil, f.turn, f.ended
	}
	w := f.stops[0]
	if w != f.stop {
		w.users.Add(1)
	}
	return w, f.turn, f.ended
}

// losing returns a channel that receives the name of the terminal that takes the prompt over.
func (f *front) losing() <-chan string {
	if f.self == nil {
		return nil
	}
	return f.self.lost
}

// hold makes this front end the one with the prompt.
func (f *front) hold(ctx context.Context, take bool) error {
	f.mu.Lock()
	other := f.holder
	f.mu.Unlock()
	if other != nil && !take {
		ok, err := f.ask(ctx, other.name+" has the prompt. Take it over? [y/N] ")
		if err != nil || !ok {
			return errors.Join(ErrDetached, err)
		}
	}
	f.self = &holder{name: f.t.Name, lost: make(chan string, 1)}
	f.change(func() {
		if f.holder != nil {
			f.holder.lost <- f.t.Name
		}
		f.holder = f.self
	})
	return nil
}

// release gives the prompt up.
func (f *front) release() {
	f.change(func() {
		if f.holder == f.self {
			f.holder = nil
		}
	})
}

// Holder returns the name of the front end that has the prompt, or "".
func (d *Debugger) Holder() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.holder == nil {
		return ""
	}
	return d.holder.name
}

// serve shows a stop and, unless this front end only watches, reads commands until it is answered.
func (f *front) serve(ctx context.Context, w *stopped) error {
	defer w.users.Done()
	f.show(w)
	if f.self == nil {
		return nil
	}
	for {
		reading, cancel := f.whileOpen(ctx, w)
		line, err := f.editor.readLine(reading, f.label(w), f.words)
		who, gone := reasonOf(reading)
		cancel()
		switch {
		case errors.Is(context.Cause(reading), ErrTaken): // which the build does not show
			f.printf("%s", who)
			return ErrTaken
		case gone && who != "":
			f.say(who)
			return nil
		case errors.Is(err, errTwice):
			return f.Answer(runner.Answer{Action: runner.ActionAbort}, f.t.Name)
		case errors.Is(err, io.EOF): // Ctrl-D
			if ok, err := f.ask(ctx, "Continue the build? [y/N] "); err != nil {
				return err
			} else if !ok {
				continue
			}
			line = "continue"
		case err != nil:
			return err
		}
		done, err := f.execute(ctx, strings.TrimSpace(line))
		if err != nil || done {
			return err
		}
	}
}

// whileOpen returns a context that ends with the reason why a stop can no longer be answered here.
func (f *front) whileOpen(ctx context.Context, w *stopped) (context.Context, func()) {
	reading, cancel := context.WithCancelCause(ctx)
	go func() {
		for {
			f.mu.Lock()
			turn, open, ended, by := f.turn, len(f.stops) > 0 && f.stops[0] == w && !w.closed, f.ended, w.by
			f.mu.Unlock()
			switch {
			case ended:
				cancel(errors.New("the build has ended"))
				return
			case !open:
				cancel(fmt.Errorf("continued by %s", by))
				return
			}
			select {
			case <-turn:
			case who := <-f.losing():
				cancel(takenError{who})
				return
			case <-reading.Done():
				return
			}
		}
	}()
	return reading, func() { cancel(errCanceled) }
}

// takenError is ErrTaken with the name of the other terminal.
type takenError struct{ who string }

// Error names the other terminal.
func (e takenError) Error() string {
	return e.who + " has taken the prompt over; buildlocal attach takes it back"
}

// Unwrap returns ErrTaken.
func (takenError) Unwrap() error { return ErrTaken }

// reasonOf returns why a context has ended, and whether it has.
func reasonOf(ctx context.Context) (string, bool) {
	if ctx.Err() == nil {
		return "", false
	}
	return context.Cause(ctx).Error(), true
}

// say prints why the stop is over. The build's own terminal shows that as a part of the build.
func (f *front) say(why string) {
	if !f.t.Local {
		f.printf("%s", why)
	}
}

// label returns the prompt.
func (f *front) label(w *stopped) string { return "(" + w.At + ") " }

// ask asks a question whose answer is no unless the user types y or yes.
func (f *front) ask(ctx context.Context, question string) (bool, error) {
	if f.declined(question) {
		return false, nil
	}
	line, err := f.editor.readLine(ctx, question, func(string) []string { return nil })
	if errors.Is(err, io.EOF) || errors.Is(err, errTwice) {
		return false, nil
	}
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "y" || answer == "yes", err
}

// screen returns a screen for the terminal.
func (f *front) screen() *console.Screen {
	o := f.t.Look
	o.Width = func() int { columns, _ := f.t.Size(); return columns }
	return console.NewScreen(f.out, o)
}

// printf prints one line.
func (f *front) printf(format string, args ...any) { f.screen().Printf(format, args...) }

// show shows why the build has stopped, and the keys.
func (f *front) show(w *stopped) {
	s := f.screen()
	if w.Failed() && (!f.t.Local || w.Earlier || w.since.Before(f.Now().Add(-time.Minute))) {
		if w.Problem != nil {
			s.Failure(w.Problem, w.Hints)
		}
	}
	if w.Failed() && f.Explain != nil {
		if _, line := f.Explain(f.live, false); line != "" {
			s.Paragraph(strings.TrimPrefix(line, "since "), console.Plain("since"))
		}
	}
	where := Describe(w.Stop)
	if w.Line > 0 && w.Reason != runner.AfterFailure {
		where += fmt.Sprintf(" (%s:%d)", f.Plan().File, w.Line)
	}
	s.Line()
	s.Line(console.Warn("stopped"), console.Plain(" "+where))
	if w.Reason == runner.BeforeCommand || w.Reason == runner.AtStatement {
		for line := range strings.Lines(strings.TrimRight(w.Text, "\n")) {
			s.Line(console.Plain("  " + strings.TrimRight(line, "\n")))
		}
	}
	if w.Retries > 0 {
		s.Line(console.Weak("the phase is repeated " + human.Count(w.Retries, "time") + " after this"))
	}
	var keys []console.Span
	for _, k := range keysAt(w.Stop) {
		keys = append(keys, console.Weak(k))
	}
	s.Facts(keys...)
}

// keysAt returns the commands that are most useful at a stop.
func keysAt(s runner.Stop) []string {
	switch {
	case s.Failed():
		return []string{"r retry", "e edit", "s shell", "i ignore", "c continue", "q abort", "h help"}
	case s.Reason == runner.AtTimeout:
		return []string{"i go on without a limit", "s shell", "c end the build", "q abort", "h help"}
	case s.Reason == runner.AtStatement:
		return []string{"n next", "step", "v env", "c continue", "q abort", "h help"}
	case s.Reason == runner.BeforeCommand:
		return []string{"n next", "s shell", "k skip", "l list", "c continue", "q abort", "h help"}
	}
	return []string{"s shell", "v env", "c continue", "q abort", "h help"}
}
