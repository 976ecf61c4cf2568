// Package cmd is the command line: arguments in, exit code out. It puts the commands of
// its subpackages together.
package cmd

import (
	"context"
	"errors"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/cmd/build"
	"github.com/buildlocal/buildlocal/cmd/caches"
	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/configure"
	"github.com/buildlocal/buildlocal/cmd/debug"
	"github.com/buildlocal/buildlocal/cmd/editor"
	"github.com/buildlocal/buildlocal/cmd/explain"
	"github.com/buildlocal/buildlocal/cmd/files"
	"github.com/buildlocal/buildlocal/cmd/help"
	"github.com/buildlocal/buildlocal/cmd/image"
	"github.com/buildlocal/buildlocal/cmd/machine"
	"github.com/buildlocal/buildlocal/cmd/repro"
	"github.com/buildlocal/buildlocal/cmd/results"
	"github.com/buildlocal/buildlocal/cmd/running"
	"github.com/buildlocal/buildlocal/cmd/secret"
	"github.com/buildlocal/buildlocal/cmd/snapshot"
	"github.com/buildlocal/buildlocal/cmd/start"
	"github.com/buildlocal/buildlocal/cmd/validate"
	"github.com/buildlocal/buildlocal/cmd/watch"
)

// Main runs the command line args and returns the exit code. It uses nothing of the process
// except by a, so tests can call it concurrently.
func Main(ctx context.Context, args []string, a *cli.App) int {
	a.Open(ctx)
	root := newRoot(a, args)
	root.SetArgs(args)
	root.SetIn(a.Stdin)
	root.SetOut(a.Raw.Out) // help, which has only texts of the program
	root.SetErr(a.Stderr)
	c, err := root.ExecuteContextC(ctx)
	// A reader who has seen enough of a query, as in builds | head, is no failure. A build ends
	// with an error, because it was stopped.
	if errors.Is(err, syscall.EPIPE) && c.Name() != "run" {
		return cli.ExitSucceeded
	}
	// An ExitError is a result, such as a failed build, and was printed by its command.
	var reported cli.ExitError
	if err != nil && !errors.As(err, &reported) {
		a.PrintError(err)
		if n := cli.CountErrors(err); n > 1 && c.Name() == "run" && !a.Started {
			a.Messages().Printf("%d errors; nothing started", n)
		}
		if flag := c.Flags().Lookup("format"); flag != nil && flag.Value.String() == cli.FormatJSON {
			err = errors.Join(err, a.WriteErrorJSON(err, c.Name() == "run"))
		}
	}
	return cli.ExitCode(err)
}

// command is a command of the program, which is constructed when it is needed.
type command struct {
	group     string // under which the help lists it
	name      string
	construct func(a *cli.App) *cobra.Command
}

// commands are all commands in the order of the help: by group, the most used ones first.
var commands = []command{
	{"Build", "run", func(a *cli.App) *cobra.Command { return build.NewRun(a, nil) }},
	{"Build", "watch", func(a *cli.App) *cobra.Command { return watch.NewCmd(a, watchedBuilds, nil) }},
	{"Build", "plan", func(a *cli.App) *cobra.Command { return build.NewPlan(a, nil) }},
	{"Build", "validate", func(a *cli.App) *cobra.Command { return validate.NewCmd(a, nil) }},
	{"Build", "init", func(a *cli.App) *cobra.Command { return start.NewInit(a, nil) }},
	{"Failures", "debug", func(a *cli.App) *cobra.Command { return build.NewDebug(a, debug.AttachStopped, nil) }},
	{"Failures", "repro", func(a *cli.App) *cobra.Command { return repro.NewCmd(a, repeatedBuild, nil) }},
	{"Failures", "explain", func(a *cli.App) *cobra.Command { return explain.NewCmd(a, nil) }},
	{"Failures", "attach", func(a *cli.App) *cobra.Command { return debug.NewAttach(a, nil) }},
	{"Failures", "shell", func(a *cli.App) *cobra.Command { return debug.NewShell(a, nil) }},
	{"Failures", "exec", func(a *cli.App) *cobra.Command { return debug.NewExec(a, nil) }},
	{"Failures", "cp", func(a *cli.App) *cobra.Command { return files.NewCp(a, nil) }},
	{"Failures", "diff", func(a *cli.App) *cobra.Command { return files.NewDiff(a, nil) }},
	{"Failures", "sync", func(a *cli.App) *cobra.Command { return files.NewSync(a, nil) }},
	{"Failures", "forward", func(a *cli.App) *cobra.Command { return debug.NewForward(a, nil) }},
	{"Failures", "resume", func(a *cli.App) *cobra.Command { return debug.NewResume(a, nil) }},
	{"Results", "builds", func(a *cli.App) *cobra.Command { return results.NewBuilds(a, nil) }},
	{"Results", "logs", func(a *cli.App) *cobra.Command { return results.NewLogs(a, nil) }},
	{"Results", "open", func(a *cli.App) *cobra.Command { return results.NewOpen(a, nil) }},
	{"Results", "artifacts", func(a *cli.App) *cobra.Command { return results.NewArtifacts(a, nil) }},
	{"Results", "report", func(a *cli.App) *cobra.Command { return results.NewReport(a, nil) }},
	{"Host", "ps", func(a *cli.App) *cobra.Command { return running.NewPs(a, nil) }},
	{"Host", "stop", func(a *cli.App) *cobra.Command { return running.NewStop(a, nil) }},
	{"Host", "prune", func(a *cli.App) *cobra.Command { return running.NewPrune(a, nil) }},
	{"Host", "image", func(a *cli.App) *cobra.Command { return image.NewCmd(a, nil) }},
	{"Host", "cache", func(a *cli.App) *cobra.Command { return caches.NewCmd(a, nil) }},
	{"Host", "snapshot", func(a *cli.App) *cobra.Command { return snapshot.NewCmd(a, nil) }},
	{"Host", "doctor", func(a *cli.App) *cobra.Command { return machine.NewDoctor(a, nil) }},
	{"Settings", "config", func(a *cli.App) *cobra.Command { return configure.NewConfig(a, nil) }},
	{"Settings", "secrets", func(a *cli.App) *cobra.Command { return secret.NewCmd(a, nil) }},
	{"Settings", "trust", func(a *cli.App) *cobra.Command { return configure.NewTrust(a, nil) }},
	{"Editors", "lsp", validate.NewLSP},
	{"Editors", "dap", func(a *cli.App) *cobra.Command {
		return editor.NewDAP(a, build.Launch, debug.DialEditor, nil)
	}},
	{"Editors", "schema", validate.NewSchema},
	{"Program", "version", start.NewVersion},
}

