package watch

import (
	"context"
	"errors"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/settings"
	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/local"
	"github.com/buildlocal/buildlocal/runner"
	"github.com/buildlocal/buildlocal/watch"
)

// errChanged stops a build whose source has changed.
var errChanged = errors.New("the source has changed")

// retryTime is how often an engine that is gone is tried again.
const retryTime = 2 * time.Second

// loop runs builds until it is ended.
type loop struct {
	app     *cli.App
	o       *Options
	files   *local.Watched
	watcher *watch.Watcher
	screen  *screen

	base  *watch.Snapshot  // the files as they were before the last build
	kind  local.EngineKind // on which the first build ran; the next ones use it too
	ended error            // of the last build; nil for a green one
	red   bool             // the last build has failed at a command
	from  string           // the phase with which it began, if that was not the first one
	gone  bool             // the engine could not be reached
}

// run runs the command.
func run(ctx context.Context, a *cli.App, o *Options) error {
	if o.DryRun {
		return cli.Usagef("watch: no --dry-run; use buildlocal plan")
	}
	files, err := a.Watched(&o.Request, settingsFiles(a, &o.Flags)...)
	if err != nil {
		return o.Explain(err)
	}
	l := &loop{app: a, o: o, files: files, screen: newScreen(a, o)}
	l.watcher = watch.New(watch.Options{
		List: files.List, Quick: files.Quick, Busy: files.Busy, Now: a.Now, Note: l.screen.note,
	})
	defer l.watcher.Close()
	if l.base, err = l.watcher.Look(ctx, nil); err != nil {
		return err
	}
	l.watcher.Learn(l.base)
	l.screen.open()
	defer l.screen.close()
	return l.run(ctx)
}

// action is the reason for the next build.
type action int

const (
	first   action = iota
	change         // files have changed
	rerun          // the user wants the same build again
	scratch        // the user wants a build from the start
	retry          // the engine may be back
	prompt         // the user wants to look into the failed build
	quit
)

// run runs builds. It returns the result of the last one.
func (l *loop) run(ctx context.Context) error {
	next, changes := first, []watch.Change(nil)
	for next != quit {
		superseded := false
		if next == prompt {
			l.debug(ctx)
		} else {
			l.screen.before(next, l.names(changes))
			superseded = l.build(ctx, next)
		}
		if ctx.Err() != nil { // while a build was running
			return l.result()
		}
		// The build used the files as they were when it began, or newer ones. They are compared again.
		l.watcher.Recheck()
		if l.screen.lost || errors.Is(l.ended, syscall.EPIPE) {
			return l.ended // the reader of the output has gone
		}
		if superseded {
			next, changes = l.changed(ctx)
			continue
		}
		next, changes = l.wait(ctx)
	}
	return l.result()
}

// result returns the result of the last build, whose messages were printed.
func (l *loop) result() error {
	if code := cli.ExitCode(l.ended); code != cli.ExitSucceeded {
		return cli.ExitError{Code: code}
	}
	return nil
}

// partlyGreen reports whether the last build was green, and its first phases were restored.
func (l *loop) partlyGreen() bool { return l.from != "" && l.ended == nil }

// isEnter reports whether a key is Enter.
func isEnter(key byte) bool { return key == '\r' || key == '\n' }

// names returns the names of changed files for the user.
func (l *loop) names(changes []watch.Change) []string {
	var all []string
	for _, c := range changes {
		all = append(all, l.files.Name(c.File))
	}
	return all
}

