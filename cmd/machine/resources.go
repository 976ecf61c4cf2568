// Package machine has the commands about this machine: doctor, ps, stop and prune.
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

// commands are the commands of an app.
type commands struct{ *cli.App }

// NewPs returns the command ps.
func NewPs(app *cli.App) *cobra.Command {
	a := commands{app}
	return &cobra.Command{
		Use: "ps", Short: "List running builds and leftover resources", Args: cli.NoArgs,
		Example: "  buildlocal ps\n  DOCKER_HOST=unix:///run/podman/podman.sock buildlocal ps",
		RunE: func(c *cobra.Command, _ []string) error {
			e, all, err := a.Resources(c.Context())
			if e != nil {
				defer e.Close()
			}
			if err != nil && len(all) == 0 {
				return err
			}
			w := cli.NewTable(a.Stdout)
			w.Row("BUILD", "STATE", "SINCE", "CONTAINER", "SOURCE")
			for _, t := range all {
				if t.RunsBuild() {
					w.Row(
						t.Labels[local.LabelBuild],
						t.State(),
						since(a.Now(), t.Labels[local.LabelStarted]),
						t.Name,
						t.Labels[local.LabelSource],
					)
				}
			}
			return errors.Join(err, w.Flush())
		},
	}
}

func since(now time.Time, started string) string {
	t, err := time.Parse(time.RFC3339, started)
	if err != nil {
		return "?"
	}
	return now.Sub(t).Round(time.Second).String()
}

// NewStop returns the command stop.
func NewStop(app *cli.App) *cobra.Command {
	a := commands{app}
	all := false
	c := &cobra.Command{
		Use: "stop [BUILD...]", Short: "Stop running builds",
		Long: "Stop running builds as Ctrl-C does. BUILD is a name or number that ps lists. If it is\nomitted, the " +
			"only running build is stopped.",
		Example: "  buildlocal stop\n  buildlocal stop 12\n  buildlocal stop --all",
	}
	c.Flags().BoolVar(&all, "all", false, "stop all your running builds")
	c.RunE = func(c *cobra.Command, args []string) error { return a.stop(c.Context(), args, all) }
	return c
}

func (a commands) stop(ctx context.Context, names []string, all bool) error {
	e, traces, unseen := a.Resources(ctx)
	if e != nil {
		defer e.Close()
	}
	running := slices.DeleteFunc(traces, func(t local.Resource) bool { return !t.RunsBuild() || !t.Alive || t.PID <= 0 })
	chosen := running
	if len(names) > 0 {
		chosen = slices.DeleteFunc(
			slices.Clone(running),
			func(t local.Resource) bool { return !named(names, t.Labels[local.LabelBuild]) },
		)
	}
	if several := sameNumber(names, chosen); several != "" {
		return cli.Usagef("%s; name one that buildlocal ps lists", several)
	}
	switch {
	case len(chosen) == 0 && unseen != nil:
		return unseen
	case len(chosen) == 0:
		return cli.Usagef("no such build is running; buildlocal ps lists them")
	case len(names) == 0 && !all && len(chosen) > 1:
		return cli.Usagef("%d builds are running; name one that buildlocal ps lists, or give --all", len(chosen))
	}
	var errs []error
	for _, t := range chosen {
		process, err := os.FindProcess(t.PID)
		if err == nil {
			err = process.Signal(os.Interrupt)
		}
		errs = append(errs, err)
		fmt.Fprintf(a.Stdout, "stopping %s\n", t.Labels[local.LabelBuild])
	}
	return errors.Join(errs...)
}

func named(names []string, build string) bool {
	number, _, _ := strings.Cut(build, "-")
	return slices.Contains(names, build) || slices.Contains(names, number)
}

// sameNumber returns an error message if a number matches builds of several sources.
func sameNumber(names []string, chosen []local.Resource) string {
	for _, name := range names {
		var builds []string
		for _, t := range chosen {
			if number, _, _ := strings.Cut(t.Labels[local.LabelBuild], "-"); number == name {
				builds = append(builds, t.Labels[local.LabelBuild])
			}
		}
		if len(builds) > 1 {
			return fmt.Sprintf("%d builds that run have the number %s: %s", len(builds), name, strings.Join(builds, ", "))
		}
	}
	return ""
}

// NewPrune returns the command prune.
func NewPrune(app *cli.App) *cobra.Command {
	a := commands{app}
	return &cobra.Command{
		Use: "prune", Short: "Remove resources left by terminated builds",
		Long: "Remove containers, volumes and temporary directories of builds that have ended,\nincluding containers " +
			"kept with --keep. Running builds are not affected.",
		Example: "  buildlocal prune\n  DOCKER_HOST=unix:///run/podman/podman.sock buildlocal prune",
		Args:    cli.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return a.prune(c.Context()) },
	}
}

func (a commands) prune(ctx context.Context) error {
	return a.Prune(ctx, func(kind, name string) { fmt.Fprintf(a.Stdout, "removed %s %s\n", kind, name) })
}
