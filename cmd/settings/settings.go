// Package settings turns flags, environment variables and configuration files into a
// local.Request. It remembers where each value comes from, and refuses values from the
// configuration file of a source that reach beyond the build, unless the user trusts it.
package settings

import (
	"context"
	"errors"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/internal/config"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/local"
)

// File is the configuration file in a source. It holds flags of run.
const File = ".buildlocal.yml"

// VariablePrefix begins the names of environment variables that hold flags of run.
const VariablePrefix = "BUILDLOCAL_"

// Flags are the flags of run, or some of them, and the values that they get from other
// places.
type Flags struct {
	local.Request

	// These are not part of a request.
	Format         string
	Quiet, Verbose bool
	NoConfig       bool

	formats []string          // values of Format
	home    string            // the user's home directory; may be empty
	user    *config.File      // the user's configuration file; may be nil
	file    *config.File      // the source's configuration file; may be nil
	origins map[string]origin // by flag
}

// origin is the place that the value of a flag comes from.
type origin struct {
	kind  local.Origin
	text  string // flag, default, the name of a variable, or file:line
	file  *config.File
	entry config.Entry
}

// runAnnotation marks the flags of run. Configuration files set only those: another
// command may have a flag of the same name with another meaning.
const runAnnotation = "buildlocal_run"

// Add adds all flags of run to a command.
func (f *Flags) Add(c *cobra.Command) {
	c.Flags().SortFlags = false
	c.Flags().AddFlagSet(f.all())
}

// AddSome adds some flags of run, and the one that ignores configuration files.
func (f *Flags) AddSome(c *cobra.Command, names ...string) {
	all := f.all()
	for _, name := range append(names, "no-config") {
		c.Flags().AddFlag(all.Lookup(name))
	}
}

// SetFormats sets the values that --format accepts, for a command with formats of its
// own.
func (f *Flags) SetFormats(formats []string) { f.formats = formats }

func isRunFlag(flag *pflag.Flag) bool {
	_, is := flag.Annotations[runAnnotation]
	return is
}

// Keys returns the names of all settings that configuration files can have, sorted.
func Keys() []string {
	var keys []string
	new(Flags).all().VisitAll(func(f *pflag.Flag) {
		if f.Name != "source" && f.Name != "no-config" {
			keys = append(keys, f.Name)
		}
	})
	return sorted(keys)
}

// Settle gives each flag that is not on the command line its value from an environment
// variable, else from the configuration file of the source, else from the user's. It
// validates all values. A file of the source that reaches the user is an error, unless
// the user trusts it.
func (f *Flags) Settle(ctx context.Context, a *cli.App, c *cobra.Command) error {
	f.origins, f.home = map[string]origin{}, a.Home
	if err := f.readConfigs(a, c.Flags()); err != nil {
		return err
	}
	var errs []error
	c.Flags().VisitAll(func(flag *pflag.Flag) {
		if _, settled := f.origins[flag.Name]; !settled && flag.Name != "help" {
			errs = append(errs, f.settleOne(a, flag))
		}
	})
	f.Request.Origins = map[string]local.Origin{}
	for name, from := range f.origins {
		f.Request.Origins[name] = from.kind
	}
	errs = append(errs, f.checkTrust(ctx, a, c))
	if err := cli.JoinErrors(errs); err != nil {
		return err
	}
	return f.validate(a)
}

func (f *Flags) validate(a *cli.App) error {
	f.Request.Normalize()
	var errs []error
	if len(f.formats) > 0 {
		errs = append(errs, local.OneOf("format", f.Format, f.formats...))
	}
	if f.Quiet && f.Verbose {
		errs = append(errs, &local.SettingError{Setting: "quiet", Message: "cannot be combined with --verbose"})
	}
	return f.Explain(errors.Join(append(errs, f.Request.Validate(a.UID)...)...))
}

// readConfigs reads both configuration files. The flags that say where they are, and
// whether they count, are settled before.
func (f *Flags) readConfigs(a *cli.App, flags *pflag.FlagSet) error {
	known := Keys()
	var err error
	if f.user, err = readUserConfig(userConfig(a), append(known, "no-config")); err != nil {
		return err
	}
	errs := []error{f.settleOne(a, flags.Lookup("source")), f.settleOne(a, flags.Lookup("no-config"))}
	if err := cli.JoinErrors(errs); err != nil {
		return err
	}
	if f.NoConfig {
		return nil
	}
	f.file, err = readSourceConfig(f.Source.Dir, known)
	return err
}

