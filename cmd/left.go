package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/docker"
	"github.com/buildlocal/buildlocal/engine/sandbox"
	"github.com/buildlocal/buildlocal/internal/regular"
)

// Labels of all that the engine makes for a build.
const (
	labelBuild   = "dev.buildlocal.build"
	labelSource  = "dev.buildlocal.source"
	labelHost    = "dev.buildlocal.host"
	labelUser    = "dev.buildlocal.user" // number of who runs it
	labelTemp    = "dev.buildlocal.temp"
	labelStarted = "dev.buildlocal.started"
	labelKept    = "dev.buildlocal.kept" // the run was told to keep it
)

// trace is one thing at the engine, and whether its run still runs.
type trace struct {
	engine.Resource
	pid   int
	alive bool
	ours  bool // made on this machine by this user, or we are root: so that we can tell
}

// traces finds the sandboxes, and what is at the Docker engine, which is nil where
// none answers. With an error, it returns the sandboxes.
func (a *App) traces(ctx context.Context) (*docker.Engine, []trace, error) {
	all := a.sandboxes()
	e, err := a.engine(ctx)
	var fault *engine.Fault
	named := a.env("DOCKER_HOST") != "" || a.env("DOCKER_CONTEXT") != ""
	if errors.As(err, &fault) && !named && (fault.Kind == engine.NoEngine || fault.Kind == engine.NoPermission) {
		why := "Cannot connect to Docker"
		if fault.Kind == engine.NoPermission {
			why = "Permission denied on the Docker socket"
		}
		fmt.Fprintf(a.Stderr, "%s; showing builds without Docker only.\n", why)
		return nil, all, nil
	}
	if err != nil {
		return nil, all, err
	}
	left, err := e.List(ctx, labelBuild)
	if err != nil {
		return nil, all, errors.Join(err, e.Close())
	}
	for _, l := range left {
		t := trace{Resource: l, ours: l.Labels[labelHost] == a.Hostname && (a.UID == 0 || l.Labels[labelUser] == strconv.Itoa(a.UID))}
		t.pid, t.alive = alive(l.Labels[labelTemp])
		all = append(all, t)
	}
	keepUnfinished(all)
	return e, all, nil
}

// keepUnfinished marks what has only some of its labels yet as alive if its build is.
// The engine's classic builder adds labels one by one, each in a container and an image
// of its own.
func keepUnfinished(all []trace) {
	lives := map[string]bool{}
	for _, t := range all {
		if t.alive {
			lives[t.Labels[labelBuild]] = true
		}
	}
	for i := range all {
		if t := &all[i]; t.Labels[labelTemp] == "" {
			t.alive = t.alive || lives[t.Labels[labelBuild]]
		}
	}
}

// sandboxName is a file in the temporary directory of a run that has a sandbox,
// with its labels.
const sandboxName = "sandbox.json"

// sandboxes returns the runs of this user that have a sandbox. Of one that was
// killed a directory is left.
func (a *App) sandboxes() []trace {
	var all []trace
	for _, dir := range a.runDirs(runPrefix) {
		t := trace{Resource: engine.Resource{Kind: kindSandbox, ID: dir, Name: filepath.Base(dir)}, ours: true}
		text, err := regular.Read(filepath.Join(dir, sandboxName), maxState)
		if err != nil || json.Unmarshal(text, &t.Labels) != nil {
			continue
		}
		t.pid, t.alive = alive(dir)
		all = append(all, t)
	}
	return all
}

const (
	kindContainer = "container"
	kindSandbox   = "sandbox"
)

// hosts reports whether a build runs in it.
func (t trace) hosts() bool {
	return t.Kind == kindContainer && t.Labels[docker.InsideLabel] == "" || t.Kind == kindSandbox
}

func newPs(a *App) *cobra.Command {
	return &cobra.Command{
		Use: "ps", Short: "List running builds and leftover resources", Args: noArgs,
		Example: "  buildlocal ps\n  DOCKER_HOST=unix:///run/podman/podman.sock buildlocal ps",
		RunE: func(c *cobra.Command, _ []string) error {
			e, all, err := a.traces(c.Context())
			if e != nil {
				defer e.Close()
			}
			if err != nil && len(all) == 0 {
				return err
			}
			w := newTable(a.Stdout)
			w.row("BUILD", "STATE", "SINCE", "CONTAINER", "SOURCE")
			for _, t := range all {
				if t.hosts() {
					w.row(t.Labels[labelBuild], t.state(), since(a.Now(), t.Labels[labelStarted]), t.Name, t.Labels[labelSource])
				}
			}
			return errors.Join(err, w.flush())
		},
	}
}

func (t trace) state() string {
	switch {
	case !t.ours:
		return "another's"
	case t.alive:
		return "running"
	case t.Labels[labelKept] != "":
		return "kept"
	}
	return "left"
}

func since(now time.Time, started string) string {
	t, err := time.Parse(time.RFC3339, started)
	if err != nil {
		return "?"
	}
	return now.Sub(t).Round(time.Second).String()
}

func newStop(a *App) *cobra.Command {
	all := false
	c := &cobra.Command{
		Use: "stop [BUILD...]", Short: "Stop running builds",
		Long:    "Stop running builds as Ctrl-C does. BUILD is a name or number that ps lists. If it is\nomitted, the only running build is stopped.",
		Example: "  buildlocal stop\n  buildlocal stop 12\n  buildlocal stop --all",
	}
	c.Flags().BoolVar(&all, "all", false, "stop all your running builds")
	c.RunE = func(c *cobra.Command, args []string) error { return a.stop(c.Context(), args, all) }
	return c
}

