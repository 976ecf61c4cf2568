package debug

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/control"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/local"
)

// SyncOptions are the flags and arguments of sync.
type SyncOptions struct {
	Build   string
	Request control.SyncRequest
	Yes     bool
}

// NewSync returns the command sync.
func NewSync(a *cli.App, runF cli.RunF[SyncOptions]) *cobra.Command {
	o := &SyncOptions{}
	c := &cobra.Command{
		Use: "sync [BUILD]", Short: "Copy edited source files into a build",
		Long: "Copy files of the source that were changed since the build began, or since the last sync,\n" +
			"into the build, and remove those that were removed. A file that the build has changed\n" +
			"too is kept there as NAME.build. Ignored files are never copied.\n\n" +
			"With --pull, paths of the build are copied to the source instead, after a question.\n\n" + buildHelp,
		Example: "  buildlocal sync\n  buildlocal sync 12 --pull package-lock.json",
	}
	c.Flags().SortFlags = false
	c.Flags().StringArrayVar(&o.Request.Pull, "pull", nil, "copy `PATH` of the build to the source instead; repeatable")
	c.Flags().BoolVar(&o.Request.Force, "force", false, "also if the source of the build is a commit")
	c.Flags().BoolVarP(&o.Yes, "yes", "y", false, "overwrite files of the source without a question")
	c.RunE = func(c *cobra.Command, args []string) (err error) {
		if o.Build, err = oneBuild("sync", args); err != nil {
			return err
		}
		if o.Yes && len(o.Request.Pull) == 0 {
			return cli.Usagef("--yes is for --pull: a sync overwrites no file of the source")
		}
		return runF.Or(a, runSync)(c.Context(), o)
	}
	return c
}

// runSync copies source files into a build, or the other way.
func runSync(ctx context.Context, a *cli.App, o *SyncOptions) error {
	return withBuild(ctx, a, o.Build, func(b *local.Reached) error {
		if len(o.Request.Pull) > 0 && !o.Yes {
			agreed, err := o.preview(ctx, a, b)
			if err != nil || !agreed {
				return err
			}
		}
		report, err := b.Sync(ctx, o.Request)
		if err != nil {
			return relayed(ctx, err)
		}
		for _, name := range report.Conflicts {
			a.Warnf("note: %s was changed on both sides; the other version is %s.build", name, name)
		}
		_, err = fmt.Fprintln(a.Stdout, syncText(report))
		return err
	})
}

// preview shows what a pull would change, and asks whether to do it.
func (o *SyncOptions) preview(ctx context.Context, a *cli.App, b *local.Reached) (bool, error) {
	r := o.Request
	r.Preview = true
	report, err := b.Sync(ctx, r)
	if err != nil {
		return false, relayed(ctx, err)
	}
	if len(report.Copied)+len(report.Removed) == 0 {
		_, err = fmt.Fprintln(a.Stdout, syncText(report))
		return false, err
	}
	fmt.Fprint(a.Stdout, report.Diff)
	return confirm(ctx, a, "overwrite "+human.Count(len(report.Copied)+len(report.Removed), "file")+" of the source? [y/N] ")
}

// syncText sums a sync up: "synced 2 files, removed 1".
func syncText(r control.SyncReport) string {
	var parts []string
	if n := len(r.Copied); n > 0 {
		parts = append(parts, "synced "+human.Count(n, "file"))
	}
	if n := len(r.Removed); n > 0 && len(parts) > 0 {
		parts = append(parts, fmt.Sprintf("removed %d", n))
	} else if n > 0 {
		parts = append(parts, "removed "+human.Count(n, "file"))
	}
	if len(parts) == 0 {
		return "nothing to sync"
	}
	return strings.Join(parts, ", ")
}
