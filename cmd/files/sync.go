package files

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"unicode/utf8"

	"github.com/aymanbagabas/go-udiff"
	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/reach"
	"github.com/buildlocal/buildlocal/control"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/internal/treecopy"
	"github.com/buildlocal/buildlocal/local"
)

// SyncOptions are the flags and arguments of sync.
type SyncOptions struct {
	Build   string
	Request control.SyncRequest
	Pull    []string // paths to copy the other way
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
			"With --pull, paths of the build are copied to the source instead, after a question.\n\n" + reach.Help,
		Example: "  buildlocal sync\n  buildlocal sync 12 --pull package-lock.json",
	}
	c.Flags().SortFlags = false
	c.Flags().StringArrayVar(&o.Pull, "pull", nil, "copy `PATH` of the build to the source instead; repeatable")
	c.Flags().BoolVar(&o.Request.Force, "force", false, "also if the source of the build is a commit")
	c.Flags().BoolVarP(&o.Yes, "yes", "y", false, "overwrite files of the source without a question")
	c.RunE = func(c *cobra.Command, args []string) (err error) {
		if o.Build, err = reach.Name("sync", args); err != nil {
			return err
		}
		if o.Yes && len(o.Pull) == 0 {
			return cli.Usagef("--yes is for --pull: a sync overwrites no file of the source")
		}
		if o.Request.Force && len(o.Pull) > 0 {
			return cli.Usagef("--pull and --force cannot be combined")
		}
		return runF.Or(a, runSync)(c.Context(), o)
	}
	return c
}

// runSync copies source files into a build, or the other way.
func runSync(ctx context.Context, a *cli.App, o *SyncOptions) error {
	return reach.With(ctx, a, o.Build, func(b *local.Reached) error {
		if len(o.Pull) > 0 {
			return reach.Interrupted(ctx, o.pull(ctx, a, b))
		}
		report, err := b.Sync(ctx, o.Request)
		if err != nil {
			return reach.Interrupted(ctx, err)
		}
		for _, name := range report.Conflicts {
			a.Warnf("note: %s was changed on both sides; the build's version is %s.build", name, name)
		}
		_, err = fmt.Fprintln(a.Stdout, cmp.Or(report.Text(), "nothing to sync"))
		return err
	})
}

// pull copies paths of the build to the source, after the differences were shown.
func (o *SyncOptions) pull(ctx context.Context, a *cli.App, b *local.Reached) error {
	status, err := b.Status(ctx)
	if err != nil {
		return err
	}
	source := b.Resource.Labels[local.LabelSource]
	for _, name := range o.Pull {
		if !filepath.IsLocal(filepath.FromSlash(name)) || path.Clean(name) == "." {
			return cli.Usagef("--pull %s: must be a path below the source", name)
		}
		if status.SourceDir == "" {
			return cli.Usagef("--pull needs a build that runs: this one has ended\nbuildlocal cp copies single paths")
		}
	}
	for _, name := range o.Pull {
		from := &CpOptions{From: place{inBuild: true, path: path.Join(status.SourceDir, name)}}
		to := filepath.Join(source, filepath.FromSlash(path.Clean(name)))
		err := from.receive(ctx, b, func(content io.Reader) error {
			c := &treecopy.Copy{
				Content: content, Name: path.Base(path.Clean(name)), To: to, Exact: true, Warnf: a.Warnf,
				Overwrite: func(existing []treecopy.Replaced) (bool, error) { return o.agree(ctx, a, existing) },
			}
			return c.Run()
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// agree shows how files of the source will change, and asks for consent.
func (o *SyncOptions) agree(ctx context.Context, a *cli.App, existing []treecopy.Replaced) (bool, error) {
	for _, r := range existing {
		before, err1 := os.ReadFile(r.File)
		after, err2 := os.ReadFile(r.With)
		if err := errors.Join(err1, err2); err != nil {
			return false, err
		}
		diff := r.File + ": the contents differ\n"
		if utf8.Valid(before) && utf8.Valid(after) {
			diff = udiff.Unified(r.File, r.File+" (build)", string(before), string(after))
		}
		fmt.Fprint(a.Stdout, diff)
	}
	if o.Yes {
		return true, nil
	}
	return confirm(ctx, a, human.Count(len(existing), "file")+" of the source would change")
}
