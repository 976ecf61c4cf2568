package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/runner"
)

func newRun(a *App, runF func(context.Context, *runFlags) error) *cobra.Command {
	f := &runFlags{}
	c := &cobra.Command{
		Use:   "run",
		Short: "Run the build",
		Long: "run reads buildspec.yml, starts a container, walks the phases as AWS CodeBuild\n" +
			"would, and leaves artifacts, reports and a log in .buildlocal/latest.\n\n" +
			"Every flag can also be set by a variable " + variablePrefix + "NAME and in the file\n" +
			configFile + " beside the source; buildlocal config shows them.\n\n" +
			"Exit codes: 0 succeeded, 1 the build failed, 2 the command line, 3 buildspec\n" +
			"or project document, 4 engine, image or registry, 5 timed out, 130 stopped by\n" +
			"Ctrl-C, 143 by SIGTERM.",
		Example: "  buildlocal run -i node:22\n  buildlocal run -C ../service -e STAGE=dev --env-file .env\n  buildlocal run -b 'version: 0.2'$'\\n''phases: {build: {commands: [make]}}'",
		Args:    noArgs,
	}
	addRunFlags(c, f)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := f.settle(a, c); err != nil {
			return err
		}
		if runF != nil {
			return runF(c.Context(), f)
		}
		return runRun(c.Context(), a, f)
	}
	return c
}

func newPlan(a *App, runF func(context.Context, *runFlags) error) *cobra.Command {
	c := newRun(a, func(ctx context.Context, f *runFlags) error {
		f.dryRun = true
		if runF != nil {
			return runF(ctx, f)
		}
		return runRun(ctx, a, f)
	})
	c.Use, c.Short, c.Example = "plan", "Print what run would do, and start nothing", ""
	c.Long = "plan is run --dry-run: it prints the environment, every variable with its\norigin, the commands with their lines, artifacts, reports, cache and limits,\nand starts nothing."
	return c
}

// runRun carries out run: the order of what can be wrong is the order of the
// exit codes.
func runRun(ctx context.Context, a *App, f *runFlags) error {
	early := a.early(f)
	if early != nil {
		defer func() { _ = early.close() }()
	}
	found, err := a.gather(ctx, f)
	if found != nil {
		found.early = early
		defer found.remove()
	}
	if err != nil {
		return a.refused(f, found, err)
	}
	a.warn(f, found)
	plan, err := found.plan(a, f, runner.Identity{Number: found.store.next()})
	if err != nil {
		return a.refused(f, found, err)
	}
	if f.engine == "host" {
		plan.Place = ownFiles
	}
	if found.destinations, err = f.destinations(plan); err != nil {
		return err
	}
	if f.dryRun {
		_, err = fmt.Fprint(a.Stdout, plan.String())
		return err
	}
	return a.build(ctx, f, found)
}

// warn tells what is wrong and does not keep the build from being run. Lints are
// only counted: they would be the same at every run.
func (a *App) warn(f *runFlags, found *found) {
	told := found.problems
	lints := told.Count(diag.Lint)
	if lints > 0 && !f.verbose {
		told = slices.DeleteFunc(slices.Clone(told), func(p diag.Problem) bool { return p.Severity == diag.Lint })
	}
	if len(told) > 0 {
		fmt.Fprintln(a.Stderr, told.Error())
	}
	if lints > 0 && !f.verbose && !f.quiet {
		noun := "lints"
		if lints == 1 {
			noun = "lint"
		}
		fmt.Fprintf(a.Stderr, "%s: %d %s; buildlocal validate tells them\n", found.spec.File, lints, noun)
	}
}

// refused tells a buildspec that cannot be run also as the service tells it,
// where its log was asked for.
func (a *App) refused(f *runFlags, found *found, err error) error {
	if f.format != "service" || found == nil || !found.atBuildspec || f.dryRun {
		return err
	}
	message := ""
	var list diag.List
	switch {
	case errors.As(err, &list):
		for _, p := range list {
			if p.Severity == diag.Error && message == "" {
				message = firstText(p.Service, p.Message)
			}
		}
	case errors.Is(err, os.ErrNotExist):
		message = "YAML file does not exist"
	}
	if message != "" {
		console.NewService(a.Stdout).Refuse(a.Now(), message)
	}
	return err
}

