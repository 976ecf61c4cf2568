package settings

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/buildlocal/buildlocal/cmd/cli"
)

// Again returns a function that settles new flags with the values that are on the command line now, and
// those that variables and configuration files have when it is called. The command must have all flags
// of run, with valid values.
func Again(a *cli.App, c *cobra.Command) func(ctx context.Context) (*Flags, error) {
	given := map[string][]string{}
	c.Flags().Visit(func(f *pflag.Flag) {
		given[f.Name] = []string{f.Value.String()}
		if list, is := f.Value.(pflag.SliceValue); is {
			given[f.Name] = list.GetSlice()
		}
	})
	return func(ctx context.Context) (*Flags, error) {
		f := &Flags{}
		root, run := &cobra.Command{Use: "buildlocal"}, &cobra.Command{Use: "run"} // for names in messages
		root.AddCommand(run)
		f.Add(run)
		for name, values := range given {
			for _, value := range values {
				if run.Flags().Lookup(name) == nil { // a flag of the other command
					continue
				}
				if err := run.Flags().Set(name, value); err != nil {
					return nil, err
				}
			}
		}
		return f, f.Settle(ctx, a, run)
	}
}
