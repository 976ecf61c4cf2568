package debugger

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/runner"
)

// runText runs a shell command in the state of the build: beside it, or as one of its commands,
// which keep their variables and directory.
func (f *front) runText(ctx context.Context, text string, keep bool) error {
	if text == "" {
		f.fail(errors.New("expected a shell command, such as ! ls"))
		return nil
	}
	ctx, done := f.interruptible(ctx)
	defer done()
	var exit int
	var err error
	if keep {
		exit, err = f.live.Run(ctx, text, f.out)
	} else {
		p := runner.LiveProcess{At: f.stop.Breakpoint}
		p.Args, p.Stdout, p.Stderr = []string{f.Plan().Shell, "-c", "set -a; eval \"$1\"", "sh", text}, f.out, f.out
		exit, err = f.live.Exec(ctx, p)
	}
	f.live.ByHand(runner.HandRun, text)
	switch {
	case errors.Is(err, runner.ErrBusy):
		f.fail(fmt.Errorf("%w\n! TEXT runs beside it", err))
	case err != nil:
		f.fail(err)
	case exit != 0:
		f.printf("exit status %d", exit)
	}
	return nil
}

// interruptible returns a context that Ctrl-C cancels.
func (f *front) interruptible(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	f.mu.Lock()
	f.cancel = func() { cancel(errors.New("interrupted")) }
	f.mu.Unlock()
	reading, stop := context.WithCancel(ctx)
	if f.t.Raw == nil { // else the terminal sends a signal, see Interrupt
		go f.watchKeys(reading)
	}
	return ctx, func() {
		stop()
		f.mu.Lock()
		f.cancel = nil
		f.mu.Unlock()
		cancel(nil)
	}
}

// watchKeys cancels the running command at Ctrl-C. Other keys are dropped: the command has no input.
func (f *front) watchKeys(ctx context.Context) {
	one := make([]byte, 1)
	for {
		n, err := f.in.read(ctx, one)
		if err != nil {
			return
		}
		if n == 1 && one[0] == ctrlC {
			f.mu.Lock()
			cancel := f.cancel
			f.mu.Unlock()
			if cancel != nil {
				cancel()
			}
			return
		}
	}
}

// env shows variables with their origins.
func (f *front) env(ctx context.Context, args string) (bool, error) {
	names, show := strings.Fields(args), false
	names = slices.DeleteFunc(names, func(name string) bool {
		show = show || name == "--show"
		return name == "--show"
	})
	all, _, err := f.variables(ctx, f.stop.Breakpoint, show)
	if err != nil {
		f.fail(err)
		return false, nil
	}
	t := console.Table{Columns: make([]console.Column, 3), NoHead: true} // the value is last: it may be long
	for _, v := range all {
		if len(names) == 0 || slices.Contains(names, v.Name) {
			t.Add(console.Strong(v.Name), console.Weak(v.Origin), console.Plain(v.Value))
		}
	}
	var missing []string
	for _, name := range names {
		if !slices.ContainsFunc(all, func(v Variable) bool { return v.Name == name }) {
			missing = append(missing, name)
		}
	}
	f.screen().Table(t)
	if len(missing) > 0 {
		f.printf("%s %s not set", strings.Join(missing, ", "), human.Plural(len(missing), "is", "are"))
	}
	return false, nil
}

func (f *front) set(ctx context.Context, args string) (bool, error) {
	name, value, valid := strings.Cut(args, "=")
	if !valid || !project.ValidName(name) {
		f.fail(errors.New("expected NAME=VALUE"))
		return false, nil
	}
	if err := f.setVariable(ctx, name, unquoted(value)); err != nil {
		f.fail(err)
	}
	return false, nil
}

// unquoted removes quotes around a value, which people write out of habit.
func unquoted(value string) string {
	for _, quote := range []string{`"`, `'`} {
		if len(value) > 1 && strings.HasPrefix(value, quote) && strings.HasSuffix(value, quote) {
			return value[1 : len(value)-1]
		}
	}
	return value
}

func (f *front) unset(ctx context.Context, args string) (bool, error) {
	if !project.ValidName(args) {
		f.fail(errors.New("expected the name of a variable"))
		return false, nil
	}
	return f.changed(runner.HandSet, args, f.live.Change(ctx, "", "unset "+args))
}

func (f *front) cd(ctx context.Context, args string) (bool, error) {
	state, err := f.live.State(ctx, nil)
	if err != nil {
		f.fail(err)
		return false, nil
	}
	dir := args
	switch {
	case args == "":
		dir = f.Plan().Sources[0].Path
	case !path.IsAbs(args):
		dir = path.Join(state.Dir, args)
	}
	p := runner.LiveProcess{}
	p.Args = []string{"sh", "-c", `[ -d "$1" ]`, "sh", dir}
	if exit, err := f.live.Exec(ctx, p); err != nil || exit != 0 {
		f.fail(errors.Join(err, fmt.Errorf("%s is not a directory of the build", dir)))
		return false, nil
	}
	return f.changed(runner.HandEnter, dir, f.live.Change(ctx, dir))
}

// changed records a change of the state, or prints why it was impossible.
func (f *front) changed(kind runner.HandKind, text string, err error) (bool, error) {
	if err != nil {
		f.fail(err)
		return false, nil
	}
	f.live.ByHand(kind, text)
	return false, nil
}

// mark returns the sign of a command: how it ended, or that the build is there.
func (f *front) mark(at string) console.Span {
	if f.stop.At == at {
		return console.SignCurrent
	}
	for _, s := range slices.Backward(f.done) {
		switch {
		case s.at != at:
		case s.failed:
			return console.SignFailed
		default:
			return console.SignOK
		}
	}
	return console.Plain(" ")
}

