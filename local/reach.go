package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/buildlocal/buildlocal/builds"
	"github.com/buildlocal/buildlocal/control"
	"github.com/buildlocal/buildlocal/engine/docker"
	"github.com/buildlocal/buildlocal/runner"
)

// Reached is a build that can be looked into.
type Reached struct {
	*control.Client
	Build    string // its name
	Resource Resource

	engine *docker.Engine // nil if it is not needed
}

// Close disconnects.
func (r *Reached) Close() error {
	err := r.Client.Close()
	if r.engine != nil {
		err = errors.Join(err, r.engine.Close())
	}
	return err
}

// LatestBuild is the name of the newest build of a source.
const LatestBuild = "latest"

// Extension adds calls to those of a container whose build has ended.
type Extension func(r Resource, live *runner.Live, calls control.Services) control.Services

// Reach connects to a build: to its process, or to its container if it was kept. The name is that
// of the build or its container, its number, or latest. Without a name it is the only build of the
// source in the current directory that runs, else the only one that was kept, else the same of all
// builds of this user.
func (h *Host) Reach(ctx context.Context, name string, extend Extension) (*Reached, error) {
	e, all, warn, listErr := h.resourcesQuietly(ctx)
	closing := func(err error) error {
		if e != nil {
			err = errors.Join(err, e.Close())
		}
		return err
	}
	r, err := chooseReachable(ctx, all, name)
	if err != nil && listErr != nil {
		err = listErr // the build may be where the list could not be read
	}
	if err != nil {
		warn()
		return nil, closing(err)
	}
	reached := &Reached{Build: r.Labels[LabelBuild], Resource: r}
	if r.Alive {
		reached.Client, err = control.Dial(ctx, filepath.Join(r.Labels[LabelTemp], control.SocketName))
		if errors.Is(err, control.ErrNoServer) {
			err = fmt.Errorf("build %s cannot be looked into: it has no socket\n"+
				"It has not started its container yet, or it is ending", reached.Build)
		}
		if err = closing(err); err != nil {
			return nil, err
		}
		return reached, nil
	}
	if !r.Running {
		return nil, closing(Usagef("the container of build %s does not run any more\nDocker starts it again with "+
			"docker start %s, but without the variables and the directory of the build", reached.Build, r.Name))
	}
	reached.engine = e
	if reached.Client, err = h.openKept(e, r, extend); err != nil {
		return nil, closing(err)
	}
	return reached, nil
}

// resourcesQuietly is Resources without its warnings, which warn prints: the standard error of exec
// is that of its command.
func (h *Host) resourcesQuietly(ctx context.Context) (e *docker.Engine, all []Resource, warn func(), err error) {
	var lines []string
	quiet := *h
	quiet.Warnf = func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	e, all, err = quiet.Resources(ctx)
	return e, all, func() {
		for _, line := range lines {
			h.Warnf("%s", line)
		}
	}, err
}

// HasBuild reports whether a name is that of a build that Reach finds.
func (h *Host) HasBuild(ctx context.Context, name string) bool {
	e, all, _, _ := h.resourcesQuietly(ctx)
	if e != nil {
		defer e.Close()
	}
	_, err := chooseReachable(ctx, all, name)
	return err == nil
}

// openKept returns a client of a container whose build has ended.
func (h *Host) openKept(e *docker.Engine, r Resource, extend Extension) (*control.Client, error) {
	live := runner.NewKept(e.Open(r.ID, newNonce()))
	env := &environment{live: live, host: h, platform: NativePlatform()}
	calls := env.services()
	calls.Why = "the build has ended"
	calls.Status = func() control.Status {
		return control.Status{
			Build: r.Labels[LabelBuild], Project: r.Project(), State: control.StateKept, Engine: string(EngineDocker),
		}
	}
	if extend != nil {
		calls = extend(r, live, calls)
	}
	return control.Connect(calls)
}

// chooseReachable returns the build that a name means.
func chooseReachable(ctx context.Context, all []Resource, name string) (Resource, error) {
	reachable := slices.DeleteFunc(slices.Clone(all), func(r Resource) bool {
		kept := r.Kind == kindContainer && r.State() == StateKept
		return !r.RunsBuild() || !r.Ours || !(r.Alive && r.PID > 0 || kept)
	})
	switch {
	case name == "":
		return onlyReachable(reachable)
	case name == LatestBuild:
		return latestReachable(reachable)
	}
	found := slices.DeleteFunc(slices.Clone(reachable), func(r Resource) bool { return !r.isNamed(name) })
	// Every source counts its builds from 1. In a directory without builds, a number can be that
	// of any source.
	store, err := OpenBuilds(ctx, New("."))
	if _, isNumber := buildNumber(name); isNumber && err == nil && len(store.All()) > 0 {
		found = slices.DeleteFunc(found, func(r Resource) bool { return !r.isHere() })
	}
	switch len(found) {
	case 0:
		return Resource{}, notReachable(all, store, name)
	case 1:
		return found[0], nil
	}
	return Resource{}, ambiguous(found, fmt.Sprintf("%d builds have the number %s", len(found), name))
}

