package cmd

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func newConfig(a *App) *cobra.Command {
	f := &runFlags{}
	c := &cobra.Command{
		Use:   "config",
		Short: "Print the value and origin of every flag of run",
		Long: "Print every flag of run with its value and where the value is set: on the command\n" +
			"line, in a variable " + variablePrefix + "<FLAG>, in " + configFile + " in the source, in your\n" +
			"~/.config/buildlocal/config.yml (or XDG_CONFIG_HOME), or by default.",
		Example: "  buildlocal config\n  buildlocal config -C ../service\n  BUILDLOCAL_IMAGE=node:22 buildlocal config",
		Args:    noArgs,
	}
	addRunFlags(c, f)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := f.settle(a, c); err != nil {
			return err
		}
		t := newTable(a.Stdout)
		c.Flags().VisitAll(func(flag *pflag.Flag) {
			if flag.Name != "help" {
				t.row(flag.Name, shown(flag), f.origins[flag.Name].text)
			}
		})
		return t.flush()
	}
	return c
}

// shown is a flag's value; values of variables are left out, they may be secret.
func shown(flag *pflag.Flag) string {
	list, many := flag.Value.(pflag.SliceValue)
	if !many {
		return flag.Value.String()
	}
	values := list.GetSlice()
	if flag.Name == "env" {
		for i, v := range values {
			values[i], _, _ = strings.Cut(v, "=")
		}
	}
	return strings.Join(values, " ")
}
