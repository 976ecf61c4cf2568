package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/buildlocal/buildlocal/internal/diag"
)

// unknownCommand returns the error for a name that is not a command of c: a synonym, a
// suggestion, or where the commands are listed.
func unknownCommand(c *cobra.Command, name string) error {
	group := strings.TrimPrefix(c.CommandPath(), c.Root().Name())
	full := strings.TrimSpace(group + " " + name)
	if use := synonyms[full]; use != "" {
		return Usagef("unknown command %s; use %s", full, use)
	}
	if known := knownCommands(c, verbs[name]); len(known) > 0 && group != "" {
		return Usagef("unknown command %s; use %s", full, diag.Alternatives(known))
	}
	if use := diag.Suggest(name, commandNames(c)); use != "" {
		return Usagef("unknown command %s; did you mean %s?", full, strings.TrimSpace(group+" "+use))
	}
	if !c.HasAvailableSubCommands() { // only ls, which is not listed
		return Usagef("unknown command %s", full)
	}
	return Usagef("unknown command %s\n%s --help lists the commands", full, c.CommandPath())
}

// commandNames returns the names of the subcommands with their aliases.
func commandNames(c *cobra.Command) []string {
	var all []string
	for _, sub := range c.Commands() {
		all = append(append(all, sub.Name()), sub.Aliases...)
	}
	return all
}

// knownCommands returns those names that are commands of the group c, with the name of the group.
func knownCommands(c *cobra.Command, names []string) []string {
	var known []string
	for _, name := range names {
		if slices.Contains(commandNames(c), name) {
			known = append(known, c.Name()+" "+name)
		}
	}
	return known
}

// synonyms are words of other programs for commands of this one.
var synonyms = map[string]string{
	"build": "run", "start": "run", "up": "run", "lint": "validate", "check": "validate",
	"ls": "builds, image ls or cache ls", "list": "builds, image ls or cache ls", "history": "builds",
	"log": "logs", "output": "logs", "show": "open, logs or report", "view": "open", "page": "open", "browse": "open",
	"tests": "report", "test": "run or report", "kill": "stop", "down": "stop", "clean": "prune or cache prune",
	"clear": "prune or cache prune", "rm": "prune, image rm or cache rm", "delete": "prune, image rm or cache rm",
	"remove": "prune, image rm or cache rm", "pull": "image pull", "dry-run": "plan", "settings": "config",
	"new": "init", "create": "init", "info": "doctor or version", "secret": "secrets",
}

// verbs are words for subcommands of groups.
var verbs = map[string][]string{
	"clear": {"rm", "prune"}, "delete": {"rm"}, "remove": {"rm"}, "clean": {"prune"}, "show": {"info", "inspect", "ls"},
	"get": {"ls", "pull"}, "set": {"init"}, "add": {"init", "pull"}, "edit": {"init"}, "info": {"inspect"},
	"inspect": {"info"}, "verify": {"check"}, "list": {"ls"}, "ls": {"list"},
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
		return Usagef("--%s %s: %s", flag.Name, invalid.GetValue(), Expected(flag, invalid.Unwrap()))
	case errors.As(err, &required):
		return Usagef("%s", needsValue(required))
	case errors.As(err, &unknown):
		if suggestion := suggestFlag(c, unknown); suggestion != "" {
			return Usagef("unknown flag %s; did you mean %s?", shownFlag(unknown), suggestion)
		}
		return Usagef("unknown flag %s\n%s", shownFlag(unknown), lists)
	}
	return Usagef("%w\n%s", err, lists)
}

// needsValue returns the message for a flag without its value, with an example: "-e needs a
// value: -e NAME=VALUE".
func needsValue(required *pflag.ValueRequiredError) string {
	flag := required.GetFlag()
	name := "--" + flag.Name
	if required.GetSpecifiedShortnames() != "" {
		name = "-" + flag.Shorthand
	}
	value, _ := pflag.UnquoteUsage(flag)
	if flag.Name == "env" { // the flag also takes a name alone
		value = "NAME=VALUE"
	}
	return fmt.Sprintf("%s needs a value: %s %s", name, name, value)
}

// shownFlag returns an unknown flag as the user typed it.
func shownFlag(unknown *pflag.NotExistError) string {
	if unknown.GetSpecifiedShortnames() != "" {
		return "-" + unknown.GetSpecifiedName()
	}
	return "--" + unknown.GetSpecifiedName()
}

// suggestFlag returns the flag that the user probably meant instead of an unknown one, or "".
func suggestFlag(c *cobra.Command, unknown *pflag.NotExistError) string {
	var known []string
	c.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	if unknown.GetSpecifiedShortnames() != "" {
		return "" // every letter is similar to every other
	}
	if s := diag.Suggest(unknown.GetSpecifiedName(), known); s != "" {
		return "--" + s
	}
	return ""
}

// Expected returns the message for an invalid value of a flag. The errors of pflag for its own
// types are those of package strconv, such as "parsing "x": invalid syntax".
func Expected(flag *pflag.Flag, err error) string {
	switch flag.Value.Type() {
	case "bool":
		return "use true or false"
	case "int":
		return "not a number"
	}
	return err.Error()
}

// OneOf returns an error unless a value is one of the known ones.
func OneOf(flag, value string, known ...string) error {
	if slices.Contains(known, value) {
		return nil
	}
	if s := diag.Suggest(value, known); s != "" {
		return Usagef("--%s %s: did you mean %s?", flag, value, s)
	}
	return Usagef("--%s %s: use %s", flag, value, diag.Alternatives(known))
}
