package results

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/builds"
	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/help"
	"github.com/buildlocal/buildlocal/cmd/settings"
	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/local"
	"github.com/buildlocal/buildlocal/runner"
)

// LogsOptions are the flags and arguments of logs.
type LogsOptions struct {
	settings.Flags        // those of run that lead to the output directory
	Build          string // name or number; "" for the newest build
	Place          string // of one command, such as build:2; "" for all
	Follow         bool   // go on until the build ends
}

// NewLogs returns the command logs.
func NewLogs(a *cli.App, runF cli.RunF[LogsOptions]) *cobra.Command {
	o := &LogsOptions{}
	c := &cobra.Command{
		Use: "logs [BUILD] [PLACE]", Short: "Print the output of a build",
		Long: "Print the output of build number BUILD, or of the newest build, as run printed it,\n" +
			"through $PAGER on a terminal. PLACE prints one command: build:2 is the second command\n" +
			"of BUILD.",
		Annotations: help.Notes("Exit codes: 0 success, even if the build failed, 2 no such build or command, 3 unreadable",
			"files."),
		Example: "  buildlocal logs\n  buildlocal logs 12 build:2\n  buildlocal logs -f\n  buildlocal logs --format service",
		Args:    o.setArgs,
	}
	c.Flags().SortFlags = false
	o.AddSome(c, "source", "output", "verbose", "color")
	cli.ReadsOutput(c)
	c.Flags().BoolVarP(&o.Follow, "follow", "f", false, "print the output of a running build until it ends")
	c.Flags().StringVar(&o.Format, "format", "text", "print the output as `FORMAT`: text or service (CodeBuild's log)")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if o.Format == "json" {
			return cli.Usagef("logs: no --format json; use text or service")
		}
		o.SetFormats([]string{"text", "service"})
		if err := o.Settle(c.Context(), a, c); err != nil {
			return err
		}
		if o.Verbose && o.Format == "service" {
			return cli.Usagef("--format service and --verbose cannot be combined")
		}
		return runF.Or(a, showLogs)(c.Context(), o)
	}
	return c
}

// setArgs separates the arguments, of which each may be missing.
func (o *LogsOptions) setArgs(c *cobra.Command, args []string) error {
	for i, arg := range args {
		isPlace := strings.Contains(arg, ":") || arg == runner.ImagePlace
		switch {
		case isPlace && o.Place == "":
			o.Place = strings.ToLower(arg)
		case i == 0 && !isPlace:
			o.Build = arg
		default:
			return cli.Usagef("%s takes a build and a place, such as 12 build:2; got %q", c.CommandPath(), arg)
		}
	}
	return nil
}

// showLogs prints the output of a build.
func showLogs(ctx context.Context, a *cli.App, o *LogsOptions) error {
	s, err := local.OpenBuilds(ctx, &o.Request)
	if err != nil {
		return err
	}
	b, err := newestOr(s, o.Build)
	if err != nil {
		return err
	}
	recording, err := local.OpenRecording(s, b)
	if err != nil {
		return err
	}
	defer recording.Close()
	out, wait := io.Writer(a.Raw.Out), func() error { return nil }
	if !o.Follow { // a pager waits for the end of its input
		out, wait = a.Pager(ctx)
	}
	place := &placeFilter{place: o.Place, Sink: logSink(a, o, out, b, recording)}
	err = recording.Show(ctx, place, o.Follow)
	if errors.Is(err, syscall.EPIPE) { // the user has left the pager
		err = nil
	}
	return errors.Join(err, wait(), place.missing(b.Number))
}

// newestOr returns a build by its name, or for "" the newest, which may be running.
func newestOr(s *builds.Store, name string) (builds.Build, error) {
	if all := s.All(); name == "" && len(all) > 0 {
		return all[0], nil
	}
	if name == "" {
		name = "latest"
	}
	return local.FindBuild(s, name)
}

// logSink returns the sink for the output in the chosen format.
func logSink(a *cli.App, o *LogsOptions, w io.Writer, b builds.Build, r *local.Recording) local.Sink {
	if o.Format == "service" {
		return console.NewService(w)
	}
	options := a.ConsoleOptions()
	options.Progress = console.ProgressOff
	options.Verbose, options.Dir = o.Verbose, local.ShownPath(b.Path)
	options.DirPath = filepath.ToSlash(local.RealDir(b.Path))
	options.Source, options.SourceDir = o.ShownSource(), filepath.ToSlash(o.SourceDir())
	options.PrintFault, options.Logs = a.PrintError, cli.LogsCommand(&o.Request)
	return console.NewText(w, options)
}

// placeFilter passes only the events of one command on, or all events without a place.
type placeFilter struct {
	local.Sink
	place  string
	inside bool
	found  bool
	known  []string // places of the build's commands
}

// Notify passes an event on.
func (f *placeFilter) Notify(e runner.Event) {
	if e.Kind == runner.CommandBegan {
		f.inside = e.At == f.place
		f.found = f.found || f.inside
		if !slices.Contains(f.known, e.At) {
			f.known = append(f.known, e.At)
		}
	}
	inCommand := e.Kind == runner.CommandBegan || e.Kind == runner.Printed || e.Kind == runner.CommandEnded
	if f.place == "" || f.inside && inCommand {
		f.Sink.Notify(e)
	}
	if e.Kind == runner.CommandEnded {
		f.inside = false
	}
}

// missing returns an error if the build has not run the command.
func (f *placeFilter) missing(build int) error {
	switch {
	case f.place == "" || f.found:
		return nil
	case len(f.known) == 0:
		return cli.Usagef("build %d has run no commands", build)
	}
	return cli.Usagef("build %d has run no command %s; there are: %s", build, f.place, strings.Join(f.known, " "))
}
