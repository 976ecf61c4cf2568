package debug

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/builds"
	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/help"
	"github.com/buildlocal/buildlocal/cmd/reach"
	"github.com/buildlocal/buildlocal/cmd/tty"
	"github.com/buildlocal/buildlocal/control"
	"github.com/buildlocal/buildlocal/local"
	"github.com/buildlocal/buildlocal/runner"
)

// AttachOptions are the flags and arguments of attach.
type AttachOptions struct {
	Build string
	Watch bool // only show the build
}

// NewAttach returns the command attach.
func NewAttach(a *cli.App, runF cli.RunF[AttachOptions]) *cobra.Command {
	o := &AttachOptions{}
	c := &cobra.Command{
		Use: "attach [BUILD]", Short: "Open the prompt of a build from another terminal",
		Long: "Open the prompt of a build that was started with --debug. If another terminal has the\n" +
			"prompt, you are asked whether to take it over; that terminal then shows who has it.\n\n" + reach.Help,
		Example:     "  buildlocal attach\n  buildlocal attach 12\n  buildlocal attach --watch",
		Annotations: help.Notes("Exit codes: 0 if you detach, that of run if the build ends, 4 if its process is lost."),
	}
	c.Flags().BoolVar(&o.Watch, "watch", false, "only show the build; it cannot be changed")
	c.RunE = func(c *cobra.Command, args []string) (err error) {
		if o.Build, err = reach.Name("attach", args); err != nil {
			return err
		}
		return runF.Or(a, attach)(c.Context(), o)
	}
	return c
}

// attach runs the prompt of a build on this terminal.
func attach(ctx context.Context, a *cli.App, o *AttachOptions) error {
	return reach.With(ctx, a, o.Build, func(b *local.Reached) error {
		status, err := b.Status(ctx)
		if err != nil {
			return err
		}
		take := false
		if in, is := a.StdinTerminal(); is && status.Holder != "" && !o.Watch {
			take, err = tty.Ask(ctx, a, in, status.Holder+" has the prompt of this build. Take it over? [y/N] ")
			if err != nil || !take {
				return err
			}
		}
		err = onTerminal(ctx, a, func(ctx context.Context, t control.Terminal) error {
			watch := o.Watch || status.Holder != "" && !take
			return reach.Interrupted(ctx, b.Attach(ctx, t, watch, take))
		})
		if errors.Is(err, control.ErrEnded) {
			return verdict(ctx, a, b, err)
		}
		return err
	})
}

// maxEndTime is how long attach waits for the results of a build that has ended.
const maxEndTime = 30 * time.Second

// exitCodes are the exit codes of run for builds that have not succeeded.
var exitCodes = map[runner.Status]int{
	runner.Failed: cli.ExitFailed, runner.TimedOut: cli.ExitTimedOut, runner.Stopped: cli.ExitStopped,
	runner.Fault: cli.ExitFault,
}

// verdict returns the result of the build that has ended, with the exit code of run. A build whose
// process was lost has none.
func verdict(ctx context.Context, a *cli.App, b *local.Reached, lost error) error {
	labels := b.Resource.Labels
	if err := local.AwaitEnd(ctx, labels[local.LabelTemp], maxEndTime); err != nil {
		return errors.Join(lost, err)
	}
	var record runner.Record
	if (builds.Build{Path: labels[local.LabelOutput]}).ReadRecord(&record) != nil {
		return lost
	}
	fmt.Fprintf(a.Stdout, "build %s has ended: %s\n", b.Build, record.Status)
	if code := exitCodes[record.Status]; code != cli.ExitSucceeded {
		return cli.ExitError{Code: code}
	}
	return nil
}
