// Package explain has the command explain.
package explain

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/help"
	"github.com/buildlocal/buildlocal/cmd/settings"
	"github.com/buildlocal/buildlocal/local"
)

// Options are the flags and arguments of explain.
type Options struct {
	settings.Flags        // those of run that lead to the output directory
	Build          string // name or number
}

// NewCmd returns the command explain.
func NewCmd(a *cli.App, runF cli.RunF[Options]) *cobra.Command {
	o := &Options{}
	c := &cobra.Command{
		Use: "explain [BUILD]", Short: "Explain why a build failed, or where its time went",
		Long: "Print the first failing command of build number BUILD, or of the latest build, with the\n" +
			"lines that explain it, the meaning of its exit status, everything that has changed since\n" +
			"the last green build of the project and branch, and the next commands. For a build that\n" +
			"succeeded, compare its slowest parts with the last five. Rules decide, and nothing is sent\n" +
			"anywhere. The output has no values of variables.",
		Annotations: help.Notes("Exit codes: 0 success, even if the build failed, 2 no such build, 3 unreadable files."),
		Example:     "  buildlocal explain\n  buildlocal explain 12\n  buildlocal explain --format markdown >ticket.md",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return cli.Usagef("%s takes one build, got %q", c.CommandPath(), args)
			}
			return nil
		},
	}
	c.Flags().SortFlags = false
	o.AddSome(c, "source", "output", "color")
	cli.ReadsOutput(c)
	c.Flags().StringVar(&o.Format, "format", "text", "print the explanation as `FORMAT`: text, markdown or json")
	o.SetFormats([]string{"text", "markdown", "json"})
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := o.Settle(c.Context(), a, c); err != nil {
			return err
		}
		if o.Build = local.LatestBuild; len(args) > 0 {
			o.Build = args[0]
		}
		return runF.Or(a, showExplanation)(c.Context(), o)
	}
	return c
}

// showExplanation explains a build.
func showExplanation(ctx context.Context, a *cli.App, o *Options) error {
	s, b, err := local.OpenBuild(ctx, &o.Request, o.Build)
	if err != nil {
		return err
	}
	report, err := local.Explain(s, b)
	if err != nil {
		return err
	}
	switch o.Format {
	case cli.FormatJSON:
		return a.WriteJSON(report)
	case "markdown":
		_, err := io.WriteString(a.Raw.Out, report.Markdown())
		return err
	}
	screen := a.Screen()
	screen.Explain(local.ExplainView(report))
	return screen.Err()
}
