package build

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/aymanbagabas/go-udiff"
	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/tty"
	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/control"
	"github.com/buildlocal/buildlocal/dap"
	"github.com/buildlocal/buildlocal/debugger"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/local"
	"github.com/buildlocal/buildlocal/runner"
)

// debugging is the debugger of one build, and the prompt on the terminal of this process.
type debugging struct {
	*debugger.Debugger
	sink  *detachable
	shown chan struct{} // closed when the prompt has ended
}

// NewDebug returns the command debug. attach opens the prompt of a build of this source that is
// stopped, and returns false without such a build.
func NewDebug(a *cli.App, attach func(context.Context, *cli.App) (bool, error), runF cli.RunF[Options]) *cobra.Command {
	var given []string // flags on the command line, before others get values from other places
	c := NewRun(a, func(ctx context.Context, o *Options) error {
		o.Debug.Debug = true
		if attached, err := attach(ctx, a); attached || err != nil {
			return err
		}
		if runF != nil {
			return runF(ctx, o)
		}
		return o.debug(ctx, a, given)
	})
	c.PreRun = func(c *cobra.Command, _ []string) { given = cli.GivenFlags(c) }
	c.Use, c.Short = "debug [DIR | FILE]", "Open a prompt at the failed command of a build"
	c.Long = "Go to the failing command by the shortest path: open the prompt of a build of this source\n" +
		"that is stopped; else continue the latest build at its failed command, if its state is\n" +
		"kept; else run a build that stops at its first failure, as run --debug does.\n" +
		"At the prompt, help lists the commands."
	c.Example = "  buildlocal debug\n  buildlocal debug -i node:22 --break build:2"
	return c
}

// Debug continues the latest build at its failed command if its state is kept, else it runs a build
// that stops there.
func Debug(ctx context.Context, a *cli.App, o *Options) error {
	o.Debug.Debug = true
	return o.debug(ctx, a, nil)
}

// debug is Debug with the flags on the command line, by which the user may want another build.
func (o *Options) debug(ctx context.Context, a *cli.App, given []string) error {
	if f := o.failed(a, given); f != nil {
		return resume(ctx, a, o, f)
	}
	return Run(ctx, a, o)
}

// checkDebug returns an error for a build that could wait for an answer that never comes.
func (o *Options) checkDebug(a *cli.App) error {
	if o.Debug.Stops() && o.Debug.Wait == 0 && a.InCI() {
		return cli.Usagef("a build that stops needs --pause-for DURATION in CI\n" +
			"--pause-for 5m waits so long for an answer by buildlocal attach")
	}
	return nil
}

// debug connects a session with a debugger, and that with the terminal, if there is one. It
// returns nil for a build that never stops.
func debug(ctx context.Context, a *cli.App, o *Options, s *local.Session, sink local.Sink) *debugging {
	if !o.Debug.Stops() {
		offerShell(a, s)
		return nil
	}
	terminal := tty.Prompt(a)
	if o.Format != "text" {
		terminal = nil
	}
	options := debuggerOptions(ctx, a, o, s)
	options.Editor = func(ctx context.Context, file string) error { return tty.EditFile(ctx, a, file) }
	options.History = newHistory(a)
	if terminal == nil {
		options.Alone = func(stop runner.Stop, limit time.Duration) { alone(a, s.Dir.Name, stop, limit) }
	}
	d, notes := debugger.New(s.Plan, options)
	for _, note := range notes {
		a.Warnf("note: %s", note)
	}
	g := &debugging{Debugger: d, sink: &detachable{Sink: sink, terminal: terminal != nil}, shown: make(chan struct{})}
	serve(s, editable(a, o, s, d, &g.sink.hub))
	a.HandleSignals(func(ctx context.Context, signal os.Signal) bool { return g.handle(ctx, signal, terminal != nil) })
	go func() {
		defer close(g.shown)
		if terminal != nil {
			if err := d.Attach(ctx, terminal, false, true); errors.Is(err, debugger.ErrDetached) {
				g.sink.detach()
			}
		}
	}()
	return g
}

