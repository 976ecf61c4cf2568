package debugger

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/control"
	"github.com/buildlocal/buildlocal/runner"
)

// Serve adds the calls of this debugger to those of a build that other processes look into. If the
// build has no stop points, only a shell is added.
func (d *Debugger) Serve(live *runner.Live, stops bool, calls control.Services) control.Services {
	d.change(func() { d.live = live })
	calls.Shell = d.serveShell(calls)
	if !stops {
		return calls
	}
	calls.Attach = func(ctx context.Context, t control.Terminal, watch, take bool) error {
		err := d.Attach(ctx, remote(t), watch, take)
		switch {
		case err == nil:
			return control.ErrEnded
		case errors.Is(err, ErrDetached), errors.Is(err, ErrTaken):
			return nil
		}
		return err
	}
	calls.Resume = d.resume
	status := calls.Status
	calls.Status = func() control.Status {
		s := status()
		s.Holder = d.Holder()
		if stop, since := d.Current(); stop != nil {
			s.State, s.At, s.Reason, s.Since = control.StateStopped, stop.At, string(stop.Reason), since
		}
		return s
	}
	return calls
}

// serveShell returns the call that opens a shell.
func (d *Debugger) serveShell(calls control.Services) func(
	context.Context, control.ShellRequest, control.Terminal) (int, error) {
	return func(ctx context.Context, r control.ShellRequest, t control.Terminal) (int, error) {
		if r.Keep && calls.Status().State == control.StateKept {
			return 0, control.Refusef("--keep needs a build that runs: this one has ended")
		}
		if r.NoTTY { // then it is a command that reads commands
			e := control.ExecRequest{Args: []string{cmp.Or(r.Shell, "sh")}, User: r.User, NoEnv: r.NoEnv}
			return calls.Exec(ctx, e, control.Streams{Stdin: t.In, Stdout: t.Out, Stderr: t.Out}, nil)
		}
		o := ShellOptions{User: r.User, Shell: r.Shell, NoEnv: r.NoEnv, Keep: r.Keep, Drop: r.Drop}
		if calls.Status().State == control.StateKept {
			o.Drop = true
		}
		exit, err := d.Shell(ctx, remote(t), o)
		const killed = 137 // by SIGKILL, perhaps with the container
		if err == nil && exit == killed {
			probe, gone := calls.CopyOut(ctx, "/codebuild/no-such-file")
			if gone == nil {
				_ = probe.Close()
			}
			if errors.Is(gone, control.ErrEnded) {
				return exit, gone
			}
		}
		return exit, err
	}
}

// resume answers the current stop.
func (d *Debugger) resume(_ context.Context, answer string) error {
	actions := map[string]runner.Action{
		control.AnswerContinue: runner.ActionContinue, control.AnswerRetry: runner.ActionRetry,
		control.AnswerSkip: runner.ActionSkip, control.AnswerIgnore: runner.ActionIgnore,
		control.AnswerAbort: runner.ActionAbort,
	}
	action, known := actions[answer]
	if !known {
		return control.Refusef("unknown answer %q", answer)
	}
	if err := d.Answer(runner.Answer{Action: action}, "buildlocal resume"); err != nil {
		return control.Refusef("%v", err)
	}
	return nil
}

// remote returns a terminal of another process, which is in raw mode there.
func remote(t control.Terminal) *Terminal {
	value := func(name string) string {
		at := slices.IndexFunc(t.Env, func(v string) bool { return strings.HasPrefix(v, name+"=") })
		if at < 0 {
			return ""
		}
		return strings.TrimPrefix(t.Env[at], name+"=")
	}
	size := func() (int, int) {
		columns, rows := t.Size()
		return int(columns), int(rows)
	}
	locale := strings.ToLower(cmp.Or(value("LC_ALL"), value("LC_CTYPE"), value("LANG")))
	dumb := value("TERM") == "" || value("TERM") == "dumb"
	look := console.Options{
		Color: value("NO_COLOR") == "" && !dumb, ASCII: dumb || !strings.Contains(locale, "utf"),
		Width: func() int { columns, _ := size(); return columns },
	}
	return &Terminal{
		In: t.In, Out: t.Out, Size: size, Resized: t.Resized, Look: look, Env: t.ProgramEnv(), Name: t.Name,
	}
}
