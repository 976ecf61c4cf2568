// Package snapshot has the command snapshot: list and remove the snapshots with which builds begin.
package snapshot

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/builds"
	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/local"
	"github.com/buildlocal/buildlocal/snapshots"
)

// Options are the flags and arguments of snapshot and its subcommands.
type Options struct {
	IDs    []string      // of snapshots, for rm
	Format string        // text or json
	All    bool          // prune: also those that are not old
	Older  time.Duration // prune: since their last use
}

// NewCmd returns the command snapshot.
func NewCmd(a *cli.App, runF cli.RunF[Options]) *cobra.Command {
	o := &Options{}
	do := func(work func(context.Context, *cli.App, *Options) error) func(*cobra.Command, []string) error {
		return func(c *cobra.Command, ids []string) error {
			if err := cli.CheckFormat(o.Format); err != nil {
				return err
			}
			o.IDs = ids
			return runF.Or(a, work)(c.Context(), o)
		}
	}
	c := &cobra.Command{
		Use: "snapshot", Short: "List and remove snapshots of builds",
		Long: "List the snapshots that builds took at the end of a phase. run --from begins with the\n" +
			"latest one that fits. The least recently used ones are removed when a source has more\n" +
			"than three on an engine, or all together are larger than run --snapshot-size.",
		Example: "  buildlocal snapshot\n  buildlocal snapshot rm k5vd2mpo\n  buildlocal snapshot prune",
		Args:    cli.NoArgs, RunE: do(list),
	}
	ls := &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List snapshots, most recently used first", Args: cli.NoArgs,
		RunE: do(list), Example: "  buildlocal snapshot ls\n  buildlocal snapshot ls --format json",
	}
	for _, c := range []*cobra.Command{c, ls} {
		cli.AddFormat(c, &o.Format)
	}
	clean := &cobra.Command{
		Use: "prune", Short: "Remove old snapshots", Args: cli.NoArgs, RunE: do(prune),
		Long: "Remove snapshots that no build has used for a while, and the remains of those that were\n" +
			"not completed.",
		Example: "  buildlocal snapshot prune\n  buildlocal snapshot prune --older-than 2h\n" +
			"  buildlocal snapshot prune --all",
	}
	o.Older = week
	clean.Flags().BoolVar(&o.All, "all", false, "remove all snapshots that no build is using")
	clean.Flags().Var((*cli.Days)(&o.Older), "older-than",
		"remove snapshots that were last used before `TIME`, such as 2h or 30d (default: 7d)")
	clean.Flags().Lookup("older-than").DefValue = ""
	c.AddCommand(ls, &cobra.Command{
		Use: "rm ID...", Short: "Remove snapshots", Args: someSnapshots, RunE: do(remove),
		Long:    "Remove snapshots. The beginning of an ID is enough if no other one begins with it.",
		Example: "  buildlocal snapshot rm k5vd2mpo\n  buildlocal snapshot rm k5vd2mpo 3wzc",
	}, clean)
	return c
}

const week = 7 * 24 * time.Hour

// someSnapshots requires one argument or more: "rm" without an ID must not remove everything.
func someSnapshots(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cli.Usagef("%s requires the ID of a snapshot\nbuildlocal snapshot ls lists them", c.CommandPath())
	}
	return nil
}

// idLength is the number of characters of an ID that are shown.
const idLength = 8

func short(s *snapshots.Snapshot) string { return s.ID()[:min(idLength, len(s.ID()))] }

// shown is a snapshot in JSON.
type shown struct {
	ID     string    `json:"id"`
	Source string    `json:"source"`
	Build  string    `json:"build"`
	Phase  string    `json:"phase"`
	Engine string    `json:"engine"`
	Taken  time.Time `json:"taken"`
	Used   time.Time `json:"used"`
	Size   int64     `json:"sizeInBytes"`
}

