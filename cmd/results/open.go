package results

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/help"
	"github.com/buildlocal/buildlocal/cmd/settings"
	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/local"
)

// OpenOptions are the flags and arguments of open.
type OpenOptions struct {
	settings.Flags        // those of run that lead to the output directory
	Build          string // name or number
}

// NewOpen returns the command open.
func NewOpen(a *cli.App, runF cli.RunF[OpenOptions]) *cobra.Command {
	o := &OpenOptions{Build: "latest"}
	c := &cobra.Command{
		Use: "open [BUILD]", Short: "Open the page of a build in the browser",
		Long: "Open the page of build number BUILD, or of the latest build, in the browser. Its path\n" +
			"is printed if there is no browser or no terminal.",
		Annotations: help.Notes("Exit codes: 0 success, 2 no such build or usage error, 3 the build has no page."),
		Example:     "  buildlocal open\n  buildlocal open 12",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return cli.Usagef("%s takes one build, got %q", c.CommandPath(), args)
			}
			o.Build = append(args, o.Build)[0]
			return nil
		},
	}
	c.Flags().SortFlags = false
	o.AddSome(c, "source", "output")
	cli.ReadsOutput(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := o.Settle(c.Context(), a, c); err != nil {
			return err
		}
		return runF.Or(a, openPage)(c.Context(), o)
	}
	return c
}

// openPage opens the page of a build with the program of the system.
func openPage(ctx context.Context, a *cli.App, o *OpenOptions) error {
	_, b, err := local.OpenBuild(ctx, &o.Request, o.Build)
	if err != nil {
		return err
	}
	page := filepath.Join(b.Path, console.PageName)
	if _, err := os.Stat(page); err != nil {
		return local.NewInputError(fmt.Errorf("build %d has no page\nwrite it with buildlocal report %d --html",
			b.Number, b.Number))
	}
	if a.IsTerminal() && a.OpenFile(ctx, page) {
		return nil
	}
	_, err = fmt.Fprintln(a.Stdout, local.ShownPath(page))
	return err
}
