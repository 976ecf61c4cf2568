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

	"github.com/buildlocal/buildlocal/builds"
	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/runner"
)

func newRun(a *App, runF func(context.Context, *runFlags) error) *cobra.Command {
	f := &runFlags{}
	c := &cobra.Command{
		Use:   "run",
		Short: "Run a build",
		Long: "Read buildspec.yml, start a container and run the phases as AWS CodeBuild would.\n" +
			"Artifacts, reports and the log are in .buildlocal/latest.",
		Example: "  buildlocal run -i node:22\n" +
			"  buildlocal run -C ../service -e STAGE=dev --env-file .env\n" +
			"  buildlocal run -b 'version: 0.2'$'\\n''phases: {build: {commands: [make]}}'",
		Annotations: notes(
			"Flags can also be set with "+variablePrefix+"<FLAG> environment variables, in "+configFile,
			"in the source directory, or in ~/.config/buildlocal/config.yml. Run 'buildlocal",
			"config' to see the values. A file in the source can only set flags that affect",
			"the build alone, unless you trust it; see 'buildlocal trust --help'.",
			"",
			"Exit codes: 0 succeeded, 1 build failed, 2 usage error, 3 invalid buildspec,",
			"project file or configuration, 4 engine, image or registry error, 5 timed out,",
			"130 stopped by Ctrl-C, 143 stopped by SIGTERM.",
		),
		Args: noArgs,
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
	c.Use, c.Short = "plan", "Print what run would do without starting anything"
	c.Long = "Print the build plan: the environment, every variable with its origin, the commands\n" +
		"with their lines, artifacts, reports, cache and limits. Same as run --dry-run."
	c.Example = "  buildlocal plan\n  buildlocal plan -i node:22 -e STAGE=dev\n" +
		"  buildlocal plan -C ../service --project project.json"
	return c
}

// runRun carries out run: the order of what can be wrong is the order of the
// exit codes.
func runRun(ctx context.Context, a *App, f *runFlags) error {
	early := a.early(f)
	if early != nil {
		defer func() { _ = early.close() }()
	}
	found, err := a.gatherInTime(ctx, f)
	if found != nil {
		found.early = early
		defer found.remove()
	}
	if err != nil {
		return a.refused(f, found, err)
	}
	a.warn(f, found)
	plan, err := found.plan(a, f, runner.Identity{Number: found.store.Next()})
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

// gatherInTime reads what a build is made of. What --timeout limits begins here: a
// file that nobody writes to would otherwise be waited for.
func (a *App) gatherInTime(ctx context.Context, f *runFlags) (*found, error) {
	if f.timeout > 0 {
		// What was read keeps ctx, so it ends only if the time is up before.
		limited, cancel := context.WithCancelCause(ctx)
		timer := time.AfterFunc(time.Duration(f.timeout), func() { cancel(errReadingTimedOut) })
		defer timer.Stop()
		ctx = limited
	}
	return a.gather(ctx, f)
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
		fmt.Fprintf(a.Stderr, "%s: %d %s; run buildlocal validate\n", found.spec.File, lints, noun)
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
		console.NewService(a.raw.out).Refuse(a.Now(), message)
	}
	return err
}

// build runs what was found.
func (a *App) build(ctx context.Context, f *runFlags, found *found) error {
	credentials, err := found.credentials(ctx, f)
	if err = errors.Join(a.wrongExported(f.exportedEnv), err); err != nil {
		return err
	}
	e, err := a.environment(ctx, f, found)
	if err != nil {
		return err
	}
	defer func() { _ = e.close() }()
	found.apart = !e.sandbox
	dir, err := found.createBuild()
	if err != nil {
		return err
	}
	t := &attempt{App: a, flags: f, found: found, environment: e, dir: dir, credentials: credentials}
	if err := t.prepare(); err != nil {
		return errors.Join(err, dir.Abandon())
	}
	return t.run(ctx)
}

// attempt is one build that has a directory, and what it starts with.
type attempt struct {
	*App
	flags       *runFlags
	found       *found
	environment *environment
	dir         *builds.Dir
	credentials *runner.Credentials
	plan        *runner.Plan
	volumes     []engine.Volume
	labels      map[string]string
	log         *os.File
}

// prepare settles the plan, and makes what the build starts with. With an error the
// build's directory has nothing in it that is to be kept.
func (t *attempt) prepare() error {
	var err error
	if t.plan, err = t.found.plan(t.App, t.flags, runner.Identity{Number: t.dir.Number, UUID: t.dir.UUID}); err != nil {
		return err
	}
	t.plan.Place = t.environment.place
	if t.volumes, err = t.found.volumes(t.App, t.flags, t.plan.Privileged); err != nil {
		return err
	}
	t.labels = t.App.labels(t.flags, t.found, t.dir)
	if t.environment.sandbox {
		if err := t.found.temp.describe(t.labels); err != nil {
			return err
		}
	}
	t.log, err = t.dir.CreateLog()
	return err
}

// run carries the build out, and leaves what it leaves.
func (t *attempt) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	lost := func(err error) { cancel(unwritable{err}) }
	limited, release := context.WithTimeout(ctx, t.plan.Timeout)
	defer release()
	file, screen := console.NewServiceFile(t.log), t.show(limited, t.view(t.flags, t.dir), lost)
	r := t.runner(ctx)
	r.Notify = func(e runner.Event) {
		file.Notify(e)
		if err := file.Err(); err != nil {
			lost(err)
		}
		screen.notify(e)
	}
	record, failed := r.Run(ctx, t.plan)
	screen.close()
	if record.Kept {
		t.found.temp.kept = t.environment.host
	}
	err := errors.Join(file.Err(), t.log.Close(), t.leave(record))
	return verdict(ctx, record, failed, err)
}

