// Package running has the commands about running builds and their leftovers: ps, stop and prune.
//
// There is no register of running builds. Their resources (containers, volumes, temporary
// directories) have labels with the build, its start and its source, and a lock in the
// temporary directory shows whether the process lives. So ps, stop and prune work from any
// directory, and a killed build needs no cleaning up to be recognized.
package running

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/builds"
	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/local"
)

// PsOptions are the flags of ps.
type PsOptions struct {
	Format  string // text or json
	Verbose bool   // also the names of containers
}

// NewPs returns the command ps.
func NewPs(a *cli.App, runF cli.RunF[PsOptions]) *cobra.Command {
	o := &PsOptions{}
	c := &cobra.Command{
		Use: "ps", Short: "List running builds and leftover resources", Args: cli.NoArgs,
		Long: "List the builds that run, and the containers that others kept or left, with their\n" +
			"sources. stop stops running builds, and prune removes the rest.",
		Example: "  buildlocal ps\n  DOCKER_HOST=unix:///run/podman/podman.sock buildlocal ps",
	}
	c.Flags().BoolVarP(&o.Verbose, "verbose", "v", false, "also print the names of containers")
	cli.AddFormat(c, &o.Format)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := cli.CheckFormat(o.Format); err != nil {
			return err
		}
		if o.Verbose && o.Format == cli.FormatJSON {
			return cli.Usagef("--verbose and --format json cannot be combined\nJSON has the names of containers")
		}
		return runF.Or(a, ps)(c.Context(), o)
	}
	cli.AddList(c)
	return c
}

// shownResource is a build's container or sandbox as it is listed, in text and in JSON.
type shownResource struct {
	Number    int        `json:"buildNumber"`
	Name      string     `json:"name"`
	Project   string     `json:"projectName"`
	State     string     `json:"state"`                 // running, stopped, kept, killed or another's
	Place     string     `json:"place,omitempty"`       // where the build is, such as build:2
	Stopped   *time.Time `json:"stoppedTime,omitempty"` // since when it waits at a stop
	Start     *time.Time `json:"startTime"`             // null if it is not known
	Source    string     `json:"source"`
	Container string     `json:"container"` // or the name of the sandbox
	PID       int        `json:"processId,omitempty"`
}

// ps lists the resources in which a command of a build runs, one line for each. Helpers of
// a build, such as its volumes and relays, have no line: prune removes them with the build.
func ps(ctx context.Context, a *cli.App, o *PsOptions) error {
	e, all, err := a.Resources(ctx)
	if e != nil {
		defer e.Close()
	}
	// Without Docker the sandboxes are listed all the same, and the error follows.
	if err != nil && len(all) == 0 {
		return err
	}
	shown := []shownResource{}
	for _, r := range all {
		if r.RunsBuild() {
			shown = append(shown, show(r))
		}
	}
	slices.SortStableFunc(shown, func(a, b shownResource) int { return startOf(b).Compare(startOf(a)) })
	if o.Format == cli.FormatJSON {
		if err := a.WriteJSON(map[string]any{"version": 1, "builds": shown}); err != nil {
			return err
		}
		return err
	}
	screen := a.Screen()
	if len(shown) == 0 {
		screen.Printf("no builds are running")
	} else {
		screen.Table(psTable(a, shown, o.Verbose))
	}
	if written := screen.Err(); written != nil {
		return written
	}
	return err
}

// show returns the facts about a resource.
func show(r local.Resource) shownResource {
	name := r.Labels[local.LabelBuild]
	s := shownResource{Number: builds.Number(name), Name: name, Project: r.Project(), State: r.State(),
		Source: r.Labels[local.LabelSource], Container: r.Name}
	if t := r.Started(); !t.IsZero() {
		s.Start = &t
	}
	if s.State == local.StateRunning {
		at := r.Place()
		s.Place, s.PID = at.At, r.PID
		if !at.Stopped.IsZero() {
			s.State, s.Stopped = stateStopped, &at.Stopped
		}
	}
	return s
}

// stateStopped is the state of a build that waits at a stop of its debugger.
const stateStopped = "stopped"

func startOf(s shownResource) time.Time {
	if s.Start == nil {
		return time.Time{}
	}
	return *s.Start
}

// psTable returns the table of resources.
func psTable(a *cli.App, all []shownResource, verbose bool) console.Table {
	t := console.Table{Columns: []console.Column{
		{Title: "BUILD"}, {Title: "PROJECT"}, {Title: "STATE"}, {Title: "FOR"}, {Title: "SOURCE", Fit: console.FitPath},
		{Title: "CONTAINER"},
	}}
	for _, s := range all {
		state, since := console.Plain(s.State), ""
		switch {
		case s.State == local.StateRunning:
			state = console.Accent(strings.TrimSpace(s.State + " " + s.Place))
		case s.Stopped != nil:
			state = console.Warn(s.State + " at " + s.Place)
		}
		switch {
		case s.Stopped != nil:
			since = lasting(a.Now().Sub(*s.Stopped), false)
		case s.Start != nil:
			since = lasting(a.Now().Sub(*s.Start), s.State == local.StateRunning)
		}
		container := ""
		if verbose {
			container = s.Container
		}
		t.Add(console.Strong(s.Name), console.Plain(s.Project), state, console.Plain(since), console.Weak(a.Tilde(s.Source)),
			console.Weak(container))
	}
	if !verbose {
		t.DropEmpty()
	}
	return t
}

// lasting returns a time that has passed: on a clock for a build that runs, else in its largest
// unit, such as "2 h".
func lasting(d time.Duration, running bool) string {
	if running {
		return human.Clock(d)
	}
	if d < time.Minute {
		return "1 min"
	}
	return strings.TrimSuffix(human.Ago(d), " ago")
}
