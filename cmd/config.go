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
		Short: "Print the flags of run with their values and where each comes from",
		Long: "config prints every flag of run with the value it would have and its origin: a\n" +
			"flag, a variable " + variablePrefix + "NAME, the source's " + configFile + ", your own\n" +
			"config.yml in ~/.config/buildlocal (or XDG_CONFIG_HOME), or the default.",
		Args: noArgs,
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
