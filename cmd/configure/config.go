package configure

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/settings"
)

// ConfigOptions are all flags of run.
type ConfigOptions struct{ settings.Flags }

// NewConfig returns the command config. It takes the flags of run, so that adding "config"
// to a command line shows which of its values win.
func NewConfig(a *cli.App, runF cli.RunF[ConfigOptions]) *cobra.Command {
	o := &ConfigOptions{}
	c := &cobra.Command{
		Use:   "config",
		Short: "Print the value and origin of every flag of run",
		Long: "Print every flag of run with its value and where the value is set: on the command\n" +
			"line, in a variable " + settings.VariablePrefix + "<FLAG>, in " + settings.File + " in the source, in your\n" +
			"~/.config/buildlocal/config.yml (or XDG_CONFIG_HOME), or by default.",
		Example: "  buildlocal config\n  buildlocal config -C ../service\n  BUILDLOCAL_IMAGE=node:22 buildlocal config",
		Args:    cli.NoArgs,
	}
	o.Add(c)
	// Settle also checks the values, so config finds mistakes before a build does.
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := o.Settle(c.Context(), a, c); err != nil {
			return err
		}
		// The flags that were parsed are needed to print, so the work is a closure over them.
		show := func(_ context.Context, a *cli.App, o *ConfigOptions) error {
			t := cli.NewTable(a.Stdout)
			for _, v := range o.Values(c.Flags()) {
				t.Row(v.Name, v.Value, v.Origin)
			}
			return t.Flush()
		}
		return runF.Or(a, show)(c.Context(), o)
	}
	return c
}