// list prints the snapshots.
func list(_ context.Context, a *cli.App, o *Options) error {
	store := a.Snapshots()
	all := store.All()
	var sum int64
	listed := []shown{}
	t := console.Table{Columns: []console.Column{
		{Title: "ID"}, {Title: "SOURCE"}, {Title: "AFTER"}, {Title: "BUILD"}, {Title: "ENGINE", Drop: 1}, {Title: "SIZE"},
		{Title: "USED"},
	}}
	for _, s := range all {
		sum += s.Bytes
		listed = append(listed, shown{
			s.ID(), s.Source, s.Build, string(s.Phase), s.Engine, s.Taken.UTC(), s.Used().UTC(), s.Bytes,
		})
		t.Add(console.Strong(short(s)), console.Plain(a.Tilde(s.Source)), console.Plain(string(s.Phase)),
			console.Plain(fmt.Sprint(builds.Number(s.Build))), console.Weak(s.Engine),
			console.Plain(human.Bytes(s.Bytes)), console.Plain(human.When(s.Used(), a.Now())))
	}
	if o.Format == cli.FormatJSON {
		return a.WriteJSON(map[string]any{
			"version": 1, "snapshots": listed, "directory": store.Path, "sizeInBytes": sum,
		})
	}
	screen := a.Screen()
	if len(all) == 0 {
		screen.Printf("no snapshots in %s", a.Tilde(store.Path))
		return screen.Err()
	}
	screen.Table(t)
	if err := screen.Err(); err != nil {
		return err
	}
	footer := a.Footer()
	footer.Printf("%s, at most %s of %s in %s", human.Count(len(all), "snapshot"), human.Bytes(sum),
		local.DefaultSnapshotSize, a.Tilde(store.Path))
	return footer.Err()
}

// find returns the snapshots with the given IDs, or all mistakes.
func find(all []*snapshots.Snapshot, ids []string) ([]*snapshots.Snapshot, error) {
	var found []*snapshots.Snapshot
	var errs []error
	for _, id := range ids {
		var matching []*snapshots.Snapshot
		for _, s := range all {
			if strings.HasPrefix(s.ID(), id) && id != "" {
				matching = append(matching, s)
			}
		}
		switch len(matching) {
		case 0:
			errs = append(errs, cli.Usagef("there is no snapshot %q\nbuildlocal snapshot ls lists them", id))
		case 1:
			found = append(found, matching[0])
		default:
			errs = append(errs, cli.Usagef("%d snapshots begin with %s; use more of the ID", len(matching), id))
		}
	}
	return found, errors.Join(errs...)
}

// remove removes the named snapshots. It goes on after an error, and returns all errors.
func remove(ctx context.Context, a *cli.App, o *Options) error {
	found, err := find(a.Snapshots().All(), o.IDs)
	if err != nil {
		return err
	}
	return removeAll(ctx, a, found)
}

func removeAll(ctx context.Context, a *cli.App, all []*snapshots.Snapshot) error {
	r := a.NewSnapshotRemover(ctx)
	defer func() { _ = r.Close() }()
	var errs []error
	for _, s := range all {
		if err := r.Remove(ctx, s); err != nil {
			errs = append(errs, fmt.Errorf("%s not removed: %w", short(s), err))
			continue
		}
		_, err := fmt.Fprintf(a.Stdout, "removed %s, %s of build %d, %s\n", short(s), s.Phase, builds.Number(s.Build),
			human.Bytes(s.Bytes))
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// prune removes snapshots that were not used for a while, and the remains of others.
func prune(ctx context.Context, a *cli.App, o *Options) error {
	var old []*snapshots.Snapshot
	for _, s := range a.Snapshots().All() {
		if o.All || a.Now().Sub(s.Used()) >= o.Older {
			old = append(old, s)
		}
	}
	err := removeAll(ctx, a, old)
	r := a.NewSnapshotRemover(ctx)
	defer func() { _ = r.Close() }()
	n, cleanErr := r.Clean(ctx)
	if n > 0 && cleanErr == nil {
		fmt.Fprintf(a.Stdout, "removed the remains of %s\n", human.Count(n, "snapshot"))
	}
	if n == 0 && len(old) == 0 {
		fmt.Fprintln(a.Stdout, "nothing to remove")
	}
	return errors.Join(err, cleanErr)
}
