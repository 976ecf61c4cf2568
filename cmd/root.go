// Package cmd is the command line: arguments in, exit code out. It puts the commands of
// its subpackages together.
package cmd

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/cmd/build"
	"github.com/buildlocal/buildlocal/cmd/caches"
	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/configure"
	"github.com/buildlocal/buildlocal/cmd/image"
	"github.com/buildlocal/buildlocal/cmd/machine"
	"github.com/buildlocal/buildlocal/cmd/results"
	"github.com/buildlocal/buildlocal/cmd/secret"
	"github.com/buildlocal/buildlocal/cmd/validate"
)

// Main runs the command line args and returns the exit code. It uses nothing of the process
// except by a, so tests can call it concurrently.
func Main(ctx context.Context, args []string, a *cli.App) int {
	a.Open(ctx)
	root := newRoot(a)
	root.SetArgs(args)
	root.SetIn(a.Stdin)
	root.SetOut(a.Raw.Out) // help, which has only texts of the program
	root.SetErr(a.Stderr)
	err := root.ExecuteContext(ctx)
	// An ExitError is a result, such as a failed build, and was printed by its command.
	var reported cli.ExitError
	if err != nil && !errors.As(err, &reported) {
		a.PrintError(err)
	}
	return cli.ExitCode(err)
}

// newRoot returns the program's command with all others. A new one is made for each run,
// because commands keep the values of their flags.
func newRoot(a *cli.App) *cobra.Command {
	var version bool
	root := &cobra.Command{
		Use:   "buildlocal",
		Short: "Run AWS CodeBuild builds locally",
		Long: "buildlocal runs AWS CodeBuild builds locally: it reads buildspec.yml and runs its\n" +
			"phases in a container or a sandbox, as CodeBuild would.",
		Example:       "  buildlocal run\n  buildlocal run -i node:22\n  buildlocal validate",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if version {
				_, err := fmt.Fprintln(c.OutOrStdout(), "buildlocal", a.Version)
				return err
			}
			return c.Help()
		},
	}
	// Cobra's own --version links a template engine.
	root.Flags().BoolVarP(&version, "version", "v", false, "print the version")
	root.SetFlagErrorFunc(cli.FlagError)
	root.SetUsageFunc(cli.Usage)
	root.CompletionOptions.HiddenDefaultCmd = true
	// The help lists commands by name; the order here is by group.
	root.AddCommand(
		build.NewRun(a, nil), build.NewPlan(a, nil),
		validate.NewCmd(a, nil), validate.NewSchema(a), validate.NewLSP(a),
		configure.NewConfig(a, nil), configure.NewTrust(a, nil),
		secret.NewCmd(a, nil), machine.NewPs(a), machine.NewStop(a, nil), machine.NewPrune(a),
		results.NewArtifacts(a, nil), results.NewReport(a, nil),
		caches.NewCmd(a, nil), image.NewCmd(a, nil), machine.NewDoctor(a, nil))
	return root
}