func (a *App) stop(ctx context.Context, names []string, all bool) error {
	e, traces, unseen := a.traces(ctx)
	if e != nil {
		defer e.Close()
	}
	running := slices.DeleteFunc(traces, func(t trace) bool { return !t.hosts() || !t.alive || t.pid <= 0 })
	chosen := running
	if len(names) > 0 {
		chosen = slices.DeleteFunc(slices.Clone(running), func(t trace) bool { return !named(names, t.Labels[labelBuild]) })
	}
	if several := sameNumber(names, chosen); several != "" {
		return usagef("%s; name one that buildlocal ps lists", several)
	}
	switch {
	case len(chosen) == 0 && unseen != nil:
		return unseen
	case len(chosen) == 0:
		return usagef("no such build is running; buildlocal ps lists them")
	case len(names) == 0 && !all && len(chosen) > 1:
		return usagef("%d builds are running; name one that buildlocal ps lists, or give --all", len(chosen))
	}
	var errs []error
	for _, t := range chosen {
		process, err := os.FindProcess(t.pid)
		if err == nil {
			err = process.Signal(os.Interrupt)
		}
		errs = append(errs, err)
		fmt.Fprintf(a.Stdout, "stopping %s\n", t.Labels[labelBuild])
	}
	return errors.Join(errs...)
}

func named(names []string, build string) bool {
	number, _, _ := strings.Cut(build, "-")
	return slices.Contains(names, build) || slices.Contains(names, number)
}

// sameNumber says when a number means builds of several sources.
func sameNumber(names []string, chosen []trace) string {
	for _, name := range names {
		var builds []string
		for _, t := range chosen {
			if number, _, _ := strings.Cut(t.Labels[labelBuild], "-"); number == name {
				builds = append(builds, t.Labels[labelBuild])
			}
		}
		if len(builds) > 1 {
			return fmt.Sprintf("%d builds that run have the number %s: %s", len(builds), name, strings.Join(builds, ", "))
		}
	}
	return ""
}

func newPrune(a *App) *cobra.Command {
	return &cobra.Command{
		Use: "prune", Short: "Remove resources left by terminated builds",
		Long:    "Remove containers, volumes and temporary directories of builds that have ended,\nincluding containers kept with --keep. Running builds are not affected.",
		Example: "  buildlocal prune\n  DOCKER_HOST=unix:///run/podman/podman.sock buildlocal prune",
		Args:    noArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return a.prune(c.Context()) },
	}
}

func (a *App) prune(ctx context.Context) error {
	e, all, err := a.traces(ctx)
	if err != nil {
		return errors.Join(err, a.pruneTemp(ctx, ""))
	}
	if e == nil {
		return a.pruneTemp(ctx, "")
	}
	defer e.Close()
	var errs []error
	for _, t := range all { // containers come before the volumes they hold
		if t.alive || !t.ours || t.Kind == kindSandbox {
			continue
		}
		if err := e.Remove(ctx, t.Resource); err != nil {
			errs = append(errs, err)
			continue
		}
		fmt.Fprintf(a.Stdout, "removed %s %s\n", t.Kind, t.Name)
	}
	return errors.Join(append(errs, a.pruneTemp(ctx, e.Host()))...)
}

// runDirs returns the directories of this user's runs whose names have one of the
// prefixes.
func (a *App) runDirs(prefixes ...string) []string {
	info, err := os.Lstat(a.tempRoot())
	if err != nil || !info.IsDir() || !belongsTo(info, a.UID) {
		return nil
	}
	entries, _ := os.ReadDir(a.tempRoot())
	var dirs []string
	for _, e := range entries {
		if slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(e.Name(), p) }) {
			dirs = append(dirs, filepath.Join(a.tempRoot(), e.Name()))
		}
	}
	return dirs
}

// pruneTemp removes the temporary directories of runs that are gone. Those that
// a kept container needs are left, except at the engine that was just pruned.
func (a *App) pruneTemp(ctx context.Context, host string) error {
	e := a.sandboxEngine(sandbox.Images)
	e.Sweep(func(temp string) bool { _, yes := alive(temp); return yes })
	var errs []error
	for _, dir := range a.runDirs(newPrefix, runPrefix, gonePrefix) {
		gone, err := retire(dir, host)
		if err == nil && gone != "" {
			err = e.Discard(ctx, gone)
		}
		if err == nil && gone != "" {
			fmt.Fprintf(a.Stdout, "removed directory %s\n", dir)
		}
		errs = append(errs, err)
	}
	if len(a.runDirs("")) == 0 {
		_ = os.Remove(a.tempRoot()) // fails if a run has begun meanwhile
	}
	return errors.Join(errs...)
}

// retire renames a directory whose run is gone, and returns its new name; empty if
// the directory stays. A process that was about to lock a directory with the name
// new-ID finds that it is gone, and makes another one.
func retire(dir, host string) (string, error) {
	prefix, id, _ := strings.Cut(filepath.Base(dir), "-")
	if prefix+"-" == gonePrefix {
		return dir, nil
	}
	if _, yes := alive(dir); yes || neededElsewhere(dir, host) {
		return "", nil
	}
	gone := filepath.Join(filepath.Dir(dir), gonePrefix+id)
	switch err := os.Rename(dir, gone); {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil // its run has finished removing it, or has begun
	case err != nil:
		return "", err
	}
	return gone, nil
}

// neededElsewhere reports whether a container of another engine than host's
// still needs a run's directory.
func neededElsewhere(dir, host string) bool {
	kept, err := regular.Read(filepath.Join(dir, keptName), maxState)
	return err == nil && string(kept) != host
}