// watchedBuilds runs the builds of watch as the commands run and debug do.
var watchedBuilds = watch.Builder{
	Run: func(ctx context.Context, a *cli.App, b watch.Build) error {
		return build.Run(ctx, a, watchedOptions(b))
	},
	Debug: func(ctx context.Context, a *cli.App, b watch.Build) error {
		return build.Debug(ctx, a, watchedOptions(b))
	},
}

func watchedOptions(b watch.Build) *build.Options {
	o := &build.Options{Flags: *b.Flags, Watched: &build.Watched{Began: b.Began, Sink: b.Sink}}
	o.Hooks.Finished, o.CommandLine = b.Finished, b.CommandLine
	return o
}

// repeatedBuild returns the command run for repro.
func repeatedBuild(a *cli.App, do func(context.Context, *repro.Build) error) *cobra.Command {
	return build.NewRun(a, func(ctx context.Context, o *build.Options) error {
		return do(ctx, &repro.Build{Flags: &o.Flags, Run: func(ctx context.Context, h repro.Hooks) error {
			o.Hooks = build.Hooks(h)
			return build.Run(ctx, a, o)
		}})
	})
}

// chosen returns the command that the arguments name, or all commands if they name none of
// them: for the help, completion and suggestions. The flags of all commands, of which most
// are flags of run too, take a tenth of the start-up of the program.
func chosen(args []string) []command {
	first := slices.IndexFunc(args, func(arg string) bool { return !strings.HasPrefix(arg, "-") })
	if first < 0 { // the root's own flags are boolean, so no argument is the value of one
		return commands
	}
	named := slices.IndexFunc(commands, func(c command) bool { return c.name == args[first] })
	if named < 0 {
		return commands
	}
	return commands[named : named+1]
}

// newRoot returns the program's command with those below it that args can need. A new one
// is made for each run, because commands keep the values of their flags.
func newRoot(a *cli.App, args []string) *cobra.Command {
	var version bool
	root := &cobra.Command{
		Use:           "buildlocal",
		Short:         "Run AWS CodeBuild builds locally",
		Long:          "Run AWS CodeBuild builds locally: buildlocal COMMAND [flags]",
		Example:       "  buildlocal run\n  buildlocal run -i node:22\n  buildlocal validate",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if version {
				return start.PrintVersion(a)
			}
			return start.Home(c.Context(), a)
		},
	}
	// Cobra's own --version links a template engine.
	root.Flags().BoolVarP(&version, "version", "v", false, "print the version")
	root.SetFlagErrorFunc(cli.FlagError)
	root.SetUsageFunc(usage)
	root.SetHelpFunc(help.Print)
	root.CompletionOptions.HiddenDefaultCmd = true
	for _, c := range chosen(args) {
		root.AddCommand(c.construct(a))
	}
	return root
}

// usage prints the help of a command after its description.
func usage(c *cobra.Command) error {
	if c.HasParent() {
		return help.Usage(c)
	}
	var groups []help.CommandGroup
	for _, command := range commands {
		if n := len(groups); n == 0 || groups[n-1].Title != command.group {
			groups = append(groups, help.CommandGroup{Title: command.group})
		}
		last := &groups[len(groups)-1]
		last.Names = append(last.Names, command.name)
	}
	return help.RootUsage(c, groups)
}
