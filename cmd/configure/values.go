package configure

import (
	"cmp"
	"context"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/settings"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/local"
)

// Value is the effective value and the origin of one flag.
type Value struct {
	Name   string   `json:"name"`
	Values []string `json:"values"` // one, or those of a repeatable flag; empty if it is not set
	Origin string   `json:"origin"` // flag, default, auto, the name of a variable, or file:line
	// Means is the meaning of the value on this host now; empty for most values.
	Means string `json:"means,omitempty"`

	set bool
}

// IsSet reports whether the value is the user's, and not a default.
func (v Value) IsSet() bool { return v.set }

// IsOff reports whether a flag does nothing.
func (v Value) IsOff() bool {
	return len(v.Values) == 0 || len(v.Values) == 1 && (v.Values[0] == "false" || v.Values[0] == "")
}

// Text returns the value on one line.
func (v Value) Text() string {
	text := strings.Join(v.Values, " ")
	if v.Means != "" {
		text += ": " + v.Means
	}
	return text
}

// findEngine adds the engine that auto means.
func (v *Value) findEngine(ctx context.Context, a *cli.App, r *local.Request) {
	if v.Name != "engine" || v.Text() != string(local.EngineAuto) {
		return
	}
	kind, why, err := a.AutoEngine(ctx, r)
	switch {
	case err != nil:
		first, _, _ := strings.Cut(human.ErrorText(err), "\n")
		v.Means = "none (" + first + ")"
	case why != "":
		v.Means = string(kind) + " (" + why + ")"
	default:
		v.Means = string(kind)
	}
}

// valuesOf returns all flags of a command in their order. A default that depends on the host is
// shown as it is here. The values of variables for the build are left out, because they may be
// secret.
func valuesOf(a *cli.App, f *settings.Flags, c *cobra.Command) []Value {
	var all []Value
	c.Flags().VisitAll(func(flag *pflag.Flag) {
		if flag.Name == "help" {
			return
		}
		kind, origin := f.Origin(flag.Name)
		v := Value{Name: flag.Name, Values: shownValues(flag), Origin: origin, set: kind != local.FromDefault}
		if !v.set {
			v.addDefault(a, f)
		}
		all = append(all, v)
	})
	return all
}

// addDefault replaces an empty value by the one that a build would use.
func (v *Value) addDefault(a *cli.App, f *settings.Flags) {
	effective := ""
	switch v.Name {
	case "timeout":
		effective = "60m"
	case "buildspec":
		effective = local.DefaultBuildspec
	case "output":
		effective = local.ShownPath(f.OutputDir())
	case "cache":
		if dir, err := a.CacheDir(""); err == nil {
			effective = a.Tilde(dir)
		}
	case "region":
		for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
			if effective = a.Env(name); effective != "" {
				v.Origin, v.set = name, true
				break
			}
		}
		effective = cmp.Or(effective, "us-east-1")
	}
	if effective != "" {
		v.Values = []string{effective}
	}
}

// shownValues returns the values of a flag.
func shownValues(flag *pflag.Flag) []string {
	list, repeatable := flag.Value.(pflag.SliceValue)
	if !repeatable {
		if text := flag.Value.String(); text != "" {
			return []string{text}
		}
		return []string{}
	}
	values := append([]string{}, list.GetSlice()...) // pflag returns its own slice
	if flag.Name == "env" {
		for i, v := range values {
			values[i], _, _ = strings.Cut(v, "=")
		}
	}
	return values
}
