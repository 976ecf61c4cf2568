package cmd

import (
	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/buildspec"
)

func newSchema(a *App) *cobra.Command {
	strict := false
	c := &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of buildspecs",
		Long: "schema prints a JSON Schema (draft 2020-12) with which editors complete and check\n" +
			"a buildspec while it is written. It takes what buildlocal reads, as far as a\n" +
			"schema can say it; with --strict it refuses keys that are only warned about too.",
		Args: noArgs,
	}
	c.Flags().BoolVar(&strict, "strict", false, "refuse keys that the service does not know")
	c.RunE = func(*cobra.Command, []string) error {
		_, err := a.Stdout.Write(buildspec.Schema(strict))
		return err
	}
	return c
}