// debuggerOptions returns the options of a debugger that do not depend on its front end.
func debuggerOptions(ctx context.Context, a *cli.App, o *Options, s *local.Session) debugger.Options {
	return debugger.Options{
		Where: o.Debug.Places(), Step: o.Debug.Step, Wait: o.Debug.Wait, Now: a.Now,
		Build: s.Dir.Name, Project: s.Plan.Identity.Project, Drain: s.Drain, Reload: s.Reload, Ran: s.Ran(),
		Rewind: s.Rewind, CanRewind: s.CanRewind,
		Save: func(at runner.Place, text string) (debugger.Change, error) { return change(ctx, s, at, text) },
		Sync: s.Sync, TempDir: a.TempDir,
		Explain: func(live *runner.Live, wait bool) (*console.ExplainView, string) {
			report := s.ExplainStop(live, wait)
			if report == nil {
				return nil, ""
			}
			view, line := local.ExplainView(report), ""
			view.Next = nil // the prompt has its own
			if report.Since != nil {
				line = report.Since.Line()
			}
			return &view, line
		},
	}
}

// offerShell lets other processes open a shell in a build that never stops.
func offerShell(a *cli.App, s *local.Session) {
	s.Extend = func(live *runner.Live, calls control.Services) control.Services {
		d, _ := debugger.New(s.Plan, debugger.Options{
			Now: a.Now, Build: s.Dir.Name, Project: s.Plan.Identity.Project, TempDir: a.TempDir,
		})
		return d.Serve(live, false, calls)
	}
}

// end ends the prompt after the build.
func (g *debugging) end(a *cli.App) {
	a.HandleSignals(nil)
	g.End()
	<-g.shown
}

// handle handles Ctrl-C, which ends the running command, and the end of the terminal, after which
// the build waits for another one.
func (g *debugging) handle(ctx context.Context, signal os.Signal, attached bool) bool {
	switch {
	case signal == os.Interrupt:
		interrupted := g.Interrupt(ctx)
		if text, is := g.sink.Sink.(*console.Text); is && interrupted {
			text.Interrupting()
		}
		return interrupted
	case signal == syscall.SIGHUP && attached:
		g.sink.detach()
		return true
	}
	return false
}

// alone reports where a build waits without a prompt.
func alone(a *cli.App, build string, s runner.Stop, limit time.Duration) {
	_, _ = fmt.Fprintf(a.Stderr, "stopped %s: buildlocal attach %s, or the build goes on in %s\n", // also with --quiet
		debugger.Describe(s), build, human.Duration(limit))
}

// change returns the change that writes an edited command to the buildspec.
func change(ctx context.Context, s *local.Session, at runner.Place, text string) (debugger.Change, error) {
	name, before, after, err := s.EditedBuildspec(ctx, at, text)
	if err != nil {
		return debugger.Change{}, err
	}
	return debugger.Change{
		Diff:  udiff.Unified(name, name, before, after),
		Apply: func() error { return s.WriteBuildspec(ctx, name, before, after) },
	}, nil
}

// detachable is a sink whose terminal may go away while the build continues.
type detachable struct {
	local.Sink
	hub      dap.Hub // passes the events on to editors
	terminal bool    // the sink is a terminal
	gone     atomic.Bool
}

// detach drops all events from now on.
func (d *detachable) detach() { d.gone.Store(true) }

// Notify implements local.Sink.
func (d *detachable) Notify(e runner.Event) {
	if !d.gone.Load() {
		d.Sink.Notify(e)
	}
	d.hub.Notify(e)
}

// Err implements local.Sink.
func (d *detachable) Err() error {
	if d.gone.Load() {
		return nil
	}
	err := d.Sink.Err()
	if d.terminal && errors.Is(err, syscall.EIO) { // SIGHUP comes a moment later
		d.detach()
		return nil
	}
	return err
}

// history keeps the lines of prompts in the user's state directory.
type history struct{ file string }

func newHistory(a *cli.App) debugger.History {
	file, err := a.StateFile("history")
	if err != nil {
		return nil
	}
	return history{file}
}

// maxHistory is how many lines are kept.
const maxHistory = 1000

// Load implements debugger.History.
func (h history) Load() []string {
	text, err := os.ReadFile(h.file)
	if err != nil {
		return nil
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	return lines[max(0, len(lines)-maxHistory):]
}

// Append implements debugger.History. Several builds may append at the same time.
func (h history) Append(line string) {
	const mine, mineToo = 0o700, 0o600
	if os.MkdirAll(filepath.Dir(h.file), mine) != nil {
		return
	}
	file, err := os.OpenFile(h.file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, mineToo)
	if err != nil {
		return
	}
	_, _ = file.WriteString(line + "\n")
	_ = file.Close()
}
