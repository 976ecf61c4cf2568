package cmd

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/buildlocal/buildlocal/internal/diag"
)

const (
	helpWidth       = 79 // columns
	maxPlainFlags   = 10 // a command with more flags lists them by topic
	notesAnnotation = "buildlocal_notes"
)

// notes returns annotations with text that the help prints after the flags, such as
// the exit codes.
func notes(lines ...string) map[string]string {
	return map[string]string{notesAnnotation: strings.Join(lines, "\n")}
}

// usage prints examples, subcommands and flags of a command.
func usage(c *cobra.Command) error {
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
	usageOfFlags(w, c.LocalFlags())
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

// usageOfFlags prints flags, by topic if there are many.
func usageOfFlags(w io.Writer, flags *pflag.FlagSet) {
	const other = "Other"
	var titles []string
	groups := map[string]*pflag.FlagSet{}
	visible := 0
	flags.VisitAll(func(flag *pflag.Flag) {
		if flag.Hidden {
			return
		}
		visible++
		title := cmp.Or(append(flag.Annotations[groupAnnotation], "")[0], other)
		if groups[title] == nil {
			titles = append(titles, title)
			groups[title] = pflag.NewFlagSet(title, pflag.ContinueOnError)
			groups[title].SortFlags = flags.SortFlags
		}
		groups[title].AddFlag(flag)
	})
	if visible <= maxPlainFlags {
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
	fmt.Fprintf(w, "\n%s:\n%s", title, flags.FlagUsagesWrapped(helpWidth))
}

// unknownCommand returns the error for a name that is not a command of c, with a
// suggestion.
func unknownCommand(c *cobra.Command, name string) error {
	var known []string
	for _, sub := range c.Commands() {
		known = append(append(known, sub.Name()), sub.Aliases...)
	}
	return usagef("unknown command %q%s; %s --help lists the commands",
		name, diag.DidYouMean(name, known), c.CommandPath())
}
