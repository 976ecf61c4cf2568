// Package machine has the commands about this machine: doctor, ps, stop and prune.
//
// There is no register of running builds. Their resources (containers, volumes, temporary
// directories) have labels with the build, its start and its source, and a lock in the
// temporary directory shows whether the process lives. So ps, stop and prune work from any
// directory, and a killed build needs no cleaning up to be recognized.
package machine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/local"
)

// NewPs returns the command ps, which has no options.
func NewPs(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: "ps", Short: "List running builds and leftover resources", Args: cli.NoArgs,
		Example: "  buildlocal ps\n  DOCKER_HOST=unix:///run/podman/podman.sock buildlocal ps",
		RunE:    func(c *cobra.Command, _ []string) error { return ps(c.Context(), a) },
	}
}

// ps lists the resources in which a command of a build runs, one line for each. Helpers of
// a build, such as its volumes and relays, have no line: prune removes them with the build.
func ps(ctx context.Context, a *cli.App) error {
	e, all, err := a.Resources(ctx)
	if e != nil {
		defer e.Close()
	}
	// Without Docker the sandboxes are listed all the same, and the error follows.
	if err != nil && len(all) == 0 {
		return err
	}
	t := cli.NewTable(a.Stdout)
	t.Row("BUILD", "STATE", "SINCE", "CONTAINER", "SOURCE")
	for _, r := range all {
		if r.RunsBuild() {
			t.Row(
				r.Labels[local.LabelBuild],
				r.State(),
				since(a.Now(), r.Labels[local.LabelStarted]),
				r.Name,
				r.Labels[local.LabelSource],
			)
		}
	}
	return errors.Join(err, t.Flush())
}

// since returns the time since a start in RFC 3339, in whole seconds. A label may have any
// text, because other programs can set it too; a wrong one is no reason to list nothing.
func since(now time.Time, started string) string {
	t, err := time.Parse(time.RFC3339, started)
	if err != nil {
		return "?"
	}
	return now.Sub(t).Round(time.Second).String()
}

// StopOptions are the flags and arguments of stop.
type StopOptions struct {
	Names []string // of builds, or their numbers; none for the only one that runs
	All   bool     // all builds of this user
}

// NewStop returns the command stop.
func NewStop(a *cli.App, runF cli.RunF[StopOptions]) *cobra.Command {
	o := &StopOptions{}
	c := &cobra.Command{
		Use: "stop [BUILD...]", Short: "Stop running builds",
		Long: "Stop running builds as Ctrl-C does. BUILD is a name or number that ps lists. If it is\nomitted, the " +
			"only running build is stopped.",
		Example: "  buildlocal stop\n  buildlocal stop 12\n  buildlocal stop --all",
	}
	c.Flags().BoolVar(&o.All, "all", false, "stop all your running builds")
	c.RunE = func(c *cobra.Command, names []string) error {
		if o.All && len(names) > 0 {
			return cli.Usagef("--all cannot be combined with names of builds")
		}
		o.Names = names
		return runF.Or(a, stop)(c.Context(), o)
	}
	return c
}

// stop sends the processes of the chosen builds the signal of Ctrl-C, and does not wait:
// their own terminals show how they end.
func stop(ctx context.Context, a *cli.App, o *StopOptions) error {
	e, all, listErr := a.Resources(ctx)
	if e != nil {
		defer e.Close()
	}
	// A build is not alive if its process was killed, or if its temporary directory is on
	// another host that uses the same engine: its PID would be that of some other process.
	running := slices.DeleteFunc(all, func(r local.Resource) bool { return !r.RunsBuild() || !r.Alive || r.PID <= 0 })
	chosen := running // without a name it has to be the only one, or --all
	if len(o.Names) > 0 {
		chosen = slices.DeleteFunc(
			slices.Clone(running),
			func(r local.Resource) bool { return !isNamed(o.Names, r.Labels[local.LabelBuild]) },
		)
	}
	if message := ambiguousNumber(o.Names, chosen); message != "" {
		return cli.Usagef("%s\nUse a name that buildlocal ps lists", message)
	}
	switch {
	case len(chosen) == 0 && listErr != nil:
		return listErr // the build may run where the list could not be read
	case len(running) == 0 && len(o.Names) == 0:
		return cli.Usagef("no build is running")
	case len(chosen) == 0:
		return cli.Usagef("no such build is running\nbuildlocal ps lists them")
	case len(o.Names) == 0 && !o.All && len(chosen) > 1:
		return cli.Usagef("%d builds are running\nName one that buildlocal ps lists, or use --all", len(chosen))
	}
	// A build that ended meanwhile is an error, but the others get their signals.
	var errs []error
	for _, r := range chosen {
		process, err := os.FindProcess(r.PID)
		if err == nil {
			err = process.Signal(os.Interrupt)
		}
		errs = append(errs, err)
		fmt.Fprintf(a.Stdout, "stopping %s\n", r.Labels[local.LabelBuild])
	}
	return errors.Join(errs...)
}

// isNamed reports whether one of the names is that of a build, such as 12-1a2b3c4d, or its
// number.
func isNamed(names []string, build string) bool {
	number, _, _ := strings.Cut(build, "-")
	return slices.Contains(names, build) || slices.Contains(names, number)
}

// ambiguousNumber returns an error message if a number matches builds of several sources,
// or "". Each source counts its builds from 1.
func ambiguousNumber(names []string, chosen []local.Resource) string {
	// Full names are unique, because they have a part of the build's UUID.
	for _, name := range names {
		var builds []string
		for _, r := range chosen {
			if number, _, _ := strings.Cut(r.Labels[local.LabelBuild], "-"); number == name {
				builds = append(builds, r.Labels[local.LabelBuild])
			}
		}
		if len(builds) > 1 {
			return fmt.Sprintf("%d running builds have the number %s: %s", len(builds), name, strings.Join(builds, ", "))
		}
	}
	return ""
}

// NewPrune returns the command prune, which has no options.
func NewPrune(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: "prune", Short: "Remove resources left by terminated builds",
		Long: "Remove containers, volumes and temporary directories of builds that have ended,\nincluding containers " +
			"kept with --keep. Running builds are not affected.",
		Example: "  buildlocal prune\n  DOCKER_HOST=unix:///run/podman/podman.sock buildlocal prune",
		Args:    cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.Prune(c.Context(), func(kind, name string) { fmt.Fprintf(a.Stdout, "removed %s %s\n", kind, name) })
		},
	}
}