// where prints how each command of the build has ended, one line each.
func (f *front) where(_ context.Context, _ string) (bool, error) {
	f.printPlaces(f.Plan().Places(), console.FitText)
	return false, nil
}

// list prints the commands around this one, of which it prints all lines.
func (f *front) list(_ context.Context, _ string) (bool, error) {
	const reach = 4
	all := f.Plan().Places()
	at := max(0, slices.IndexFunc(all, func(p runner.Place) bool { return p.At == f.stop.At }))
	f.printPlaces(all[max(0, at-reach):min(len(all), at+reach+1)], console.FitWrap)
	return false, nil
}

// printPlaces lists commands with how they ended, and breakpoints.
func (f *front) printPlaces(all []runner.Place, fit console.Fit) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.screen()
	t := console.Table{Columns: []console.Column{{}, {}, {}, {}, {Fit: fit}}, NoHead: true}
	for _, p := range all {
		stop, text := console.Plain(""), f.masked(p.Text)
		if slices.ContainsFunc(f.breaks, func(b Break) bool { return slices.Contains(b.At, p.At) }) {
			stop = console.SignBreakpoint
		}
		lines := []string{s.FirstLine(text)}
		if fit == console.FitWrap && p.At == f.stop.At {
			lines = strings.Split(strings.TrimRight(text, "\n"), "\n")
		}
		t.Add(s.Sign(f.mark(p.At)), stop, console.Strong(p.At), console.Weak(strconv.Itoa(p.Line)), console.Plain(lines[0]))
		for _, line := range lines[1:] {
			t.Add(console.Plain(""), console.Plain(""), console.Plain(""), console.Plain(""), console.Plain(line))
		}
	}
	t.DropEmpty()
	s.Table(t)
}

func (f *front) output(_ context.Context, args string) (bool, error) {
	const least = 5
	_, rows := f.t.Size()
	n := max(least, rows-least)
	if args != "" {
		var err error
		if n, err = strconv.Atoi(args); err != nil || n < 1 {
			f.fail(errors.New("expected a number of lines"))
			return false, nil
		}
	}
	lines := strings.Split(strings.TrimRight(f.live.Output(), "\n"), "\n")
	if lines[0] == "" && len(lines) == 1 {
		f.printf("no output")
		return false, nil
	}
	for _, line := range lines[max(0, len(lines)-n):] {
		_, _ = fmt.Fprintf(f.out, "%s\n", line)
	}
	return false, nil
}

func (f *front) explain(_ context.Context, _ string) (bool, error) {
	if f.stop.Problem == nil {
		f.printf("no command has failed here; where shows what has run")
		return false, nil
	}
	if f.Explain != nil && f.stop.Failed() {
		if view, _ := f.Explain(f.live, true); view != nil {
			f.screen().Explain(*view)
			return false, nil
		}
	}
	f.screen().Failure(f.stop.Problem, f.stop.Hints)
	return false, nil
}

func (f *front) sync(ctx context.Context, _ string) (bool, error) {
	done, err := f.syncSource(ctx)
	if err != nil {
		f.fail(err)
	} else if done == "" {
		f.printf("the source has not changed")
	}
	return false, nil
}

// syncSource copies changed files of the source into the build, and returns a description of the changes, or "".
func (f *front) syncSource(ctx context.Context) (string, error) {
	if f.Sync == nil {
		return "", errors.New("this source cannot be synced")
	}
	s, err := f.Sync(ctx, f.live)
	text := s.Text()
	if err != nil || text == "" {
		return "", err
	}
	if names := append(slices.Clone(s.Copied), s.Removed...); len(names) <= 3 {
		text += ": " + human.Series(names)
	}
	f.printf("%s", text)
	for _, name := range s.Conflicts {
		f.printf("%s was changed by the build too: its version is %s.build", name, name)
	}
	f.live.ByHand(runner.HandSync, "")
	return text, nil
}

// files prints the files that the last command has changed; without any, those of its phase, else of the
// build. all asks for those of the build.
func (f *front) files(ctx context.Context, args string) (bool, error) {
	if args != "" && args != "all" {
		f.fail(errors.New("expected files or files all"))
		return false, nil
	}
	by, changes, err := f.changedFiles(ctx, args == "all")
	switch {
	case err != nil:
		f.fail(err)
	case by == "":
		f.printf("no file has changed")
	default:
		f.printf("changed by %s:", by)
		f.screen().Table(console.ChangeTable(changes))
	}
	return false, nil
}

// changedFiles returns the files that the last command has changed; without any, those of its phase, else of the
// build, or with all those of the build at once. by says which of them it is, and is empty without changes.
func (f *front) changedFiles(ctx context.Context, all bool) (by string, changes []engine.Change, err error) {
	changes, err = f.live.Changes(ctx)
	if err != nil {
		return "", nil, err
	}
	command, phase := f.live.Began()
	for _, part := range []struct {
		of    string
		since time.Time
	}{{"the last command", command}, {"the phase", phase}, {"the build", time.Time{}}} {
		if part.of != "the build" && (all || part.since.IsZero()) {
			continue
		}
		of := slices.DeleteFunc(slices.Clone(changes), func(c engine.Change) bool {
			return !part.since.IsZero() && c.Time.Before(part.since.Add(-clockSlack)) // or the time is not known
		})
		if len(of) > 0 {
			return part.of, of, nil
		}
	}
	return "", nil, nil
}

// clockSlack is how far the times of files may lag behind the clock.
const clockSlack = 10 * time.Millisecond
