package files

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/reach"
	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/control"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/local"
)

// DiffOptions are the flags and arguments of diff.
type DiffOptions struct {
	Build    string
	NameOnly bool
	Format   string // text or json
}

// NewDiff returns the command diff.
func NewDiff(a *cli.App, runF cli.RunF[DiffOptions]) *cobra.Command {
	o := &DiffOptions{}
	c := &cobra.Command{
		Use: "diff [BUILD]", Short: "List the files and variables that a build has changed",
		Long: "List the files that a build has added (A), changed (M) or removed (D) since its image and\n" +
			"its source, and the names of the variables that it has changed. A new directory is one\n" +
			"line. Files in memory, in volumes and below /codebuild are left out.\n\n" + reach.Help,
		Example: "  buildlocal diff\n  buildlocal diff 12 --name-only\n  buildlocal diff 12 --format json",
	}
	c.Flags().BoolVar(&o.NameOnly, "name-only", false, "print the paths of the files only")
	cli.AddFormat(c, &o.Format)
	c.RunE = func(c *cobra.Command, args []string) (err error) {
		if o.Build, err = reach.Name("diff", args); err != nil {
			return err
		}
		if err := cli.CheckFormat(o.Format); err != nil {
			return err
		}
		if o.NameOnly && o.Format != "text" {
			return cli.Usagef("--name-only and --format json cannot be combined")
		}
		return runF.Or(a, runDiff)(c.Context(), o)
	}
	return c
}

// changedFile is a file in JSON.
type changedFile struct {
	Path  string `json:"path"`
	Kind  string `json:"kind"`  // added, changed or removed
	Files *int   `json:"files"` // null if it is not known
	Size  *int64 `json:"sizeInBytes"`
}

// runDiff prints the changes of a build.
func runDiff(ctx context.Context, a *cli.App, o *DiffOptions) error {
	return reach.With(ctx, a, o.Build, func(b *local.Reached) error {
		changes, err := b.Changes(ctx)
		if err != nil {
			return reach.Interrupted(ctx, err)
		}
		if o.Format == cli.FormatJSON {
			files := []changedFile{}
			for _, c := range changes.Files {
				f := changedFile{Path: c.Path, Kind: string(c.Kind)}
				if c.Files >= 0 {
					f.Files, f.Size = &c.Files, &c.Bytes
				}
				files = append(files, f)
			}
			variables := append([]string{}, changes.Variables...)
			return a.WriteJSON(map[string]any{"version": 1, "build": b.Build, "files": files, "variables": variables})
		}
		return printChanges(a, o, changes)
	})
}

// printChanges prints the changes as text.
func printChanges(a *cli.App, o *DiffOptions, changes control.Changes) error {
	screen := a.Screen()
	if o.NameOnly {
		for _, c := range changes.Files {
			screen.Printf("%s", c.Path)
		}
		return screen.Err()
	}
	if len(changes.Files) == 0 {
		screen.Printf("no file has changed")
	}
	screen.Table(console.ChangeTable(changes.Files))
	if len(changes.Variables) > 0 {
		screen.Printf("%s", fmt.Sprintf("%s changed: %s", human.Count(len(changes.Variables), "variable"),
			strings.Join(changes.Variables, ", ")))
	}
	return screen.Err()
}
