package cli

import "github.com/spf13/cobra"

// AddList lets a command that lists also be called with ls and list, as people are used to:
// "builds ls". The name does not appear in the help, because the command alone does the same.
func AddList(c *cobra.Command) {
	list := &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: c.Short, Args: NoArgs, Hidden: true, RunE: c.RunE,
		Long: c.Long, Example: c.Example,
	}
	list.Flags().SortFlags = false
	list.Flags().AddFlagSet(c.Flags())
	c.AddCommand(list)
}

// Formats of commands that print data.
const (
	FormatText = "text"
	FormatJSON = "json"
)

// AddFormat adds --format to a command that prints data for people or as JSON. CheckFormat
// checks the value.
func AddFormat(c *cobra.Command, format *string) {
	c.Flags().StringVar(format, "format", FormatText, "print as `FORMAT`: text or json")
}

// ReadsOutput changes the help of --output for a command that reads the builds there: run writes them.
func ReadsOutput(c *cobra.Command) {
	c.Flags().Lookup("output").Usage = "read the builds in `DIR` (default .buildlocal in the source)"
}

// CheckFormat returns an error for another format than those of AddFormat. A command without
// the flag has "".
func CheckFormat(format string) error {
	if format == "" {
		return nil
	}
	return OneOf("format", format, FormatText, FormatJSON)
}
