package validate

import (
	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/cmd/cli"
)

// NewSchema returns the command schema. The schema is made from the same table as the
// parser, so the two agree on the keys.
func NewSchema(a *cli.App) *cobra.Command {
	strict := false
	c := &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of buildspecs",
		Long: "Print a JSON Schema (draft 2020-12) for editors to complete and check buildspecs. It\n" +
			"accepts the same keys as buildlocal; with --strict it also rejects unknown keys,\n" +
			"which otherwise are only warnings.",
		Example: "  buildlocal schema > buildspec.schema.json\n  buildlocal schema --strict",
		Args:    cli.NoArgs,
	}
	c.Flags().BoolVar(&strict, "strict", false, "reject keys that CodeBuild does not know")
	// The schema is constant, so there are no options to test and no runF.
	c.RunE = func(*cobra.Command, []string) error {
		_, err := a.Stdout.Write(buildspec.Schema(strict))
		return err
	}
	return c
}