// build runs one build. It reports whether the build was stopped because the source has changed again.
func (l *loop) build(ctx context.Context, why action) (superseded bool) {
	// The files are examined before anything is read of them, so that no change is lost.
	base, err := l.watcher.Look(ctx, l.base)
	if err == nil {
		l.base = base
	}
	flags, err := l.settled(ctx, why)
	if err != nil {
		l.failed(err)
		return false
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	done := make(chan error, 1)
	b := l.request(flags, why)
	go func() { done <- l.o.Builder.Run(ctx, l.app, b) }()
	changed, end := l.changes(ctx)
	defer end()
	select {
	case err = <-done:
	case <-changed:
		if l.o.NoRestart || flags.Debug.Stops() { // nothing is restarted while the user looks into it
			err = <-done
			break
		}
		stop(errChanged)
		err = <-done
	}
	if errors.Is(context.Cause(ctx), errChanged) {
		return true
	}
	l.failed(err)
	return false
}

// settled returns the flags with the current settings.
func (l *loop) settled(ctx context.Context, why action) (*settings.Flags, error) {
	if why == first {
		return &l.o.Flags, nil
	}
	flags, err := l.o.settle(ctx)
	if err != nil {
		return nil, err
	}
	if !l.files.Update(&flags.Request) {
		return flags, nil
	}
	// Other files are watched now. The state of those that were watched before stays that of the base.
	if more, err := l.watcher.Look(ctx, l.base); err == nil {
		l.base.Add(more)
	}
	return flags, nil
}

// request returns the build for the current settings.
func (l *loop) request(flags *settings.Flags, why action) Build {
	if flags.Engine.Kind == local.EngineAuto && l.kind != "" {
		flags.Engine.Kind = l.kind // a build does not run elsewhere because Docker ends in the meantime
	}
	flags.Observe = true // the next build can begin at the first phase that a change affects
	switch {
	case flags.Debug.From != "" || why == first || why == scratch:
	case why == rerun:
		flags.Debug.From = l.from
	default:
		flags.Debug.From = local.FromChanges
	}
	b := Build{Flags: flags, CommandLine: l.o.commandLine, Finished: l.finished, Sink: l.screen.sink()}
	b.Began = func(s *local.Session) {
		name, _, _ := strings.Cut(s.Plan.Engine, " ")
		l.kind = local.EngineKind(name)
		l.screen.began(s)
		if l.gone {
			l.gone = false
			l.screen.note("the engine answers again")
		}
	}
	if why != first && l.screen.brief {
		flags.Quiet = true // notes about the buildspec were printed with the first build
	}
	return b
}

// finished takes the record of a build.
func (l *loop) finished(r *runner.Record) {
	l.red, l.from = r.Status == runner.Failed, beginning(r)
	l.screen.finished(r)
}

// beginning returns the phase with which a build began, if it was not the first one.
func beginning(r *runner.Record) string {
	if r.Restored == nil {
		return ""
	}
	for _, p := range r.Phases {
		ran := slices.ContainsFunc(r.Commands, func(c runner.CommandRecord) bool { return c.Phase == p.Type })
		if ran && p.Status != runner.RestoredStatus {
			return strings.ToLower(string(p.Type))
		}
	}
	return ""
}

// failed takes the error of a build. A build that has started has printed it.
func (l *loop) failed(err error) {
	l.ended = err
	var reported cli.ExitError
	if err == nil || errors.As(err, &reported) {
		return
	}
	l.red = false
	var fault *engine.Fault
	if errors.As(err, &fault) && fault.Kind == engine.NoEngine {
		if l.gone {
			return // the user knows
		}
		l.gone = true
	}
	l.screen.refused(err)
}

// changes waits for a change beside a build. end stops that.
func (l *loop) changes(ctx context.Context) (changed <-chan struct{}, end func()) {
	ctx, cancel := context.WithCancel(ctx)
	found, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		if _, _, err := l.watcher.Wait(ctx, l.base); err == nil {
			close(found)
		}
	}()
	return found, func() { cancel(); <-done }
}

// changed returns the changes since the last build began.
func (l *loop) changed(ctx context.Context) (action, []watch.Change) {
	changes, _, err := l.watcher.Wait(ctx, l.base)
	if err != nil {
		return quit, nil
	}
	return change, changes
}

// debug opens the prompt of the failed build.
func (l *loop) debug(ctx context.Context) {
	flags, err := l.settled(ctx, prompt)
	if err == nil {
		err = l.o.Builder.Debug(ctx, l.app, l.request(flags, prompt))
	}
	l.failed(err)
}

// wait waits for a change, or for a key of the user.
func (l *loop) wait(ctx context.Context) (action, []watch.Change) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type found struct {
		next    action
		changes []watch.Change
	}
	changed := make(chan found, 1)
	go func() {
		next, changes := l.changed(ctx)
		changed <- found{next, changes}
	}()
	defer func() { cancel(); <-changed }()
	var again <-chan time.Time
	if l.gone {
		again = time.After(retryTime)
	}
	keys, stop := l.screen.waiting(ctx, l)
	defer stop()
	for {
		select {
		case f := <-changed:
			changed <- f // for the end
			return f.next, f.changes
		case <-again:
			return retry, nil
		case key := <-keys:
			next := actionOf(key, l.red)
			if next == rerun && isEnter(key) && l.partlyGreen() {
				next = scratch
			}
			if next != first {
				return next, nil
			}
		}
	}
}

// actionOf returns the action of a key; first for keys without one.
func actionOf(key byte, red bool) action {
	const interrupt, end = 3, 4 // Ctrl-C and Ctrl-D on a raw terminal
	switch key {
	case 'q', 'Q', interrupt, end:
		return quit
	case 'r', 'R':
		return rerun
	case 'f', 'F', '\r', '\n':
		return scratch
	case 'd', 'D':
		if red {
			return prompt
		}
	}
	return first
}
