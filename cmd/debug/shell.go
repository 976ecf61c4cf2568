package debug

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/help"
	"github.com/buildlocal/buildlocal/cmd/reach"
	"github.com/buildlocal/buildlocal/control"
	"github.com/buildlocal/buildlocal/local"
)

// ShellOptions are the flags and arguments of shell.
type ShellOptions struct {
	Build   string
	Request control.ShellRequest
}

// NewShell returns the command shell.
func NewShell(a *cli.App, runF cli.RunF[ShellOptions]) *cobra.Command {
	o := &ShellOptions{}
	c := &cobra.Command{
		Use: "shell [BUILD]", Short: "Open a shell in a build",
		Long: "Open a shell in a running build, or in a container that was kept with --keep. It has the\n" +
			"variables, the directory and the user of the next command. bash is used if the image\n" +
			"has it. Files that you change stay changed.\n\n" + reach.Help,
		Example:     "  buildlocal shell\n  buildlocal shell 12 --user root\n  buildlocal shell --no-env --shell dash",
		Annotations: help.Notes("Exit codes: 0 if the shell exits, 4 if the build ends before it."),
	}
	r := &o.Request
	c.Flags().SortFlags = false
	c.Flags().StringVarP(&r.User, "user", "u", "", "run as `NAME` (default the user of the phase)")
	c.Flags().StringVar(&r.Shell, "shell", "", "use the shell `NAME`")
	c.Flags().BoolVar(&r.NoEnv, "no-env", false, "without the variables and the directory of the build")
	c.Flags().BoolVar(&r.Keep, "keep", false, "keep changed variables in the build, without asking")
	c.Flags().BoolVar(&r.Drop, "drop", false, "drop changed variables, without asking")
	c.Flags().BoolVar(&r.NoTTY, "no-tty", false, "use no terminal; the shell reads commands from the standard input")
	c.RunE = func(c *cobra.Command, args []string) (err error) {
		if o.Build, err = reach.Name("shell", args); err != nil {
			return err
		}
		if r.Keep && r.Drop {
			return cli.Usagef("--keep and --drop cannot be combined")
		}
		if r.NoTTY && r.Keep {
			return cli.Usagef("--no-tty and --keep cannot be combined")
		}
		return runF.Or(a, shell)(c.Context(), o)
	}
	return c
}

// shell opens a shell in a build.
func shell(ctx context.Context, a *cli.App, o *ShellOptions) error {
	return reach.With(ctx, a, o.Build, func(b *local.Reached) error {
		open := func(ctx context.Context, t control.Terminal) error {
			_, err := b.Shell(ctx, o.Request, t)
			return reach.Interrupted(ctx, err)
		}
		if o.Request.NoTTY {
			none := func() (uint16, uint16) { return 0, 0 }
			return open(ctx, control.Terminal{In: a.Stdin, Out: a.Raw.Out, Size: none})
		}
		return onTerminal(ctx, a, open)
	})
}
