package running

import (
	"context"
	"errors"
	"fmt"
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

// PruneOptions are the flags and arguments of prune.
type PruneOptions struct {
	Names     []string      // of builds, or their numbers; none for all that were not kept
	DryRun    bool          // only print
	Kept      bool          // also containers that the user asked to keep, and failed builds
	OlderThan time.Duration // age of the build; 0 for any
	Format    string        // text or json
}

// NewPrune returns the command prune.
func NewPrune(a *cli.App, runF cli.RunF[PruneOptions]) *cobra.Command {
	o := &PruneOptions{}
	c := &cobra.Command{
		Use: "prune [BUILD...]", Short: "Remove resources left by terminated builds",
		Long: "Remove containers, volumes and temporary directories of builds that have ended.\n" +
			"Containers kept with --keep, and the state of failed builds that debug continues, are\n" +
			"removed only if their builds are named, or with --kept. Running builds are not\n" +
			"affected.",
		Example: "  buildlocal prune\n  buildlocal prune 9\n  buildlocal prune --kept --older-than 7d\n" +
			"  buildlocal prune --dry-run",
	}
	c.Flags().SortFlags = false
	c.Flags().BoolVar(&o.DryRun, "dry-run", false, "print what would be removed")
	c.Flags().Var((*cli.Days)(&o.OlderThan), "older-than",
		"remove only resources of builds older than `TIME`, such as 7d or 48h")
	c.Flags().Lookup("older-than").DefValue = ""
	c.Flags().BoolVar(&o.Kept, "kept", false, "also remove containers kept with --keep, and the state of failed builds")
	cli.AddFormat(c, &o.Format)
	c.RunE = func(c *cobra.Command, names []string) error {
		o.Names = names
		switch {
		case o.Kept && len(names) > 0:
			return cli.Usagef("--kept and names of builds cannot be combined\na named build is removed also if it was kept")
		case o.OlderThan < 0:
			return cli.Usagef("--older-than %v: must not be negative", o.OlderThan)
		}
		if err := cli.CheckFormat(o.Format); err != nil {
			return err
		}
		return runF.Or(a, prune)(c.Context(), o)
	}
	return c
}

// Actions of prune.
const (
	actionRemoved     = "removed"
	actionWouldRemove = "would remove"
	actionKeep        = "keep"
	actionWouldKeep   = "would keep"
)

// pruned is a leftover and its fate, in text and in JSON.
type pruned struct {
	Action  string     `json:"action"` // removed, would remove, keep or would keep
	Number  int        `json:"buildNumber,omitempty"`
	Name    string     `json:"name,omitempty"` // missing for a directory whose build is not known
	Project string     `json:"projectName,omitempty"`
	Kept    bool       `json:"kept"`
	Failed  bool       `json:"failedStateKept,omitempty"` // debug can continue the build
	Start   *time.Time `json:"startTime"`                 // null if it is not known
	Kinds   []string   `json:"resources"`
	Size    *int64     `json:"sizeInBytes"` // null if it is not known

	contents string
}

// prune removes the chosen leftovers. If Docker cannot be reached, the rest is removed, and the
// error follows.
func prune(ctx context.Context, a *cli.App, o *PruneOptions) error {
	c, err := a.NewCleaner(ctx)
	defer func() { _ = c.Close() }() // also with an error, which is that of Docker
	if wrong := o.findNames(ctx, a, c); wrong != nil {
		return errors.Join(err, wrong)
	}
	c.Measure(ctx)
	all := []pruned{}
	var errs []error
	for _, l := range c.All {
		p := prunedOf(l)
		switch {
		case !o.chooses(l, a.Now()):
			p.Action = actionKeep
			if o.DryRun {
				p.Action = actionWouldKeep
			}
			if !l.Kept && !o.DryRun {
				continue // the user has not asked for it
			}
		case o.DryRun:
			p.Action = actionWouldRemove
		default:
			if err := c.Remove(ctx, l); err != nil {
				errs = append(errs, err)
				continue
			}
			p.Action = actionRemoved
		}
		all = append(all, p)
	}
	if !o.DryRun && len(o.Names) == 0 && o.OlderThan == 0 {
		errs = append(errs, cleanSnapshots(ctx, a))
	}
	return errors.Join(append([]error{err, o.print(a, all)}, errs...)...)
}

// cleanSnapshots removes the files of snapshots that were not completed.
func cleanSnapshots(ctx context.Context, a *cli.App) error {
	if len(a.Snapshots().Incomplete()) == 0 {
		return nil
	}
	r := a.NewSnapshotRemover(ctx)
	_, err := r.Clean(ctx)
	return errors.Join(err, r.Close())
}

// findNames replaces the names by the full names of leftovers.
func (o *PruneOptions) findNames(ctx context.Context, a *cli.App, c *local.Cleaner) error {
	n := names{typed: o.Names, here: buildsHere(ctx), nothing: "nothing removed", command: "buildlocal prune"}
	if o.DryRun {
		n.command += " --dry-run"
	}
	if o.OlderThan > 0 {
		n.command += " --older-than " + (*cli.Days)(&o.OlderThan).String()
	}
	for _, l := range c.All {
		n.known = append(n.known, candidate{l.Build, a.Tilde(l.Source)})
	}
	n.unknown = func(name string) error {
		if slices.ContainsFunc(c.Running, func(r local.Resource) bool {
			return isNamed([]string{name}, r.Labels[local.LabelBuild])
		}) {
			return cli.Usagef("build %s is running\nbuildlocal stop %s stops it", name, name)
		}
		return cli.Usagef("build %s has left nothing\nbuildlocal prune --dry-run lists the others", name)
	}
	full, err := n.full()
	o.Names = full
	return err
}

// chooses reports whether a leftover is to be removed.
func (o *PruneOptions) chooses(l local.Leftover, now time.Time) bool {
	switch {
	case o.OlderThan > 0 && now.Sub(l.Started) < o.OlderThan:
		return false
	case len(o.Names) > 0:
		return isNamed(o.Names, l.Build)
	}
	return o.Kept || !l.Kept
}

func prunedOf(l local.Leftover) pruned {
	p := pruned{Number: builds.Number(l.Build), Name: l.Build, Project: l.Project, Kept: l.Kept, Failed: l.Failed,
		Kinds: l.Kinds, Size: l.Size, contents: l.Contents()}
	if !l.Started.IsZero() {
		p.Start = &l.Started
	}
	return p
}

// print prints the leftovers. Those that stay are listed in a dry run only.
func (o *PruneOptions) print(a *cli.App, all []pruned) error {
	if o.Format == cli.FormatJSON {
		return a.WriteJSON(map[string]any{"version": 1, "builds": all})
	}
	t := console.Table{Columns: make([]console.Column, 5), NoHead: true}
	kept, reason := 0, " by --keep"
	for _, p := range all {
		if p.stays() && p.Kept {
			kept++
		}
		if p.stays() && p.Failed {
			reason = ""
		}
		if p.Action == actionKeep {
			continue
		}
		contents := p.contents
		if p.Size != nil {
			contents += ", " + human.Bytes(*p.Size)
		}
		t.Add(console.Plain(p.Action), console.Strong(p.Name), console.Plain(p.Project), console.Plain(contents),
			console.Weak(p.why(a.Now())))
	}
	screen := a.Screen()
	if len(t.Rows) == 0 {
		screen.Printf("nothing to remove")
	}
	screen.Table(t)
	parts := []string{}
	if text := freed(all); text != "" {
		parts = append(parts, text)
	}
	if kept > 0 {
		parts = append(parts, fmt.Sprintf("%s kept%s: name them, or use --kept, to remove them too",
			human.Count(kept, "build"), reason))
	}
	if err := screen.Err(); err != nil || len(parts) == 0 {
		return err
	}
	footer := a.Footer()
	footer.Printf("%s", strings.Join(parts, "; "))
	return footer.Err()
}

// stays reports whether a leftover is not removed.
func (p pruned) stays() bool { return p.Action == actionKeep || p.Action == actionWouldKeep }

// why returns the age of a leftover, and whether the user asked to keep it.
func (p pruned) why(now time.Time) string {
	why := ""
	if p.Start != nil {
		why = human.When(*p.Start, now)
	}
	switch {
	case p.Failed:
		return strings.TrimSuffix("kept for debug, "+why, ", ")
	case p.Kept:
		return strings.TrimSuffix("kept by --keep, "+why, ", ")
	}
	return why
}

// freed returns the space that the removed leftovers used, such as "freed 1.2GB", or "" if nothing
// is removed or the space is not known.
func freed(all []pruned) string {
	var sum int64
	removed, verb := 0, "freed "
	for _, p := range all {
		if p.stays() {
			continue
		}
		if p.Size == nil {
			return ""
		}
		if p.Action == actionWouldRemove {
			verb = "would free "
		}
		removed, sum = removed+1, sum+*p.Size
	}
	if removed == 0 {
		return ""
	}
	return verb + human.Bytes(sum)
}
