package cli

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/local"
)

// CommandLine returns a shell command with the flags that were given to a command, which can
// be run again. Call it before the flags get values from configuration files too.
func CommandLine(c *cobra.Command) string {
	words := []string{c.CommandPath()}
	c.Flags().Visit(func(f *pflag.Flag) {
		values := []string{f.Value.String()}
		if list, is := f.Value.(pflag.SliceValue); is {
			values = list.GetSlice()
		}
		for _, value := range values {
			words = append(words, flagWords(f, value))
		}
	})
	return strings.Join(words, " ")
}

// flagWords returns a flag with a value as words of a shell command. A value in the same word
// as the flag can also be empty, or begin with a dash.
func flagWords(f *pflag.Flag, value string) string {
	name := "--" + f.Name
	switch {
	case f.NoOptDefVal != "" && value == f.NoOptDefVal:
		return name
	case f.NoOptDefVal == "" && value != "" && !strings.HasPrefix(value, "-"):
		if f.Shorthand != "" {
			name = "-" + f.Shorthand
		}
		return name + " " + human.ShellWord(value)
	}
	return name + "=" + human.ShellWord(value)
}

// LogsCommand returns the command that shows the builds of a request again.
func LogsCommand(r *local.Request) string {
	words := []string{"buildlocal logs"}
	if dir := r.Source.Dir; dir != "." {
		words = append(words, "-C", human.ShellWord(dir))
	}
	if dir := r.Output.Dir; dir != "" && r.Origins["output"] == local.FromCaller {
		words = append(words, "-o", human.ShellWord(dir))
	}
	return strings.Join(words, " ")
}

// GivenFlags returns the names of the flags that are on the command line.
func GivenFlags(c *cobra.Command) []string {
	var all []string
	c.Flags().Visit(func(f *pflag.Flag) { all = append(all, f.Name) })
	return all
}
