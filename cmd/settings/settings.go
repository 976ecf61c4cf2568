// Package settings turns flags, environment variables and configuration files into a
// local.Request. It remembers where each value comes from, and refuses values from the
// configuration file of a source that reach beyond the build, unless the user trusts it.
//
// A value is taken from the first place that has one: the command line, a variable
// BUILDLOCAL_<FLAG>, .buildlocal.yml in the source, the user's config.yml, the default. The
// values of a list are not merged: the first place has all of them.
package settings

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/internal/config"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/terminal"
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

	// These are about the output of a command, not part of a request.
	Format         string // text, or another of the formats of the command
	Quiet, Verbose bool   // not both
	Color          string // one of terminal.Auto and others
	Progress       string // a console.Progress
	CI             string // one of cli.CIModes
	NoConfig       bool   // ignore the source's configuration file

	formats []string          // allowed values of Format; nil for those of run
	home    string            // the user's home directory; may be empty
	user    *config.File      // the user's configuration file; may be nil
	file    *config.File      // the source's configuration file; may be nil
	origins map[string]origin // by flag; nil until Settle is called

	readable bool           // see Readable
	command  *pflag.FlagSet // all flags of the command; nil until Settle is called
}

// origin is the place that the value of a flag comes from.
type origin struct {
	kind  local.Origin
	text  string       // flag, default, the name of a variable, or file:line
	file  *config.File // of a value from a file, with entry, to show its position
	entry config.Entry
}

// place returns where a value is written, and whether that is not the command line.
func (o origin) place() (local.Place, bool) {
	switch {
	case o.kind == local.FromVariable:
		return local.Place{Name: o.text}, true
	case o.file != nil:
		place := local.Place{Name: o.file.Name}
		for _, v := range o.entry.Values {
			place.Lines = append(place.Lines, v.Line)
		}
		return place, true
	}
	return local.Place{}, false
}

// runAnnotation marks the flags of run. Configuration files set only those: another
// command may have a flag of the same name with another meaning.
const runAnnotation = "buildlocal_run"

// Add adds all flags of run to a command.
func (f *Flags) Add(c *cobra.Command) {
	c.Flags().SortFlags = false
	c.Flags().AddFlagSet(f.all())
}

// AddSome adds some flags of run, and the one that ignores configuration files. The command
// gets their values from the same places as run, so a project that sets image in its
// configuration file needs no -i for doctor either.
func (f *Flags) AddSome(c *cobra.Command, names ...string) {
	all := f.all()
	for _, name := range append(names, "no-config") {
		c.Flags().AddFlag(all.Lookup(name))
	}
}

// SetFormats sets the values that --format accepts, for a command with formats of its
// own.
func (f *Flags) SetFormats(formats []string) { f.formats = formats }

// isRunFlag reports whether a flag is one of run, and not of the command that has it.
func isRunFlag(flag *pflag.Flag) bool {
	_, is := flag.Annotations[runAnnotation]
	return is
}

// Keys returns the names of all settings that configuration files can have, sorted. A file
// cannot say where it is itself, or that it does not count.
func Keys() []string {
	var keys []string
	new(Flags).all().VisitAll(func(f *pflag.Flag) {
		if f.Name != "source" && f.Name != "no-config" {
			keys = append(keys, f.Name)
		}
	})
	slices.Sort(keys)
	return keys
}

// Settle gives each flag that is not on the command line its value from an environment
// variable, else from the configuration file of the source, else from the user's. It
// validates all values. A file of the source that reaches the user is an error, unless
// the user trusts it. All mistakes are reported at once, each with its place; only a
// configuration file that cannot be read is reported alone, because it hides the others.
func (f *Flags) Settle(ctx context.Context, a *cli.App, c *cobra.Command) error {
	f.origins, f.home, f.command = map[string]origin{}, a.Home, c.Flags()
	if err := f.readConfigs(a, c.Flags()); err != nil {
		return err
	}
	f.warnUnknown(a)
	var errs []error
	c.Flags().VisitAll(func(flag *pflag.Flag) {
		if _, settled := f.origins[flag.Name]; !settled && flag.Name != "help" {
			errs = append(errs, f.settleOne(a, flag))
		}
	})
	f.Request.Origins, f.Request.Places = map[string]local.Origin{}, map[string]local.Place{}
	for name, from := range f.origins {
		f.Request.Origins[name] = from.kind
		if place, written := from.place(); written {
			f.Request.Places[name] = place
		}
	}
	// Trust is decided on the values that count: a flag may override one that reaches out.
	untrusted := f.checkTrust(ctx, a, c)
	f.readable = untrusted == nil
	return cli.JoinErrors(append(errs, untrusted, f.validate(a)))
}

// CheckSettings returns the flags of run that decide what a buildspec is checked against, in the
// order in which a person would write them.
func CheckSettings() []string {
	return []string{"source", "source-root", "buildspec", "image", "engine", "privileged", "docker", "env", "env-file",
		"env-override", "project", "project-name", "ignore"}
}

