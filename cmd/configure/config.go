package configure

import (
	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/settings"
)

// NewConfig returns the command config.
func NewConfig(a *cli.App) *cobra.Command {
	f := &settings.Flags{}
	c := &cobra.Command{
		Use:   "config",
		Short: "Print the value and origin of every flag of run",
		Long: "Print every flag of run with its value and where the value is set: on the command\n" +
			"line, in a variable " + settings.VariablePrefix + "<FLAG>, in " + settings.File + " in the source, in your\n" +
			"~/.config/buildlocal/config.yml (or XDG_CONFIG_HOME), or by default.",
		Example: "  buildlocal config\n  buildlocal config -C ../service\n  BUILDLOCAL_IMAGE=node:22 buildlocal config",
		Args:    cli.NoArgs,
	}
	f.Add(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := f.Settle(c.Context(), a, c); err != nil {
			return err
		}
		t := cli.NewTable(a.Stdout)
		for _, v := range f.Values(c.Flags()) {
			t.Row(v.Name, v.Value, v.Origin)
		}
		return t.Flush()
	}
	return c
}
