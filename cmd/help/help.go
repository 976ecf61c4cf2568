// Package help prints the help of commands: their flags by topic, their examples and subcommands.
package help

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/buildlocal/buildlocal/console"
)

// Width is the number of columns of help: one less than the usual terminal, because some
// terminals wrap after the last column.
const Width = 79

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

// Print prints the description of a command, and its usage.
func Print(c *cobra.Command, _ []string) {
	w := c.OutOrStdout()
	fmt.Fprintf(w, "%s\n\n", reflowed(cmp.Or(c.Long, c.Short)))
	fmt.Fprint(w, c.UsageString())
}

// reflowed returns text with its paragraphs wrapped at Width. Indented lines are kept as they are.
func reflowed(text string) string {
	var lines []string
	words := ""
	flush := func() {
		if words != "" {
			lines = append(lines, console.Wrap(words, Width)...)
		}
		words = ""
	}
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		if line == "" || strings.HasPrefix(line, " ") {
			flush()
			lines = append(lines, line)
			continue
		}
		words = strings.TrimSpace(words + " " + line)
	}
	flush()
	return strings.Join(lines, "\n")
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
		fmt.Fprintf(w, "\n%s\n", reflowed(text))
	}
	if c.HasAvailableSubCommands() {
		fmt.Fprintf(w, "\nRun '%s COMMAND --help' for more about a command.\n", c.CommandPath())
	}
	return nil
}

// CommandGroup is a topic of commands.
type CommandGroup struct {
	Title string
	Names []string
}

// RootUsage prints the commands of the program by topic, and its flags.
func RootUsage(c *cobra.Command, groups []CommandGroup) error {
	w := c.OutOrStderr()
	for i, group := range groups {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s:\n", group.Title)
		for _, name := range group.Names {
			if sub, _, err := c.Find([]string{name}); err == nil && sub != c {
				fmt.Fprintf(w, "  %-*s %s\n", sub.NamePadding(), sub.Name(), sub.Short)
			}
		}
	}
	fmt.Fprintf(w, "\nExamples:\n%s\n", c.Example)
	UsageOfFlags(w, c.LocalFlags())
	_, err := fmt.Fprintf(w, "\nRun '%s COMMAND --help' for more about a command.\n", c.CommandPath())
	return err
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
	fmt.Fprintf(w, "\n%s:\n%s", title, flags.FlagUsagesWrapped(Width))
}