// Given returns the flag with a name if it is on the command line, else nil.
func (f *Flags) Given(name string) *pflag.Flag {
	if f.origins[name].kind != local.FromCaller {
		return nil
	}
	return f.command.Lookup(name)
}

// Readable reports whether the files that the request names can be read although Settle has
// returned an error: the configuration was read, and it is trusted.
func (f *Flags) Readable() bool { return f.readable }

// validate returns all mistakes in the values, those of the output first.
func (f *Flags) validate(a *cli.App) error {
	f.Request.Normalize()
	var errs []error
	if len(f.formats) > 0 {
		errs = append(errs, local.OneOf("format", f.Format, f.formats...))
	}
	optional := func(name, value string, known ...string) {
		if value != "" { // the command has the flag
			errs = append(errs, local.OneOf(name, value, known...))
		}
	}
	optional("color", f.Color, terminal.Auto, terminal.Always, terminal.Never)
	optional("progress", f.Progress, console.ProgressKinds()...)
	optional("ci", f.CI, cli.CIModes()...)
	a.Quiet, a.ColorMode, a.CIMode, a.Progress = f.Quiet, f.Color, f.CI, console.Progress(f.Progress)
	if f.Format != "text" && f.formats != nil && (f.Quiet || f.Verbose) && f.hasRunFormat() {
		name := map[bool]string{true: "quiet", false: "verbose"}[f.Quiet]
		errs = append(errs, &local.SettingError{Setting: "format", Value: f.Format, Joint: true,
			Message: "and --" + name + " cannot be combined"})
	}
	if f.Quiet && f.Verbose {
		errs = append(errs, &local.SettingError{Setting: "quiet", Message: "and --verbose cannot be combined", Joint: true})
	}
	return f.Explain(errors.Join(append(errs, f.Request.Validate(a.UID)...)...))
}

// readConfigs reads both configuration files. The flags that say where they are, and
// whether they count, are settled before: source and no-config can be set by a variable,
// and no-config also by the user's file.
func (f *Flags) readConfigs(a *cli.App, flags *pflag.FlagSet) error {
	var err error
	if f.user, err = readUserConfig(userConfig(a)); err != nil {
		return err
	}
	errs := []error{f.settleOne(a, flags.Lookup("source")), f.settleOne(a, flags.Lookup("no-config"))}
	if err := cli.JoinErrors(errs); err != nil {
		return err
	}
	if f.NoConfig {
		return nil
	}
	f.file, err = readSourceConfig(f.Source.Dir)
	return err
}

// variableOf returns the name of the variable that holds a flag, such as
// BUILDLOCAL_ENV_FILE for env-file.
func variableOf(flag string) string {
	return VariablePrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// settleOne gives a flag its value from the first place that has one, and records the place.
// An empty variable counts as not set: CI systems often define variables without a value.
// A list is separated by line breaks there, because values contain spaces and commas.
func (f *Flags) settleOne(a *cli.App, flag *pflag.Flag) error {
	name := variableOf(flag.Name)
	if flag.Changed {
		f.origins[flag.Name] = origin{kind: local.FromCaller, text: "flag"}
		return f.Explain(invalidValue(flag))
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

// setFrom sets a flag from a configuration file in dir. Paths in the file are relative to
// dir, and ~ is expanded in the user's own file only: in a source it would reach the user.
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
// repeated takes several values; for another one, several lines are one text, such as an
// inline buildspec in a variable.
func (f *Flags) set(flag *pflag.Flag, values []string) error {
	if flag.Value.Type() != "stringArray" {
		values = []string{strings.Join(values, "\n")}
	}
	for _, v := range values {
		if err := flag.Value.Set(cli.Boolean(flag, v)); err != nil {
			return f.Explain(wrongValue(flag, v, err))
		}
	}
	return f.Explain(invalidValue(flag))
}

// Explain returns an error with the place of each setting in it: a position in a file,
// the name of a variable or of a flag. Package local names settings only, because it does
// not know command lines. Other errors are returned unchanged.
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
		message, hint, _ := strings.Cut(wrong.After(wrong.Setting, " "), "\n")
		problem := from.file.Problem(from.entry, message)
		problem.Hint = hint
		return diag.List{problem}
	case from.kind == local.FromVariable:
		return cli.Usagef("%s", wrong.After(from.text, "="))
	case wrong.Setting == "env": // few people know the long form
		return cli.Usagef("%s", wrong.After("-e", " "))
	}
	return cli.Usagef("%s", wrong.After("--"+wrong.Setting, " "))
}

// ShownSource returns the source's directory as the user would type it, or "" for the
// current directory.
func (f *Flags) ShownSource() string {
	if f.Source.Dir == "." {
		return ""
	}
	return filepath.ToSlash(f.Source.Dir)
}