func (t *attempt) runner(ctx context.Context) *runner.Runner {
	f, found, store := t.flags, t.found, t.found.store
	return &runner.Runner{
		Volumes: t.volumes, OpenCache: t.openCache(f, found), CacheInS3: isS3(f.cache), Program: t.openProgram, HostFS: hostFS, CacheScope: found.cacheScope(f), NativeArch: runtime.GOARCH,
		Engine: t.environment.Engine, Store: found.stores(), Endpoints: endpoints(t.credentials, t.Now), Now: t.Now, Nonce: newNonce(), Name: found.temp.name, Labels: t.labels, Temp: found.temp.path,
		ReportLimits: f.reportLimits(), SourceFiles: found.files(ctx, len(t.plan.Reports) > 0), Pace: pace,
		LastImage: lastImage(store, t.dir.Number), Earlier: earlier(store, t.plan.Identity.Project, t.dir.Number),
		Out: t.dir.Path, Keep: f.keep, Nested: !t.environment.sandbox, RootSource: t.UID > 0 && !t.environment.sandbox, Hurry: t.Hurry,
	}
}

// leave writes the results of a build and removes old builds. The page shows what
// other files hold, so a build does not fail for it.
func (t *attempt) leave(record *runner.Record) error {
	errs := []error{finish(t.dir, record)}
	if err := leavePage(t.flags, t.found.store, t.dir.Build); err != nil {
		fmt.Fprintf(t.Stderr, "warning: %v; run buildlocal report --html to try again\n", err)
	}
	if record.Status == runner.Succeeded {
		errs = append(errs, t.writeExported(t.flags.exportedEnv, record.Exported))
	}
	return errors.Join(append(errs, t.putArtifacts(t.dir, t.found.destinations), t.found.store.Prune(t.flags.keepBuilds))...)
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
		return fmt.Errorf("build succeeded, but its output could not be written: %w", lost.error)
	}
	return written
}

// unwritable ends a build whose log or output cannot be written: nobody reads
// it any more, or the disk is full.
type unwritable struct{ error }

func (u unwritable) Error() string {
	return "build stopped, because its output could not be written: " + u.error.Error()
}

// viewer shows a build.
type viewer interface {
	Notify(runner.Event)
	Err() error
}

func (a *App) view(f *runFlags, dir *builds.Dir) viewer {
	switch f.format {
	case "json":
		return console.NewJSON(a.raw.out)
	case "service":
		return console.NewService(a.raw.out)
	}
	terminal := a.isTerminal()
	return console.NewText(a.raw.out, console.Options{
		Color: a.color(terminal), Terminal: terminal, Quiet: f.quiet, Verbose: f.verbose, Dir: shownPath(dir.Path),
		Links: a.links(terminal), Source: f.shownSource(), SourceDir: filepath.ToSlash(f.sourceDir()),
	})
}

func (a *App) isTerminal() bool {
	file, ok := a.raw.out.(*os.File)
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
func (a *App) labels(f *runFlags, found *found, dir *builds.Dir) map[string]string {
	labels := map[string]string{
		labelBuild:   dir.Name,
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