// onlyReachable returns the build that is meant without a name.
func onlyReachable(reachable []Resource) (Resource, error) {
	var running, kept, runningHere, keptHere []Resource
	for _, r := range reachable {
		group, here := &kept, &keptHere
		if r.Alive {
			group, here = &running, &runningHere
		}
		if *group = append(*group, r); r.isHere() {
			*here = append(*here, r)
		}
	}
	for _, group := range [][]Resource{runningHere, keptHere, running, kept} {
		switch {
		case len(group) == 1:
			return group[0], nil
		case len(group) > 1 && group[0].Alive:
			return Resource{}, ambiguous(group, fmt.Sprintf("%d builds are running", len(group)))
		case len(group) > 1:
			return Resource{}, ambiguous(group, fmt.Sprintf("%d builds were kept", len(group)))
		}
	}
	return Resource{}, Usagef("no builds are running, and none was kept\n" +
		"buildlocal run starts one, and buildlocal run --keep keeps its container")
}

// latestReachable returns the newest build of the source in the current directory.
func latestReachable(reachable []Resource) (Resource, error) {
	here := slices.DeleteFunc(slices.Clone(reachable), func(r Resource) bool { return !r.isHere() })
	if len(here) == 0 {
		return Resource{}, Usagef("no build of this source is running, and none was kept\n" +
			"buildlocal ps lists the builds of other sources")
	}
	return slices.MaxFunc(here, func(a, b Resource) int {
		return cmp.Or(a.Started().Compare(b.Started()), cmp.Compare(a.number(), b.number()))
	}), nil
}

// ambiguous returns the error for several builds, with a list of them.
func ambiguous(found []Resource, message string) error {
	var names []string
	for _, r := range found {
		names = append(names, fmt.Sprintf("%s (%s)", r.Labels[LabelBuild], r.Project()))
	}
	slices.Sort(names)
	return Usagef("%s\nname one of them: %s", message, strings.Join(names, ", "))
}

// notReachable returns the error for a name of which no build can be looked into.
func notReachable(all []Resource, store *builds.Store, name string) error {
	for _, r := range all {
		switch {
		case !r.RunsBuild() || !r.isNamed(name):
		case r.State() == StateKilled:
			return Usagef("build %s was killed; its container remains\nbuildlocal prune %s removes it", name, name)
		case r.State() == StateFailed:
			return Usagef("build %s has ended at a failed command\nbuildlocal debug continues it", name)
		case !r.Ours:
			return Usagef("build %s belongs to another user or another machine", name)
		}
	}
	if store != nil {
		if _, err := FindBuild(store, name); err == nil {
			return Usagef("build %s has ended\nbuildlocal run --keep keeps the container of a build", name)
		}
	}
	return Usagef("no build %s is running\nbuildlocal ps lists the builds that run", name)
}

// isHere reports whether the current directory is in the source of the build.
func (r Resource) isHere() bool {
	here, source := RealDir("."), RealDir(r.Labels[LabelSource])
	_, below := RelativeTo(source, here)
	return below || here == source
}

// isNamed reports whether a name is that of the build or its container, or its number.
func (r Resource) isNamed(name string) bool {
	number, isNumber := buildNumber(name)
	return name == r.Labels[LabelBuild] || name == r.Name || isNumber && number == r.number()
}

// number returns the number of the build.
func (r Resource) number() int { return builds.Number(r.Labels[LabelBuild]) }

// buildNumber parses a number as the user may write it, such as #12.
func buildNumber(name string) (number int, ok bool) {
	number, err := strconv.Atoi(strings.TrimPrefix(name, "#"))
	return number, err == nil && number > 0
}

// StoppedHere returns the name of the newest build of the source in the current directory that is
// stopped, or "".
func (h *Host) StoppedHere(ctx context.Context) (string, error) {
	e, all, err := h.Resources(ctx)
	if e != nil {
		defer e.Close()
	}
	stopped := slices.DeleteFunc(all, func(r Resource) bool {
		return !r.RunsBuild() || !r.Ours || !r.Alive || !r.isHere() || r.Place().Stopped.IsZero()
	})
	if len(stopped) == 0 {
		return "", err
	}
	newest := slices.MaxFunc(stopped, func(a, b Resource) int { return a.Started().Compare(b.Started()) })
	return newest.Labels[LabelBuild], nil
}
