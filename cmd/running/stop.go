package running

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/builds"
	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/local"
)

// StopOptions are the flags and arguments of stop.
type StopOptions struct {
	Names  []string // of builds, or their numbers; none for the only one that runs
	All    bool     // all builds of this user
	Format string   // text or json
}

// NewStop returns the command stop.
func NewStop(a *cli.App, runF cli.RunF[StopOptions]) *cobra.Command {
	o := &StopOptions{}
	c := &cobra.Command{
		Use: "stop [BUILD...]", Short: "Stop running builds",
		Long: "Stop running builds as Ctrl-C does, and wait until they have ended. BUILD is a name or\n" +
			"number that ps lists. If it is omitted, the only running build is stopped.",
		Example: "  buildlocal stop\n  buildlocal stop 12\n  buildlocal stop --all",
	}
	c.Flags().BoolVar(&o.All, "all", false, "stop all your running builds")
	cli.AddFormat(c, &o.Format)
	c.RunE = func(c *cobra.Command, names []string) error {
		if o.All && len(names) > 0 {
			return cli.Usagef("--all and names of builds cannot be combined")
		}
		if err := cli.CheckFormat(o.Format); err != nil {
			return err
		}
		o.Names = names
		return runF.Or(a, stop)(c.Context(), o)
	}
	return c
}

// maxStopTime is the time after which stop no longer waits for a build.
const maxStopTime = 30 * time.Second

// stop sends the processes of the chosen builds the signal of Ctrl-C, and waits until they have
// ended. Their own terminals show how.
func stop(ctx context.Context, a *cli.App, o *StopOptions) error {
	e, all, listErr := a.Resources(ctx)
	if e != nil {
		defer e.Close()
	}
	chosen, err := o.choose(ctx, a, all)
	if err != nil && listErr != nil {
		return listErr // the build may run where the list could not be read
	}
	if err != nil {
		return err
	}
	// A build that ended meanwhile is an error, but the others get their signals.
	var errs []error
	stopped := []shownResource{}
	for _, r := range chosen {
		s := show(r)
		process, err := os.FindProcess(r.PID)
		if err == nil {
			err = process.Signal(os.Interrupt)
		}
		if errs = append(errs, err); err == nil {
			stopped = append(stopped, s)
		}
	}
	for i, s := range stopped {
		at := slices.IndexFunc(chosen, func(r local.Resource) bool { return r.Labels[local.LabelBuild] == s.Name })
		if err := local.AwaitEnd(ctx, chosen[at].Labels[local.LabelTemp], maxStopTime); err != nil {
			errs = append(errs, fmt.Errorf("build %d: %w", s.Number, err))
			continue
		}
		if stopped[i].State = "stopped"; o.Format != cli.FormatJSON {
			fmt.Fprintln(a.Stdout, stoppedText(s))
		}
	}
	if o.Format == cli.FormatJSON {
		errs = append(errs, a.WriteJSON(map[string]any{"version": 1, "builds": stopped}))
	}
	return errors.Join(errs...)
}

// stoppedText says which build was stopped: "stopped build 14 (shop) at build:2".
func stoppedText(s shownResource) string {
	text := fmt.Sprintf("stopped build %d (%s)", s.Number, s.Project)
	if strings.Contains(s.Place, ":") {
		return text + " at " + s.Place
	}
	if s.Place != "" {
		return text + " in " + s.Place
	}
	return text
}

// choose returns the builds to stop.
func (o *StopOptions) choose(ctx context.Context, a *cli.App, all []local.Resource) ([]local.Resource, error) {
	// A build is not alive if its process was killed, or if its temporary directory is on
	// another host that uses the same engine: its PID would be that of some other process.
	running := slices.DeleteFunc(slices.Clone(all), func(r local.Resource) bool {
		return !r.RunsBuild() || !r.Alive || r.PID <= 0
	})
	if len(o.Names) == 0 {
		switch {
		case len(running) == 0:
			return nil, cli.Usagef("no builds are running")
		case len(running) > 1 && !o.All:
			return nil, cli.Usagef("%d builds are running\nname one that buildlocal ps lists, or use --all", len(running))
		}
		return running, nil
	}
	n := names{typed: o.Names, here: buildsHere(ctx), nothing: "nothing stopped", command: "buildlocal stop"}
	for _, r := range running {
		n.known = append(n.known, candidate{r.Labels[local.LabelBuild], a.Tilde(r.Labels[local.LabelSource])})
	}
	n.unknown = func(name string) error { return notRunning(name, all, n.here) }
	full, err := n.full()
	if err != nil {
		return nil, err
	}
	isOther := func(r local.Resource) bool { return !isNamed(full, r.Labels[local.LabelBuild]) }
	return slices.DeleteFunc(running, isOther), nil
}

// notRunning returns the error for a build that does not run: because it has ended, or because
// it never was.
func notRunning(name string, all []local.Resource, here []builds.Build) error {
	for _, r := range all {
		if !r.RunsBuild() || r.Alive || !isNamed([]string{name}, r.Labels[local.LabelBuild]) {
			continue
		}
		switch r.State() {
		case local.StateKept:
			return cli.Usagef("build %s has ended; its container is kept\nbuildlocal prune %s removes it", name, name)
		case local.StateKilled:
			return cli.Usagef("build %s was killed; its container remains\nbuildlocal prune %s removes it", name, name)
		}
		return cli.Usagef("build %s belongs to another user or another machine", name)
	}
	if slices.ContainsFunc(here, func(b builds.Build) bool { return isNamed([]string{name}, b.Name) }) {
		return cli.Usagef("build %s has ended", name)
	}
	return cli.Usagef("no build %s is running\nbuildlocal ps lists the builds that run", name)
}
