package debug

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/help"
	"github.com/buildlocal/buildlocal/cmd/reach"
	"github.com/buildlocal/buildlocal/control"
	"github.com/buildlocal/buildlocal/local"
)

// ExecOptions are the flags and arguments of exec.
type ExecOptions struct {
	Args    []string // without flags: BUILD, if it is there, and the command
	Dashed  bool     // the arguments followed --, so that the first is not a build
	Request control.ExecRequest
}

// NewExec returns the command exec.
func NewExec(a *cli.App, runF cli.RunF[ExecOptions]) *cobra.Command {
	o := &ExecOptions{}
	c := &cobra.Command{
		Use: "exec [flags] [BUILD] [--] COMMAND [ARG...]", Short: "Run a command in a build",
		Long: "Run a command in a running build, or in a container that was kept with --keep, and exit\n" +
			"with its status. It has the variables, the directory and the user of the next command\n" +
			"of the build. Its input and outputs are those of exec; secrets are masked.\n\n" +
			reach.Help + "\n\nThe first word is BUILD if -- follows it, or if a build has this name. Flags of exec\n" +
			"come before it.",
		Example: "  buildlocal exec -- printenv\n  buildlocal exec 12 cat package.json\n" +
			"  tar -c src | buildlocal exec -w /tmp -- tar -x\n" +
			"  buildlocal exec --script 'export DEBUG=1'",
		Annotations: help.Notes(
			"Exit codes: that of the command; 125 if it could not be started, 126 and 127 as in",
			"shells, 137 if the build ended while it ran."),
	}
	r := &o.Request
	c.Flags().SortFlags = false
	c.Flags().SetInterspersed(false)
	c.Flags().BoolVarP(&r.TTY, "tty", "t", false, "run the command on this terminal")
	c.Flags().StringVarP(&r.User, "user", "u", "", "run as `NAME` (default the user of the phase)")
	c.Flags().StringVarP(&r.Dir, "workdir", "w", "", "run in the directory `DIR`")
	c.Flags().StringArrayVarP(&r.Env, "env", "e", nil, "set a variable: `NAME=VALUE`, or NAME for the value here")
	c.Flags().BoolVar(&r.NoEnv, "no-env", false, "without the variables and the directory of the build")
	c.Flags().StringVar(&r.Script, "script", "",
		"run `TEXT` as a command of the build, which keeps its variables; the build must be stopped")
	c.RunE = func(c *cobra.Command, args []string) error {
		o.Args, o.Dashed = args, c.ArgsLenAtDash() == 0
		if err := o.check(a); err != nil {
			return err
		}
		return runF.Or(a, runExec)(c.Context(), o)
	}
	return c
}

// check returns mistakes in the flags, and completes variables without a value.
func (o *ExecOptions) check(a *cli.App) error {
	r := &o.Request
	if r.Script != "" && (r.User != "" || r.Dir != "" || len(r.Env) > 0 || r.NoEnv || r.TTY) {
		return cli.Usagef("--script cannot be combined with flags about the environment of a command\n" +
			"It runs as the build's next command would")
	}
	if r.Script == "" && len(o.Args) == 0 {
		return cli.Usagef("no command to run\nbuildlocal exec -- COMMAND runs one")
	}
	if r.Dir != "" && !strings.HasPrefix(r.Dir, "/") {
		return cli.Usagef("--workdir %s: must be an absolute path", r.Dir)
	}
	var env []string
	for _, v := range r.Env {
		name, _, has := strings.Cut(v, "=")
		if name == "" {
			return cli.Usagef("--env %s: expected NAME=VALUE", v)
		}
		if value, set := a.LookupEnv(name); !has && set {
			v = name + "=" + value
		} else if !has {
			continue // as in docker exec
		}
		env = append(env, v)
	}
	r.Env = env
	return nil
}

// split returns the name of the build, which may be empty, and the command. isBuild reports
// whether a word is the name of a build.
func (o *ExecOptions) split(isBuild func(string) bool) (build string, command []string, err error) {
	args := o.Args
	switch {
	case o.Request.Script != "" && len(args) > 1:
		return "", nil, cli.Usagef("--script and a command cannot be combined: %s", strings.Join(args, " "))
	case o.Request.Script != "":
		return strings.Join(args, ""), nil, nil
	case o.Dashed:
		return "", args, nil
	case len(args) > 1 && args[1] == "--":
		build, command = args[0], args[2:]
	case isBuild(args[0]):
		build, command = args[0], args[1:]
	default:
		return "", args, nil
	}
	if len(command) == 0 {
		return "", nil, cli.Usagef("no command to run in build %s\nbuildlocal shell %s opens a shell", build, build)
	}
	return build, command, nil
}

// runExec runs a command in a build.
func runExec(ctx context.Context, a *cli.App, o *ExecOptions) error {
	name, command, err := o.split(func(word string) bool { return a.HasBuild(ctx, word) })
	if err != nil {
		return err
	}
	build, err := reach.Build(ctx, a, name)
	if err != nil {
		return err
	}
	defer build.Close()
	o.Request.Args = command
	exit := 0
	run := func(ctx context.Context, t *control.Terminal) error {
		streams := control.Streams{Stdin: a.Stdin, Stdout: a.Raw.Out, Stderr: a.Raw.Err}
		var err error
		exit, err = build.Exec(ctx, o.Request, streams, t)
		return reach.Interrupted(ctx, err)
	}
	if o.Request.TTY {
		err = onTerminal(ctx, a, func(ctx context.Context, t control.Terminal) error { return run(ctx, &t) })
	} else {
		err = run(ctx, nil)
	}
	return execResult(a, exit, reach.Refusal(err))
}

// execResult returns the result of exec as an exit code.
func execResult(a *cli.App, exit int, err error) error {
	var usage local.UsageError
	var interrupted cli.ExitError
	switch {
	case err == nil && exit == 0:
		return nil
	case err == nil:
		return cli.ExitError{Code: exit}
	case errors.As(err, &usage), errors.As(err, &interrupted):
		return err
	case errors.Is(err, control.ErrEnded):
		a.PrintError(fmt.Errorf("the command was ended: %w", err))
		return cli.ExitError{Code: exitBuildEnded}
	}
	a.PrintError(err)
	return cli.ExitError{Code: exitNotStarted}
}