// variableOf returns the name of the variable that holds a flag.
func variableOf(flag string) string {
	return VariablePrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

func (f *Flags) settleOne(a *cli.App, flag *pflag.Flag) error {
	name := variableOf(flag.Name)
	if flag.Changed {
		f.origins[flag.Name] = origin{kind: local.FromCaller, text: "flag"}
		return nil
	}
	if value, given := a.LookupEnv(name); given && value != "" {
		f.origins[flag.Name] = origin{kind: local.FromVariable, text: name}
		return f.set(flag, strings.Split(value, "\n"))
	}
	if e, given := f.file.Get(flag.Name); given && isRunFlag(flag) {
		return f.setFrom(flag, originIn(f.file, e, local.FromSource), f.Source.Dir)
	}
	if e, given := f.user.Get(flag.Name); given && isRunFlag(flag) {
		return f.setFrom(flag, originIn(f.user, e, local.FromUserFile), filepath.Dir(f.user.Name))
	}
	f.origins[flag.Name] = origin{kind: local.FromDefault, text: "default"}
	return nil
}

// setFrom sets a flag from a configuration file in dir.
func (f *Flags) setFrom(flag *pflag.Flag, from origin, dir string) error {
	f.origins[flag.Name] = from
	values := from.entry.Texts()
	if flag.Value.Type() != "stringArray" && len(values) != 1 {
		return f.Explain(setting(flag.Name, "%d values; expected one", len(values)))
	}
	home := ""
	if from.kind == local.FromUserFile {
		home = f.home
	}
	return f.set(flag, pathResolver{dir, home}.resolve(flag.Name, values))
}

// set sets a flag to values that are not from the command line. A flag that may be
// repeated takes several values.
func (f *Flags) set(flag *pflag.Flag, values []string) error {
	if flag.Value.Type() != "stringArray" {
		values = []string{strings.Join(values, "\n")}
	}
	for _, v := range values {
		if err := flag.Value.Set(boolean(flag, v)); err != nil {
			return f.Explain(setting(flag.Name, "%s", cli.Expected(flag, v, err)))
		}
	}
	return nil
}

// boolean also accepts yes and no, on and off for a flag that is true or false, because
// YAML files often have them.
func boolean(flag *pflag.Flag, value string) string {
	if flag.Value.Type() != "bool" {
		return value
	}
	switch strings.ToLower(value) {
	case "yes", "on":
		return "true"
	case "no", "off":
		return "false"
	}
	return value
}

// Explain returns an error with the place of each setting in it: a position in a file,
// the name of a variable or of a flag. Other errors are returned unchanged.
func (f *Flags) Explain(err error) error {
	if parts := cli.Parts(err); parts != nil {
		var errs []error
		for _, err := range parts {
			errs = append(errs, f.Explain(err))
		}
		return cli.JoinErrors(errs)
	}
	var wrong *local.SettingError
	if !errors.As(err, &wrong) {
		return err
	}
	from := f.origins[wrong.Setting]
	switch {
	case from.kind == local.FromSource || from.kind == local.FromUserFile:
		return diag.List{from.file.Problem(from.entry, wrong.Setting+": "+wrong.Message)}
	case from.kind == local.FromVariable:
		return cli.Usagef("%s: %s", from.text, wrong.Message)
	case wrong.Setting == "env":
		return cli.Usagef("-e: %s", wrong.Message)
	}
	return cli.Usagef("--%s: %s", wrong.Setting, wrong.Message)
}

// Value is the value and the origin of one flag.
type Value struct{ Name, Value, Origin string }

// Values returns all flags of a command in their order. The values of variables for the
// build are left out, because they may be secret.
func (f *Flags) Values(flags *pflag.FlagSet) []Value {
	var all []Value
	flags.VisitAll(func(flag *pflag.Flag) {
		if flag.Name != "help" {
			all = append(all, Value{flag.Name, shownValue(flag), f.origins[flag.Name].text})
		}
	})
	return all
}

func shownValue(flag *pflag.Flag) string {
	list, repeatable := flag.Value.(pflag.SliceValue)
	if !repeatable {
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

// ShownSource returns the source's directory as the user would type it, or "" for the
// current directory.
func (f *Flags) ShownSource() string {
	if f.Source.Dir == "." {
		return ""
	}
	return filepath.ToSlash(f.Source.Dir)
}
