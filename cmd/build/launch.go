package build

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/launch"
	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/control"
	"github.com/buildlocal/buildlocal/dap"
	"github.com/buildlocal/buildlocal/debugger"
	"github.com/buildlocal/buildlocal/local"
	"github.com/buildlocal/buildlocal/runner"
)

// NotLaunched returns flags of run that make no sense for an editor, with the reason.
func NotLaunched() map[string]string {
	shown := "the editor shows the build"
	return map[string]string{
		"format": shown, "color": shown, "progress": shown, "ci": shown, "quiet": shown,
		"dry-run": "buildlocal plan prints the plan of a build",
		"debug":   "the editor sets breakpoints for failures, codebuild-breakpoint and the time limit",
		"help":    "the arguments are the flags of buildlocal run",
	}
}

// Launch prepares a build for an editor. The arguments are the flags of run by name; program is the
// buildspec, and cwd the directory to which all paths are relative. Everything that is wrong is in the
// error.
func Launch(ctx context.Context, a *cli.App, arguments launch.Arguments, messages io.Writer) (*dap.Build, error) {
	host := a.Host
	host.Stdin = strings.NewReader("")
	own := &cli.App{Host: host, Stdout: io.Discard, Stderr: messages, Version: a.Version, Environ: a.Environ}
	own.Open(ctx)
	o, err := requested(ctx, own, arguments)
	if err != nil {
		return nil, errors.New(own.ErrorText(err))
	}
	inputs, err := own.Load(ctx, &o.Request)
	if err != nil {
		if inputs != nil {
			inputs.Close()
		}
		return nil, errors.New(own.ErrorText(o.Explain(err)))
	}
	warn(own, o, inputs)
	session, err := own.Prepare(ctx, inputs, nil)
	if err != nil {
		inputs.Close()
		return nil, errors.New(own.ErrorText(o.Explain(err)))
	}
	return o.launched(ctx, own, inputs, session), nil
}

// requested returns the options of a build from the arguments of an editor.
func requested(ctx context.Context, a *cli.App, arguments launch.Arguments) (*Options, error) {
	var got *Options
	c := NewRun(a, func(_ context.Context, o *Options) error { got = o; return nil })
	c.SetContext(ctx)
	dir, errDir := arguments.Text("cwd")
	program, errProgram := arguments.Text("program")
	entry, errEntry := arguments.Flag("stopOnEntry")
	_, errDebug := arguments.Flag("noDebug")
	errs := []error{errDir, errProgram, errEntry, errDebug}
	switch {
	case dir == "":
	case !filepath.IsAbs(dir): // a restart would enter it again
		errs = append(errs, cli.Usagef("cwd is %s, expected an absolute path", dir))
	default: // one process debugs one build, and paths of flags are relative to it
		if err := os.Chdir(dir); err != nil {
			errs = append(errs, cli.Usagef("cwd: %w", err))
		}
	}
	errs = append(errs, arguments.Set(c.Flags(), NotLaunched())...)
	if program != "" {
		errs = append(errs, c.Flags().Set("buildspec", program))
	}
	if entry {
		errs = append(errs, c.Flags().Set("break", string(runner.WhereStart)))
	}
	if err := cli.JoinErrors(append(errs, c.RunE(c, nil))); err != nil {
		return nil, err
	}
	if got.Engine.KeepFailed == local.KeepFailedAuto {
		got.Engine.KeepFailed = local.KeepFailedNever
	}
	return got, nil
}

// launched returns the build of a session for an editor.
func (o *Options) launched(ctx context.Context, a *cli.App, inputs *local.Inputs, s *local.Session) *dap.Build {
	running, cancel := context.WithCancelCause(ctx)
	o.stop = func() { cancel(runner.ErrStopped) }
	options := debuggerOptions(running, a, o, s)
	options.Alone = func(stop runner.Stop, _ time.Duration) {
		a.Warnf("stopped %s: buildlocal attach %s opens the prompt", debugger.Describe(stop), s.Dir.Name)
	}
	d, notes := debugger.New(s.Plan, options)
	for _, note := range notes {
		a.Warnf("note: %s", note)
	}
	hub := &dap.Hub{}
	b := editable(a, o, s, d, hub)
	serve(s, b)
	b.Run = func(context.Context) int {
		defer cancel(nil)
		defer d.End()
		result := s.Run(running, hub)
		if result.Output != nil {
			a.PrintError(result.Output)
		}
		return cli.ExitCode(verdict(result))
	}
	b.Close = sync.OnceFunc(func() {
		cancel(nil)
		_ = s.Close()
		inputs.Close()
	})
	return b
}

// editable returns a build for editors.
func editable(a *cli.App, o *Options, s *local.Session, d *debugger.Debugger, hub *dap.Hub) *dap.Build {
	b := &dap.Build{Debugger: d, Hub: hub, Stop: o.stop, ExitCode: exitCode}
	b.Source.Name = s.Plan.File
	b.Source.Path, b.Source.Text = s.BuildspecFile()
	b.View = func(w io.Writer, color bool) dap.Viewer {
		options := o.textOptions(a, s, console.Options{Color: color, Progress: console.ProgressOff})
		options.PrintFault = func(err error) { _, _ = io.WriteString(w, a.ErrorText(err)+"\n") }
		return console.NewText(w, options)
	}
	return b
}

// serve connects a session with its debugger, and lets other processes and their editors reach it.
func serve(s *local.Session, b *dap.Build) {
	s.Debugger = b.Debugger
	s.Extend = func(live *runner.Live, calls control.Services) control.Services {
		calls = b.Serve(live, true, calls)
		calls.DAP = func(ctx context.Context, conn io.ReadWriter) error {
			return dap.Serve(ctx, conn, dap.Options{Build: b, Shell: launch.ShellCommand})
		}
		return calls
	}
}

// exitCode returns the exit code of a build that has ended with a status.
func exitCode(s runner.Status) int {
	return cli.ExitCode(verdict(local.Result{Record: &runner.Record{Status: s}}))
}