// build runs what was found.
func (a *App) build(ctx context.Context, f *runFlags, found *found) error {
	credentials, err := found.credentials(ctx, f)
	if err = errors.Join(f.wrongExported(), err); err != nil {
		return err
	}
	e, err := a.environment(ctx, f, found)
	if err != nil {
		return err
	}
	defer func() { _ = e.close() }()
	found.apart = !e.sandbox
	dir, err := found.store.create(newUUID(), found.temp.path)
	if err != nil {
		return err
	}
	plan, err := found.plan(a, f, runner.Identity{Number: dir.number, UUID: dir.uuid})
	if err != nil {
		return errors.Join(err, os.RemoveAll(dir.path))
	}
	plan.Place = e.place
	log, err := dir.log()
	if err != nil {
		return err
	}
	labels := a.labels(f, found, dir)
	volumes, err := found.volumes(a, f, plan.Privileged)
	if e.sandbox && err == nil {
		err = found.temp.describe(labels)
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	lost := func(err error) { cancel(unwritable{err}) }
	limited, release := context.WithTimeout(ctx, plan.Timeout)
	defer release()
	file, screen := console.NewServiceFile(log), a.show(limited, a.view(f, dir), lost)
	r := &runner.Runner{
		Volumes: volumes, OpenCache: a.openCache(f, found), CacheInS3: isS3(f.cache), Program: a.relay, CacheScope: found.cacheScope(f), NativeArch: runtime.GOARCH,
		Engine: e.Engine, Store: found.stores(), Credentials: credentials, Now: a.Now, Nonce: newNonce(), Name: found.temp.name, Labels: labels, Temp: found.temp.path,
		ReportLimits: f.reportLimits(), SourceFiles: found.files(ctx, len(plan.Reports) > 0), Pace: pace, LastImage: found.store.lastImage(dir.number), Earlier: found.store.earlier(plan.Identity.Project, dir.number),
		Out: dir.path, Keep: f.keep, Nested: !e.sandbox, RootSource: a.UID > 0 && !e.sandbox, Hurry: a.Hurry,
		Notify: func(e runner.Event) {
			file.Notify(e)
			if err := file.Err(); err != nil {
				lost(err)
			}
			screen.notify(e)
		},
	}
	record, failed := r.Run(ctx, plan)
	screen.close()
	if record.Kept {
		found.temp.kept = e.host
	}
	err = errors.Join(file.Err(), log.Close(), found.leave(f, dir, record))
	return verdict(ctx, record, failed, err)
}

// wrongExported refuses a place for exported variables that is no file.
func (f *runFlags) wrongExported() error {
	if info, err := os.Stat(f.exportedEnv); err == nil && info.IsDir() {
		return usagef("--exported-env: %s is a directory; expected a file to write", f.exportedEnv)
	}
	return nil
}

// leave writes what a build leaves, and removes what old ones left.
func (g *found) leave(f *runFlags, dir *buildDir, record *runner.Record) error {
	return errors.Join(dir.finish(record), leavePage(f, dir), writeExported(f.exportedEnv, record.Exported), dir.putArtifacts(g.destinations), g.store.prune(f.keepBuilds))
}

// verdict turns the end of a build into an exit code. What could not be written
// counts only when nothing worse happened.
func verdict(ctx context.Context, record *runner.Record, failed, written error) error {
	cause := context.Cause(ctx)
	var lost unwritable
	switch {
	case failed != nil:
		return failed
	case record.Status == runner.Stopped && errors.As(cause, &lost):
		return lost
	case record.Status == runner.Stopped && errors.Is(cause, runner.ErrTerminated):
		return errFailed{exitTerminated}
	case record.Status == runner.Stopped:
		return errFailed{exitStopped}
	case record.Status == runner.TimedOut:
		return errFailed{exitTimedOut}
	case record.Status != runner.Succeeded:
		return errFailed{exitFailed}
	case errors.As(cause, &lost):
		return fmt.Errorf("the build succeeded, its output cannot be written: %w", lost.error)
	}
	return written
}

// unwritable ends a build whose log or output cannot be written: nobody reads
// it any more, or the disk is full.
type unwritable struct{ error }

func (u unwritable) Error() string {
	return "the build is stopped, its output cannot be written: " + u.error.Error()
}

// viewer shows a build.
type viewer interface {
	Notify(runner.Event)
	Err() error
}

func (a *App) view(f *runFlags, dir *buildDir) viewer {
	switch f.format {
	case "json":
		return console.NewJSON(a.Stdout)
	case "service":
		return console.NewService(a.Stdout)
	}
	terminal := a.isTerminal()
	return console.NewText(a.Stdout, console.Options{
		Color: a.color(terminal), Terminal: terminal, Quiet: f.quiet, Verbose: f.verbose, Dir: dir.shown,
		Links: a.links(terminal), Source: f.shownSource(), SourceDir: filepath.ToSlash(f.sourceDir()),
	})
}

func (a *App) isTerminal() bool {
	file, ok := a.Stdout.(*os.File)
	return ok && (isatty.IsTerminal(file.Fd()) || isatty.IsCygwinTerminal(file.Fd()))
}

// color: NO_COLOR wins over CLICOLOR_FORCE, which wins over what stdout is.
func (a *App) color(terminal bool) bool {
	if a.env("NO_COLOR") != "" {
		return false
	}
	if force := a.env("CLICOLOR_FORCE"); force != "" && force != "0" {
		return true
	}
	return terminal && a.env("TERM") != "dumb" && a.env("CLICOLOR") != "0"
}

// labels are put on all that the engine makes, so that what is left of a build
// can be found by it.
func (a *App) labels(f *runFlags, found *found, dir *buildDir) map[string]string {
	labels := map[string]string{
		labelBuild:   dir.name,
		labelSource:  found.source.Dir,
		labelHost:    a.Hostname,
		labelUser:    strconv.Itoa(a.UID),
		labelTemp:    found.temp.path,
		labelStarted: a.Now().UTC().Format(time.RFC3339),
	}
	if f.keep {
		labels[labelKept] = "1"
	}
	return labels
}

// pace returns how long a script of sh takes on this machine.
func pace(ctx context.Context, script string) time.Duration {
	began := time.Now()
	if err := exec.CommandContext(ctx, "sh", "-c", script).Run(); err != nil {
		return 0
	}
	return time.Since(began)
}
