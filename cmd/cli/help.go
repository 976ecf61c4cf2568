package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/buildlocal/buildlocal/internal/diag"
)

// HelpWidth is the number of columns of help: one less than the usual terminal, because some
// terminals wrap after the last column.
const HelpWidth = 79

// GroupAnnotation holds the topic under which the help lists a flag.
const GroupAnnotation = "buildlocal_group"

// MaxPlainFlags is the number of flags up to which a command lists them without topics,
// and the largest number of flags of a topic.
const MaxPlainFlags = 10

// notesAnnotation holds the text of Notes.
const notesAnnotation = "buildlocal_notes"

// Topics of flags that several commands use.
const (
	OutputGroup  = "Output"
	DisplayGroup = "Display"
	ChecksGroup  = "Checks and configuration"
)

// SetGroup lists flags under a topic of the help.
func SetGroup(fs *pflag.FlagSet, title string, names ...string) {
	for _, name := range names {
		fs.Lookup(name).Annotations = map[string][]string{GroupAnnotation: {title}}
	}
}

// Notes returns annotations with text that the help prints after the flags, such as
// the exit codes.
func Notes(lines ...string) map[string]string {
	return map[string]string{notesAnnotation: strings.Join(lines, "\n")}
}

// Usage prints examples, subcommands and flags of a command. Cobra's own function is a
// template; linking a template engine adds megabytes to the program, because the linker
// then has to keep all exported methods.
func Usage(c *cobra.Command) error {
	w := c.OutOrStderr()
	fmt.Fprintln(w, "Usage:")
	if c.Runnable() {
		fmt.Fprintf(w, "  %s\n", c.UseLine())
	}
	if c.HasAvailableSubCommands() {
		fmt.Fprintf(w, "  %s COMMAND\n", c.CommandPath())
	}
	if len(c.Aliases) > 0 {
		fmt.Fprintf(w, "\nAliases:\n  %s\n", c.NameAndAliases())
	}
	if c.HasExample() {
		fmt.Fprintf(w, "\nExamples:\n%s\n", c.Example)
	}
	usageOfCommands(w, c)
	UsageOfFlags(w, c.LocalFlags())
	if c.HasAvailableInheritedFlags() {
		section(w, "Global flags", c.InheritedFlags())
	}
	if text := c.Annotations[notesAnnotation]; text != "" {
		fmt.Fprintf(w, "\n%s\n", text)
	}
	if c.HasAvailableSubCommands() {
		fmt.Fprintf(w, "\nRun '%s COMMAND --help' for more about a command.\n", c.CommandPath())
	}
	return nil
}

// usageOfCommands prints the subcommands. Cobra adds help, which it does not count as
// available.
func usageOfCommands(w io.Writer, c *cobra.Command) {
	if !c.HasAvailableSubCommands() {
		return
	}
	fmt.Fprint(w, "\nCommands:\n")
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() || sub.Name() == "help" {
			fmt.Fprintf(w, "  %-*s %s\n", sub.NamePadding(), sub.Name(), sub.Short)
		}
	}
}

// UsageOfFlags prints flags, by topic if there are many. Topics have the order of their
// first flags; flags without a topic, such as --help, are last.
func UsageOfFlags(w io.Writer, flags *pflag.FlagSet) {
	const other = "Other"
	var titles []string
	groups := map[string]*pflag.FlagSet{}
	visible := 0
	flags.VisitAll(func(flag *pflag.Flag) {
		if flag.Hidden {
			return
		}
		visible++
		title := cmp.Or(append(flag.Annotations[GroupAnnotation], "")[0], other)
		if groups[title] == nil {
			titles = append(titles, title)
			groups[title] = pflag.NewFlagSet(title, pflag.ContinueOnError)
			groups[title].SortFlags = flags.SortFlags
		}
		groups[title].AddFlag(flag)
	})
	if visible <= MaxPlainFlags {
		section(w, "Flags", flags)
		return
	}
	for _, title := range titles {
		if title != other {
			section(w, title, groups[title])
		}
	}
	section(w, other, groups[other])
}

// section prints flags below a title.
func section(w io.Writer, title string, flags *pflag.FlagSet) {
	if flags == nil || !flags.HasAvailableFlags() {
		return
	}
	fmt.Fprintf(w, "\n%s:\n%s", title, flags.FlagUsagesWrapped(HelpWidth))
}

// unknownCommand returns the error for a name that is not a command of c, with a
// suggestion.
func unknownCommand(c *cobra.Command, name string) error {
	var known []string
	for _, sub := range c.Commands() {
		known = append(append(known, sub.Name()), sub.Aliases...)
	}
	return Usagef("unknown command %q%s\n%s --help lists the commands",
		name, diag.DidYouMean(name, known), c.CommandPath())
}

// NoArgs rejects arguments. For a command with subcommands, an argument is a misspelt
// subcommand.
func NoArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 && c.HasSubCommands() {
		return unknownCommand(c, args[0])
	}
	if len(args) > 0 {
		return Usagef("%s takes no arguments, got %q\n%s --help lists the flags", c.CommandPath(), args[0], c.CommandPath())
	}
	return nil
}

// FlagError adds a suggestion to the error for a flag that pflag could not parse. pflag stops
// at the first such flag, so only one is reported.
func FlagError(c *cobra.Command, err error) error {
	var invalid *pflag.InvalidValueError
	var unknown *pflag.NotExistError
	var required *pflag.ValueRequiredError
	lists := fmt.Sprintf("%s --help lists the flags", c.CommandPath())
	switch {
	case errors.As(err, &invalid):
		flag := invalid.GetFlag()
		return Usagef("--%s: %s", flag.Name, Expected(flag, invalid.GetValue(), invalid.Unwrap()))
	case errors.As(err, &required):
		return Usagef("--%s requires a value\n%s", required.GetFlag().Name, lists)
	case errors.As(err, &unknown):
		return Usagef("unknown flag %s%s\n%s", shownFlag(unknown), suggestFlag(c, unknown), lists)
	}
	return Usagef("%w\n%s", err, lists)
}

// shownFlag returns an unknown flag as the user typed it.
func shownFlag(unknown *pflag.NotExistError) string {
	if unknown.GetSpecifiedShortnames() != "" {
		return "-" + unknown.GetSpecifiedName()
	}
	return "--" + unknown.GetSpecifiedName()
}

// suggestFlag returns a suggestion for an unknown flag, or "".
func suggestFlag(c *cobra.Command, unknown *pflag.NotExistError) string {
	var known []string
	c.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	if s := diag.Suggest(unknown.GetSpecifiedName(), known); s != "" {
		return "; did you mean --" + s + "?"
	}
	return ""
}

// Expected returns the message for an invalid value of a flag. The errors of pflag for its
// own types are those of package strconv, such as "parsing "x": invalid syntax".
func Expected(flag *pflag.Flag, value string, err error) string {
	switch flag.Value.Type() {
	case "bool":
		return fmt.Sprintf("invalid value %q; expected true or false", value)
	case "int":
		return fmt.Sprintf("invalid value %q; expected a number", value)
	}
	return fmt.Sprintf("invalid value %q; %v", value, err)
}
