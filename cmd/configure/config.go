package configure

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/help"
	"github.com/buildlocal/buildlocal/cmd/settings"
	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/internal/human"
)

// ConfigOptions are all flags of run, and those of config.
type ConfigOptions struct {
	settings.Flags
	Changed bool // only values that are not defaults
}

// NewConfig returns the command config. It takes the flags of run, so that adding "config"
// to a command line shows which of its values win.
func NewConfig(a *cli.App, runF cli.RunF[ConfigOptions]) *cobra.Command {
	o := &ConfigOptions{}
	c := &cobra.Command{
		Use:   "config",
		Short: "Print the settings of run and where each is set",
		Long: "Print the flags of run with their values and where each value is set: on the command\n" +
			"line, in a variable " + settings.VariablePrefix + "<FLAG>, in " + settings.File + " in the source, in your\n" +
			"~/.config/buildlocal/config.yml (or XDG_CONFIG_HOME), or by default. Flags that are\n" +
			"off or not set are only counted, unless --verbose is given.",
		Example: "  buildlocal config\n  buildlocal config --changed\n  BUILDLOCAL_IMAGE=node:22 buildlocal config -v",
		Args:    cli.NoArgs,
	}
	o.Add(c)
	o.SetFormats([]string{"text", "json", "service"}) // those of run too, because they are shown
	c.Flags().BoolVar(&o.Changed, "changed", false, "print only settings that are not defaults")
	help.SetGroup(c.Flags(), help.OutputGroup, "changed")
	// Settle also checks the values, so config finds mistakes before a build does.
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := o.Settle(c.Context(), a, c); err != nil {
			return err
		}
		// The flags that were parsed are needed to print, so the work is a closure over them.
		show := func(ctx context.Context, a *cli.App, o *ConfigOptions) error {
			all := slices.DeleteFunc(valuesOf(a, &o.Flags, c), func(v Value) bool {
				return v.Name == "changed" || o.Changed && !v.IsSet()
			})
			for i := range all {
				all[i].findEngine(ctx, a, &o.Request)
			}
			if c.Flags().Changed("format") && o.Format == cli.FormatJSON {
				return a.WriteJSON(map[string]any{"version": 1, "settings": append([]Value{}, all...)})
			}
			return printValues(a, o, all)
		}
		return runF.Or(a, show)(c.Context(), o)
	}
	return c
}

// printValues prints the values, those of the user first, and counts flags that are off.
func printValues(a *cli.App, o *ConfigOptions, all []Value) error {
	slices.SortStableFunc(all, func(a, b Value) int { return rank(a) - rank(b) })
	t := console.Table{Columns: []console.Column{{}, {Fit: console.FitText}, {}}, NoHead: true}
	off := 0
	for _, v := range all {
		if !v.IsSet() && v.IsOff() && !(o.Verbose && isGiven(all, "verbose")) {
			off++
			continue
		}
		name, value, origin := console.Strong(v.Name), console.Plain(v.Text()), console.Plain(v.Origin)
		if !v.IsSet() {
			name, value, origin = console.Plain(v.Name), console.Weak(v.Text()), console.Weak(v.Origin)
		}
		t.Add(name, value, origin)
	}
	s := a.Screen()
	if len(t.Rows) == 0 && o.Changed {
		s.Printf("all settings have their defaults")
	}
	s.Table(t)
	if err := s.Err(); err != nil || off == 0 {
		return err
	}
	footer := a.Footer()
	footer.Printf("%s %s off or not set (-v lists them)", human.Count(off, "flag"), human.Plural(off, "is", "are"))
	return errors.Join(footer.Err())
}

// rank puts values of the user before defaults.
func rank(v Value) int {
	if v.IsSet() {
		return 0
	}
	return 1
}

// isGiven reports whether a setting is on the command line, which for --verbose is about config
// itself.
func isGiven(all []Value, name string) bool {
	return slices.ContainsFunc(all, func(v Value) bool {
		return v.Name == name && strings.HasPrefix(v.Origin, "flag")
	})
}
